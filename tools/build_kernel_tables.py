"""Build the kernel tables that come with the package from public symbol tables in the ISF format.

    python tools/build_kernel_tables.py SOURCE...

A SOURCE is a folder, or a git repository (with a work tree or bare). Every ``*.json`` and ``*.json.xz`` of a kernel
PDB in it is read, and what ``poolsleuth.windows.wanted_symbols`` lists is kept. File versions are taken from the table
in the source's README.md (columns version and GUID with age), or from the file's name (``ntkrnlmp_10.0.19041.804_``).
"""

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click

from poolsleuth.kernel.symbols.isf import read_isf
from poolsleuth.windows.bundled_tables import DATA_FILE, write_bundle
from poolsleuth.windows.kernel_table import KernelTable

KERNEL_PDBS = ("ntkrnlmp.pdb", "ntkrnlpa.pdb", "ntkrpamp.pdb", "ntoskrnl.pdb")
# The collection's list has two digits of this build swapped: 18362.535 and 18362.778 were released, 18326 never was,
# and the layouts of both are those of 18362
CORRECTED_BUILDS = {"10.0.18326.": "10.0.18362."}

_ENDINGS = (".json", ".json.xz")
_KERNEL = re.compile("|".join(name.removesuffix(".pdb") for name in KERNEL_PDBS), re.IGNORECASE)
_VERSION_ROW = re.compile(r"^\|\s*(\d+\.\d+\.\d+\.\d+)\s*\|\s*([0-9A-Fa-f]{33,40})\s*\|", re.MULTILINE)
_VERSION_IN_NAME = re.compile(r"_(\d+\.\d+\.\d+\.\d+)_")

Source = Iterator[tuple[str, bytes]]  # path and content


def files_of(source: Path) -> Source:
    """README.md first, then every symbol table of a kernel, by path."""
    return _of_git(source) if (source / ".git").exists() or (source / "HEAD").is_file() else _of_folder(source)


def _of_folder(folder: Path) -> Source:
    readme = folder / "README.md"
    if readme.is_file():
        yield "README.md", readme.read_bytes()
    for path in sorted(folder.rglob("*")):
        if _is_kernel_table(path.relative_to(folder).as_posix()) and path.is_file():
            yield path.relative_to(folder).as_posix(), path.read_bytes()


def _of_git(repository: Path) -> Source:
    def git(*arguments: str) -> bytes:
        return subprocess.run(["git", "-C", repository, *arguments], check=True, capture_output=True).stdout

    paths = git("ls-tree", "-r", "-z", "--name-only", "HEAD").decode().split("\0")
    if "README.md" in paths:
        yield "README.md", git("show", "HEAD:README.md")
    for path in sorted(filter(_is_kernel_table, paths)):
        yield path, git("show", f"HEAD:{path}")


def _is_kernel_table(path: str) -> bool:
    return path.lower().endswith(_ENDINGS) and _KERNEL.search(path) is not None


def versions_of(readme: str) -> dict[str, str]:
    """File versions by the key of the PDB (GUID and age), as a README of the collection lists them."""
    return {key.upper(): version for version, key in _VERSION_ROW.findall(readme)}


def tables_of(source: Path) -> Iterator[tuple[KernelTable, str | None]]:
    """Every kernel table of a source with its file version, None when neither list nor name says it."""
    versions: dict[str, str] = {}
    for path, content in files_of(source):
        if path == "README.md":
            versions = versions_of(content.decode("utf-8", errors="replace"))
            continue
        table = read_isf(content)
        if table.pdb is None or table.pdb.name.lower() not in KERNEL_PDBS:
            continue
        named = _VERSION_IN_NAME.search(path)
        version = versions.get(table.pdb.key) or (named[1] if named else None)
        for wrong, right in CORRECTED_BUILDS.items():
            version = version and version.replace(wrong, right)
        yield table, version


@click.command(help=__doc__)
@click.argument("sources", nargs=-1, required=True, type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), default=DATA_FILE, help="The file to write.")
def main(sources: tuple[Path, ...], out: Path) -> None:
    """Read all sources and write one data file."""
    kernels = [kernel for source in sources for kernel in tables_of(source)]
    if not kernels:
        click.echo("no kernel table was found in any source", err=True)
        sys.exit(2)
    out.parent.mkdir(parents=True, exist_ok=True)
    write_bundle(kernels, out)
    unlabelled = sum(version is None for _, version in kernels)
    click.echo(f"{len(kernels)} kernels ({unlabelled} of unknown version), {out.stat().st_size} bytes: {out}")


if __name__ == "__main__":
    main()
