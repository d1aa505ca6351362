"""The file around the samples: order of buffers, logs that were not closed or are cut off, what is no counter log."""

from collections.abc import Callable
from io import BytesIO
from typing import TYPE_CHECKING
from uuid import UUID

import pytest

from poolsleuth.evidence.counters.blg.reader import BlgReader
from poolsleuth.model.errors import InputError
from poolsleuth.model.system import TargetInfo

if TYPE_CHECKING:
    from evidence.counters.blg.conftest import Item, Reading, Writer

Read = Callable[..., "Reading"]

START = 1_700_000_000
RATE, RAW = 0x10410400, 0x00010000
BUFFER = 8192
CIRCULAR = 2
C = "\\\\SRV\\Memory\\C"
COUNTERS = 40  # of them every sample makes one event of 2 kB: 4 to a buffer


def _records(blg: "Writer", samples: int) -> list["Item"]:
    entries = [blg.entry("C", RATE), *(blg.entry(f"C{n}") for n in range(COUNTERS - 1))]
    return [
        blg.counters(*entries),
        *(blg.sample(START + n, *(blg.value(n * n, n * 1_000_000) for _ in range(COUNTERS))) for n in range(samples)),
    ]


def test_a_circular_log_begins_in_the_middle_of_the_file(blg: "Writer", read: Read) -> None:
    records = _records(blg, 40)
    straight = read(blg.log(*records))

    assert straight.values(C) == [None, *(2 * n - 1 for n in range(1, 40))]
    for rotate in range(1, 9):
        turned = read(blg.log(*records, rotate=rotate, mode=CIRCULAR))
        assert turned.table == straight.table
        assert turned.problems == []


def test_a_circular_log_that_wrote_over_its_oldest_buffers(blg: "Writer", read: Read) -> None:
    # The list of counters stays in its buffer; the buffers after it are gone, and with them parts of a record
    entries = [blg.entry(f"C{n}") for n in range(300)]
    samples = [blg.sample(START + n, *(blg.value(n) for _ in range(300))) for n in range(12)]  # 4 parts each
    first = blg.buffers(blg.events([blg.counters(*entries)]))
    rest = blg.buffers(blg.events(samples))
    numbered = [data[:0x18] + (len(first) + n).to_bytes(8, "little") + data[0x20:] for n, data in enumerate(rest, 1)]
    kept = numbered[len(numbered) // 2 + 1 :]
    log = read(blg.head(len(first) + len(numbered) + 1, mode=CIRCULAR) + b"".join(kept + first))

    assert 3 <= len(log.rows) <= 6
    assert log.rows[-1].cells == dict.fromkeys(range(300), 11)
    assert len(log.problems) <= 1
    assert all("could not be put together" in says for says in log.problems)


def test_parts_of_a_record_in_any_order(blg: "Writer", read: Read) -> None:
    entries = [blg.entry(f"C{n}") for n in range(300)]
    events = blg.events(
        [blg.counters(*entries), *(blg.sample(START + n, *(blg.value(n) for _ in range(300))) for n in range(2))]
    )
    mixed = [*events[:-8], events[-1], events[-5], *events[-4:-1], *events[-8:-5]]
    data = blg.buffers(mixed)
    log = read(blg.head(len(data) + 1) + b"".join(data))

    assert len(events) > 10
    assert [len(row.cells) for row in log.rows] == [300]  # the later one was complete first
    assert log.problems[0].startswith("1 sample could not be placed in time")


def test_a_log_that_was_not_closed(blg: "Writer", read: Read) -> None:
    log = read(blg.log(*_records(blg, 3), ended=0))

    assert len(log.rows) == 3
    assert log.problems == [
        "the counter log was not closed: it was copied while it was written, or the machine went down; its last"
        " samples may be missing"
    ]


def test_a_log_that_is_cut_off(blg: "Writer", read: Read) -> None:
    data = blg.log(*_records(blg, 40))
    log = read(data[: 3 * BUFFER + 500])

    assert 4 <= len(log.rows) < 12
    assert any("the file is cut off" in says for says in log.problems)


def test_lost_events_are_told(blg: "Writer", read: Read) -> None:
    log = read(blg.log(*_records(blg, 2), lost=7))

    assert log.problems == ["7 events could not be written when the log was recorded, as the log itself says"]


def test_the_machine_of_a_log_with_one_host(blg: "Writer", read: Read) -> None:
    log = read(blg.log(*_records(blg, 1), pointer=4, build=3790))

    (info,) = log.reader.facts
    assert isinstance(info, TargetInfo)
    assert (info.build, info.architecture, info.computer, info.captured_at) == (3790, "x86", "SRV", None)


def test_no_machine_of_a_log_with_two(blg: "Writer", read: Read) -> None:
    log = read(
        blg.log(
            blg.counters(blg.entry("C", host="A"), blg.entry("C", host="B")),
            blg.sample(START, blg.value(1), blg.value(2)),
        )
    )

    assert log.paths == ["\\\\A\\Memory\\C", "\\\\B\\Memory\\C"]
    assert log.reader.facts == []


def test_a_lost_list_of_counters(blg: "Writer", read: Read) -> None:
    with pytest.raises(InputError, match=r"relog in\.blg -f csv -o out\.csv"):
        read(blg.log(*_records(blg, 5)[1:]))


def test_a_list_of_counters_that_comes_later_is_looked_for(blg: "Writer", read: Read) -> None:
    counters, *samples = _records(blg, 20)
    log = read(blg.log(*samples, counters))

    assert log.values(C) == [None, *(2 * n - 1 for n in range(1, 20))]
    assert log.problems == []


def test_records_of_another_log_are_left_out(blg: "Writer", read: Read) -> None:
    records = _records(blg, 2)
    events = [*blg.events(records), *blg.events(_records(blg, 1)[1:], guid=UUID(int=1))]
    data = blg.buffers(events)
    log = read(blg.head(len(data) + 1) + b"".join(data))

    assert len(log.rows) == 2
    assert log.problems == ["1 event could not be used: not a record of this counter log"]


def test_a_clock_that_was_set_back(blg: "Writer", read: Read) -> None:
    counters, *samples = _records(blg, 8)
    log = read(blg.log(counters, *samples[:5], *samples[2:]))

    assert log.times == [START + n for n in range(8)]
    assert any(says.startswith("3 samples could not be placed in time") for says in log.problems)


def test_one_wrong_time_costs_one_sample(blg: "Writer", read: Read) -> None:
    counters, *samples = _records(blg, 8)
    wrong = blg.sample(START + 10**6, blg.value(0))
    log = read(blg.log(counters, *samples[:4], wrong, *samples[4:]))

    assert log.times == [START + n for n in range(8)]


def test_events_of_other_providers_are_no_counters(blg: "Writer", read: Read) -> None:
    event = (b"\x50\x00\x13\xc0" + b"\0" * 12).ljust(0x50, b"\1")
    data = b"".join(blg.buffer(number, event * 50) for number in range(1, 31))
    for buffers, says in ((30, "its first 8 buffers with events held 400 events"), (3, "it held 150 events")):
        with pytest.raises(InputError, match=says):
            read(blg.head(31) + data[: buffers * BUFFER])


def test_a_trace_is_refused_without_reading_it(blg: "Writer") -> None:
    event = (b"\x50\x00\x13\xc0" + b"\0" * 12).ljust(0x50, b"\1")

    class Counting(BytesIO):
        taken = 0

        def read(self, size: int | None = -1, /) -> bytes:
            data = super().read(size)
            Counting.taken += len(data)
            return data

    file = Counting(blg.head(2000) + b"".join(blg.buffer(number, event * 50) for number in range(1, 2000)))
    with pytest.raises(InputError, match="ETW trace"):
        list(BlgReader(file, 0, lambda _: True).rows())

    assert Counting.taken < 20 * BUFFER


def test_a_log_without_an_event(blg: "Writer", read: Read) -> None:
    with pytest.raises(InputError, match="holds no event"):
        read(blg.head(1))
    with pytest.raises(InputError, match="no sample can be read"):
        read(blg.log(blg.counters(blg.entry("C"))))


@pytest.mark.parametrize("data", [b"", b"\0" * 10, b"\0" * 4096, b"\xff" * 70_000])
def test_what_is_no_log(read: Read, data: bytes) -> None:
    with pytest.raises(InputError, match="header is damaged"):
        read(data)


def test_the_order_is_found_without_reading_the_buffers(blg: "Writer") -> None:
    sizes: list[int] = []

    class Watched(BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            sizes.append(size or 0)
            return super().read(size)

    data = blg.log(*_records(blg, 40))
    rows = list(BlgReader(Watched(data), 0, lambda _: True).rows())

    assert len(rows) == 40
    assert sizes.count(0x48) == len(data) // BUFFER
    assert max(sizes) == BUFFER
    assert -1 not in sizes


def test_progress_is_told_in_bytes_and_never_falls(blg: "Writer", read: Read) -> None:
    block = b"".join(blg.value(1) for _ in range(60))
    data = blg.log(
        blg.counters(*(blg.entry(f"C{n}") for n in range(60))), *(blg.sample(START + n, block) for n in range(3000))
    )
    log = read(data)

    assert len(data) > 8 << 20
    assert log.progress == sorted(log.progress)
    assert 4 << 20 <= log.progress[-1] <= len(data)
