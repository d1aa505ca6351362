"""How large recordings are, what recording costs, and how fast a year of one is queried.

    python benchmarks/recording.py [--days 365] [--folder /tmp] [--kills 0] [day ...|year]

A day is 1,440 samples, one a minute, of a machine that is generated: 120 processes, 11 figures of memory, and tags in
both pools. Each tag has its own chance to change within a minute, between never and always (a Pareto distribution,
scaled so that the mean share of tags that change is the one stated, higher by day than by night); when it changes, its
count takes a step of up to 20 and its allocations grow by up to 5,000. Every fourth process changes in a minute.

A year is one generated day whose numbers and times are shifted, a part a day. Each measurement runs in a child process
of its own, so that the peak of resident memory belongs to it alone. Processor time of the writer is that of ``add``
alone: with merging, without the generator. A plain read takes the bytes of all parts in blocks of 1 MB. The tables
are those of docs/recording.md; all of it takes some four minutes on an idle machine.

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
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import reduce
from pathlib import Path
from types import MappingProxyType

import numpy as np
import polars as pl

from poolsleuth.sampling.recording import part
from poolsleuth.sampling.recording.frugal import SETTINGS
from poolsleuth.sampling.recording.layout import part_name
from poolsleuth.sampling.recording.reader import Recording
from poolsleuth.sampling.recording.summary import joined
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
    pieces = [piece for file in files if (piece := part.of_file(folder / f"first-{file.name}")) and piece.rows]
    pieces.sort(key=lambda piece: int(piece.samples.numbers[0]))
    description = pieces[0].description
    samples = reduce(joined, (piece.samples for piece in pieces))
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
        later = replace(
            samples, numbers=samples.numbers + np.uint32(MINUTES * number), times=samples.times + 86_400 * number
        )
        part.write(name, iter([shifted]), said, later)


def plain_read(folder: Path) -> None:
    for file in sorted(folder.iterdir()):
        with file.open("rb", buffering=0) as source:
            while source.read(1 << 20):
                pass


def first_tag(folder: Path) -> str:
    recording = Recording.open([folder / "pool.parquet"])
    recording.at(len(recording) - 1)
    return recording.index.keys[0].tag


def query(folder: Path, what: str) -> dict[str, float]:
    """One question to the year, from opening it."""
    wall, cost = time.perf_counter(), time.process_time()
    if what == "plain read":
        plain_read(folder)
    elif what in {"diagnose", "trend"}:
        from click.testing import CliRunner  # noqa: PLC0415 - the memory of the other questions is without it

        from poolsleuth.cli.main import cli  # noqa: PLC0415

        more = ["--tag", first_tag(folder), "--csv", str(folder / "trend.csv"), "--force"] if what == "trend" else []
        done = CliRunner().invoke(cli, [what, str(folder / "pool.parquet"), *more])
        assert done.exit_code in {0, 1}, done.output
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
        elif what == "memory":
            assert np.isfinite(recording.memory(["available"], np.arange(len(recording)))["available"]).all()
        elif what == "jump":
            for place in np.linspace(0, len(recording) - 1, 20).astype(int).tolist()[::-1]:
                recording.at(place)
    return {"wall": time.perf_counter() - wall, "cpu": time.process_time() - cost, "peak": _peak()}


QUERIES = {
    "plain read": "reading the bytes of all parts, for comparison",
    "open": "the times of all samples",
    "one tag": "one tag at full resolution",
    "memory": "one figure of memory at full resolution",
    "666 samples": "666 samples, evenly spread, all tags",
    "last day": "the last day in full: 1,440 samples of all tags",
    "jump": "20 jumps to places all over the year",
    "diagnose": "`poolsleuth diagnose`",
    "trend": "`poolsleuth trend --tag TAG --csv FILE`: a row a minute",
}


def _child(*arguments: str, settings: Mapping[str, str] = MappingProxyType({})) -> dict[str, float]:
    command = [sys.executable, __file__, *arguments]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, env=os.environ | settings)
    return json.loads(done.stdout or "{}")  # type: ignore[no-any-return]


def _days(folder: Path, names: list[str]) -> None:
    print("| a day | rows of tags that change from one minute to the next | MB a day |")
    print("|---|---|---|")
    more = []
    for name in names:
        with tempfile.TemporaryDirectory(dir=folder) as inner:
            found = _child("--child", "day", inner, name, settings=SETTINGS)  # as `poolsleuth record` runs
        print(f"| {name} ({DAYS[name][0]:,} tags) | {found['changed']:.0%} | {found['bytes'] / 1e6:.1f} |", flush=True)
        more.append((name, found))
    print()
    print("| recording | processor time a sample, merging included | usual wait | longest wait | memory |")
    print("|---|---|---|---|---|")
    for name, found in more:
        print(
            f"| {name} | {1000 * found['cpu']:.1f} ms | {1000 * found['usual']:.1f} ms | {found['longest']:.2f} s "
            f"| {found['idle']:.0f} MB at the start, {found['peak']:.0f} MB at its peak |"
        )


def _year(folder: Path, days: int) -> None:
    with tempfile.TemporaryDirectory(dir=folder) as inner:
        began = time.perf_counter()
        _child("--child", "build", inner, str(days))
        parts = list(Path(inner).iterdir())
        rows = sum(found.rows for file in parts if (found := part.of_file(file)))
        took = time.perf_counter() - began
        print(
            f"{days} parts, {sum(file.stat().st_size for file in parts) / 1e9:.1f} GB, {days * MINUTES:,} samples, "
            f"{rows / 1e6:,.0f} million rows; built in {took:.0f} s"
        )
        print()
        print("| question | processor seconds | seconds | peak memory |")
        print("|---|---|---|---|")
        plain_read(Path(inner))  # into the cache
        for what, words in QUERIES.items():
            cost = _child("--child", "query", inner, what)
            print(f"| {words} | {cost['cpu']:.1f} | {cost['wall']:.1f} | {cost['peak']:.0f} MB |", flush=True)


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
    if options.folder is not None:
        options.folder.mkdir(parents=True, exist_ok=True)
    wanted = options.what or [*DAYS, "year"]
    names = [name for name in DAYS if name in wanted]
    if names:
        _days(options.folder, names)
    if "year" in wanted:
        print()
        _year(options.folder, options.days)


if __name__ == "__main__":
    main()
