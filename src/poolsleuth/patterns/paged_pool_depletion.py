"""Paged pool against its real limit, failed allocations, and what fills it."""

from poolsleuth.model.finding import Finding
from poolsleuth.model.machine import System
from poolsleuth.model.system import EventText
from poolsleuth.model.tags import PoolKind
from poolsleuth.patterns.attribution import Attribution
from poolsleuth.patterns.depletion import judge_pool
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
    remedies = (_TRIM_EARLIER,) if old and _trimmable(tags) else ()
    return judge_pool(ID, PoolKind.PAGED, states, system, tags, sessions, events, owners, remedies)


def _trimmable(tags: TagView | None) -> bool:
    largest = tags.pool(PoolKind.PAGED)[:3] if tags is not None else []
    return any(row.tag == "MmSt" for row in largest)
