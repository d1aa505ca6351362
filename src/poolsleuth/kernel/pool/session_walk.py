"""The blocks of the sessions' pools where they are made of classic pages: one session after the other."""

from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np

from poolsleuth.kernel.paging.space import VirtualMemory
from poolsleuth.kernel.pool.blocks import Pool
from poolsleuth.kernel.pool.classic_walk import ClassicPart, PageDecoder, single_pages
from poolsleuth.kernel.pool.lookasides import read_session_lookasides
from poolsleuth.kernel.pool.quota import payer_code
from poolsleuth.kernel.pool.session_spaces import SessionSpace, session_spaces
from poolsleuth.kernel.target import Kernel

MAX_SESSION_PAGES = 1 << 22  # pages of one session that are looked at: 16 GB, a hundred times its pool
MAX_ALL_PAGES = 1 << 26  # of all sessions together: 256 GB


def walk_session_pools(
    kernel: Kernel, progress: Callable[[int], None] | None = None, *, lookasides: bool = False
) -> Iterator[ClassicPart]:
    """The blocks of every session, in parts that bear its number. Sessions can have the same addresses.

    Blocks are session pool, whatever their page says. With ``lookasides`` those that wait in the session's own lists
    are marked. The last part is empty and says what is missing, if anything is.
    """
    system = kernel.memory.space
    if not isinstance(system, VirtualMemory):
        return
    found = session_spaces(kernel)
    says = list(found.says)
    looked = 0
    for space in found.spaces:
        if looked >= MAX_ALL_PAGES:
            says.append(f"{looked:,} pages of sessions were looked at: the pools of further sessions are not read")
            break
        waiting = np.empty(0, np.uint64)
        if lookasides and space.session is not None:
            lists = read_session_lookasides(kernel, space.session, says)
            entries = [each.entries for each in lists if len(each.entries)]
            if entries:
                waiting = np.unique(np.concatenate(entries)) - np.uint64(2 * kernel.pointer_size)
        decoder = PageDecoder(kernel, space.memory, waiting, space.number, payer_code(kernel))
        for part in _session(system, space, decoder):
            looked += part.mapped
            if progress is not None:
                progress(part.mapped)
            yield part
    if says:
        empty = np.empty(0, np.uint64)
        decoder = PageDecoder(kernel, system)
        yield replace(decoder.part(empty, empty.astype(np.int64)), says=tuple(dict.fromkeys(says)))


def _session(system: VirtualMemory, space: SessionSpace, decoder: PageDecoder) -> Iterator[ClassicPart]:
    left = MAX_SESSION_PAGES
    for first, last in space.ranges:
        if left <= 0:
            return
        for runs in space.memory.mapped_ranges(first, last, max_pages=left):
            for pages, frames in single_pages(runs.pages, runs.frames, runs.counts):
                left -= len(pages)
                own = system.translate_pages(pages) != frames
                # Pages that are paged out look the same to both: they count where the system has nothing at all
                part = decoder.part(pages[own], frames[own])
                for field in (part.blocks, part.charges):
                    field["pool"] = int(Pool.SESSION)
                if part.mapped:
                    yield part
            if runs.stopped is not None:
                says = f"session {space.number}: {runs.stopped}"
                empty = np.empty(0, np.uint64)
                yield replace(decoder.part(empty, empty.astype(np.int64)), says=(says,))
