"""Parts of records: put together in any order, bounded in number and size."""

import pytest

from poolsleuth.evidence.counters.blg import records
from poolsleuth.evidence.counters.blg.container import PdhEvent
from poolsleuth.evidence.counters.blg.losses import Losses
from poolsleuth.evidence.counters.blg.records import MAX_OPEN, MAX_PARTS, Assembler

GUID = b"G" * 16


def part(time: int, number: int, parts: int, data: bytes = b"x", guid: bytes = GUID) -> PdhEvent:
    return PdhEvent(0x22, time, guid, number, parts, data)


def test_parts_come_in_any_order() -> None:
    losses = Losses(0)
    assembler = Assembler(losses, GUID)

    assert assembler.add(part(1, 3, 3, b"c"), 100) is None
    assert assembler.add(part(1, 1, 3, b"a"), 100) is None
    record = assembler.add(part(1, 2, 3, b"b"), 200)

    assert record is not None
    assert (record.data, record.time, record.kind) == (b"abc", 1, 0x22)
    assembler.finish()
    assert losses.problems() == []


def test_records_that_never_become_whole_are_dropped_and_counted() -> None:
    losses = Losses(0)
    assembler = Assembler(losses, None)
    for time in range(3 * MAX_OPEN):
        assert assembler.add(part(time, 1, 2), time) is None
    whole = assembler.add(part(3 * MAX_OPEN - 1, 2, 2), 0)
    assembler.finish()

    assert whole is not None
    (problem,) = losses.problems()
    assert problem.says.startswith(f"{3 * MAX_OPEN - 1} records could not be put together: parts are missing")


def test_the_bytes_that_wait_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(records, "MAX_RECORD_BYTES", 10_000)
    losses = Losses(0)
    assembler = Assembler(losses, None)
    for number in range(1, 4):
        assembler.add(part(1, number, 4, b"x" * 4000), 0)

    assert assembler.add(part(1, 4, 4, b"x"), 0) is None  # it was dropped when it grew too long
    assert "1 record could" in losses.problems()[0].says


@pytest.mark.parametrize(("number", "parts"), [(0, 1), (2, 1), (1, 0), (1, MAX_PARTS + 1), (0xFFFFFFFF, 0xFFFFFFFF)])
def test_impossible_numbers(number: int, parts: int) -> None:
    losses = Losses(0)

    assert Assembler(losses, None).add(part(1, number, parts), 77) is None
    (problem,) = losses.problems()
    assert problem.where is not None
    assert (problem.says, problem.where.offset) == ("1 event could not be read: the log is damaged", 77)


def test_a_damaged_guid_in_the_header_does_not_lose_the_log() -> None:
    losses = Losses(0)
    assembler = Assembler(losses, b"damaged" + GUID[7:])

    assert assembler.add(part(1, 1, 1), 0) is not None
    assert assembler.add(part(2, 1, 1, guid=b"F" * 16), 0) is None
    assert losses.problems()[0].says == "1 event could not be used: not a record of this counter log"
