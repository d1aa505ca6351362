"""Sizes as people type and read them. Units are powers of 1024, as everywhere in Windows."""

import re
from decimal import ROUND_HALF_UP, Decimal

_UNITS = ("bytes", "KB", "MB", "GB", "TB", "PB")
_FACTORS = {"": 0, "b": 0, "byte": 0, "bytes": 0} | {
    spelling: power
    for power, letter in enumerate("kmgtp", start=1)
    for spelling in (letter, f"{letter}b", f"{letter}ib")
}
# Digits are bounded so that a hostile number cannot become a huge one.
_SIZE = re.compile(r"(\d{1,3}(?:,\d{3}){1,6}|\d{1,20})(\.\d{1,12})?\s*([a-z]*)", re.ASCII)


def parse_size(text: str) -> int:
    """Read a size such as "4GB", "512 MB", "3.5 GiB", "3405680 Kb", "1,024K" or "17179869184" as bytes.

    K, M, G, T and P are powers of 1024 however they are spelled; a fraction of a byte is rounded. Raises
    ValueError, with a sentence that says how to write it, for anything else and for a size of zero.
    """
    found = _SIZE.fullmatch(text.strip().lower())
    power = _FACTORS.get(found[3]) if found is not None else None
    if found is None or power is None:
        raise ValueError(f"{text!r} is not a size: write a number with a unit, such as 512MB, 4GB or 3.5GB.")
    number = Decimal(found[1].replace(",", "") + (found[2] or ""))
    size = int((number * 1024**power).to_integral_value(ROUND_HALF_UP))
    if size == 0:
        raise ValueError(f"{text!r} is no size: give a size above zero, such as 512MB, or leave the option out.")
    return size


def format_size(size: int) -> str:
    """Write bytes in the largest fitting unit with at most one decimal: "127.5 MB", "16 TB", "512 bytes"."""
    value = Decimal(abs(size))
    unit = 0
    while unit < len(_UNITS) - 1 and round(value, 1 if unit else 0) >= 1024:
        value /= 1024
        unit += 1
    sign = "-" if size < 0 else ""
    number = f"{value:.1f}".removesuffix(".0") if unit else str(value)
    name = "byte" if unit == 0 and value == 1 else _UNITS[unit]
    return f"{sign}{number} {name}"
