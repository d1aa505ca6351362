"""Figures and texts fitted into columns of cells."""

import math

from rich.cells import cell_len, set_cell_size

from poolsleuth.report.wording import clean
from poolsleuth.top.view_spark import heights

_BYTES = ("", "K", "M", "G", "T", "P", "E")
_BEYOND = 1e18  # a figure beyond is damage
TOO_WIDE = "#"  # fills a cell whose figure has no room, as spreadsheets do: never a figure that is cut

Value = float | int | None


def number(value: Value, width: int, *, sign: bool = False, base: int = 1000) -> str:
    """A figure, right-aligned: all its digits where they fit, else scaled ("12.3G"). Blank when it is not known."""
    if value is None or not known(value):
        return " " * width
    text = f"{round(value):+d}" if sign and round(value) else f"{round(value)}"
    if len(text) > width:
        text = scaled(value, sign=sign, base=base)
    return text.rjust(width) if len(text) <= width else TOO_WIDE * width


def known(value: Value) -> bool:
    """Whether a figure is known and can be shown at all."""
    return value is not None and math.isfinite(value) and abs(value) < _BEYOND


def scaled(value: Value, *, sign: bool = True, base: int = 1024) -> str:
    """A figure in at most six characters: ``+11.2M``, ``-512``, ``0``. Empty when it is not known."""
    if value is None or not known(value):
        return ""
    mark = "-" if value < 0 else "+" if sign and round(value) else ""
    size, power = abs(float(value)), 0
    while power < len(_BYTES) - 1 and round(size) >= base:
        size /= base
        power += 1
    if not power:
        return f"{mark}{round(size)}"
    digits = 2 if size < 9.995 else 1 if size < 99.95 else 0
    return f"{mark}{size:.{digits}f}{_BYTES[power]}"


def change(value: Value, width: int, *, base: int = 1000) -> str:
    """A change in parentheses, as poolmon has it; blank when it is not known."""
    if value is None or not known(value):
        return " " * width
    text = f"({round(value):+d})" if round(value) else "(0)"
    if len(text) > width:
        text = f"({scaled(value, base=base)})"
    return text.rjust(width) if len(text) <= width else TOO_WIDE * width


def share(value: Value, width: int) -> str:
    """A share between 0 and 1 as ``12.3%``."""
    if value is None or not math.isfinite(value):
        return " " * width
    return f"{value * 100:.1f}%".rjust(width)[-width:]


def fitted(text: str, width: int, cut: str) -> str:
    """Text of a file made harmless, in exactly ``width`` cells; ``cut`` at its end when there was more."""
    shown = clean(text[: width * 4 + 4])
    if len(shown) == len(text) <= width and shown.isascii():
        return shown.ljust(width)
    if cell_len(shown) <= width and len(text) <= width * 4 + 4:
        return set_cell_size(shown, width)
    return set_cell_size(shown, width - 1) + cut if width > 1 else cut * width


def spark(values: list[float | None], blocks: str) -> str:
    """A course, one character for each value: the lowest and the highest fill the height; blank where not known."""
    return "".join(" " if height is None else blocks[height] for height in heights(values, len(blocks)))
