"""The map of dumps of the simulated machine: what its allocator made, page by page."""

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from poolsleuth.evidence.dump.opening import open_kernel
from poolsleuth.evidence.dump.options import DumpOptions
from poolsleuth.evidence.dump.pool_picture import read_dump_picture
from poolsleuth.kernel.crash_dump.content import open_content
from poolsleuth.kernel.pool.block_stats import BlockStats
from poolsleuth.kernel.pool.blocks import Pool
from poolsleuth.kernel.pool.walk import walk_pool
from poolsleuth.lab.catalogue import windows_named
from poolsleuth.lab.machine import FREE, IN_USE, PAGE, Hidden
from poolsleuth.lab.simulate import SimulatedMachine, simulate
from poolsleuth.lab.stories import make_machine, small_size
from poolsleuth.model.errors import InputError
from poolsleuth.model.pool_picture import PageKind, PicturedPool, PoolPicture
from poolsleuth.model.tags import PoolKind

Lab = Callable[..., tuple[SimulatedMachine, Path]]


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Lab:
    made: dict[tuple[str, str, float], tuple[SimulatedMachine, Path]] = {}

    def dump(windows: str, story: str, left_out: float = 0.0) -> tuple[SimulatedMachine, Path]:
        key = (windows, story, left_out)
        if key not in made:
            hidden = Hidden(transition=0.2, left_out=left_out)
            machine = simulate(make_machine(windows_named(windows), story, seed=3, size=small_size(), hidden=hidden))
            path = tmp_path_factory.mktemp("lab") / "MEMORY.DMP"
            machine.write(path, "bitmap-full")
            made[key] = machine, path
        return made[key]

    return dump


def picture(path: Path, **options: object) -> PoolPicture:
    keep, tag = bool(options.get("keep_blocks")), options.get("tag")
    with path.open("rb") as file:
        return read_dump_picture(
            file, "MEMORY.DMP", DumpOptions(), tag=tag if isinstance(tag, int) else None, keep_blocks=keep
        )


def pool_of(found: PoolPicture, kind: PoolKind) -> PicturedPool:
    (pool,) = [pool for pool in found.pools if pool.pool is kind and pool.session is None]
    return pool


def addresses(pool: PicturedPool) -> dict[int, int]:
    """The address of each page, and its place in the columns."""
    return {area.address + n * PAGE: area.first + n for area in pool.areas for n in range(area.pages)}


@pytest.mark.parametrize("windows", ["3790-x86-pae", "7601-x64"])
def test_pages_of_blocks_are_those_of_the_allocator(windows: str, lab: Lab) -> None:
    machine, path = lab(windows, "fragmentation")
    found = picture(path)
    for kind in (PoolKind.NONPAGED, PoolKind.PAGED):
        live: Counter[int] = Counter()
        for pages in machine.truth.pool_pages:
            if pages.pool != kind.value:
                continue
            for address, size, _tag, state, _protected, _process in pages.blocks.tolist():
                live[address // PAGE * PAGE] += 0 if state == FREE else size
        pool = pool_of(found, kind)
        places = addresses(pool)
        lives = np.frombuffer(pool.live, "<u2")
        assert len(live) > 100
        absent = set(machine.truth.absent_pages)
        wanted = {page: count for page, count in live.items() if page not in absent}
        assert {page: int(lives[places[page]]) for page in wanted} == wanted
        assert {pool.kinds[places[page]] for page in wanted} == {PageKind.BLOCKS}
        assert pool.kinds.count(bytes([PageKind.BLOCKS])) == len(wanted)


def test_the_figures_are_those_of_the_verdict(lab: Lab) -> None:
    _machine, path = lab("3790-x86-pae", "fragmentation")
    stats = BlockStats()
    with path.open("rb") as file, open_content(file) as content:
        kernel = open_kernel(content, DumpOptions()).kernel
        assert kernel is not None
        for part in walk_pool(kernel):
            if len(part.blocks):
                stats.add(part.blocks, part.broken)
    diagnosed = stats.pools[Pool.NONPAGED]
    f = pool_of(picture(path), PoolKind.NONPAGED).figures
    assert f.whole is not None
    assert f.in_use - f.whole == diagnosed.pages
    assert (f.pinned, f.pinned_bytes) == (diagnosed.pinned_pages, diagnosed.pinned_bytes)
    assert dict(f.pinned_by)["ReEv"] == max(diagnosed.pinned_by.values())
    assert f.pinned is not None
    assert f.pinned > 300


def test_big_allocations_are_runs_of_pages(lab: Lab) -> None:
    machine, path = lab("3790-x86-pae", "healthy")
    found = picture(path, keep_blocks=True)
    rows = machine.truth.big_pages.rows
    used = {int(row["address"]): int(row["bytes"]) for row in rows[rows["state"] == IN_USE]}
    told: dict[int, int] = {}
    for pool in found.pools:
        assert pool.allocations is not None
        at = {place: address for address, place in addresses(pool).items()}
        for place, size in zip(
            np.frombuffer(pool.allocations.pages, "<u4"), np.frombuffer(pool.allocations.sizes, "<u8"), strict=True
        ):
            told[at[int(place)]] = int(size)
    assert len(used) > 20
    assert told == used


def test_pages_that_the_dump_lacks_are_missing_not_free(lab: Lab) -> None:
    machine, path = lab("3790-x86-pae", "healthy", 0.4)
    pool = pool_of(picture(path), PoolKind.PAGED)
    places = addresses(pool)
    absent = [page for page in machine.truth.absent_pages if page in places]
    assert len(absent) > 5
    kinds = Counter(pool.kinds[places[page]] for page in absent)
    assert kinds[PageKind.FREE] == 0
    assert kinds[PageKind.MISSING] > 0
    assert pool.figures.missing == pool.kinds.count(bytes([PageKind.MISSING]))


def test_a_segment_heap_has_a_map(lab: Lab) -> None:
    _machine, path = lab("19041-x64", "healthy")
    found = picture(path, keep_blocks=True)
    nonpaged = pool_of(found, PoolKind.NONPAGED)
    assert nonpaged.figures.in_use > 20
    assert found.bits == 64
    assert found.machine.startswith("Windows 10 2004, build 19041")


def test_pages_of_a_tag_are_marked(lab: Lab) -> None:
    _machine, path = lab("3790-x86-pae", "fragmentation")
    key = int.from_bytes(b"ReEv", "little")
    pool = pool_of(picture(path, tag=key), PoolKind.NONPAGED)
    marked = sum(1 for mark in pool.marks if mark & 16)
    assert marked >= dict(pool.figures.pinned_by)["ReEv"] > 200


def test_pages_that_the_kernel_counts_and_nobody_finds_are_said(lab: Lab) -> None:
    """The lab has only a part of what its tags count in memory."""
    machine, path = lab("3790-x86-pae", "fragmentation")
    found = picture(path)
    pool = pool_of(found, PoolKind.NONPAGED)
    counted = machine.truth.memory.nonpaged_used
    assert counted is not None
    assert counted > pool.figures.in_use + 256
    told = f"the kernel counts {counted:,} pages of nonpaged pool in use, and {pool.figures.in_use:,} are on the map"
    assert told in "\n".join(found.says)


def test_what_is_no_dump_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_bytes(b"PAGEDU64" + bytes(100))
    with pytest.raises(InputError):
        picture(path)
