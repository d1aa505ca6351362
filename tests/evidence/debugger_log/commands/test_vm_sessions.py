"""The session table of ``!vm 4``: expected figures beside the quoted rows, K x 1024."""

import io
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from poolsleuth.evidence.debugger_log.reader import LogReader
from poolsleuth.model.errors import InputError
from poolsleuth.model.facts import Figure
from poolsleuth.model.memory import SessionMemory

OLD = """3: kd> !vm 4

       Terminal Server Memory Usage By Session:

       Session Paged Pool Maximum is 32768K
       Session View Space Maximum is 20480K

       Session ID 0 @ f79a1000:
       Paged Pool Usage:        9824K
       Commit Usage:           10148K

       Session ID 9 @ f79b5000:
       Paged Pool Usage:       32552K

       *** 7837 Pool Allocation Failures ***

       Commit Usage:           33652K

"""
NEW = """0: kd> !vm 4
Terminal Server Memory Usage By Session:

Session ID 0 @ ffff9a0000a1b000:
Paged Pool Usage:        2012 Kb
NonPaged Usage:            64 Kb
Commit Usage:            4820 Kb

Session ID 1 @ ffff9a0000c2d000:
Paged Pool Usage:       11204 Kb
NonPaged Usage:            80 Kb
Commit Usage:           20480 Kb

Session Summary
Paged Pool Usage:       13216 Kb
NonPaged Usage:           144 Kb
Commit Usage:           25300 Kb
"""


def tables(text: str) -> list[SessionMemory]:
    return [fact for fact in LogReader(0).read(io.BytesIO(text.encode())) if isinstance(fact, SessionMemory)]


def kb(figure: Figure | None) -> int | None:
    return figure.value // 1024 if figure is not None else None


def rows(table: SessionMemory) -> list[tuple[int, int | None, int | None, int | None, int | None]]:
    return [
        (s.id, kb(s.used), kb(s.nonpaged_used), kb(s.commit), s.failures.value if s.failures else None)
        for s in table.sessions
    ]


def collapsed(text: str) -> str:
    return "\n\n".join(re.sub(r"\s+", " ", line).strip() for line in text.split("\n"))


@pytest.mark.parametrize("damage", [str, collapsed, lambda text: "> " + text.replace("\n", "\n> ")])
def test_old(damage: type[str]) -> None:
    (table,) = tables(damage(OLD))
    assert (kb(table.paged_limit), kb(table.view_limit)) == (32768, 20480)
    assert table.address_bits == 32
    assert rows(table) == [
        (0, 9824, None, 10148, None),
        (9, 32552, None, 33652, 7837),  # *** 7837 Pool Allocation Failures *** stands inside session 9
    ]


@pytest.mark.parametrize("damage", [str, collapsed])
def test_new(damage: type[str]) -> None:
    (table,) = tables(damage(NEW))
    assert table.paged_limit is None
    assert table.address_bits == 64
    # the summary is no session: 13216 and 25300 belong to none
    assert rows(table) == [(0, 2012, 64, 4820, None), (1, 11204, 80, 20480, None)]


def test_the_place_of_a_failure() -> None:
    (table,) = tables(OLD)
    failures = table.sessions[1].failures
    assert failures is not None
    assert failures.where.line == 15


def test_a_limit_alone_is_a_fact() -> None:
    (table,) = tables("!vm 4\nSession Paged Pool Maximum is 32768K\n")
    assert kb(table.paged_limit) == 32768
    assert table.sessions == ()


@settings(max_examples=50, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.integers(0, 9999), st.integers(0, 10**9), st.integers(0, 10**9), st.none() | st.integers(1, 10**6)
        ),
        min_size=1,
        max_size=12,
    ),
    st.booleans(),
)
def test_round_trip(sessions: list[tuple[int, int, int, int | None]], narrow: bool) -> None:
    text = "       Terminal Server Memory Usage By Session:\n\n       Session Paged Pool Maximum is 32768K\n"
    for number, used, commit, failures in sessions:
        text += f"       Session ID {number} @ f79a1000:\n       Paged Pool Usage:    {used:>8}K\n\n"
        text += f"       *** {failures} Pool Allocation Failures ***\n\n" if failures else ""
        text += f"       Commit Usage:        {commit:>8}K\n\n"
    (table,) = tables(collapsed(text) if narrow else text)
    assert rows(table) == [(number, used, None, commit, failures) for number, used, commit, failures in sessions]


@settings(max_examples=100, deadline=None)
@given(st.sampled_from([OLD, NEW]), st.data())
def test_damage(text: str, data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(start, len(text)))
    insert = data.draw(st.text(st.sampled_from("0123456789K \n\t\r:@*\u00a0"), max_size=8))
    reader = LogReader(0)
    try:
        list(reader.read(io.BytesIO((text[:start] + insert + text[end:]).encode())))
    except InputError:
        return
    assert not [problem for problem in reader.problems if "could not be read" in problem.says]


@settings(max_examples=100, deadline=None)
@given(st.sampled_from([OLD, NEW]), st.data())
def test_no_figure_comes_from_a_cut(text: str, data: st.DataObject) -> None:
    whole = {row[0]: row for row in rows(tables(text)[0])}
    end = data.draw(st.integers(0, len(text)))
    for table in tables(text[:end] + "\n"):
        for row in rows(table):
            assert all(mine in (None, theirs) for mine, theirs in zip(row, whole[row[0]], strict=True))
