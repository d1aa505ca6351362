"""``!vm 4``: the sessions, what each has of its pool, and the failures of each."""

from poolsleuth.debugger.command import Lines
from poolsleuth.debugger.target import Target
from poolsleuth.debugger.text import missing, printable
from poolsleuth.kernel.address_space import PAGE
from poolsleuth.kernel.sessions import Session, Sessions, read_sessions

_WINDOWS_8 = 9200


def session_lines(target: Target) -> Lines:
    """The table of sessions."""
    found = read_sessions(target.kernel)
    new = target.kernel.build >= _WINDOWS_8
    indent = "" if new else "       "
    if not any(session.id is not None for session in found.sessions):
        yield f"*** {printable('; '.join(found.says) or 'no process of the dump belongs to a session')}"
        return
    yield f"{indent}Terminal Server Memory Usage By Session:"
    limit = _limit(found)
    if limit is not None or found.view_maximum is not None:
        yield ""
    if limit is not None:
        yield f"{indent}Session Paged Pool Maximum is {limit >> 10}K"
    if found.view_maximum is not None:
        yield f"{indent}Session View Space Maximum is {found.view_maximum >> 10}K"
    for session in found.sessions:
        if session.id is not None:
            yield ""
            yield from _session(target, session, indent, new=new)
    if found.says or not found.complete:
        yield ""
        yield from missing("; ".join(found.says) or "sessions may be missing")


def _session(target: Target, session: Session, indent: str, *, new: bool) -> Lines:
    unit = " Kb" if new else "K"
    yield f"{indent}Session ID {session.id} @ {target.plain(session.address)}:"
    if session.paged_pool_pages is not None:
        yield f"{indent}Paged Pool Usage:{session.paged_pool_pages * PAGE >> 10:>13}{unit}"
    if session.failures:
        yield from ("", f"{indent}*** {session.failures} Pool Allocation Failures ***", "")
    if session.committed_pages is not None:
        yield f"{indent}Commit Usage:{session.committed_pages * PAGE >> 10:>17}{unit}"


def _limit(sessions: Sessions) -> int | None:
    """What the sessions' pools can have: the kernel's variable, else what all of them say alike. Bytes."""
    if sessions.pool_maximum is not None:
        return sessions.pool_maximum
    said = {session.paged_pool_maximum_pages for session in sessions.sessions if session.id is not None}
    only = said.pop() if len(said) == 1 else None
    return only * PAGE if only else None
