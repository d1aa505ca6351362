"""The tag table of a session lies in memory that only its processes see."""

from collections.abc import Callable
from typing import Any

import pytest

from poolsleuth.kernel.address_space import Reader
from poolsleuth.kernel.pool.session_tags import read_session_tags
from poolsleuth.kernel.sessions import Session
from poolsleuth.windows.kernel_table import Field, Structure

Make = Callable[..., Any]
Number = Callable[[str], int]
SPACE = 0xFFFFF90000000000
TAGS = {"Gla5": (0, 0, 0, 500, 100, 40_000), "Usqu": (0, 0, 0, 9, 8, 64), "Gh05": (3, 1, 128, 4000, 3000, 4_194_304)}
EXPECTED = [("Gh05", 2, 128), ("Gh05", 1000, 4_194_304), ("Gla5", 400, 40_000), ("Usqu", 1, 64)]


def with_session(here: Any, fake_memory: Callable[[int], Any], tag_number: Number, rows: int, at: int) -> Session:
    """A session whose table lies at ``at``, in memory of its own."""
    system, here.memory = here.memory, fake_memory(8)
    places = here.places([tag_number(tag) for tag in TAGS], rows)
    entries = {places[tag_number(tag)]: (tag_number(tag), counters) for tag, counters in TAGS.items()}
    here.table(entries, rows, at=at)
    own, here.memory = here.memory, system
    return Session(id=3, address=SPACE, processes=1, directory_table_base=0x1000, memory=Reader(own))


def figures(totals: Any) -> list[tuple[str, int | None, int | None]]:
    return [(row.tag, row.outstanding, row.bytes) for row in totals.figures()]


@pytest.mark.parametrize("exact", [True, False])
def test_behind_a_variable(machine: Make, fake_memory: Callable[[int], Any], tag_number: Number, exact: bool) -> None:
    here = machine("7601 x64", exact=exact)
    session = with_session(here, fake_memory, tag_number, 257, SPACE + 0x4000)
    if not exact:
        # Four tags at least show a layout
        place = here.places([tag_number(tag) for tag in (*TAGS, "Extr")], 257)[tag_number("Extr")]
        assert session.memory is not None
        session.memory.space.put(SPACE + 0x4000 + place * 0x28, tag_number("Extr"), width=4)  # type: ignore[attr-defined]
    here.variable("ExpSessionPoolTrackTable", SPACE + 0x4000)
    here.variable("ExpSessionPoolTrackTableSize", 257)
    totals = read_session_tags(here.kernel(), session)
    assert figures(totals) == EXPECTED
    assert totals.complete is exact  # without symbols an expansion may be overlooked
    assert totals.session == 3


def test_inside_the_session_space(machine: Make, fake_memory: Callable[[int], Any], tag_number: Number) -> None:
    """Windows 10 2004: PoolTags has 16,384 bytes, room for 292 rows of 0x38 bytes."""
    here = machine("19041 x64")
    here.structures["_MM_SESSION_SPACE"] = Structure(0x5000, {"PoolTags": Field(0x1000, 0x4000, count=0x4000)})
    session = with_session(here, fake_memory, tag_number, 257, SPACE + 0x1000)
    totals = read_session_tags(here.kernel(), session)
    assert figures(totals) == EXPECTED
    assert totals.rows == 292
    here.variable("ExpSessionPoolTrackTable", SPACE + 0x1000)
    here.variable("ExpSessionPoolTrackTableSize", 257)
    totals = read_session_tags(here.kernel(), session)
    assert figures(totals) == EXPECTED
    assert (totals.rows, totals.complete) == (257, True)
    # More rows than there is room for
    here.variable("ExpSessionPoolTrackTableSize", 4097)
    totals = read_session_tags(here.kernel(), session)
    assert figures(totals) == EXPECTED
    assert (totals.rows, totals.complete) == (292, False)
    assert "there is room for 292" in totals.says[0]


def test_windows_11_keeps_its_address_in_the_session_space(
    machine: Make, fake_memory: Callable[[int], Any], tag_number: Number
) -> None:
    here = machine("22000 x64")
    places = {
        "PoolTags": Field(0x380, 8),
        "PoolTrackTableExpansion": Field(0x328, 8),
        "PoolTrackTableExpansionSize": Field(0x330, 8),
    }
    here.structures["_MM_SESSION_SPACE"] = Structure(0x3C0, places)
    session = with_session(here, fake_memory, tag_number, 257, SPACE + 0x7000)
    assert session.memory is not None
    own: Any = session.memory.space
    own.put(SPACE + 0x380, SPACE + 0x7000)
    here.variable("ExpSessionPoolTrackTableSize", 257)
    assert figures(read_session_tags(here.kernel(), session)) == EXPECTED
    # An expansion of one row
    own.put(SPACE + 0x328, SPACE + 0x20000, 1)
    own.put(SPACE + 0x20000, tag_number("Rare"), width=4)
    own.put(SPACE + 0x20000 + 0x20, 77, 5, 1)
    totals = read_session_tags(here.kernel(), session)
    assert figures(totals) == [*EXPECTED[:3], ("Rare", 4, 77), EXPECTED[3]]
    assert totals.complete
    # Its size is not known
    del here.symbols["ExpSessionPoolTrackTableSize"]
    totals = read_session_tags(here.kernel(), session)
    assert figures(totals) == []
    assert totals.says == ("how many rows the session's tag table has is not known",)


@pytest.mark.parametrize("rows", [0, 1 << 32, 0xFFFFFFFFFFFFFFFF])
def test_sizes_no_table_has(machine: Make, fake_memory: Callable[[int], Any], tag_number: Number, rows: int) -> None:
    here = machine("7601 x64")
    session = with_session(here, fake_memory, tag_number, 257, SPACE + 0x4000)
    here.variable("ExpSessionPoolTrackTable", SPACE + 0x4000)
    here.variable("ExpSessionPoolTrackTableSize", rows)
    totals = read_session_tags(here.kernel(), session)
    assert figures(totals) == []
    assert not totals.complete
    assert "cannot have" in totals.says[0]


def test_what_is_not_known_is_said(machine: Make, fake_memory: Callable[[int], Any]) -> None:
    here = machine("22000 x64")
    blind = Session(id=1, address=SPACE, processes=1, directory_table_base=None, memory=None)
    assert read_session_tags(here.kernel(), blind).says == ("the session's memory cannot be read",)
    lost = Session(id=1, address=SPACE, processes=1, directory_table_base=1, memory=Reader(fake_memory(8)))
    assert read_session_tags(here.kernel(), lost).says == ("where the session's tag table lies is not known",)
    here.variable("ExpSessionPoolTrackTable", SPACE)
    here.variable("ExpSessionPoolTrackTableSize", 257)
    assert read_session_tags(here.kernel(), lost).says == ("the session's tag table cannot be read",)
    here.variable("ExpSessionPoolTrackTable", 0x1000)
    assert read_session_tags(here.kernel(), lost).says == ("the address of the session's tag table cannot be right",)
