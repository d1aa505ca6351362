"""Figures of memory, of the machine and of its clock out of buffers.

Layouts: the headers of System Informer (phnt, ``ntexapi.h``, MIT licence: SYSTEM_BASIC_INFORMATION,
SYSTEM_PERFORMANCE_INFORMATION, SYSTEM_TIMEOFDAY_INFORMATION); for the clock also Geoff Chappell's page on
SYSTEM_TIMEOFDAY_INFORMATION, for the first two winternl.h, which names the structures without their members. The
performance figures and the clock are laid out alike in 32 and 64 bits.
"""

import struct
from collections.abc import Mapping
from dataclasses import dataclass

from poolsleuth.model.errors import InputError
from poolsleuth.sampling.live.tag_tables import Buffer

BASIC_SIZES = {True: 64, False: 44}  # bytes of SYSTEM_BASIC_INFORMATION by ``wide``; Windows takes no other length
TIME_SIZES = (48, 32)  # bytes of SYSTEM_TIMEOFDAY_INFORMATION since Windows 2000, and before; it takes no longer one
PERFORMANCE_SIZES = (376, 344, 312)  # bytes since Windows 11 24H2, since Windows 10, and before
_PERFORMANCE_END = 0xB0  # bytes that hold the figures below
PAGE_SIZES = (4096, 8192, 16384, 65536)  # that Windows has had; anything else is a wrong layout
_TICKS = 10_000_000  # FILETIME: steps of 100 ns since 1601
_EPOCH = 11_644_473_600  # seconds from 1601 to 1970
_FIRST, _LAST = 946_684_800.0, 32_503_680_000.0  # the years 2000 and 3000: anything else is no clock

# Offsets of counts of pages (ULONG)
_PAGES = {
    "available": 0x2C,  # AvailablePages
    "committed": 0x30,  # CommittedPages
    "commit_limit": 0x34,  # CommitLimit
    "commit_peak": 0x38,  # PeakCommitment
    "paged_used": 0x70,  # PagedPoolPages
    "nonpaged_used": 0x74,  # NonPagedPoolPages
    "paged_resident": 0xA8,  # ResidentPagedPoolPage
}
_KERNEL_RESIDENT = (0x8C, 0xAC)  # ResidentSystemCodePage and ResidentSystemDriverPage, pages
_COUNTS = {"page_faults": 0x3C, "free_system_ptes": 0x88}  # PageFaultCount, FreeSystemPtes


@dataclass(frozen=True, slots=True)
class Basic:
    """The size of a page in bytes, pages of physical memory, processors of the caller's group."""

    page_size: int
    physical_pages: int
    processors: int


@dataclass(frozen=True, slots=True)
class Clock:
    """Seconds since 1970 UTC: now, and when Windows started; ``zone`` is UTC minus local time in seconds."""

    now: float
    booted: float | None
    zone: float


def decode_basic(data: Buffer, wide: bool) -> Basic:
    """Class 0, SystemBasicInformation. Raises InputError when it cannot be one."""
    if len(data) < BASIC_SIZES[wide]:
        raise InputError(f"Windows gave {len(data)} bytes of basic information, and {BASIC_SIZES[wide]} are needed.")
    page, pages = struct.unpack("<II", data[8:16].tobytes())
    processors = int(data[56 if wide else 40])
    if page not in PAGE_SIZES or not pages:
        raise InputError(f"Windows gave basic information that cannot be right: {pages:,} pages of {page:,} bytes.")
    return Basic(page, pages, processors)


def decode_performance(data: Buffer, page_size: int) -> Mapping[str, float]:
    """Class 2, SystemPerformanceInformation: figures by the names of ``MEMORY_FIGURES``, in bytes, or counts.

    A figure beyond the end of the data is left out.
    """
    raw = data[:_PERFORMANCE_END].tobytes()
    words = dict(
        zip(range(0, len(raw), 4), struct.unpack(f"<{len(raw) // 4}I", raw[: len(raw) // 4 * 4]), strict=False)
    )
    found = {name: float(words[at] * page_size) for name, at in _PAGES.items() if at in words}
    found |= {name: float(words[at]) for name, at in _COUNTS.items() if at in words}
    if all(at in words for at in _KERNEL_RESIDENT):
        found["kernel_resident"] = float(sum(words[at] for at in _KERNEL_RESIDENT) * page_size)
    return found


def decode_clock(data: Buffer) -> Clock:
    """Class 3, SystemTimeOfDayInformation. Raises InputError when it holds no date of this millennium."""
    if len(data) < 24:
        raise InputError(f"Windows gave {len(data)} bytes of time, and 24 are needed.")
    boot, now, zone = struct.unpack("<qqq", data[:24].tobytes())
    seconds = now / _TICKS - _EPOCH
    if not _FIRST <= seconds < _LAST:
        raise InputError("Windows gave a time that is no date.")
    booted = boot / _TICKS - _EPOCH
    return Clock(seconds, booted if _FIRST <= booted <= seconds else None, zone / _TICKS)
