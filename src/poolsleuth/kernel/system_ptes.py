"""System PTEs: how many there are, and how the free ones lie together (``!sysptes``).

From Windows 7 on a structure (_MI_SYSTEM_PTE_TYPE) has their number and a bitmap with a bit for each, set for one that
is taken; from Windows 10 on it lies in MiState. Older kernels have counters only: their free ones are a list whose head
is no public variable that a dump leads to.
"""

from dataclasses import dataclass

import numpy as np

from poolsleuth.kernel.address_space import PAGE
from poolsleuth.kernel.addresses import is_kernel_address
from poolsleuth.kernel.target import Kernel

MAX_BITS = 1 << 32  # of a bitmap: 16 TB of address space
_PAGES_AT_ONCE = 512  # of a bitmap: 16 million bits
_TYPE = "_MI_SYSTEM_PTE_TYPE"
_STATE = "_MI_SYSTEM_INFORMATION"


@dataclass(frozen=True, slots=True, kw_only=True)
class PteBlocks:
    """What a bitmap says: ``free`` PTEs in ``blocks`` runs, the longest of ``largest``; counts of PTEs.

    ``missing`` bits lie in pages that cannot be read: then all three are lower bounds.
    """

    bits: int
    free: int
    blocks: int
    largest: int
    missing: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PteType:
    """One kind of PTEs. None is what the kernel does not keep or the dump lacks; counts are of PTEs."""

    base_pte: int | None
    total: int | None
    total_free: int | None
    failures: int | None
    blocks: PteBlocks | None


@dataclass(frozen=True, slots=True)
class SystemPtes:
    """The system's PTEs and those of kernel stacks (None: not known apart), and what could not be read."""

    system: PteType | None
    stacks: PteType | None
    says: str | None


def read_system_ptes(kernel: Kernel) -> SystemPtes:
    """Nothing raises: what cannot be read is None, and ``says`` tells why there is nothing at all."""
    address = kernel.address("MiSystemPteInfo")
    if address is None:
        address = _inside("Vs.SystemPteInfo", kernel)
    stacks = _inside("SystemPtes.KernelStackPteInfo", kernel)
    if address is not None and kernel.structure(_TYPE) is not None:
        return SystemPtes(_read(kernel, address), None if stacks is None else _read(kernel, stacks), None)
    free = kernel.variable("MmTotalFreeSystemPtes", 4)
    if free is None:
        return SystemPtes(None, None, "where this kernel counts its system PTEs is not known")
    total = kernel.variable("MmTotalSystemPtes", 4)
    only = PteType(base_pte=None, total=total, total_free=free, failures=None, blocks=None)
    return SystemPtes(only, None, None)


def _inside(path: str, kernel: Kernel) -> int | None:
    state, place = kernel.address("MiState"), kernel.place(_STATE, path)
    return None if state is None or place is None else state + place.offset


def _read(kernel: Kernel, address: int) -> PteType:
    bitmap = kernel.place(_TYPE, "Bitmap")
    return PteType(
        base_pte=kernel.value(address, _TYPE, "BasePte"),
        total=kernel.value(address, _TYPE, "TotalSystemPtes"),
        total_free=kernel.value(address, _TYPE, "TotalFreeSystemPtes"),
        failures=kernel.value(address, _TYPE, "PteFailures"),
        blocks=None if bitmap is None else _blocks(kernel, address + bitmap.offset),
    )


def _blocks(kernel: Kernel, bitmap: int) -> PteBlocks | None:
    """The runs of clear bits; None where there is no bitmap, or none of it can be read."""
    memory = kernel.memory
    bits, buffer = memory.number(bitmap, 4), memory.pointer(bitmap + kernel.pointer_size)
    if not bits or bits > MAX_BITS or not buffer or not is_kernel_address(buffer, kernel.pointer_size):
        return None
    free = blocks = largest = missing = run = 0
    first, last = buffer // PAGE, (buffer + -(-bits // 8) - 1) // PAGE
    if last >= 1 << 8 * kernel.pointer_size - 12:
        return None
    for begin in range(first, last + 1, _PAGES_AT_ONCE):
        pages = np.arange(begin, min(begin + _PAGES_AT_ONCE, last + 1), dtype=np.uint64)
        rows, places = memory.space.gather(pages)
        if (places < 0).all():
            held = min(len(pages) * 8 * PAGE, bits - max(0, (begin * PAGE - buffer) * 8))
            missing, run = missing + held, 0
            continue
        taken = np.unpackbits(rows.reshape(-1), bitorder="little").view(np.bool_)
        start = (buffer - begin * PAGE) * 8 if begin == first else 0
        stop = min(len(taken), (buffer - begin * PAGE) * 8 + bits)
        absent = places < 0
        if absent.any():
            unread = np.repeat(absent, 8 * PAGE)
            missing += int(unread[start:stop].sum())
            taken |= unread
        clear = np.concatenate(([False], ~taken[start:stop], [False]))
        edges = np.flatnonzero(clear[1:] != clear[:-1])
        begins, lengths = edges[::2], edges[1::2] - edges[::2]
        free += int(lengths.sum())
        if not len(lengths):
            run = 0
            continue
        joined = run if run and begins[0] == 0 else 0
        blocks += len(lengths) - bool(joined)
        longest = lengths.copy()
        longest[0] += joined
        largest = max(largest, int(longest.max()))
        run = int(longest[-1]) if begins[-1] + lengths[-1] == stop - start else 0
    if missing == bits:
        return None
    return PteBlocks(bits=bits, free=free, blocks=blocks, largest=largest, missing=missing)
