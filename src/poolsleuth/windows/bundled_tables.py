"""The kernel tables that come with this package: no network and no symbol server is needed for these kernels.

``data/kernel_tables.zip`` is written by ``tools/build_kernel_tables.py``. It holds ``index.json`` (which kernels) and
one document for each build of Windows, so that the table of one kernel is read without unpacking those of all others.
"""

import json
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from poolsleuth.model.errors import InputError
from poolsleuth.windows.kernel_table import KernelTable, PdbId
from poolsleuth.windows.kernel_table_codec import group_document, table_of_group, wanted_digest

DATA_FILE = Path(__file__).parent / "data" / "kernel_tables.zip"
INDEX = "index.json"
INDEX_FORMAT = "poolsleuth.kernel-tables/1"
_LONG_AGO = (1980, 1, 1, 0, 0, 0)  # the first time a zip can hold: the same tables give the same bytes at any time
_NO_BUILD = "unlabelled"


@dataclass(frozen=True, slots=True)
class BundledKernel:
    """A kernel whose table comes with the package.

    ``machine`` is ``x86``, ``x64`` or ``arm64``; ``version`` its file version, such as ``10.0.19041.804``. None where
    the collection that the table comes from does not say it.
    """

    pdb: PdbId
    machine: str | None
    version: str | None

    @property
    def build(self) -> int | None:
        """The build number, such as 19041; None when the version is not known."""
        return None if self.version is None else _numbers(self.version)[2]


def bundled_kernels() -> tuple[BundledKernel, ...]:
    """Every kernel that the package has a table of, oldest version first. Raises InputError as ``bundled_table``."""
    return tuple(kernel for kernel, _ in _index())


def bundled_for_build(build: int) -> tuple[BundledKernel, ...]:
    """The kernels of one build, such as 19041, oldest revision first; empty when there is none."""
    return tuple(kernel for kernel in bundled_kernels() if kernel.build == build)


def bundled_table(pdb: PdbId) -> KernelTable | None:
    """The table of a kernel by the identity of its PDB; None when the package has none.

    The name is compared without regard to case and without a folder, the GUID without regard to case. Raises
    InputError when the package's own data is damaged.
    """
    group = _by_identity().get(_identity(pdb))
    if group is None:
        return None
    kernel, member = group
    source = f"bundled table of {kernel.version or 'a kernel of unknown version'}"
    with _damage_said():
        return table_of_group(_read(member), kernel.pdb, kernel.machine, source)


def is_current() -> bool:
    """Whether the tables were made for the symbols that are wanted now; if not, run the tool again."""
    with _damage_said():
        return bool(_read(INDEX)["wanted"] == wanted_digest())


def write_bundle(kernels: Iterable[tuple[KernelTable, str | None]], file: Path) -> None:
    """Write tables, each with its file version or None, as a data file: the same tables give the same bytes.

    One kernel that is given twice is written once. Raises ValueError for a table without a PDB, or with two contents.
    """
    groups: dict[str, dict[str, KernelTable]] = {}
    rows: dict[str, tuple[BundledKernel, str]] = {}
    for table, version in kernels:
        if table.pdb is None:
            raise ValueError("a table that does not say of which PDB it is")
        kernel = BundledKernel(table.pdb, table.machine, version)
        group = groups.setdefault(f"{_NO_BUILD if kernel.build is None else kernel.build}.json", {})
        before = group.setdefault(table.pdb.key, table)
        if (before.symbols, before.structures) != (table.symbols, table.structures):
            raise ValueError(f"two tables of {table.pdb.name} {table.pdb.key} differ")
        rows[table.pdb.key] = (kernel, f"{_NO_BUILD if kernel.build is None else kernel.build}.json")
    ordered = sorted(rows.values(), key=lambda row: (_numbers(row[0].version or "0.0.0"), row[0].pdb.key))
    index = {
        "format": INDEX_FORMAT,
        "wanted": wanted_digest(),
        "kernels": [
            [kernel.pdb.name, kernel.pdb.guid, kernel.pdb.age, kernel.machine, kernel.version, member]
            for kernel, member in ordered
        ],
    }
    with zipfile.ZipFile(file, "w") as target:
        for name, document in [(INDEX, index), *((n, group_document(groups[n].values())) for n in sorted(groups))]:
            entry = zipfile.ZipInfo(name, _LONG_AGO)
            entry.create_system, entry.external_attr = 3, 0o644 << 16  # the same on every system
            text = json.dumps(document, separators=(",", ":"), ensure_ascii=True)
            target.writestr(entry, text, zipfile.ZIP_DEFLATED, compresslevel=9)


@cache
def _index() -> tuple[tuple[BundledKernel, str], ...]:
    with _damage_said():
        return tuple(
            (BundledKernel(PdbId(name, guid, age), machine, version), member)
            for name, guid, age, machine, version, member in _read(INDEX)["kernels"]
        )


def _read(member: str) -> dict[str, Any]:
    with zipfile.ZipFile(DATA_FILE) as file:
        document = json.loads(file.read(member))
    if not isinstance(document, dict):
        raise ValueError(f"{member} is no document")  # noqa: TRY004 - one error for all that may be wrong with a file
    return document


@contextmanager
def _damage_said() -> Iterator[None]:
    """A package that was damaged, or unpacked by halves, is not the user's input, but must not end in a traceback."""
    try:
        yield
    except (OSError, ValueError, KeyError, TypeError, zipfile.BadZipFile, zlib.error) as error:
        raise InputError("the kernel tables that come with poolsleuth are damaged: install it again") from error


@cache
def _by_identity() -> dict[tuple[str, str, int], tuple[BundledKernel, str]]:
    return {_identity(kernel.pdb): (kernel, member) for kernel, member in _index()}


def _identity(pdb: PdbId) -> tuple[str, str, int]:
    return pdb.name.replace("\\", "/").rpartition("/")[2].lower(), pdb.guid.upper(), pdb.age


def _numbers(version: str) -> tuple[int, ...]:
    """``10.0.19041.804`` as numbers. Raises ValueError for anything that is no version of at least three numbers."""
    numbers = tuple(int(part) for part in version.split("."))
    if len(numbers) < 3:
        raise ValueError(f"{version} is no file version")
    return numbers
