"""Evidence as samples that can be played again: recordings, poolmon logs, tag tables, dumps and logs of one machine."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from os import PathLike, fspath

import numpy as np

from poolsleuth.driver_code import CODE_READER
from poolsleuth.evidence.dump.options import AS_FOUND, DumpOptions
from poolsleuth.fusion.machines import assemble
from poolsleuth.fusion.reported import facts_of_report
from poolsleuth.model.errors import InputError
from poolsleuth.model.machine import Machine, System
from poolsleuth.model.series import TagHistory, moment
from poolsleuth.model.tags import TagDescription, TagDescriptions
from poolsleuth.pipeline import NOTHING_ASSUMED, Assumed
from poolsleuth.reading import EVERYTHING, Progress, Read, Selection, read_all
from poolsleuth.report.wording import short
from poolsleuth.sampling.sample import Series
from poolsleuth.top.owners import Owners
from poolsleuth.top.player import USUAL_SPEED, Player
from poolsleuth.top.replay_known import Known, known_of
from poolsleuth.top.replay_quick import QuickRead, quick_read
from poolsleuth.top.replay_recording import recorded_series
from poolsleuth.top.replay_series import EvidenceSeries
from poolsleuth.top.verdict import ENOUGH_SAMPLES, ENOUGH_SECONDS, Judge

MAX_LISTED = 20  # machines in the sentence that asks for one
MAX_NAME = 40  # characters of a machine's name in it
_NOTHING = (
    "nothing in these files can be played: give a recording, poolmon logs, dumps, debugger logs or counter logs with"
    " pool tags or pool figures in them"
)


@dataclass(frozen=True, slots=True, eq=False)
class Opened:
    """A series, and what is known of its machine beside it.

    ``title`` names it: the computer, else the files. ``problems`` are what could not be read, in whole sentences.
    ``descriptions`` are the lines of pooltag files among the inputs. ``known`` are the machine's other facts, such as
    the pools' maxima and its drivers, with the time from which on they are known. ``history`` and ``dated_by`` as in
    ``Judge``.
    """

    series: Series
    system: System
    title: str
    problems: tuple[str, ...] = ()
    descriptions: tuple[TagDescription, ...] = ()
    known: tuple[Known, ...] = ()
    history: bool = True
    dated_by: str = ""

    def judge(self) -> Judge:
        """What judges this series."""
        times = self.series.times
        known = times[np.isfinite(times)]
        patient = len(known) >= ENOUGH_SAMPLES and float(known[-1] - known[0]) >= ENOUGH_SECONDS
        end = float(known[-1]) if len(known) and len(known) == len(times) else None
        return Judge(
            self.system,
            self.descriptions,
            self.known,
            patient=patient,
            end=end,
            history=self.history,
            dated_by=self.dated_by,
        )

    def owners(self) -> Owners:
        """Who owns the tags of this series."""
        return Owners(self.system, self.descriptions, (one.fact for one in self.known))

    def player(self, speed: float = USUAL_SPEED) -> Player:
        """What plays this series."""
        return Player(len(self.series.times), self.series.times.tolist(), speed)


def open_series(
    files: Sequence[str | PathLike[str]],
    *,
    machine: int | None = None,
    assumed: Assumed = NOTHING_ASSUMED,
    dumps: DumpOptions = AS_FOUND,
    selection: Selection = EVERYTHING,
    progress: Progress | None = None,
) -> Opened:
    """The samples of one machine out of files.

    ``machine`` is its number (from 1) where the files speak of several. ``assumed`` is what the user knows of it,
    ``dumps`` says how crash dumps are read, ``selection`` bounds the time. Raises InputError when nothing can be
    played, or when several machines speak and none was chosen: then they are listed.
    """
    names = [fspath(name) for name in files]
    quick = quick_read(names, selection) if machine in (None, 1) else None
    if quick is not None:
        return _recording(quick, assumed, names)
    result = read_all(names, progress, selection, replace(dumps, code=dumps.code or CODE_READER))
    problems = tuple(problem.says for problem in result.problems)
    descriptions = tuple(
        d for facts in result.facts for f in facts if isinstance(f, TagDescriptions) for d in f.entries
    )
    playable = [(one, series) for one in _machines(result) if len(series := EvidenceSeries(one))]
    if not playable:
        raise InputError(f"{_NOTHING} ({problems[0]})" if problems else _NOTHING)
    chosen, read = _chosen(playable, machine)
    recorded = recorded_series(chosen, result, selection)
    if recorded is not None and len({h.where.input for h in chosen.all(TagHistory)}) > 1:
        problems = (*problems, "a recording is played by itself: the tag tables of the other files are left out")
    system = assumed.completed(chosen.system)
    return Opened(
        series=read if recorded is None else recorded,
        system=system,
        title=short(system.name, MAX_NAME) if system.name else _title(names),
        problems=problems,
        descriptions=descriptions,
        known=known_of(chosen, read.times, read.moments) if recorded is None else known_of(chosen, recorded.times),
        history=read.has_history,
        dated_by=read.dated_by,
    )


def _recording(read: QuickRead, assumed: Assumed, names: Sequence[str]) -> Opened:
    """A recording by itself."""
    system = assumed.completed(read.machine.system)
    histories = list(read.machine.all(TagHistory))
    return Opened(
        series=read.series,
        system=system,
        title=short(system.name, MAX_NAME) if system.name else _title(names),
        problems=read.problems,
        known=known_of(read.machine, read.series.times),
        history=bool(histories),
        dated_by=", ".join(sorted({h.dated_by for h in histories if h.dated_by})),
    )


def _machines(result: Read) -> tuple[Machine, ...]:
    """As ``pipeline.diagnose`` finds them: a report that is read back speaks of its machines again."""
    reported = {index: facts_of_report(report, index) for index, report in result.reports}
    lists = [part for index, facts in enumerate(result.facts) for part in reported.get(index, [list(facts)])]
    return assemble(lists, one_each=all(len(parts) <= 1 for parts in reported.values()))


def _chosen(playable: Sequence[tuple[Machine, EvidenceSeries]], number: int | None) -> tuple[Machine, EvidenceSeries]:
    if number is None and len(playable) == 1:
        return playable[0]
    if number is not None and 1 <= number <= len(playable):
        return playable[number - 1]
    listed = "; ".join(
        f"{place} {_described(machine, series)}" for place, (machine, series) in enumerate(playable[:MAX_LISTED], 1)
    )
    more = f"; and {len(playable) - MAX_LISTED:,} more" if len(playable) > MAX_LISTED else ""
    if number is None:
        says = f"these files speak of {len(playable):,} machines"
    elif len(playable) == 1:
        raise InputError(f"there is no machine {number}: these files speak of one ({listed})")
    else:
        says = f"there is no machine {number}: these files speak of {len(playable):,}"
    raise InputError(f"{says}; choose one with --machine NUMBER: {listed}{more}")


def _described(machine: Machine, series: EvidenceSeries) -> str:
    name = short(machine.system.name, MAX_NAME) if machine.system.name else "without a name"
    samples = "1 sample" if len(series) == 1 else f"{len(series):,} samples"
    first, last = moment(series.times[0]), moment(series.times[-1])
    if first is None or last is None:
        return f"{name} ({samples})"
    zone = "UTC" if series.utc else "local time"
    until = f" to {last:%Y-%m-%d %H:%M}" if last != first else ""
    return f"{name} ({first:%Y-%m-%d %H:%M}{until} {zone}, {samples})"


def _title(names: Iterable[str]) -> str:
    """The files, as their names without folders."""
    bare = [name.replace("\\", "/").rstrip("/").rsplit("/", 1)[-1] for name in names]
    return short(bare[0], MAX_NAME) + (f" and {len(bare) - 1} more" if len(bare) > 1 else "")
