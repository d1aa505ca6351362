"""``poolsleuth diff``: two pieces of evidence beside each other, what grew and which tags explain it."""

import sys
from collections.abc import Callable

import click
from rich.console import Console

from poolsleuth.cli.dump_options import gather, symbol_options
from poolsleuth.cli.output import UNUSABLE, check_target, progress_on_terminal, say_problems, write_target
from poolsleuth.cli.sizes import parse_size
from poolsleuth.comparison.compare import compare
from poolsleuth.model.comparison import Comparison
from poolsleuth.pipeline import diagnose
from poolsleuth.report.comparison.document import to_json
from poolsleuth.report.comparison.markdown import render_markdown
from poolsleuth.report.comparison.terminal import render
from poolsleuth.report.comparison.view import TOP, Selection


def _read_size(_ctx: click.Context, _param: click.Parameter, value: str | None) -> int | None:
    try:
        return None if value is None else parse_size(value)
    except ValueError as error:
        raise click.BadParameter(str(error)) from error


def _read_pairs(_ctx: click.Context, _param: click.Parameter, value: tuple[str, ...]) -> tuple[tuple[str, str], ...]:
    pairs = [text.partition("=") for text in value]
    for first, _, second in pairs:
        if not first or not second:
            raise click.BadParameter("write a machine of each side, by name or number, such as 1=2 or SRV-A=SRV-B")
    return tuple((first, second) for first, _, second in pairs)


@click.command("diff")
@click.argument("first", metavar="BEFORE")
@click.argument("second", metavar="AFTER")
@click.option("--before", "more_before", multiple=True, metavar="FILE", help="Another file of BEFORE; repeatable.")
@click.option("--after", "more_after", multiple=True, metavar="FILE", help="Another file of AFTER; repeatable.")
@click.option(
    "--pair",
    "wanted",
    multiple=True,
    metavar="BEFORE=AFTER",
    callback=_read_pairs,
    help="Compare these machines only, by name or number; repeatable.",
)
@click.option("--pooltags", metavar="FILE", help="Microsoft's pooltag.txt, for descriptions and drivers.")
@click.option(
    "--top", type=click.IntRange(min=1), default=TOP, show_default=True, metavar="N", help="Rows of tags shown."
)
@click.option("--pool", type=click.Choice(["nonpaged", "paged", "session"]), help="Only this pool.")
@click.option("--min", "least", metavar="SIZE", callback=_read_size, help="Only tags that changed by this, as 1MB.")
@click.option("--json", "json_file", metavar="FILE|-", help="Write JSON, with every tag; - is standard output.")
@click.option("--markdown", "markdown_file", metavar="FILE|-", help="Write Markdown, for a ticket.")
@symbol_options
@click.option("--force", is_flag=True, help="Overwrite output files that exist.")
@click.pass_context
def diff(
    context: click.Context,
    first: str,
    second: str,
    more_before: tuple[str, ...],
    more_after: tuple[str, ...],
    wanted: tuple[tuple[str, str], ...],
    pooltags: str | None,
    top: int,
    pool: str | None,
    least: int | None,
    json_file: str | None,
    markdown_file: str | None,
    symbols: tuple[str, ...],
    offline: bool,
    force: bool,
) -> int:
    """Compare two pieces of evidence: what grew, shrank, appeared and went, and which tags explain it.

    BEFORE and AFTER are crash dumps, debugger logs, poolmon snapshots, counter logs or JSON reports, each of any kind.
    They may be of one machine at two times, or of two machines: then the difference is between them.

    \b
    Exit status: 0 nothing grew notably, 1 something did, 2 nothing can be compared.
    """
    before, after = [first, *more_before], [second, *more_after]
    targets = {"--json": json_file, "--markdown": markdown_file}
    if json_file is not None and json_file == markdown_file:
        raise click.UsageError(
            "only one output can go to standard output, not --json and --markdown"
            if json_file == "-"
            else "two outputs have the same file name"
        )
    for option, target in targets.items():
        inputs = [*before, *after, *([pooltags] if pooltags is not None else [])]
        check_target(target, inputs, force=force, option=option)
    with progress_on_terminal() as progress:
        dumps = gather(symbols, offline)
        reports = [diagnose(files, pooltags=pooltags, progress=progress, dumps=dumps) for files in (before, after)]
    for report in reports:
        say_problems(report)
    empty = [side for side, report in zip(("BEFORE", "AFTER"), reports, strict=True) if not report.machines]
    if empty:
        click.echo(f"poolsleuth: nothing to compare: {' and '.join(empty)} speaks of no machine", err=True)
        context.exit(UNUSABLE)
    comparison = compare(*reports, wanted=wanted)
    _write(comparison, Selection(top, pool, least), targets)
    if not comparison.pairs:
        click.echo("poolsleuth: no machine of BEFORE is one of AFTER: --pair BEFORE=AFTER compares two", err=True)
        context.exit(UNUSABLE)
    if not comparison.comparable:
        click.echo("poolsleuth: nothing can be compared: the two sides have no figure in common", err=True)
        context.exit(UNUSABLE)
    context.exit(1 if comparison.notable else 0)


def _write(comparison: Comparison, selection: Selection, targets: dict[str, str | None]) -> None:
    writers: dict[str, Callable[[], str]] = {
        "--json": lambda: to_json(comparison, selection.keeps),
        "--markdown": lambda: render_markdown(comparison, selection),
    }
    for option, target in targets.items():
        if target is not None:
            write_target(target, writers[option]())
    if "-" not in targets.values():
        render(comparison, Console(highlight=False, soft_wrap=False), selection)
        sys.stdout.flush()
