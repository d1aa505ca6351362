"""Poolmon text that is cut, damaged or absurd, and the bounds of what is kept."""

import io
import math
import random
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from poolsleuth.evidence import poolmon_blocks
from poolsleuth.evidence.poolmon_log import read_poolmon_log
from poolsleuth.model.errors import InputError
from poolsleuth.model.facts import Fact, Problem
from poolsleuth.model.series import TagHistory, TagKey
from poolsleuth.model.tags import PoolKind

WRITTEN = datetime(2024, 5, 6, 7, 8, 9, tzinfo=UTC)
MB = 1 << 20
FILE = TagKey("File", PoolKind.NONPAGED)

Writer = Callable[..., str]


def read(text: str | bytes, modified: datetime | None = None) -> tuple[list[Fact], list[Problem]]:
    data = text.encode() if isinstance(text, str) else text
    problems: list[Problem] = []
    return read_poolmon_log(io.BytesIO(data), 0, modified, problems, lambda: None), problems


def only(facts: list[Fact], kind: type[Any]) -> Any:
    (found,) = [fact for fact in facts if isinstance(fact, kind)]
    return found


def course(write: Writer, dates: list[str], **options: Any) -> str:
    """One tag that grows by 1,000 bytes from snapshot to snapshot."""
    return "".join(
        write([("File", "Nonp", 100 + n, 90, 10_000 + 1000 * n), ("CM", "Paged", 7, 0, 700)], date, **options)
        for n, date in enumerate(dates)
    )


@pytest.mark.parametrize("block", [100, 1000, 1013, 4096])
def test_blocks_change_nothing(poolmon_text: Writer, monkeypatch: pytest.MonkeyPatch, block: int) -> None:
    text = course(poolmon_text, [f"27/03/2008 10:{n:02}:00" for n in range(40)], changes=True)
    whole = read(text)
    monkeypatch.setattr(poolmon_blocks, "BLOCK_BYTES", block)
    monkeypatch.setattr(poolmon_blocks, "SAMPLE_BYTES", 64)

    assert read(text) == whole


@given(cut=st.integers(0, 5000))
@settings(max_examples=60, deadline=None)
def test_any_truncation(poolmon_text: Writer, cut: int) -> None:
    text = course(poolmon_text, [f"2008-03-27 10:0{n}:00" for n in range(5)])
    try:
        facts, _ = read(text[:cut])
    except InputError:
        return
    for fact in facts:
        if isinstance(fact, TagHistory) and FILE in fact.columns:
            known = [size for size in fact.columns[FILE].bytes if not math.isnan(size)]
            assert known == [10_000 + 1000 * n for n in range(len(known))]


@pytest.mark.parametrize("seed", range(40))
def test_mutations(poolmon_text: Writer, seed: int) -> None:
    source = random.Random(seed)
    text = bytearray(course(poolmon_text, [f"2008-03-27 10:0{n}:00" for n in range(6)], changes=seed % 2 == 0).encode())
    for _ in range(source.randrange(1, 60)):
        place = source.randrange(len(text))
        text[place : place + source.randrange(3)] = bytes(source.randrange(256) for _ in range(source.randrange(3)))
    try:
        facts, _ = read(bytes(text))
    except InputError:
        return
    for fact in facts:
        if isinstance(fact, TagHistory):
            assert all(len(column.bytes) == len(fact.times) for column in fact.columns.values())
            assert all(size >= 0 for column in fact.columns.values() for size in column.bytes if not math.isnan(size))


def test_many_different_tags_are_bounded(poolmon_text: Writer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("poolsleuth.evidence.tag_history.MAX_COLUMNS", 1000)
    rows = [(f"{n:04x}", "Nonp", 5, 0, 500) for n in range(10_000)]

    facts, problems = read(poolmon_text(rows), WRITTEN)

    assert len(only(facts, TagHistory).columns) == 1000
    assert any("different tags" in problem.says for problem in problems)


def test_one_tag_that_repeats_without_end() -> None:
    facts, _ = read(" File Nonp          5      0       5     500      100\n" * 3000)

    history = only(facts, TagHistory)
    assert history.snapshots == 3000
    assert set(history.columns[FILE].bytes) == {500}


def test_absurd_numbers() -> None:
    text = "Memory:1000K Avail:10K\n" + "".join(
        f" T{n:03} Nonp {'9' * n} {'9' * n} {'0' * n} {'0' * n} {'0' * n}\n" for n in range(1, 200)
    )

    facts, _ = read(text, WRITTEN)

    assert len(only(facts, TagHistory).columns) >= 10


class _Endless(io.RawIOBase):
    """A line without an end."""

    def __init__(self, size: int, head: bytes) -> None:
        self._left = size
        self._head = head

    def read(self, count: int = -1) -> bytes:
        if self._head:
            head, self._head = self._head[:count], self._head[count:]
            return head
        count = min(count, self._left)
        self._left -= count
        return b"x" * count


def test_a_line_of_100_mb(poolmon_text: Writer) -> None:
    stream = _Endless(100 * MB, poolmon_text([("File", "Nonp", 5, 0, 500)]).encode())

    facts = read_poolmon_log(stream, 0, WRITTEN, [], lambda: None)

    assert list(only(facts, TagHistory).columns[FILE].bytes) == [500]


def test_nothing_to_read() -> None:
    for text in ("", "\n", "Tag Type Allocs\n", "Nonp Paged\n"):
        with pytest.raises(InputError, match="poolmon"):
            read(text)
