"""Triage dumps ("small memory dumps", type 4): identity, drivers, and a few blocks of virtual memory. No pool tables.

The structure TRIAGE_DUMP follows Ghidra's reader of such files. Confirmed on a real 64-bit dump of build 19041: all
offsets of the 64-bit structure that are read here, the driver entries (144 bytes: name offset, then an entry of 0x88
bytes whose time stamp lies at +80), unloaded drivers (a count of 8 bytes, then names kept in place), data blocks, and
the mark ``TRGD`` at ValidOffset. No real 32-bit dump was at hand: its layout is constructed from the same sources, and
whether the entry begins at +4 or +8 is found out from the addresses in it.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from poolsleuth.kernel.crash_dump.content import PAGE, DumpContent, Flaw
from poolsleuth.kernel.crash_dump.header import DumpHeader

MAX_DRIVERS = 5000  # loaded drivers: real systems have 100 to 400
MAX_UNLOADED = 50  # the kernel's ring of unloaded drivers has so many slots
MAX_NAME_CHARACTERS = 1024  # of a driver's path
MAX_BLOCKS = 1 << 20  # blocks of virtual memory: the real dump has 1,831
MAX_READ = 1 << 20  # bytes of one read of virtual memory
MAX_DEBUGGER_DATA = 0x1000  # bytes of the copy of KDDEBUGGER_DATA64: 0x3A8 in the newest
MAX_MEMORY_INFO = 0x200  # bytes of the block of memory figures: 0x50 in Windows 10

_KDBG = b"KDBG"
_VALID = b"TRGD"
_INLINE_NAME = 24  # bytes kept of the name of an unloaded driver: 12 characters
_BLOCK = np.dtype([("address", "<u8"), ("offset", "<u4"), ("size", "<u4")])
_BUILD_LAB_BYTES = 128

# TRIAGE_DUMP begins with 18 numbers of 32 bits that lie alike in both widths; these of them are read
_NUMBERS = {
    "size_of_dump": 0x04,
    "valid_offset": 0x08,
    "memory_offset": 0x14,
    "unloaded_offset": 0x18,
    "drivers_offset": 0x30,
    "driver_count": 0x34,
}
# Offset and size of the debugger's data, offset and count of the data blocks
_DEBUGGER_DATA = ((0x58, 0x5C, 0x60, 0x64), (0x70, 0x74, 0x78, 0x7C))
_STRUCTURE_SIZE = (0x68, 0x80)


@dataclass(frozen=True, slots=True)
class TriageDriver:
    """A driver that was loaded. ``timestamp`` is the raw field of the PE header: newer builds keep a hash there."""

    path: str | None
    base: int
    size: int
    timestamp: int
    checksum: int
    offset: int

    @property
    def file_name(self) -> str | None:
        """The last part of the path."""
        return None if self.path is None else self.path.rpartition("\\")[2] or None


@dataclass(frozen=True, slots=True)
class TriageUnloaded:
    """A driver that was unloaded; its name is cut at 12 characters. The dump does not say when."""

    name: str
    start: int
    end: int
    offset: int


@dataclass(frozen=True, slots=True)
class TriageMemory:
    """The block of memory figures: its version and size, and whether anything but zeros is in it.

    In real dumps of Windows 10 it is empty. In which unit older systems fill it is not documented, so that no figure is
    taken from it.
    """

    version: int
    size: int
    empty: bool
    offset: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TriageDump:
    """What a triage dump tells. ``drivers_complete``: every driver of its list could be read.

    ``debugger_data`` is the copy of KDDEBUGGER_DATA64 that it carries; None when it has none.
    """

    drivers: tuple[TriageDriver, ...]
    drivers_complete: bool
    drivers_offset: int | None
    unloaded: tuple[TriageUnloaded, ...]
    unloaded_offset: int | None
    memory: TriageMemory | None
    kernel_base: int | None
    build_lab: str | None
    blocks: "VirtualBlocks"
    debugger_data: bytes | None = None


class VirtualBlocks:
    """The pieces of virtual memory in a triage dump, found by bisection."""

    __slots__ = ("_addresses", "_content", "_offsets", "_sizes")

    def __init__(self, content: DumpContent, rows: NDArray[np.void], mask: int) -> None:
        self._content = content
        addresses = rows["address"] & np.uint64(mask)
        order = np.argsort(addresses, kind="stable")
        self._addresses: NDArray[np.uint64] = addresses[order]
        self._offsets: NDArray[np.uint32] = rows["offset"][order]
        self._sizes: NDArray[np.uint32] = rows["size"][order]

    def __len__(self) -> int:
        return len(self._addresses)

    @property
    def total(self) -> int:
        """Bytes in all blocks, as the list of them says."""
        return int(self._sizes.sum(dtype=np.uint64))

    def read(self, address: int, size: int) -> bytes | None:
        """``size`` bytes of virtual memory (``MAX_READ`` at most); None when not all of them are in the dump."""
        if not 0 <= size <= MAX_READ or not 0 <= address < 1 << 64:
            return None
        parts: list[bytes] = []
        while size:
            at = int(np.searchsorted(self._addresses, np.uint64(address), side="right")) - 1
            if at < 0:
                return None
            skip = address - int(self._addresses[at])
            count = min(size, int(self._sizes[at]) - skip)
            part = self._content.take(int(self._offsets[at]) + skip, count) if count > 0 else None
            if part is None:
                return None
            parts.append(part)
            address, size = address + count, size - count
            if size and address >= 1 << 64:
                return None
        return b"".join(parts)


def read_triage(content: DumpContent, header: DumpHeader, flaws: list[Flaw]) -> TriageDump | None:
    """Read what follows the header; what could not be read is added to ``flaws``. None: not even its first part."""
    start, wide = header.size, header.bits == 64
    raw = content.take(start, _STRUCTURE_SIZE[wide])
    if raw is None:
        flaws.append(Flaw("the triage dump ends before its directory: only the header could be read", content.size))
        return None
    value = {name: int.from_bytes(raw[at : at + 4], "little") for name, at in _NUMBERS.items()}
    data, data_size, blocks_at, block_count = (
        int.from_bytes(raw[at : at + 4], "little") for at in _DEBUGGER_DATA[wide]
    )
    if value["size_of_dump"] > content.size:
        flaws.append(
            Flaw(f"the dump is truncated: {content.size:,} of {value['size_of_dump']:,} bytes are there", content.size)
        )
    elif content.take(value["valid_offset"], 4) != _VALID:
        flaws.append(
            Flaw("the mark at the end of the triage dump is missing: it may be damaged", value["valid_offset"])
        )
    blocks = _blocks(content, blocks_at, block_count, wide, flaws)
    drivers, complete = _drivers(content, header, value["drivers_offset"], value["driver_count"], flaws)
    base, lab = _debugger_data(content, data, data_size, blocks, wide)
    return TriageDump(
        drivers=drivers,
        drivers_complete=complete,
        drivers_offset=value["drivers_offset"] or None,
        unloaded=_unloaded(content, value["unloaded_offset"], wide, flaws),
        unloaded_offset=value["unloaded_offset"] or None,
        memory=_memory(content, value["memory_offset"]),
        kernel_base=base,
        build_lab=lab,
        blocks=blocks,
        debugger_data=content.take(data, min(data_size, MAX_DEBUGGER_DATA)) if base is not None else None,
    )


def _mask(wide: bool) -> int:
    return (1 << 64) - 1 if wide else (1 << 32) - 1  # 32-bit addresses are kept sign-extended


def _blocks(content: DumpContent, at: int, count: int, wide: bool, flaws: list[Flaw]) -> VirtualBlocks:
    if count > MAX_BLOCKS:
        flaws.append(Flaw(f"the triage dump claims {count:,} blocks of memory: they were not read", at))
        count = 0
    rows = content.rows(at, _BLOCK, count) if at else np.empty(0, _BLOCK)
    if at and len(rows) < count:
        flaws.append(Flaw(f"{count - len(rows):,} of {count:,} blocks of memory are cut off", at))
    return VirtualBlocks(content, rows, _mask(wide))


def _drivers(
    content: DumpContent, header: DumpHeader, at: int, count: int, flaws: list[Flaw]
) -> tuple[tuple[TriageDriver, ...], bool]:
    if not at or not count:
        return (), False
    if count > MAX_DRIVERS:
        flaws.append(Flaw(f"the list of drivers claims {count:,} entries: {MAX_DRIVERS:,} at most are read", at))
    wanted = min(count, MAX_DRIVERS)
    lead = 8 if header.bits == 64 else _lead_32(content, at)
    # KLDR_DATA_TABLE_ENTRY: base, size, checksum, time stamp, and its own length
    base_at, size_at, sum_at, time_at, length = (
        (0x30, 0x40, 0x78, 0x80, 0x88) if header.bits == 64 else (0x18, 0x20, 0x40, 0x44, 0x48)
    )
    stride = lead + length
    found: list[TriageDriver] = []
    odd = 0
    for number in range(content.held(at, stride, wanted)):
        place = at + number * stride
        entry = content.take(place, stride)
        if entry is None:  # cannot be: ``held`` counted it
            break
        inner = entry[lead:]
        base = int.from_bytes(inner[base_at : base_at + header.pointer], "little")
        if not base or base % PAGE:
            odd += 1
            continue
        found.append(
            TriageDriver(
                _driver_name(content, int.from_bytes(entry[:4], "little")),
                base,
                int.from_bytes(inner[size_at : size_at + 4], "little"),
                int.from_bytes(inner[time_at : time_at + 4], "little"),
                int.from_bytes(inner[sum_at : sum_at + 4], "little"),
                place,
            )
        )
    if len(found) < wanted:
        why = f", {odd:,} with an address that cannot be true" if odd else ""
        flaws.append(Flaw(f"{wanted - len(found):,} of {count:,} loaded drivers could not be read{why}", at))
    return tuple(found), len(found) == count and all(driver.path for driver in found)


def _lead_32(content: DumpContent, at: int) -> int:
    """Where the entry begins behind the name offset, 4 or 8: readers disagree, so the first base must look like one."""
    for lead in (4, 8):
        base = content.number(at + lead + 0x18, 4)
        size = content.number(at + lead + 0x20, 4)
        if base and base >= 0x8000_0000 and base % PAGE == 0 and size:
            return lead
    return 4


def _driver_name(content: DumpContent, at: int) -> str | None:
    length = content.number(at, 4)
    if not at or length is None or not 0 < length <= MAX_NAME_CHARACTERS:
        return None
    return _text(content.take(at + 4, 2 * length))


def _text(raw: bytes | None) -> str | None:
    """UTF-16 up to its end mark; None when it holds anything but printable characters."""
    if raw is None:
        return None
    text = raw.decode("utf-16-le", errors="replace").split("\0", 1)[0]
    return text if text and text.isprintable() else None


def _unloaded(content: DumpContent, at: int, wide: bool, flaws: list[Flaw]) -> tuple[TriageUnloaded, ...]:
    width = 8 if wide else 4
    count = content.number(at, width) if at else 0
    if count is None:
        flaws.append(Flaw("the list of unloaded drivers is cut off", at))
        return ()
    if count > MAX_UNLOADED:
        flaws.append(
            Flaw(f"the list of unloaded drivers claims {count:,} entries, where the kernel keeps {MAX_UNLOADED}", at)
        )
        return ()
    stride = 2 * width + _INLINE_NAME + 2 * width
    found: list[TriageUnloaded] = []
    for number in range(content.held(at + width, stride, count)):
        place = at + width + number * stride
        entry = content.take(place, stride) or bytes(stride)
        length = min(int.from_bytes(entry[:2], "little"), _INLINE_NAME)
        name = _text(entry[2 * width : 2 * width + length])
        start, end = (int.from_bytes(entry[-i * width :][:width], "little") for i in (2, 1))
        if name is not None:
            found.append(TriageUnloaded(name, start, end, place))
    if len(found) < count:
        flaws.append(Flaw(f"{count - len(found)} of {count} unloaded drivers could not be read", at))
    return tuple(found)


def _memory(content: DumpContent, at: int) -> TriageMemory | None:
    version, size = content.number(at, 4), content.number(at + 4, 4)
    if not at or version is None or size is None or not 8 < size <= MAX_MEMORY_INFO:
        return None
    raw = content.take(at + 8, size - 8)
    return None if raw is None else TriageMemory(version, size, not any(raw), at)


def _debugger_data(
    content: DumpContent, at: int, size: int, blocks: VirtualBlocks, wide: bool
) -> tuple[int | None, str | None]:
    """The kernel's base and its build string, from the copy of KDDEBUGGER_DATA64 in the dump."""
    if not at or size < 0x20 or content.take(at + 0x10, 4) != _KDBG:
        return None, None
    base = (content.number(at + 0x18, 8) or 0) & _mask(wide)
    lab_at = ((content.number(at + 0x208, 8) or 0) & _mask(wide)) if size >= 0x210 else 0
    raw = blocks.read(lab_at, _BUILD_LAB_BYTES) if lab_at else None
    lab = raw.split(b"\0", 1)[0].decode("latin-1") if raw else ""
    plausible = lab.isascii() and lab.isprintable() and lab[:4].isdigit()
    return base if base and base % PAGE == 0 else None, lab if plausible else None
