"""Which Windows a machine runs, from what its evidence holds. Unknown stays unknown; an inference says so."""

from collections.abc import Sequence
from datetime import datetime

from poolsleuth.fusion.clues import Clues, is_old_x86
from poolsleuth.model.facts import Fact, Reason
from poolsleuth.model.machine import System
from poolsleuth.model.memory import MemoryCounters
from poolsleuth.model.series import FILE_TIME, MemoryHistory, TagHistory, moment
from poolsleuth.model.system import BugCheck, TargetInfo
from poolsleuth.windows.builds import Era, version_of_build
from poolsleuth.windows.pool_limits import infers_3gb

_GB = 1 << 30
_XP_PAGED_LIMIT = 491 << 20  # XP's 32-bit ceiling for paged pool; Server 2003's is higher (article 004)

_FAMILY_NAMES = {
    (Era.W2K, Era.W2K): "Windows 2000",
    (Era.XP_2003, Era.XP_2003): "Windows XP or Server 2003",
    (Era.VISTA_7, Era.VISTA_7): "Windows Vista to 7, or Server 2008 to 2008 R2",
    (Era.W8, Era.W8): "Windows 8 or Server 2012",
    (Era.W81_AND_LATER, Era.W81_AND_LATER): "Windows 8.1 or later, or Server 2012 R2 or later",
    (Era.VISTA_7, Era.W81_AND_LATER): "Windows Vista or later",
}


def identify(facts: Sequence[Fact], clues: Clues) -> System:
    """The system that these facts (of one machine) speak of."""
    basis: list[Reason] = []
    targets = [fact for fact in facts if isinstance(fact, TargetInfo)]
    counters = [fact for fact in facts if isinstance(fact, MemoryCounters)]
    physical = clues.physical
    architecture = _architecture(targets, facts, clues, basis)
    bits = None if architecture is None else 32 if architecture == "x86" else 64
    os, era = _windows(targets, counters, clues, bits, basis)
    three_gb = None
    maximum = counters[-1].nonpaged_max if counters else None
    if maximum is not None:
        three_gb = infers_3gb(
            nonpaged_max_bytes=maximum.value,
            bits=32 if bits == 32 else 64 if bits else None,
            era=era,
            ram_bytes=physical,
        )
    if three_gb and maximum is not None:
        basis.append(
            Reason(
                f"booted with /3GB: a nonpaged maximum of {maximum.value >> 20} MB is half of what this Windows takes"
                " with this memory",
                maximum.where,
            )
        )
    for told in targets:
        basis += [Reason(note, told.where) for note in told.notes]
    return System(
        name=clues.computer,
        os=os,
        build=clues.build,
        era=int(era) if era is not None else None,
        architecture=architecture,
        pae=_pae(targets, architecture, physical, basis),
        three_gb=three_gb,
        physical_bytes=physical,
        captured_at=_last([*(t.captured_at for t in targets), *_table_times(facts)]),
        uptime_seconds=next((t.uptime_seconds for t in reversed(targets) if t.uptime_seconds is not None), None),
        bugcheck=next((fact for fact in reversed(facts) if isinstance(fact, BugCheck)), None),
        basis=tuple(basis),
    )


def _table_times(facts: Sequence[Fact]) -> list[datetime | None]:
    """When the last tag tables were taken, where they say so themselves in UTC."""
    return [
        moment(fact.times[-1])
        for fact in facts
        if isinstance(fact, TagHistory | MemoryHistory)
        and fact.utc
        and len(fact.times)
        and FILE_TIME not in fact.dated_by
    ]


def _last(times: Sequence[datetime | None]) -> datetime | None:
    known = [time for time in times if time is not None]
    return max(known) if known else None


def _architecture(targets: list[TargetInfo], facts: Sequence[Fact], clues: Clues, basis: list[Reason]) -> str | None:
    for target in targets:
        if target.architecture is not None:
            basis.append(Reason(f"{target.architecture}: {target.told_by} says so", target.where))
            return target.architecture
    printed = next((fact for fact in facts if fact.address_bits is not None), None)
    if printed is not None:
        if printed.address_bits == 32:
            basis.append(Reason("x86: kernel addresses have 8 digits", printed.where))
            return "x86"
        basis.append(Reason("x64: kernel addresses have 16 digits (ARM64 would look the same)", printed.where))
        return "x64"
    if clues.bits == 64:
        basis.append(Reason("x64, inferred: the pools' maxima need 64-bit addresses (ARM64 would look the same)"))
        return "x64"
    if clues.bits == 32 and is_old_x86(clues.nonpaged_max, clues.physical):
        basis.append(Reason("x86, inferred: so small a nonpaged maximum with this memory is 32-bit before Vista"))
        return "x86"
    return None


def _windows(
    targets: list[TargetInfo], counters: list[MemoryCounters], clues: Clues, bits: int | None, basis: list[Reason]
) -> tuple[str | None, Era | None]:
    era = clues.earliest if clues.earliest is not None and clues.earliest == clues.latest else None
    if clues.build is not None:
        # The build outranks the name in the banner: debuggers call build 9600 "Windows 8" and Server 2019 "Windows 10"
        server = next((t.server for t in targets if t.server is not None), None)
        version = version_of_build(clues.build, server=server, bits=32 if bits == 32 else 64 if bits else None)
        if version is not None:
            where = next((t.where for t in targets if t.build == clues.build), None)
            basis.append(Reason(f"{version.name}: build {clues.build}", where))
            return version.name, version.era
    printed = next((t for t in targets if t.os is not None), None)
    if printed is not None:
        basis.append(Reason(f"{printed.os}: {printed.told_by} says so", printed.where))
        return printed.os, era
    if clues.earliest is Era.VISTA_7 and clues.latest is None:
        basis.append(Reason("Windows Vista or later, inferred: tags that earlier Windows does not use"))
        return "Windows Vista or later", era
    if clues.earliest is None or clues.latest is None:
        return None, era
    name = _FAMILY_NAMES.get((clues.earliest, clues.latest))
    if name is None:
        return None, era
    where = counters[-1].where if counters else None
    if era is Era.XP_2003 and bits == 32:
        paged = clues.paged_max or 0
        if paged > _XP_PAGED_LIMIT or (clues.physical or 0) > 4 * _GB:
            name = "Windows Server 2003"
    basis.append(Reason(f"{name}, inferred from the rows and maxima that !vm prints", where))
    return name, era


def _pae(targets: list[TargetInfo], architecture: str | None, physical: int | None, basis: list[Reason]) -> bool | None:
    if architecture != "x86":
        return None
    said = next((t.pae for t in targets if t.pae is not None), None)
    if said is not None:
        return said
    if physical is not None and physical > 4 * _GB:
        basis.append(Reason("PAE: a 32-bit kernel reaches memory above 4 GB only with it"))
        return True
    return None
