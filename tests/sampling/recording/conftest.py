"""Samples to record, and a way to compare them that does not depend on the numbers of tags."""

import math
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest

from poolsleuth.model.series import TagKey
from poolsleuth.model.tags import PoolKind
from poolsleuth.sampling.recording.writer import RecordingWriter
from poolsleuth.sampling.sample import Floats, Host, ProcessRow, Sample, Series, TagFigures, TagIndex

START = 1_763_700_000.0
Figures = tuple[float, float, float]


@dataclass
class Made:
    """A series out of a list of samples."""

    samples: list[Sample]
    index: TagIndex
    host: Host = Host("SRV01", "Windows Server 2022", 20348, "x64", 1 << 35)
    notes: Sequence[str] = ()

    @property
    def times(self) -> Floats:
        return np.array([sample.time for sample in self.samples], np.float64)

    def at(self, place: int) -> Sample:
        return self.samples[place]


@dataclass
class Making:
    """Makes samples of tables by key."""

    index: TagIndex = field(default_factory=TagIndex)

    def sample(
        self,
        time: float,
        tags: Mapping[TagKey, Figures],
        memory: Mapping[str, float] | None = None,
        processes: Sequence[ProcessRow] = (),
        *,
        complete: bool = True,
        booted: float | None = None,
        label: str = "",
    ) -> Sample:
        ids = np.array([self.index.number(key) for key in tags], np.int64)
        columns = np.array(list(tags.values()), np.float64).reshape(-1, 3).T
        return Sample(time, TagFigures(ids, *columns.copy()), memory or {}, processes, complete, booted, label)

    def course(self, count: int, tags: int = 12, *, every: float = 60.0, start: float = START) -> list[Sample]:
        """A machine whose tags change now and then, one after the other appearing and vanishing."""
        keys = [
            TagKey(f"T{n:03d}", PoolKind.PAGED if n % 3 else PoolKind.NONPAGED, None if n % 5 else n)
            for n in range(tags)
        ]
        samples = []
        for n in range(count):
            table = {
                key: (1000.0 * at + n // (at + 1), float(at), 3.0 * n // (at + 1))
                for at, key in enumerate(keys)
                if (n + at) % 17
            }
            rows = tuple(ProcessRow(4 * p, f"p{p}.exe", 100 + (n + p) // 5, 2000 * p, None) for p in range(1, 5))
            samples.append(
                self.sample(start + every * n, table, {"available": 1e9 - n // 3, "page_faults": 7.0 * n}, rows)
            )
        return samples


def plain(sample: Sample, index: TagIndex) -> tuple[object, ...]:
    """What a sample says, with NaN as text so that it can be compared."""

    def known(value: float | None) -> object:
        return "NaN" if value is not None and math.isnan(value) else value

    tags = {
        index.keys[number]: (known(size), known(count), known(allocs))
        for number, size, count, allocs in zip(
            sample.tags.ids.tolist(),
            sample.tags.bytes.tolist(),
            sample.tags.outstanding.tolist(),
            sample.tags.allocs.tolist(),
            strict=True,
        )
    }
    memory = {name: value for name, value in sample.memory.items() if math.isfinite(value)}
    processes = {(row.pid, row.name, row.session, row.handles, row.nonpaged, row.paged) for row in sample.processes}
    return (
        known(sample.time),
        tags,
        memory,
        processes,
        sample.complete,
        sample.booted,
        sample.label,
        sample.sessions_complete,
    )


def write_series(path: Path, series: Series, *, every: float | None = None) -> int:
    """Write a series as a recording and say how many samples it has."""
    with RecordingWriter(path, series.host, every=every, durable=False) as writer:
        for place in range(len(series.times)):
            writer.add(series.at(place), series.index)
    return writer.samples


@pytest.fixture
def making() -> Making:
    return Making()


@pytest.fixture(scope="package", autouse=True)
def _quick_disk() -> Iterator[None]:
    """Waiting for the disk is most of the time of these tests, and no power fails in them but on paper."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda _: None)
        yield
