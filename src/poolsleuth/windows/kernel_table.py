"""What is known of one kernel: where its variables lie, and how its structures are laid out.

A table is filled from a PDB, from a symbol table in the ISF format, or from the tables that come with this package;
what reads a dump cannot tell the difference. It holds only what ``wanted_symbols`` lists: a few hundred numbers.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class PdbId:
    """What ties an image to its symbols: PDB name, GUID (32 upper-case hexadecimal digits) and age."""

    name: str
    guid: str
    age: int

    @property
    def key(self) -> str:
        """The folder name in a symbol store: the GUID, then the age in hexadecimal."""
        return f"{self.guid}{self.age:X}"


@dataclass(frozen=True, slots=True)
class Field:
    """A field of a structure. ``offset`` and ``size`` in bytes; ``size`` is that of the whole array for an array.

    ``bit`` and ``bits`` are the first bit and the number of bits of a bit field within the ``size`` bytes at
    ``offset``. ``count`` is the number of elements of an array; 1 for anything else.
    """

    offset: int
    size: int | None = None
    bit: int | None = None
    bits: int | None = None
    count: int = 1


@dataclass(frozen=True, slots=True)
class Structure:
    """Size in bytes and fields. A field of an embedded structure is called ``Vs.PagedPoolInfo.MaximumSize``."""

    size: int
    fields: Mapping[str, Field]


@dataclass(frozen=True, slots=True, kw_only=True)
class KernelTable:
    """The wanted symbols (as relative addresses: add the kernel's base) and structures of one kernel.

    ``source`` says in a few words where they come from. ``machine`` is ``x86``, ``x64`` or ``arm64``; None when the
    source does not say.
    """

    pdb: PdbId | None
    machine: str | None
    source: str
    symbols: Mapping[str, int] = field(default_factory=dict)
    structures: Mapping[str, Structure] = field(default_factory=dict)

    def place(self, structure: str, path: str) -> Field | None:
        """A field by the name of its structure and its (dotted) name; None when this kernel has none."""
        found = self.structures.get(structure)
        return None if found is None else found.fields.get(path)
