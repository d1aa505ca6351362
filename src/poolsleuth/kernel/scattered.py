"""Many small structures of one size, anywhere in memory, read in bulk: a row of bytes for each."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from poolsleuth.kernel.address_space import PAGE, AddressSpace, Rows
from poolsleuth.kernel.distinct import distinct

CHUNK = 4096  # structures at once: two pages each at most, 32 MB
MAX_SIZE = PAGE  # bytes of one structure: it then lies in two pages at most


@dataclass(frozen=True, slots=True, eq=False)
class ScatteredPart:
    """Some of the structures: their addresses, their rows, and for each whether all its bytes were read.

    The row of a structure that could not be read is all zero.
    """

    addresses: NDArray[np.uint64]
    rows: Rows
    whole: NDArray[np.bool_]


def read_scattered(
    space: AddressSpace, addresses: NDArray[np.uint64], dtype: "np.dtype[np.void]"
) -> Iterator[ScatteredPart]:
    """The structures at ``addresses``, in chunks, in the order of their addresses."""
    size = dtype.itemsize
    if not 0 < size <= MAX_SIZE:
        raise ValueError(f"structures of {size} bytes cannot be read in bulk")
    # What would reach over the end of the address space is none of ours
    top = np.uint64((1 << 8 * space.pointer_size) - size)
    ordered = np.sort(addresses[addresses <= top])
    for begin in range(0, len(ordered), CHUNK):
        part = ordered[begin : begin + CHUNK]
        first, last = part // np.uint64(PAGE), (part + np.uint64(size - 1)) // np.uint64(PAGE)
        pages = distinct(np.concatenate((first, last)))
        data, places = space.gather(pages)
        row = np.searchsorted(pages, first)
        read = places >= 0
        # A structure that crosses into the next page has it in the next row: all wanted pages are there, in order
        whole = read[row] & read[np.searchsorted(pages, last)]
        starts = row * PAGE + (part % np.uint64(PAGE)).astype(np.int64)
        octets = data.reshape(-1)[starts[:, None] + np.arange(size)]
        octets[~whole] = 0
        yield ScatteredPart(part, np.ascontiguousarray(octets).view(dtype).reshape(-1), whole)
