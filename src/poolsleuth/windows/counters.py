"""Performance counters: which ones speak of pool, of what fills it and of load, and what their figures are.

Names are compared without case, in English; ``english`` translates what a localised Windows writes, as far as known.
"""

from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache

from poolsleuth.model.series import CounterPath
from poolsleuth.windows.counter_languages import TRANSLATIONS


class Unit(StrEnum):
    """What a counter's figure is."""

    BYTES = "bytes"
    KILOBYTES = "kilobytes"
    MEGABYTES = "megabytes"
    COUNT = "count"
    PERCENT = "percent"
    SECONDS = "seconds"
    PER_SECOND = "per second"


BYTES_PER: dict[Unit, int] = {Unit.BYTES: 1, Unit.KILOBYTES: 1 << 10, Unit.MEGABYTES: 1 << 20}
"""Bytes in one of a unit of memory; other units are not in it."""


class Use(StrEnum):
    """What the diagnosis reads a counter for."""

    POOL = "pool"  # a pool's size, allocations or failures
    MEMORY = "memory"  # limits and memory around the pools
    PROCESS = "process"  # one process's pool quota, handles, identity
    OBJECTS = "objects"  # kernel objects of one type
    LOAD = "load"  # how much work the machine does
    UPTIME = "uptime"


@dataclass(frozen=True, slots=True)
class Known:
    """A counter that the diagnosis uses."""

    use: Use
    unit: Unit


PROCESS_OBJECTS = frozenset({"process", "process v2"})
"""Windows 11 has a second object of processes, whose instances are ``name:pid`` and so never change their number."""


def _known() -> dict[tuple[str, str], Known]:
    table: dict[tuple[str, str], Known] = {}

    def add(object_: str, use: Use, unit: Unit, *counters: str) -> None:
        table.update({(object_, counter): Known(use, unit) for counter in counters})

    add("memory", Use.POOL, Unit.BYTES, "pool nonpaged bytes", "pool paged bytes", "pool paged resident bytes")
    add("memory", Use.POOL, Unit.COUNT, "pool nonpaged allocs", "pool paged allocs")
    add("server", Use.POOL, Unit.BYTES, "pool nonpaged bytes", "pool paged bytes")
    add("server", Use.POOL, Unit.COUNT, "pool nonpaged failures", "pool paged failures")
    add("memory", Use.MEMORY, Unit.BYTES, "available bytes", "committed bytes", "commit limit")
    add("memory", Use.MEMORY, Unit.KILOBYTES, "available kbytes")
    add("memory", Use.MEMORY, Unit.MEGABYTES, "available mbytes")
    add("memory", Use.MEMORY, Unit.COUNT, "free system page table entries")
    add("numa node memory", Use.MEMORY, Unit.MEGABYTES, "total mbytes")
    for process in PROCESS_OBJECTS:
        add(process, Use.PROCESS, Unit.BYTES, "pool nonpaged bytes", "pool paged bytes")
        add(process, Use.PROCESS, Unit.COUNT, "handle count", "id process")
        add(process, Use.PROCESS, Unit.SECONDS, "elapsed time")
    for counter in ("events", "mutexes", "processes", "sections", "semaphores", "threads"):
        add("objects", Use.OBJECTS, Unit.COUNT, counter)
    add("system", Use.UPTIME, Unit.SECONDS, "system up time")
    add("system", Use.LOAD, Unit.COUNT, "processes", "threads")
    add("system", Use.LOAD, Unit.PER_SECOND, "file data operations/sec", "system calls/sec")
    add("server", Use.LOAD, Unit.PER_SECOND, "bytes total/sec")
    add("server", Use.LOAD, Unit.COUNT, "server sessions", "files open", "work item shortages")
    add("server work queues", Use.LOAD, Unit.COUNT, "active threads", "work items")
    add("server work queues", Use.LOAD, Unit.PER_SECOND, "total operations/sec")
    add("network interface", Use.LOAD, Unit.PER_SECOND, "bytes total/sec", "packets/sec")
    for disk in ("logicaldisk", "physicaldisk"):
        add(disk, Use.LOAD, Unit.PER_SECOND, "disk bytes/sec", "disk transfers/sec")
    for processor in ("processor", "processor information"):
        add(processor, Use.LOAD, Unit.PERCENT, "% processor time")
    for tcp in ("tcpv4", "tcpv6"):
        add(tcp, Use.LOAD, Unit.COUNT, "connections established")
    add("terminal services", Use.LOAD, Unit.COUNT, "active sessions", "total sessions")
    return table


_MAX_PID_DIGITS = 10
_KNOWN = _known()
# Of these objects the sum over all instances is enough. "Server Work Queues" has no such sum: one instance per
# processor, and "Blocking Queue"
_ONLY_TOTAL = frozenset({"processor", "processor information", "logicaldisk", "physicaldisk"})


@lru_cache(maxsize=1 << 16)
def english(object_: str, counter: str) -> tuple[str, str]:
    """Object and counter in lower case, in English where the translation is known."""
    folded_object, folded_counter = object_.casefold(), counter.casefold()
    return TRANSLATIONS.get((folded_object, folded_counter), (folded_object, folded_counter))


def english_of(path: CounterPath) -> tuple[str, str]:
    """The same of a counter's path, whose log may tell the English names itself."""
    return path.english or english(path.object, path.counter)


def known(object_: str, counter: str) -> Known | None:
    """What the diagnosis reads this counter for; None when it does not use it."""
    return _KNOWN.get(english(object_, counter))


def is_wanted(object_: str, instance: str | None, counter: str) -> bool:
    """Whether the diagnosis needs the values of this counter."""
    if known(object_, counter) is None:
        return False
    return english(object_, counter)[0] not in _ONLY_TOTAL or (instance or "").casefold() == "_total"


def unit_of(object_: str, counter: str) -> Unit:
    """The unit of a counter's figure: from the table, else from the shape of its name; COUNT when nothing tells."""
    entry = known(object_, counter)
    if entry is not None:
        return entry.unit
    name = english(object_, counter)[1]
    if "/sec" in name:
        return Unit.PER_SECOND
    if name.startswith("%"):
        return Unit.PERCENT
    if name.endswith("mbytes"):
        return Unit.MEGABYTES
    if name.endswith("kbytes"):
        return Unit.KILOBYTES
    if name.endswith(("bytes", "bytes peak")):
        return Unit.BYTES
    return Unit.COUNT


def process_of(instance: str) -> tuple[str, int | None]:
    """Name and process id of an instance of a process object.

    ``svchost:1234`` of Process V2 has both. The number in ``svchost#2`` is no id: it is the place among the processes
    of that name, and another one when an earlier one ends. None is an id that the instance does not tell.
    """
    name, colon, pid = instance.rpartition(":")
    if colon and name and pid.isascii() and pid.isdigit() and len(pid) <= _MAX_PID_DIGITS:
        return name, int(pid)
    name, mark, number = instance.rpartition("#")
    return (name, None) if mark and name and number.isascii() and number.isdigit() else (instance, None)
