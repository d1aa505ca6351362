"""Builds the lines of a machine from every fact that has a time: counters, tag tables, poolmon headers, captures."""

from array import array
from collections.abc import Iterable, Sequence
from datetime import datetime
from math import floor

import numpy as np

from poolsleuth.model.facts import Where
from poolsleuth.model.machine import Machine
from poolsleuth.model.memory import MemoryCounters
from poolsleuth.model.series import FILE_TIME, CounterPath, CounterSeries, MemoryHistory, TagColumn, TagHistory, TagKey
from poolsleuth.model.system import TargetInfo
from poolsleuth.model.tags import PoolKind, PoolmonMemory, TagTable
from poolsleuth.patterns.lines import Line, Lines, Numbers, ProcessLine, TagLine
from poolsleuth.windows.counters import BYTES_PER, Unit, Use, english_of, known, unit_of

_HIGHEST = 1e30  # counters have 64 bits: a figure beyond is damage, and sums of such overflow
_LAST_TIME = 32_503_680_000.0  # the year 3000
_ENOUGH = 6  # samples of one source: then other sources, whose figures may be counted in another way, are left out


def lines_of(machine: Machine) -> Lines | None:
    """The lines of a machine; None when nothing was captured at two times."""
    counters = _counter_lines(machine.all(CounterSeries))
    processes: dict[str, ProcessLine] = {}
    objects: list[Line] = []
    loads: list[Line] = []
    for line in _without_twins(counters):
        _sort_in(line, processes, objects, loads)
    histories = list(machine.all(TagHistory))
    tags = _tag_lines(histories, list(machine.all(TagTable)))
    pools = _pool_lines(machine, counters)
    undated = any(len(h.times) > 1 and not np.isfinite(_view(h.times)).all() for h in histories)
    if not counters and not undated and all(len(p.times) < 2 for p in pools.values()) and not _moves(tags.values()):
        return None
    return Lines(
        pools=pools,
        tags=tags,
        processes=tuple(p for p in processes.values() if p.nonpaged or p.paged or p.handles),
        objects=tuple(objects),
        loads=tuple(loads),
        counters=tuple(counters),
        reboots=_reboots(machine, counters, tags),
        boots_known=_boots_known(counters, tags),
        undated=undated,
        dated_by_files=any(FILE_TIME in history.dated_by for history in histories),
    )


def _moves(tags: Iterable[TagLine]) -> bool:
    return any(len(tag.bytes.times) > 1 for tag in tags)


def _counter_lines(series: Iterable[CounterSeries]) -> list[Line]:
    """One line per counter: several logs of a machine continue each other. Local times and UTC are never joined."""
    groups: dict[tuple[str, bool], list[Line]] = {}
    for one in series:
        groups.setdefault((_short(one.path).casefold(), one.utc), []).append(_counter_line(one))
    return [_merged([line for line in group if len(line.times)] or group[:1]) for group in groups.values()]


def _counter_line(series: CounterSeries) -> Line:
    times, values = _usable(_view(series.times), _view(series.values))
    unit = unit_of(*english_of(series.path))
    if unit in BYTES_PER and unit is not Unit.BYTES:
        values, unit = values * BYTES_PER[unit], Unit.BYTES
    return Line(
        times=times,
        values=values,
        unit=unit,
        source=f"the counter {_short(series.path)}",
        where=series.where,
        utc=series.utc,
        samples=series.samples,
        path=series.path,
    )


def _short(path: CounterPath) -> str:
    """The counter without its host, which the machine's name tells."""
    return CounterPath(None, path.object, path.instance, path.counter).text


def _without_twins(counters: Sequence[Line]) -> list[Line]:
    """The lines without the object Process where Process V2 tells the same of every process, under a lasting name."""

    def is_of(line: Line, name: str) -> bool:
        return line.path is not None and english_of(line.path)[0] == name

    if not any(is_of(line, "process v2") for line in counters):
        return list(counters)
    return [line for line in counters if not is_of(line, "process")]


def _sort_in(
    line: Line,
    processes: dict[str, ProcessLine],
    objects: list[Line],
    loads: list[Line],
) -> None:
    path = line.path
    if path is None:
        return
    entry = known(*english_of(path))
    if entry is None:
        return
    if entry.use is Use.PROCESS and (path.instance or "").casefold() not in ("_total", "idle"):
        process = processes.setdefault(path.instance or "", ProcessLine(path.instance or ""))
        counter = english_of(path)[1]
        if counter == "pool nonpaged bytes":
            process.nonpaged = line
        elif counter == "pool paged bytes":
            process.paged = line
        elif counter == "handle count":
            process.handles = line
        elif counter == "id process":
            process.id = line
    elif entry.use is Use.OBJECTS:
        objects.append(line)
    elif entry.use is Use.LOAD:
        loads.append(line)


_POOL_COUNTERS = {
    ("memory", "pool nonpaged bytes"): PoolKind.NONPAGED,
    ("memory", "pool paged bytes"): PoolKind.PAGED,
}
_POOL_FIELDS = {PoolKind.NONPAGED: "nonpaged_used", PoolKind.PAGED: "paged_used"}


def _pool_lines(machine: Machine, counters: Sequence[Line]) -> dict[PoolKind, Line]:
    lines: dict[PoolKind, Line] = {}
    for kind, name in _POOL_FIELDS.items():
        parts = [line for line in counters if line.path is not None and _pool_of(line.path) is kind]
        parts += [
            _plain_line(h.times, h.figures[name], "the header of poolmon", h.where, utc=h.utc, samples=h.snapshots)
            for h in machine.all(MemoryHistory)
            if name in h.figures
        ]
        captured = [p for p in (_captured(fact, kind) for fact in machine.facts) if p is not None]
        counted = {s.where.input for s in machine.all(CounterSeries) if _pool_of(s.path) is kind}
        counted |= {h.where.input for h in machine.all(MemoryHistory) if name in h.figures}
        parts += [p for p in captured if p.where.input not in counted]
        joined = _joined(parts) or _sum_of_tags(machine, kind)
        if joined is not None:
            lines[kind] = joined
    return lines


def _pool_of(path: CounterPath) -> PoolKind | None:
    return _POOL_COUNTERS.get(english_of(path))


def _sum_of_tags(machine: Machine, kind: PoolKind) -> Line | None:
    """A pool as the sum of its tags, where every table holds every tag."""
    parts = []
    for history in machine.all(TagHistory):
        columns = [_true(_view(c.bytes)) for k, c in history.columns.items() if k.pool is kind and k.session is None]
        if history.complete and columns and np.isfinite(_view(history.times)).all():
            table = np.stack(columns)
            total = np.where(np.isfinite(table).any(axis=0), np.nansum(table, axis=0), np.nan)
            parts.append(
                _plain_line(_view(history.times), total, "the sum of all tags", history.where, utc=history.utc)
            )
    return _joined(parts)


def _captured(fact: object, kind: PoolKind) -> Line | None:
    """One dated capture as a line of one point."""
    if not isinstance(fact, MemoryCounters | PoolmonMemory) or fact.at is None:
        return None
    figure = fact.paged_used if kind is PoolKind.PAGED else fact.nonpaged_used
    if figure is None:
        return None
    value = figure.value
    if isinstance(fact, MemoryCounters) and kind is PoolKind.NONPAGED and fact.nonpaged_nx_used is not None:
        value += fact.nonpaged_nx_used.value
    source = "the header of poolmon" if isinstance(fact, PoolmonMemory) else fact.source
    return _plain_line([_seconds(fact.at)], [float(value)], source, figure.where)


def _plain_line(
    times: "Sequence[float] | Numbers",
    values: "Sequence[float] | Numbers",
    source: str,
    where: Where,
    *,
    unit: Unit = Unit.BYTES,
    utc: bool = True,
    samples: int | None = None,
) -> Line:
    t, v = _usable(np.asarray(times, dtype=np.float64), np.asarray(values, dtype=np.float64))
    return Line(t, v, unit, source, where, utc, len(t) if samples is None else samples)


def _usable(times: Numbers, values: Numbers) -> tuple[Numbers, Numbers]:
    """What has a time, in its order; figures that cannot be true are missing. Most often the arrays themselves."""
    good = (times >= 0) & (times < _LAST_TIME)
    if not good.all():
        times, values = times[good], values[good]
    values = _true(values)
    if len(times) > 1 and (np.diff(times) < 0).any():
        order = np.argsort(times, kind="stable")
        return times[order], values[order]
    return times, values


def _true(values: Numbers) -> Numbers:
    damaged = np.abs(values) > _HIGHEST
    return np.where(damaged, np.nan, values) if damaged.any() else values


def _joined(parts: Sequence[Line]) -> Line | None:
    """One line out of several sources of one figure.

    The source with most samples alone where it has ``_ENOUGH``, with others of its kind; else all of them together.
    """
    parts = [part for part in parts if len(part.times)]
    if not parts:
        return None
    best = max(parts, key=lambda part: len(part.times))
    same = [p for p in parts if p.utc == best.utc and (len(best.times) < _ENOUGH or p.source == best.source)]
    return _merged(same, best)


def _merged(parts: Sequence[Line], best: Line | None = None) -> Line:
    """All samples of some lines, named after ``best``: the longest when None. One line stays as it is."""
    if len(parts) == 1:
        return parts[0]
    best = best or max(parts, key=lambda part: len(part.times))
    times = np.concatenate([part.times for part in parts])
    values = np.concatenate([part.values for part in parts])
    # Two logs that overlap hold the same sample twice; of those, one whose value is known
    order = np.lexsort((np.isfinite(values), times))
    times, values = times[order], values[order]
    keep = np.append(np.diff(times) > 0, True)
    latest = max(parts, key=lambda part: part.times[-1])
    return Line(
        times[keep],
        values[keep],
        best.unit,
        best.source,
        latest.where,
        best.utc,
        sum(part.samples for part in parts),
        best.path,
    )


def _tag_lines(histories: Sequence[TagHistory], tables: Sequence[TagTable]) -> dict[TagKey, TagLine]:
    """The tags over all histories, and over the dated tables of inputs that have no history.

    Local times and UTC are never mixed: of the two, that with more snapshots is taken.
    """
    covered = {history.where.input for history in histories}
    dated = [t for t in tables if t.at is not None and t.where.input not in covered]
    sources: list[tuple[Numbers, dict[TagKey, TagColumn], TagHistory | TagTable]] = []
    for history in histories:
        times = _view(history.times)
        if np.isfinite(times).all():
            sources.append((times, dict(history.columns), history))
    utc = _mostly_utc([h for *_, h in sources if isinstance(h, TagHistory)], dated)
    sources = [s for s in sources if isinstance(s[2], TagTable) or s[2].utc == utc]
    dated = dated if utc else []
    pieces: dict[TagKey, list[tuple[Numbers, TagColumn | tuple[float, float, float]]]] = {}
    wheres: dict[TagKey, Where] = {}
    samples: dict[TagKey, int] = {}
    for times, columns, source in sources:
        for key, column in columns.items():
            pieces.setdefault(key, []).append((times, column))
            wheres[key] = source.where
            samples[key] = samples.get(key, 0) + (source.snapshots if isinstance(source, TagHistory) else 1)
    for table in dated:
        at = np.array([_seconds(table.at)])
        for row in table.rows:
            key = TagKey(row.tag, row.pool, table.session)
            pieces.setdefault(key, []).append((at, (_number(row.bytes), _number(row.outstanding), _number(row.allocs))))
            wheres[key] = row.where
            samples[key] = samples.get(key, 0) + 1
    return {key: _tag_line(key, parts, wheres[key], samples[key], utc=utc) for key, parts in pieces.items()}


def _mostly_utc(histories: Sequence[TagHistory], dated: Sequence[TagTable]) -> bool:
    in_utc = len({t.at for t in dated}) + sum(len(h.times) for h in histories if h.utc)
    return in_utc >= sum(len(h.times) for h in histories if not h.utc)


def _tag_line(
    key: TagKey,
    parts: Sequence[tuple[Numbers, TagColumn | tuple[float, float, float]]],
    where: Where,
    samples: int,
    *,
    utc: bool,
) -> TagLine:
    if len(parts) == 1 and isinstance(parts[0][1], TagColumn):
        times = parts[0][0]
        column = parts[0][1]
        columns = [_view(column.bytes), _view(column.outstanding), _view(column.allocs)]
    else:
        times = np.concatenate([t for t, _ in parts])
        columns = [
            np.concatenate(
                [
                    _view((c.bytes, c.outstanding, c.allocs)[i]) if isinstance(c, TagColumn) else np.array([c[i]])
                    for _, c in parts
                ]
            )
            for i in range(3)
        ]
    if len(times) > 1 and (np.diff(times) <= 0).any():
        known = np.isfinite(columns[0]) | np.isfinite(columns[1])
        order = np.lexsort((known, times))  # of two tables of one time, the one that shows the tag
        times = times[order]
        keep = np.append(np.diff(times) > 0, True)
        times, columns = times[keep], [c[order][keep] for c in columns]
    columns = [_true(column) for column in columns]
    name = f"tag {key.tag}"
    return TagLine(
        key,
        Line(times, columns[0], Unit.BYTES, name, where, utc, samples),
        Line(times, columns[1], Unit.COUNT, name, where, utc, samples),
        Line(times, columns[2], Unit.COUNT, name, where, utc, samples),
    )


def _view(column: "array[float]") -> Numbers:
    return np.frombuffer(column) if len(column) else np.empty(0)


def _seconds(at: datetime | None) -> float:
    """Whole seconds: a report that was read back knows no more, and is not to be a second sample of one capture."""
    return float(floor(at.timestamp())) if at is not None else float("nan")


def _number(value: int | None) -> float:
    return float("nan") if value is None else float(value)


# ---- reboots ---------------------------------------------------------------------------------------------------

_LOST_ALLOCS = 0.5  # of the allocations since boot that a table must lose before it is another boot's
_MOMENT = 0.001  # seconds
_FEW_TAGS = 5  # whose counts of allocations must be known before they tell of reboots
_FELL_BACK = 60.0  # seconds that an uptime must fall before it is another boot's: clocks are corrected by less


def _reboots(machine: Machine, counters: Sequence[Line], tags: dict[TagKey, TagLine]) -> tuple[float, ...]:
    found: set[float] = set()
    uptimes = [line for line in counters if line.path is not None and english_of(line.path)[1] == "system up time"]
    told = [t for t in machine.all(TargetInfo) if t.captured_at is not None and t.uptime_seconds is not None]
    if told:
        banners = [_seconds(t.captured_at) for t in told], [t.uptime_seconds or 0.0 for t in told]
        uptimes.append(_plain_line(*banners, "the banners", told[-1].where, unit=Unit.SECONDS))
    for utc in (True, False):
        same = [line for line in uptimes if line.utc == utc and len(line.times)]
        if not same:
            continue
        line = _merged(same)
        good = np.isfinite(line.values)
        times, values = line.times[good], line.values[good]
        for place in np.flatnonzero(np.diff(values) < -_FELL_BACK):
            boot = times[place + 1] - values[place + 1]
            # Between the two samples, also where the uptime's clock and the log's disagree
            found.add(float(min(max(boot, times[place] + _MOMENT), times[place + 1])))
    found |= set(_allocs_lost(tags))
    return tuple(sorted(found))


def _boots_known(counters: Sequence[Line], tags: dict[TagKey, TagLine]) -> bool:
    """Whether every reboot would show: an uptime was recorded, or the tables count allocations since boot."""
    for line in counters:
        if line.path is not None and english_of(line.path)[1] == "system up time" and len(line.times) > 1:
            return True
    counted = sum(np.isfinite(tag.allocs.values).sum() > 1 for tag in tags.values())
    return bool(counted >= _FEW_TAGS)


def _allocs_lost(tags: dict[TagKey, TagLine]) -> list[float]:
    """Times between tables at which most tags' allocations since boot fell: 32-bit counters of single tags wrap."""
    groups: dict[bytes, list[TagLine]] = {}
    for tag in tags.values():
        if len(tag.allocs.times) > 1:
            groups.setdefault(tag.allocs.times.tobytes(), []).append(tag)
    found: list[float] = []
    for members in groups.values():
        times = members[0].allocs.times
        fell = np.zeros(len(times) - 1)
        both = np.zeros(len(times) - 1)
        for tag in members:
            before, after = tag.allocs.values[:-1], tag.allocs.values[1:]
            with np.errstate(invalid="ignore"):
                fell += after < before * _LOST_ALLOCS
                both += np.isfinite(before) & np.isfinite(after) & (before > 0)
        for place in np.flatnonzero((fell > _LOST_ALLOCS * both) & (both >= 5)):
            found.append(float((times[place] + times[place + 1]) / 2))
    return found
