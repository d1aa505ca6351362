"""``poolsleuth lab run``: the course of a simulated machine, written as all the evidence that people take of one."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import click

from poolsleuth.cli.lab_size import machine_size, read_size
from poolsleuth.cli.output import bar_on_terminal
from poolsleuth.collect.request import read_span
from poolsleuth.lab.catalogue import windows_named
from poolsleuth.lab.course.course import make_course
from poolsleuth.lab.course.evidence import FILES, names_of, write_run
from poolsleuth.lab.course.evidence import Progress as ProgressCall
from poolsleuth.lab.course.scenarios import SCENARIOS
from poolsleuth.lab.stories import usual_size
from poolsleuth.model.errors import InputError
from poolsleuth.report.wording import clean

_USUAL_WINDOWS = "19041-x64"


def _span(_context: click.Context, _parameter: click.Parameter, value: str | None) -> timedelta | None:
    try:
        return None if value is None else timedelta(seconds=read_span(value))
    except ValueError as error:
        raise click.BadParameter(str(error)) from error


def _kinds(_context: click.Context, _parameter: click.Parameter, value: str) -> tuple[str, ...]:
    chosen = [part.strip() for part in value.split(",") if part.strip()]
    wrong = [part for part in chosen if part not in FILES]
    if wrong or not chosen:
        what = f"{', '.join(wrong)!r} is none" if wrong else "none is given"
        raise click.BadParameter(f"the kinds of evidence are {', '.join(FILES)}; {what}")
    return tuple(kind for kind in FILES if kind in chosen)


@click.command("run")
@click.argument("scenario")
@click.option("--out", "folder", required=True, metavar="DIR", help="Where the files go; made if it is not there.")
@click.option("--hours", type=float, default=24.0, show_default=True, help="How long it takes.")
@click.option("--every", callback=_span, metavar="TIME", help="Between two samples, such as 1m; 1,500 samples at most.")
@click.option("--windows", default=_USUAL_WINDOWS, show_default=True, help="Which Windows; see `lab list`.")
@click.option(
    "--evidence",
    "kinds",
    default=",".join(FILES),
    show_default=True,
    callback=_kinds,
    metavar="KIND,...",
    help="What to write.",
)
@click.option(
    "--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Another number gives another machine."
)
@click.option("--ram", callback=read_size, metavar="SIZE", help="Its memory, such as 16GB.")
@click.option("--processors", type=int, metavar="N", help="Its processors.")
@click.option("--tags", type=int, metavar="N", help="How many pool tags it has.")
@click.option(
    "--whole-objects", is_flag=True, help="The .blg is one of whole objects (\\Memory\\*), as `collect` asks for."
)
@click.option("--force", is_flag=True, help="Overwrite files that exist.")
def run(
    *,
    scenario: str,
    folder: str,
    hours: float,
    every: timedelta | None,
    windows: str,
    kinds: tuple[str, ...],
    seed: int,
    ram: int | None,
    processors: int | None,
    tags: int | None,
    whole_objects: bool,
    force: bool,
) -> None:
    """Let a simulated machine run for some hours, and write the evidence of it to DIR.

    SCENARIO is what happens to it; see `lab list`. All files are of one run: what the counters show in the end is what
    the dump holds. truth.json says who did it.
    """
    chosen = windows_named(windows)
    if scenario not in SCENARIOS:
        raise InputError(f"the lab has no scenario called {scenario!r}: it has {', '.join(SCENARIOS)}")
    target = Path(folder)
    if target.exists() and not target.is_dir():
        raise click.UsageError(f"--out {folder} is no folder; give another name")
    for name in names_of(kinds):
        path = target / name
        if path.exists() and not path.is_file():
            raise click.UsageError(f"--out {folder}: {name} in it is no regular file")
        if path.exists() and not force:
            raise click.UsageError(
                f"--out {folder}: {name} exists already; give another folder, or --force to overwrite it"
            )
    size = machine_size(usual_size(chosen, scenario), ram, processors, tags)
    course = make_course(chosen, scenario, hours=hours, every=every, seed=seed, size=size)
    written: dict[str, Path] = {}
    try:
        target.mkdir(parents=True, exist_ok=True)
        try:
            _clear(target, kinds)
            with _progress() as progress:
                written = write_run(course, kinds, target, prefix=_PART, whole_objects=whole_objects, progress=progress)
            for name, path in written.items():
                path.replace(target / name)
        finally:
            _clear(target, kinds)
    except ValueError as error:
        raise InputError(f"no such run of a {chosen.name} can be written: {error}") from error
    except OSError as error:
        raise click.ClickException(f"{folder} could not be written: {error.strerror or error}") from error
    other = [name for name in FILES.values() if name not in written and (target / name).exists()]
    if other:
        click.echo(f"poolsleuth: {', '.join(other)} in {folder} stayed, and may be of another run", err=True)
    click.echo(
        f"wrote {folder}: {chosen.title}, {scenario}, {course.clock.hours:g} hours in {len(course):,} samples:"
        f" {', '.join(written)}"
    )


_PART = ".part-"  # stands before the name of a file that is not complete


def _clear(folder: Path, kinds: tuple[str, ...]) -> None:
    """Remove what is not complete, also that of a run that was killed."""
    for name in names_of(kinds):
        (folder / (_PART + name)).unlink(missing_ok=True)


@contextmanager
def _progress() -> Iterator[ProgressCall | None]:
    """A bar for each file on a terminal; None when standard error is none."""
    tasks = {}
    with bar_on_terminal() as bar:
        if bar is None:
            yield None
            return

        def update(name: str, done: int, total: int) -> None:
            if name not in tasks:
                tasks[name] = bar.add_task(clean(name), total=total)
            bar.update(tasks[name], completed=done)

        yield update
