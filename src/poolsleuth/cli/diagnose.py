"""``poolsleuth diagnose``: any evidence in, the verdict out."""

import sys
from collections.abc import Callable

import click
from rich.console import Console

from poolsleuth.cli.dump_options import dump_options, gather
from poolsleuth.cli.machine_options import machine_options
from poolsleuth.cli.output import UNUSABLE, check_target, progress_on_terminal, say_problems, write_target
from poolsleuth.model.document import to_json
from poolsleuth.model.report import InputKind, Report
from poolsleuth.pipeline import Assumed
from poolsleuth.pipeline import diagnose as run_diagnosis
from poolsleuth.report.html import render_html
from poolsleuth.report.markdown import render_markdown
from poolsleuth.report.terminal import render
from poolsleuth.windows.builds import WindowsVersionMatch


@click.command()
@click.argument("files", nargs=-1, required=True, metavar="FILES...")
@click.option("--pooltags", metavar="FILE", help="Microsoft's pooltag.txt (or a localtag.txt), for tag descriptions.")
@click.option("--json", "json_file", metavar="FILE|-", help="Write the report as JSON; - is standard output.")
@click.option("--html", "html_file", metavar="FILE|-", help="Write the report as one HTML file.")
@click.option("--markdown", "markdown_file", metavar="FILE|-", help="Write the report as Markdown, for a ticket.")
@click.option("-v", "--verbose", count=True, help="-v shows the evidence, -vv everything.")
@machine_options
@dump_options
@click.option("--force", is_flag=True, help="Overwrite output files that exist.")
@click.pass_context
def diagnose(
    context: click.Context,
    files: tuple[str, ...],
    pooltags: str | None,
    json_file: str | None,
    html_file: str | None,
    markdown_file: str | None,
    verbose: int,
    windows: WindowsVersionMatch | None,
    ram_bytes: int | None,
    symbols: tuple[str, ...],
    offline: bool,
    dtb: int | None,
    kernel_base: int | None,
    force: bool,
) -> int:
    """Diagnose the kernel pools of a machine from crash dumps, debugger logs, counter logs, poolmon snapshots, or JSON
    reports.

    Several FILES are fused: outputs of one machine are judged together, different machines are kept apart. Packed files
    (gz, zip, zstd) are opened. Drivers (.sys) and folders of them are searched for the tags that are accused.

    \b
    Exit status: 0 nothing found or suspected, 1 something found or suspected,
    2 no usable input (a dump that tells nothing of the pools is none).
    """
    inputs = [*files, *([pooltags] if pooltags is not None else [])]
    targets = {"--json": json_file, "--html": html_file, "--markdown": markdown_file}
    written = [target for target in targets.values() if target is not None and target != "-"]
    if len(set(written)) < len(written):
        raise click.UsageError("two outputs have the same file name")
    to_stdout = [option for option, target in targets.items() if target == "-"]
    if len(to_stdout) > 1:
        raise click.UsageError(f"only one output can go to standard output, not {' and '.join(to_stdout)}")
    for option, target in targets.items():
        check_target(target, inputs, force=force, option=option)
    with progress_on_terminal() as progress:
        report = run_diagnosis(
            files,
            pooltags=pooltags,
            progress=progress,
            assumed=Assumed(windows, ram_bytes),
            dumps=gather(symbols, offline, dtb, kernel_base),
        )
    say_problems(report)
    writers: dict[str, Callable[[Report], str]] = {
        "--json": to_json,
        "--html": render_html,
        "--markdown": render_markdown,
    }
    for option, target in targets.items():
        if target is not None:
            write_target(target, writers[option](report))
    if not to_stdout and report.machines:
        # On one screen the problems stand on standard error already; in a file or a pipe the report must tell them
        told = sys.stdout.isatty() and sys.stderr.isatty()
        render(report, Console(highlight=False, soft_wrap=False), verbosity=verbose, problems=not told)
    if not report.machines:
        if not report.problems:
            click.echo(
                "poolsleuth: nothing to diagnose: no input speaks of a machine (a tag list alone does not)", err=True
            )
        context.exit(UNUSABLE)
    if not report.anything_holds and _tells_nothing_of_pools(report):
        click.echo("poolsleuth: nothing could be judged: what was given tells nothing of the pools", err=True)
        context.exit(UNUSABLE)
    context.exit(1 if report.anything_holds else 0)


def _tells_nothing_of_pools(report: Report) -> bool:
    """Whether only dumps were given, and none of them holds any pool usage: a script must not take that for health."""
    return all(one.kind is InputKind.CRASH_DUMP for one in report.inputs) and all(
        machine.pools.nonpaged.used_bytes is None and machine.pools.paged.used_bytes is None and not machine.tags
        for machine in report.machines
    )
