from collections.abc import Callable
from dataclasses import dataclass
from threading import Event
from time import monotonic, sleep

import pytest

from poolsleuth.model.errors import InputError
from poolsleuth.model.series import TagKey
from poolsleuth.model.tags import PoolKind
from poolsleuth.top.big_pool import BigPools, BigSums, big_says

LEAK = TagKey("Leak", PoolKind.NONPAGED)


@dataclass
class Sums:
    blocks: dict[TagKey, tuple[int, int]]
    note: str | None = None
    hidden: bool = False

    def of(self, key: TagKey) -> tuple[int, int] | None:
        return self.blocks.get(key)


def answered(ask: Callable[[], BigSums]) -> BigPools:
    big = BigPools(ask)
    big.ask()
    until = monotonic() + 10
    while big.under_way and monotonic() < until:
        sleep(0.005)
    assert big.asked == 1
    return big


def said(big: BigPools, key: TagKey = LEAK) -> str:
    says = big_says(big, key)
    assert says is not None
    return says.text


def test_blocks_and_bytes_of_a_tag() -> None:
    big = answered(lambda: Sums({LEAK: (3, 12_288)}))
    assert said(big).startswith("of these, 3 blocks and 12.0 KB (12,288 bytes) in big allocations (a page and more)")
    assert said(big, TagKey("File", PoolKind.PAGED)).startswith("none of these are big allocations")
    assert big_says(big, TagKey("Leak", PoolKind.PAGED, 2)) is None


def test_where_the_pool_is_hidden_it_says_so() -> None:
    assert "of both pools" in said(answered(lambda: Sums({LEAK: (1, 4096)}, "run it elevated", hidden=True)))
    assert "; it ends early" in said(answered(lambda: Sums({LEAK: (1, 4096)}, "it ends early")))


@pytest.mark.parametrize("error", [InputError("access is denied"), RuntimeError("access is denied")])
def test_an_error_is_one_line(error: Exception) -> None:
    def fail() -> Sums:
        raise error

    text = said(answered(fail))
    assert "access is denied" in text
    assert "\n" not in text


def test_it_never_waits_and_asks_once_at_a_time() -> None:
    go, calls = Event(), []

    def slow() -> Sums:
        calls.append(1)
        go.wait(10)
        return Sums({})

    big = BigPools(slow)
    big.ask()
    big.ask()
    assert said(big) == "asking Windows for the big allocations ..."
    go.set()
    until = monotonic() + 10
    while big.under_way and monotonic() < until:
        sleep(0.005)
    assert len(calls) == big.asked == 1
