"""``.process``, ``!session`` and ``!sprocess``: whose addresses the commands see.

Memory of sessions and of the user half is seen by the processes it belongs to only. What is switched here holds for
all later commands of the shell.
"""

import re

from poolsleuth.debugger.command import Command, Lines
from poolsleuth.debugger.commands.processes import process_lines, process_of
from poolsleuth.debugger.expressions import evaluate
from poolsleuth.debugger.target import Target
from poolsleuth.debugger.text import missing, printable
from poolsleuth.kernel.address_space import Reader
from poolsleuth.kernel.processes import Process, Processes, read_processes
from poolsleuth.kernel.sessions import MAX_NUMBER, Session, Sessions, read_sessions
from poolsleuth.model.errors import InputError

_SPACE = "_MM_SESSION_SPACE"
_THIS, _ALL = -1, -4  # what !sprocess takes instead of a number


def _process(target: Target, _match: re.Match[str], rest: str) -> Lines:
    words = [word for word in rest.split() if word.lower() not in ("/r", "/p", "/p:1", "/i")]
    loads = len(words) < len(rest.split())
    if len(words) > 1 or (words and words[0].startswith("/")):
        raise InputError(f".process takes /r /p and the address of a process, not '{printable(rest, 40)}'")
    if words:
        which = evaluate(target, words[0])
        if which:
            process = process_of(target, which)
            target.switch(_memory(target, process), process=process, session=process.session)
        else:
            target.switch(None)
    now = target.process.address if target.process is not None else target.kernel.variable("PsInitialSystemProcess")
    text = "the system's (its address is not known)" if now is None else target.address(now)
    lines = [f"Implicit process is now {text}"]
    if words and loads:
        lines += ["Loading User Symbols", "*** symbols of user modules are not used here"]
    return iter(lines)


def _memory(target: Target, process: Process) -> Reader:
    """The memory that a process sees. Raises InputError where it has none in this dump."""
    kernel = target.kernel
    if kernel.process_memory is None or not process.directory_table_base:
        raise InputError("the page tables of this process are not in this dump: its memory cannot be seen")
    memory = kernel.process_memory(process.directory_table_base)
    # What leads to no kernel would make every later command fail
    if memory.read(kernel.base, 2) is None and kernel.memory.read(kernel.base, 2) is not None:
        raise InputError("the page tables of this process do not lead to the kernel: they are damaged or not its own")
    return memory


def _session(target: Target, _match: re.Match[str], rest: str) -> Lines:
    match = re.fullmatch(r"(?:[-/]s\s+)(-1|\d{1,6})", rest.strip(), re.IGNORECASE)
    if rest and match is None:
        raise InputError(f"!session takes -s and the number of a session (-1 for none), not '{printable(rest, 40)}'")
    found = read_sessions(target.kernel)
    if match is None:
        return _list(target, found)
    number = int(match[1])
    if number == _THIS:
        target.switch(None)
        return iter([_count(found), "*** the address space is that of the system again"])
    session = _of_number(found, number)
    process, memory = _first_process(target, read_processes(target.kernel), session)
    target.switch(memory, process=process, session=number)
    lines = [_count(found)]
    if process is not None:
        lines.append(f"Implicit process is now {target.plain(process.address)}")
    return iter([*lines, f"Using session {number}"])


def _of_number(found: Sessions, number: int) -> Session:
    for session in found.sessions:
        if session.id == number:
            if session.memory is None:
                raise InputError(f"the memory of session {number} is not in this dump")
            return session
    known = ", ".join(str(session.id) for session in found.sessions if session.id is not None)
    why = "; ".join(found.says)
    raise InputError(f"there is no session {number}; there are: {known}" if known else why or "there are no sessions")


def _first_process(target: Target, processes: Processes, session: Session) -> tuple[Process | None, Reader | None]:
    for process in processes.processes:
        if process.session == session.id and process.directory_table_base == session.directory_table_base:
            return process, session.memory
    for process in processes.processes:
        if process.session == session.id:
            return process, _memory(target, process)
    return None, session.memory


def _count(found: Sessions) -> str:
    return f"Sessions on machine: {sum(_is_number(session.id) for session in found.sessions)}"


def _is_number(number: int | None) -> bool:
    return number is not None and number < MAX_NUMBER


def _list(target: Target, found: Sessions) -> Lines:
    numbers = [session.id for session in found.sessions if _is_number(session.id)]
    if not numbers:
        yield f"*** {printable('; '.join(found.says) or 'no process of the dump belongs to a session')}"
        return
    yield _count(found)
    yield f"Valid Sessions: {' '.join(map(str, numbers))}"
    if target.session is not None:
        yield f"Current Session {target.session}"
    if found.says or not found.complete:
        yield from missing("; ".join(found.says) or "sessions may be missing")


def _sprocess(target: Target, _match: re.Match[str], rest: str) -> Lines:
    words = rest.split()
    if len(words) > 2 or any(re.fullmatch(r"-?[0-9a-fA-F]{1,8}", word) is None for word in words):
        raise InputError(f"!sprocess takes the number of a session and flags, not '{printable(rest, 40)}'")
    number = _THIS if not words else int(words[0]) if words[0].lstrip("-").isdecimal() else int(words[0], 16)
    found = read_sessions(target.kernel)
    if number == _ALL:
        chosen = [session for session in found.sessions if session.memory is not None]
        if not chosen:
            raise InputError("; ".join(found.says) or "no process of the dump belongs to a session")
    elif number == _THIS:
        if target.session is None:
            raise InputError("no session is chosen: !sprocess N, or !session -s N first")
        chosen = [_of_number(found, target.session)]
    else:
        chosen = [_of_number(found, number)]
    flags = int(words[1], 16) if len(words) > 1 else 0
    return _dumped(target, chosen, flags)


def _dumped(target: Target, sessions: list[Session], flags: int) -> Lines:
    processes = read_processes(target.kernel)
    inner = target.kernel.place(_SPACE, "Session")
    for session in sessions:
        yield f"Dumping Session {session.id}"
        yield ""
        yield f"_MM_SESSION_SPACE {target.plain(session.address)}"
        if inner is not None:
            yield f"_MMSESSION        {target.plain(session.address + inner.offset)}"
        for process in processes.processes:
            if process.session == session.id:
                yield from process_lines(target.kernel, process)
    if processes.says is not None or not processes.whole:
        yield from missing(processes.says or "processes are missing")
    if flags:
        yield "*** threads and stacks are not printed here: flags other than 0 add nothing"


COMMANDS = (
    Command(
        re.compile(r"\.process\b"),
        (".process",),
        ".process [/r] [/p] [ADDRESS|PID|0]",
        "see memory as that process does, in all later commands; 0 as the system does",
        _process,
    ),
    Command(
        re.compile(r"!session\b"),
        ("!session",),
        "!session [-s N]",
        "the sessions; -s sees memory as session N does (-1: as the system does)",
        _session,
    ),
    Command(
        re.compile(r"!sprocess\b"),
        ("!sprocess",),
        "!sprocess [N]",
        "the processes of a session (-4: of all)",
        _sprocess,
    ),
)
