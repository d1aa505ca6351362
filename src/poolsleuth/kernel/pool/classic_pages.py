"""Pages of the classic pool (Windows XP to 10 1803): the chains of block headers of many pages decoded at once.

A page begins with a header whose previous size is 0; each header leads to the next, which repeats the size of the one
before, and the last block ends with the page. Sizes are in units of 8 bytes (x86) or 16 (x64). The header, from public
symbol files: previous size and pool index, then block size and pool type, each pair in 16 bits (9 and 7 bits on x86, 8
and 8 on x64), then the tag in 32 bits.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from poolsleuth.kernel.address_space import PAGE
from poolsleuth.kernel.pool.blocks import BLOCK, Blocks, BrokenChain, Kind, Pool, Rule, State

VISTA = 6000  # build from which on a bit of its own says that a block is in use
MIN_GOOD_BLOCKS = 3  # headers that agree before a page is believed to be one of the pool with a broken chain
MAX_BROKEN = 1000  # broken chains told: more of them help nobody

_IN_USE = 0x02  # of the pool type, from Vista on
_SESSION = 0x20
_PROTECTED = np.uint32(0x8000_0000)
_WORDS = PAGE // 8

Flags = NDArray[np.bool_]
Numbers = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class HeaderForm:
    """How a header is packed: ``words`` of 8 bytes are one unit, ``bits`` of the first half word are the sizes."""

    words: int
    bits: int

    @property
    def units(self) -> int:
        """Units of a page."""
        return _WORDS // self.words


X86, X64 = HeaderForm(1, 9), HeaderForm(2, 8)


@dataclass(frozen=True, slots=True)
class ClassicPages:
    """What a number of pages hold. ``blocks`` are those of pages whose chain closes, in the order of their addresses.

    ``closed`` says of each page whether its chain closes; ``broken`` are pages of the pool whose chain does not.
    """

    blocks: Blocks
    closed: Flags
    broken: tuple[BrokenChain, ...]


def form_of(pointer_size: int) -> HeaderForm:
    """The form of headers on x86 (pointers of 4 bytes) or x64."""
    return X86 if pointer_size == 4 else X64


def may_begin_page(first_words: NDArray[np.uint64], form: HeaderForm) -> Flags:
    """Whether the first 8 bytes of a page can be a header at the start of a pool page: a quick test, often wrong."""
    previous, size, _kind = _parts(first_words, form)
    found: Flags = (previous == 0) & (size > 0) & (size < form.units)
    return found


def decode_pages(rows: NDArray[np.uint8], addresses: NDArray[np.uint64], form: HeaderForm, build: int) -> ClassicPages:
    """Decode pages (``rows`` of 4096 bytes) that lie at ``addresses``. Any bytes give an answer.

    All chains advance together, one header each at a time, so that a page costs no Python at all.
    """
    words = np.ascontiguousarray(rows).view("<u8").reshape(-1)
    count = len(rows)
    closed = np.zeros(count, np.bool_)
    active = np.arange(count, dtype=np.int64)
    offsets = np.zeros(count, np.int64)
    before = np.zeros(count, np.int64)
    pages: list[Numbers] = []
    places: list[Numbers] = []
    headers: list[NDArray[np.uint64]] = []
    broken: list[BrokenChain] = []
    for step in range(form.units):
        header = words[active * _WORDS + offsets * form.words]
        previous, size, _kind = _parts(header, form)
        good = (previous == before) & (size > 0) & (offsets + size <= form.units)
        if step >= MIN_GOOD_BLOCKS and not good.all():
            broken += _broken(~good, active, offsets, before, addresses, previous, size, form, step)
        active, offsets, size, header = active[good], offsets[good], size[good], header[good]
        pages.append(active)
        places.append(offsets)
        headers.append(header)
        offsets = offsets + size
        done = offsets == form.units
        closed[active[done]] = True
        active, offsets, before = active[~done], offsets[~done], size[~done]
        if not len(active):
            break
    blocks = _blocks(pages, places, headers, closed, addresses, form, build)
    return ClassicPages(blocks, closed, tuple(broken[:MAX_BROKEN]))


def _parts(header: NDArray[np.uint64], form: HeaderForm) -> tuple[Numbers, Numbers, Numbers]:
    """Previous size, block size (both in units) and pool type of headers."""
    low = header.astype(np.uint32).astype(np.int64)
    mask = (1 << form.bits) - 1
    return low & mask, low >> 16 & mask, low >> 16 + form.bits


def _broken(
    bad: Flags,
    active: Numbers,
    offsets: Numbers,
    before: Numbers,
    addresses: NDArray[np.uint64],
    previous: Numbers,
    size: Numbers,
    form: HeaderForm,
    step: int,
) -> list[BrokenChain]:
    found = []
    for at in np.flatnonzero(bad)[:MAX_BROKEN].tolist():
        if previous[at] != before[at]:
            rule = Rule.PREVIOUS_SIZE
        elif size[at] == 0:
            rule = Rule.SIZE_ZERO
        else:
            rule = Rule.SIZE_TOO_LARGE
        place = int(addresses[active[at]]) + int(offsets[at]) * form.words * 8
        found.append(BrokenChain(place, rule, step))
    return found


def _blocks(
    pages: list[Numbers],
    places: list[Numbers],
    headers: list[NDArray[np.uint64]],
    closed: Flags,
    addresses: NDArray[np.uint64],
    form: HeaderForm,
    build: int,
) -> Blocks:
    page, place, header = np.concatenate(pages), np.concatenate(places), np.concatenate(headers)
    kept = closed[page]
    page, place, header = page[kept], place[kept], header[kept]
    order = np.argsort(page * form.units + place, kind="stable")
    page, place, header = page[order], place[order], header[order]
    _previous, size, kind = _parts(header, form)
    blocks = np.empty(len(page), BLOCK)
    blocks["address"] = addresses[page] + (place * form.words * 8).astype(np.uint64)
    blocks["size"] = size * form.words * 8
    tags = (header >> np.uint64(32)).astype(np.uint32)
    blocks["tag"] = tags & ~_PROTECTED
    blocks["protected"] = (tags & _PROTECTED) != 0
    blocks["kind"] = Kind.CLASSIC
    used, pool = _state(kind, build)
    blocks["state"] = np.where(used, int(State.ALLOCATED), int(State.FREE))
    blocks["pool"] = _pool_of_pages(page, used, pool)
    return blocks


def _state(kind: Numbers, build: int) -> tuple[Flags, NDArray[np.uint8]]:
    """Whether blocks are in use, and their pool as far as the pool type of a block in use says it."""
    if build < VISTA:
        used = kind != 0
        paged, session = used & (kind & 1 == 0), used & ((kind - 1) & _SESSION != 0)
    else:
        used = kind & _IN_USE != 0
        paged, session = kind & 1 != 0, kind & _SESSION != 0
    pool = np.where(session, int(Pool.SESSION), np.where(paged, int(Pool.PAGED), int(Pool.NONPAGED))).astype(np.uint8)
    return used, pool


def _pool_of_pages(page: Numbers, used: Flags, pool: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The pool of each block: a page belongs to one pool, and a free block does not say it itself.

    Of a page without any block in use, or whose blocks contradict each other, the pool is not known.
    """
    if not len(page):
        return pool
    starts = np.flatnonzero(np.concatenate(([True], page[1:] != page[:-1])))
    counts = np.diff(np.append(starts, len(page)))
    lowest = np.minimum.reduceat(np.where(used, pool, 255), starts)
    highest = np.maximum.reduceat(np.where(used, pool, 0), starts)
    known = np.where(lowest == highest, lowest, int(Pool.UNKNOWN)).astype(np.uint8)
    return np.repeat(known, counts)
