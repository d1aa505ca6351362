"""Writers of the files that engineers record over time: Perfmon logs as text and poolmon logs, with known truth.

Everything is made from numbers here. No line comes from a real log; the layouts are those of the published tools.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

Numbers = NDArray[np.float64]
DAY, HOUR, MINUTE = 86400.0, 3600.0, 60.0
MB = float(1 << 20)
START = datetime(2025, 3, 2, 20, 0, tzinfo=UTC)  # a Sunday evening
HOST = "SRV01"
ZONE = ("Pacific Standard Time", 480)  # minutes that UTC is ahead; no summer time begins within the logs


@dataclass(frozen=True, slots=True)
class Clock:
    """Sample times: ``count`` of them, ``step`` seconds apart, from ``START`` on."""

    count: int
    step: float

    @property
    def seconds(self) -> Numbers:
        """Seconds since the first sample."""
        return np.arange(self.count, dtype=np.float64) * self.step

    @property
    def hours(self) -> Numbers:
        """Hours since the first sample."""
        return self.seconds / HOUR

    def office(self, source: np.random.Generator) -> Numbers:
        """How busy the office is, 0 to about 1: nobody at night and at weekends."""
        local = (START.hour * HOUR + self.seconds - ZONE[1] * MINUTE) / HOUR  # since Sunday 0:00 in the log's zone
        hour, day = local % 24, np.floor(local / 24)
        busy = 1 / (1 + np.exp(-(hour - 8) * 2)) - 1 / (1 + np.exp(-(hour - 17.5) * 2))
        height = source.normal(1, 0.06, int(day.max() - day.min()) + 1)[(day - day.min()).astype(np.int64)]
        return np.asarray(np.clip(busy, 0, 1) * height * np.isin(day % 7, (1, 2, 3, 4, 5)), dtype=np.float64)


def wandering(source: np.random.Generator, count: int, size: float, memory: float = 3.0) -> Numbers:
    """Noise around 0 that is forgotten within a few samples."""
    keep = float(np.exp(-1 / memory))
    out = np.empty(count)
    out[0] = source.normal(0, size)
    for at, shock in enumerate(source.normal(0, size * np.sqrt(1 - keep**2), count - 1), 1):
        out[at] = out[at - 1] * keep + shock
    return out


def pages(values: Numbers) -> Numbers:
    """Whole pages, not below one."""
    return np.maximum(np.round(values / 4096), 1) * 4096


# Counter logs ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class CounterWriter:
    """Writes Perfmon logs as text, in the local time of ``ZONE``."""

    folder: Path

    def __call__(
        self, clock: Clock, columns: Mapping[str, Numbers], *, name: str = "perf.csv", rows: slice = slice(None)
    ) -> Path:
        r"""A log with ``columns`` (``\Object(instance)\Counter`` to figures; NaN is a missing sample).

        A name that ends in ``.tsv`` gives the form with tabs. ``rows`` selects samples, for a log in several files.
        """
        tabs = name.endswith(".tsv")
        mark, comma = ("TSV", "\t") if tabs else ("CSV", ",")
        head = [f"(PDH-{mark} 4.0) ({ZONE[0]})({ZONE[1]})", *(f"\\\\{HOST}{path}" for path in columns)]
        lines = [comma.join(f'"{cell}"' for cell in head)]
        table = np.column_stack(list(columns.values()))
        for seconds, row in zip(clock.seconds[rows], table[rows], strict=True):
            when = START + timedelta(seconds=float(seconds)) - timedelta(minutes=ZONE[1])
            cells = [" " if np.isnan(value) else f"{value:.17g}" for value in row]
            lines.append(
                comma.join(f'"{cell}"' for cell in [f"{when:%m/%d/%Y %H:%M:%S}.{when.microsecond // 1000:03}", *cells])
            )
        path = self.folder / name
        path.write_text("\r\n".join(lines) + "\r\n", encoding="utf-8", newline="")
        return path


def server(source: np.random.Generator, clock: Clock) -> dict[str, Numbers]:
    """The counters of a healthy file server with 8 GB of RAM: they follow the office, nothing leaks.

    Rates have no first sample.
    """
    work, n = clock.office(source), clock.count
    rate = work * 40 * MB + source.exponential(MB, n)
    rate[0] = np.nan
    columns = {
        r"\Memory\Pool Nonpaged Bytes": pages(180 * MB * (1 + 0.02 * work) + wandering(source, n, 0.6 * MB)),
        r"\Memory\Pool Paged Bytes": pages(350 * MB * (1 + 0.03 * work) + wandering(source, n, MB)),
        r"\Memory\Available Bytes": pages(5e9 - 1e9 * work + wandering(source, n, 2e7)),
        r"\Memory\Committed Bytes": pages(3e9 + 1e9 * work + wandering(source, n, 2e7)),
        r"\Memory\Commit Limit": np.full(n, 17_050_894_336.0),
        r"\Server\Bytes Total/sec": rate,
        r"\System\System Up Time": clock.seconds + 3 * DAY,
        r"\System\Processes": np.round(70 + 20 * work + wandering(source, n, 1)),
    }
    for number, process in enumerate(("System", "lsass", "svchost", "svchost#1", "spoolsv", "explorer")):
        handles = 900 + 400 * number
        columns[rf"\Process({process})\Handle Count"] = np.round(
            handles * (1 + 0.1 * work) + wandering(source, n, handles * 0.01)
        )
        columns[rf"\Process({process})\Pool Nonpaged Bytes"] = np.round(
            handles * 100 + wandering(source, n, handles * 2)
        )
    return columns


# poolmon logs ---------------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class Tag:
    """A tag over time: ``blocks`` outstanding, each of ``size`` bytes; ``churn`` further allocations per hour."""

    tag: str
    pool: str
    size: int
    blocks: Numbers
    churn: float = 1000.0

    def allocs(self, hours: Numbers) -> Numbers:
        """Allocations so far, which never fall: what came and went, and what rose."""
        rises = np.concatenate((self.blocks[:1], np.clip(np.diff(self.blocks), 0, None)))
        return np.floor(self.churn * (100 + hours)) + np.cumsum(rises)


@dataclass(slots=True)
class PoolTags:
    """The tags of a machine over time, in the order of their names as poolmon lists them."""

    clock: Clock
    source: np.random.Generator
    rows: dict[tuple[str, str], Tag] = field(default_factory=dict)

    def add(self, tag: str, pool: str, size: int, blocks: Numbers, churn: float = 1000.0) -> None:
        """A tag, in place of one of the same name."""
        self.rows[tag, pool] = Tag(tag, pool, size, np.maximum(np.round(blocks), 0), churn)

    def ordinary(self, count: int) -> None:
        """Tags that do nothing remarkable: most stand still, some follow the work, some come and go."""
        letters = np.array(list("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"))
        work = self.clock.office(self.source)
        while len(self.rows) < count:
            name = "".join(self.source.choice(letters[:52], 1)) + "".join(self.source.choice(letters, 3))
            pool = "Nonp" if self.source.random() < 0.5 else "Paged"
            size = int(self.source.integers(2, 200)) * 16
            level = float(np.exp(self.source.uniform(0, 9)))
            sort = self.source.random()
            if sort < 0.4:
                blocks = np.full(self.clock.count, level)
            elif sort < 0.7:
                blocks = level * (1 + 0.5 * work) + wandering(self.source, self.clock.count, level * 0.02)
            else:
                blocks = level + wandering(self.source, self.clock.count, level * 0.1)
            self.add(name, pool, size, blocks, churn=float(np.exp(self.source.uniform(0, 9))))

    def pool(self, pool: str) -> Numbers:
        """The bytes of a pool: its tags, and a tenth for what lies in no block."""
        held = [tag.blocks * tag.size for tag in self.rows.values() if tag.pool == pool]
        return np.asarray(np.sum(held, axis=0) * 1.1, dtype=np.float64)


@dataclass(frozen=True, slots=True)
class PoolmonWriter:
    """Writes what a loop of ``Get-Date`` and ``poolmon -n`` leaves: one dated snapshot after another."""

    folder: Path

    def __call__(self, tags: PoolTags, *, name: str = "poolmon.txt", only: Sequence[int] | None = None) -> Path:
        """The log; ``only`` selects snapshots by number."""
        nonpaged, paged = tags.pool("Nonp"), tags.pool("Paged")
        chosen = range(tags.clock.count) if only is None else only
        rows = [
            (row, row.allocs(tags.clock.hours)) for row in sorted(tags.rows.values(), key=lambda r: (r.tag, r.pool))
        ]
        lines: list[str] = []
        for at in chosen:
            when = START + timedelta(seconds=float(tags.clock.seconds[at]))
            hour = when.hour % 12 or 12
            lines += [
                "",
                f"{when:%A, %B} {when.day}, {when.year} {hour}:{when:%M:%S %p}",
                "",
                *_head(int(nonpaged[at]) // 1024, int(paged[at]) // 1024),
            ]
            lines += [_row(row, int(row.blocks[at]), int(allocs[at])) for row, allocs in rows]
        path = self.folder / name
        path.write_text("\r\n".join(lines) + "\r\n", encoding="utf-8", newline="")
        return path


def _head(nonpaged: int, paged: int) -> list[str]:
    return [
        f" Memory:16776572K Avail:{9_000_000}K  PageFlts:901597864   InRam Krnl:76500K P:{paged * 9 // 10}K",
        f" Commit:{6_000_000}K Limit:33552056K Peak:9043634K            Pool N:{nonpaged}K P:{paged}K",
        " System pool information",
        " Tag  Type     Allocs            Frees            Diff   Bytes       Per Alloc",
        "",
    ]


def _row(row: Tag, blocks: int, allocs: int) -> str:
    columns = (f"{allocs:>20}", f"{allocs - blocks:>18}", f"{blocks:>17}", f"{blocks * row.size:>14}")
    return f" {row.tag:<4} {row.pool:<5} {' '.join(columns)} {row.size if blocks else 0:>16}     "


@dataclass(frozen=True, slots=True)
class Lab:
    """Everything that a test needs to write files of a machine; ``source`` decides the noise."""

    source: np.random.Generator
    write_counters: CounterWriter
    write_poolmon: PoolmonWriter

    def clock(self, count: int, step: float) -> Clock:
        """Sample times: how many, and the seconds between them."""
        return Clock(count, step)

    def noise(self, clock: Clock, size: float) -> Numbers:
        """Noise with a short memory."""
        return wandering(self.source, clock.count, size)

    def server(self, clock: Clock) -> dict[str, Numbers]:
        """The counters of a healthy server."""
        return server(self.source, clock)

    def tags(self, clock: Clock, count: int) -> PoolTags:
        """A healthy machine's tags."""
        made = PoolTags(clock, self.source)
        made.ordinary(count)
        return made


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    """Writes files of machines into a temporary folder; the same numbers in every run."""
    return Lab(np.random.default_rng(7), CounterWriter(tmp_path), PoolmonWriter(tmp_path))
