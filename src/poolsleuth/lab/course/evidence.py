"""The evidence of one run, all kinds of it from the same course: consistent with one another."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

from poolsleuth.lab.containers.kinds import DumpKind
from poolsleuth.lab.course.course import Course, Thinned
from poolsleuth.lab.course.crash import Crash, crash
from poolsleuth.lab.course.moment import Moment
from poolsleuth.lab.course.truth import run_text
from poolsleuth.lab.course.writers.blg import Form, write_blg
from poolsleuth.lab.course.writers.counter_csv import write_counter_csv
from poolsleuth.lab.course.writers.debugger_log import write_debugger_log
from poolsleuth.lab.course.writers.poolmon import write_poolmon

TRUTH = "truth.json"
FILES = {
    "dump": "MEMORY.DMP",
    "log": "windbg.log",
    "poolmon": "poolmon.txt",
    "csv": "counters.csv",
    "blg": "counters.blg",
}
"""Kind of evidence to the file's name."""
MOST_SNAPSHOTS = 145
"""Snapshots of poolmon: one in ten minutes of a day. Each has every tag of the machine, so more would be large."""

Progress = Callable[[str, int, int], None]
"""What is being written, samples so far, and of how many."""


def names_of(kinds: Iterable[str]) -> list[str]:
    """The names of the files that a run writes, the truth last."""
    chosen = set(kinds)
    return [*(name for kind, name in FILES.items() if kind in chosen), TRUTH]


def write_run(
    course: Course,
    kinds: Sequence[str],
    folder: Path,
    *,
    prefix: str = "",
    whole_objects: bool = False,
    progress: Progress | None = None,
) -> dict[str, Path]:
    """Write these kinds of evidence and the truth; gives the file of each name. ``prefix`` stands before each name.

    ``whole_objects``: the binary log holds all counters of an object in a block, not those that were asked for.

    Raises FileExistsError, OSError; InputError and ValueError for a machine of which no dump can be written.
    """
    paths = {name: folder / (prefix + name) for name in names_of(kinds)}

    def told(kind: str, moments: Iterable[Moment], count: int) -> Iterator[Moment]:
        for number, moment in enumerate(moments):
            if progress is not None:
                progress(FILES[kind], number, count)
            yield moment

    if "csv" in kinds:
        write_counter_csv(paths[FILES["csv"]], told("csv", course, len(course)))
    if "blg" in kinds:
        form: Form = "objects" if whole_objects else "counters"
        write_blg(paths[FILES["blg"]], told("blg", course, len(course)), form=form)
    if "poolmon" in kinds:
        snapshots = Thinned(course, MOST_SNAPSHOTS)
        write_poolmon(
            paths[FILES["poolmon"]], told("poolmon", snapshots, len(snapshots)), sessions=course.scenario.sessions
        )
    last = course.last()
    crashed: Crash | None = None
    if "dump" in kinds or "log" in kinds:
        crashed = crash(last.machine)
        last = crashed.moment(last)
    if crashed is not None and "dump" in kinds:
        crashed.simulated.write(paths[FILES["dump"]], DumpKind.BITMAP_KERNEL)
    if "log" in kinds:
        write_debugger_log(paths[FILES["log"]], last.machine)
    paths[TRUTH].write_text(
        run_text(course, last.machine, crashed.damage if crashed is not None else None, names_of(kinds)[:-1]), "ascii"
    )
    return paths
