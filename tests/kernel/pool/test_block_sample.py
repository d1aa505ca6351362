import numpy as np
import pytest

from poolsleuth.kernel.pool.block_sample import (
    MAX_BIG_NOTED,
    MAX_SAMPLED,
    Sampler,
    data_starts,
    numbers_of,
)
from poolsleuth.kernel.pool.blocks import BLOCK, Blocks, Kind, Pool, State

LEAK, OTHER = 0x6B61654C, 0x2079654B
NONPAGED = frozenset((int(Pool.NONPAGED), int(Pool.NONPAGED_NX)))
START = 0xFFFFFA8001000000


def blocks_of(addresses: np.ndarray, size: int, tag: int = LEAK, **more: int) -> Blocks:
    blocks = np.zeros(len(addresses), BLOCK)
    blocks["address"], blocks["size"], blocks["tag"] = addresses, size, tag
    for name, value in more.items():
        blocks[name] = value
    return blocks


def row(count: int, size: int, start: int = START) -> np.ndarray:
    return np.arange(count, dtype=np.uint64) * np.uint64(size) + np.uint64(start)


def test_the_sample_is_spread_over_the_whole_pool() -> None:
    sampler = Sampler([(LEAK, NONPAGED)])
    for part in np.array_split(row(50_000, 256), 97):
        sampler.add(blocks_of(part, 256))
    found = sampler.result()
    (blocks,) = found.tags.values()
    assert len(blocks) == MAX_SAMPLED
    assert list(found.seen.values()) == [50_000]
    assert list(found.bytes.values()) == [50_000 * 256]
    assert (np.diff(blocks["address"].astype(np.int64)) > 0).all()
    tenths = np.bincount((blocks["address"] - np.uint64(START)).astype(np.int64) * 10 // (50_000 * 256), minlength=10)
    assert (tenths > 60).all()  # 100 each are to be expected
    assert (tenths < 140).all()


def test_the_same_pool_gives_the_same_sample_however_its_parts_are_cut() -> None:
    samples = []
    for parts in (1, 13, 200):
        sampler = Sampler([(LEAK, NONPAGED)])
        for part in np.array_split(row(20_000, 64), parts):
            sampler.add(blocks_of(part, 64))
        samples.append(next(iter(sampler.result().tags.values()))["address"].tolist())
    assert samples[0] == samples[1] == samples[2]


def test_other_tags_pools_sessions_and_free_blocks_are_left_out() -> None:
    sampler = Sampler([(LEAK, NONPAGED)])
    sampler.add(blocks_of(row(10, 64), 64))
    sampler.add(blocks_of(row(10, 64, START + 0x1000), 64, OTHER))
    sampler.add(blocks_of(row(10, 64, START + 0x2000), 64, pool=Pool.PAGED))
    sampler.add(blocks_of(row(10, 64, START + 0x3000), 64, state=State.FREE))
    sampler.add(blocks_of(row(10, 64, START + 0x4000), 64, pool=Pool.SESSION))
    found = sampler.result()
    assert found.tags[LEAK, NONPAGED]["address"].tolist() == row(10, 64).tolist()
    assert found.all_pages == 4  # the session's is not there for the whole system
    assert found.whole


def test_the_pages_kept_are_bounded_and_their_blocks_go_with_them() -> None:
    sampler = Sampler([(LEAK, NONPAGED)], max_pages=100)
    for part in np.array_split(row(4000, 1024), 11):
        sampler.add(blocks_of(part, 1024))
    found = sampler.result()
    assert found.all_pages == 1000
    assert 25 <= len(found.pages) <= 100
    assert not found.whole
    assert set((found.around["address"] >> np.uint64(12)).tolist()) == set(found.pages.tolist())
    assert len(found.around) == 4 * len(found.pages)


def test_blocks_of_whole_pages_have_no_header() -> None:
    blocks = np.concatenate(
        [
            blocks_of(row(1, 64), 64, kind=Kind.VS),
            blocks_of(row(1, 64, START + 0x10000), 0x5000, kind=Kind.BIG_PAGE),
            blocks_of(row(1, 64, START + 0x20000), 0x1800, kind=Kind.VS),
        ]
    )
    assert (data_starts(blocks, 8) - blocks["address"]).tolist() == [16, 0, 0]
    assert (data_starts(blocks, 4) - blocks["address"]).tolist() == [8, 0, 0]
    sampler = Sampler([(LEAK, NONPAGED)])
    sampler.add(blocks)
    found = sampler.result()
    assert found.big["address"].tolist() == [START + 0x10000, START + 0x20000]
    assert found.around["address"].tolist() == [START]
    assert found.seen[LEAK, NONPAGED] == 3


@pytest.mark.parametrize("count", [0, 1])
def test_a_pool_without_blocks(count: int) -> None:
    sampler = Sampler([(LEAK, NONPAGED)])
    sampler.add(blocks_of(row(count, 64), 64, OTHER))
    found = sampler.result()
    assert len(found.tags[LEAK, NONPAGED]) == 0
    assert found.seen[LEAK, NONPAGED] == 0
    assert found.all_pages == count


def test_numbers_look_drawn_by_chance() -> None:
    numbers = numbers_of(row(10_000, 4096))
    assert len(np.unique(numbers)) == 10_000
    assert 4700 < (numbers < np.uint64(1 << 63)).sum() < 5300
    assert MAX_BIG_NOTED > MAX_SAMPLED
