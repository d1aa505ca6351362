"""How large recordings are, what recording costs, and how fast a year of one is queried.

    python benchmarks/recording.py [--days 365] [--folder /tmp] [--kills 0] [day ...|year]

A day is 1,440 samples, one a minute, of a machine that is generated: 120 processes, 11 figures of memory, and tags in
both pools. Each tag has its own chance to change within a minute, between never and always (a Pareto distribution,
scaled so that the mean share of tags that change is the one stated, higher by day than by night); when it changes, its
count takes a step of up to 20 and its allocations grow by up to 5,000. Every fourth process changes in a minute.

A year is one generated day whose numbers and times are shifted, a part a day. Each measurement runs in a child process
of its own, so that the peak of resident memory belongs to it alone. Processor time of the writer is that of ``add``
alone: with sealing, without the generator. A plain read takes the bytes of all parts in blocks of 1 MB.

``--kills 100`` kills a recorder that many times (tests/sampling/recording/test_kill.py) instead.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl

from poolsleuth.sampling.recording import part
from poolsleuth.sampling.recording.layout import part_name
from poolsleuth.sampling.recording.reader import Recording
from poolsleuth.sampling.recording.writer import RecordingWriter
from poolsleuth.sampling.sample import (
    MEMORY_FIGURES,
    Host,
    ProcessRow,
    Sample,
    TagFigures,
    TagIndex,
    packed_keys,
)

START = 1_767_225_600.0  # 2026-01-01
MINUTES = 1440
DAYS = {  # name: tags, share of them that changes within a minute
    "quiet": (3_000, 0.05),
    "usual": (3_000, 0.18),
    "busy": (3_000, 0.45),
    "20,000 tags": (20_000, 0.18),
}


def machine(tags: int, share: float, index: TagIndex, minutes: int = MINUTES) -> Iterator[Sample]:
    """The samples of one day."""
    chance = np.random.default_rng(6)
    names = chance.choice(
        np.frombuffer(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789", np.uint8), (tags, 4)
    )
    packed = names.astype(np.uint8).view("<u4")[:, 0].astype(np.uint32)
    half = tags // 2
    packed[half:] = packed[: tags - half]
    ids = np.concatenate((index.numbers(packed_keys(packed[:half], 0)), index.numbers(packed_keys(packed[half:], 1))))
    ids, first = np.unique(ids, return_index=True)
    count = chance.integers(0, 5_000, tags).astype(np.float64)[first]
    size = chance.integers(1, 60, tags)[first] * 16.0
    allocs = count * chance.integers(1, 2_000, len(ids))
    rates = chance.pareto(0.5, len(ids)) * 0.03
    for _ in range(50):  # those above 1 are always; the others make up for it
        rates *= share / np.minimum(rates, 1).mean()
    rates = np.minimum(rates, 1)
    handles = chance.integers(50, 4_000, 120)
    for minute in range(minutes):
        load = 1 + 0.4 * np.sin(2 * np.pi * (minute / MINUTES - 0.375))
        changed = chance.random(len(ids)) < rates * load
        count = np.where(changed, np.maximum(0, count + chance.integers(-20, 21, len(ids))), count)
        allocs = np.where(changed, allocs + chance.integers(1, 5_000, len(ids)), allocs)
        handles = handles + np.where(chance.random(120) < 0.25, chance.integers(-3, 4, 120), 0)
        yield Sample(
            START + 60 * minute + chance.integers(0, 15) / 1000,
            TagFigures(ids, count * size, count, allocs),
            dict(zip(MEMORY_FIGURES, (1e10 + chance.integers(0, 10**8, len(MEMORY_FIGURES))).tolist(), strict=True)),
            [ProcessRow(4 * n, f"process{n}.exe", h, 200 * h, 900 * h) for n, h in enumerate(handles.tolist())],
            complete=True,
            booted=START - 86_400,
        )


def _peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024) / 1e6


def day(folder: Path, name: str) -> dict[str, float]:
    """Record one day."""
    tags, share = DAYS[name]
    index = TagIndex()
    path = folder / "pool.parquet"
    costs, waits, rows, before = [], [], 0, None
    with RecordingWriter(path, Host("SRV01"), every=60) as writer:
        idle = _peak()
        for sample in machine(tags, share, index):
            if before is not None:
                rows += int((before != sample.tags.allocs).sum())
            before = sample.tags.allocs
            wall, cost = time.perf_counter(), time.process_time()
            writer.add(sample, index)
            costs.append(time.process_time() - cost)
            waits.append(time.perf_counter() - wall)
    return {
        "bytes": sum(file.stat().st_size for file in folder.iterdir()),
        "changed": rows / (MINUTES - 1) / tags,
        "cpu": sum(costs) / MINUTES,
        "usual": float(np.median(waits)),
        "longest": max(waits),
        "idle": idle,
        "peak": _peak(),
    }


def build(folder: Path, days: int) -> None:
    """A year of the usual day, a part a day; the last one is the part that is recorded into."""
    index = TagIndex()
    path = folder / "pool.parquet"
    with RecordingWriter(path, Host("SRV01"), every=60) as writer:
        for sample in machine(*DAYS["usual"], index):
            writer.add(sample, index)
    files = sorted(folder.iterdir())
    for file in files:
        file.rename(folder / f"first-{file.name}")
    pieces = [piece for file in files if (piece := part.of_file(folder / f"first-{file.name}"))]
    description = pieces[0].description
    table = pl.concat([piece for source in pieces for piece in source.slices()])
    table = table.sort("level", "kind", "name", "pool", "session", "process", "sample")
    for file in files:
        (folder / f"first-{file.name}").unlink()
    for number in range(days):
        shifted = table.with_columns(
            pl.col("sample") + pl.lit(MINUTES * number, pl.UInt32), pl.col("time") + pl.duration(days=number)
        )
        said = replace(description, next=MINUTES * (number + 1))
        name = path if number == days - 1 else part_name(path, START + 86_400.0 * number, number)
        part.write(name, lambda shifted=shifted: iter([shifted]), said)  # type: ignore[misc]


def plain_read(folder: Path) -> None:
    for file in sorted(folder.iterdir()):
        with file.open("rb", buffering=0) as source:
            while source.read(1 << 20):
                pass


def query(folder: Path, what: str) -> dict[str, float]:
    """One question to the year, from opening it."""
    wall, cost = time.perf_counter(), time.process_time()
    if what == "plain read":
        plain_read(folder)
    else:
        recording = Recording.open([folder / "pool.parquet"])
        if what == "one tag":
            recording.at(0)
            opened = recording.index.keys[100]
            course = recording.tag([opened])
            assert len(course.times) == len(recording)
            assert np.isfinite(course.courses[opened].bytes).all()
        elif what == "666 samples":
            assert sum(1 for _ in recording.samples(recording.evenly(666))) == 666
        elif what == "last day":
            places = recording.evenly(10**9, since=float(recording.times[-1]) - 86_399)
            assert sum(1 for _ in recording.samples(places)) >= MINUTES - 1
        elif what == "jump":
            for place in np.linspace(0, len(recording) - 1, 20).astype(int).tolist()[::-1]:
                recording.at(place)
    return {"wall": time.perf_counter() - wall, "cpu": time.process_time() - cost, "peak": _peak()}


QUERIES = {
    "plain read": "the bytes of all parts",
    "open": "open: all times",
    "one tag": "one tag at full resolution (with open)",
    "666 samples": "666 samples, evenly spread (with open)",
    "last day": "the last day in full (with open)",
    "jump": "20 jumps to places far apart (with open)",
}


def _child(*arguments: str) -> dict[str, float]:
    done = subprocess.run([sys.executable, __file__, *arguments], stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(done.stdout or "{}")  # type: ignore[no-any-return]


def _days(folder: Path, names: list[str]) -> None:
    print("| a day of one sample a minute | rows that change | MB a day | ms of processor a sample | usual wait, ms |")
    print("|---|---|---|---|---|")
    more = []
    for name in names:
        with tempfile.TemporaryDirectory(dir=folder) as inner:
            found = _child("--child", "day", inner, name)
        print(
            f"| {name} ({DAYS[name][0]:,} tags) | {found['changed']:.0%} | {found['bytes'] / 1e6:.1f} "
            f"| {1000 * found['cpu']:.1f} | {1000 * found['usual']:.1f} |"
        )
        more.append((name, found))
    print()
    print("| | longest wait (merging), s | memory before the first sample, MB | at its peak, MB |")
    print("|---|---|---|---|")
    for name, found in more:
        print(f"| {name} | {found['longest']:.2f} | {found['idle']:.0f} | {found['peak']:.0f} |")


def _year(folder: Path, days: int) -> None:
    with tempfile.TemporaryDirectory(dir=folder) as inner:
        began = time.perf_counter()
        _child("--child", "build", inner, str(days))
        size = sum(file.stat().st_size for file in Path(inner).iterdir())
        took = time.perf_counter() - began
        print(f"{days} parts, {size / 1e6:,.0f} MB, {days * MINUTES:,} samples, built in {took:.0f} s")
        print()
        print("| question | seconds | of plain reading | processor seconds | peak MB |")
        print("|---|---|---|---|---|")
        plain_read(Path(inner))  # into the cache
        base = 0.0
        for what, words in QUERIES.items():
            found = _child("--child", "query", inner, what)
            base = base or found["wall"]
            print(
                f"| {words} | {found['wall']:.2f} | {found['wall'] / base:.1f} x | {found['cpu']:.2f} "
                f"| {found['peak']:.0f} |"
            )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", nargs="*", help="days by name, year; everything by default")
    parser.add_argument("--days", type=int, default=365)
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()))
    parser.add_argument("--kills", type=int, default=0)
    parser.add_argument("--child", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        what, folder, name = options.child
        if what == "build":
            build(Path(folder), int(name))
        else:
            print(json.dumps({"day": day, "query": query}[what](Path(folder), name)))
        return
    if options.kills:
        test = Path(__file__).parents[1] / "tests/sampling/recording/test_kill.py"
        environment = os.environ | {"POOLSLEUTH_KILLS": str(options.kills)}
        sys.exit(
            subprocess.run([sys.executable, "-m", "pytest", "-q", str(test)], env=environment, check=False).returncode
        )
    wanted = options.what or [*DAYS, "year"]
    names = [name for name in DAYS if name in wanted]
    if names:
        _days(options.folder, names)
    if "year" in wanted:
        print()
        _year(options.folder, options.days)


if __name__ == "__main__":
    main()
