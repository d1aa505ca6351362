"""The sessions of a dump: what ``!vm 4`` prints, and the tags of each."""

from collections.abc import Iterator, Sequence

from poolsleuth.evidence.dump.context import DumpContext
from poolsleuth.evidence.dump.tag_tables import tag_table
from poolsleuth.kernel.address_space import PAGE
from poolsleuth.kernel.pool.session_tags import read_session_tags
from poolsleuth.kernel.pool.tracker_sum import MAX_ROWS
from poolsleuth.kernel.sessions import Session, Sessions, read_sessions
from poolsleuth.kernel.target import Kernel
from poolsleuth.model.facts import Fact
from poolsleuth.model.memory import SessionMemory, SessionUsage

MAX_TAG_ROWS = 1 << 18  # rows of tags of all sessions together: 500 sessions with 300 tags in use have 150,000
MAX_ROWS_READ = 1 << 25  # rows of their tables: 500 tables of 8,192 rows have 4 million


def session_facts(kernel: Kernel, context: DumpContext) -> Iterator[Fact]:
    """The table of sessions, and a table of tags for each session that has one."""
    sessions = read_sessions(kernel)
    for sentence in sessions.says:
        context.problem(f"sessions: {sentence}")
    known = [session for session in sessions.sessions if session.id is not None]
    if not known:
        return
    limit = _limit(sessions)
    yield SessionMemory(
        **context.base(known[0].address),
        paged_limit=context.figure(limit, known[0].address),
        view_limit=context.figure(sessions.view_maximum, kernel.address("MmSessionViewSize")),
        sessions=tuple(_usage(session, context) for session in known),
        complete=sessions.complete,
    )
    yield from _tags(kernel, known, context)


def _tags(kernel: Kernel, known: Sequence[Session], context: DumpContext) -> Iterator[Fact]:
    listed = read = 0
    claimed = min(kernel.variable("ExpSessionPoolTrackTableSize") or 0, MAX_ROWS)
    for count, session in enumerate(known):
        if listed >= MAX_TAG_ROWS or read >= MAX_ROWS_READ:
            context.problem(f"sessions: the tags of the first {count:,} of {len(known):,} sessions are listed")
            return
        totals = read_session_tags(kernel, session)
        read += totals.rows or claimed  # to learn that a table cannot be read costs as much as to read it
        table = tag_table(totals, session.address, context)
        if table is not None:
            listed += len(table.rows)
            yield table


def _limit(sessions: Sessions) -> int | None:
    """What the sessions' pools can have: the kernel's variable, else what all of them say alike."""
    if sessions.pool_maximum is not None:
        return sessions.pool_maximum
    said = {session.paged_pool_maximum_pages for session in sessions.sessions}
    only = said.pop() if len(said) == 1 else None
    return only * PAGE if only else None


def _usage(session: Session, context: DumpContext) -> SessionUsage:
    address = session.address
    failures = session.failures
    return SessionUsage(
        id=session.id if session.id is not None else -1,
        used=context.figure(session.paged_pool_pages, address, PAGE),
        nonpaged_used=None,
        commit=context.figure(session.committed_pages, address, PAGE),
        # None for 0, as in the debugger's output, which prints no line then
        failures=context.figure(failures, address) if failures else None,
    )
