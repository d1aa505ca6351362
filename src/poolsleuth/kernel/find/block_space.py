"""The blocks of virtual memory in a triage dump as an address space."""

import numpy as np
from numpy.typing import NDArray

from poolsleuth.kernel.absence import Absence
from poolsleuth.kernel.address_space import PAGE
from poolsleuth.kernel.crash_dump.triage import VirtualBlocks


class BlockSpace:
    """What a triage dump holds of virtual memory. All the rest was not written to it: it says nothing of the machine.

    Follows the protocol ``AddressSpace``. A page that is there in part is read in part, but ``gather`` has whole ones.
    """

    __slots__ = ("_blocks", "_limit", "pointer_size")

    def __init__(self, blocks: VirtualBlocks, pointer_size: int) -> None:
        self._blocks = blocks
        self._limit = 1 << 8 * pointer_size
        self.pointer_size = pointer_size

    def read(self, address: int, size: int) -> bytes | Absence:
        """``size`` bytes that lie in blocks which follow each other."""
        if not 0 <= address <= address + size <= self._limit:
            return Absence.NOT_MAPPED
        raw = self._blocks.read(address, size)
        return Absence.NOT_IN_DUMP if raw is None else raw

    def gather(self, pages: NDArray[np.uint64]) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
        """A row for each page; the second array has 0 for one that was read (blocks have no place in memory)."""
        rows = np.zeros((len(pages), PAGE), np.uint8)
        places = np.full(len(pages), int(Absence.NOT_IN_DUMP), np.int64)
        for index, page in enumerate(pages.tolist()):
            raw = self.read(page * PAGE, PAGE)
            if not isinstance(raw, Absence):
                rows[index], places[index] = np.frombuffer(raw, np.uint8), 0
        return rows, places
