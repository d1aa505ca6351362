"""Processes out of a buffer: handle counts and the pool charged to them.

Layout: the headers of System Informer (phnt, ``ntexapi.h``, MIT licence: SYSTEM_PROCESS_INFORMATION); Microsoft
documents the same members in winternl.h and, as TS_SYS_PROCESS_INFORMATION, in [MS-TSTS] 2.2.2.15.1.
"""

import struct
from dataclasses import dataclass

from poolsleuth.sampling.live.tag_tables import Buffer
from poolsleuth.sampling.sample import ProcessRow

MAX_PROCESSES = 65_536  # a terminal server has some thousand
MAX_NAME_BYTES = 1_024  # of UTF-16 of one name: file names end at 510
_NO_SESSION = 0xFFFF_FFFF
_NAMELESS = {0: "Idle", 4: "System"}  # as the counters call them; Windows gives the first no name


@dataclass(frozen=True, slots=True)
class _Layout:
    """Where one entry has what: name (length, room, address), pid, handles and session, quotas."""

    head: int
    entry: struct.Struct  # everything from the name's length to the quota of nonpaged pool
    name_at: int


# Offsets: ImageName 0x38; UniqueProcessId 0x50 (0x44), HandleCount 0x60 (0x4C), SessionId, QuotaPagedPoolUsage 0xA0
# (0x70), QuotaNonPagedPoolUsage 0xB0 (0x78); the entry without its threads is 0x100 (0xB8) bytes long
_WIDE = _Layout(0x100, struct.Struct("<H6xQ8xQ8xII56xQ8xQ"), 0x38)
_NARROW = _Layout(0xB8, struct.Struct("<H2xI4xI4xII28xI4xI"), 0x38)


def decode_processes(data: Buffer, wide: bool, base: int) -> tuple[tuple[ProcessRow, ...], str | None]:
    """Class 5, SystemProcessInformation: the processes, and what is missing.

    ``base`` is the address at which the buffer lay when Windows filled it: names are given by address. A name that
    lies outside the buffer is left empty. Entries lead forward only, so that a chain cannot loop.
    """
    layout, mask = (_WIDE, (1 << 64) - 1) if wide else (_NARROW, (1 << 32) - 1)
    raw = data.tobytes()
    rows: list[ProcessRow] = []
    note: str | None = None
    place = 0
    while True:
        if place + layout.head > len(raw):
            note = "The list of processes ends before its time." if raw else "Windows gave no list of processes."
            break
        if len(rows) >= MAX_PROCESSES:
            note = f"Only the first {MAX_PROCESSES:,} processes are read."
            break
        length, address, pid, handles, session, paged, nonpaged = layout.entry.unpack_from(raw, place + layout.name_at)
        at = (address - base) & mask
        name = ""
        if at + length <= len(raw):
            name = raw[at : at + min(length, MAX_NAME_BYTES) // 2 * 2].decode("utf-16-le", "replace")
        rows.append(
            ProcessRow(
                pid=pid,
                name=name or _NAMELESS.get(pid, ""),
                handles=handles,
                nonpaged=nonpaged,
                paged=paged,
                session=None if session == _NO_SESSION else session,
            )
        )
        link = int.from_bytes(raw[place : place + 4], "little")
        if not link:
            break
        if link < layout.head:
            note = "The list of processes leads nowhere after one of them."
            break
        place += link
    return tuple(rows), note
