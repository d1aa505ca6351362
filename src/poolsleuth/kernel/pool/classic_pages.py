"""Pages of the classic pool (Windows XP to 10 1803): the chains of block headers of many pages decoded at once.

A page begins with a header whose previous size is 0; each header leads to the next, which repeats the size of the one
before, and the last block ends with the page. Sizes are in units of 8 bytes (x86) or 16 (x64). The header, from public
symbol files: previous size and pool index, then block size and pool type, each pair in 16 bits (9 and 7 bits on x86, 8
and 8 on x64), then the tag in 32 bits.
"""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from poolsleuth.kernel.address_space import PAGE
from poolsleuth.kernel.pool.blocks import BLOCK, Blocks, BrokenChain, Kind, Pool, Rule, State
from poolsleuth.kernel.pool.chain_damage import MAX_EXAMINED, Damage, examine
from poolsleuth.kernel.pool.free_list_check import LINK, Links, no_links
from poolsleuth.kernel.pool.quota import CHARGE, QUOTA, Charges, PayerCode, no_charges

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
    ``charges`` are the blocks in use that a process pays for, where it was asked how that is read; ``links`` are those
    of free blocks, where they were asked for.
    """

    blocks: Blocks
    closed: Flags
    broken: tuple[BrokenChain, ...]
    charges: Charges = field(default_factory=no_charges)
    links: Links = field(default_factory=no_links)


def form_of(pointer_size: int) -> HeaderForm:
    """The form of headers on x86 (pointers of 4 bytes) or x64."""
    return X86 if pointer_size == 4 else X64


def may_begin_page(first_words: NDArray[np.uint64], form: HeaderForm) -> Flags:
    """Whether the first 8 bytes of a page can be a header at the start of a pool page: a quick test, often wrong."""
    previous, size, _kind = _parts(first_words, form)
    found: Flags = (previous == 0) & (size > 0) & (size < form.units)
    return found


def decode_pages(
    rows: NDArray[np.uint8],
    addresses: NDArray[np.uint64],
    form: HeaderForm,
    build: int,
    payers: PayerCode | None = None,
    *,
    with_links: bool = False,
    examined: int = MAX_EXAMINED,
) -> ClassicPages:
    """Decode pages (``rows`` of 4096 bytes) that lie at ``addresses``. Any bytes give an answer.

    All chains advance together, one header each at a time, so that a page costs no Python at all. ``examined`` is how
    many broken ones are looked into for what happened to them: that takes some milliseconds for each.
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
            for at in np.flatnonzero(~good)[: MAX_BROKEN - len(broken)].tolist():
                where = _Break(int(active[at]), int(offsets[at]), int(before[at]), step)
                broken.append(_broken(words, addresses, where, form, examined=len(broken) < examined))
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
    page, place, header = _of_closed(pages, places, headers, closed, form)
    blocks = _blocks(page, place, header, addresses, form, build)
    charges = no_charges() if payers is None else _charges(words, blocks, page, place, header, form, build, payers)
    links = _links(words, blocks, page, place, form) if with_links else no_links()
    return ClassicPages(blocks, closed, tuple(broken[:MAX_BROKEN]), charges, links)


def _parts(header: NDArray[np.uint64], form: HeaderForm) -> tuple[Numbers, Numbers, Numbers]:
    """Previous size, block size (both in units) and pool type of headers."""
    low = header.astype(np.uint32).astype(np.int64)
    mask = (1 << form.bits) - 1
    return low & mask, low >> 16 & mask, low >> 16 + form.bits


@dataclass(frozen=True, slots=True)
class _Break:
    """Where a chain broke: page, units from its start, units of the block in front, and good blocks in front."""

    page: int
    unit: int
    before: int
    blocks: int


def _broken(
    words: NDArray[np.uint64], addresses: NDArray[np.uint64], at: _Break, form: HeaderForm, *, examined: bool
) -> BrokenChain:
    page = words[at.page * _WORDS : (at.page + 1) * _WORDS : form.words]
    previous, size, _kind = _parts(page, form)
    if examined:
        damage = examine(list(zip(previous.tolist(), size.tolist(), strict=True)), at.unit, at.before)
    elif int(previous[at.unit]) != at.before:
        damage = Damage(at.unit, Rule.PREVIOUS_SIZE)
    else:
        damage = Damage(at.unit, Rule.SIZE_TOO_LARGE if int(size[at.unit]) else Rule.SIZE_ZERO)
    # Where the block in front has the wrong size it is itself the damaged one, and the one before it is in front
    in_front = damage.unit - (at.before if damage.unit == at.unit else int(previous[damage.unit]))
    unit, start = 8 * form.words, int(addresses[at.page])
    known = 0 <= in_front < damage.unit
    return BrokenChain(
        address=start + damage.unit * unit,
        rule=damage.rule,
        blocks=at.blocks if damage.unit == at.unit else at.blocks - 1,
        front=start + in_front * unit if known else None,
        front_tag=int(page[in_front] >> np.uint64(32)) & ~int(_PROTECTED) if known else None,
        tag=int(page[damage.unit] >> np.uint64(32)) & ~int(_PROTECTED),
    )


def _of_closed(
    pages: list[Numbers], places: list[Numbers], headers: list[NDArray[np.uint64]], closed: Flags, form: HeaderForm
) -> tuple[Numbers, Numbers, NDArray[np.uint64]]:
    """Page, place in it and header of the blocks of pages whose chain closes, in the order of their addresses."""
    page, place, header = np.concatenate(pages), np.concatenate(places), np.concatenate(headers)
    kept = closed[page]
    page, place, header = page[kept], place[kept], header[kept]
    order = np.argsort(page * form.units + place, kind="stable")
    return page[order], place[order], header[order]


def _charges(
    words: NDArray[np.uint64],
    blocks: Blocks,
    page: Numbers,
    place: Numbers,
    header: NDArray[np.uint64],
    form: HeaderForm,
    build: int,
    payers: PayerCode,
) -> Charges:
    """The blocks in use that a process pays for."""
    _previous, size, kind = _parts(header, form)
    asked = kind if build >= VISTA else kind - 1
    paid = (blocks["state"] == State.ALLOCATED) & (asked & QUOTA != 0) & (size > 1)
    at = np.flatnonzero(paid)
    if not len(at):
        return no_charges()
    own = page[at] * _WORDS + place[at] * form.words
    # x64: the second word of the header. x86: the last pointer of the block, the upper half of its last word
    raw = words[own + 1] if form.words == 2 else words[own + size[at] - 1] >> np.uint64(32)
    found = np.empty(len(at), CHARGE)
    for name in ("address", "size", "tag", "pool"):
        found[name] = blocks[name][at]
    found["process"] = payers.processes(raw, found["address"])
    return found


def _links(words: NDArray[np.uint64], blocks: Blocks, page: Numbers, place: Numbers, form: HeaderForm) -> Links:
    """The links of free blocks that have room for them."""
    unit = 8 * form.words
    at = np.flatnonzero((blocks["state"] == State.FREE) & (blocks["size"] > unit))
    first = page[at] * _WORDS + (place[at] + 1) * form.words
    found = np.empty(len(at), LINK)
    found["node"] = blocks["address"][at] + np.uint64(unit)
    if form.words == 2:
        found["ahead"], found["back"] = words[first], words[first + 1]
    else:
        found["ahead"], found["back"] = words[first] & np.uint64(0xFFFF_FFFF), words[first] >> np.uint64(32)
    return found


def _blocks(
    page: Numbers,
    place: Numbers,
    header: NDArray[np.uint64],
    addresses: NDArray[np.uint64],
    form: HeaderForm,
    build: int,
) -> Blocks:
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
