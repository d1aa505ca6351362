"""The counter log in binary form (.blg), with the same counters as the text.

There are two kinds of such logs. ``counters``: single counters were chosen, and each sample holds their two raw values.
``objects``: whole objects were chosen, as ``poolsleuth collect`` advises, and each sample holds the blocks that the
objects themselves give out; then the log also holds the names of all titles (written by ``blg_objects``).
"""

import struct
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Literal

from poolsleuth.lab.course.moment import Moment
from poolsleuth.lab.course.writers import blg_objects
from poolsleuth.lab.course.writers.counter_sheet import (
    CountedObject,
    Counter,
    Sample,
    objects_of,
    samples_of,
    values_of,
)
from poolsleuth.lab.course.writers.event_log_file import EventLogFile, Kind, padded, strings, wide
from poolsleuth.lab.course.writers.zone import HOST, ZONE, Zone, stamp
from poolsleuth.lab.machine import SimulatedWindows

Form = Literal["counters", "objects"]

_COUNTER_LIST, _BINARY, _WILDCARD, _WHOLE = 0x6FF, 0x20008, 1, 0x10
_SAMPLE, _VALUE, _INSTANCES = 0x00034C42, 0x01034C42, 0x02034C42
_VALUE_BYTES = 0x30
_STRINGS = 0x34  # where they begin in an entry
_ITEM = 24


def write_blg(
    path: Path, moments: Iterable[Moment], *, zone: Zone = ZONE, host: str = HOST, form: Form = "counters"
) -> int:
    """Write the samples of the moments; returns how many. Raises FileExistsError, ValueError when there is none."""
    log: EventLogFile | None = None
    objects: tuple[CountedObject, ...] = ()
    count = 0
    with path.open("xb") as file:
        for sample in samples_of(moments):
            at, windows = sample.moment.at, sample.machine.windows
            if log is None:
                objects = objects_of(sample)
                log = EventLogFile(file, sample.machine, at, zone, path.name)
                if form == "objects":
                    log.write(Kind.TITLES, at, blg_objects.titles(objects, host))
                entries = _whole_objects(objects, host) if form == "objects" else _counters(objects, host, windows)
                log.write(Kind.COUNTERS, at, struct.pack("<II", _COUNTER_LIST, _BINARY) + b"".join(entries) + bytes(8))
            if form == "objects":
                blocks = b"".join(blg_objects.block(counted, sample, host) for counted in objects)
            else:
                blocks = b"".join(_blocks(objects, sample, stamp(at, zone)))
            log.write(Kind.SAMPLE, at, struct.pack("<II", _SAMPLE, 8 + len(blocks)) + blocks)
            count += 1
        if log is None:
            raise ValueError("a counter log needs at least one moment")
        log.close()
    return count


def _counters(objects: tuple[CountedObject, ...], host: str, windows: SimulatedWindows) -> Iterator[bytes]:
    for counted in objects:
        for counter in counted.counters:
            instance = "*" if counted.instances is not None else counted.only
            yield _entry(
                (f"\\\\{host}", counted.name, instance, None),
                counter.name,
                flags=_WILDCARD if counted.instances is not None else 0,
                kind=counter.type,
                per_second=counter.per_second(windows),
                scale=counter.scale,
            )


def _whole_objects(objects: tuple[CountedObject, ...], host: str) -> Iterator[bytes]:
    for counted in objects:
        instance = "*" if counted.instances is not None or counted.only is not None else None
        yield _entry(
            (f"\\\\{host}", counted.name, instance, None), "*", flags=_WHOLE, kind=_WHOLE, per_second=0, scale=0
        )


def _entry(parts: tuple[str | None, ...], counter: str, *, flags: int, kind: int, per_second: int, scale: int) -> bytes:
    """One counter of the list: flags, type, time base, scale, and the parts of its path."""
    text, places = strings([*parts, counter])
    machine, object_, instance, parent, name = places
    length = _STRINGS + len(text) + 7 & ~7
    head = struct.pack(
        "<IIIIqiIIIIII", length, flags, 0, kind, per_second, scale, machine, object_, instance, parent, 0, name
    )
    return (head + text).ljust(length, b"\0")


def _blocks(objects: tuple[CountedObject, ...], sample: Sample, local: int) -> Iterator[bytes]:
    """The values of one sample, a block for each entry of the list, in its order."""
    for counted in objects:
        for counter in counted.counters:
            second = counter.second(sample)
            values = list(values_of(counted, counter, sample))
            if counted.instances is not None:
                yield _instances(counter, values, second, local)
                continue
            for _, first in values:
                yield struct.pack("<IIIqIqqII", _VALUE, _VALUE_BYTES, 0, local, 0, first, second, 1, 0)


def _instances(counter: Counter, values: list[tuple[str | None, int]], second: int, local: int) -> bytes:
    names = b""
    items = b""
    for name, first in values:
        items += struct.pack("<IIqq", 0x18 + _ITEM * len(values) + len(names), 1, first, second)
        names += wide(name or counter.name)
    body = padded(struct.pack("<IIq", 0, 0, local) + items + names)
    length = 0x10 + len(body)
    return struct.pack("<IIII", _INSTANCES, length, length - 8, len(values)) + body
