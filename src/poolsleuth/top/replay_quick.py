"""A recording by itself is opened without reading it whole: what is known beside its samples comes from a few."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from poolsleuth.evidence.recording import Window, facts_of
from poolsleuth.fusion.machines import assemble
from poolsleuth.model.errors import InputError
from poolsleuth.model.machine import Machine
from poolsleuth.model.series import TagKey
from poolsleuth.reading import Selection
from poolsleuth.sampling.recording.layout import JOURNAL_SUFFIX, is_recording, older_parts
from poolsleuth.sampling.recording.reader import Recording, TagCourses
from poolsleuth.sampling.sample import Floats, Host, Ids, Sample, Series, TagIndex
from poolsleuth.top.replay_recording import MAX_PARTS, part_of

MOST_LOOKED_AT = 240  # samples that are looked at for processes before it is shown: enough for the course of each
_FIRST_BYTES = 32


@dataclass(frozen=True, slots=True, eq=False)
class QuickRead:
    """The machine of a recording, its samples, and sentences about what could not be read."""

    machine: Machine
    series: Series
    problems: tuple[str, ...]


def quick_read(names: Sequence[str], selection: Selection) -> QuickRead | None:
    """The recording that some files are, with its facts from a few samples.

    None where they are anything else or more than one recording, are packed or damaged, or have no sample in the time
    that was asked for: whoever reads them whole says what there is to say.
    """
    paths = [Path(name) for name in names]
    if not paths or len(paths) > MAX_PARTS or not all(_may_be_recording(path) for path in paths):
        return None
    try:
        recording = Recording.open(_needed(paths))
        series = part_of(recording, selection, paths[0])
        facts, notes = facts_of(_Few(recording), 0, Window(selection.since, selection.until))
    except (InputError, OSError):
        return None
    machines = assemble([facts])
    if len(machines) != 1:
        return None
    # The recording's own notes stand with the series
    told = [note for note in notes if note not in recording.notes]
    return QuickRead(machines[0], series, tuple(f"{names[0]}: {note}" for note in told))


def _may_be_recording(path: Path) -> bool:
    try:
        if not path.is_file():
            return False
        with path.open("rb") as file:
            return is_recording(file.read(_FIRST_BYTES))
    except (OSError, ValueError):  # it cannot be read, or is no name that a file can have
        return False


def _needed(paths: Sequence[Path]) -> list[Path]:
    """The files that have to be named: the reader finds older parts beside the one that is recorded into."""
    mains = [path.with_name(path.name.removesuffix(JOURNAL_SUFFIX)) for path in paths]
    named = [main if main.is_file() else path for main, path in zip(mains, paths, strict=True)]
    older = {part.resolve() for path in named for part in older_parts(path)}
    return [path for path in dict.fromkeys(named) if path.resolve() not in older]


class _Few:
    """A recording of which only a few samples are given, spread evenly over the time that is asked for."""

    def __init__(self, recording: Recording) -> None:
        self._all = recording

    @property
    def index(self) -> TagIndex:
        return self._all.index

    @property
    def host(self) -> Host:
        return self._all.host

    @property
    def times(self) -> Floats:
        return self._all.times

    @property
    def notes(self) -> Sequence[str]:
        return self._all.notes

    @property
    def every(self) -> float | None:
        return self._all.every

    def at(self, place: int) -> Sample:
        return self._all.at(place)

    def samples(self, places: Ids) -> Iterator[Sample]:
        return self._all.samples(places)

    def evenly(self, most: int, since: float | None = None, until: float | None = None) -> Ids:
        return self._all.evenly(min(most, MOST_LOOKED_AT), since, until)

    def memory(self, names: Sequence[str], places: Ids) -> Mapping[str, Floats]:
        return self._all.memory(names, places)

    def tag(self, keys: Sequence[TagKey], since: float | None = None, until: float | None = None) -> TagCourses:
        return self._all.tag(keys, since, until)
