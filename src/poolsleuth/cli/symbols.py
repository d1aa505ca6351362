"""``poolsleuth symbols``: the symbol tables of kernels that the user has, adds and fetches."""

import json
import re
from itertools import groupby
from pathlib import Path

import click

from poolsleuth.cli.output import UNUSABLE, progress_on_terminal
from poolsleuth.evidence.dump.opening import open_kernel
from poolsleuth.evidence.dump.options import DumpOptions
from poolsleuth.kernel.crash_dump.content import open_content
from poolsleuth.kernel.symbols.find import SymbolSources, find_table, symbol_sources
from poolsleuth.kernel.symbols.own_tables import OwnTable, keep_table, own_folder, own_table, own_tables
from poolsleuth.kernel.symbols.symbol_file import read_symbol_file
from poolsleuth.model.errors import InputError
from poolsleuth.report.wording import clean
from poolsleuth.windows.bundled_tables import BundledKernel, bundled_kernels, bundled_table
from poolsleuth.windows.kernel_table import Field, KernelTable, PdbId
from poolsleuth.windows.kernel_table_codec import table_document

_KERNEL_PDBS = ("ntkrnlmp.pdb", "ntkrpamp.pdb", "ntoskrnl.pdb", "ntkrnlpa.pdb")
_KEY = re.compile(r"(?:(?P<name>[^/\\]+)[/\\])?\{?(?P<guid>[0-9A-Fa-f-]{32,36})\}?-?(?P<age>[0-9A-Fa-f]{1,8})")
_KEY_HELP = "ntkrnlmp.pdb/GUIDAGE, as in ntkrnlmp.pdb/5278AFF86C341677D7D7835C85B7B8441"


@click.group()
def symbols() -> None:
    """Add, fetch, list and show symbol tables of kernels.

    A dump is read by the symbols of its kernel. Those of many kernels come with
    poolsleuth; others are added from a PDB, or fetched from a symbol server.
    """


@symbols.command()
@click.argument("files", nargs=-1, required=True, metavar="FILES...")
@click.pass_context
def add(context: click.Context, files: tuple[str, ...]) -> int:
    """Keep the symbols of a kernel for all its dumps.

    FILES are PDBs, symbol tables in the ISF format (.json, .json.xz), or tables
    kept on another machine.

    \b
    Exit status: 0, or 2 when a file could not be used.
    """
    failed = False
    for file in files:
        try:
            table = read_symbol_file(Path(file))
            kept = keep_table(own_folder(), table)
        except InputError as error:
            click.echo(f"poolsleuth: {clean(str(error))}", err=True)
            failed = True
        else:
            _say_kept(table, kept)
    if failed:
        context.exit(UNUSABLE)
    return 0


@symbols.command()
@click.argument("key", metavar="DUMP|PDB-KEY")
@click.option(
    "--symbols", "path", multiple=True, metavar="PATH", help="Symbol path; _NT_SYMBOL_PATH if left out. Repeatable."
)
@click.option("--offline", is_flag=True, help="Ask no server, even if the path names one.")
@click.pass_context
def fetch(context: click.Context, key: str, path: tuple[str, ...], offline: bool) -> int:
    """Get the symbols of a kernel by way of a symbol path, and keep them.

    Give a crash dump, or the key that its kernel needs (ntkrnlmp.pdb/GUIDAGE).
    A server is asked only when the path names
    its URL, as srv*FOLDER*https://msdl.microsoft.com/download/symbols does.

    \b
    Exit status: 0, or 2 when no source has them.
    """
    pdb = _pdb_of_dump(Path(key)) if Path(key).is_file() else _pdb_of_key(key)
    if pdb is None:
        raise click.UsageError(f"{key} is no crash dump and no key of a PDB: give a dump, or {_KEY_HELP}")
    with progress_on_terminal() as progress:
        named = symbol_sources(path, offline=offline, progress=progress)
        if not named.path.entries and not named.path.problems:
            raise click.UsageError("no symbol path is given: give --symbols, or set _NT_SYMBOL_PATH")
        found = find_table(pdb, SymbolSources(named.path, None, named.cache, False, offline, progress))
    if found.table is None:
        for sentence in found.tried:
            click.echo(f"poolsleuth: {clean(sentence)}", err=True)
        click.echo(f"poolsleuth: the symbols of {pdb.name} {pdb.key} were not found", err=True)
        context.exit(UNUSABLE)
    _say_kept(found.table, keep_table(own_folder(), found.table))
    return 0


def _pdb_of_dump(path: Path) -> PdbId | None:
    """Which symbols the kernel of a dump needs; None when the file is no dump. Raises click.ClickException when the
    dump does not say it, or cannot be read."""
    try:
        with path.open("rb") as file, open_content(file) as content:
            opened = open_kernel(content, DumpOptions(offline=True))
    except InputError:
        return None
    except OSError as error:
        raise _UnusableError(f"{path} cannot be read: {error.strerror or error}") from error
    if opened.kernel is None or opened.kernel.pdb is None:
        why = opened.says or "the page of the kernel that names them is not in it"
        raise _UnusableError(f"{path}: which symbols its kernel needs is not known: {why}")
    return opened.kernel.pdb


class _UnusableError(click.ClickException):
    """Input that cannot be used."""

    exit_code = UNUSABLE


@symbols.command("list")
@click.option("--all", "every", is_flag=True, help="Also each of the tables that come with poolsleuth.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def list_tables(*, every: bool, as_json: bool) -> None:
    """List the symbol tables that are there: your own, and those that come with poolsleuth."""
    folder = own_folder()
    own, problems = own_tables(folder)
    for problem in problems:
        click.echo(f"poolsleuth: {clean(problem)}", err=True)
    bundled = bundled_kernels()
    if as_json:
        document = {
            "folder": str(folder),
            "own": [_own_row(entry) for entry in own],
            "bundled": [{**_identity(kernel.pdb, kernel.machine), "version": kernel.version} for kernel in bundled],
        }
        click.echo(json.dumps(document, indent=1))
        return
    click.echo(f"Your own, in {clean(str(folder))}:" if own else f"Your own, in {clean(str(folder))}: none.")
    _print_rows([_cells(entry.table.pdb, entry.table.machine, _remark(entry)) for entry in own])
    click.echo(f"\nWith poolsleuth: {len(bundled)} kernels" + (":" if every else " (--all lists each):"))
    if every:
        _print_rows([_cells(kernel.pdb, kernel.machine, kernel.version or "") for kernel in bundled])
    else:
        _print_rows([_summary(build, list(kernels)) for build, kernels in groupby(bundled, key=lambda k: k.build)])


@symbols.command()
@click.argument("key_or_file", metavar="PDB-KEY|FILE")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def show(*, key_or_file: str, as_json: bool) -> None:
    """Print a symbol table: what poolsleuth takes of a kernel's symbols.

    FILE is a PDB or a symbol table in the ISF format. A PDB-KEY is looked up
    among your own tables and those that come with poolsleuth.

    \b
    Exit status: 0, or 2 when there is no such table.
    """
    table = _table_of(key_or_file)
    if as_json:
        click.echo(json.dumps(table_document(table), indent=1))
        return
    name = "a kernel that it does not name" if table.pdb is None else f"{table.pdb.name} {table.pdb.key}"
    lines = [f"{name}, {table.machine or 'machine not known'}: {table.source}", "", "Symbols, from the kernel's base:"]
    lines += [f"  {address:#010x}  {symbol}" for symbol, address in sorted(table.symbols.items())]
    for name, structure in sorted(table.structures.items()):
        lines += ["", f"{name}, {structure.size:#x} bytes:"]
        ordered = sorted(structure.fields.items(), key=lambda item: (item[1].offset, item[1].bit or 0, item[0]))
        lines += [f"  +{field.offset:#06x}  {path}{_extent(field)}" for path, field in ordered]
    click.echo("\n".join(clean(line) for line in lines))


def _table_of(key_or_file: str) -> KernelTable:
    if Path(key_or_file).is_file():
        return read_symbol_file(Path(key_or_file))
    pdb = _pdb_of_key(key_or_file)
    if pdb is None:
        raise click.UsageError(f"{key_or_file} is neither a file nor a key: give {_KEY_HELP}")
    own = own_table(own_folder(), pdb)
    if own is not None:
        return own.table
    names = dict.fromkeys((pdb.name, *_KERNEL_PDBS))
    for name in names:
        table = bundled_table(PdbId(name, pdb.guid, pdb.age))
        if table is not None:
            return table
    raise InputError(
        f"there is no table of {pdb.key}: `poolsleuth symbols add` keeps one from a PDB,"
        " `poolsleuth symbols fetch` gets one from a symbol server"
    )


def _pdb_of_key(text: str) -> PdbId | None:
    """``ntkrnlmp.pdb/GUIDAGE``, the name left out, or with hyphens; None for anything else."""
    found = _KEY.fullmatch(text.strip())
    if found is None:
        return None
    digits = (found["guid"] + found["age"]).replace("-", "").upper()
    if not 33 <= len(digits) <= 40:
        return None
    return PdbId(found["name"] or _KERNEL_PDBS[0], digits[:32], int(digits[32:], 16))


def _say_kept(table: KernelTable, kept: Path) -> None:
    name = f"{table.pdb.name} {table.pdb.key}" if table.pdb is not None else table.source
    click.echo(
        f"{clean(name)} ({table.machine or 'machine not known'}): {len(table.symbols)} symbols and"
        f" {len(table.structures)} structures are kept in {clean(str(kept))}"
    )


def _identity(pdb: PdbId | None, machine: str | None) -> dict[str, object]:
    return {"pdb": None if pdb is None else pdb.name, "key": None if pdb is None else pdb.key, "machine": machine}


def _own_row(entry: OwnTable) -> dict[str, object]:
    return {
        **_identity(entry.table.pdb, entry.table.machine),
        "source": entry.table.source,
        "file": str(entry.path),
        "current": entry.current,
    }


def _cells(pdb: PdbId | None, machine: str | None, remark: str) -> tuple[str, ...]:
    return (pdb.name if pdb else "-", pdb.key if pdb else "-", machine or "-", remark)


def _remark(entry: OwnTable) -> str:
    if entry.current:
        return entry.table.source
    return f"{entry.table.source}; made by an earlier version: add it again"


def _summary(build: int | None, kernels: list[BundledKernel]) -> tuple[str, ...]:
    first, last = kernels[0].version or "of unknown version", kernels[-1].version or ""
    span = first if len(kernels) == 1 else f"{first} to {last}"
    machines = " and ".join(sorted({kernel.machine or "-" for kernel in kernels}))
    return (f"build {build}" if build is not None else "-", f"{len(kernels)}", machines, span)


def _print_rows(rows: list[tuple[str, ...]]) -> None:
    """Columns as wide as they need to be: a key that is cut is of no use."""
    shown = [[clean(cell) for cell in row] for row in rows]
    widths = [max(len(cell) for cell in column) for column in zip(*shown, strict=True)]
    for row in shown:
        click.echo("  " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def _extent(field: Field) -> str:
    if field.bits is not None:
        return f", bits {field.bit} to {(field.bit or 0) + field.bits - 1}"
    if field.size is None:
        return ""
    return f", {field.size} bytes" + (f" ({field.count} elements)" if field.count > 1 else "")
