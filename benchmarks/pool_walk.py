"""How fast the blocks of a pool are walked, by allocator: GB/s, blocks/s, against plain numpy, and the memory it takes.

    python benchmarks/pool_walk.py [--megabytes 256] [--only vs] [--keep DIR]

Each row is a dump of a machine of the lab, whose pool holds blocks of one kind: a few MB are allocated and freed block
by block, and repeated at other addresses (encoded anew) until there is enough. The dump is in the system's cache when
the clock starts, which it does with an open kernel. Time is processor time, the least of several runs. "numpy" is
`np.add.reduce` over as many bytes of the same file, which reads every word of them once; a walk reads headers only.
"""

import argparse
import multiprocessing
import tempfile
import time
import tracemalloc
from dataclasses import replace
from multiprocessing.pool import Pool as Workers
from pathlib import Path
from random import Random

import numpy as np

from poolsleuth.evidence.dump.opening import open_kernel
from poolsleuth.evidence.dump.options import DumpOptions
from poolsleuth.kernel.crash_dump.content import open_content
from poolsleuth.kernel.pool.walk import walk_pool
from poolsleuth.lab.allocator.classic import ClassicPool
from poolsleuth.lab.allocator.figures import pages_of
from poolsleuth.lab.catalogue import windows_named
from poolsleuth.lab.machine import BigPages, Hidden, Machine, PoolPages
from poolsleuth.lab.segment_heap.contents import HeapContents
from poolsleuth.lab.segment_heap.heap import SegmentHeap
from poolsleuth.lab.segment_heap.place import HEAPS_FROM
from poolsleuth.lab.simulate import simulate
from poolsleuth.lab.stories import Size, make_machine
from poolsleuth.lab.usual_pool import BigGroup, big_pages

MB, GB, PAGE = 1 << 20, 1 << 30, 4096
SEED_BYTES = 8 * MB  # allocated block by block
RUNS = 3  # the best of which counts
ROWS = ("classic x86", "classic x64", "lfh", "vs", "segment heap", "large and big")
MOST_X86 = 96  # MB: more does not fit into the addresses of 32-bit Windows
TAGS = ("File", "Ntff", "MmSt", "Irp ", "Even", "Vad ", "CcSc", "AfdB")


def request(kind: str, random: Random) -> int:
    """The bytes of a request: small ones are many, as on real machines."""
    if kind == "lfh":
        return int(16 * 30 ** random.random())
    if kind == "vs":
        return int(0x1F8 * 6.5 ** random.random())
    return int(16 * 200 ** random.random())


def worked(heap: SegmentHeap | ClassicPool, kind: str, random: Random) -> None:
    """Allocate until the pool has ``SEED_BYTES``; of ten blocks four are freed."""
    living: list[int] = []
    while len(living) < 1000 or _bytes(heap) < SEED_BYTES:
        for _ in range(1000):
            living.append(heap.allocate(request(kind, random), random.choice(TAGS)))
        random.shuffle(living)
        for _ in range(400):
            heap.free(living.pop())


def _bytes(pool: SegmentHeap | ClassicPool) -> int:
    return (len(pool.rows) if isinstance(pool, ClassicPool) else pool.pages()) * PAGE


def repeated_heap(contents: HeapContents, size: int) -> HeapContents:
    """The same heap several times over, one behind the other, until it has about ``size`` bytes."""
    stride = len(contents.segments) * MB
    times = max(1, size // stride)
    shifts = [stride * number for number in range(times)]
    return replace(
        contents,
        segments=tuple(replace(part, at=part.at + by) for by in shifts for part in contents.segments),
        lfh=tuple(replace(part, at=part.at + by) for by in shifts for part in contents.lfh),
        vs=tuple(replace(part, at=part.at + by) for by in shifts for part in contents.vs),
    )


def repeated_pages(pages: PoolPages, size: int) -> PoolPages:
    """The same pages several times over."""
    count = len(pages.rows)
    times = max(1, size // (count * PAGE))
    shifts = (np.arange(times, dtype=np.uint64) * np.uint64(count * PAGE))[:, None]
    starts = pages.addresses[0] + np.arange(count, dtype=np.uint64) * np.uint64(PAGE)
    return replace(
        pages,
        addresses=(starts + shifts).reshape(-1),
        rows=np.tile(pages.rows, (times, 1)),
        blocks=pages.blocks[:0],
        free_lists=(),
        lookaside=(),
    )


def machine_for(row: str, size: int) -> Machine:
    """A machine whose nonpaged pool holds that many bytes in blocks of one kind."""
    random = Random(row)
    name = {"classic x86": "3790-x86-pae", "classic x64": "7601-x64"}.get(row, "19041-x64")
    windows = windows_named(name)
    ram = max(GB, -(-int(size * 1.3) // MB) * MB)
    usual = Size(ram_bytes=ram, processors=2, tags=200, big_allocations=100)
    machine = replace(make_machine(windows, size=usual, hidden=Hidden()), pool_pages=(), heaps=())
    if row.startswith("classic"):
        pool = ClassicPool("nonpaged", windows.pointer, windows.build)
        worked(pool, row, random)
        return replace(machine, pool_pages=(repeated_pages(pages_of(pool), size),))
    heap = SegmentHeap("nonpaged-nx", 1, random, base=HEAPS_FROM)
    if row == "large and big":
        for _ in range(400):
            heap.allocate(random.randrange(0x21000, 0x60000), random.choice(TAGS))
        group = BigGroup("Cont", paged=False, count=200_000, smallest=PAGE, largest=8 * PAGE)
        rows = big_pages(windows, [group], np.random.default_rng(1)).rows
        return replace(machine, big_pages=BigPages(np.concatenate([rows, heap.big_rows()])), heaps=(heap.contents(),))
    worked(heap, row, random)
    return replace(machine, heaps=(repeated_heap(heap.contents(), size),))


def build(row: str, size: int, path: Path) -> None:
    """Write the dump of a row."""
    simulate(machine_for(row, size)).write(path, "bitmap-full")


def measure(path: Path) -> tuple[float, int, int, int, float]:
    """Seconds of the best run, blocks, bytes of pool, peak of memory that the walk allocates, seconds of numpy."""
    with path.open("rb") as file, open_content(file) as content:
        kernel = open_kernel(content, DumpOptions()).kernel
        assert kernel is not None
        tracemalloc.start()
        for _part in walk_pool(kernel):
            pass
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        octets = np.memmap(path, np.uint64, "r")
        int(np.add.reduce(octets))
        best = float("inf")
        for _ in range(RUNS):
            blocks = pages = 0
            begin = time.process_time()
            for part in walk_pool(kernel):
                blocks += len(part.blocks)
                pages += part.pool_pages
            best = min(best, time.process_time() - begin)
        count = min(pages * PAGE // 8, len(octets))
        begin = time.process_time()
        np.add.reduce(octets[:count])
        plain = (time.process_time() - begin) * (pages * PAGE / 8 / max(count, 1))
        return best, blocks, pages * PAGE, peak, plain


def copying() -> float:
    """Bytes per second of copying memory, read and written."""
    source = np.ones(32 * MB, np.uint64)
    target = np.empty_like(source)
    best = float("inf")
    for _ in range(RUNS):
        begin = time.process_time()
        np.copyto(target, source)
        best = min(best, time.process_time() - begin)
    return 2 * source.nbytes / best


def main() -> None:
    """Build, measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--megabytes", type=int, default=256, help="pool of each row")
    parser.add_argument("--only", help="rows whose name contains this")
    parser.add_argument("--keep", type=Path, help="directory for the dumps, which are used again when they are there")
    options = parser.parse_args()
    print(f"memory: {copying() / GB:.1f} GB/s read and written by a copy")
    print(
        f"{'pool':<14} {'MB':>6} {'blocks':>11} {'s':>7} {'GB/s':>6} {'M blocks/s':>10} {'x numpy':>8} {'peak MB':>8}"
    )
    with tempfile.TemporaryDirectory() as scratch:
        for row in ROWS:
            if options.only and options.only not in row:
                continue
            size = (min(options.megabytes, MOST_X86) if row == "classic x86" else options.megabytes) * MB
            path = (options.keep or Path(scratch)) / f"{row.replace(' ', '-')}-{size // MB}.dmp"
            with fresh() as workers:
                if not path.exists():
                    workers.apply(build, (row, size, path))
            with fresh() as workers:
                best, blocks, pool, peak, plain = workers.apply(measure, (path,))
            print(
                f"{row:<14} {pool / MB:>6,.0f} {blocks:>11,} {best:>7.2f} {pool / GB / best:>6.2f}"
                f" {blocks / best / 1e6:>10.2f} {best / plain:>8.1f} {peak / MB:>8.0f}",
                flush=True,
            )
            if options.keep is None:
                path.unlink()


def fresh() -> Workers:
    """A process of its own, so that building does not count."""
    return multiprocessing.get_context("spawn").Pool(1)


if __name__ == "__main__":
    main()
