"""Segments of a heap: runs of units that are handed out and taken back."""

from dataclasses import dataclass, field

from poolsleuth.lab.machine import PAGE
from poolsleuth.lab.segment_heap.contents import DIRECT, RangeContents, SegmentContents
from poolsleuth.lab.segment_heap.sizes import UNIT_SHIFTS, UNITS

HEAD = 0x2000
"""Bytes of a segment's own head: 256 descriptors."""
CONTEXT_AT = (0, 0x8000_0000)
"""Where the segments of each context begin, from the heap's base on."""


@dataclass(slots=True)
class _Segment:
    at: int
    used: dict[int, tuple[int, int, int]] = field(default_factory=dict)
    free: list[tuple[int, int]] = field(default_factory=list)


class Segments:
    """The segments of one context. A new one is made when no run of units is long enough."""

    def __init__(self, context: int) -> None:
        self.context = context
        self.shift = UNIT_SHIFTS[context]
        self.first = max(HEAD >> self.shift, 1)
        self._segments: list[_Segment] = []

    def allocate(self, size: int, kind: int) -> int:
        """A range of at least ``size`` bytes for that kind; its offset from the heap's base. ValueError if too long."""
        units = -(-size >> self.shift)
        if not 0 < units <= UNITS - self.first:
            raise ValueError(f"a segment has no room for {size} bytes")
        for segment in self._segments:
            for number, (unit, count) in enumerate(segment.free):
                if count >= units:
                    return self._cut(segment, number, unit, count, units, size, kind)
        each = UNITS << self.shift
        segment = _Segment(CONTEXT_AT[self.context] + len(self._segments) * each)
        segment.free.append((self.first, UNITS - self.first))
        self._segments.append(segment)
        return self._cut(segment, 0, self.first, UNITS - self.first, units, size, kind)

    def _cut(self, segment: _Segment, number: int, unit: int, count: int, units: int, size: int, kind: int) -> int:
        if count == units:
            del segment.free[number]
        else:
            segment.free[number] = (unit + units, count - units)
        unused = (units << self.shift) - size if kind == DIRECT else 0
        segment.used[unit] = (units, kind, unused)
        return segment.at + (unit << self.shift)

    def free(self, at: int) -> None:
        """Take a range back and join it with its free neighbours. Raises KeyError when there is none at ``at``."""
        each = UNITS << self.shift
        segment = self._segments[(at - CONTEXT_AT[self.context]) // each]
        unit = at - segment.at >> self.shift
        units, _kind, _unused = segment.used.pop(unit)
        runs = sorted([*segment.free, (unit, units)])
        joined = [runs[0]]
        for begin, count in runs[1:]:
            last, length = joined[-1]
            if last + length == begin:
                joined[-1] = (last, length + count)
            else:
                joined.append((begin, count))
        segment.free = joined

    def length(self, at: int) -> int:
        """The bytes of the range at ``at``."""
        segment = self._segments[(at - CONTEXT_AT[self.context]) // (UNITS << self.shift)]
        return segment.used[at - segment.at >> self.shift][0] << self.shift

    def contents(self) -> tuple[SegmentContents, ...]:
        """All segments as they are now."""
        found = []
        for segment in self._segments:
            ranges = [RangeContents(unit, units, kind, unused) for unit, (units, kind, unused) in segment.used.items()]
            ranges += [RangeContents(unit, count, 0) for unit, count in segment.free]
            found.append(SegmentContents(segment.at, self.context, tuple(sorted(ranges, key=lambda each: each.unit))))
        return tuple(found)

    def pages(self) -> int:
        """Pages of heads and of ranges in use."""
        each = [units << self.shift for s in self._segments for units, _kind, _unused in s.used.values()]
        return (sum(each) + HEAD * len(self._segments)) // PAGE
