"""Finds the pages of the classic pool in a kernel's address space, and gives their blocks in parts.

No symbol is needed: of every page that is mapped in the kernel's half the first header is looked at, and those that may
begin a page of the pool are decoded; a chain of headers that closes exactly at the end of its page is no accident. Big
pages have no headers: they stand in the table of big pages.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from poolsleuth.kernel.address_space import PAGE
from poolsleuth.kernel.paging.space import VirtualMemory
from poolsleuth.kernel.pool.blocks import BLOCK, Blocks, BrokenChain, State
from poolsleuth.kernel.pool.chain_damage import MAX_EXAMINED
from poolsleuth.kernel.pool.classic_pages import ClassicPages, decode_pages, form_of, may_begin_page
from poolsleuth.kernel.pool.free_list_check import Links, no_links
from poolsleuth.kernel.pool.quota import Charges, PayerCode, no_charges, payer_code
from poolsleuth.kernel.pool.walk_budget import WalkBudget
from poolsleuth.kernel.target import Kernel

MAX_PAGES = 1 << 28  # mapped pages looked at: 1 TB of kernel memory
PAGES_AT_ONCE = 1024  # decoded together: 4 MB of pages stay in the processor's cache
MAX_BLOCKS_AT_ONCE = 1 << 20  # blocks of one part, about: 27 MB, and several times as much where they are sorted
SEGMENT_HEAP = 18362  # build from which on the pool has another allocator
_SWITCHABLE = 17763  # in this build a variable says which one is in use

_RANGES = {4: (0x8000_0000, 0xFFFF_FFFF), 8: (0xFFFF_8000_0000_0000, 0xFFFF_FFFF_FFFF_FFFF)}


@dataclass(frozen=True, slots=True)
class WalkPart:
    """Blocks of consecutive pages, and how many of their pages were mapped and readable, and had a chain that closes.

    ``unreadable`` counts mapped pages that are not in the dump. ``stopped`` is a sentence in the last part of a walk
    that reached a bound; else None.
    """

    blocks: Blocks
    mapped: int
    pool_pages: int
    unreadable: int
    broken: tuple[BrokenChain, ...]
    stopped: str | None = None


def _no_pages() -> NDArray[np.uint64]:
    return np.empty(0, np.uint64)


def _no_numbers() -> NDArray[np.int64]:
    return np.empty(0, np.int64)


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassicPart(WalkPart):
    """A part of a walk through the classic pool.

    ``session`` is the number of the session whose memory it is, None for the system's: the addresses of two sessions
    are the same (from ``sessions.MAX_NUMBER`` on the session's own number is not known). ``absent`` are the numbers of
    pages that are mapped but cannot be read, and ``absences`` says why (``Absence``). ``charges`` are
    blocks that a process pays for, ``links`` those of free blocks, if asked for. ``says``: what is missing there.
    """

    session: int | None = None
    absent: NDArray[np.uint64] = field(default_factory=_no_pages)
    absences: NDArray[np.int64] = field(default_factory=_no_numbers)
    charges: Charges = field(default_factory=no_charges)
    links: Links = field(default_factory=no_links)
    says: tuple[str, ...] = ()


@dataclass(slots=True)
class PageDecoder:
    """Makes parts of pages of one address space. ``waiting`` are headers of blocks in lookaside lists, ascending.

    ``examined`` is how many more broken chains are looked into, ``budget`` how many pages are decoded in all.
    """

    kernel: Kernel
    space: VirtualMemory
    waiting: NDArray[np.uint64] = field(default_factory=_no_pages)
    session: int | None = None
    payers: PayerCode | None = None
    with_links: bool = False
    examined: int = MAX_EXAMINED
    budget: WalkBudget | None = None

    def __post_init__(self) -> None:
        self.budget = self.budget or WalkBudget.of(self.space)

    def parts(self, pages: NDArray[np.uint64], frames: NDArray[np.int64]) -> Iterator[ClassicPart]:
        """The blocks of some pages (numbers), and of the physical pages that they lie in: one part as a rule.

        Once the budget is spent no further page is decoded; the last part says so.
        """
        assert self.budget is not None
        form = form_of(self.kernel.pointer_size)
        words, places = self.space.first_words(frames)
        readable = places >= 0
        at = np.flatnonzero(readable & may_begin_page(words, form))
        at = at[: self.budget.take(len(at))]
        self.budget.absent -= len(pages) - int(readable.sum())
        told = replace(
            self.nothing(),
            mapped=len(pages),
            unreadable=len(pages) - int(readable.sum()),
            absent=pages[~readable],
            absences=places[~readable],
        )
        found: list[ClassicPages] = []
        count = 0
        for begin in range(0, len(at), PAGES_AT_ONCE):
            some = at[begin : begin + PAGES_AT_ONCE]
            rows, _places = self.space.physical_pages(frames[some])
            addresses = pages[some] * np.uint64(PAGE)
            found.append(
                decode_pages(
                    rows,
                    addresses,
                    form,
                    self.kernel.build,
                    self.payers,
                    with_links=self.with_links,
                    examined=self.examined,
                )
            )
            self.examined = max(self.examined - len(found[-1].broken), 0)
            count += len(found[-1].blocks)
            if count >= MAX_BLOCKS_AT_ONCE:
                yield self._joined(told, found)
                told, found, count = self.nothing(), [], 0
        if self.budget.spent:
            told = replace(told, stopped=self.budget.says)
        yield self._joined(told, found)

    def nothing(self, stopped: str | None = None, says: tuple[str, ...] = ()) -> ClassicPart:
        """A part without pages."""
        return ClassicPart(
            np.empty(0, BLOCK), mapped=0, pool_pages=0, unreadable=0, broken=(), stopped=stopped, session=self.session,
            says=says,
        )  # fmt: skip

    def _joined(self, told: ClassicPart, found: list[ClassicPages]) -> ClassicPart:
        if not found:
            return told
        blocks = found[0].blocks if len(found) == 1 else np.concatenate([each.blocks for each in found])
        mark_waiting(blocks, self.waiting)
        return replace(
            told,
            blocks=blocks,
            pool_pages=sum(int(each.closed.sum()) for each in found),
            broken=tuple(chain for each in found for chain in each.broken),
            charges=np.concatenate([each.charges for each in found]),
            links=np.concatenate([each.links for each in found]),
        )


def mark_waiting(blocks: Blocks, waiting: NDArray[np.uint64]) -> None:
    """Set the state of blocks (in the order of their addresses) that wait in lookaside lists (headers, ascending)."""
    if not len(blocks) or not len(waiting):
        return
    addresses = blocks["address"]
    first, last = np.searchsorted(waiting, addresses[0]), np.searchsorted(waiting, addresses[-1], side="right")
    here = waiting[first:last]
    at = np.searchsorted(addresses, here)
    at = at[(addresses[at] == here) & (blocks["state"][at] == State.ALLOCATED)]
    blocks["state"][at] = State.IN_LOOKASIDE


def has_classic_pool(kernel: Kernel) -> bool | None:
    """Whether the pool is made of the classic pages. None: this kernel can have either, and does not say."""
    if kernel.build != _SWITCHABLE:
        return kernel.build < SEGMENT_HEAP
    state = kernel.variable("ExpHeapBackedPoolEnabledState", 4)
    return None if state is None else state == 0


def walk_classic_pool(
    kernel: Kernel,
    progress: Callable[[int], None] | None = None,
    waiting: NDArray[np.uint64] | None = None,
    *,
    with_links: bool = False,
) -> Iterator[ClassicPart]:
    """The blocks of all pages, in the order of their addresses. ``progress`` is told the pages looked at so far.

    ``waiting`` are the headers of blocks that wait in lookaside lists, ascending: they are marked so. Gives nothing
    where there is no physical memory (a triage dump). The memory of sessions is not looked at.
    """
    space = kernel.memory.space
    if not isinstance(space, VirtualMemory):
        return
    first, last = _RANGES[kernel.pointer_size]
    decoder = PageDecoder(
        kernel, space, _no_pages() if waiting is None else waiting, None, payer_code(kernel), with_links
    )
    looked = 0
    for runs in space.mapped_ranges(first, last, max_pages=MAX_PAGES):
        for pages, frames in single_pages(runs.pages, runs.frames, runs.counts):
            for part in decoder.parts(pages, frames):
                looked += part.mapped
                if progress is not None:
                    progress(looked)
                yield part
                if part.stopped is not None:
                    return
        if runs.stopped is not None:
            yield decoder.nothing(runs.stopped)


def single_pages(
    pages: NDArray[np.uint64], frames: NDArray[np.int64], counts: NDArray[np.int64]
) -> Iterator[tuple[NDArray[np.uint64], NDArray[np.int64]]]:
    """Runs as single pages, some ten thousand at a time: a run of large pages can be any length."""
    most = 16 * PAGES_AT_ONCE
    begin = 0
    while begin < len(pages):
        ends = np.cumsum(counts[begin:])
        number = int(np.searchsorted(ends, most, side="right"))
        if number == 0:  # one run that is longer than a step
            page, frame, count = int(pages[begin]), int(frames[begin]), int(counts[begin])
            for skip in range(0, count, most):
                steps = np.arange(skip, min(skip + most, count), dtype=np.int64)
                yield (
                    np.uint64(page) + steps.astype(np.uint64),
                    frame + steps if frame >= 0 else np.full(len(steps), frame, np.int64),
                )
            begin += 1
            continue
        part = slice(begin, begin + number)
        lengths = counts[part]
        inside = np.arange(int(lengths.sum()), dtype=np.int64) - np.repeat(np.cumsum(lengths) - lengths, lengths)
        starts = np.repeat(frames[part], lengths)
        yield (
            np.repeat(pages[part], lengths) + inside.astype(np.uint64),
            np.where(starts >= 0, starts + inside, starts),
        )
        begin += number
