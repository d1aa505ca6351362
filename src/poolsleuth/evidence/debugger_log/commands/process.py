"""``!process 0 0`` and its relatives: processes with their handle counts.

Read as it comes, and only the three header lines of each process: ``!process 0 7`` prints every thread's stack.
"""

import re
from collections.abc import Iterable

from poolsleuth.evidence.debugger_log.output import ADDRESS, NUMBER, Block, Context, Output, address_bits, integer
from poolsleuth.model.facts import Fact, Problem
from poolsleuth.model.system import ProcessInfo, ProcessList

MAX_PROCESSES = 50_000
_HEADER_CHARS = 2_000  # of one process: three lines, also double spaced and hard wrapped

_PROCESS = re.compile(rf"PROCESS\s{{1,20}}(?P<address>{ADDRESS})\b(?=\s{{1,40}}(?:SessionId|Cid|Peb)\b)")
_SESSION = re.compile(r"\bSessionId:\s{0,20}(\d{1,6})\b")
_PID = re.compile(r"\bCid:\s{0,20}([0-9a-fA-F]{1,8})\b")
_HANDLES = re.compile(rf"\bHandleCount:\s{{0,20}}({NUMBER})\b")
_IMAGE = re.compile(r"\bImage:\s{0,20}(?P<name>[^\s:][^\n:]{0,200})")
# What may follow the name on the same line in a flattened copy
_AFTER_IMAGE = re.compile(r"[ \x1f]+(?:VadRoot|PROCESS|THREAD|DeviceMap|Token)\b")


class _Processes(Output):
    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self._processes: list[ProcessInfo] = []
        self._bits: int | None = None
        self._rest = ""
        self._rest_line = 1

    def feed(self, text: str, line: int) -> None:
        """Read every header that is complete; the last one may go on in the next piece."""
        if self._rest:
            text, line = self._rest + text, self._rest_line
            self._rest = ""
        block = Block(text, line, self.context)
        previous: re.Match[str] | None = None
        for match in _PROCESS.finditer(text):
            if previous is not None:
                self._take(block, previous, match.start())
            previous = match
        if previous is None:
            return
        if len(text) - previous.start() > _HEADER_CHARS:
            self._take(block, previous, len(text))
            return
        self._rest = text[previous.start() :]
        self._rest_line = block.line(previous.start())

    def close(self) -> Iterable[Fact]:
        """One list of all processes, when there is one."""
        block = Block(self._rest, self._rest_line, self.context)
        self._rest = ""
        match = _PROCESS.match(block.text)
        if match:
            self._take(block, match, len(block.text))
        if not self._processes:
            return ()
        return (
            ProcessList(
                where=self._processes[0].where,
                live=self.context.live,
                command=self.context.command,
                address_bits=self._bits,
                processes=tuple(self._processes),
            ),
        )

    def _take(self, block: Block, header: re.Match[str], end: int) -> None:
        if len(self._processes) >= MAX_PROCESSES:
            return
        start, end = header.end(), min(end, header.start() + _HEADER_CHARS)
        image = _IMAGE.search(block.text, start, end)
        # What stands behind the name belongs to threads and their stacks
        end = image.end() if image else end
        name = _AFTER_IMAGE.split(image["name"], maxsplit=1)[0].strip(" \x1f") if image else ""
        session, pid = _SESSION.search(block.text, start, end), _PID.search(block.text, start, end)
        handles = _HANDLES.search(block.text, start, end)
        self._bits = self._bits or address_bits(header["address"])
        self._processes.append(
            ProcessInfo(
                name=name,
                pid=int(pid[1], 16) if pid else None,
                address=int(header["address"], 16),
                handles=integer(handles[1]) if handles else None,
                session=int(session[1]) if session else None,
                where=block.where(header.start()),
            )
        )
        if len(self._processes) == MAX_PROCESSES:
            self.context.problems.append(
                Problem(f"{MAX_PROCESSES} processes are read from one list: further ones are not", block.where(start))
            )


class _Reader:
    name = "!process"
    banners = (r"NT\s+ACTIVE\s+PROCESS\s+DUMP",)
    rows = (r"PROCESS\s+(?:0x)?[0-9a-fA-F]{8,16}\s+(?:SessionId|Cid|Peb)\s*:",)

    def open(self, context: Context) -> Output:
        """Begin a list of processes."""
        return _Processes(context)


READER = _Reader()
