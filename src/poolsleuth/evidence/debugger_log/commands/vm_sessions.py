"""``!vm 4``: the table of sessions, in the form of Windows 2000-2003 ("32552K") and of later ones ("2012 Kb")."""

import re
from collections.abc import Iterable
from itertools import zip_longest

from poolsleuth.evidence.debugger_log.output import NUMBER, Block, BufferedOutput, Context, Output, integer
from poolsleuth.model.facts import Fact, Figure
from poolsleuth.model.memory import SessionMemory, SessionUsage

MAX_SESSIONS = 10_000

_LIMIT = re.compile(rf"Session\s+Paged\s+Pool\s+Maximum\s+is\s+({NUMBER})\s*K", re.IGNORECASE)
_VIEW = re.compile(rf"Session\s+View\s+Space\s+Maximum\s+is\s+({NUMBER})\s*K", re.IGNORECASE)
_SESSION = re.compile(r"Session\s+ID\s+(\d{1,6})(?:\s*@\s*(?:0x)?([0-9a-fA-F]{8,16}))?", re.IGNORECASE)
_SUMMARY = re.compile(r"Session\s+Summary", re.IGNORECASE)
_ROWS = {
    "used": re.compile(rf"(?<!Non)Paged\s*Pool\s+Usage\s*:\s*({NUMBER})\s*K", re.IGNORECASE),
    "nonpaged_used": re.compile(rf"Non-?Paged\s*(?:Pool)?\s+Usage\s*:\s*({NUMBER})\s*K", re.IGNORECASE),
    "commit": re.compile(rf"Commit\s+Usage\s*:\s*({NUMBER})\s*K", re.IGNORECASE),
}
_FAILURES = re.compile(rf"({NUMBER})\s+Pool\s+Allocation\s+Failures", re.IGNORECASE)


class _Sessions(BufferedOutput):
    def parse(self, block: Block) -> Iterable[Fact]:
        """One table."""
        text = block.text

        def figure(match: re.Match[str] | None, unit: int = 1024) -> Figure | None:
            return Figure(integer(match.group(1)) * unit, block.where(match.start())) if match else None

        headers = list(_SESSION.finditer(text))[:MAX_SESSIONS]
        summary = _SUMMARY.search(text, headers[-1].end()) if headers else None
        end = summary.start() if summary else len(text)
        sessions = []
        for header, following in zip_longest(headers, headers[1:]):
            stop = following.start() if following else end
            sessions.append(
                SessionUsage(
                    id=int(header.group(1)),
                    failures=figure(_FAILURES.search(text, header.end(), stop), unit=1),
                    **{name: figure(row.search(text, header.end(), stop)) for name, row in _ROWS.items()},
                )
            )
        limit, view = figure(_LIMIT.search(text)), figure(_VIEW.search(text))
        if not sessions and limit is None:
            return
        widths = {len(h.group(2)) for h in headers if h.group(2)}
        yield SessionMemory(
            where=block.where(0),
            live=block.context.live,
            command=block.context.command,
            address_bits=None if not widths else 32 if max(widths) <= 8 else 64,
            paged_limit=limit,
            view_limit=view,
            sessions=tuple(sessions),
        )


class _Reader:
    name = "!vm 4"
    banners = (r"Terminal\s+Server\s+Memory\s+Usage\s+By\s+Session",)
    rows = (
        r"Session\s+(?:Paged\s+Pool|View\s+Space)\s+Maximum\s+is",
        r"Session\s+ID\s+\d+\s*@",
        r"\d+\s+Pool\s+Allocation\s+Failures",
        r"Paged\s+Pool\s+Usage\s*:\s*\d+\s*K",
    )

    def open(self, context: Context) -> Output:
        """Begin a session table."""
        return _Sessions(context)


READER = _Reader()
