"""The user's own tables: what was taken once from a PDB or a symbol table, kept for every later dump of that kernel."""

import json
import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from platformdirs import user_cache_path, user_data_path

from poolsleuth.kernel.symbols.store import name_and_key
from poolsleuth.model.errors import InputError
from poolsleuth.windows.kernel_table import KernelTable, PdbId
from poolsleuth.windows.kernel_table_codec import table_document, table_of_document

ENVIRONMENT = "POOLSLEUTH_SYMBOLS"
MAX_TABLES = 5000  # tables that are listed
MAX_TABLE_BYTES = 16 << 20  # a table has some 100 KB
KEPT_MAGIC = b'{"format":"poolsleuth.kernel-table/'  # what a table that was kept begins with
_ENDING = ".json"


@dataclass(frozen=True, slots=True)
class OwnTable:
    """A table of the user's own. ``current`` is False when it was made before what is wanted of a kernel grew."""

    table: KernelTable
    path: Path
    current: bool


def own_folder(environment: Mapping[str, str] | None = None) -> Path:
    """Where the user's own tables are kept: the folder that POOLSLEUTH_SYMBOLS names, else one in the user's data."""
    named = (os.environ if environment is None else environment).get(ENVIRONMENT)
    return Path(named) if named else user_data_path("poolsleuth", appauthor=False) / "symbols"


def cache_folder() -> Path:
    """The default store: what is downloaded is kept here when the symbol path names no other folder for it."""
    return user_cache_path("poolsleuth", appauthor=False) / "symbols"


def table_file(folder: Path, pdb: PdbId) -> Path | None:
    """Where the table of a kernel is kept: by GUID and age alone, a PDB may have been given another name.

    None when its identity is none.
    """
    names = name_and_key(pdb)
    return None if names is None else folder / f"{names[1]}{_ENDING}"


def keep_table(folder: Path, table: KernelTable) -> Path:
    """Keep a table, in place of any that is there of the same kernel. Raises InputError."""
    target = None if table.pdb is None else table_file(folder, table.pdb)
    if target is None:
        raise InputError(
            f"{table.source} does not say of which kernel it is: it cannot be found again, and is not kept"
        )
    text = json.dumps(table_document(table), separators=(",", ":"))
    try:
        folder.mkdir(parents=True, exist_ok=True)
        temporary = folder / f".{target.name}.{os.getpid()}-{secrets.token_hex(4)}"
        try:
            temporary.write_text(text, encoding="utf-8")
            temporary.replace(target)
        finally:
            temporary.unlink(missing_ok=True)
    except OSError as error:
        raise InputError(
            f"the table could not be kept in {folder}: {error.strerror or error} ({ENVIRONMENT} names another folder)"
        ) from error
    return target


def own_table(folder: Path, pdb: PdbId) -> OwnTable | None:
    """The user's own table of a kernel; None when there is none. Raises InputError when it is damaged."""
    path = table_file(folder, pdb)
    if path is None or not path.is_file():
        return None
    found = read_kept_table(path)
    known = found.table.pdb
    if known is None or name_and_key(known) is None or known.key != f"{pdb.guid.upper()}{pdb.age:X}":
        raise InputError(f"{path} is the table of another kernel: remove it, and add the symbols again")
    return replace(found, table=replace(found.table, source=f"own table {path} (from {found.table.source})"))


def own_tables(folder: Path) -> tuple[tuple[OwnTable, ...], tuple[str, ...]]:
    """All of the user's own tables by file name, and a sentence for each file that is none. Never raises."""
    found: list[OwnTable] = []
    problems: list[str] = []
    try:
        paths = sorted(p for p in folder.iterdir() if p.suffix == _ENDING and not p.name.startswith("."))
    except FileNotFoundError:
        return (), ()
    except OSError as error:
        return (), (f"{folder} cannot be read: {error.strerror or error}",)
    if len(paths) > MAX_TABLES:
        problems.append(f"only the first {MAX_TABLES} of the {len(paths)} tables in {folder} are read")
    for path in paths[:MAX_TABLES]:
        try:
            found.append(read_kept_table(path))
        except InputError as error:
            problems.append(str(error))
    return tuple(found), tuple(problems)


def read_kept_table(path: Path) -> OwnTable:
    """One file that ``keep_table`` wrote, here or on another machine. Raises InputError."""
    try:
        with path.open("rb") as file:
            content = file.read(MAX_TABLE_BYTES + 1)
        table, current = table_of_document(json.loads(content if len(content) <= MAX_TABLE_BYTES else b""))
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}") from error
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path} is damaged: remove it, and add the symbols again") from error
    return OwnTable(table, path, current)
