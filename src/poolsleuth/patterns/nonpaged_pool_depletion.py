"""Nonpaged pool against its real limit, failed allocations, and what fills it."""

from poolsleuth.model.finding import Finding
from poolsleuth.model.machine import System
from poolsleuth.model.system import EventText
from poolsleuth.model.tags import PoolKind
from poolsleuth.patterns.attribution import Attribution
from poolsleuth.patterns.depletion import judge_pool
from poolsleuth.patterns.views import PoolStates, SessionStates, TagView

ID = "nonpaged-pool-depletion"


def judge(
    states: PoolStates | None,
    system: System,
    tags: TagView | None,
    sessions: SessionStates | None,
    events: tuple[EventText, ...],
    owners: Attribution,
) -> Finding:
    """Found when the pool is full, suspected where its limit is memory itself and its share of it is unusual."""
    return judge_pool(ID, PoolKind.NONPAGED, states, system, tags, sessions, events, owners, ())
