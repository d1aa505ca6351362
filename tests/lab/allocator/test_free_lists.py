"""Free lists: the smallest block that is large enough, the most recent one first."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from poolsleuth.lab.allocator.free_lists import FreeLists


def test_order() -> None:
    lists = FreeLists()
    lists.put(0x100, 4)
    lists.put(0x200, 4)
    lists.put(0x300, 4, last=True)
    lists.put(0x400, 9)
    lists.put(0x500, 1)  # no room for links
    assert lists.ordered() == ((4, (0x200, 0x100, 0x300)), (9, (0x400,)))
    assert lists.take(3) == (0x200, 4)
    lists.remove(0x100, 4)
    assert lists.take(4) == (0x300, 4)
    assert lists.take(4) == (0x400, 9)
    assert lists.take(1) is None
    with pytest.raises(KeyError):
        lists.remove(0x400, 9)


@given(st.lists(st.integers(1, 511), max_size=40), st.integers(1, 512))
def test_best_fit(sizes: list[int], wanted: int) -> None:
    lists = FreeLists()
    for address, units in enumerate(sizes):
        lists.put(address, units)
    fitting = [(units, -address) for address, units in enumerate(sizes) if units >= max(wanted, 2)]
    taken = lists.take(wanted)
    assert taken == ((-min(fitting)[1], min(fitting)[0]) if fitting else None)
