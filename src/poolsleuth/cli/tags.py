"""``poolsleuth tags``: the tag table of any evidence, sorted, filtered, as a table, CSV or JSON."""

import csv
import io
import json
from collections.abc import Callable, Sequence

import click
from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

from poolsleuth.cli.dump_options import gather, symbol_options
from poolsleuth.cli.output import UNUSABLE, check_target, progress_on_terminal, say_problems, write_target
from poolsleuth.model.report import Report, ReportTag
from poolsleuth.pipeline import diagnose as run_diagnosis
from poolsleuth.report.wording import clean
from poolsleuth.windows.tag_patterns import TAG_LENGTH, covers

_Row = tuple[int, ReportTag]
_COLUMNS = ("machine", "tag", "pool", "session", "allocs", "frees", "outstanding", "bytes", "driver", "description")
_WIDEST = 40  # characters of a driver's name before it is cut
_NARROWEST = 6  # characters below which a column of text is left out
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")

_SORTS: dict[str, Callable[[ReportTag], tuple[bool, int]]] = {
    "bytes": lambda tag: (tag.bytes is not None, tag.bytes or 0),
    "outstanding": lambda tag: (tag.outstanding is not None, tag.outstanding or 0),
    "allocs": lambda tag: (tag.allocs is not None, tag.allocs or 0),
    "frees": lambda tag: (tag.frees is not None, tag.frees or 0),
}


@click.command()
@click.argument("files", nargs=-1, required=True, metavar="FILES...")
@click.option("--pooltags", metavar="FILE", help="Microsoft's pooltag.txt, for descriptions and drivers.")
@click.option(
    "--sort",
    type=click.Choice([*_SORTS, "tag"]),
    default="bytes",
    show_default=True,
    help="Largest first; tag: by name.",
)
@click.option("--top", type=click.IntRange(min=1), metavar="N", help="Only the first N rows of each machine.")
@click.option("--pool", type=click.Choice(["nonpaged", "paged", "session"]), help="Only this pool.")
@click.option("--filter", "pattern", metavar="TAG", help="Only tags that match; ? is one character, * the rest.")
@click.option(
    "--csv", "csv_file", metavar="FILE|-", help="Write CSV: exact numbers, an empty cell for what is not known."
)
@click.option("--json", "json_file", metavar="FILE|-", help="Write JSON.")
@symbol_options
@click.option("--force", is_flag=True, help="Overwrite output files that exist.")
@click.pass_context
def tags(
    context: click.Context,
    files: tuple[str, ...],
    pooltags: str | None,
    sort: str,
    top: int | None,
    pool: str | None,
    pattern: str | None,
    csv_file: str | None,
    json_file: str | None,
    symbols: tuple[str, ...],
    offline: bool,
    force: bool,
) -> int:
    """List the pool tags of any evidence.

    \b
    Exit status: 0, or 2 when no input holds a tag table.
    """
    if csv_file == "-" and json_file == "-":
        raise click.UsageError("only one output can go to standard output, not --csv and --json")
    if csv_file is not None and csv_file == json_file:
        raise click.UsageError("two outputs have the same file name")
    inputs = [*files, *([pooltags] if pooltags is not None else [])]
    check_target(csv_file, inputs, force=force, option="--csv")
    check_target(json_file, inputs, force=force, option="--json")
    with progress_on_terminal() as progress:
        report = run_diagnosis(files, pooltags=pooltags, progress=progress, dumps=gather(symbols, offline))
    say_problems(report)
    rows = _rows(report, sort, top, pool, pattern)
    if csv_file is not None:
        write_target(csv_file, _csv(rows))
    if json_file is not None:
        write_target(json_file, json.dumps([_values(row) for row in rows], indent=1, ensure_ascii=False) + "\n")
    if not any(machine.tags for machine in report.machines):
        click.echo("poolsleuth: no tag table is in the evidence; run `!poolused` and give its output", err=True)
        context.exit(UNUSABLE)
    if "-" not in (csv_file, json_file):
        _print(rows, several=len(report.machines) > 1)
    return 0


def _rows(report: Report, sort: str, top: int | None, pool: str | None, pattern: str | None) -> list[_Row]:
    rows: list[_Row] = []
    for number, machine in enumerate(report.machines, start=1):
        chosen = [
            tag
            for tag in machine.tags
            if (pool is None or tag.pool == pool) and (pattern is None or covers(pattern, tag.tag))
        ]
        if sort == "tag":
            chosen.sort(key=lambda tag: (tag.tag, tag.pool))
        else:
            chosen.sort(key=_SORTS[sort], reverse=True)
        rows += [(number, tag) for tag in chosen[:top]]
    return rows


def _values(row: _Row) -> dict[str, object]:
    number, tag = row
    return {name: number if name == "machine" else getattr(tag, name) for name in _COLUMNS}


def _csv(rows: Sequence[_Row]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(_COLUMNS)
    for row in rows:
        writer.writerow([_cell(name, value) for name, value in _values(row).items()])
    return text.getvalue()


def _cell(name: str, value: object) -> object:
    harmless = name == "tag" and isinstance(value, str) and len(value) <= TAG_LENGTH  # real tags begin with @ or -
    if isinstance(value, str) and not harmless and value.startswith(_FORMULA_STARTS):
        return "'" + value  # a text from a file must not become a formula of the spreadsheet that opens it
    return "" if value is None else value


def _print(rows: Sequence[_Row], *, several: bool) -> None:
    """A table whose numbers are never cut: what is short of room is the description alone."""
    shown = [
        (
            str(number),
            clean(tag.tag),
            tag.pool if tag.session is None else f"session {tag.session}",
            *("-" if n is None else f"{n:,}" for n in (tag.allocs, tag.frees, tag.outstanding, tag.bytes)),
            clean(tag.driver or "-"),
            clean(tag.description or ""),
        )
        for number, tag in rows
    ]
    headers = ("machine", "tag", "pool", "allocs", "frees", "diff", "bytes", "driver", "description")
    widths = [max([cell_len(row[c]) for row in shown] + [len(headers[c])]) for c in range(len(headers))]
    columns = [c for c in range(len(headers)) if c or several]
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = sum(widths) + 2 * len(widths)  # a file or a pipe has no edge: nothing is cut
    table = Table(box=None, pad_edge=False, header_style="bold")
    room = console.width - sum(widths[c] + 1 for c in columns[:-2])
    driver, description = columns[-2:]
    widths[driver] = min(widths[driver], _WIDEST)
    for column in (driver, description):
        # The texts share what the numbers leave; a column of a few characters would help nobody
        widths[column] = min(widths[column], room - 1)
        if widths[column] < _NARROWEST:
            columns.remove(column)
        else:
            room -= widths[column] + 1
    for column in columns:
        right = headers[column] in {"machine", "allocs", "frees", "diff", "bytes"}
        table.add_column(
            headers[column],
            justify="right" if right else "left",
            no_wrap=True,
            width=widths[column],
            overflow="ellipsis",
        )
    for row in shown:
        table.add_row(*(Text(row[column]) for column in columns))
    console.print(table)
