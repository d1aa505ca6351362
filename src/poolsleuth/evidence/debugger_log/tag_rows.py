"""One row of a tag table, read from its numbers: a tag may hold blanks and digits, and columns do not survive."""

import re
from functools import cache, lru_cache
from typing import NamedTuple

from poolsleuth.evidence.debugger_log.output import NUMBER, integer

Columns = tuple[str, ...]

# Header words of one pool's half -> what each number is. Without Frees, the column "Allocs" of !poolused counts what
# is still allocated; with Frees beside it, all allocations since boot.
COLUMNS: dict[tuple[str, ...], Columns] = {
    ("allocs", "used"): ("outstanding", "used"),
    ("allocs", "frees", "diff", "used"): ("allocs", "frees", "diff", "used"),
    ("allocs", "frees", "diff"): ("allocs", "frees", "diff"),
    ("allocs", "frees", "used"): ("allocs", "frees", "used"),
    ("allocs",): ("outstanding",),
}

MAX_TAG = 4
_FIRST_NUMBER = re.compile(rf"(?<!\S){NUMBER}")
_NEXT_NUMBER = re.compile(rf"\s+({NUMBER})")
_COMMENT_SIGN = re.compile(r"^(?:[#*;-]|//) +(?=\S)")


class RawRow(NamedTuple):
    """Tag, numbers and description of one row; ``start`` and ``end`` are offsets in the text.

    ``agrees`` when its numbers can be what the columns say.
    """

    tag: str
    numbers: tuple[int, ...]
    description: str
    start: int
    end: int
    agrees: bool


@cache
def _plain_row(count: int) -> re.Pattern[str]:
    """A row that can be read in one way only: a tag without blanks, ``count`` numbers, then no further number."""
    numbers = "".join(rf"[ ]+({NUMBER})" for _ in range(count))
    return re.compile(rf"[ ]*([^\s\d]\S{{0,{MAX_TAG - 1}}}|TOTAL){numbers}(?:[ ]+(?!\d)([^\n]*+))?(?=\n|\Z)")


def read_row(text: str, start: int, limit: int, count: int, columns: Columns) -> RawRow | None:
    """The row that begins at ``start`` with ``count`` numbers, None when there is none.

    Numbers may go on in the next line (hard wrapping). Where a tag holds or is a number ("Dh 1", "8042"), the
    reading whose numbers agree with one another is taken.
    """
    plain = _plain_row(count).match(text, start, limit)
    if plain is not None:
        tag, *printed, description = plain.groups()
        try:
            numbers = tuple(map(int, printed))
        except ValueError:  # commas between thousands
            numbers = tuple(map(integer, printed))
        if _agree(numbers, columns):
            return RawRow(tag, numbers, (description or "").strip(" \x1f"), start, plain.end(), True)
    line_end = text.find("\n", start, limit)
    line_end = limit if line_end < 0 else line_end
    readings = []
    for first in _FIRST_NUMBER.finditer(text, start, line_end):
        head = text[start : first.start()]
        tag = _tag(head)
        if tag is None:
            if len(head.strip()) > MAX_TAG + 3:
                break
            continue
        found, end = _numbers(text, first.start(), limit, count)
        if len(found) == count:
            stop = text.find("\n", end, limit)
            stop = limit if stop < 0 else stop
            agrees = _agree(tuple(found), columns)
            readings.append(RawRow(tag, tuple(found), text[end:stop].strip(" \x1f"), start, stop, agrees))
    if not readings:
        return None
    agreeing = [row for row in readings if row.agrees]
    return (agreeing or readings)[0]


def _tag(head: str) -> str | None:
    tag = head.strip(" \x1f")
    if tag == "TOTAL":
        return tag
    if len(tag) > MAX_TAG:
        tag = _COMMENT_SIGN.sub("", tag)
    return tag if 1 <= len(tag) <= MAX_TAG and "\n" not in tag else ("TOTAL" if tag == "TOTAL" else None)


def _numbers(text: str, start: int, limit: int, count: int) -> tuple[list[int], int]:
    numbers: list[int] = []
    position = start
    first = re.compile(NUMBER).match(text, start, limit)
    while first is not None:
        numbers.append(integer(first.group(1) if first.re is _NEXT_NUMBER else first.group()))
        position = first.end()
        if len(numbers) == count:
            break
        first = _NEXT_NUMBER.match(text, position, limit)
    return numbers, position


def _agree(numbers: tuple[int, ...], columns: Columns) -> bool:
    """Whether the numbers can be what the columns say: Diff is Allocs - Frees, and nothing takes no bytes."""
    width = len(columns)
    if columns == ("outstanding", "used"):  # most rows of most tables
        for place in range(0, len(numbers), 2):
            blocks, size = numbers[place], numbers[place + 1]
            if (not blocks) != (not size) or size < MIN_BLOCK * blocks:
                return False
        return True
    for group in range(0, len(numbers), width):
        values = dict(zip(columns, numbers[group : group + width], strict=True))
        if "diff" in values:
            # 32-bit counters wrap, so the difference holds modulo 2^32
            if (values["allocs"] - values["frees"] - values["diff"]) % (1 << 32):
                return False
            outstanding = values["diff"]
        else:
            outstanding = values.get("outstanding", 0)
        used = values.get("used")
        if used is not None and "outstanding" in values and (outstanding == 0) != (used == 0):
            return False
        if used is not None and outstanding and used < 8 * outstanding:
            return False
    return True


_LOST = re.compile(
    rf"[ ]*+(?P<tag>\S[^\n]{{0,{MAX_TAG - 1}}}?)[ ]+(?P<numbers>-?\d[\d,]*(?:[ ]+-?\d[\d,]*)*)(?P<rest>[^\n]*)"
)
MAX_DIGITS = 20  # of a number: 2^64 has no more
MIN_BLOCK = 8  # bytes of the smallest pool block of any Windows


def lost_row(text: str, start: int, limit: int, count: int) -> str | None:
    """Why the line at ``start`` is no row although it looks like one; None when it does not look like one."""
    match = _LOST.match(text, start, limit)
    if match is None or match.group("tag").isdecimal():
        return None
    numbers = match.group("numbers").split()
    rest = match.group("rest").strip(" \x1f")
    if len(numbers) == count and any(number.startswith("-") for number in numbers):
        return "holds a negative number"
    if len(numbers) >= count and any(sum(map(str.isdecimal, number)) > MAX_DIGITS for number in numbers):
        return f"holds a number of more than {MAX_DIGITS} digits"
    if len(numbers) < count and not rest and (len(numbers) > 1 or match.end() == len(text)):
        return "is cut inside its numbers"
    return None


def is_impossible(numbers: tuple[int, ...], columns: Columns) -> bool:
    """Whether a pool's blocks would be smaller than any block is."""
    if "used" not in columns or not ({"diff", "outstanding"} & {*columns}):
        return False
    width = len(columns)
    outstanding = columns.index("diff" if "diff" in columns else "outstanding")
    return any(
        numbers[group + columns.index("used")] < MIN_BLOCK * numbers[group + outstanding]
        for group in range(0, len(numbers), width)
    )


# A file name ends at its extension: what follows on a line that lost its line feed is no part of it
_BINARY = re.compile(r"\s*,?\s*Binary:\s*(\S{1,200}\.(?:sys|dll|exe)(?=\s)|\S[^\n]{0,200}?(?=\s*$))")
_UNKNOWN = re.compile(r"UNKNOWN\s+pooltag", re.IGNORECASE)


@lru_cache(maxsize=20_000)
def split_description(text: str) -> tuple[str | None, str | None]:
    """Description and binary of the text behind the numbers; None where there is none or the tag is UNKNOWN."""
    text = " ".join(text.split())
    if not text or _UNKNOWN.search(text):
        return None, None
    found = _BINARY.search(text)
    if found is None:
        return text, None
    return text[: found.start()].strip(" ,") or None, found.group(1)
