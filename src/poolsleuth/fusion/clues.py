"""What a fact tells about the computer it comes from, and when two such clues cannot be of one computer."""

from dataclasses import dataclass, fields, replace
from functools import lru_cache

from poolsleuth.model.facts import Fact
from poolsleuth.model.memory import MemoryCounters, SessionMemory, VmFamily
from poolsleuth.model.series import CounterSeries
from poolsleuth.model.system import BANNER, EventText, TargetInfo
from poolsleuth.model.tags import PoolmonMemory, TagTable
from poolsleuth.windows.builds import Era, version_of_build
from poolsleuth.windows.tag_notes import find

_GB = 1 << 30
_32_BIT_SPACE = 4 << 30  # bytes: a pool maximum above it needs 64-bit addresses
# A nonpaged maximum below 300 MB on a machine with more than 1 GB: only 32-bit Windows before Vista is that small
# (64-bit XP/2003 give 400 KB per MB of RAM, Vista and later 75 % of RAM)
_OLD_X86_NONPAGED_MAX = 300 << 20
# Tags that only a later Windows uses, needed before a tag table speaks for the generation: one may be a driver's own
_TAGS_OF_A_GENERATION = 2

_FAMILY_ERAS = {
    VmFamily.W2K: (Era.W2K, Era.W2K),
    VmFamily.XP_2003: (Era.XP_2003, Era.XP_2003),
    VmFamily.VISTA_7: (Era.VISTA_7, Era.VISTA_7),
    # Newer debuggers print some of the newer rows on Windows 7 too: only the maxima below are certain
    VmFamily.W8_LATER: (Era.VISTA_7, Era.W81_AND_LATER),
}
_BOOT_TOLERANCE = 120.0  # seconds: a clock is set while the machine runs, uptime does not follow
_16_TB = 1 << 44  # nonpaged maximum since 8.1: the size of the address space
_384_GB = 384 << 30  # paged maximum of Windows 8 and Server 2012 alone


@dataclass(frozen=True, slots=True)
class Clues:
    """Properties of one computer (one boot of it, for the limits); None is not known. Sizes in bytes."""

    computer: str | None = None
    build: int | None = None
    kernel_base: int | None = None
    bits: int | None = None
    earliest: Era | None = None
    latest: Era | None = None
    physical: int | None = None
    nonpaged_max: int | None = None
    paged_max: int | None = None
    session_max: int | None = None
    live: bool | None = None
    booted: float | None = None  # seconds since 1970 UTC, of a dump: two boots cannot be told from two machines

    def conflicts(self, other: "Clues") -> bool:
        """Whether both cannot describe one computer."""
        if self.same_computer(other):
            return False
        for field in fields(self):
            mine, theirs = getattr(self, field.name), getattr(other, field.name)
            if field.name in {"earliest", "latest"} or mine is None or theirs is None:
                continue
            if field.name == "computer":
                mine, theirs = _host(mine), _host(theirs)
            if mine != theirs and not (field.name == "booted" and self.same_boot(other)):
                return True
        if self.build is not None or other.build is not None:
            return False  # a banner says which Windows it is; a layout is only a guess, and no match for it
        return self._eras_apart(other) or other._eras_apart(self)

    def _eras_apart(self, other: "Clues") -> bool:
        return self.earliest is not None and other.latest is not None and self.earliest > other.latest

    def same_computer(self, other: "Clues") -> bool:
        """Whether both carry one computer's name: its memory and limits may then have changed over time."""
        return bool(self.computer and other.computer and _host(self.computer) == _host(other.computer))

    def same_boot(self, other: "Clues") -> bool:
        """Whether both say when the machine was started, and mean the same time."""
        if self.booted is None or other.booted is None:
            return False
        return abs(self.booted - other.booted) <= _BOOT_TOLERANCE

    def confirms(self, other: "Clues") -> bool:
        """Whether something that differs from computer to computer is known in both, and equal."""
        if self.same_computer(other) or self.same_boot(other):
            return True
        if self.physical is not None and self.physical == other.physical:
            return True
        # The kernel's address is random per boot on 64-bit Windows only
        return self.bits == other.bits == 64 and self.kernel_base is not None and self.kernel_base == other.kernel_base

    def merged(self, other: "Clues") -> "Clues":
        """Both together; what the later one knows counts."""
        known = {f.name: v for f in fields(other) if (v := getattr(other, f.name)) is not None}
        if self.earliest is not None and other.earliest is not None:
            known["earliest"] = max(self.earliest, other.earliest)
        if self.latest is not None and other.latest is not None:
            known["latest"] = min(self.latest, other.latest)
        return replace(self, **known)


def _host(computer: str) -> str:
    """The bare name: events print "srv01.example.com" where the debugger prints "SRV01"."""
    return computer.casefold().split(".", 1)[0]


def clues_of(fact: Fact) -> Clues:
    """What one fact tells about its computer."""
    base = Clues(bits=fact.address_bits, live=fact.live)
    if isinstance(fact, MemoryCounters):
        return base.merged(_of_counters(fact))
    if isinstance(fact, TargetInfo):
        return base.merged(_of_target(fact))
    if isinstance(fact, SessionMemory):
        return base.merged(Clues(session_max=fact.paged_limit.value if fact.paged_limit else None))
    if isinstance(fact, PoolmonMemory):
        return base.merged(Clues(physical=fact.physical.value if fact.physical else None))
    if isinstance(fact, CounterSeries):
        return base.merged(Clues(computer=fact.path.host))
    if isinstance(fact, EventText):
        return base.merged(Clues(computer=fact.computer))
    if isinstance(fact, TagTable):
        return base.merged(_of_tags(fact))
    return base


def _of_counters(counters: MemoryCounters) -> Clues:
    physical = counters.physical.value if counters.physical else None
    nonpaged_max = counters.nonpaged_max.value if counters.nonpaged_max else None
    earliest, latest = _FAMILY_ERAS.get(counters.family, (None, None))
    paged_max = counters.paged_max.value if counters.paged_max else None
    if nonpaged_max is not None and nonpaged_max >= _16_TB:
        earliest = latest = Era.W81_AND_LATER
    elif paged_max == _384_GB:
        earliest = latest = Era.W8
    bits = 32 if is_old_x86(nonpaged_max, physical) else None
    if max(nonpaged_max or 0, paged_max or 0) > _32_BIT_SPACE:
        bits = 64
    if bits and latest is None:
        latest = Era.XP_2003
    # From Vista on the address space is dynamic: only the static maxima of before tell machines apart
    static = latest is not None and latest <= Era.XP_2003
    return Clues(
        bits=bits,
        earliest=earliest,
        latest=latest,
        physical=physical,
        nonpaged_max=nonpaged_max,
        paged_max=paged_max if static else None,
    )


def is_old_x86(nonpaged_max: int | None, physical: int | None) -> bool:
    """Whether this nonpaged maximum (bytes) is only possible on 32-bit Windows before Vista with this RAM (bytes)."""
    return nonpaged_max is not None and physical is not None and physical > _GB and nonpaged_max < _OLD_X86_NONPAGED_MAX


def _of_target(target: TargetInfo) -> Clues:
    bits = None
    if target.architecture is not None:
        bits = 32 if target.architecture == "x86" else 64
    version = version_of_build(target.build) if target.build is not None else None
    era = version.era if version else None
    return Clues(
        computer=target.computer,
        build=target.build,
        kernel_base=target.kernel_base,
        bits=bits,
        earliest=era,
        latest=era,
        booted=_boot(target),
    )


def _boot(target: TargetInfo) -> float | None:
    """When a dump's machine was started. Logs print uptimes too, but of one server over many crashes."""
    if target.told_by == BANNER or target.captured_at is None or target.uptime_seconds is None:
        return None
    return target.captured_at.timestamp() - target.uptime_seconds


def _of_tags(table: TagTable) -> Clues:
    later = {row.tag for row in table.rows if _since_vista(row.tag)}
    return Clues(earliest=Era.VISTA_7 if len(later) >= _TAGS_OF_A_GENERATION else None)


@lru_cache(maxsize=50_000)
def _since_vista(tag: str) -> bool:
    note = find(tag)
    return note is not None and note.pattern == tag and note.since == "Vista"  # a family's pattern proves nothing
