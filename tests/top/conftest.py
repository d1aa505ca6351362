"""Machines whose samples are written down row by row."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pytest

from poolsleuth.model.series import TagKey
from poolsleuth.model.tags import PoolKind
from poolsleuth.sampling.sample import Floats, Host, Sample, TagFigures, TagIndex
from poolsleuth.top.tracker import Tracker

N, P = PoolKind.NONPAGED, PoolKind.PAGED
Rows = Mapping[TagKey, tuple[float, float, float]]
"""Bytes, outstanding and allocations by tag."""


def sample_of(index: TagIndex, rows: Rows, time: float, complete: bool = True, **memory: float) -> Sample:
    ids = np.array([index.number(key) for key in rows], np.int64)
    figures = np.array(list(rows.values()), np.float64).reshape(-1, 3)
    tags = TagFigures(ids, figures[:, 0].copy(), figures[:, 1].copy(), figures[:, 2].copy())
    return Sample(time, tags, memory, complete=complete)


@dataclass
class Watched:
    """A machine that is sampled by hand: ``then`` feeds the next sample, a minute later unless said."""

    host: Host = field(default_factory=Host)
    index: TagIndex = field(default_factory=TagIndex)
    time: float = 1_700_000_000.0
    samples: list[Sample] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.tracker = Tracker(self.index, self.host)

    def then(self, rows: Rows, *, after: float = 60.0, complete: bool = True, **memory: float) -> Tracker:
        self.time += after
        sample = sample_of(self.index, rows, self.time, complete, **memory)
        self.samples.append(sample)
        self.tracker.feed(sample)
        return self.tracker

    def number(self, tag: str, pool: PoolKind = N, session: int | None = None) -> int:
        return self.tracker.index.keys.index(TagKey(tag, pool, session))


class ListSeries:
    """Samples in a list."""

    def __init__(self, index: TagIndex, samples: Sequence[Sample], host: Host | None = None) -> None:
        self.index = index
        self.host = host or Host()
        self.notes: tuple[str, ...] = ()
        self._samples = samples
        self.asked: list[int] = []

    @property
    def times(self) -> Floats:
        return np.array([sample.time for sample in self._samples])

    def at(self, place: int) -> Sample:
        self.asked.append(place)
        return self._samples[place]


@pytest.fixture
def watched() -> Watched:
    """A machine without a sample yet."""
    return Watched()


@pytest.fixture
def watched_on() -> Callable[[Host], Watched]:
    """A machine of a known host."""
    return Watched


@pytest.fixture
def series_of() -> Callable[[Watched], ListSeries]:
    """What was fed to a machine, as a series."""
    return lambda machine: ListSeries(machine.index, machine.samples, machine.host)


@pytest.fixture
def leaking(watched: Watched) -> Watched:
    """Two hours, a sample a minute: Leak grows by 1 MB a minute, Idle holds what it holds, Wave goes up and down."""
    for minute in range(121):
        up = minute % 10
        watched.then(
            {
                TagKey("Leak", N): (minute * 2.0**20, minute * 1024.0, minute * 1024.0 + 5),
                TagKey("Idle", P): (4096.0, 4.0, 900.0),
                TagKey("Wave", P): (up * 1000.0, up, minute * 7.0 + up),
            },
            nonpaged_used=512 * 2.0**20,
        )
    return watched
