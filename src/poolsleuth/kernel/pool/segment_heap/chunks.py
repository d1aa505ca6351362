"""Headers of VS chunks: each is encoded with its own address and the key of the heaps."""

from dataclasses import dataclass

import numpy as np

from poolsleuth.kernel.pool.segment_heap.layout import Bits, HeapLayout
from poolsleuth.kernel.pool.segment_heap.parts import Addresses, Flags, Numbers, Window

MAX_STATE = 1  # a chunk is in use (1) or not (0); a larger number is no header


@dataclass(frozen=True, slots=True)
class Headers:
    """Decoded headers: sizes of the chunk and of the one before it in bytes, and the state."""

    size: Numbers
    previous: Numbers
    state: Numbers

    def fit(self, room: Numbers) -> Flags:
        """Whether they can be headers of chunks with so many bytes left."""
        good: Flags = (self.size > 0) & (self.size <= room) & (self.state <= MAX_STATE)
        return good


def decode(window: Window, layout: HeapLayout, key: int, owners: Numbers, offsets: Numbers) -> Headers:
    """The headers at offsets (any shape, multiples of the unit) of subsegments of the window."""
    raw = window.pointers_at(window.bases[owners] + offsets)
    return headers_of(raw ^ (window.addresses[owners] + offsets.astype(np.uint64)), layout, key)


def headers_of(words: Addresses, layout: HeapLayout, key: int) -> Headers:
    """The headers in words that were XORed with their addresses. For kernels with pointers of 8 bytes."""
    headers = words ^ np.uint64(key)
    return Headers(
        _cut(headers, layout.chunk_size) * layout.unit,
        _cut(headers, layout.chunk_previous) * layout.unit,
        _cut(headers, layout.chunk_allocated),
    )


def _cut(headers: Addresses, bits: Bits) -> Numbers:
    return (headers >> np.uint64(bits.shift) & np.uint64(bits.mask)).astype(np.int64)
