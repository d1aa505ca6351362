"""The header: exact widths, and what goes first where there is little room."""

import math
from typing import get_args

from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.segment import Segment

from poolsleuth.model.tags import PoolKind
from poolsleuth.report.wording import clean
from poolsleuth.top.screen.bars import PoolUse
from poolsleuth.top.screen.colours import ASCII, UNICODE, VERDICTS
from poolsleuth.top.screen.header import Facts, header_lines, wrapped
from poolsleuth.top.verdict import Level
from poolsleuth.top.verdict_words import Sentence

N, P = PoolKind.NONPAGED, PoolKind.PAGED
NOON = 1_795_003_200.0  # 2026-11-18 12:00 UTC
MB = 1 << 20


def text(segments: list[Segment]) -> str:
    return "".join(segment.text for segment in segments)


FACTS = Facts(
    computer="SRV01",
    time=NOON,
    watched=7200.0,
    status="live, every 5 s",
    memory={
        "physical": 8388024 * 1024.0,
        "available": 5126028 * 1024.0,
        "kernel_resident": 6500 * 1024.0,
        "paged_resident": 233172 * 1024.0,
        "committed": 3762700 * 1024.0,
        "commit_limit": 12578125 * 1024.0,
        "commit_peak": 4043634 * 1024.0,
        "nonpaged_used": 35304 * 1024.0,
        "paged_used": 259080 * 1024.0,
    },
    page_faults=31425.0,
    uses=(PoolUse(N, 35304 * 1024, 100 * MB), PoolUse(P, 259080 * 1024, None)),
    verdict=(Sentence("MmSt grows 11 MB/h and has not come down for 3 h: leak", ("paged pool full in 9 days",)),),
    level="found",
)


def rows(facts: Facts, width: int, height: int) -> list[str]:
    return [text(line).rstrip() for line in header_lines(facts, width, height, ASCII)]


def test_the_header_has_poolmons_own_lines() -> None:
    assert rows(FACTS, 80, 24) == [
        " SRV01  2026-11-18 12:00:00 UTC  2 h 0 min watched              live, every 5 s",
        " Memory: 8388024K Avail:  5126028K PageFlts: 31425 InRam Krnl: 6500K P:233172K",
        " Commit:3762700K Limit:12578125K Peak:4043634K Pool N:  35304K P: 259080K",
        " Nonp  [###.......] 34.5 MB of 100.0 MB  Paged 253.0 MB, limit not known",
        " MmSt grows 11 MB/h and has not come down for 3 h: leak",
    ]


def test_what_stands_in_memory_of_the_paged_pool_is_never_taken_for_its_size() -> None:
    alone = Facts(memory={"paged_resident": 233_172 * 1024.0})
    assert rows(alone, 80, 24)[1] == " InRam P:233172K"


def test_what_is_not_known_is_left_out() -> None:
    assert rows(Facts(status="live"), 80, 24) == [
        " poolsleuth top  time not known" + " " * 44 + "live",
    ]
    assert rows(Facts(label="snapshot 4", status="x"), 80, 24)[0].startswith(" poolsleuth top  snapshot 4 ")


def test_wide_screens_have_the_bars_beside_and_tall_ones_more_of_the_verdict() -> None:
    wide = rows(FACTS, 200, 60)
    assert len(wide) == 4
    assert wide[1].index("Nonp") == wide[2].index("Paged")
    assert wide[3].endswith("leak; paged pool full in 9 days")


def test_low_screens_keep_the_verdict() -> None:
    assert len(rows(FACTS, 80, 10)) == 3
    assert len(rows(FACTS, 80, 5)) == 2
    assert len(rows(FACTS, 80, 3)) == 1


def test_on_a_narrow_screen_the_place_is_said_before_the_speed() -> None:
    narrow = Facts(computer="leak-poolmon.log", status="replay 60x, 97 of 97, at the end")
    assert rows(narrow, 40, 24)[0].endswith(" 97 of 97, at the end")
    assert rows(narrow, 30, 24)[0].endswith(" at the end")
    assert rows(narrow, 60, 24)[0].endswith(" replay 60x, 97 of 97, at the end")


def test_several_findings_are_counted_or_shown() -> None:
    several = Facts(verdict=(Sentence("a leaks"), Sentence("b leaks")), level="found")
    assert rows(several, 80, 24)[-1] == " a leaks (+1)"
    assert rows(several, 80, 40)[-2:] == [" a leaks", " b leaks"]


def test_a_verdict_that_is_behind_says_of_when_it_is() -> None:
    behind = Facts(time=NOON, verdict=(Sentence("a leaks"),), judged_at=NOON - 3600)
    assert rows(behind, 80, 24)[-1] == " at 11:00: a leaks"
    behind = Facts(time=NOON, verdict=(Sentence("a leaks"),), judged_at=NOON - 86400)
    assert rows(behind, 80, 24)[-1] == " at 2026-11-17 12:00: a leaks"
    behind = Facts(time=math.nan, verdict=(Sentence("a leaks"),), judged_at=math.nan)
    assert rows(behind, 80, 24)[-1] == " earlier: a leaks"


@given(st.integers(1, 220), st.integers(1, 70), st.text(max_size=200), st.text(max_size=50), st.floats())
def test_every_line_of_the_header_is_exactly_as_wide(
    width: int, height: int, said: str, name: str, value: float
) -> None:
    facts = Facts(
        computer=name,
        time=value,
        watched=value,
        marked=value,
        status=said,
        memory={"physical": value, "nonpaged_used": 1e9},
        uses=(PoolUse(N, 5, 10), PoolUse(P, 5, None)),
        verdict=(Sentence(said, (name,)), Sentence(name)),
        judged_at=value,
    )
    for line in header_lines(facts, width, height, UNICODE):
        assert cell_len(text(line)) == width
        assert text(line) == clean(text(line))


def test_every_level_has_a_style() -> None:
    assert set(VERDICTS) == set(get_args(Level))


def test_wrapping() -> None:
    assert wrapped("one two three", 7, 3, "~") == ["one two", "three"]
    assert wrapped("one two three four", 7, 2, "~") == ["one two", "three~"]
    assert wrapped("", 7, 2, "~") == [""]
