"""``!poolfind``: its headers, its rows, and the lists of blocks they make.

Its older form prints the rows of ``!pool``, so one reader (``pool.READER``) takes both commands: two readers that
claim the same rows would cut each other's outputs in pieces. Here is what a row says and what a search looks for.
"""

import re
from dataclasses import dataclass
from typing import NamedTuple

from poolsleuth.evidence.debugger_log.output import ADDRESS, Context, address_bits
from poolsleuth.model.facts import Where
from poolsleuth.model.pool import PoolBlock, PoolBlockList
from poolsleuth.model.tags import PoolKind

MAX_TAG = 4
_LONGEST_32 = 10  # digits of a 32-bit address with its 0x
MAX_FIRST = 64  # blocks that a list keeps as examples

_HEX = r"[0-9a-fA-F]{1,16}"
# A row of !pool and of the older !poolfind: " fa808a20 size:   18 previous size:  a20  (Allocated)  ReEv"
OLD_ROW = (
    rf"(?P<address>{ADDRESS})\s+size:\s*(?P<size>{_HEX})\s+previous\s+size:\s*(?P<previous>{_HEX})\s+"
    r"\((?P<state>[A-Za-z][A-Za-z ]{0,20})\)(?P<rest>[^\n]*)"
)
# A row of the newer !poolfind, such as "ffff830da0ce8010 : tag Proc, size     0xb70, Nonpaged pool"
NEW_ROW = (
    rf"(?P<found>{ADDRESS})\s*:\s*[Tt]ag[ ](?P<found_tag>[^\n]{{1,4}}?)[ ]*,\s*size\s+(?:0x)?(?P<found_size>{_HEX})"
    r"(?:\s*,\s*(?P<found_pool>[A-Za-z][A-Za-z -]{0,40}))?"
)
# The older form ends in "for Tag: SeSd (lo : hi)", the newer one in "for tag 0x636f7250 (Proc)"
HEADER = (
    r"(?:Scanning\s+large\s+pool\s+allocation\s+table|Searching\s+(?P<searched>[A-Za-z-]{3,12}(?:[ ][A-Za-z-]{3,12})?)"
    r"\s+pool\s*\([^)\n]{0,60}\))\s+for\s+[Tt]ag\b[:\s]{0,4}(?P<wanted>[^\n]{0,40})"
)
# The end of a search that was interrupted: "...terminating - searched pool to e1224000"
END = r"\.{0,3}[ ]?terminating\s+-\s+searched\s+pool\s+to"

# The same lines as openers: without groups, and no longer than it takes to be sure
OPENERS = (
    rf"(?:{ADDRESS})\s+size:\s*{_HEX}\s+previous\s+size:",
    rf"(?:{ADDRESS})\s*:\s*[Tt]ag[ ][^\n]{{1,4}}?[ ]*,\s*size\s",
    r"Scanning\s+large\s+pool\s+allocation\s+table\s+for\s+[Tt]ag",
    r"Searching\s+[A-Za-z-]{3,12}(?:[ ][A-Za-z-]{3,12})?\s+pool\s*\(",
)

_WRAPPED_TAG = re.compile(r"\n[ ]*(?P<tag>\*?\S[^\n]{0,3}?)[ \x1f]*(?=\n)")
_PROTECTED = re.compile(r"[ ]*\(Protected\)")
_PROCESS = re.compile(r"[ ]+Process:")
_COMMAND = re.compile(r"^!(?:\w{1,20}\.)?poolfind\s+(?P<arguments>[^\n]{1,200})")
_NAMED = re.compile(r"-tag\s+(?P<tag>\"[^\"\n]{1,4}\"|\S{1,10})")
_NUMBER = re.compile(r"0x([0-9a-fA-F]{8})\b")
_QUOTES = ("'", '"')
_POOLS = {"0": PoolKind.NONPAGED, "1": PoolKind.PAGED, "4": PoolKind.SESSION}


class Row(NamedTuple):
    """A row as read. ``picked`` when its tag is starred, not only its address: only ``!pool`` prints that."""

    address: int
    size: int
    previous: int | None
    free: bool | None
    tag: str
    protected: bool
    starred: bool
    picked: bool
    bits: int
    line: int

    def block(self, source: int) -> PoolBlock:
        """The row as a block of the input with that index."""
        return PoolBlock(
            address=self.address,
            size=self.size,
            previous_size=self.previous,
            free=self.free,
            tag=self.tag,
            protected=self.protected,
            where=Where(source, self.line),
            starred=self.starred,
        )


@dataclass(slots=True)
class Search:
    """What a ``!poolfind`` looks for, as far as its command or its headers say; ``line`` is the first header's."""

    tag: str | None
    pool: PoolKind | None
    line: int | None = None


class BlockCounts:
    """A list of blocks as counts of (tag, size, free); ``add`` does not check bounds, its caller does."""

    def __init__(self, tag_asked: str | None, pool: PoolKind | None, line: int, command: str | None) -> None:
        self.tag_asked = tag_asked
        self.pool = pool
        self.line = line
        self.command = command
        self.bits: int | None = None
        self.counts: dict[tuple[str, int, bool | None], int] = {}
        self.first: list[PoolBlock] = []
        self.terminated = False

    def add(self, row: Row, source: int) -> None:
        """Count a row, and keep it while it is among the first."""
        key = (row.tag, row.size, row.free)
        self.counts[key] = self.counts.get(key, 0) + 1
        if len(self.first) < MAX_FIRST:
            self.bits = self.bits or row.bits
            self.first.append(row.block(source))

    def fact(self, context: Context) -> PoolBlockList:
        """The list as a fact."""
        return PoolBlockList(
            where=Where(context.input, self.line),
            live=context.live,
            command=self.command,
            address_bits=self.bits,
            tag_asked=self.tag_asked,
            pool=self.pool,
            counts=tuple((*key, count) for key, count in self.counts.items()),
            first=tuple(self.first),
            terminated=self.terminated,
        )


def old_row(match: re.Match[str], text: str, line: int) -> Row:
    """The row of a match of ``OLD_ROW`` (with a group ``star`` before it) in ``text``."""
    star, printed, size, previous, state, rest = match.group("star", "address", "size", "previous", "state", "rest")
    rest = rest.strip(" \x1f")
    if not rest:
        wrapped = _WRAPPED_TAG.match(text, match.end())
        rest = wrapped.group("tag") if wrapped else ""
    row_star = bool(star)
    if len(rest) <= MAX_TAG and not rest.startswith("*"):  # nothing but the tag: nearly every row
        tag, protected, tag_star = rest, False, False
    else:
        tag, protected, tag_star = _tag(rest, starred=row_star)
    word = state[:5].lower()
    return Row(
        int(printed, 16),
        int(size, 16),
        int(previous, 16),
        False if word == "alloc" else True if word.startswith("free") else None,
        tag,
        protected,
        row_star or tag_star,
        tag_star,
        64 if len(printed) > _LONGEST_32 else address_bits(printed),
        line,
    )


def new_row(match: re.Match[str], line: int) -> Row:
    """The row of a match of ``NEW_ROW``: it does not print whether the block is free."""
    return Row(
        address=int(match.group("found"), 16),
        size=int(match.group("found_size"), 16),
        previous=None,
        free=None,
        tag=match.group("found_tag").strip(),
        protected=False,
        starred=False,
        picked=False,
        bits=address_bits(match.group("found")),
        line=line,
    )


def _tag(rest: str, *, starred: bool) -> tuple[str, bool, bool]:
    """Tag, whether it is protected, whether it is starred, of what stands behind the state."""
    protected = _PROTECTED.search(rest)
    if protected:
        rest = rest[: protected.start()]
    process = _PROCESS.search(rest)
    if process:
        rest = rest[: process.start()]
    # A star before four further characters is the mark of the block asked for; else it is a character of the tag
    star = rest.startswith("*") and (starred or len(rest.split()[0]) > MAX_TAG)
    if star:
        rest = rest[1:]
    tag = rest[:MAX_TAG]
    if len(rest) > MAX_TAG and rest[MAX_TAG] != " " and " " in tag.strip():
        tag = tag.split()[0]  # a short tag whose padding was lost, with somebody's remark behind it
    return tag.strip(), bool(protected), star


def pool_kind(text: str | None) -> PoolKind | None:
    """The pool that words such as "Nonpaged pool" or "Session pool" name; None for "Unknown"."""
    words = (text or "").lower().replace("-", "")
    if "session" in words:
        return PoolKind.SESSION
    if "nonpaged" in words:
        return PoolKind.NONPAGED
    return PoolKind.PAGED if "paged" in words else None


def wanted_tag(text: str) -> str | None:
    """The tag of a header's end: "SeSd (827d1000 : 827e9000)", "0x64536553 (SeSd) (lo : hi)", "'Irp?'"."""
    text = text.strip(" \x1f")
    number = _NUMBER.match(text)
    if number:
        # The number's bytes stand in memory order, the lowest first
        raw = int(number.group(1), 16).to_bytes(MAX_TAG, "little")
        return "".join(chr(byte) if 0x20 <= byte < 0x7F else "." for byte in raw).rstrip() or None
    if text.startswith(_QUOTES):
        text = text[1:].split(text[0])[0]
    return re.split(r"[ ]+\(", text)[0][:MAX_TAG].rstrip() or None


def search_of(command: str | None) -> Search | None:
    """The search that a command asks for: "!poolfind SeSd 1", "!poolfind -tag Proc -nonpaged", "* -nonpaged"."""
    match = _COMMAND.match(command or "")
    if match is None:
        return None
    arguments = match.group("arguments")
    named = _NAMED.search(arguments)
    words = arguments.split()
    tag = named.group("tag") if named else (words or ["*"])[0]
    pool = None
    for word in words:
        if word != tag:
            pool = pool or _POOLS.get(word) or (pool_kind(word) if word.startswith("-") else None)
    if tag == "*" or tag.startswith("-"):
        return Search(None, pool)
    return Search(wanted_tag(tag), pool)
