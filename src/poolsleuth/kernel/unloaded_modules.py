"""Unloaded modules: the ring of the last 50 drivers that were unloaded (MmUnloadedDrivers)."""

from dataclasses import dataclass
from datetime import datetime

from poolsleuth.kernel.filetime import utc
from poolsleuth.kernel.records import Record, RecordPlan
from poolsleuth.kernel.target import Kernel
from poolsleuth.windows.kernel_table import Field

SLOTS = 50  # the kernel's ring has so many, in all versions
_LAYOUT = {
    4: {
        "Name": Field(0x0, 8),
        "StartAddress": Field(0x8, 4),
        "EndAddress": Field(0xC, 4),
        "CurrentTime": Field(0x10, 8),
    },
    8: {
        "Name": Field(0x0, 16),
        "StartAddress": Field(0x10, 8),
        "EndAddress": Field(0x18, 8),
        "CurrentTime": Field(0x20, 8),
    },
}
_SIZE = {4: 0x18, 8: 0x28}


@dataclass(frozen=True, slots=True)
class UnloadedDriver:
    """One unloading: ``start`` and ``end`` are where the image lay, ``at`` when it was unloaded (UTC).

    ``address`` is that of its slot; ``name`` and ``at`` are None when they cannot be read or cannot be true.
    """

    address: int
    name: str | None
    start: int
    end: int
    at: datetime | None


@dataclass(frozen=True, slots=True)
class UnloadedDrivers:
    """The unloadings, newest first; a driver that was unloaded twice stands there twice.

    ``whole`` is False when slots could not be read; ``says`` is what is wrong, else None.
    """

    drivers: tuple[UnloadedDriver, ...]
    whole: bool
    says: str | None
    address: int | None


def read_unloaded_modules(kernel: Kernel) -> UnloadedDrivers:
    """What the ring of unloaded drivers holds."""
    variable = kernel.address("MmUnloadedDrivers")
    if variable is None:
        return UnloadedDrivers((), False, "where the list of unloaded drivers lies is not known", None)
    ring = kernel.memory.pointer(variable)
    if ring is None:
        return UnloadedDrivers((), False, "the address of the list of unloaded drivers cannot be read", variable)
    if ring == 0:
        return UnloadedDrivers((), True, None, variable)  # it is made when the first driver is unloaded
    width = kernel.pointer_size
    structure = kernel.structure("_UNLOADED_DRIVERS")
    plan = RecordPlan(kernel, "_UNLOADED_DRIVERS", _LAYOUT[width], _LAYOUT[width])
    size = structure.size if structure is not None and 0 < structure.size <= 0x100 else _SIZE[width]
    drivers: list[UnloadedDriver] = []
    unread = 0
    for slot in _order(kernel):
        record = plan.read(kernel.memory, ring + slot * size)
        start, end = record.number("StartAddress"), record.number("EndAddress")
        if start is None or end is None:
            unread += 1
        elif 0 < start < end:
            drivers.append(_driver(record, start, end))
    if drivers and all(driver.at is not None for driver in drivers):
        # The index of the next slot may be missing: the times know the order as well. Equal times keep the ring's order
        drivers.sort(key=lambda driver: driver.at.timestamp() if driver.at else 0.0, reverse=True)
    says = f"{unread} of {SLOTS} slots of the list of unloaded drivers cannot be read" if unread else None
    return UnloadedDrivers(tuple(drivers), not unread, says, ring)


def _order(kernel: Kernel) -> list[int]:
    """The slots from the newest: the variable counts the next one to be written."""
    following = kernel.variable("MmLastUnloadedDriver", 4)
    if following is None or following > SLOTS:
        following = 0
    return [(following - 1 - i) % SLOTS for i in range(SLOTS)]


def _driver(record: Record, start: int, end: int) -> UnloadedDriver:
    name = record.unicode_string("Name")
    name = name.partition("\0")[0] or None if name else None
    return UnloadedDriver(record.address, name, start, end, utc(record.number("CurrentTime")))
