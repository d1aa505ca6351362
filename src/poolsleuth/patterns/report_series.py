"""The lines of a machine as the report carries them: the few that matter, down-sampled, with what they do."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import pairwise

import numpy as np

from poolsleuth.model.finding import Trend
from poolsleuth.model.report import ReportSeries
from poolsleuth.model.series import CounterPath, moment
from poolsleuth.model.tags import PoolKind
from poolsleuth.patterns.course.course import Course, Kind
from poolsleuth.patterns.courses import Courses, ProcessCourse, TagCourse
from poolsleuth.patterns.lines import Line, Numbers
from poolsleuth.patterns.over_time import WORDS, rate, seen, trend_of
from poolsleuth.patterns.views import PoolStates

MAX_POINTS = 400  # of one series in the report: a chart is about a thousand pixels wide
MAX_TAGS = 12
MAX_PROCESSES = 10
MAX_LOADS = 8
MAX_ASKED = 200  # counters and tags that were asked for by name
_HIGHEST = 1e300  # beyond, a JSON reader may overflow

Asked = Callable[[CounterPath], bool]
AskedTag = Callable[[str], bool]


def report_series(
    courses: Courses,
    states: PoolStates | None,
    asked: Asked | None = None,
    asked_tag: AskedTag | None = None,
) -> tuple[ReportSeries, ...]:
    """The pools, the tags and processes that grow or move most, the load, and every counter or tag asked for."""
    return (
        *_pools(courses, states),
        *_tags(courses, asked_tag),
        *_processes(courses),
        *_loads(courses),
        *_counters(courses, asked),
    )


def _pools(courses: Courses, states: PoolStates | None) -> Iterator[ReportSeries]:
    for kind, line in courses.lines.pools.items():
        state = states.of(kind) if states is not None and kind is not PoolKind.SESSION else None
        series = _series(line, f"{kind} pool", "pool")
        if series is None:
            continue
        course = courses.pools.get(kind)
        trend = trend_of(course, line, None, state, None) if course is not None else None
        limit = float(state.limit) if state is not None and state.limit is not None else None
        yield replace(_judged(series, course, line, trend), pool=str(kind), limit=limit)


def _tags(courses: Courses, asked: AskedTag | None) -> Iterator[ReportSeries]:
    growing = courses.growing_tags()[:MAX_TAGS]
    chosen = {id(tag): tag for tag in growing}
    moving = sorted(courses.tags.values(), key=lambda t: -_reach(t))
    for tag in moving[:MAX_TAGS]:
        if len(chosen) < MAX_TAGS and _reach(tag) > 0:
            chosen.setdefault(id(tag), tag)
    if asked is not None:
        wanted = [tag for tag in courses.tags.values() if asked(tag.key.tag)]
        chosen.update((id(tag), tag) for tag in wanted[:MAX_ASKED])
    for tag in chosen.values():
        series = _series(tag.shown, _tag_name(tag), "tag")
        if series is None:
            continue
        blocks = courses.blocks(tag) if tag.course.grows else None
        trend = trend_of(tag.course, tag.shown, blocks, None, None)
        yield replace(
            _judged(series, tag.course, tag.shown, trend),
            pool=str(tag.key.pool),
            tag=tag.key.tag,
            session=tag.key.session,
        )


def _reach(tag: TagCourse) -> float:
    """How far a tag's bytes moved; blocks count as one byte each, so that they come behind."""
    values = tag.shown.values[np.isfinite(tag.shown.values)]
    return float(values.max()) - float(values.min()) if len(values) else 0.0


def _tag_name(tag: TagCourse) -> str:
    key = tag.key
    session = "" if key.session is None else ", all sessions" if key.session == -1 else f", session {key.session}"
    what = "" if tag.shown is tag.line.bytes else ", blocks"
    return f"tag {key.tag}, {key.pool} pool{session}{what}"


def _processes(courses: Courses) -> Iterator[ReportSeries]:
    def order(process: ProcessCourse) -> tuple[bool, float]:
        return not process.course.grows, -abs(process.course.growth)

    moving = [p for p in courses.processes if p.course.kind not in (Kind.STEADY, Kind.TOO_SHORT)]
    for process in sorted(moving, key=order)[:MAX_PROCESSES]:
        words = "handles" if process.what == "handles" else f"{process.what} pool"
        series = _series(process.line, f"{words} of {process.process.name}", "process")
        if series is not None:
            trend = trend_of(process.course, process.line, None, None, None)
            pool = None if process.what == "handles" else process.what
            yield replace(_judged(series, process.course, process.line, trend), pool=pool, process=process.process.name)


def _loads(courses: Courses) -> Iterator[ReportSeries]:
    moving = [line for line in courses.lines.loads if _moves(line)]
    for line in moving[:MAX_LOADS]:
        series = _series(line, _path_name(line), "load")
        if series is not None:
            yield series


def _moves(line: Line) -> bool:
    good = line.values[np.isfinite(line.values)]
    return len(good) > 1 and bool((good != good[0]).any())


def _counters(courses: Courses, asked: Asked | None) -> Iterator[ReportSeries]:
    if asked is None:
        return
    told = 0
    for line in courses.lines.counters:
        if line.path is not None and asked(line.path) and told < MAX_ASKED:
            series = _series(line, _path_name(line), "counter")
            if series is not None:
                told += 1
                yield series


def _path_name(line: Line) -> str:
    if line.path is None:
        return line.source
    return CounterPath(None, line.path.object, line.path.instance, line.path.counter).text


def _series(line: Line, name: str, kind: str) -> ReportSeries | None:
    """The bare series; None when it has no point that can be drawn."""
    times, values = down_sampled(line.times, line.values, MAX_POINTS)
    start = moment(float(times[0])) if len(times) else None
    if start is None or not np.isfinite(values).any():
        return None
    drawn = [float(v) if np.isfinite(v) and abs(v) < _HIGHEST else None for v in values]
    return ReportSeries(
        name=name,
        kind=kind,
        unit=str(line.unit),
        start=start.replace(microsecond=0),
        seconds=tuple(round(float(t) - int(times[0]), 3) for t in times),
        values=tuple(int(v) if v is not None and v.is_integer() and abs(v) < 2**53 else v for v in drawn),
        samples=max(line.samples, len(line.times)),
        path=line.path.text if line.path is not None else None,
        utc=line.utc,
    )


def _judged(series: ReportSeries, course: Course | None, line: Line, trend: Trend | None) -> ReportSeries:
    if course is None:
        return series
    pace = f": {rate(course, line.unit)}" if course.grows and course.slope is not None else ""
    start = int(line.times[0])
    return replace(
        series,
        course=str(course.kind),
        says=f"{WORDS[course.kind]}{pace}; {seen(course, line)}.",
        trend=trend,
        line=tuple(
            (round(at - start, 3), value) for at, value in course.line if np.isfinite(at) and np.isfinite(value)
        ),
    )


def down_sampled(times: Numbers, values: Numbers, most: int) -> tuple[Numbers, Numbers]:
    """At most ``most`` points: of each stretch its lowest and its highest value, so that floors and peaks survive.

    A stretch without any value stays as one gap.
    """
    if len(times) <= most:
        return times, values
    edges = np.linspace(0, len(times), max(1, most // 2 - 1) + 1).astype(int)  # the two ends are kept too
    kept: list[int] = []
    for first, end in pairwise(edges):
        part = values[first:end]
        good = np.isfinite(part)
        if not good.any():
            kept.append(int(first))
            continue
        low = int(first + np.argmin(np.where(good, part, np.inf)))
        high = int(first + np.argmax(np.where(good, part, -np.inf)))
        kept += sorted({low, high})
    places = np.unique(np.array([0, *kept, len(times) - 1]))
    return times[places], values[places]


__all__ = ["MAX_POINTS", "Asked", "AskedTag", "down_sampled", "report_series"]
