"""``poolsleuth collect``: ready collectors for the machine that is in trouble, printed or written as scripts."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import click

from poolsleuth.cli.output import check_target, write_target
from poolsleuth.cli.sizes import parse_size
from poolsleuth.collect.plan import make_plan
from poolsleuth.collect.request import (
    Request,
    check,
    check_folder,
    check_host,
    check_tag,
    read_span,
    usual_interval,
)
from poolsleuth.collect.script import COLLECT, script_files
from poolsleuth.collect.text import plan_lines
from poolsleuth.windows.builds import WindowsVersion, parse_os_name

_T = TypeVar("_T")
_MB = 1 << 20


def _checked(reader: Callable[[str], _T]) -> Callable[[click.Context, click.Parameter, str | None], _T | None]:
    def read(_context: click.Context, _parameter: click.Parameter, value: str | None) -> _T | None:
        try:
            return None if value is None else reader(value)
        except ValueError as error:
            raise click.BadParameter(str(error)) from error

    return read


def _windows(text: str) -> WindowsVersion:
    match = parse_os_name(text)
    if match is None:
        raise ValueError(f"{text!r} names no Windows known here: give a name such as 2003, XP, 7, 2008R2 or 2019.")
    return match.version


def _tags(_context: click.Context, _parameter: click.Parameter, values: tuple[str, ...]) -> tuple[str, ...]:
    try:
        return tuple(check_tag(value) for value in values)
    except ValueError as error:
        raise click.BadParameter(str(error)) from error


@click.command()
@click.option("--os", "windows", callback=_checked(_windows), help="Its Windows: XP, 2003, 7, 2008R2, 2012, 2019 ...")
@click.option(
    "--for",
    "duration",
    default="24h",
    show_default=True,
    callback=_checked(read_span),
    metavar="TIME",
    help="How long to collect: 4h, 24h, 7d.",
)
@click.option(
    "--interval",
    callback=_checked(read_span),
    metavar="TIME",
    help="Time between samples; 1 to 5 minutes, after --for, if left out.",
)
@click.option(
    "--max-size",
    "max_size",
    default="300MB",
    show_default=True,
    callback=_checked(parse_size),
    metavar="SIZE",
    help="Size of the circular log, and of the trace.",
)
@click.option(
    "--tag",
    "tags",
    multiple=True,
    callback=_tags,
    metavar="TAG",
    help="Also trace who allocates this tag; up to four times.",
)
@click.option(
    "--remote",
    callback=_checked(check_host),
    metavar="HOST",
    help="Collect on HOST, from another machine: counters only.",
)
@click.option(
    "--out",
    "folder",
    default="C:\\PoolLogs",
    show_default=True,
    callback=_checked(check_folder),
    metavar="FOLDER",
    help="Where the logs go, on that machine.",
)
@click.option("--no-counters", is_flag=True, help="Leave out the counters.")
@click.option("--no-poolmon", is_flag=True, help="Leave out the snapshots of poolmon.")
@click.option("--script", "script", metavar="DIR", help="Write scripts that do it and stop by themselves.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option("--force", is_flag=True, help="Overwrite files of --script that exist.")
def collect(
    *,
    windows: WindowsVersion | None,
    duration: int,
    interval: int | None,
    max_size: int,
    tags: tuple[str, ...],
    remote: str | None,
    folder: str,
    no_counters: bool,
    no_poolmon: bool,
    script: str | None,
    as_json: bool,
    force: bool,
) -> None:
    """Print the commands that collect what tells a pool leak from load, for the machine that is in trouble.

    Counters (logman), the tags (poolmon) and, with --tag, a trace of who allocates (xperf, wpr). Nothing is run here.
    """
    request = Request(
        windows=windows,
        duration=duration,
        interval=usual_interval(duration) if interval is None else interval,
        max_mb=max_size // _MB,
        folder=folder,
        remote=remote,
        tags=tags,
        counters=not no_counters,
        poolmon=not no_poolmon,
    )
    try:
        check(request)
        files = {} if script is None else script_files(request)
    except ValueError as error:
        raise click.UsageError(str(error)) from error
    written = [] if script is None else _write(Path(script), files, force=force)
    plan = make_plan(request)
    if as_json:
        click.echo(json.dumps(plan.as_json() | {"files": written}, indent=2))
    elif written:
        for name in written:
            click.echo(f"wrote {name}")
        click.echo(f"Copy the folder to the machine and run {COLLECT} there, as administrator.")
    else:
        for line in plan_lines(plan):
            click.echo(line)


def _write(folder: Path, files: dict[str, str], *, force: bool) -> list[str]:
    """Write all files or none; the folder is made, its parent is not. Gives their paths."""
    if folder.exists() and not folder.is_dir():
        raise click.UsageError(f"--script {folder} is a file; give a folder")
    if not folder.parent.exists():
        raise click.UsageError(f"--script {folder}: the folder {folder.parent} does not exist")
    targets = {str(folder / name): text for name, text in files.items()}
    if folder.exists():
        for target in targets:
            check_target(target, (), force=force, option="--script")
    try:
        folder.mkdir(exist_ok=True)
    except OSError as error:
        raise click.ClickException(f"{folder} could not be made: {error.strerror or error}") from error
    for target, text in targets.items():
        write_target(target, text)
    return list(targets)
