"""Finds where a chain of VS chunks goes on behind pages that cannot be read (paged out, or not in the dump).

Of each page behind the gap all places are decoded as if they were chunk headers: one that leads to another header
which repeats its size is no accident, since both are encoded with their own addresses.
"""

import numpy as np

from poolsleuth.kernel.address_space import PAGE
from poolsleuth.kernel.pool.segment_heap.chunks import decode
from poolsleuth.kernel.pool.segment_heap.layout import HeapLayout
from poolsleuth.kernel.pool.segment_heap.parts import Numbers, Window

_AT_ONCE = 1024  # pages searched together: some arrays of 2 MB


def next_chunks(
    window: Window, layout: HeapLayout, key: int, owners: Numbers, offsets: Numbers
) -> tuple[Numbers, Numbers]:
    """The first chunk that can be found behind each of these places, which lie in pages that cannot be read.

    Gives subsegments and offsets; subsegments in which no further chunk is found are left out.
    """
    found: list[tuple[Numbers, Numbers]] = [(owners[:0], offsets[:0])]
    for begin in range(0, len(owners), _AT_ONCE):
        found.append(_search(window, layout, key, owners[begin : begin + _AT_ONCE], offsets[begin : begin + _AT_ONCE]))
    return np.concatenate([part[0] for part in found]), np.concatenate([part[1] for part in found])


def _search(window: Window, layout: HeapLayout, key: int, owners: Numbers, offsets: Numbers) -> tuple[Numbers, Numbers]:
    count = len(window.readable)
    # The first readable page at or behind each page of the window
    numbers = np.where(window.readable, np.arange(count), count)
    following = np.append(np.minimum.accumulate(numbers[::-1])[::-1], count)
    slots = np.arange(0, PAGE, layout.unit, dtype=np.int64)
    first = window.bases // PAGE
    ends = first + window.lengths // PAGE
    pages = first[owners] + offsets // PAGE + 1
    found: list[tuple[Numbers, Numbers]] = [(owners[:0], offsets[:0])]
    while len(owners):
        pages = following[np.minimum(pages, count)]
        inside = pages < ends[owners]
        owners, pages = owners[inside], pages[inside]
        places = ((pages - first[owners]) * PAGE)[:, None] + slots
        wide = np.broadcast_to(owners[:, None], places.shape)
        good = _confirmed(window, layout, key, wide, places)
        some = good.any(axis=1)
        which = good.argmax(axis=1)
        found.append((owners[some], places[some, which[some]]))
        owners, pages = owners[~some], pages[~some] + 1
    return np.concatenate([part[0] for part in found]), np.concatenate([part[1] for part in found])


def _confirmed(
    window: Window, layout: HeapLayout, key: int, owners: Numbers, places: Numbers
) -> "np.ndarray[tuple[int, ...], np.dtype[np.bool_]]":
    room = window.lengths[owners] - places
    here = decode(window, layout, key, owners, places)
    good = here.fit(room) & (here.size < room)
    after = np.where(good, places + here.size, places)
    good &= window.readable[window.bases[owners] + after >> 12]
    then = decode(window, layout, key, owners, after)
    return np.asarray(good & then.fit(window.lengths[owners] - after) & (then.previous == here.size), np.bool_)
