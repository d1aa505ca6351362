"""Pool descriptors: how many pages each of the kernel's pools has in use. Windows keeps them up to version 1903.

A machine has one nonpaged pool or one for each node (from Windows 8 on a second one beside each, not executable), and
several paged pools. Where they lie has changed: as pointers in an array, or one behind the other. Only what looks like
a descriptor of the expected pool is taken.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from poolsleuth.kernel.address_space import PAGE
from poolsleuth.kernel.addresses import is_kernel_address
from poolsleuth.kernel.pool.layout import number_at, width_of
from poolsleuth.kernel.target import Kernel

MAX_POOLS = 65  # descriptors of one kind: ExpPagedPoolDescriptor has room for 65
_STRUCTURE = "_POOL_DESCRIPTOR"
_PAGED_BIT = 1
_NX = 0x200  # pool type of nonpaged memory that cannot be executed
_BOTH_KINDS = 9200  # build from which on there is such a pool
_MAX_INDEX = 64  # PoolIndex of a descriptor
_LEAST_SHARE = 0.75  # of the pages taken from the memory manager: with one node nearly all stand in its descriptor
_MAX_PAGES = {4: 1 << 20, 8: 1 << 36}  # pages of an address space, where the machine's memory is not known


@dataclass(frozen=True, slots=True)
class PoolDescriptor:
    """One pool. ``pages`` are used for blocks, ``big_pages`` for allocations of a page and more; bytes in bytes.

    ``allocs`` and ``frees`` are counted since boot, modulo 2^32. None is what this version does not keep.
    ``no_execute``: it is the nonpaged pool that cannot be executed, which Windows 8 and 8.1 keep apart.
    """

    address: int
    paged: bool
    pool_type: int
    index: int | None
    pages: int
    big_pages: int
    allocs: int | None
    frees: int | None
    bytes: int | None
    no_execute: bool = False

    @property
    def used_pages(self) -> int:
        """Pages in use."""
        return self.pages + self.big_pages


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolDescriptors:
    """The descriptors of all pools. ``nonpaged_pages`` and ``paged_pages`` are sums, None where one is missing."""

    nonpaged: tuple[PoolDescriptor, ...]
    paged: tuple[PoolDescriptor, ...]
    nonpaged_pages: int | None
    paged_pages: int | None
    says: tuple[str, ...] = ()


def read_descriptors(
    kernel: Kernel, physical_pages: int | None = None, commit_limit_pages: int | None = None
) -> PoolDescriptors:
    """The pool descriptors, checked: their type, and that a pool is not larger than memory (or what can be committed).

    ``physical_pages`` and ``commit_limit_pages`` are the machine's, where the caller knows them; up to Windows 8.1
    variables tell. Nothing raises: what is missing is said in ``says``.
    """
    if kernel.structure(_STRUCTURE) is None:
        return _nothing("how a pool descriptor is laid out is not known (there are none from Windows 10 2004 on)")
    most = _MAX_PAGES[kernel.pointer_size]
    memory = physical_pages or kernel.variable("MmNumberOfPhysicalPages") or most
    memory = min(memory, most)
    commit = commit_limit_pages or kernel.variable("MmTotalCommitLimit") or most
    says: list[str] = []
    nonpaged, whole = _nonpaged(kernel, memory)
    paged, paged_whole = _paged(kernel, max(memory, min(commit, most)))
    for name, found, all_found in (("nonpaged", nonpaged, whole), ("paged", paged, paged_whole)):
        if not found:
            says.append(f"no descriptor of the {name} pool can be found")
        elif not all_found:
            says.append(f"not all descriptors of the {name} pool can be read")
    return PoolDescriptors(
        nonpaged=nonpaged,
        paged=paged,
        nonpaged_pages=sum(each.used_pages for each in nonpaged) if whole and nonpaged else None,
        paged_pages=sum(each.used_pages for each in paged) if paged_whole and paged else None,
        says=tuple(says),
    )


def _nonpaged(kernel: Kernel, most: int) -> tuple[tuple[PoolDescriptor, ...], bool]:
    """The nonpaged pools, and whether none that must exist is missing."""
    structure = kernel.structure(_STRUCTURE)
    size = structure.size if structure is not None else 0
    addresses: list[int] = []
    static = kernel.address("NonPagedPoolDescriptor")
    vector = kernel.address("PoolVector")
    first = kernel.memory.pointer(vector) if vector is not None else None
    addresses += [each for each in (static, first) if each]
    count = kernel.variable("ExpNumberOfNonPagedPools", 4)
    array = kernel.address("ExpNonPagedPoolDescriptor")
    missing = not addresses
    if count is not None and array is not None and 1 < count <= MAX_POOLS:
        for i in range(count):
            pointer = kernel.memory.pointer(array + i * kernel.pointer_size)
            missing = missing or not pointer
            addresses += [pointer] if pointer else []
    elif count is not None and count > 1:
        missing = True
    found: list[PoolDescriptor] = []
    for address in dict.fromkeys(addresses):
        one = _descriptor(kernel, address, paged=False, most=most)
        missing = missing or one is None
        found += [one] if one is not None else []
        if one is not None and kernel.build >= _BOTH_KINDS and not one.pool_type & _NX:
            other = _descriptor(kernel, address + size, paged=False, most=most)
            # Behind the kernel's own one there is always a second; elsewhere it must say what it is
            if other is not None and (other.pool_type & _NX or address == static) and other.address not in addresses:
                found.append(replace(other, no_execute=True))
    if count is None and not kernel.exact:
        # How many nodes have a pool of their own only symbols tell; what the pool has taken in all shows that some lack
        taken = kernel.variable("MmAllocatedNonPagedPool")
        missing = missing or (taken is not None and sum(one.used_pages for one in found) < _LEAST_SHARE * taken)
    return tuple(found), bool(found) and not missing


def _paged(kernel: Kernel, most: int) -> tuple[tuple[PoolDescriptor, ...], bool]:
    """The paged pools, and whether all are there: of three ways to find them the one that finds most of them."""
    structure = kernel.structure(_STRUCTURE)
    size = structure.size if structure is not None else 0
    number = kernel.variable("ExpNumberOfPagedPools", 4)
    # One more than the number: the first is for whole pages
    count = number + 1 if number is not None and number < MAX_POOLS else None
    wanted = count or 1
    width = kernel.pointer_size
    array = kernel.address("ExpPagedPoolDescriptor")
    vector = kernel.address("PoolVector")
    ways: list[list[int]] = []
    if array is not None:
        pointers = [kernel.memory.pointer(array + i * width) for i in range(wanted)]
        ways.append([pointer for pointer in pointers if pointer])
        if pointers[0]:
            ways.append([pointers[0] + i * size for i in range(wanted)])
        ways.append([array + i * size for i in range(wanted)])
    if vector is not None and (block := kernel.memory.pointer(vector + width)):
        ways.append([block + i * size for i in range(wanted)])
    best: tuple[PoolDescriptor, ...] = ()
    for addresses in ways:
        found = tuple(_all(kernel, addresses, most))
        if len(found) > len(best):
            best = found
    return best, count is not None and len(best) == count


def _all(kernel: Kernel, addresses: Iterable[int], most: int) -> Iterable[PoolDescriptor]:
    for address in dict.fromkeys(addresses):
        one = _descriptor(kernel, address, paged=True, most=most)
        if one is not None:
            yield one


def _descriptor(kernel: Kernel, address: int, *, paged: bool, most: int) -> PoolDescriptor | None:
    """The descriptor at ``address``; None when it cannot be read or cannot be one of this pool."""
    if not is_kernel_address(address, kernel.pointer_size):
        return None
    memory = kernel.memory
    kind = memory.number(address, 4)
    index = number_at(memory, address, kernel.place(_STRUCTURE, "PoolIndex"))
    pages = _difference(kernel, address, "TotalPages", "PagesAllocated", "PagesDeallocated")
    big = _difference(kernel, address, "TotalBigPages", "BigPagesAllocated", "BigPagesDeallocated")
    if kind is None or pages is None or big is None:
        return None
    if kind & ~(_NX | _PAGED_BIT) or bool(kind & _PAGED_BIT) is not paged or (index or 0) > _MAX_INDEX:
        return None
    if pages > most or big > most or pages + big > most:
        return None
    used = _difference(kernel, address, "TotalBytes", "BytesAllocated", "BytesDeallocated")
    return PoolDescriptor(
        address=address,
        paged=paged,
        pool_type=kind,
        index=index,
        pages=pages,
        big_pages=big,
        allocs=number_at(memory, address, kernel.place(_STRUCTURE, "RunningAllocs")),
        frees=number_at(
            memory,
            address,
            kernel.place(_STRUCTURE, "RunningDeAllocs") or kernel.place(_STRUCTURE, "RunningDeallocs"),
        ),
        bytes=used if used is not None and used <= most * PAGE else None,
        no_execute=bool(kind & _NX),
    )


def _difference(kernel: Kernel, address: int, total: str, more: str, less: str) -> int | None:
    """A number of a descriptor: kept as such, or (from 1703 on) as two counters whose difference it is."""
    place = kernel.place(_STRUCTURE, total)
    if place is not None:
        return number_at(kernel.memory, address, place)
    place = kernel.place(_STRUCTURE, more)
    up = number_at(kernel.memory, address, place)
    down = number_at(kernel.memory, address, kernel.place(_STRUCTURE, less))
    width = width_of(place, kernel.pointer_size) if place is not None else None
    return None if up is None or down is None or width is None else (up - down) % (1 << 8 * width)


def _nothing(says: str) -> PoolDescriptors:
    return PoolDescriptors(nonpaged=(), paged=(), nonpaged_pages=None, paged_pages=None, says=(says,))
