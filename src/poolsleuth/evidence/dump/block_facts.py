"""The blocks of the pool, where they are worth the time: pages in pieces, and headers that are damaged."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from poolsleuth.evidence.dump.block_reports import charge_facts, damage_facts, pool_facts, reconciliation_facts
from poolsleuth.evidence.dump.context import DumpContext
from poolsleuth.kernel.pool.big_pages import (
    MAX_SESSION_ENTRIES,
    BigPages,
    read_big_pages,
    read_session_big_pages,
)
from poolsleuth.kernel.pool.block_stats import BlockStats, Room
from poolsleuth.kernel.pool.blocks import Kind, Pool
from poolsleuth.kernel.pool.classic_walk import ClassicPart, WalkPart, has_classic_pool
from poolsleuth.kernel.pool.free_list_check import MAX_LINKS, Links, check_free_lists
from poolsleuth.kernel.pool.lookasides import read_lookasides
from poolsleuth.kernel.pool.page_census import AbsentPages, CensusRoom, PageCensus
from poolsleuth.kernel.pool.quota import QuotaSums
from poolsleuth.kernel.pool.reconciliation import BlockTotals, Reconciliation, reconcile
from poolsleuth.kernel.pool.segment_heap.parts import SegmentPart
from poolsleuth.kernel.pool.session_tags import read_session_tags
from poolsleuth.kernel.pool.tracker_sum import MAX_ROWS
from poolsleuth.kernel.pool.tracker_tables import read_tag_totals
from poolsleuth.kernel.pool.walk import walk_pool
from poolsleuth.kernel.sessions import read_sessions
from poolsleuth.kernel.target import Kernel
from poolsleuth.model.facts import Fact
from poolsleuth.model.memory import MemoryCounters
from poolsleuth.model.pool import QuotaCharges
from poolsleuth.model.system import BugCheck
from poolsleuth.model.tags import Completeness, PoolKind, TagTable

WORTH_LOOKING = 0.25  # of a pool's pages in no tag: from here on the blocks are looked at (10 to 15 % are normal)
WORTH_BYTES = 4 << 20  # of a pool: below it nobody looks for fragments
MAX_SESSIONS = 256  # sessions whose pools are told one by one
MAX_SESSION_ROWS = 1 << 26  # rows of the tables of all sessions that their blocks are compared with, at most
MAX_SAYS = 20  # sentences of a walk
_POOL_BUG_CHECKS = frozenset({0x19, 0xC2, 0xC5, 0xD0, 0x13A})


@dataclass(slots=True)
class _Gathered:
    """What the parts of a walk say, by session (None: the system). Nothing here holds a block."""

    stats: dict[int | None, BlockStats] = field(default_factory=dict)
    census: dict[int | None, PageCensus] = field(default_factory=dict)
    totals: BlockTotals = field(default_factory=BlockTotals)
    quota: QuotaSums = field(default_factory=QuotaSums)
    links: list[Links] = field(default_factory=list)
    room: Room = field(default_factory=Room)
    census_room: CensusRoom = field(default_factory=CensusRoom)
    linked: int = 0
    unreadable: int = 0
    says: list[str] = field(default_factory=list)

    def add(self, part: WalkPart) -> None:
        session = part.session if isinstance(part, ClassicPart | SegmentPart) else None
        if session is not None and session not in self.stats and len(self.stats) > MAX_SESSIONS:
            return
        stats = self.stats.setdefault(session, BlockStats(room=self.room))
        if len(part.blocks) or part.broken:
            carved = isinstance(part, SegmentPart) and not (part.blocks["kind"] == Kind.HEURISTIC).any()
            stats.add(part.blocks, part.broken, part.mapped if carved else None)
            self.totals.add(part.blocks, session)
        if session is None:
            self.unreadable += part.unreadable
        if isinstance(part, ClassicPart):
            census = self.census.setdefault(session, PageCensus(room=self.census_room))
            census.add(part.blocks, part.absent, part.absences)
            self.quota.add(part.charges)
            if len(part.links) and self.linked <= MAX_LINKS:  # one part too much: then it is told that there are more
                self.links.append(part.links)
                self.linked += len(part.links)
        if isinstance(part, ClassicPart | SegmentPart):
            self.says += part.says[: MAX_SAYS - len(self.says)]
        if part.stopped is not None:
            self.says.append(part.stopped)


def block_facts(
    kernel: Kernel, told: list[Fact], context: DumpContext, progress: Callable[[int], None] | None = None
) -> Iterator[Fact]:
    """Walk all blocks, of either allocator, if what is ``told`` already makes it worth the time."""
    damaged = any(isinstance(fact, BugCheck) and fact.code in _POOL_BUG_CHECKS for fact in told)
    if not damaged and not _worth_it(told):
        return
    classic = bool(has_classic_pool(kernel))
    lookasides = read_lookasides(kernel) if classic else None
    gathered = _Gathered()
    for part in walk_pool(kernel, progress, lookasides=lookasides, with_links=damaged):
        gathered.add(part)
    for says in dict.fromkeys(gathered.says):
        context.problem(f"pool pages: {says}")
    big = read_big_pages(kernel) if classic else None
    table = big.table if big is not None else None
    # The system's table has nothing of sessions
    absent = {session: census.pools(table if session is None else None) for session, census in gathered.census.items()}
    told_apart = lookasides is None or len(lookasides.lists) > 0
    for session, stats in gathered.stats.items():
        yield from pool_facts(
            stats, absent.get(session) if classic else None, gathered.unreadable, context, session, told_apart
        )
    yield from reconciliation_facts(_reconciled(kernel, gathered, big, absent), context)
    if not any(isinstance(fact, QuotaCharges) for fact in told):
        yield from charge_facts(kernel, gathered.quota, context)
    links = check_free_lists(kernel.memory.space, gathered.links)
    for says in links.says:
        context.problem(f"free lists: {says}")
    broken = [chain for stats in gathered.stats.values() for chain in stats.broken]
    yield from damage_facts(broken, links, context)


def _reconciled(
    kernel: Kernel, gathered: _Gathered, big: BigPages | None, absent: dict[int | None, dict[Pool, AbsentPages]]
) -> Iterator[Reconciliation]:
    tables = read_tag_totals(kernel)
    if len(tables.keys) and gathered.totals.complete:
        yield from reconcile(gathered.totals, tables, big, absent.get(None, {}))
    wanted = {session for session in gathered.stats if session is not None}
    left = MAX_SESSION_ROWS
    for session in read_sessions(kernel).sessions if wanted and gathered.totals.complete else ():
        if session.id in wanted and left > 0:
            left -= MAX_ROWS + min((session.big_pages or (0, 0))[1], MAX_SESSION_ENTRIES)
            tables = read_session_tags(kernel, session)
            if len(tables.keys):
                large = read_session_big_pages(kernel, session) if big is not None else None
                yield from reconcile(gathered.totals, tables, large, absent.get(session.id, {}))


def _worth_it(told: list[Fact], least: float | None = None) -> bool:
    counters = next((fact for fact in told if isinstance(fact, MemoryCounters)), None)
    table = next((fact for fact in told if isinstance(fact, TagTable) and fact.session is None), None)
    if counters is None or table is None or table.completeness is not Completeness.COMPLETE:
        return False
    nonpaged = sum(f.value for f in (counters.nonpaged_used, counters.nonpaged_nx_used) if f is not None)
    paged = counters.paged_used.value if counters.paged_used is not None else 0
    for kind, used in ((PoolKind.NONPAGED, nonpaged), (PoolKind.PAGED, paged)):
        tagged = sum(row.bytes or 0 for row in table.rows if row.pool is kind)
        if used >= WORTH_BYTES and tagged < (1 - (WORTH_LOOKING if least is None else least)) * used:
            return True
    return False


def looks_fragmented(told: list[Fact], least: float) -> bool:
    """Whether at least this share of a pool's pages is in no tag."""
    return _worth_it(told, least)
