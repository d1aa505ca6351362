"""Paged pool against its real limit, failed allocations, and what fills it."""

from poolsleuth.model.finding import Finding
from poolsleuth.model.machine import System
from poolsleuth.model.system import EventText
from poolsleuth.model.tags import PoolKind
from poolsleuth.patterns.attribution import Attribution
from poolsleuth.patterns.depletion import judge_pool
from poolsleuth.patterns.thresholds import TAG_DOMINATES
from poolsleuth.patterns.views import PoolStates, SessionStates, TagView
from poolsleuth.windows.builds import Era

ID = "paged-pool-depletion"

_TRIM_EARLIER = (
    "let the memory manager trim earlier (KB312362): in HKLM\\SYSTEM\\CurrentControlSet\\Control\\Session Manager\\"
    "Memory Management set PoolUsageMaximum = 60 (decimal) and PagedPoolSize = 0xFFFFFFFF, then restart"
)


def judge(
    states: PoolStates | None,
    system: System,
    tags: TagView | None,
    sessions: SessionStates | None,
    events: tuple[EventText, ...],
    owners: Attribution,
) -> Finding:
    """Found when the pool is full, suspected where its limit is the commit limit and its share is unusual."""
    old = system.era is not None and system.era <= Era.XP_2003
    # The setting helps against memory that can be trimmed, such as MmSt; a driver's leak only fills up again later
    remedies = (_TRIM_EARLIER,) if old and _trimmable(tags, states) else ()
    return judge_pool(ID, PoolKind.PAGED, states, system, tags, sessions, events, owners, remedies)


def _trimmable(tags: TagView | None, states: PoolStates | None) -> bool:
    """Whether MmSt is a large part of the pool, and the note on the largest tag does not give the advice already."""
    row = tags.row("MmSt", PoolKind.PAGED) if tags is not None else None
    used = states.paged.used if states is not None else None
    if tags is None or row is None or row.bytes is None or used is None:
        return False
    return row.bytes >= TAG_DOMINATES.value * used.value and tags.pool(PoolKind.PAGED)[0].tag != row.tag
