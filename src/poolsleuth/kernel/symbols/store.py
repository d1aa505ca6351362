"""Where the symbols of one kernel lie in a folder: symbol stores of every layout, and folders with loose files.

Layouts: ``NAME/KEY/NAME`` with the key of the PDB (SymStore; with a file ``index2.txt`` in the root one more level of
two-letter folders), ``exe/NAME`` and ``symbols/exe/NAME`` (the symbol packages of Windows), and
``NAME/GUID-AGE.json.xz`` (collections of tables in the ISF format). Names are compared without regard to case, as
Windows does.
"""

import os
import re
import secrets
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from poolsleuth.windows.kernel_table import PdbId

MAX_LISTED = 500_000  # names of one folder that are looked at: a store of everything Microsoft ships has fewer
MAX_LOOSE = 40  # loose files of one folder that are opened to learn whose they are: each may take a second
MAX_POINTER = 4096  # bytes of a file.ptr: it holds one path
MAX_NAME = 128  # characters of a PDB's name

# Folders in which a debugger looks for the PDB of a program, below each folder of the path
_PACKAGE_FOLDERS = ("", "exe", "symbols", "symbols/exe", "pdb", "symbols/pdb")
_ISF_FOLDERS = ("", "windows", "symbols/windows")
_ISF_ENDINGS = (".json", ".json.xz")
_NAME = re.compile(r"[A-Za-z0-9_.()+@ -]+")
_GUID = re.compile(r"[0-9A-Fa-f]{32}")


@dataclass(slots=True)
class Looked:
    """What a folder has for a kernel: files that may be its symbols, best first, and what else must be said."""

    files: list[Path] = field(default_factory=list)
    says: list[str] = field(default_factory=list)


def name_and_key(pdb: PdbId) -> tuple[str, str] | None:
    """File name and key of a PDB as parts of a path; None when they are no such names.

    The name comes out of a dump, so that it may be anything: nothing that leaves a folder gets through.
    """
    name = pdb.name.replace("\\", "/").rpartition("/")[2]
    harmless = len(name) <= MAX_NAME and _NAME.fullmatch(name) and name.strip(". ") == name
    if not harmless or not _GUID.fullmatch(pdb.guid) or not 0 <= pdb.age < 1 << 32:
        return None
    return name, f"{pdb.guid.upper()}{pdb.age:X}"


def look_in_store(folder: Path, pdb: PdbId) -> Looked:
    """Look for a PDB in a symbol store with one or two levels."""
    looked = Looked()
    names = name_and_key(pdb)
    if names is None:
        return looked
    name, key = names
    roots = [folder]
    if _child(folder, "index2.txt") is not None:
        roots.append(_child(folder, name[:2]) or folder / name[:2])
    for root in roots:
        found = _below(root, name, key)
        if found is None:
            continue
        plain, packed, pointer = (_child(found, n) for n in (name, f"{name[:-1]}_", "file.ptr"))
        if plain is not None:
            looked.files.append(plain)
        elif packed is not None:
            looked.says.append(packed_sentence(str(packed), name))
        elif pointer is not None:
            _follow(pointer, looked)
    return looked


def packed_sentence(place: str, name: str) -> str:
    """What to do with a compressed file of a store."""
    return (
        f"{place} is compressed, and cannot be read: expand it with `expand {name[:-1]}_ {name}` on Windows, or with"
        " cabextract elsewhere, and give the PDB"
    )


def look_in_folder(folder: Path, pdb: PdbId) -> Looked:
    """Look for the symbols of a kernel in a folder: as a store, as a symbol package, and among its loose files."""
    looked = look_in_store(folder, pdb)
    names = name_and_key(pdb)
    if names is None:
        return looked
    name, _ = names
    guid = pdb.guid.upper()
    for below in _PACKAGE_FOLDERS:
        parent = _below(folder, *below.split("/")) if below else folder
        found = None if parent is None else _child(parent, name)
        if found is not None and found.is_file():
            looked.files.append(found)
    for below in _ISF_FOLDERS:
        parent = _below(folder, *[part for part in below.split("/") if part], name)
        for ending in _ISF_ENDINGS:
            table = None if parent is None else _child(parent, f"{guid}-{pdb.age}{ending}")
            if table is not None:
                looked.files.append(table)
    _look_at_loose(folder, name, guid, looked)
    looked.files = list(dict.fromkeys(looked.files))
    return looked


def _look_at_loose(folder: Path, name: str, guid: str, looked: Looked) -> None:
    """Files whose name says that they are of this kernel, then those that may be: a name with another GUID is not."""
    stem = name.rpartition(".")[0].lower() or name.lower()
    sure, possible = [], []
    for entry in _entries(folder):
        other = entry.lower()
        if not other.endswith((".pdb", *_ISF_ENDINGS)) or other == name.lower():
            continue
        if guid in entry.upper():
            sure.append(entry)
        elif stem in other and not _GUID.search(entry):
            possible.append(entry)
    chosen = [folder / entry for entry in (*sorted(sure), *sorted(possible))]
    if len(chosen) > MAX_LOOSE:
        looked.says.append(f"only {MAX_LOOSE} of the {len(chosen)} symbol files in {folder} were opened")
    looked.files += [path for path in chosen[:MAX_LOOSE] if path.is_file()]


def store_file(folder: Path, pdb: PdbId) -> Path | None:
    """Where a PDB is kept in a store; None when its name is no file name."""
    names = name_and_key(pdb)
    if names is None:
        return None
    name, key = names
    root = folder / name[:2] if _child(folder, "index2.txt") is not None else folder
    return root / name / key / name


def keep_copy(source: Path, target: Path) -> None:
    """Copy a file to its place in a store; it appears there when it is complete. Raises OSError."""
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_name(f".{target.name}.{os.getpid()}-{secrets.token_hex(4)}")
    try:
        shutil.copyfile(source, temporary)
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)


def _follow(pointer: Path, looked: Looked) -> None:
    """A ``file.ptr`` holds ``PATH:`` and where the file is, or ``MSG:`` and why it is not there."""
    try:
        with pointer.open("rb") as file:
            text = file.read(MAX_POINTER).decode("utf-8", errors="replace")
    except OSError as error:
        looked.says.append(f"{pointer} could not be read: {error.strerror or error}")
        return
    kind, _, rest = text.strip().partition(":")
    place = rest.splitlines()[0].strip() if rest.strip() else ""
    if kind.strip().upper() != "PATH" or not place or "\0" in place:
        looked.says.append(f"{pointer} leads to no file" + (f": {place[:200]}" if place else ""))
        return
    target = Path(place)
    if os.name != "nt" and not target.is_file():
        target = Path(place.replace("\\", "/"))
    if not target.is_absolute():
        target = pointer.parent / target
    try:
        there = target.is_file()
    except (OSError, ValueError):
        there = False
    if there:
        looked.files.append(target)
    else:
        looked.says.append(f"{pointer} leads to {place[:200]}, which is not there")


def _below(folder: Path, *names: str) -> Path | None:
    found: Path | None = folder
    for name in names:
        found = None if found is None else _child(found, name)
    return found


def _child(folder: Path, name: str) -> Path | None:
    """The file or folder of this name, in any case of letters."""
    exact = folder / name
    try:
        if exact.exists():
            return exact
    except (OSError, ValueError):
        return None
    wanted = name.lower()
    return next((folder / entry for entry in _entries(folder) if entry.lower() == wanted), None)


def _entries(folder: Path) -> Iterator[str]:
    try:
        with os.scandir(folder) as entries:
            for number, entry in enumerate(entries):
                if number >= MAX_LISTED:
                    return
                yield entry.name
    except OSError:
        return
