"""Executive resources (ERESOURCE): what ``!locks`` prints, from ExpSystemResourcesList (KERNEL_FACTS 7.3).

The list holds every resource of the system, 100,000 and more on large servers: its links are walked, then all the
structures are read in bulk, and only what is held, waited for or was contended becomes an object.
"""

from dataclasses import dataclass

import numpy as np

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
    total = held = lost = 0
    found: list[tuple[int, Rows]] = []
    addresses = walk.entries - np.uint64(layout.link)
    for part in read_scattered(kernel.memory.space, addresses, layout.dtype):
        rows, whole = part.rows, part.whole
        active = rows["active"] != 0
        total += int(whole.sum())
        lost += int((~whole).sum())
        held += int(active.sum())
        busy = active | (rows["contention"] != 0) | (rows["shared"] != 0) | (rows["exclusive"] != 0)
        chosen = np.flatnonzero(busy)[: MAX_KEPT * 2 - len(found)]
        found.extend(zip(part.addresses[chosen].tolist(), rows[chosen], strict=True))
    found.sort(key=lambda one: (-_weight(one[1]), one[0]))
    names = _names(kernel)
    threads = ResourceThreads(kernel, layout)
    resources = tuple(_resource(layout, threads, address, row, names) for address, row in found[:MAX_KEPT])
    says = [walk.says] if walk.says else []
    if lost:
        says.append(f"{lost} of the resources cannot be read")
    if len(found) > MAX_KEPT:
        says.append(f"only {MAX_KEPT} of the resources in use are listed")
    if threads.cut:
        says.append("not all threads that hold or wait are listed: there are too many")
    return Resources(resources, total, held, walk.whole and not lost, "; ".join(says) or None, head)


def _weight(row: Rows) -> int:
    """Those that are waited for come first, then those that were."""
    return (int(row["shared"]) + int(row["exclusive"]) << 33) + int(row["contention"])


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
