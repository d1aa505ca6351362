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
    width = layout.pointer_size
    raw = window.octets.view(f"<u{width}")[(window.bases[owners] + offsets) // width].astype(np.uint64)
    mask = np.uint64((1 << 8 * width) - 1)
    headers = (raw ^ (window.addresses[owners] + offsets.astype(np.uint64)) ^ np.uint64(key)) & mask
    return Headers(
        _cut(headers, layout.chunk_size) * layout.unit,
        _cut(headers, layout.chunk_previous) * layout.unit,
        _cut(headers, layout.chunk_allocated),
    )


def _cut(headers: Addresses, bits: Bits) -> Numbers:
    return (headers >> np.uint64(bits.shift) & np.uint64(bits.mask)).astype(np.int64)
