"""Blocks of variable size: subsegments of chunks, each with an encoded header that leads to the next.

The chains of all subsegments of a window advance together, one chunk each at a time. A header is encoded with its own
address and the key; it repeats the size of the chunk before it. An allocated chunk's block begins behind the header
with a pool header; a block that is smaller than a page never crosses one, and begins with the next page instead.
Verified on constructed heaps only.
"""

from dataclasses import dataclass

import numpy as np

from poolsleuth.kernel.address_space import PAGE
from poolsleuth.kernel.pool.blocks import Blocks, Kind, State
from poolsleuth.kernel.pool.segment_heap.big import BigIndex
from poolsleuth.kernel.pool.segment_heap.chunks import MAX_STATE, headers_of
from poolsleuth.kernel.pool.segment_heap.layout import HeapLayout
from poolsleuth.kernel.pool.segment_heap.parts import Flags, Numbers, Teller, Window, make_blocks, no_blocks
from poolsleuth.kernel.pool.segment_heap.vs_gaps import next_chunks

SIGNATURE_KEY = 0x2BED
HEADER_LIMIT = 0xFF0  # bytes of a chunk's content from which on it has no pool header, and stands in the big table
MAX_BYTES = 1 << 20  # of a subsegment: it says its size in 16 bits of 16 bytes; no more of a range is read
MAX_STEPS = 1 << 23  # of chains, in a whole walk: a window of 32 MB takes some hundreds, a hostile one 65,536
UNREAD_HEAD = "VS subsegments have a head in memory that cannot be read: their first blocks are missing"
GAPS = "times a chain of VS chunks leads into memory that cannot be read: blocks there are missing"


@dataclass(slots=True)
class Budget:
    """How many steps chains may still take."""

    steps: int


@dataclass(slots=True)
class Chains:
    """The chunks found so far, step by step: subsegment, offset in it, size (both in bytes), whether it is in use.

    ``counts`` is the number of chunks of each subsegment so far, ``ranks`` what it was before each chunk.
    """

    counts: Numbers
    ranks: list[Numbers]

    owners: list[Numbers]
    offsets: list[Numbers]
    sizes: list[Numbers]
    used: list[Flags]


def vs_blocks(window: Window, layout: HeapLayout, key: int, big: BigIndex, teller: Teller, budget: Budget) -> Blocks:
    """The blocks of all VS subsegments of a window. A block has tag 0 where its header cannot be read.

    A block's size reaches to the end of its chunk: that can be more than its header says, and never less. A free chunk
    is a block as a whole; chunks that are freed are joined with free neighbours, so that no tag is left.

    Chains end where the budget does: the walk ends there, too.
    """
    heads = window.readable[window.bases // PAGE]
    teller.count(UNREAD_HEAD, int((~heads).sum()))
    declared = window.halves_at(window.bases + layout.vs_size).astype(np.int64)
    signature = window.halves_at(window.bases + layout.vs_signature).astype(np.int64)
    signed = (declared ^ signature ^ SIGNATURE_KEY) & 0x7FFF == 0
    for address in window.addresses[heads & ~signed].tolist():
        teller.tell(f"the VS subsegment at 0x{address:x} has a wrong signature; its blocks are missing")
    chains = Chains(np.zeros(len(window.bases), np.int64), [], [], [], [], [])
    active = np.flatnonzero(heads & signed)
    offsets = np.full(len(active), layout.vs_first_chunk, np.int64)
    declared = np.where(heads, declared * layout.unit, -1)
    blind = np.flatnonzero(~heads)
    gaps = (blind, np.zeros(len(blind), np.int64))
    # Each round begins behind a page that cannot be read, so that there are no more rounds than pages
    while (len(active) or len(gaps[0])) and budget.steps > 0:
        budget.steps -= 1
        halted = _advance(window, layout, key, declared, active, offsets, chains, teller, budget)
        teller.count(GAPS, len(halted[0]))
        gaps = np.concatenate((gaps[0], halted[0])), np.concatenate((gaps[1], halted[1]))
        active, offsets = next_chunks(window, layout, key, *gaps)
        gaps = active[:0], active[:0]
    if not chains.owners:
        return no_blocks()
    return _blocks(window, layout, chains, big, teller)


def _at_end(offsets: Numbers, declared: Numbers, layout: HeapLayout) -> Flags:
    """Which offsets are where a subsegment says that it ends; whether its head counts is not known: both are an end."""
    ended: Flags = (offsets == declared) | (offsets == declared + layout.vs_first_chunk)
    return ended


def _advance(
    window: Window,
    layout: HeapLayout,
    key: int,
    declared: Numbers,
    active: Numbers,
    offsets: Numbers,
    chains: Chains,
    teller: Teller,
    budget: Budget,
) -> tuple[Numbers, Numbers]:
    """Follow the chains from these chunks on; which subsegments stop in front of a page that cannot be read, where."""
    before = np.full(len(active), -1, np.int64)
    halted: list[tuple[Numbers, Numbers]] = []
    whole = bool(window.readable.all())
    bases, addresses, lengths = window.bases[active], window.addresses[active], window.lengths[active]
    while len(active) and budget.steps > 0:
        budget.steps -= 1
        if not whole:
            there = window.readable[bases + offsets >> 12]
            if not there.all():
                # A chain that came to its end is not cut off: the page behind it may never have been there
                gap = ~there & ~_at_end(offsets, declared[active], layout)
                halted.append((active[gap], offsets[gap]))
                active, offsets, before = active[there], offsets[there], before[there]
                bases, addresses, lengths = bases[there], addresses[there], lengths[there]
        words = window.pointers_at(bases + offsets) ^ (addresses + offsets.view(np.uint64))
        header = headers_of(words, layout, key)
        size, state = header.size, header.state
        good = header.fit(lengths - offsets)
        odd = (header.previous != before) & (before >= 0)
        if odd.any() or not good.all():
            ended = _at_end(offsets, declared[active], layout) & (~good | odd)
            for at in np.flatnonzero((odd | ~good) & ~ended).tolist():
                where = int(addresses[at]) + int(offsets[at])
                teller.tell(_words(where, bool(good[at]), int(size[at]), int(state[at])))
            good &= ~ended
            active, offsets, size, state = active[good], offsets[good], size[good], state[good]
            bases, addresses, lengths = bases[good], addresses[good], lengths[good]
        chains.ranks.append(chains.counts[active])
        chains.counts[active] += 1
        chains.owners.append(active)
        chains.offsets.append(offsets)
        chains.sizes.append(size)
        chains.used.append(state == 1)
        offsets, before = offsets + size, size
        more = offsets < lengths
        if not more.all():
            active, offsets, before = active[more], offsets[more], before[more]
            bases, addresses, lengths = bases[more], addresses[more], lengths[more]
    if not halted:
        none = np.empty(0, np.int64)
        return none, none
    return np.concatenate([part[0] for part in halted]), np.concatenate([part[1] for part in halted])


def _words(address: int, good: bool, size: int, state: int) -> str:
    if good:
        return f"the VS chunk at 0x{address:x} has a previous size that is not the size of the chunk in front of it"
    if size == 0:
        return f"the VS chunk at 0x{address:x} has size 0: the rest of its subsegment is missing"
    if state > MAX_STATE:
        return f"the header of the VS chunk at 0x{address:x} makes no sense: the rest of its subsegment is missing"
    return f"the VS chunk at 0x{address:x} would end behind its subsegment, the rest of which is missing"


def _blocks(window: Window, layout: HeapLayout, chains: Chains, big: BigIndex, teller: Teller) -> Blocks:
    owner, chunk = np.concatenate(chains.owners), np.concatenate(chains.offsets)
    size, used = np.concatenate(chains.sizes), np.concatenate(chains.used)
    # In the order of subsegments, and of chunks in each: what sorting would give, in a fraction of the time
    order = np.empty(len(owner), np.int64)
    order[(np.cumsum(chains.counts) - chains.counts)[owner] + np.concatenate(chains.ranks)] = np.arange(len(owner))
    owner, chunk, size, used = owner[order], chunk[order], size[order], used[order]
    content = chunk + layout.chunk_header
    length = size - layout.chunk_header
    large = length >= HEADER_LIMIT
    crossing = (content & PAGE - 1) + length > PAGE
    at_page = content + PAGE - 1 & -PAGE
    end = chunk + size
    # Without a page boundary inside (a chunk of a header only) there is nothing to move to
    begin = np.where(used & (crossing | large) & (at_page < end), at_page, content)
    place = np.where(used, begin, chunk)
    addresses = window.addresses[owner] + place.astype(np.uint64)
    headed = used & ~large & (place + layout.unit <= end)
    tags = _tags(window, layout, owner, place, headed)
    wide = np.flatnonzero(used & large)
    if len(wide):
        found = big.claim(addresses[wide])
        # A page-sized chunk may only be the room around a smaller block: then that one's header must fit
        none = wide[found == 0]
        tags[wide] = found
        fits = _fitting(window, layout, owner[none], place[none], end[none])
        tags[none] = np.where(fits, _tags(window, layout, owner[none], place[none], fits), np.uint32(0))
        teller.count("VS blocks of a page or more stand in no table of big allocations", int((~fits).sum()))
    states = np.where(used, np.uint8(State.ALLOCATED), np.uint8(State.FREE))
    return make_blocks(addresses, end - place, tags, window.pools[owner], states, Kind.VS)


def _tags(
    window: Window, layout: HeapLayout, owner: Numbers, place: Numbers, headed: Flags
) -> "np.ndarray[tuple[int], np.dtype[np.uint32]]":
    at = np.where(headed, window.bases[owner] + place, 0)
    read = headed & window.readable[at >> 12]
    return np.where(read, window.words_at(at + layout.tag), np.uint32(0))


def _fitting(window: Window, layout: HeapLayout, owner: Numbers, place: Numbers, end: Numbers) -> Flags:
    """Whether a pool header that can be right stands there: in use, and no longer than the room."""
    at = window.bases[owner] + np.minimum(place, end - layout.unit)
    word = window.words_at(at).astype(np.int64)
    size, kind = (word >> 16 & 0xFF) * layout.unit, word >> 24
    fits: Flags = window.readable[at >> 12] & (size > 0) & (place + size <= end) & (kind & 2 == 2)
    return fits
