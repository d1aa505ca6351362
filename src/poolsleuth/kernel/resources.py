"""Executive resources (ERESOURCE): what ``!locks`` prints, from ExpSystemResourcesList.

The list holds every resource of the system, 100,000 and more on large servers: its links are walked, then all the
structures are read in bulk, and only what is held, waited for or was contended becomes an object.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from poolsleuth.kernel.address_space import Rows
from poolsleuth.kernel.linked_lists import walk_list
from poolsleuth.kernel.resource_layout import ResourceLayout, resource_layout
from poolsleuth.kernel.resource_threads import ResourceThreads
from poolsleuth.kernel.scattered import read_scattered
from poolsleuth.kernel.target import Kernel

MAX_RESOURCES = 1 << 20  # entries of the list
MAX_KEPT = 50_000  # resources that become objects: as many as are read from a debugger's log
OWNED_EXCLUSIVE = 0x80  # of the flags


@dataclass(frozen=True, slots=True)
class ResourceOwner:
    """A thread that holds a resource; ``raw`` is the pointer as kept, its low bits are flags. ``count``: how often."""

    thread: int
    raw: int
    count: int


@dataclass(frozen=True, slots=True)
class Resource:
    """One resource that is held, waited for or was contended.

    ``state`` is "exclusive", "shared" or "available". ``owning_threads`` is how many threads hold it as its own counter
    says; ``owners`` are those that could be read. The waiting threads are empty where the version's layout is not known
    (Windows 10 and later). ``name`` is ``nt!...`` where the address is a variable of the kernel.
    """

    address: int
    name: str | None
    state: str
    active_count: int
    owning_threads: int
    contention: int
    shared_waiters: int
    exclusive_waiters: int
    owners: tuple[ResourceOwner, ...]
    shared_waiting: tuple[int, ...]
    exclusive_waiting: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Resources:
    """The list of resources: ``total`` that were read and ``held`` of them, as the last line of ``!locks`` counts.

    ``total`` and ``held`` are None when the list could not be read at all. ``whole`` is False when entries are missing.
    ``resources`` holds the most contended first, then by address.
    """

    resources: tuple[Resource, ...]
    total: int | None
    held: int | None
    whole: bool
    says: str | None
    address: int | None


def read_resources(kernel: Kernel) -> Resources:
    """Every resource that is held, waited for or was contended, and how many there are."""
    head = kernel.address("ExpSystemResourcesList")
    if head is None:
        return Resources((), None, None, False, "where the list of resources begins is not known", None)
    layout = resource_layout(kernel)
    if layout is None:
        return Resources((), None, None, False, "the layout of resources in this version is not known", head)
    walk = walk_list(kernel.memory, head, MAX_RESOURCES)
    if not len(walk.entries) and not walk.whole:
        return Resources((), None, None, False, walk.says, head)
    total = held = lost = busy = 0
    found = _Kept(layout.dtype)
    addresses = walk.entries - np.uint64(layout.link)
    for part in read_scattered(kernel.memory.space, addresses, layout.dtype):
        rows, whole = part.rows, part.whole
        active = rows["active"] != 0
        total += int(whole.sum())
        lost += int((~whole).sum())
        held += int(active.sum())
        chosen = active | (rows["contention"] != 0) | (rows["shared"] != 0) | (rows["exclusive"] != 0)
        busy += int(chosen.sum())
        found.add(part.addresses[chosen], rows[chosen])
    names = _names(kernel)
    threads = ResourceThreads(kernel, layout)
    resources = tuple(_resource(layout, threads, address, row, names) for address, row in found.best())
    says = [walk.says] if walk.says else []
    if lost:
        says.append(f"{lost} of the resources cannot be read")
    if busy > MAX_KEPT:
        says.append(f"only {MAX_KEPT:,} of the {busy:,} resources in use are listed: those with most contention")
    if threads.cut:
        says.append("not all threads that hold or wait are listed: there are too many")
    return Resources(resources, total, held, walk.whole and not lost, "; ".join(says) or None, head)


class _Kept:
    """The resources of most weight among those that were added: ``MAX_KEPT`` of them, twice as many while adding."""

    def __init__(self, dtype: "np.dtype[np.void]") -> None:
        self._addresses = np.empty(0, np.uint64)
        self._rows: Rows = np.empty(0, dtype)

    def add(self, addresses: NDArray[np.uint64], rows: Rows) -> None:
        self._addresses = np.concatenate((self._addresses, addresses))
        self._rows = np.concatenate((self._rows, rows))
        if len(self._rows) > 2 * MAX_KEPT:
            self._cut()

    def _cut(self) -> None:
        """Those that are waited for come first, then those that were; of the same weight the lower address."""
        rows = self._rows
        waiters = rows["shared"].astype(np.uint64) + rows["exclusive"].astype(np.uint64)
        order = np.lexsort((self._addresses, ~rows["contention"].astype(np.uint64), ~waiters))[:MAX_KEPT]
        self._addresses, self._rows = self._addresses[order], rows[order]

    def best(self) -> Iterator[tuple[int, Rows]]:
        """Addresses and rows, those of most weight first."""
        self._cut()
        return zip(self._addresses.tolist(), self._rows, strict=True)


def _names(kernel: Kernel) -> dict[int, str]:
    if kernel.table is None:
        return {}
    return {kernel.base + relative: f"nt!{name}" for name, relative in kernel.table.symbols.items()}


def _resource(
    layout: ResourceLayout, threads: ResourceThreads, address: int, row: Rows, names: dict[int, str]
) -> Resource:
    active = int(row["active"])
    exclusive = bool(int(row["flags"]) & OWNED_EXCLUSIVE)
    shared_waiters, exclusive_waiters = int(row["shared"]), int(row["exclusive"])
    owning = int(row["active_entries"]) if layout.counts_entries else max(active, 0)
    return Resource(
        address=address,
        name=names.get(address),
        state="available" if active == 0 else "exclusive" if exclusive else "shared",
        active_count=active,
        owning_threads=0 if active == 0 else owning,
        contention=int(row["contention"]),
        shared_waiters=shared_waiters,
        exclusive_waiters=exclusive_waiters,
        owners=tuple(ResourceOwner(*owner) for owner in threads.owners(row)) if active else (),
        shared_waiting=threads.waiters(int(row["shared_object"]), shared_waiters),
        exclusive_waiting=threads.waiters(int(row["exclusive_object"]), exclusive_waiters),
    )
