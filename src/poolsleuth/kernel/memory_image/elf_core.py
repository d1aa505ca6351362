"""ELF cores of virtual machines (QEMU's ``dump-guest-memory``, VirtualBox): segments of memory, and CR3 in a note.

ELF itself follows the System V ABI. The note of QEMU's own (name ``QEMU``) holds the state of a processor: two numbers
of 32 bits (version, size), 18 registers of 8 bytes, ten segments of 24 bytes, then CR0 to CR4 (QEMU's documentation of
the vmcore format).
"""

import struct
from dataclasses import dataclass

from poolsleuth.kernel.crash_dump.content import DumpContent, Flaw
from poolsleuth.kernel.memory_image.ranges import MAX_RANGES, MemoryRange
from poolsleuth.model.errors import InputError

MAGIC = b"\x7fELF"
MAX_NOTE_BYTES = 16 << 20  # bytes of notes that are looked at: one note of 432 bytes a processor is real
MAX_PROCESSORS = 4096

_CORE = 4
_MACHINES = {62: "x64", 3: "x86", 183: "arm64"}
_LOAD, _NOTE = 1, 4
_SEGMENT_64 = struct.Struct("<IIQQQQQQ")
_SEGMENT_32 = struct.Struct("<IIIIIIII")
_NOTE_HEADER = struct.Struct("<III")
_MANY_SEGMENTS = 0xFFFF  # the true count then stands in the first section header
_CR3_AT = 8 + 18 * 8 + 10 * 24 + 3 * 8


@dataclass(frozen=True, slots=True)
class ElfCore:
    """``cr3`` holds that of each processor whose note says it."""

    architecture: str | None
    ranges: tuple[MemoryRange, ...]
    cr3: tuple[int, ...]


def read_elf_core(content: DumpContent, flaws: list[Flaw]) -> ElfCore:
    """The segments and notes of a core. Raises InputError when it is an ELF file of another kind."""
    head = content.take(0, 20)
    if head is None or head[5] != 1 or head[4] not in (1, 2):
        raise InputError("it is an ELF file that is cut off in its header, or of a big-endian machine: no Windows")
    wide = head[4] == 2
    kind, machine = struct.unpack_from("<HH", head, 16)
    if kind != _CORE:
        raise InputError(
            "it is an ELF file, but no core of a virtual machine (a program or a library of another system)"
        )
    table = content.number(0x20 if wide else 0x1C, 8 if wide else 4)
    count = content.number(0x38 if wide else 0x2C, 2)
    if not table or not count:
        raise InputError("it is an ELF core without segments: it holds no memory")
    if count == _MANY_SEGMENTS:
        sections = content.number(0x28 if wide else 0x20, 8 if wide else 4) or 0
        count = content.number(sections + (0x2C if wide else 0x1C), 4) or count
    if count > MAX_RANGES:
        flaws.append(Flaw(f"the core claims {count:,} segments: {MAX_RANGES:,} were read", table))
        count = MAX_RANGES
    ranges: list[MemoryRange] = []
    cr3: list[int] = []
    layout = _SEGMENT_64 if wide else _SEGMENT_32
    notes_left = MAX_NOTE_BYTES
    for number in range(count):
        raw = content.take(table + number * layout.size, layout.size)
        if raw is None:
            flaws.append(Flaw("the list of segments is cut off", content.size))
            break
        if wide:
            what, _flags, offset, _virtual, address, stored, _memory, _align = layout.unpack(raw)
        else:
            what, offset, _virtual, address, stored, _memory, _flags, _align = layout.unpack(raw)
        if what == _LOAD and stored:
            ranges.append(MemoryRange(address, stored, offset))
        elif what == _NOTE:
            size = min(stored, notes_left)
            notes_left -= size
            cr3 += _cr3_of_notes(content, offset, size)
    return ElfCore(_MACHINES.get(machine), tuple(ranges), tuple(cr3[:MAX_PROCESSORS]))


def _cr3_of_notes(content: DumpContent, offset: int, size: int) -> list[int]:
    found: list[int] = []
    end = min(offset + size, content.size)
    while offset + _NOTE_HEADER.size <= end:
        raw = content.take(offset, _NOTE_HEADER.size)
        if raw is None:
            break
        name_size, body_size, _kind = _NOTE_HEADER.unpack(raw)
        name_at = offset + _NOTE_HEADER.size
        body_at = name_at + (name_size + 3) // 4 * 4
        if body_at + body_size > end:
            break
        if name_size in (4, 5) and content.take(name_at, 4) == b"QEMU" and body_size >= _CR3_AT + 8:
            value = content.number(body_at + _CR3_AT, 8)
            if value:
                found.append(value)
        offset = body_at + (body_size + 3) // 4 * 4
    return found
