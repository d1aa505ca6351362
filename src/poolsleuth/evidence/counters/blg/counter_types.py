"""Counter types: which formula turns the raw values of a type into the value that Windows shows.

The bits of a type and the formulas are those of the public winperf.h and of Microsoft's pages "Counter Types" (Windows
Server and .NET documentation). The size of a value (bits 0x300) changes no formula.
"""

from enum import IntEnum

SIZE_MASK = 0x300
SIZE_DWORD, SIZE_LARGE = 0x000, 0x100
_DISPLAY_MASK, _NOT_SHOWN = 0xF0000000, 0x40000000
_SUBTYPE_MASK, _BASE = 0x000F0000, 0x00030000
_KIND_MASK, _COUNTER, _TEXT = 0xC00, 0x400, 0x800
_SIZE_ZERO = 0x200
_TIMER_MASK = 0x00300000


class Formula(IntEnum):
    """How a value is calculated: d1 and d2 are what the two raw values grew by since the sample before."""

    RAW = 0  # first
    RAW_FRACTION = 1  # 100 * first / second
    RATE = 2  # d1 * time base / d2
    TIMER = 3  # 100 * d1 / d2
    TIMER_INVERSE = 4  # 100 * (1 - d1 / d2)
    PRECISION_TIMER = 5  # as TIMER; the second value is a time stamp of the counter's own
    QUEUE_LENGTH = 6  # d1 / d2
    AVERAGE_TIMER = 7  # d1 / time base / d2, 0 when nothing happened
    AVERAGE_BULK = 8  # d1 / d2, 0 when nothing happened
    SAMPLE_FRACTION = 9  # 100 * d1 / d2
    DELTA = 10  # d1
    ELAPSED_TIME = 11  # (second - first) / time base
    MULTI_TIMER = 12  # 100 * d1 / d2 / number of items
    MULTI_TIMER_INVERSE = 13  # 100 * (1 - d1 / d2 / number of items)


_FORMULAS = {
    0x00000000: Formula.RAW,  # RAWCOUNT_HEX
    0x00010000: Formula.RAW,  # RAWCOUNT
    0x20020400: Formula.RAW_FRACTION,
    0x10410400: Formula.RATE,  # COUNTER, BULK_COUNT
    0x00410400: Formula.RATE,  # SAMPLE_COUNTER
    0x20410400: Formula.TIMER,
    0x20510400: Formula.TIMER,  # 100NSEC_TIMER
    0x20610400: Formula.TIMER,  # OBJ_TIME_TIMER
    0x21410400: Formula.TIMER_INVERSE,
    0x21510400: Formula.TIMER_INVERSE,
    0x21610400: Formula.TIMER_INVERSE,
    0x20470400: Formula.PRECISION_TIMER,
    0x20570400: Formula.PRECISION_TIMER,
    0x20670400: Formula.PRECISION_TIMER,
    0x00450400: Formula.QUEUE_LENGTH,
    0x00550400: Formula.QUEUE_LENGTH,
    0x00650400: Formula.QUEUE_LENGTH,
    0x30020400: Formula.AVERAGE_TIMER,
    0x40020400: Formula.AVERAGE_BULK,
    0x20C20400: Formula.SAMPLE_FRACTION,
    0x00400400: Formula.DELTA,
    0x30240400: Formula.ELAPSED_TIME,
    0x22410400: Formula.MULTI_TIMER,
    0x22510400: Formula.MULTI_TIMER,
    0x23410400: Formula.MULTI_TIMER_INVERSE,
    0x23510400: Formula.MULTI_TIMER_INVERSE,
}

USES_BASE = frozenset(
    {
        Formula.RAW_FRACTION,
        Formula.PRECISION_TIMER,
        Formula.AVERAGE_TIMER,
        Formula.AVERAGE_BULK,
        Formula.SAMPLE_FRACTION,
    }
)
"""Formulas whose second value is the counter that follows in the object."""

USES_ITEMS = frozenset({Formula.MULTI_TIMER, Formula.MULTI_TIMER_INVERSE})
"""Formulas for which the counter that follows is the number of items."""


class Timer(IntEnum):
    """Which clock the second value of a type comes from."""

    PERFORMANCE = 0
    HUNDRED_NANOSECONDS = 1
    OBJECT = 2


def formula_of(type_: int) -> Formula | None:
    """The formula of a counter type; None for a type that is not known."""
    if type_ & SIZE_MASK not in (SIZE_DWORD, SIZE_LARGE):
        return None
    return _FORMULAS.get(type_ & ~SIZE_MASK)


def timer_of(type_: int) -> Timer:
    """The clock that a type's bits name."""
    return {0x00100000: Timer.HUNDRED_NANOSECONDS, 0x00200000: Timer.OBJECT}.get(type_ & _TIMER_MASK, Timer.PERFORMANCE)


def is_hidden(type_: int) -> bool:
    """Whether a counter is only there for another one's formula (a base), or holds nothing that could be shown."""
    if type_ & SIZE_MASK == _SIZE_ZERO:
        return True
    return type_ & _DISPLAY_MASK == _NOT_SHOWN and type_ & _KIND_MASK == _COUNTER and type_ & _SUBTYPE_MASK == _BASE


def is_text(type_: int) -> bool:
    """Whether a counter is a text, which has no value over time."""
    return type_ & _KIND_MASK == _TEXT
