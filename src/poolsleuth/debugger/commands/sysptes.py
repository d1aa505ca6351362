"""``!sysptes``: the system PTEs, and how the free ones lie together."""

import re

from poolsleuth.debugger.command import Command, Lines
from poolsleuth.debugger.target import Target
from poolsleuth.debugger.text import missing, printable
from poolsleuth.kernel.system_ptes import PteType, read_system_ptes
from poolsleuth.model.errors import InputError

_OWNERS = 4  # of the flags


def _run(target: Target, _match: re.Match[str], rest: str) -> Lines:
    try:
        flags = int(rest or "0", 16)
    except ValueError:
        raise InputError(f"!sysptes takes flags in hexadecimal, not '{printable(rest, 40)}'") from None
    return _lines(target, flags)


def _lines(target: Target, flags: int) -> Lines:
    if flags & _OWNERS:
        yield "*** who mapped locked pages (flag 4) is not read: the machine keeps it only where it was asked to"
        if flags == _OWNERS:
            return
    found = read_system_ptes(target.kernel)
    if found.system is None:
        yield f"*** {printable(found.says or 'the system PTEs are not in this dump')}"
        return
    yield "System PTE Information"
    yield from _kind(target, found.system)
    if found.stacks is not None and found.stacks.blocks is not None:
        yield ""
        yield "Kernel Stack PTE Information"
        yield from _kind(target, found.stacks)
    if flags & ~_OWNERS:
        yield "*** the single free blocks are not listed: flags other than 0 add nothing"


def _kind(target: Target, kind: PteType) -> Lines:
    blocks = kind.blocks
    total = kind.total if blocks is None else blocks.bits
    if total is not None:
        yield f"  Total System Ptes {total}"
    if blocks is not None:
        if kind.base_pte is not None:
            yield f"     starting PTE: {target.plain(kind.base_pte)}"
            yield ""
        yield f"  free blocks: {blocks.blocks}   total free: {blocks.free}    largest free block: {blocks.largest}"
        if blocks.missing:
            yield from missing(
                f"the bitmap of {blocks.missing:,} PTEs is not in this dump: there may be more free ones"
            )
    elif kind.total_free is not None:
        yield f"*** {kind.total_free} system PTEs are free; how they lie together is not kept, or not in this dump"
    if kind.failures:
        yield f"*** {kind.failures} requests for PTEs have failed"


COMMANDS = (
    Command(
        re.compile(r"!sysptes\b"),
        ("!sysptes",),
        "!sysptes",
        "the system PTEs: how many are free, in how many pieces, the largest",
        _run,
    ),
)
