"""What every line of a machine does over time, judged once for all patterns."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from poolsleuth.model.machine import Machine
from poolsleuth.model.series import TagKey
from poolsleuth.model.tags import PoolKind
from poolsleuth.patterns.course.course import Course, Kind
from poolsleuth.patterns.course.words import shown
from poolsleuth.patterns.line_sources import lines_of
from poolsleuth.patterns.lines import Line, Lines, ProcessLine, TagLine
from poolsleuth.patterns.thresholds import (
    COURSE_BYTES,
    COURSE_COUNT,
    COURSE_SHARE,
    COURSE_TAG_SHARE,
    Threshold,
)
from poolsleuth.patterns.wording import amount

MAX_RESTARTS = 1000  # of one process within a log
MAX_LOADS = 60  # load counters that are compared with a growth: a server has some dozen disks and network cards


if TYPE_CHECKING:
    from poolsleuth.patterns.course.together import Relation


@dataclass(frozen=True, slots=True, eq=False)
class TagCourse:
    """A tag over time and what its bytes do (its blocks, where the bytes are not known)."""

    line: TagLine
    course: Course

    @property
    def key(self) -> TagKey:
        """The tag and its pool."""
        return self.line.key

    @property
    def shown(self) -> Line:
        """The line that was judged."""
        return self.line.bytes if np.isfinite(self.line.bytes.values).any() else self.line.outstanding


@dataclass(frozen=True, slots=True, eq=False)
class ProcessCourse:
    """One figure of one process: ``what`` is "handles", "nonpaged" or "paged"."""

    process: ProcessLine
    what: str
    line: Line
    course: Course


class Courses:
    """The courses of a machine's lines; each is judged when it is first asked for."""

    def __init__(self, lines: Lines) -> None:
        self.lines = lines
        self._loads: dict[int, bool] = {}

    @cached_property
    def pools(self) -> dict[PoolKind, Course]:
        """The two system pools, as far as there are lines."""
        return {kind: self._bytes(line, COURSE_SHARE) for kind, line in self.lines.pools.items()}

    @cached_property
    def tags(self) -> dict[TagKey, TagCourse]:
        """Every tag that is in more than one table."""
        judged: dict[TagKey, TagCourse] = {}
        for key, line in self.lines.tags.items():
            if len(line.bytes.times) < 2:
                continue
            known_bytes = np.isfinite(line.bytes.values).any()
            course = (
                self._bytes(line.bytes, COURSE_TAG_SHARE)
                if known_bytes
                else self._count(line.outstanding, COURSE_TAG_SHARE)
            )
            judged[key] = TagCourse(line, course)
        return judged

    @cached_property
    def processes(self) -> tuple[ProcessCourse, ...]:
        """Handles and pool quotas of every process."""
        judged = []
        for process in self.lines.processes:
            for what, line in (
                ("handles", process.handles),
                ("nonpaged", process.nonpaged),
                ("paged", process.paged),
            ):
                if line is not None and len(line.times) > 1:
                    judge = self._count if what == "handles" else self._bytes
                    judged.append(ProcessCourse(process, what, line, judge(line, COURSE_TAG_SHARE, _restarts(process))))
        return tuple(judged)

    @cached_property
    def objects(self) -> tuple[tuple[Line, Course], ...]:
        """Counts of kernel objects by type."""
        return tuple((line, self._count(line, COURSE_TAG_SHARE)) for line in self.lines.objects if len(line.times) > 1)

    def growing_tags(self, kind: PoolKind | None = None) -> list[TagCourse]:
        """The tags that grow and do not come down, the largest growth first."""
        found = [t for t in self.tags.values() if t.course.grows and (kind is None or t.key.pool is kind)]
        return sorted(found, key=lambda t: (-t.course.growth, t.key.tag))

    def explained(self, kind: PoolKind) -> float | None:
        """The share of a pool's growth that its growing tags make, 0 when none grows; None when the pool does not."""
        course = self.pools.get(kind)
        if course is None or not course.grows:
            return None
        if not course.slope or course.slope <= 0:
            return 0.0
        tags = [t for t in self.growing_tags(kind) if t.key.session is None and t.shown is t.line.bytes]
        return sum(t.course.slope or 0.0 for t in tags) / course.slope

    def blocks(self, tag: TagCourse) -> Course:
        """What a tag's outstanding allocations do."""
        return self._count(tag.line.outstanding, COURSE_TAG_SHARE)

    def relations(self, line: Line) -> "list[tuple[Line, Relation]]":
        """How a line follows each load counter of the log."""
        from poolsleuth.patterns.course.together import relation  # noqa: PLC0415 - see _judge

        return [
            (load, relation(line.times, line.values, load.times, load.values))
            for load in self.lines.loads[:MAX_LOADS]
            if len(load.times) > 1 and load.utc == line.utc
        ]

    def load_grows(self, load: Line) -> bool:
        """Whether a load counter itself grows and does not come down."""
        known = self._loads.get(id(load))
        if known is None:
            good = load.values[np.isfinite(load.values)]
            least = COURSE_TAG_SHARE.value * float(np.median(np.abs(good))) if len(good) else 0.0
            known = self._loads[id(load)] = self._judge(load, least, None).grows
        return known

    @property
    def judged(self) -> bool:
        """Whether any pool or tag was long enough in sight to be judged."""
        courses = [*self.pools.values(), *(tag.course for tag in self.tags.values())]
        return any(course.kind is not Kind.TOO_SHORT for course in courses)

    def _bytes(self, line: Line, share: Threshold, more_cuts: Sequence[float] | None = None) -> Course:
        return self._judge(line, _least(line, COURSE_BYTES, share), more_cuts)

    def _count(self, line: Line, share: Threshold, more_cuts: Sequence[float] | None = None) -> Course:
        return self._judge(line, _least(line, COURSE_COUNT, share), more_cuts)

    def _judge(self, line: Line, least: float, more_cuts: Sequence[float] | None) -> Course:
        # scipy takes a second to load, which logs without a second capture need not wait for
        from poolsleuth.patterns.course.shape import judge_course  # noqa: PLC0415

        zone = "UTC" if line.utc else "(local time of the server)"
        known = self.lines.boots_known if more_cuts is None else True
        cuts = sorted({*self.lines.reboots, *(more_cuts or ())})
        with shown(lambda value: amount(value, line.unit), zone):
            return judge_course(line.times, line.values, least=least, cuts=cuts, restarts_known=known)


def _restarts(process: ProcessLine) -> list[float] | None:
    """When another process took over the instance's name: its id changed. None when its id was not recorded."""
    if process.id is None:
        return None
    good = np.isfinite(process.id.values)
    times, ids = process.id.times[good], process.id.values[good]
    return [float(times[place + 1]) for place in np.flatnonzero(np.diff(ids) != 0)][:MAX_RESTARTS]


def _least(line: Line, floor: Threshold, share: Threshold) -> float:
    good = line.values[np.isfinite(line.values)]
    return max(floor.value, share.value * float(np.median(good))) if len(good) else floor.value


def courses_of(machine: Machine) -> Courses | None:
    """The courses of a machine, None when nothing of it was captured at two times."""
    lines = lines_of(machine)
    return Courses(lines) if lines is not None else None
