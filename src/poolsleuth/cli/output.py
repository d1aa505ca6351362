"""Where results go: standard output or a file that is never overwritten by accident; talk goes to standard error."""

import os
import sys
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, ProgressColumn, TextColumn, TimeRemainingColumn

from poolsleuth.model.report import Report
from poolsleuth.report.wording import clean, place_text

if TYPE_CHECKING:
    from poolsleuth.reading import Progress as ProgressCall

STANDARD_OUTPUT = "-"
SHOW_FROM_BYTES = 8 << 20  # a smaller file is read before a bar could be seen
UNUSABLE = 2


def check_target(target: str | None, inputs: Iterable[str], *, force: bool, option: str) -> None:
    """Refuse, before any work, a target that would overwrite something. Raises click.UsageError."""
    if target is None or target == STANDARD_OUTPUT:
        return
    path = Path(target)
    for name in inputs:
        if path.exists() and Path(name).exists() and path.samefile(name):
            raise click.UsageError(f"{option} {target} is one of the inputs; give another name")
    if path.is_dir():
        raise click.UsageError(f"{option} {target} is a directory; give a file name")
    if path.exists() and not force:
        raise click.UsageError(f"{option} {target} exists already; give another name, or --force to overwrite it")
    if not path.parent.exists():
        raise click.UsageError(f"{option} {target}: the folder {path.parent} does not exist")


def write_target(target: str, text: str | Iterable[str]) -> None:
    """Write text, whole or in pieces, to standard output or to a file; a file appears only when it is complete."""
    pieces = [text] if isinstance(text, str) else text
    write_target_bytes(target, (piece.encode("utf-8", errors="replace") for piece in pieces))


def write_target_bytes(target: str, data: bytes | Iterable[bytes]) -> None:
    """The same with bytes."""
    pieces = [data] if isinstance(data, bytes) else data
    if target == STANDARD_OUTPUT:
        sys.stdout.flush()
        for piece in pieces:
            sys.stdout.buffer.write(piece)
        sys.stdout.buffer.flush()
        return
    path = Path(target)
    try:
        if path.exists() and not path.is_file():
            with path.open("wb") as device:  # a device such as /dev/null cannot be replaced
                device.writelines(pieces)
            return
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        try:
            with os.fdopen(handle, "wb") as file:
                file.writelines(pieces)
            mask = os.umask(0)
            os.umask(mask)
            Path(temporary).chmod(0o666 & ~mask)
            Path(temporary).replace(path)
        finally:
            Path(temporary).unlink(missing_ok=True)
    except OSError as error:
        raise click.ClickException(f"{target} could not be written: {error.strerror or error}") from error


def say_problems(report: Report) -> None:
    """One sentence on standard error for each input, or part of one, that could not be used."""
    for problem in report.problems:
        at = place_text(problem, report.inputs)
        click.echo(f"poolsleuth: {clean(problem.says)}" + (f" ({clean(at)})" if at else ""), err=True)


@contextmanager
def bar_on_terminal(*columns: ProgressColumn) -> Iterator[Progress | None]:
    """A bar on standard error, with ``columns`` in it too, that goes when all is done; None where no terminal is."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield None
        return
    what = TextColumn("{task.description}", markup=False)
    with Progress(what, BarColumn(), *columns, TimeRemainingColumn(), console=console, transient=True) as bar:
        yield bar


@contextmanager
def progress_on_terminal() -> Iterator["ProgressCall | None"]:
    """A progress call for long inputs, None when standard error is no terminal."""
    tasks = {}
    with bar_on_terminal(DownloadColumn()) as bar:
        if bar is None:
            yield None
            return

        def update(name: str, done: int, total: int | None) -> None:
            if name not in tasks:
                if (total or 0) < SHOW_FROM_BYTES:
                    return
                tasks[name] = bar.add_task(clean(name), total=total)
            bar.update(tasks[name], completed=done)

        yield update
