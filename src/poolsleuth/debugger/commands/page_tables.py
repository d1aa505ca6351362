"""``!pte`` and ``!vtop``: where a virtual address lies, and what the page tables say of it."""

import re

from poolsleuth.debugger.command import Command, Lines
from poolsleuth.debugger.expressions import address
from poolsleuth.debugger.target import Target
from poolsleuth.debugger.text import printable
from poolsleuth.kernel.paging.space import VirtualMemory
from poolsleuth.model.errors import InputError

_LEVELS = {1: "PTE", 2: "PDE", 3: "PPE", 4: "PXE", 5: "PML5E"}


def _pte(target: Target, _match: re.Match[str], rest: str) -> Lines:
    return _entry(target, address(target, rest))


def _space(target: Target) -> VirtualMemory:
    space = target.kernel.memory.space
    if not isinstance(space, VirtualMemory):
        raise InputError("this kind of dump has no page tables")
    return space


def _entry(target: Target, place: int) -> Lines:
    found = _space(target).translate(place)
    yield f"VA {target.plain(place)}"
    level = _LEVELS.get(found.level or 0, "entry")
    if found.entry_at is None:
        yield "*** no page table could have an entry for this address"
        return
    digits = 2 * _space(target).parameters.mode.entry_size
    if found.entry is None:
        yield f"*** the {level} (at physical address {found.entry_at:x}) is not in this dump"
        return
    yield f"{level} at physical address {found.entry_at:x}"
    yield f"contains {found.entry:0{digits}X}"
    if found.prototype_entry is not None:
        yield f"prototype at {target.plain(found.prototype_address or 0)} contains {found.prototype_entry:0{digits}X}"
    if found.physical is not None:
        kind = "" if found.page_size == 0x1000 else f", a page of {found.page_size >> 10:,} KB"
        yield f"pfn {found.physical >> 12:x}   {found.state.name.lower().replace('_', ' ')}{kind}"
    else:
        reason = found.absence.says if found.absence is not None else "not valid"
        where = ""
        if found.page_file_offset is not None:
            where = f" (page file {found.page_file_number}, page {found.page_file_offset:x})"
        yield f"not valid: {printable(reason)}{where}"
    if found.guessed:
        yield "*** a guess: how this kernel writes such entries is not known for certain"


def _vtop(target: Target, _match: re.Match[str], rest: str) -> Lines:
    words = rest.split(None, 1)
    if len(words) == 2 and re.fullmatch(r"0x?0*|0", words[0]):
        rest = words[1]  # the debugger wants a page directory first, 0 for the current one
    return _physical(target, address(target, rest))


def _physical(target: Target, place: int) -> Lines:
    space = _space(target)
    found = space.translate(place)
    yield f"Directory table base {space.dtb:x}"
    if found.physical is not None:
        yield f"Virtual address {place:x} translates to physical address {found.physical:x}."
    else:
        reason = found.absence.says if found.absence is not None else "not valid"
        yield f"Virtual address {place:x} does not translate: the page is {printable(reason)}."


COMMANDS = (
    Command(re.compile(r"!pte\b"), ("!pte",), "!pte ADDRESS", "what the page tables say of an address", _pte),
    Command(re.compile(r"!vtop\b"), ("!vtop",), "!vtop [0] ADDRESS", "the physical address of a virtual one", _vtop),
)
