"""A recording as it is played again: every sample, where the diagnosis looks at an even choice of them."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np

from poolsleuth.evidence.recording_files import identity, needed
from poolsleuth.model.errors import InputError
from poolsleuth.model.machine import Machine
from poolsleuth.model.report import InputKind
from poolsleuth.model.series import TagKey
from poolsleuth.reading import Read, Selection
from poolsleuth.sampling.recording.reader import Recording, TagCourses
from poolsleuth.sampling.sample import Floats, Host, Ids, Sample, Series, TagIndex

MAX_PARTS = 2_000  # files that are tried: five years of one part a day


class RecordedPart:
    """The samples of a recording within a time: places count from the first of them."""

    def __init__(self, recording: Recording, places: Ids) -> None:
        self.recording = recording
        self._places = places
        self.times: Floats = recording.times[places]

    @property
    def index(self) -> TagIndex:
        """The numbers of its tags."""
        return self.recording.index

    @property
    def host(self) -> Host:
        """The machine."""
        return self.recording.host

    @property
    def notes(self) -> Sequence[str]:
        """What could not be read, in whole sentences."""
        return self.recording.notes

    def __len__(self) -> int:
        return len(self._places)

    def at(self, place: int) -> Sample:
        """The sample of a place from 0."""
        if not 0 <= place < len(self._places):
            raise IndexError(f"there are {len(self._places)} samples, from 0 on: none is {place}")
        return self.recording.at(int(self._places[place]))

    def samples(self, places: Iterable[int]) -> Iterator[Sample]:
        """The samples of ascending places."""
        return self.recording.samples(self._places[np.asarray(list(places), np.int64)])

    def evenly(self, most: int, since: float | None = None, until: float | None = None) -> Ids:
        """Places spread evenly over a time within this part, ``most`` of them at most."""
        chosen = self.recording.evenly(most, since, until)
        at = np.searchsorted(self._places, chosen)
        there = at < len(self._places)
        there[there] = self._places[at[there]] == chosen[there]
        return at[there]

    def tag(self, keys: Sequence[TagKey], since: float | None = None, until: float | None = None) -> TagCourses:
        """Some tags at every sample of a time within this part."""
        first, last = (float(self.times[0]), float(self.times[-1])) if len(self.times) else (None, None)
        since = first if since is None else max(since, first or since)
        until = last if until is None else min(until, last or until)
        return self.recording.tag(keys, since, until)


def _id(path: Path) -> str | None:
    """Whose part a file is; None when that cannot be told, which was said where it was read."""
    try:
        return identity(path)
    except InputError:
        return None


def recorded_series(machine: Machine, read: Read, selection: Selection) -> Series | None:
    """The recording that a machine's samples come from; None when they come from something else.

    A recording that is packed is played as the diagnosis reads it. Raises InputError when there is no sample in the
    time that was asked for.
    """
    recorded = [n for n, one in enumerate(read.inputs[: len(read.facts)]) if one.kind is InputKind.RECORDING]
    mine = [n for n in recorded if n in machine.inputs and Path(read.inputs[n].name).is_file()]
    if not mine:
        return None
    # The other parts of a recording have no facts of their own: what they hold stands with the first
    parts = [Path(read.inputs[n].name) for n in recorded if not read.facts[n]][:MAX_PARTS]
    paths = [Path(read.inputs[mine[0]].name)]
    ids = {path: _id(path) for path in (*paths, *parts)}
    paths += [part for part in parts if ids[part] is not None and ids[part] == ids[paths[0]]]
    try:
        recording = Recording.open(needed(paths))
    except InputError:
        return None  # packed, or gone by now
    if any("samples are left out" in problem.says for problem in read.problems):
        recording = recording.sound()  # what is damaged was left out by the diagnosis too
    return part_of(recording, selection, paths[0])


def part_of(recording: Recording, selection: Selection, path: Path) -> Series:
    """The samples of a recording in the time that was asked for.

    Raises InputError when there is none; ``path`` names the recording.
    """
    if not selection.bounded:
        return recording
    places = np.flatnonzero([selection.covers(float(time)) for time in recording.times])
    if not len(places):
        raise InputError(f"{path}: it holds no sample in the time that was asked for")
    return RecordedPart(recording, places)
