"""``!lookaside``: the lists in which freed blocks wait for the next request of their size."""

import re
from collections.abc import Iterator

from poolsleuth.debugger.command import Command, Lines
from poolsleuth.debugger.expressions import address
from poolsleuth.debugger.target import Target
from poolsleuth.debugger.text import missing, printable
from poolsleuth.kernel.pool.lookasides import LookasideFamily, LookasideList, Lookasides, read_lookasides
from poolsleuth.kernel.pool.tags import tag_text
from poolsleuth.kernel.sessions import read_sessions
from poolsleuth.model.errors import InputError

_PAGED = 1
_TYPES = (
    (0x200, "NonPagedPoolNx"),
    (0x4, "CacheAligned"),
    (0x2, "MustSucceed"),
    (0x8, "QuotaAllocation"),
    (0x10, "RaiseIfAllocationFailure"),
    (0x20, "Session"),
)


def _run(target: Target, _match: re.Match[str], rest: str) -> Lines:
    words = [word for word in rest.split() if word.lower() != "-all"]
    if len(words) > 1:
        raise InputError(f"!lookaside takes the address of a list, not '{printable(rest, 40)}'")
    return _lines(target, address(target, words[0]) if words else None)


def _lines(target: Target, place: int | None) -> Lines:
    sessions = [one for one in read_sessions(target.kernel).sessions if one.id == target.session]
    found = read_lookasides(target.kernel, sessions if target.session is not None else ())
    chosen = [one for one in found.lists if place is None or one.address == place]
    for one in chosen:
        yield ""
        yield from _list(target, one)
    if place is not None and not chosen:
        yield f"*** none of the {len(found.lists)} lookaside lists that were found lies at {target.address(place)}"
        return
    if not chosen:
        yield f"*** {printable('; '.join(found.says) or 'no lookaside lists were found')}"
        return
    if place is None:
        yield from _totals(found)


def _name(target: Target, one: LookasideList) -> str:
    symbol = target.names.symbol_at(one.address)
    if symbol is not None and symbol[1] == 0:
        return f"nt!{symbol[0]}"
    if one.family in (LookasideFamily.POOL, LookasideFamily.SESSION, LookasideFamily.SYSTEM):
        index = "" if one.index is None else f"[{one.index}]"
        processor = "" if one.processor is None else f" processor {one.processor}"
        return f"nt!{one.array}{index}{processor}"
    return ""


def _list(target: Target, one: LookasideList) -> Iterator[str]:
    tag = tag_text(one.tag)
    name = printable(_name(target, one)).replace('"', "'")
    yield f'Lookaside "{name}" @ 0x{target.plain(one.address)}  Tag(hex): 0x{one.tag:08x} "{tag}"'
    yield f"    Type           =       {one.pool_type:04x}  {_type(one.pool_type)}"
    yield f"    Current Depth  = {one.waits:>10}  Max Depth  = {one.depth:>10}"
    yield f"    Size           = {one.size:>10}  Max Alloc  = {one.size * one.depth:>10}"
    yield f"    AllocateMisses = {one.allocate_misses:>10}  FreeMisses = {one.free_misses:>10}"
    yield f"    TotalAllocates = {one.total_allocates:>10}  TotalFrees = {one.total_frees:>10}"
    hits, kept = _rate(one.allocate_hits, one.total_allocates), _rate(one.free_hits, one.total_frees)
    yield f"    Hit Rate       = {hits:>9}% Hit Rate   = {kept:>9}%"


def _rate(hits: int, total: int) -> int:
    return min(100, hits * 100 // total) if total else 0


def _type(number: int) -> str:
    words = [word for bit, word in _TYPES if number & bit]
    first = "PagedPool" if number & _PAGED else "NonPagedPool"
    if words[:1] == ["NonPagedPoolNx"]:
        return " ".join(words)
    return " ".join([first, *words])


def _totals(found: Lookasides) -> Lines:
    yield ""
    for word, paged in (("NonPaged", False), ("Paged", True)):
        lists = [one for one in found.lists if bool(one.pool_type & _PAGED) is paged]
        now, most = sum(one.size * one.waits for one in lists), sum(one.size * one.depth for one in lists)
        left = f"Total {word} currently allocated for above lists"
        yield f"{left:<50} = {now:>8}"
        left = f"Total {word} potential for above lists"
        yield f"{left:<50} = {most:>8}"
    if found.says:
        yield from missing("; ".join(found.says))


COMMANDS = (
    Command(
        re.compile(r"!lookaside\b"),
        ("!lookaside",),
        "!lookaside [ADDRESS]",
        "the lists of freed blocks that wait for the next request, and how many bytes they hold",
        _run,
    ),
)
