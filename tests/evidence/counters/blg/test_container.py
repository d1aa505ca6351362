"""The order of buffers, and events in a buffer."""

from collections.abc import Callable
from io import BytesIO
from typing import TYPE_CHECKING

import pytest

from poolsleuth.evidence.counters.blg.container import buffer_order, read_log_file_header
from poolsleuth.evidence.counters.blg.losses import Losses

if TYPE_CHECKING:
    from evidence.counters.blg.conftest import Reading, Writer

Read = Callable[..., "Reading"]
BUFFER = 8192
START = 1_700_000_000


def _order(blg: "Writer", numbers: list[int], losses: Losses | None = None) -> list[int]:
    data = blg.head(9) + b"".join(blg.buffer(n, b"") if n else b"\0" * BUFFER for n in numbers)
    order = buffer_order(BytesIO(data), len(data), BUFFER, losses or Losses(0))
    return [position // BUFFER for position in order.positions()]


@pytest.mark.parametrize(
    ("numbers", "order"),
    [
        ([1, 2, 3, 4], [0, 1, 2, 3, 4]),
        ([3, 4, 1, 2], [0, 3, 4, 1, 2]),
        ([1, 3, 2, 4], [0, 1, 3, 2, 4]),
        ([5, 6, 7, 900, 9, 10], [0, 1, 2, 3, 4, 5, 6]),  # one number is damaged
        ([2, 0, 1], [0, 3, 1]),  # space that was never written
    ],
)
def test_order_by_sequence_number(blg: "Writer", numbers: list[int], order: list[int]) -> None:
    losses = Losses(0)

    assert _order(blg, numbers, losses) == order
    assert losses.problems() == []


def test_a_million_buffers_cost_eight_bytes_each(blg: "Writer") -> None:
    class Huge(BytesIO):
        """64 GB of buffers of 64 KB, of which only the headers exist; the second half was written first."""

        count = 1 << 20
        at = 0

        def seek(self, offset: int, whence: int = 0, /) -> int:
            self.at = offset
            return offset

        def read(self, size: int | None = -1, /) -> bytes:
            number = (self.at // 65536 + self.count // 2) % self.count
            return (65536).to_bytes(4, "little") + b"\0" * 20 + number.to_bytes(8, "little") + b"\0" * 40

    order = buffer_order(Huge(), Huge.count * 65536, 65536, Losses(0))

    assert order.order is not None
    assert order.order.nbytes == 8 << 20
    assert next(order.positions()) == (Huge.count // 2) * 65536


def test_a_buffer_with_a_damaged_header_is_told(blg: "Writer") -> None:
    data = blg.head(9) + blg.buffer(1, b"") + b"\xee" * BUFFER + blg.buffer(3, b"")
    losses = Losses(0)
    order = buffer_order(BytesIO(data), len(data), BUFFER, losses)

    assert list(order.positions()) == [0, BUFFER, 3 * BUFFER]
    (problem,) = losses.problems()
    assert problem.says == "1 buffer could not be used: the header is damaged"
    assert problem.where is not None
    assert problem.where.offset == 2 * BUFFER


@pytest.mark.parametrize("at", [0, 0x68])
def test_one_of_the_two_sizes_is_damaged(blg: "Writer", at: int) -> None:
    data = bytearray(blg.log(blg.counters(blg.entry("C")), blg.sample(START, blg.value(1))))
    data[at : at + 4] = (BUFFER * 2).to_bytes(4, "little")

    assert read_log_file_header(BytesIO(data), len(data)).buffer_size == BUFFER


def test_after_a_damaged_event_the_next_one_is_found(blg: "Writer", read: Read) -> None:
    records = [blg.counters(blg.entry("C")), *(blg.sample(START + n, blg.value(n)) for n in range(6))]
    events = blg.events(records)
    for word in (b"\x17\x00\x14\xc0", b"\xff\xff\x14\xc0", b"\x80\x00\x77\xc0", b"\x80\x00\x14\x00"):
        broken = [*events[:3], word + events[3][4:], *events[4:]]
        data = blg.buffers(broken)
        log = read(blg.head(len(data) + 1) + b"".join(data))

        assert log.values("\\\\SRV\\Memory\\C") == [0, 1, 3, 4, 5]
        assert log.problems == ["1 event could not be read: the log is damaged"]


def test_a_buffer_that_does_not_say_how_far_it_goes(blg: "Writer", read: Read) -> None:
    data = bytearray(blg.log(blg.counters(blg.entry("C")), blg.sample(START, blg.value(1))))
    for used in (0, 0xFFFFFFFF):
        data[BUFFER + 0x30 : BUFFER + 0x34] = used.to_bytes(4, "little")
        assert read(bytes(data)).values("\\\\SRV\\Memory\\C") == [1]


def test_the_next_event_is_always_further_on(blg: "Writer", read: Read) -> None:
    # A record's class at an odd place right behind a damaged event once led back to that event, for ever
    records = [blg.counters(blg.entry("C")), *(blg.sample(START + n, blg.value(n)) for n in range(3))]
    events = blg.events(records)
    class_id = events[1][0x18:0x28]
    for shift in range(1, 9):
        strange = bytearray(b"\x80\x00\x77\xc0" + events[1][4:])
        strange[0x18 : 0x28 + shift] = b"\xee" * shift + class_id
        data = blg.buffers([events[0], bytes(strange), *events[2:]])
        log = read(blg.head(len(data) + 1) + b"".join(data))

        assert log.values("\\\\SRV\\Memory\\C") == [1, 2]
