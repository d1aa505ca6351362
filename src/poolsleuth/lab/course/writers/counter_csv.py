"""The counter log as text: PDH-CSV, as logman, Performance Monitor and relog write it.

The list of instances is fixed at the first sample, as it is in these files: a process that starts later is not in
them, and one that has ended leaves blanks. A rate begins with a blank, and has one where a counter fell back.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path

from poolsleuth.lab.course.moment import Moment
from poolsleuth.lab.course.writers.counter_sheet import (
    BULK_RATE,
    ELAPSED,
    FRACTION,
    IDLE_TIME,
    RATE,
    CountedObject,
    Counter,
    objects_of,
    samples_of,
    values_of,
)
from poolsleuth.lab.course.writers.zone import HOST, ZONE, Zone

_BLANK = " "
_GROWS = (RATE, BULK_RATE, IDLE_TIME)

Key = tuple[str, str, str | None]
_Raw = tuple[int, int]


def write_counter_csv(path: Path, moments: Iterable[Moment], *, zone: Zone = ZONE, host: str = HOST) -> int:
    """Write the samples of the moments; returns how many. Raises FileExistsError, ValueError when there is none."""
    count = -1
    with path.open("x", encoding="cp1252", errors="replace", newline="") as file:
        for line in counter_lines(moments, zone=zone, host=host):
            file.write(line + "\r\n")
            count += 1
    if count < 0:
        raise ValueError("a counter log needs at least one moment")
    return count


def counter_lines(moments: Iterable[Moment], *, zone: Zone = ZONE, host: str = HOST) -> Iterator[str]:
    """The header and one line for each moment, without line ends."""
    objects: tuple[CountedObject, ...] = ()
    keys: list[Key] = []
    before: dict[Key, _Raw] = {}
    for sample in samples_of(moments):
        if not objects:
            objects = objects_of(sample)
            for counted in objects:
                for counter in counted.counters:
                    keys += [(counted.name, counter.name, name) for name, _ in values_of(counted, counter, sample)]
            paths = [path_text(host, *key) for key in keys]
            yield _line([f"(PDH-CSV 4.0) ({zone.name})({zone.bias})", *paths])
        cells: dict[Key, str] = {}
        raws: dict[Key, _Raw] = {}
        for counted in objects:
            for counter in counted.counters:
                second = counter.second(sample)
                per_second = counter.per_second(sample.machine.windows)
                for name, first in values_of(counted, counter, sample):
                    key = (counted.name, counter.name, name)
                    raws[key] = (first, second)
                    value = shown(counter, before.get(key), (first, second), per_second)
                    cells[key] = _BLANK if value is None else number_text(value)
        before = raws
        at = zone.local(sample.moment.at)
        yield _line([f"{at:%m/%d/%Y %H:%M:%S}.{at.microsecond // 1000:03}", *(cells.get(k, _BLANK) for k in keys)])


def path_text(host: str, counted: str, counter: str, instance: str | None) -> str:
    r"""A path: ``\\HOST\Object(instance)\Counter``. Parentheses in an instance are written as brackets."""
    inside = "" if instance is None else f"({instance.replace('(', '[').replace(')', ']')})"
    return rf"\\{host}\{counted}{inside}\{counter}"


def shown(counter: Counter, before: _Raw | None, now: _Raw, per_second: int) -> int | float | None:
    """What Windows shows for two raw values after one another; None is a blank."""
    first, second = now
    if counter.type == FRACTION:
        return 100.0 * first / second if second else None
    if counter.type == ELAPSED:
        return (second - first) / per_second
    if counter.type not in _GROWS:
        return first
    if before is None:
        return None
    grown, passed = first - before[0], second - before[1]
    if grown < 0 or passed <= 0:
        return None
    if counter.type == IDLE_TIME:
        return 100.0 * (1 - grown / passed)
    return grown * per_second / passed


def number_text(value: float) -> str:
    """A number as Windows prints it: up to 17 digits."""
    return str(value) if isinstance(value, int) else format(value, ".17g")


def _line(cells: list[str]) -> str:
    return ",".join(f'"{cell}"' for cell in cells)
