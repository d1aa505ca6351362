"""Without symbols a table must show by its tags how its rows are laid out."""

from collections.abc import Callable
from typing import Any

import pytest

from poolsleuth.kernel.pool.tracker_tables import read_tag_totals

Make = Callable[..., Any]
Number = Callable[[str], int]


@pytest.mark.parametrize("name", ["3790 x86", "14393 x64", "19041 x64", "22000 x64"])
def test_without_symbols_noise_is_no_table(machine: Make, name: str) -> None:
    here = machine(name, exact=False)
    at = here.room(257 * 0x50)
    here.memory.write(at, bytes((i * 7919 >> 3) & 0xFF for i in range(257 * 0x50)))
    here.variable("PoolTrackTable", at)
    here.variable("PoolTrackTableSize", 257)
    totals = read_tag_totals(here.kernel())
    assert list(totals.figures()) == []
    assert any("layout" in sentence for sentence in totals.says)


@pytest.mark.parametrize("name", ["3790 x64", "22000 x64"])
@pytest.mark.parametrize("tags", [["Tag%d", "%dTag"], ["T\x01g%d"]])
def test_without_symbols_tags_must_be_letters_where_the_hash_puts_them(
    machine: Make, tag_number: Number, name: str, tags: list[str]
) -> None:
    here = machine(name, exact=False)
    keys = [tag_number(tag % digit) for tag in tags for digit in range(10)]
    good = here.places(keys, 257)
    shifted = {key: (row + 100) % 257 for key, row in good.items()}
    for places, readable in ((good, len(tags) == 2), (shifted, False)):
        at = here.table({row: (key, (1, 0, 16, 0, 0, 0)) for key, row in places.items()}, 257)
        here.variable("PoolTrackTable", at)
        here.variable("PoolTrackTableSize", 257)
        if here.format.build >= 6000:
            here.variable("ExPoolTagTables", at)
            here.variable("PoolTrackTableExpansion", 0)
        totals = read_tag_totals(here.kernel())
        assert totals.complete is readable
        assert len(totals.keys) == (20 if readable else 0)
