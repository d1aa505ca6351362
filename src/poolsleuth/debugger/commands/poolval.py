"""``!poolval``: whether the headers of a pool page make sense, and which one does not.

A page of the classic pool is a chain: each header says how large its block is, and repeats the size of the block before
it; the chain ends with the page. Sizes are printed in units, as they stand in the headers.
"""

import re
from dataclasses import dataclass

import numpy as np

from poolsleuth.debugger.command import Command, Lines
from poolsleuth.debugger.commands.pool import big_allocation, segment_blocks
from poolsleuth.debugger.expressions import address
from poolsleuth.debugger.pool_names import REGIONS
from poolsleuth.debugger.target import Target
from poolsleuth.debugger.text import printable
from poolsleuth.kernel.absence import Absence
from poolsleuth.kernel.address_space import PAGE
from poolsleuth.kernel.pool.blocks import Pool
from poolsleuth.kernel.pool.classic_pages import HeaderForm, decode_pages, form_of
from poolsleuth.kernel.pool.classic_walk import has_classic_pool

MAX_ERRORS = 20  # of one page that are printed
_BITS = 32  # of a header that are sizes, index and type


@dataclass(frozen=True, slots=True)
class _Header:
    previous: int
    size: int


class _Page:
    """The headers of one page, in units from its start."""

    def __init__(self, raw: bytes, form: HeaderForm) -> None:
        self.raw, self.form = raw, form
        self.units, self.unit = form.units, form.words * 8

    def header(self, at: int, raw: bytes | None = None) -> _Header:
        place = at * self.unit
        low = int.from_bytes((raw or self.raw)[place : place + 4], "little")
        mask = (1 << self.form.bits) - 1
        return _Header(low & mask, low >> 16 & mask)

    def closes(self, at: int, previous: int, raw: bytes | None = None) -> bool:
        """Whether the chain from here on is right up to the end of the page."""
        while at < self.units:
            header = self.header(at, raw)
            if header.previous != previous or not header.size or at + header.size > self.units:
                return False
            at, previous = at + header.size, header.size
        return at == self.units

    def errors(self) -> list[tuple[int, str]]:
        """Where a header is wrong, and what is wrong with it."""
        found: list[tuple[int, str]] = []
        at = previous = 0
        while at < self.units and len(found) < MAX_ERRORS:
            header = self.header(at)
            if header.previous != previous:
                found.append((at, f"invalid previous size [ 0x{header.previous:x} ] should be [ 0x{previous:x} ]"))
            if not header.size or at + header.size > self.units or self._is_no_header(at, header):
                following = self._next(at)
                right = "" if following is None else f" should be [ 0x{following - at:x} ]"
                found.append((at, f"invalid block size [ 0x{header.size:x} ]{right}"))
                if following is None:
                    break
                at, previous = following, following - at
                continue
            at, previous = at + header.size, header.size
        return found

    def _is_no_header(self, at: int, header: _Header) -> bool:
        """Whether this size leads into the middle of a block: another one leads to a chain that closes."""
        end = at + header.size
        if end == self.units or self.header(end).previous == header.size:
            return False
        following = self._next(at)
        return following is not None and following != end

    def _next(self, at: int) -> int | None:
        """The next header after a bad one: the first from which on the chain closes, and which points back to it."""
        for place in range(at + 1, self.units):
            if self.closes(place, place - at):
                return place
        return None

    def single_bits(self) -> list[tuple[int, int]]:
        """Bits of headers (their place, and the number) that, changed back, make the whole chain right."""
        found = []
        for at in sorted({at for at, _ in self.errors()}):
            for bit in range(_BITS):
                raw = bytearray(self.raw)
                raw[at * self.unit + bit // 8] ^= 1 << bit % 8
                if self.closes(0, 0, bytes(raw)):
                    found.append((at, bit))
        return found


def _run(target: Target, _match: re.Match[str], rest: str) -> Lines:
    words = rest.split()
    if len(words) == 2 and re.fullmatch(r"[0-3]", words[1]):
        return _lines(target, address(target, words[0]), levels=words[1] != "0")
    return _lines(target, address(target, rest), levels=False)


def _lines(target: Target, place: int, *, levels: bool) -> Lines:
    page = place & ~(PAGE - 1)
    big = big_allocation(target, place)
    raw = target.kernel.memory.space.read(page, PAGE)
    if big is not None:
        yield f"Pool page {target.plain(place)} region is {big[3]}"
        yield f"*** a large allocation of 0x{big[1]:x} bytes from {target.plain(big[0])} on has no headers to look at"
        return
    if isinstance(raw, Absence):
        yield f"Pool page {target.plain(place)} region is Unknown"
        yield f"Address {target.plain(page)} could not be read. It may be a freed, invalid or paged out page"
        yield f"*** the page is {raw.says}"
        return
    if not has_classic_pool(target.kernel):
        yield from _segment(target, place)
        return
    form = form_of(target.kernel.pointer_size)
    rows = np.frombuffer(raw, np.uint8).reshape(1, PAGE)
    blocks = decode_pages(rows, np.array([page], np.uint64), form, target.kernel.build).blocks
    region = REGIONS[Pool(int(blocks["pool"][0]))] if len(blocks) else "Unknown"
    yield f"Pool page {target.plain(place)} region is {region}"
    yield ""
    yield f"Validating Pool headers for pool page: {target.plain(place)}"
    yield ""
    one = _Page(raw, form)
    errors = one.errors()
    old = target.kernel.build < 6000
    verdict = ("__VALID" if old else "VALID") if not errors else ("__inVALID" if old else "INVALID")
    yield f"Pool page [ {target.plain(page)} ] is {verdict}."
    if errors:
        yield ""
        yield "Analyzing linked list..."
        for at, says in errors:
            yield f"[ {target.plain(page + at * one.unit)} ]: {says}"
        yield ""
        yield "Scanning for single bit errors..."
        yield ""
        bits = one.single_bits()
        for at, bit in bits:
            yield f"bit {bit} of the header at {target.plain(page + at * one.unit)} alone explains it"
        if not bits:
            yield "None found"
    if levels:
        yield ""
        yield "*** the headers themselves are not printed here: !pool shows them"


def _segment(target: Target, place: int) -> Lines:
    """Pages of the segment heap: what they hold is known only from the heap that made them."""
    page = place & ~(PAGE - 1)
    blocks, says = segment_blocks(target, place)
    region = "Unknown" if not len(blocks) else REGIONS[Pool(int(blocks["pool"][0]))]
    yield f"Pool page {target.plain(place)} region is {region}"
    yield ""
    if len(blocks) and not says:
        yield f"Pool page [ {target.plain(page)} ] is VALID."
        yield f"*** {len(blocks)} blocks of the heap lie in it, and their structures agree"
        return
    yield "*** no heap of the pool has blocks in this page" if not len(blocks) else "*** its heap has damage somewhere"
    for sentence in says:
        yield f"*** {printable(sentence)}"


COMMANDS = (
    Command(
        re.compile(r"!poolval\b"),
        ("!poolval",),
        "!poolval ADDRESS",
        "whether the headers of a pool page make sense, and which one does not",
        _run,
    ),
)
