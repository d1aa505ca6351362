"""Finds the pages of the classic pool in a kernel's address space, and gives their blocks in parts.

No symbol is needed: of every page that is mapped in the kernel's half the first header is looked at, and those that may
begin a page of the pool are decoded; a chain of headers that closes exactly at the end of its page is no accident. Big
pages have no headers: they stand in the table of big pages.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from poolsleuth.kernel.address_space import PAGE
from poolsleuth.kernel.paging.space import VirtualMemory
from poolsleuth.kernel.pool.blocks import Blocks, BrokenChain
from poolsleuth.kernel.pool.classic_pages import decode_pages, form_of, may_begin_page
from poolsleuth.kernel.target import Kernel

MAX_PAGES = 1 << 28  # mapped pages looked at: 1 TB of kernel memory
PAGES_AT_ONCE = 1024  # decoded together: 4 MB of pages stay in the processor's cache
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


def has_classic_pool(kernel: Kernel) -> bool | None:
    """Whether the pool is made of the classic pages. None: this kernel can have either, and does not say."""
    if kernel.build != _SWITCHABLE:
        return kernel.build < SEGMENT_HEAP
    state = kernel.variable("ExpHeapBackedPoolEnabledState", 4)
    return None if state is None else state == 0


def walk_classic_pool(kernel: Kernel, progress: Callable[[int], None] | None = None) -> Iterator[WalkPart]:
    """The blocks of all pages, in the order of their addresses. ``progress`` is told the pages looked at so far.

    Gives nothing where there is no physical memory (a triage dump).
    """
    space = kernel.memory.space
    if not isinstance(space, VirtualMemory):
        return
    form = form_of(kernel.pointer_size)
    first, last = _RANGES[kernel.pointer_size]
    looked = 0
    for runs in space.mapped_ranges(first, last, max_pages=MAX_PAGES):
        for pages, frames in single_pages(runs.pages, runs.frames, runs.counts):
            words, places = space.first_words(frames)
            candidates = (places >= 0) & may_begin_page(words, form)
            part = _decode(kernel, space, pages[candidates], frames[candidates])
            looked += len(pages)
            if progress is not None:
                progress(looked)
            yield WalkPart(part[0], len(pages), part[1], int((places < 0).sum()), part[2])
        if runs.stopped is not None:
            empty = np.empty(0, np.uint64)
            yield WalkPart(_decode(kernel, space, empty, empty.astype(np.int64))[0], 0, 0, 0, (), runs.stopped)


def _decode(
    kernel: Kernel, space: VirtualMemory, pages: NDArray[np.uint64], frames: NDArray[np.int64]
) -> tuple[Blocks, int, tuple[BrokenChain, ...]]:
    form = form_of(kernel.pointer_size)
    blocks: list[Blocks] = []
    broken: list[BrokenChain] = []
    closed = 0
    for begin in range(0, max(len(pages), 1), PAGES_AT_ONCE):
        rows, _places = space.physical_pages(frames[begin : begin + PAGES_AT_ONCE])
        addresses = pages[begin : begin + PAGES_AT_ONCE] * np.uint64(PAGE)
        found = decode_pages(rows, addresses, form, kernel.build)
        blocks.append(found.blocks)
        closed += int(found.closed.sum())
        broken += found.broken
    return np.concatenate(blocks), closed, tuple(broken)


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
