"""``db``, ``dd``, ``dq``, ``dp``: memory as numbers; ``dps``, ``dds``, ``dqs``: as pointers with names.

What cannot be read is printed as question marks, as the debugger does.
"""

import re
from collections.abc import Callable

from poolsleuth.debugger.command import Command, Lines
from poolsleuth.debugger.ranges import split_length
from poolsleuth.debugger.target import Target, address_text
from poolsleuth.debugger.text import ascii_column

MAX_BYTES = 1 << 20  # of one command: 65,536 rows
_DEFAULT = 128  # bytes
_ROW = 16  # bytes
Rows = Callable[[Target, int, int, int], Lines]


def _run(target: Target, match: re.Match[str], rest: str) -> Lines:
    kind = match["kind"]
    width = {"b": 1, "d": 4, "q": 8, "p": target.kernel.pointer_size}[kind[0]]
    start, count = split_length(target, rest)
    size = (count or _DEFAULT // width) * width
    rows = _pointers if kind.endswith("s") else _numbers
    return _bounded(target, start, min(size, MAX_BYTES), width, cut=size > MAX_BYTES, rows=rows)


def _bounded(target: Target, start: int, size: int, width: int, *, cut: bool, rows: Rows) -> Lines:
    room = (1 << 8 * target.kernel.pointer_size) - start
    yield from rows(target, start, min(size, room), width)
    if cut:
        yield "..."
        yield f"*** one command prints {MAX_BYTES >> 10} KB; the next begins at {target.address(start + MAX_BYTES)}"


def _elements(target: Target, place: int, size: int, width: int) -> list[bytes | None]:
    """The elements of a row; None for each that cannot be read."""
    whole = target.kernel.memory.read(place, size)
    if whole is not None:
        return [whole[at : at + width] for at in range(0, size, width)]
    return [target.kernel.memory.read(place + at, width) for at in range(0, size, width)]


def _text(element: bytes | None, width: int) -> str:
    if element is None:
        return "????????`????????" if width == 8 else "?" * (2 * width)
    return address_text(int.from_bytes(element, "little"), width)


def _numbers(target: Target, start: int, size: int, width: int) -> Lines:
    for place in range(start, start + size, _ROW):
        length = min(_ROW, start + size - place)
        elements = _elements(target, place, length - length % width, width)
        texts = [_text(element, width) for element in elements]
        if width == 1:
            left = " ".join(texts[:8]) + ("-" + " ".join(texts[8:]) if len(texts) > 8 else "")
            right = "".join("?" if element is None else ascii_column(element) for element in elements)
            yield f"{target.address(place)}  {left:<47}  {right}"
        elif texts:
            yield f"{target.address(place)}  {' '.join(texts)}"


def _pointers(target: Target, start: int, size: int, width: int) -> Lines:
    for place in range(start, start + size - size % width, width):
        (element,) = _elements(target, place, width, width)
        name = None if element is None else target.names.text(int.from_bytes(element, "little"))
        yield f"{target.address(place)}  {_text(element, width)}{f' {name}' if name else ''}"


COMMANDS = (
    Command(
        re.compile(r"d(?P<kind>[bdqp]|[dpq]s)(?=\s|$)"),
        ("db", "dd", "dq", "dp", "dps", "dds", "dqs"),
        "db | dd | dq | dp | dps | dds | dqs ADDRESS [L n]",
        "memory as bytes, double words, quad words; with s as pointers with their names",
        _run,
    ),
)
