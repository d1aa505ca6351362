"""Blocks that a process pays for: its quota is charged, and the block says which process that is.

From public texts: bit 3 of a request's pool type asks for it. On x86 the process is the last pointer of the block; on
x64 it stands in the header, since Windows 8 combined (XOR) with ``nt!ExpPoolQuotaCookie`` and the header's address.
"""

from collections import Counter
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from poolsleuth.kernel.addresses import kernel_start
from poolsleuth.kernel.target import Kernel

QUOTA = 0x08  # of the pool type that was asked for
WITH_COOKIE = 9200  # build from which on the process is disguised
MAX_PAYERS = 1 << 17  # processes, by pool and tag, whose bytes are summed: damaged headers can name any number
CHARGE = np.dtype(
    [("address", "<u8"), ("size", "<u8"), ("tag", "<u4"), ("pool", "u1"), ("process", "<u8")],
)
"""A block that a process pays for: its header's address, its size with the header, and what it says of the process."""

Charges = NDArray[np.void]


def no_charges() -> Charges:
    """No rows."""
    return np.empty(0, CHARGE)


@dataclass(frozen=True, slots=True)
class PayerCode:
    """How the process in a block is read. ``cookie`` is None where it must be known and is not."""

    pointer_size: int
    disguised: bool
    cookie: int | None

    def processes(self, raw: NDArray[np.uint64], headers: NDArray[np.uint64]) -> NDArray[np.uint64]:
        """The addresses of processes; 0 for what cannot be one."""
        if self.disguised and self.cookie is None:
            return np.zeros(len(raw), np.uint64)
        found = raw
        if self.disguised and self.cookie is not None:
            found = raw ^ np.uint64(self.cookie) ^ headers
            if self.pointer_size == 4:
                found &= np.uint64(0xFFFF_FFFF)
                # Whether x86 disguises it is not documented: what is a kernel address as it stands is taken as it is
                found = np.where(raw >= np.uint64(kernel_start(4)), raw, found)
        good = (found >= np.uint64(kernel_start(self.pointer_size))) & (found & np.uint64(7) == 0)
        return np.where(good, found, np.uint64(0))


def payer_code(kernel: Kernel) -> PayerCode:
    """How this kernel's blocks name the process that pays for them."""
    disguised = kernel.build >= WITH_COOKIE
    cookie = kernel.variable("ExpPoolQuotaCookie") if disguised else None
    return PayerCode(kernel.pointer_size, disguised, cookie)


@dataclass(slots=True)
class QuotaSums:
    """Blocks and bytes by process, pool and tag; ``unknown`` are blocks whose process cannot be told."""

    blocks: Counter[tuple[int, int, int]] = field(default_factory=Counter)
    bytes: Counter[tuple[int, int, int]] = field(default_factory=Counter)
    unknown: int = 0
    unknown_bytes: int = 0
    complete: bool = True

    def add(self, charges: Charges) -> None:
        """Count a part's blocks."""
        named = charges["process"] != 0
        self.unknown += int((~named).sum())
        self.unknown_bytes += int(charges["size"][~named].sum())
        rows = charges[named]
        if not len(rows):
            return
        keys = np.empty(len(rows), np.dtype([("process", "<u8"), ("pool", "u1"), ("tag", "<u4")]))
        for name in ("process", "pool", "tag"):
            keys[name] = rows[name]
        each, places, counts = np.unique(keys, return_inverse=True, return_counts=True)
        sizes = np.bincount(places, weights=rows["size"].astype(np.float64), minlength=len(each))
        for key, count, size in zip(each.tolist(), counts.tolist(), sizes.tolist(), strict=True):
            if key in self.blocks or len(self.blocks) < MAX_PAYERS:
                self.blocks[key] += count
                self.bytes[key] += int(size)
            else:
                self.complete = False
