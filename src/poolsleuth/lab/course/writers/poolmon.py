"""Poolmon's text: what ``poolmon -n FILE`` and a copy of its window hold.

The poolmon of the Windows 2003 era prints what changed since it last looked in parentheses, today's prints wider
columns and no changes. Shapes: published examples of Windows XP and Server 2003, and a published snapshot of a newer
one. Allocations and frees are counters of 32 bits on every Windows.
"""

import os
from collections.abc import Iterable, Iterator
from datetime import datetime
from pathlib import Path

from poolsleuth.lab.course.moment import Moment
from poolsleuth.lab.course.writers.load import Load, with_loads
from poolsleuth.lab.course.writers.zone import ZONE, Zone
from poolsleuth.lab.machine import PAGE, Machine, PoolUse, TagUse

_FIRST_NEW = 7600  # the first Windows whose users have today's poolmon
_DWORD = 0xFFFF_FFFF
_KB = PAGE >> 10
_COLUMNS = " Tag  Type     Allocs            Frees            Diff   Bytes       Per Alloc"

_Rows = dict[tuple[int | None, str, str], PoolUse]
"""What was shown last, by session (None: the system's pools), tag and type."""


def write_poolmon(path: Path, moments: Iterable[Moment], *, zone: Zone = ZONE, sessions: bool = False) -> int:
    """Write all snapshots to one file, a line with the time before each, as ``poolsleuth collect`` advises.

    ``sessions``: behind the system's pools, those of each session (``poolmon /s0``), a run of poolmon each. Returns how
    many moments were written. Raises FileExistsError.
    """
    count = 0
    with path.open("xb") as file:
        for moment, screens in _snapshots(moments, sessions=sessions):
            for screen in screens:
                file.write(_date(moment.machine, moment.at, zone) + b"\r\n" + screen)
            count += 1
    return count


def write_poolmon_files(
    folder: Path, moments: Iterable[Moment], *, zone: Zone = ZONE, sessions: bool = False
) -> list[Path]:
    """Write each snapshot to a file of its own, ``poolsnap_20210110_215428.log`` after the local time.

    Nothing in it says when it was taken: the file's own time does. Returns the files. Raises FileExistsError.
    """
    found: list[Path] = []
    for moment, screens in _snapshots(moments, sessions=sessions):
        path = folder / f"poolsnap_{zone.local(moment.at):%Y%m%d_%H%M%S}.log"
        with path.open("xb") as file:
            file.writelines(screens)
        os.utime(path, (moment.at.timestamp(), moment.at.timestamp()))
        found.append(path)
    return found


def _snapshots(moments: Iterable[Moment], *, sessions: bool) -> Iterator[tuple[Moment, list[bytes]]]:
    """Each moment, and the screens of it: that of the system's pools first."""
    before: _Rows = {}
    faults = 0
    for moment, load in with_loads(moments):
        machine = moment.machine
        old = machine.windows.build < _FIRST_NEW
        header = _header(machine, load, load.page_faults - faults if old and faults else load.page_faults)
        faults = load.page_faults
        shown: _Rows = {}
        tables: list[tuple[int | None, tuple[TagUse, ...]]] = [(None, machine.tags)]
        if sessions:
            tables += [(session.id, session.tags) for session in machine.sessions]
        screens: list[bytes] = []
        for number, tags in tables:
            name = "System" if number is None else f"Session {number}"
            lines = [*header, f" {name} pool information".encode("ascii"), _COLUMNS.encode("ascii")]
            if old:
                lines.append(b"")
            for tag, kind, use in _rows(tags):
                key = (number, tag, kind)
                shown[key] = use
                lines.append(_old_row(tag, kind, use, before.get(key)) if old else _row(tag, kind, use))
            screens.append(b"".join(line + b"\r\n" for line in (*lines, b"")))
        before = shown
        yield moment, screens


def _date(machine: Machine, at: datetime, zone: Zone) -> bytes:
    """The time as the collecting script writes it: that of PowerShell, before it that of WMI."""
    local = zone.local(at)
    if machine.windows.build >= _FIRST_NEW:
        return f"{local:%Y-%m-%dT%H:%M:%S}.{local.microsecond:06}0{zone.offset}".encode("ascii")
    return f"LocalDateTime={local:%Y%m%d%H%M%S}.{local.microsecond:06}{-zone.bias:+04}".encode("ascii")


def _header(machine: Machine, load: Load, faults: int) -> list[bytes]:
    """The two lines with the figures of memory, in KB."""
    memory = machine.memory

    def kb(pages: int | None) -> int:
        return (pages or 0) * _KB

    first = (
        f" Memory:{kb(memory.physical):8}K Avail:{kb(memory.available):8}K  PageFlts:{faults & _DWORD:6}   "
        f"InRam Krnl:{kb(memory.driver_commit):5}K P:{kb(load.paged_resident):5}K"
    )
    second = (
        f" Commit:{kb(memory.committed):7}K Limit:{kb(memory.commit_limit):7}K Peak:{kb(memory.peak_committed):7}K"
        f"            Pool N:{kb(memory.nonpaged_used):5}K P:{kb(memory.paged_used):5}K"
    )
    return [first.encode("ascii"), second.encode("ascii")]


def _rows(tags: Iterable[TagUse]) -> list[tuple[str, str, PoolUse]]:
    """The rows as ``-b`` sorts them, the largest first; a tag that never was in a pool has no row for it."""
    rows = [
        (use.tag, kind, pool)
        for use in tags
        for kind, pool in (("Nonp", use.nonpaged), ("Paged", use.paged))
        if pool.allocs
    ]
    return sorted(rows, key=lambda row: (-row[2].bytes, row[0], row[1]))


def _each(use: PoolUse) -> int:
    return use.bytes // use.outstanding if use.outstanding else 0


def _tag(tag: str) -> bytes:
    """The four bytes of a tag as they are: poolmon asks nobody whether they can be printed."""
    return tag.ljust(4).encode("latin-1", errors="replace")[:4]


def _old_row(tag: str, kind: str, use: PoolUse, before: PoolUse | None) -> bytes:
    last = before or use
    changes = (use.allocs - last.allocs, use.frees - last.frees, use.bytes - last.bytes)
    numbers = (
        f"{use.allocs & _DWORD:9} ({changes[0]:4}) {use.frees & _DWORD:9} ({changes[1]:4}) "
        f"{use.outstanding & _DWORD:8} {use.bytes:7} ({changes[2]:6}) {_each(use):6}"
    )
    return b" " + _tag(tag) + f" {kind:5} {numbers}".encode("ascii")


def _row(tag: str, kind: str, use: PoolUse) -> bytes:
    numbers = (
        f"{use.allocs & _DWORD:18} {use.frees & _DWORD:18} {use.outstanding & _DWORD:17} {use.bytes:14} {_each(use):16}"
    )
    return b" " + _tag(tag) + f" {kind:5} {numbers}".encode("ascii")
