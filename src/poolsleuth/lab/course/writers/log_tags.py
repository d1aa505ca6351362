"""``!poolused 2`` and ``!poolused 4``: what each tag holds in both pools, the largest of one pool first."""

from collections.abc import Iterable, Iterator
from typing import Literal

from poolsleuth.lab.course.writers.log_target import VISTA, Style
from poolsleuth.lab.machine import Machine, PoolUse, TagUse

_DESCRIPTIONS = {
    "AfdB": "Afd data buffer, Binary: afd.sys",
    "CM25": "Internal Configuration manager allocations, Binary: nt!cm",
    "CM31": "Internal Configuration manager allocations, Binary: nt!cm",
    "Even": "Event objects",
    "File": "File objects",
    "FMfn": "NAME_CACHE_NODE structure, Binary: fltmgr.sys",
    "Irp ": "Io, IRP packets",
    "LSwi": "initial work context",
    "Mdl ": "Io, Mdls",
    "MmCa": "Mm control areas for mapped files, Binary: nt!mm",
    "MmCm": "Calls made to MmAllocateContiguousMemory, Binary: nt!mm",
    "MmSt": "Mm section object prototype ptes, Binary: nt!mm",
    "None": "call to ExAllocatePool",
    "Ntff": "FCB_DATA, Binary: ntfs.sys",
    "NtFs": "StrucSup.c, Binary: ntfs.sys",
    "Obtb": "object tables via EX handle.c, Binary: nt!ob",
    "Pool": "Pool tables, etc.",
    "Proc": "Process objects, Binary: nt!ps",
    "Sema": "Semaphore objects",
    "Thre": "Thread objects, Binary: nt!ps",
    "Toke": "Token objects, Binary: nt!se",
}


def shown(tag: str) -> str:
    """A tag with a dot for each byte that cannot be printed."""
    return "".join(character if " " <= character <= "~" else "." for character in tag.ljust(4)[:4])


def description(tag: str) -> str:
    """What the debugger's pooltag.txt says of a tag."""
    known = _DESCRIPTIONS.get(tag)
    if known is None:
        return f"UNKNOWN pooltag '{shown(tag)}', please update pooltag.txt"
    return known.replace(", Binary", " , Binary")


def pool_used(machine: Machine, style: Style, by: Literal["nonpaged", "paged"]) -> list[str]:
    """``!poolused 2`` (by nonpaged pool) or ``!poolused 4``. Tags that hold nothing are left out."""
    return list(_table(machine.tags, style, by))


def _table(tags: Iterable[TagUse], style: Style, by: Literal["nonpaged", "paged"]) -> Iterator[str]:
    name = "NonPaged" if by == "nonpaged" else "Paged"
    rows = [use for use in tags if use.nonpaged.outstanding or use.paged.outstanding]
    other = "paged" if by == "nonpaged" else "nonpaged"
    rows.sort(key=lambda use: (-_use(use, by).bytes, -_use(use, other).bytes, use.tag))
    if style.old:
        yield f"   Sorting by  {name} Pool Consumed"
        if style.build >= VISTA:
            yield ""
        yield "  Pool Used:"
        yield "            NonPaged            Paged"
        yield " Tag    Allocs     Used    Allocs     Used"
    else:
        yield "...."
        yield f" Sorting by {name} Pool Consumed"
        yield ""
        yield "               NonPaged                  Paged"
        yield " Tag     Allocs         Used     Allocs         Used"
        yield ""
    for use in rows:
        yield f" {shown(use.tag)}{_numbers(use.nonpaged, use.paged, style)}\t{description(use.tag)}"
    nonpaged = _sum(use.nonpaged for use in rows)
    paged = _sum(use.paged for use in rows)
    yield f" TOTAL{_numbers(nonpaged, paged, style)[1:]}"
    yield ""


def _use(use: TagUse, pool: str) -> PoolUse:
    return use.paged if pool == "paged" else use.nonpaged


def _sum(uses: Iterable[PoolUse]) -> PoolUse:
    allocs = frees = size = 0
    for use in uses:
        allocs, frees, size = allocs + use.allocs, frees + use.frees, size + use.bytes
    return PoolUse(allocs, frees, size)


def _numbers(nonpaged: PoolUse, paged: PoolUse, style: Style) -> str:
    if style.old:
        return f" {nonpaged.outstanding:8} {nonpaged.bytes:8}  {paged.outstanding:8} {paged.bytes:8}"
    return f" {nonpaged.outstanding:10} {nonpaged.bytes:12} {paged.outstanding:10} {paged.bytes:12}"
