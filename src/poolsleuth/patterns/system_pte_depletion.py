"""System PTEs, the resource next to the pool: fixed at boot on 32-bit Windows before Vista, dynamic later."""

from math import isfinite

from poolsleuth.model.facts import Figure, Reason
from poolsleuth.model.finding import Confidence, Finding, Severity, Subject, Verdict
from poolsleuth.model.machine import System
from poolsleuth.model.memory import MemoryCounters, SystemPtes
from poolsleuth.model.series import CounterSeries
from poolsleuth.patterns.blame import blamed_driver
from poolsleuth.patterns.pattern import not_assessed, ruled_out
from poolsleuth.patterns.thresholds import PTES_CRITICAL, PTES_WARNING
from poolsleuth.windows import bugchecks
from poolsleuth.windows.builds import Era
from poolsleuth.windows.counters import english_of

ID = "system-pte-depletion"

EXCESSIVE_PTES = 0xD8  # DRIVER_USED_EXCESSIVE_PTES
# Counters of Memory that came with Vista: a log that has one of them is of a Windows that makes PTEs when it needs them
_SINCE_VISTA = frozenset(
    {
        "free & zero page list bytes",
        "modified page list bytes",
        "standby cache core bytes",
        "standby cache normal priority bytes",
        "standby cache reserve bytes",
    }
)
_OWNERS = "`!sysptes 4` names the callers that map most (needs TrackPtes in the registry before)"


def judge(
    counters: MemoryCounters | None, ptes: SystemPtes | None, system: System, series: tuple[CounterSeries, ...] = ()
) -> Finding:
    """Found for too few free PTEs where their number is fixed, or for a bug check that says so; suspected where nothing
    tells whether it is fixed."""
    owners = _owners(ptes)
    told = _told(system)
    free = ptes.free if ptes is not None and ptes.free is not None else counters.free_system_ptes if counters else None
    fixed = system.era is not None and system.era <= Era.XP_2003 and system.bits in (32, None)
    if told is not None:
        return _finding(
            f"the machine ran out of system PTEs ({told.says})",
            Verdict.FOUND,
            Severity.CRITICAL,
            Confidence.HIGH,
            (told, *_free_reason(free), *owners),
            (),
            driver=_named_by_kernel(system),
        )
    if free is None:
        return not_assessed(
            ID,
            "free system PTEs are not in the evidence",
            "run `!vm` or `!sysptes`",
            because=owners,
        )
    if system.era is None and free.value < PTES_WARNING.value:
        if free.value < PTES_CRITICAL.value and _may_be_fixed(system, series):
            return _finding(
                f"only {free.value:,} system PTEs are free, if this is 32-bit Windows before Vista",
                Verdict.SUSPECTED,
                Severity.WARNING,
                Confidence.LOW,
                (*_free_reason(free), *_before(series, free.value), *owners),
                (
                    Reason(
                        "which Windows this is does not show: from Vista on, and on 64-bit Windows, the kernel makes"
                        " more PTEs when it needs them, and few free ones mean nothing"
                    ),
                ),
                first_step="say which Windows it is: `vertarget` in the debugger, or `diagnose --os 2003`",
            )
        return not_assessed(
            ID,
            f"{free.value:,} free system PTEs, but which Windows this is (fixed or dynamic PTEs) is not known",
            "run `vertarget`",
            because=(*_free_reason(free), *owners),
        )
    if not fixed:
        return ruled_out(
            ID,
            f"{free.value:,} system PTEs are free, and this Windows makes more when it needs them"
            if system.era is not None
            else f"{free.value:,} system PTEs are free",
            because=(*_free_reason(free), *owners),
        )
    largest = ptes.largest_free_block if ptes is not None else None
    if free.value >= PTES_WARNING.value:
        against: tuple[Reason, ...] = ()
        if largest is not None and largest.value < free.value // 100:
            against = (Reason(f"the largest free run is only {largest.value:,} PTEs", largest.where),)
        return ruled_out(
            ID, f"{free.value:,} system PTEs are free", because=(*_free_reason(free), *owners), against=against
        )
    critical = free.value < PTES_CRITICAL.value
    small = system.physical_bytes is not None and system.physical_bytes < (256 << 20)
    against = ()
    if small:
        against = (Reason("a machine with little memory is given few PTEs and needs few"),)
    elif not critical:
        against = (Reason(f"below {PTES_WARNING.value:,.0f} is tight; nothing shows that a request has failed"),)
    return _finding(
        f"only {free.value:,} system PTEs are free",
        Verdict.FOUND if critical and not small else Verdict.SUSPECTED,
        Severity.CRITICAL if critical and not small else Severity.WARNING,
        Confidence.HIGH if critical and not small else Confidence.MEDIUM,
        (*_free_reason(free), *owners),
        against,
        three_gb=bool(system.three_gb),
    )


def _may_be_fixed(system: System, series: tuple[CounterSeries, ...]) -> bool:
    """Whether nothing speaks against 32-bit Windows before Vista, where the number of PTEs is fixed at boot."""
    later = any(english_of(one.path)[0] == "memory" and english_of(one.path)[1] in _SINCE_VISTA for one in series)
    return system.os is None and system.bits != 64 and not later


def _before(series: tuple[CounterSeries, ...], free: int) -> tuple[Reason, ...]:
    """How many were free when the log began, if those were enough."""
    for one in series:
        if english_of(one.path) == ("memory", "free system page table entries"):
            first = next((value for value in one.values if isfinite(value)), None)
            if first is not None and first >= max(PTES_WARNING.value, free):
                return (Reason(f"{first:,.0f} were free when the log began", one.where),)
    return ()


def _free_reason(free: Figure | None) -> tuple[Reason, ...]:
    return (Reason(f"{free.value:,} free system PTEs", free.where),) if free is not None else ()


def _owners(ptes: SystemPtes | None) -> tuple[Reason, ...]:
    if ptes is None or not ptes.owners:
        return ()
    named = ", ".join(f"{owner.caller} ({owner.pages:,} pages)" for owner in ptes.owners[:3])
    return (Reason(f"the callers that map most: {named}", ptes.where),)


def _named_by_kernel(system: System) -> str | None:
    """The driver of bug check 0xD8, whose point is to name it (its first argument); None for any other."""
    check = system.bugcheck
    return blamed_driver(check) if check is not None and check.code == EXCESSIVE_PTES else None


def _told(system: System) -> Reason | None:
    check = system.bugcheck
    note = bugchecks.note(check.code) if check is not None else None
    if check is None or note is None or note.about != "pte-depletion":
        return None
    return Reason(f"bug check 0x{check.code:X} {note.name}", check.where)


def _finding(
    headline: str,
    verdict: Verdict,
    severity: Severity,
    confidence: Confidence,
    because: tuple[Reason, ...],
    against: tuple[Reason, ...],
    *,
    three_gb: bool = False,
    driver: str | None = None,
    first_step: str | None = None,
) -> Finding:
    relief = ("remove /3GB from boot.ini, or add /USERVA=2900: it leaves more system PTEs",) if three_gb else ()
    return Finding(
        pattern=ID,
        verdict=verdict,
        severity=severity,
        confidence=confidence,
        headline=headline + (f"; the kernel names {driver}" if driver is not None else ""),
        subject=Subject(resource="system PTEs", driver=driver),
        because=because,
        against=against,
        explains=("stacks, mapped files and I/O buffers that cannot be mapped although memory is free",),
        next_steps=(
            *((first_step,) if first_step is not None else ()),
            *((f"update or remove {driver}, which used up the PTEs",) if driver is not None else ()),
            _OWNERS,
            *relief,
        ),
    )
