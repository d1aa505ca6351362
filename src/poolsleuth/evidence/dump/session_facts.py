"""The sessions of a dump: what ``!vm 4`` prints, and the tags of each."""

from collections.abc import Iterator

from poolsleuth.evidence.dump.context import DumpContext
from poolsleuth.evidence.dump.tag_tables import tag_table
from poolsleuth.kernel.pool.session_tags import read_session_tags
from poolsleuth.kernel.sessions import Session, Sessions, read_sessions
from poolsleuth.kernel.target import Kernel
from poolsleuth.model.facts import Fact
from poolsleuth.model.memory import SessionMemory, SessionUsage

PAGE = 4096


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
    )
    for session in known:
        totals = read_session_tags(kernel, session)
        table = tag_table(totals, session.address, context)
        if table is not None:
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
        failures=context.figure(failures, address) if failures else None,
    )
