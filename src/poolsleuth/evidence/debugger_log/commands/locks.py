"""``!locks`` of the kernel (also ``-v`` and ``-p``), and the user-mode command of the same name.

Read as it comes: ``-v`` prints every owner's stack, and a log of that can be larger than memory. Facts are found by
their words wherever they stand, because pasted copies put several of them on one line.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from poolsleuth.evidence.debugger_log.output import (
    ADDRESS,
    NUMBER,
    Block,
    Context,
    Output,
    address_bits,
    integer,
)
from poolsleuth.model.facts import Fact, Figure, Problem, Where
from poolsleuth.model.system import LockSummary, LockThread, ResourceLock, UserModeLock

MAX_RESOURCES = 50_000  # -v lists every resource of a system: tens of thousands on the largest ones
MAX_CRITICAL_SECTIONS = 10_000
MAX_THREADS = 4_096  # of one resource
_CARRY = 128 * 1024  # text kept for what follows a word at the end of a piece: MAX_THREADS of them fit
_STATE_WITHIN = 160  # characters behind the address in which the state stands

# No alternative begins with a digit or ignores case: the regex engine then runs over stacks without trying each one
_WORD = re.compile(
    r"Resource\s{1,20}@\s{0,20}(?:(?P<name>[^\s()]{1,200})\s{0,20}\(\s{0,4})?(?P<resource>(?:0x)?[0-9a-fA-F]{8,16})\b"
    rf"|Contention\s{{1,20}}Count\s{{0,20}}=\s{{0,20}}(?P<contention>{NUMBER})"
    rf"|NumberOfSharedWaiters\s{{0,20}}=\s{{0,20}}(?P<shared>{NUMBER})"
    rf"|NumberOfExclusiveWaiters\s{{0,20}}=\s{{0,20}}(?P<exclusive>{NUMBER})"
    r"|Threads\s{1,20}Waiting\s{1,20}On\s{1,20}(?P<waiting>Exclusive|Shared)\s{1,20}Access\s{0,4}:?"
    r"|(?P<threads>Threads)\s{0,4}:"
    rf"|total\s{{1,20}}locks\s{{0,4}},\s{{0,20}}(?P<held>{NUMBER})\s{{1,20}}locks?\s{{1,20}}currently"
    r"|CritSec\s{1,20}(?P<section>\S{1,200})"
)
_STATE = re.compile(
    r"(?P<exclusive>Exclusively\s{1,20}owned)|Shared\s{1,20}(?P<owners>\d{1,9})\s{1,20}owning\s{1,20}thread"
    r"|(?P<available>Available)"
)
_THREAD = re.compile(
    rf"\s{{0,200}}(?P<thread>{ADDRESS})(?![0-9a-zA-Z])(?P<held>-\d{{1,3}}\b(?:\s?(?P<owner><\s?\*?\s?>))?)?"
    rf"(?:\s{{0,80}}\*{{0,3}}\s{{0,4}}Actual\s{{1,20}}Thread\s{{1,20}}(?P<actual>{ADDRESS}))?"
)
_TOTAL = re.compile(rf"({NUMBER})\s{{1,20}}\Z")


@dataclass(slots=True)
class _Resource:
    name: str | None
    address: str
    where: Where
    state: str = "unknown"
    owners: int | None = None
    counts: dict[str, Figure] = field(default_factory=dict)
    threads: list[LockThread] = field(default_factory=list)


class _Locks(Output):
    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self._facts: list[Fact] = []
        self._resource: _Resource | None = None
        self._resources = 0
        self._sections = 0
        self._carry = ""
        self._carry_line = 1
        self._carry_word = 0  # offset in the carried text of the word that waits

    def feed(self, text: str, line: int) -> None:
        """Read what is complete; the last word waits for what may follow it in the next piece."""
        text, line, position = self._with_carried(text, line)
        block = Block(text, line, self.context)
        held_back: re.Match[str] | None = None
        for match in _WORD.finditer(text, position):
            if held_back is not None:
                self._take(block, held_back)
            held_back = match
        if held_back is None:
            return
        if len(text) - held_back.start() > _CARRY:
            self._take(block, held_back)
            return
        # The number of "2263 total locks" stands before the words
        start = max(text.rfind("\n", 0, held_back.start()) + 1, held_back.start() - 40)
        self._carry = text[start:]
        self._carry_line = block.line(start)
        self._carry_word = held_back.start() - start

    def _with_carried(self, text: str, line: int) -> tuple[str, int, int]:
        if not self._carry:
            return text, line, 0
        joined = self._carry + text
        self._carry = ""
        return joined, self._carry_line, self._carry_word

    def close(self) -> Iterable[Fact]:
        """Every resource, critical section and closing line, in the order they were printed."""
        text, line, position = self._with_carried("", 1)
        block = Block(text, line, self.context)
        for match in _WORD.finditer(text, position):
            self._take(block, match)
        self._finish()
        return self._facts

    def _take(self, block: Block, match: re.Match[str]) -> None:
        resource = self._resource
        if match["resource"]:
            self._finish()
            self._resource = _opened(block, match)
        elif match["section"]:
            self._section(block, match)
        elif match["held"]:
            self._finish()
            total = _TOTAL.search(block.text, max(0, match.start() - 60), match.start())
            if total:
                self._facts.append(
                    LockSummary(
                        where=block.where(match.start()),
                        live=self.context.live,
                        command=self.context.command,
                        total=integer(total[1]),
                        held=integer(match["held"]),
                    )
                )
        elif resource is None:
            return
        elif match["threads"] or match["waiting"]:
            for thread in _threads(block.text, match):
                if len(resource.threads) >= MAX_THREADS:
                    break
                resource.threads.append(thread)
        else:
            for name in ("contention", "shared", "exclusive"):
                if match[name]:
                    resource.counts.setdefault(name, Figure(integer(match[name]), block.where(match.start())))

    def _section(self, block: Block, match: re.Match[str]) -> None:
        self._finish()
        self._sections += 1
        if self._sections > MAX_CRITICAL_SECTIONS:
            return
        name = match["section"].removesuffix("+0")
        if name == "at":  # "CritSec at 00a2b3c4": one without a symbol
            name = "".join(block.text[match.end() : match.end() + 40].split()[:1]) or "(no name)"
        self._facts.append(
            UserModeLock(
                where=block.where(match.start()), live=self.context.live, command=self.context.command, name=name
            )
        )

    def _finish(self) -> None:
        resource, self._resource = self._resource, None
        if resource is None:
            return
        self._resources += 1
        if self._resources > MAX_RESOURCES:
            if self._resources == MAX_RESOURCES + 1:
                self.context.problems.append(
                    Problem(f"more than {MAX_RESOURCES} resources in one !locks: the rest is not read", resource.where)
                )
            return
        self._facts.append(
            ResourceLock(
                where=resource.where,
                live=self.context.live,
                command=self.context.command,
                address_bits=address_bits(resource.address),
                name=resource.name,
                address=int(resource.address, 16),
                state=resource.state,
                owners=resource.owners,
                contention=resource.counts.get("contention"),
                shared_waiters=resource.counts.get("shared"),
                exclusive_waiters=resource.counts.get("exclusive"),
                threads=tuple(resource.threads),
            )
        )


def _opened(block: Block, match: re.Match[str]) -> _Resource:
    opened = _Resource(match["name"], match["resource"], block.where(match.start()))
    following = _WORD.search(block.text, match.end(), match.end() + _STATE_WITHIN)
    stop = following.start() if following else match.end() + _STATE_WITHIN
    state = _STATE.search(block.text, match.end(), stop)
    if state is None:
        return opened
    if state["exclusive"]:
        opened.state, opened.owners = "exclusive", 1
    elif state["available"]:
        opened.state, opened.owners = "available", 0
    else:
        opened.state, opened.owners = "shared", int(state["owners"])
    return opened


def _threads(text: str, match: re.Match[str]) -> Iterator[LockThread]:
    """The threads of one list: ``-01<*>`` owns; without the star, and in a list of waiters, it waits."""
    position = match.end()
    while True:
        thread = _THREAD.match(text, position)
        # In the list of owners a bare address is no thread any more, but the beginning of a stack
        if thread is None or (match["threads"] and not thread["held"]):
            return
        # The low bits of a tagged owner field are flags: the debugger prints the real thread behind it
        address = int(thread["actual"] or thread["thread"], 16)
        yield LockThread(
            thread=address,
            owner=thread["owner"] is not None and not match["waiting"],
            exclusive_wait=match["waiting"] == "Exclusive",
        )
        position = thread.end()


class _Reader:
    name = "!locks"
    banners = (r"DUMP\s+OF\s+ALL\s+RESOURCE\s+OBJECTS",)
    rows = (
        r"KD:\s+Scanning\s+for\s+held\s+locks",
        r"Resource\s+@\s+\S",
        r"\d{1,9}\s+total\s+locks\s*,",
        r"CritSec\s+\S+[ ](?:at[ ])?",
    )

    def open(self, context: Context) -> Output:
        """Begin a list of locks."""
        return _Locks(context)


READER = _Reader()
