"""``!process 0 0``: all processes, with the count of each one's handles."""

import re

from poolsleuth.debugger.command import Command, Lines
from poolsleuth.debugger.target import Target
from poolsleuth.debugger.text import missing, printable
from poolsleuth.kernel.processes import Process, read_processes
from poolsleuth.model.errors import InputError

_NOT_THERE = "<Data Not Accessible>"  # as the debugger says it


def _run(target: Target, _match: re.Match[str], rest: str) -> Lines:
    words = rest.split(None, 2)
    if words[:2] not in (["0", "0"], ["0"]):
        raise InputError("of !process only '!process 0 0 [name]' is there: all processes, without their threads")
    return _lines(target, words[2].strip().lower() if len(words) > 2 else None)


def _lines(target: Target, name: str | None) -> Lines:
    found = read_processes(target.kernel)
    if not found.processes:
        yield f"*** {printable(found.says or 'there are no processes in this dump')}"
        return
    yield "**** NT ACTIVE PROCESS DUMP ****"
    for process in found.processes:
        if name is None or (process.image or "").lower() == name[: len(process.image or "") or None]:
            yield from _process(target, process)
    if found.says is not None or not found.whole:
        yield from missing(found.says or "processes are missing")


def _process(target: Target, process: Process) -> Lines:
    wide = target.kernel.pointer_size == 8
    session = "none" if process.session is None else process.session
    table = target.kernel.value(process.address, "_EPROCESS", "ObjectTable")
    first = [f"SessionId: {session}"]
    if process.pid is not None:
        first.append(f"Cid: {process.pid:04x}   ")
    if process.parent is not None:
        first.append(f"ParentCid: {process.parent:04x}")
    second = []
    if process.directory_table_base is not None:
        second.append(f"DirBase: {process.directory_table_base:08x}")
    if table is not None:
        second.append(f"ObjectTable: {target.plain(table) if table else '00000000'}")
    handles = None if process.handles_guessed else process.handles
    second.append(f"HandleCount: {_NOT_THERE if handles is None else f'{handles:>3}.'}")
    if wide:
        yield f"PROCESS {target.plain(process.address)}"
        yield f"    {'  '.join(first)}"
    else:
        yield f"PROCESS {target.plain(process.address)}  {'  '.join(first)}"
    yield f"    {'  '.join(second)}"
    yield f"    Image: {_NOT_THERE if process.image is None else printable(process.image)}"
    yield ""


COMMANDS = (
    Command(
        re.compile(r"!process\b"),
        ("!process 0 0",),
        "!process 0 0 [name]",
        "all processes with their handle counts",
        _run,
    ),
)
