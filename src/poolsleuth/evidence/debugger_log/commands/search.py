"""``s-d``, ``s-q``, ``s -a`` and the same over all modules: where a value or a text stands in memory.

The dumps of ``dc`` and ``db`` print the same rows: a row is a hit when no dump command stands before it and the
rows do not simply follow one another.
"""

import re
from collections.abc import Iterable
from itertools import pairwise

from poolsleuth.evidence.debugger_log.output import ADDRESS, Block, BufferedOutput, Context, Output, address_bits
from poolsleuth.model.facts import Fact, Problem
from poolsleuth.model.modules import MemoryHit

MAX_HITS = 10_000
_ROW_BYTES = 16

_WORD = r"[0-9a-fA-F]{8}"
_QUAD = r"[0-9a-fA-F]{16}"
_BYTE = r"[0-9a-fA-F]{2}"
_DWORDS = rf"(?:{_WORD}[ ]{{1,4}}){{3}}{_WORD}"
_QUADS = rf"{_QUAD}[ ]{{1,4}}{_QUAD}"
_BYTES = rf"(?:{_BYTE}[ ]{{1,3}}){{7}}{_BYTE}[ ]?-[ ]?(?:{_BYTE}[ ]{{1,3}}){{7}}{_BYTE}"
_ROW = re.compile(
    rf"^[ ]*+(?P<address>{ADDRESS})[ ]{{1,8}}(?:(?P<bytes>{_BYTES})|(?P<dwords>{_DWORDS})|(?P<quads>{_QUADS}))"
    r"(?![0-9a-fA-F])(?:[ ]{0,8}\x1f?\n?[ ]{1,8}(?P<text>(?!(?:[0-9a-fA-F]{8}){1,2}[ ])[^\n]{1,200}))?",
    re.MULTILINE,
)
_PATTERN = (
    r"\bs[ ]{0,3}(?:-[ ]?(?:\[[^\]\n]{0,8}\])?(?:[abduqw]|sa|su)\b)?[ ]+(?P<start>\S{1,60})[ ]+"
    r"(?:L[ ]?\?[ ]?\S{1,40}|\S{1,60})[ ]+(?P<what>[^\n]{1,200})"
)
_COMMAND = re.compile(_PATTERN)
_COMMAND_LINE = re.compile(rf"^[ ]*+(?:!for_each_module[ ]+)?{_PATTERN}", re.MULTILINE)
_DUMP = re.compile(r"^!?d[abcdqwyu]?[bcdqw]?\b")
_PRINTABLE = range(0x20, 0x7F)


class _Hits(BufferedOutput):
    def parse(self, block: Block) -> Iterable[Fact]:
        """One fact for each hit."""
        command = block.context.command or ""
        if block.context.user_mode or _DUMP.match(command):
            return
        searched = _searched(block)
        rows = [row for row in _ROW.finditer(block.text) if _believable(row)]
        addresses = [int(row.group("address"), 16) for row in rows]
        if searched is None and _is_dump(addresses):
            return
        for count, (row, address) in enumerate(zip(rows, addresses, strict=True)):
            if count >= MAX_HITS:
                self.context.problems.append(
                    Problem(f"a memory search with more than {MAX_HITS} hits is cut", block.where(row.start()))
                )
                return
            yield MemoryHit(
                where=block.where(row.start()),
                live=block.context.live,
                command=block.context.command,
                address_bits=address_bits(row.group("address")),
                address=address,
                values=tuple(int(value, 16) for value in (row.group("dwords") or row.group("quads") or "").split()),
                text=_text(row),
                searched=searched,
            )


def _searched(block: Block) -> str | None:
    match = _COMMAND.search(block.context.command or "") or _COMMAND_LINE.match(block.text)
    if match is None:
        return None
    what = match.group("what").strip(" \x1f")
    quoted = re.match(r'"([^"]*)"?', what)
    if quoted:
        return quoted.group(1)
    return re.split(r"[ ]*[;}\"]", what)[0].strip() or None


def _memory(row: re.Match[str]) -> bytes:
    """The bytes of a row in memory order."""
    if row.group("bytes"):
        return bytes.fromhex(row.group("bytes").replace("-", " "))
    values = (row.group("dwords") or row.group("quads")).split()
    return b"".join(bytes.fromhex(value)[::-1] for value in values)


def _expected(row: re.Match[str]) -> str:
    return "".join(chr(byte) if byte in _PRINTABLE else "." for byte in _memory(row))


def _believable(row: re.Match[str]) -> bool:
    """Whether the ASCII column says what the numbers say: rows of call stacks have the same shape up to there."""
    printed = row.group("text")
    if printed is None:
        return row.group("quads") is not None
    return printed.replace(" ", "").startswith(_expected(row).replace(" ", ""))


def _text(row: re.Match[str]) -> str:
    """The ASCII column, its blanks restored from the numbers, without a remark behind it."""
    return _expected(row) if row.group("text") is not None else ""


def _is_dump(addresses: list[int]) -> bool:
    """Whether the rows simply follow one another, as those of a memory dump do."""
    steps = sum(after - before == _ROW_BYTES for before, after in pairwise(addresses))
    return len(addresses) > 1 and steps * 2 >= len(addresses) - 1


_END = r"[ \x1f]*(?:\n|\Z)"
# In the first characters of an ASCII column of kernel addresses there is always a dot; call stacks have none there
_ASCII = r"[ ]{1,8}(?=[^\n]{0,15}\.)(?![^\n]{0,40}\+0x)"


class _Reader:
    name = "s"
    banners = (r"(?:!for_each_module[ ]+)?s[ ]?-[ ]?(?:[abduqw]|sa|su)[ ]+(?:@#Base|\S{1,60}[ ]+L)",)
    rows = (
        rf"(?:{ADDRESS})[ ]{{1,8}}{_BYTES}[ ]{{1,8}}\S",
        rf"(?:{ADDRESS})[ ]{{1,8}}{_DWORDS}{_ASCII}",
        rf"{_QUAD}[ ]{{1,8}}{_QUADS}{_ASCII}",
        # s-q prints no ASCII; lists of threads print the same numbers with other gaps
        rf"{_QUAD}[ ][ ]{_QUAD}[ ]{_QUAD}{_END}",
    )

    def open(self, context: Context) -> Output:
        """Begin the hits of a search."""
        return _Hits(context)


READER = _Reader()
