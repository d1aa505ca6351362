"""One file with symbols, whatever its format: told by its content, and checked against the kernel it is wanted for."""

from dataclasses import replace
from pathlib import Path

from poolsleuth.kernel.symbols.isf import read_isf
from poolsleuth.kernel.symbols.own_tables import KEPT_MAGIC, read_kept_table
from poolsleuth.kernel.symbols.pdb import Pdb, kernel_table, read_pdb
from poolsleuth.model.errors import InputError
from poolsleuth.windows.kernel_table import KernelTable, PdbId

_PDB_MAGIC = b"Microsoft C/C++ MSF 7.00\r\n\x1aDS\0\0\0"
_XZ_MAGIC = b"\xfd7zXZ\0"
_BLANKS = b"\xef\xbb\xbf \t\r\n"  # what may stand before the first bracket of JSON
_START = 64  # bytes that tell the formats apart
_REFUSED = (  # what users have in place of a PDB, by its first bytes
    (b"MSCF", "is compressed, and cannot be read: expand it with `expand` on Windows, or with cabextract"),
    (b"Microsoft C/C++ program database 2.00", "is a PDB of the kind of before 2002, which is not read"),
    (b"Microsoft MSFZ", "is a compressed PDB (MSFZ), which is not read: give the plain PDB"),
    (b"MZ", "is a program or driver: give the symbols of it"),
)


def read_symbol_file(path: Path, wanted: PdbId | None = None) -> KernelTable:
    """The table of a PDB, of a symbol table in the ISF format, or of a file that ``symbols add`` has kept elsewhere.

    With ``wanted``, only when the file is of that kernel: GUID and age decide, the file's name does not matter. Raises
    InputError when it is of another kernel, does not say of which, is damaged, or has nothing of a kernel.
    """
    kind = _kind(path)
    if kind is None:
        raise InputError(f"{path} is neither a PDB nor a symbol table in the ISF format (JSON)")
    if kind == "PDB":
        pdb = _open(path, wanted, str(path))
        table = _within(str(path), pdb)
    else:
        try:
            table = read_kept_table(path).table if kind == "kept table" else read_isf(path)
        except InputError as error:
            raise InputError(f"{path} is not used: {error}") from error
        if wanted is not None:
            _compare(str(path), table.pdb, wanted, set())
    if "PsLoadedModuleList" not in table.symbols and "_EPROCESS" not in table.structures:
        raise InputError(f"{path} has nothing of a Windows kernel: give the symbols of ntoskrnl (ntkrnlmp, ntkrpamp)")
    return replace(table, pdb=wanted or table.pdb, source=f"{kind} {path}")


def check_pdb(path: Path, wanted: PdbId, server: str) -> None:
    """Look at the identity of a PDB that a server sent. Raises InputError, which names the server, for any other."""
    if _kind(path, server) != "PDB":
        raise InputError(f"what {server} sent is no PDB: is it the address of a symbol server?")
    _open(path, wanted, f"what {server} sent")


def _open(path: Path, wanted: PdbId | None, called: str) -> Pdb:
    try:
        pdb = read_pdb(path, wanted.name if wanted else None)
    except InputError as error:
        raise InputError(f"{called} is not used: {error}") from error
    if wanted is not None:
        # The image bears the age that the linker wrote; tools that add to a PDB later raise one of its two
        _compare(called, pdb.identity, wanted, {pdb.info.age})
    return pdb


def _within(called: str, pdb: Pdb) -> KernelTable:
    try:
        return kernel_table(pdb)
    except InputError as error:
        raise InputError(f"{called} is not used: {error}") from error


def _compare(called: str, found: PdbId | None, wanted: PdbId, other_ages: set[int]) -> None:
    """A kernel's symbols of another build would give wrong numbers that look right: worse than none."""
    if found is None:
        raise InputError(f"{called} is not used: it does not say of which kernel it is")
    if found.guid.upper() != wanted.guid.upper() or wanted.age not in {found.age, *other_ages}:
        raise InputError(f"{called} is not used: it is of another kernel ({found.key}, not {wanted.key})")


def _kind(path: Path, server: str | None = None) -> str | None:
    """``PDB``, ``symbol table`` or ``kept table``; None for anything else. Raises InputError for what is known."""
    called = str(path) if server is None else f"what {server} sent"
    try:
        if path.exists() and not path.is_file():  # opening a FIFO would wait for ever
            raise InputError(f"{called} cannot be read: it is no file")
        with path.open("rb") as file:
            start = file.read(_START)
    except OSError as error:
        raise InputError(f"{called} cannot be read: {error.strerror or error}") from error
    for mark, says in _REFUSED:
        if start.startswith(mark):
            raise InputError(f"{called} {says}")
    if start.startswith(_PDB_MAGIC):
        return "PDB"
    if start.startswith(KEPT_MAGIC):
        return "kept table"
    if start.startswith(_XZ_MAGIC) or start.lstrip(_BLANKS).startswith(b"{"):
        return "symbol table"
    return None
