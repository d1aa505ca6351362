"""Ranges of memory as commands take them: an address, perhaps with ``L n`` or a last address behind it."""

import re

from poolsleuth.debugger.expressions import address, evaluate
from poolsleuth.debugger.target import Target
from poolsleuth.model.errors import InputError

_LENGTH = re.compile(r"^(?P<start>.*?\S)\s+L\s*\??\s*(?P<count>\S+)\s*$", re.IGNORECASE | re.DOTALL)


def split_length(target: Target, text: str) -> tuple[int, int | None]:
    """Start, and the number of elements behind ``L`` (None without it). Raises InputError."""
    match = _LENGTH.match(text)
    if match is None:
        return address(target, text), None
    count = evaluate(target, match["count"])
    if not count:
        raise InputError("a length of 0 has nothing in it")
    return address(target, match["start"]), count
