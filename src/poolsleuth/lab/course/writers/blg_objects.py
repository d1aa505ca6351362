"""Whole objects of a binary counter log: the blocks that performance libraries give out (the public winperf.h).

Numbers of titles, and the sizes of what is before the data, are those of a published log of Windows Vista.
"""

import struct
from collections.abc import Iterator

from poolsleuth.lab.course.writers.counter_sheet import (
    ELAPSED,
    FRACTION,
    FRACTION_BASE,
    CountedObject,
    Counter,
    Sample,
    bare_name,
    frequency,
    values_of,
)
from poolsleuth.lab.course.writers.event_log_file import padded, wide
from poolsleuth.lab.course.writers.load import TICKS

_BLOCK = 0x05034C42
_HEAD, _TYPE, _DEFINITION, _INSTANCE = 88, 64, 40, 24
_NOVICE = 100
_LAST = "1847"  # the highest number that is the same on every Windows: the title of number 1
_WIDE, _NARROW = 8, 4


def titles(objects: tuple[CountedObject, ...], host: str) -> bytes:
    """The names of objects and counters by number."""
    found = {1: _LAST}
    for counted in objects:
        found[counted.title] = counted.name
        found |= {counter.title: counter.name for counter in counted.counters}
    return wide(f"\\\\{host}") + b"".join(wide(str(number)) + wide(found[number]) for number in sorted(found))


def block(counted: CountedObject, sample: Sample, host: str) -> bytes:
    """An object with all its counters and instances: PERF_DATA_BLOCK with one PERF_OBJECT_TYPE."""
    name = padded(wide(host))
    body = _object(counted, sample)
    at = sample.moment.at
    weekday = at.isoweekday() % 7
    time = (at.year, at.month, weekday, at.day, at.hour, at.minute, at.second, at.microsecond // 1000)
    head = "PERF".encode("utf-16-le") + struct.pack(
        "<IIIIIIi8HIqqqII",
        1,
        1,
        1,
        _HEAD + len(name) + len(body),
        _HEAD + len(name),
        1,
        counted.title,
        *time,
        0,
        sample.ticks,
        frequency(sample.machine.windows),
        sample.utc,
        len(wide(host)),
        _HEAD,
    )
    data = head + name + body
    return struct.pack("<II", _BLOCK, 8 + len(data)) + data


def _object(counted: CountedObject, sample: Sample) -> bytes:
    size = max((place + width for _, place, width in _layout(counted.counters)), default=4) + 7 & ~7
    definitions = b"".join(_definitions(counted.counters))
    values: dict[str | None, list[int]] = {}
    for counter in counted.counters:
        for name, first in values_of(counted, counter, sample):
            values.setdefault(name, []).append(first)
    members = counted.instances(sample) if counted.instances is not None else {}
    body = b""
    for name, numbers in values.items():
        if name is not None:
            # The numbers of processes that have the same name are no part of it: who reads the block counts them
            text = wide(bare_name(name, members[name]) if name in members else name)
            own = padded(text)
            body += struct.pack("<IIIiII", _INSTANCE + len(own), 0, 0, -1, _INSTANCE, len(text)) + own
        body += _data(counted.counters, numbers, sample, size)
    timed = any(counter.type == ELAPSED for counter in counted.counters)
    head = struct.pack(
        "<IIIIIIIIIiiIqq",
        _TYPE + len(definitions) + len(body),
        _TYPE + len(definitions),
        _TYPE,
        counted.title,
        0,
        counted.title + 1,
        0,
        _NOVICE,
        len(definitions) // _DEFINITION,
        0,
        -1 if None in values else len(values),
        0,
        sample.utc if timed else 0,
        TICKS if timed else 0,
    )
    return head + definitions + body


def _layout(counters: tuple[Counter, ...]) -> Iterator[tuple[Counter, int, int]]:
    """Where the data of each counter lies in a block, and how many bytes; a fraction's base lies behind it."""
    place = 4  # behind the length
    for counter in counters:
        width = _WIDE if counter.wide else _NARROW
        place = place + width - 1 & -width
        yield counter, place, width
        place += width
        if counter.type == FRACTION:
            yield counter, place, width
            place += width


def _definitions(counters: tuple[Counter, ...]) -> Iterator[bytes]:
    seen: set[Counter] = set()
    for counter, place, width in _layout(counters):
        kind = FRACTION_BASE if counter in seen else counter.type
        seen.add(counter)
        title, scale = counter.title, counter.scale
        yield struct.pack("<IIIIIiIIII", _DEFINITION, title, 0, title + 1, 0, scale, _NOVICE, kind, width, place)


def _data(counters: tuple[Counter, ...], numbers: list[int], sample: Sample, size: int) -> bytes:
    """PERF_COUNTER_BLOCK and the values of one instance."""
    data = bytearray(struct.pack("<I", size).ljust(size, b"\0"))
    by_counter = dict(zip(counters, numbers, strict=True))
    done: set[Counter] = set()
    for counter, place, width in _layout(counters):
        value = counter.second(sample) if counter in done else by_counter[counter]
        done.add(counter)
        data[place : place + width] = (value & (1 << 8 * width) - 1).to_bytes(width, "little")
    return bytes(data)
