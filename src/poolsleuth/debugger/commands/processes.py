"""``!process``: all processes, or one, with the count of each one's handles."""

import re

from poolsleuth.debugger.command import Command, Lines
from poolsleuth.debugger.expressions import evaluate
from poolsleuth.debugger.target import Target
from poolsleuth.debugger.text import missing, printable
from poolsleuth.kernel.processes import Process, read_processes
from poolsleuth.kernel.target import Kernel
from poolsleuth.model.errors import InputError

_NOT_THERE = "<Data Not Accessible>"  # as the debugger says it
_USAGE = "!process 0 0 [name] | !process ADDRESS|PID 0 | !process -1 0"
_MAX_PID = 1 << 24  # a number up to there is that of a process, a larger one its address


def _run(target: Target, _match: re.Match[str], rest: str) -> Lines:
    words = rest.split(None, 2)
    flags = evaluate(target, words[1]) if len(words) > 1 else 0
    name = words[2].strip().strip('"').lower() if len(words) > 2 else None
    if not words or (words[0] == "-1" and name is None):
        return _one(target, current_process(target), flags)
    which = evaluate(target, words[0])
    if which == 0:
        return _lines(target, name, flags)
    if name is not None:
        raise InputError(f"!process does not know '{printable(rest, 40)}': {_USAGE}")
    return _one(target, process_of(target, which), flags)


def process_of(target: Target, which: int) -> Process:
    """A process by its address or its number. Raises InputError when the list has none such."""
    if target.kernel.pointer_size == 4:
        which &= 0xFFFF_FFFF
    found = read_processes(target.kernel)
    for process in found.processes:
        if which == process.address or (which < _MAX_PID and which == process.pid):
            return process
    what = f"number {which:x}" if which < _MAX_PID else f"address {target.plain(which)}"
    raise InputError(found.says or f"there is no process with {what} in the list of processes (!process 0 0 shows it)")


def current_process(target: Target) -> Process:
    """The process whose addresses are seen: System, where none was chosen. Raises InputError."""
    if target.process is not None:
        return target.process
    found = read_processes(target.kernel)
    if not found.processes:
        raise InputError(found.says or "there are no processes in this dump")
    return found.processes[0]


def image_matches(process: Process, name: str) -> bool:
    """Whether the process is called so; the kernel keeps 14 or 15 letters of a name only."""
    image = (process.image or "").lower()
    return bool(image) and (image == name or (len(image) >= 14 and name.startswith(image)))


def _lines(target: Target, name: str | None, flags: int) -> Lines:
    found = read_processes(target.kernel)
    if not found.processes:
        yield f"*** {printable(found.says or 'there are no processes in this dump')}"
        return
    yield "**** NT ACTIVE PROCESS DUMP ****"
    seen = False
    for process in found.processes:
        if name is None or image_matches(process, name):
            seen = True
            yield from process_lines(target.kernel, process)
    if not seen:
        yield f"*** no process is called {printable(name or '', 40)}"
    if found.says is not None or not found.whole:
        yield from missing(found.says or "processes are missing")
    yield from _flags(flags)


def _one(target: Target, process: Process, flags: int) -> Lines:
    yield from process_lines(target.kernel, process)
    yield from _flags(flags)


def _flags(flags: int) -> Lines:
    if flags:
        yield "*** threads, stacks and working sets are not printed here: flags other than 0 add nothing"


def process_lines(kernel: Kernel, process: Process) -> Lines:
    """The three lines that the debugger prints of a process with flags 0, and a blank one."""
    digits = 2 * kernel.pointer_size
    session = "none" if process.session is None else process.session
    table = kernel.value(process.address, "_EPROCESS", "ObjectTable")
    peb = kernel.value(process.address, "_EPROCESS", "Peb")
    first = [f"SessionId: {session}"]
    if process.pid is not None:
        first.append(f"Cid: {process.pid:04x}   ")
    if peb is not None:
        first.append(f"Peb: {peb:08x}")
    if process.parent is not None:
        first.append(f"ParentCid: {process.parent:04x}")
    second = []
    if process.directory_table_base is not None:
        second.append(f"DirBase: {process.directory_table_base:08x}")
    if table is not None:
        second.append(f"ObjectTable: {f'{table:0{digits}x}' if table else '00000000'}")
    handles = None if process.handles_guessed else process.handles
    second.append(f"HandleCount: {_NOT_THERE if handles is None else f'{handles:>3}.'}")
    head = f"PROCESS {process.address:0{digits}x}"
    if kernel.pointer_size == 8:
        yield head
        yield f"    {'  '.join(first)}"
    else:
        yield f"{head}  {'  '.join(first)}"
    yield f"    {'  '.join(second)}"
    yield f"    Image: {_NOT_THERE if process.image is None else printable(process.image)}"
    yield ""


COMMANDS = (
    Command(
        re.compile(r"!process\b"),
        ("!process 0 0",),
        _USAGE,
        "all processes with their handle counts, or one",
        _run,
    ),
)
