"""Each counter type, written as raw values into a log and read back: formulas of Microsoft's counter type pages."""

from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from poolsleuth.evidence.counters.blg.counter_types import Formula, Timer, formula_of, is_hidden, is_text, timer_of

if TYPE_CHECKING:
    from evidence.counters.blg.conftest import Reading, Writer

Read = Callable[..., "Reading"]

START = 1_700_000_000
BASE = 1000  # ticks per second

# Type, (first, second, items) of two samples, value of the first sample, value of the second
CASES = {
    "RAWCOUNT_HEX": (0x00000000, (7, 0, 1), (9, 0, 1), 7, 9),
    "RAWCOUNT": (0x00010000, (7, 0, 1), (5, 0, 1), 7, 5),
    "LARGE_RAWCOUNT": (0x00010100, (1 << 40, 0, 1), (3 << 40, 0, 1), 1 << 40, 3 << 40),
    "RAW_FRACTION": (0x20020400, (1, 4, 1), (3, 4, 1), 25, 75),
    "LARGE_RAW_FRACTION": (0x20020500, (1, 4, 1), (3, 4, 1), 25, 75),
    "COUNTER": (0x10410400, (100, 0, 1), (160, 2000, 1), None, 30),
    "BULK_COUNT": (0x10410500, (100, 0, 1), (160, 2000, 1), None, 30),
    "SAMPLE_COUNTER": (0x00410400, (100, 0, 1), (160, 2000, 1), None, 30),
    "TIMER": (0x20410500, (100, 0, 1), (160, 600, 1), None, 10),
    "100NSEC_TIMER": (0x20510500, (100, 0, 1), (160, 600, 1), None, 10),
    "OBJ_TIME_TIMER": (0x20610500, (100, 0, 1), (160, 600, 1), None, 10),
    "TIMER_INV": (0x21410500, (100, 0, 1), (160, 600, 1), None, 90),
    "100NSEC_TIMER_INV": (0x21510500, (100, 0, 1), (160, 600, 1), None, 90),
    "PRECISION_SYSTEM_TIMER": (0x20470500, (100, 0, 1), (160, 600, 1), None, 10),
    "PRECISION_100NS_TIMER": (0x20570500, (100, 0, 1), (160, 600, 1), None, 10),
    "PRECISION_OBJECT_TIMER": (0x20670500, (100, 0, 1), (160, 600, 1), None, 10),
    "QUEUELEN": (0x00450400, (100, 0, 1), (160, 30, 1), None, 2),
    "LARGE_QUEUELEN": (0x00450500, (100, 0, 1), (160, 30, 1), None, 2),
    "100NS_QUEUELEN": (0x00550500, (100, 0, 1), (160, 30, 1), None, 2),
    "OBJ_TIME_QUEUELEN": (0x00650500, (100, 0, 1), (160, 30, 1), None, 2),
    "AVERAGE_TIMER": (0x30020400, (100, 0, 1), (6100, 3, 1), None, 2),
    "AVERAGE_TIMER of nothing": (0x30020400, (100, 3, 1), (100, 3, 1), None, 0),
    "AVERAGE_BULK": (0x40020500, (100, 0, 1), (160, 3, 1), None, 20),
    "AVERAGE_BULK of nothing": (0x40020500, (100, 3, 1), (100, 3, 1), None, 0),
    "SAMPLE_FRACTION": (0x20C20400, (100, 0, 1), (103, 4, 1), None, 75),
    "DELTA": (0x00400400, (100, 0, 1), (160, 0, 1), None, 60),
    "LARGE_DELTA": (0x00400500, (100, 0, 1), (160, 0, 1), None, 60),
    "ELAPSED_TIME": (0x30240500, (1000, 3000, 1), (1000, 4500, 1), 2, 3.5),
    "MULTI_TIMER": (0x22410500, (100, 0, 4), (160, 60, 4), None, 25),
    "100NSEC_MULTI_TIMER": (0x22510500, (100, 0, 4), (160, 60, 4), None, 25),
    "MULTI_TIMER_INV": (0x23410500, (100, 0, 4), (160, 60, 4), None, 75),
    "100NSEC_MULTI_TIMER_INV": (0x23510500, (100, 0, 4), (160, 60, 4), None, 75),
}


@pytest.mark.parametrize("name", CASES)
def test_counter_type(blg: "Writer", read: Read, name: str) -> None:
    type_, before, after, first, second = CASES[name]
    log = read(
        blg.log(
            blg.counters(blg.entry("C", type_, base=BASE)),
            *(
                blg.sample(START + number, blg.value(a, b, items=items))
                for number, (a, b, items) in enumerate((before, after))
            ),
        )
    )

    assert log.values("\\\\SRV\\Memory\\C") == [first, second]
    assert log.problems == []


RATE, RAW, INVERSE = 0x10410400, 0x00010000, 0x21510500


def _values(blg: "Writer", read: Read, type_: int, *pairs: tuple[int, int]) -> "Reading":
    samples = (blg.sample(START + number, blg.value(*pair)) for number, pair in enumerate(pairs))
    return read(blg.log(blg.counters(blg.entry("C", type_, base=BASE)), *samples))


def test_a_raw_value_that_fell_is_blank_once(blg: "Writer", read: Read) -> None:
    log = _values(blg, read, RATE, (100, 0), (200, 1000), (10, 2000), (30, 3000))

    assert log.values("\\\\SRV\\Memory\\C") == [None, 100, None, 20]
    assert log.problems == [
        "1 value could not be calculated: the raw value fell (a restart, or a counter that was reset or wrapped)"
    ]


TOP = 1 << 32
WRAPPED = ((TOP - 40, 1000), (60, 2000))


@pytest.mark.parametrize(
    ("object_", "pairs", "said"),
    [
        ("Memory", WRAPPED, False),
        ("System", WRAPPED, False),
        ("Server", WRAPPED, True),  # a service that is started again counts from zero
        ("Memory", ((TOP - 40, 2000), (60, 1000)), True),  # the clock fell as well: a restart
        ("Memory", ((3 << 30, 1000), ((1 << 30) - 1, 2000)), False),
        ("Memory", (((3 << 30) - 1, 1000), (60, 2000)), True),
        ("Memory", ((TOP - 40, 1000), (1 << 30, 2000)), True),
        ("Memory", ((TOP + 40, 1000), (60, 2000)), True),  # it has more than 32 bits
    ],
)
def test_a_counter_of_the_kernel_that_went_round_is_no_loss_to_speak_of(
    blg: "Writer", read: Read, object_: str, pairs: tuple[tuple[int, int], ...], said: bool
) -> None:
    """Windows leaves the value blank; that a busy machine counts beyond 32 bits is no damage."""
    samples = (blg.sample(START + number, blg.value(*pair)) for number, pair in enumerate(pairs))
    log = read(blg.log(blg.counters(blg.entry("C", RATE, base=BASE, object_=object_)), *samples))

    assert log.values(f"\\\\SRV\\{object_}\\C") == [None, None]
    assert ["1 value could not be calculated" in problem for problem in log.problems] == [True] * said


def test_a_clock_of_a_counter_that_fell_is_blank(blg: "Writer", read: Read) -> None:
    log = _values(blg, read, RATE, (100, 9000), (200, 1000), (300, 2000))

    assert log.values("\\\\SRV\\Memory\\C") == [None, None, 100]


def test_a_counter_of_32_bits_that_wrapped_is_blank(blg: "Writer", read: Read) -> None:
    log = _values(blg, read, RATE, (0xFFFFFFF0, 0), (16, 1000))

    assert log.values("\\\\SRV\\Memory\\C") == [None, None]


def test_no_time_between_samples_is_blank(blg: "Writer", read: Read) -> None:
    log = _values(blg, read, RATE, (100, 1000), (200, 1000))

    assert log.values("\\\\SRV\\Memory\\C") == [None, None]
    assert log.problems == []  # nothing fell


def test_idle_time_below_zero_is_missing_and_told_once(blg: "Writer", read: Read) -> None:
    log = _values(blg, read, INVERSE, (0, 0), (150, 100), (290, 200), (340, 300))

    assert log.values("\\\\SRV\\Memory\\C") == [None, None, None, 50]
    assert log.problems == ["2 values could not be used: an idle-time counter came out below 0 %"]


def test_a_fraction_of_nothing_is_blank(blg: "Writer", read: Read) -> None:
    log = _values(blg, read, 0x20020400, (1, 0), (1, 2))

    assert log.values("\\\\SRV\\Memory\\C") == [None, 50]


def test_a_raw_count_of_32_bits_has_no_sign(blg: "Writer", read: Read) -> None:
    log = _values(blg, read, RAW, (-1, 0))

    assert log.values("\\\\SRV\\Memory\\C") == [0xFFFFFFFF]


def test_an_unknown_type_is_left_out_and_named(blg: "Writer", read: Read) -> None:
    log = read(
        blg.log(
            blg.counters(blg.entry("A", 0x12345578), blg.entry("B"), blg.entry("Name", 0x00000B00)),
            *(blg.sample(START + n, blg.value(1), blg.value(2), blg.value(3)) for n in range(3)),
        )
    )

    assert log.paths == ["\\\\SRV\\Memory\\B"]
    assert log.problems == ["1 counter could not be shown: the counter type is not known (0x12345578)"]


def test_bases_are_not_listed(blg: "Writer", read: Read) -> None:
    bases = (0x40030403, 0x40030402, 0x40030401, 0x40030503, 0x42030500, 0x40030500, 0x40000200)
    log = read(
        blg.log(
            blg.counters(*(blg.entry(f"B{n}", base) for n, base in enumerate(bases)), blg.entry("C")),
            blg.sample(START, *(blg.value(1) for _ in bases), blg.value(5)),
        )
    )

    assert log.paths == ["\\\\SRV\\Memory\\C"]
    assert log.reader.series == 1
    assert log.problems == []


def test_types_by_their_bits() -> None:
    assert formula_of(0x10410500) is Formula.RATE
    assert formula_of(0x00010200) is None  # a size that holds no number
    assert is_text(0x00000B00)
    assert not is_hidden(0x40020500)  # AVERAGE_BULK has no display, but is no base
    assert (timer_of(0x10410400), timer_of(0x20510500), timer_of(0x30240500)) == (
        Timer.PERFORMANCE,
        Timer.HUNDRED_NANOSECONDS,
        Timer.OBJECT,
    )
