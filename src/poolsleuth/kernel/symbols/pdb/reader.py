"""Opens a PDB: identity, symbols and types, each decoded when it is first asked for."""

import os
from functools import cached_property
from pathlib import Path

from poolsleuth.kernel.symbols.extract import Layout, wanted_structures, wanted_symbols
from poolsleuth.kernel.symbols.pdb.msf import Msf, open_msf
from poolsleuth.kernel.symbols.pdb.streams import TPI, read_dbi, read_info
from poolsleuth.kernel.symbols.pdb.symbols import SymbolTable
from poolsleuth.kernel.symbols.pdb.types import TypeTable
from poolsleuth.model.errors import InputError
from poolsleuth.windows.kernel_table import KernelTable, PdbId, Structure


class Pdb:
    """An open PDB.

    ``identity`` is what an image names it by: its ``age`` is that of the DBI stream, which the linker wrote into the
    image too; tools that add to a PDB later raise only the other (``info.age``). None where the PDB has no GUID.
    ``with`` closes the file at the end; what was decoded until then stays.
    """

    def __init__(self, msf: Msf) -> None:
        """Read the headers. Raises InputError when one is damaged; symbols and types raise it when asked for."""
        self._msf = msf
        self.name = msf.name
        self.info = read_info(msf)
        self.dbi = read_dbi(msf)
        self.machine = self.dbi.machine if self.dbi is not None else None
        age = (self.dbi.age if self.dbi is not None else 0) or self.info.age
        self.identity = PdbId(msf.name, self.info.guid, age) if self.info.guid is not None else None

    def __enter__(self) -> "Pdb":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the file. Only what was decoded before can be asked for afterwards."""
        self._msf.close()

    @property
    def notes(self) -> tuple[str, ...]:
        """Sentences on what it lacks, as far as it was decoded."""
        notes = list(self.dbi.notes) if self.dbi is not None else []
        symbols, types = self.__dict__.get("symbols"), self.__dict__.get("types")
        if isinstance(symbols, SymbolTable) and symbols.cut:
            notes.append(f"{self.name} is damaged: symbols are missing at the end of their list")
        if isinstance(types, TypeTable) and types.cut:
            notes.append(f"{self.name} is damaged: types are missing at the end of their list")
        return tuple(notes)

    @cached_property
    def symbols(self) -> SymbolTable | None:
        """All symbols that have an address; None when the PDB holds types only. Raises InputError."""
        if self.dbi is None:
            return None
        return SymbolTable(self._msf.read(self.dbi.symbols), self.dbi, self._msf)

    @property
    def publics(self) -> dict[str, int]:
        """Public symbols: name without x86 decoration -> address relative to the image. Raises InputError."""
        return self.symbols.publics if self.symbols is not None else {}

    @cached_property
    def types(self) -> TypeTable:
        """Structures, unions and enums. Raises InputError."""
        return TypeTable(self._msf.read(TPI))

    def structure(self, name: str) -> Layout | None:
        """Size and direct fields of a structure or union; None when it is not defined. Raises InputError."""
        return self.types.layout(name)


def read_pdb(source: str | os.PathLike[str] | bytes, name: str | None = None) -> Pdb:
    """Open a PDB: a file's path (it is mapped into memory), or its content.

    ``name`` is the name in its identity: that of the file when None is given. Raises InputError when it is none.
    """
    if isinstance(source, bytes):
        return Pdb(Msf(source, name or "this PDB"))
    msf = open_msf(Path(source))
    msf.name = name or msf.name
    return Pdb(msf)


def kernel_table(pdb: Pdb) -> KernelTable:
    """The wanted symbols and structures. Public symbols come first, data and functions add what they lack.

    A damaged PDB of which only the symbols or only the types can be read gives those, and ``source`` says so. Raises
    InputError when neither can be.
    """
    symbols: dict[str, int] = {}
    structures: dict[str, Structure] = {}
    damage: list[InputError] = []
    try:
        found = pdb.symbols
        if found is not None:
            symbols = wanted_symbols({**found.functions, **found.data, **found.publics})
    except InputError as error:
        damage.append(error)
    try:
        structures = wanted_structures(pdb.types)
    except InputError as error:
        damage.append(error)
        if len(damage) > 1:
            raise
    return KernelTable(
        pdb=pdb.identity,
        machine=pdb.machine,
        source=f"PDB {pdb.name}{' (damaged, only a part of it)' if damage or pdb.notes else ''}",
        symbols=symbols,
        structures=structures,
    )
