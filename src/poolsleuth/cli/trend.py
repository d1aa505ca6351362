"""``poolsleuth trend``: what the evidence shows over time - summary, table of all series, picture."""

from pathlib import Path
from tempfile import TemporaryFile

import click
from rich.console import Console

from poolsleuth.cli.dump_options import gather, symbol_options
from poolsleuth.cli.machine_options import machine_options
from poolsleuth.cli.output import (
    UNUSABLE,
    check_target,
    progress_on_terminal,
    say_problems,
    write_target,
    write_target_bytes,
)
from poolsleuth.cli.times import read_time
from poolsleuth.evidence.dump.options import DumpOptions
from poolsleuth.export.parquet import write_parquet
from poolsleuth.export.table import Table, write_csv
from poolsleuth.model.document import to_json
from poolsleuth.model.report import Report
from poolsleuth.pipeline import Assumed
from poolsleuth.pipeline import diagnose as run_diagnosis
from poolsleuth.reading import Selection
from poolsleuth.report.picture import render_picture
from poolsleuth.report.trend_terminal import render_trend
from poolsleuth.report.wording import clean
from poolsleuth.windows.builds import WindowsVersionMatch

_COPY = 1 << 20


@click.command()
@click.argument("files", nargs=-1, required=True, metavar="FILES...")
@click.option("--counter", "counters", multiple=True, metavar="GLOB", help="Also this counter; with --csv, only it.")
@click.option("--tag", "tags", multiple=True, metavar="TAG", help="Also this tag; ? is one character, * the rest.")
@click.option("--since", metavar="TIME", help="Only from this time on: ISO-8601, UTC unless it says otherwise.")
@click.option("--until", metavar="TIME", help="Only up to this time.")
@click.option("--csv", "csv_file", metavar="FILE|-", help="Write every series as a table of UTC times and columns.")
@click.option("--parquet", "parquet_file", metavar="FILE", help="Write the same table as Parquet.")
@click.option("--svg", "svg_file", metavar="FILE", help="Draw the series (needs the extra [plot]).")
@click.option("--png", "png_file", metavar="FILE", help="Draw the series (needs the extra [plot]).")
@click.option("--json", "json_file", metavar="FILE|-", help="Write the whole report as JSON, its series included.")
@machine_options
@symbol_options
@click.option("--force", is_flag=True, help="Overwrite output files that exist.")
@click.pass_context
def trend(
    context: click.Context,
    files: tuple[str, ...],
    counters: tuple[str, ...],
    tags: tuple[str, ...],
    since: str | None,
    until: str | None,
    csv_file: str | None,
    parquet_file: str | None,
    svg_file: str | None,
    png_file: str | None,
    json_file: str | None,
    windows: WindowsVersionMatch | None,
    ram_bytes: int | None,
    symbols: tuple[str, ...],
    offline: bool,
    force: bool,
) -> int:
    """Show what counter logs, poolmon snapshots and captures say over time.

    Without an output option: a summary with a sparkline per series, and what was concluded. Counters are chosen by
    patterns such as '*\\Pool *' or '\\Process(*)\\Handle Count' (* any characters, ? one).

    \b
    Exit status: 0, or 2 when no input holds anything over time.
    """
    targets = {
        "--csv": csv_file,
        "--parquet": parquet_file,
        "--svg": svg_file,
        "--png": png_file,
        "--json": json_file,
    }
    _check(targets, files, force=force)
    selection = Selection(counters, tags, read_time(since, "--since"), read_time(until, "--until", end=True))
    if selection.since is not None and selection.until is not None and selection.since > selection.until:
        raise click.UsageError("--since is later than --until")
    status = 0
    told: set[str] = set()
    if csv_file is not None:
        status = max(status, _csv(files, csv_file, selection, told))
    if parquet_file is not None:
        status = max(status, _parquet(files, Path(parquet_file), selection, told))
    wants_report = svg_file or png_file or json_file or not (csv_file or parquet_file)
    if wants_report:
        status = max(status, _report(files, targets, selection, Assumed(windows, ram_bytes), gather(symbols, offline)))
    context.exit(status)


def _check(targets: dict[str, str | None], files: tuple[str, ...], *, force: bool) -> None:
    written = [target for target in targets.values() if target is not None and target != "-"]
    if len({Path(target).resolve() for target in written}) < len(written):
        raise click.UsageError("two outputs have the same file name")
    to_stdout = [option for option, target in targets.items() if target == "-"]
    if len(to_stdout) > 1:
        raise click.UsageError(f"only one output can go to standard output, not {' and '.join(to_stdout)}")
    for option in ("--parquet", "--svg", "--png"):
        if targets[option] == "-":
            raise click.UsageError(f"{option} is written to a file, not to standard output; give a file name")
    for option, target in targets.items():
        check_target(target, files, force=force, option=option)


def _csv(files: tuple[str, ...], target: str, selection: Selection, told: set[str]) -> int:
    # Written aside first: a table that breaks off half way must not be taken for a whole one
    try:
        with TemporaryFile("w+", encoding="utf-8", errors="replace", newline="", prefix="poolsleuth-") as aside:
            with progress_on_terminal() as progress:
                table = write_csv(files, aside, selection=selection, progress=progress)
            if (status := _told(table, told)) == 0:
                aside.seek(0)
                write_target(target, iter(lambda: aside.read(_COPY), ""))
    except BrokenPipeError:
        raise
    except OSError as error:  # the disk with the temporary files is full
        raise click.ClickException(f"the table could not be written: {error.strerror or error}") from error
    return status


def _parquet(files: tuple[str, ...], target: Path, selection: Selection, told: set[str]) -> int:
    try:
        with progress_on_terminal() as progress:
            table = write_parquet(files, target, selection=selection, progress=progress)
    except OSError as error:
        raise click.ClickException(f"{target} could not be written: {error.strerror or error}") from error
    return _told(table, told)


def _told(table: Table, told: set[str]) -> int:
    for problem in table.problems:
        if problem not in told:
            told.add(problem)
            click.echo(f"poolsleuth: {clean(problem)}", err=True)
    if table.columns:
        return 0
    if not table.problems:
        click.echo("poolsleuth: no series is in these inputs: give counter logs or poolmon snapshots", err=True)
    return UNUSABLE


def _report(
    files: tuple[str, ...],
    targets: dict[str, str | None],
    selection: Selection,
    assumed: Assumed,
    dumps: DumpOptions,
) -> int:
    with progress_on_terminal() as progress:
        report = run_diagnosis(files, progress=progress, selection=selection, assumed=assumed, dumps=dumps)
    say_problems(report)
    if targets["--json"] is not None:
        write_target(targets["--json"], to_json(report))
    drawn = any(machine.series for machine in report.machines)
    shown = [series for machine in report.machines for series in machine.series]
    if selection.counters and drawn and not any(series.kind == "counter" for series in shown):
        click.echo(f"poolsleuth: no counter here is named {' or '.join(selection.counters)}", err=True)
    if selection.tags and drawn and not any(s.tag is not None and selection.asks_for_tag(s.tag) for s in shown):
        click.echo(f"poolsleuth: no tag here is named {' or '.join(selection.tags)}", err=True)
    for kind in ("svg", "png"):
        target = targets[f"--{kind}"]
        if target is not None and drawn:
            write_target_bytes(target, render_picture(report, kind))
    if not drawn:
        click.echo(f"poolsleuth: {_why_nothing(report)}", err=True)
        return UNUSABLE
    if not any(targets.values()):
        render_trend(report, Console(highlight=False, soft_wrap=False))
    return 0


def _why_nothing(report: Report) -> str:
    if not report.machines:
        return "no input speaks of a machine over time"
    return (
        "nothing in these inputs was captured at two known times: give a counter log, dated poolmon snapshots, or"
        " several captures of one machine (`poolsleuth collect` prints how to record them)"
    )
