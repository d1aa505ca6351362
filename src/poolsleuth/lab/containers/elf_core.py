"""ELF cores of virtual machines, as qemu's ``dump-guest-memory`` writes them for x86_64 without paging.

The ELF header, a PT_NOTE and a PT_LOAD for every range of memory, the notes, the memory. There are two notes for each
processor: NT_PRSTATUS as in any core, and qemu's own with the control registers (QEMUCPUState, version 1).
"""

import struct
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from poolsleuth.lab.containers.context import X64
from poolsleuth.lab.containers.header import DumpHeaderFields
from poolsleuth.lab.containers.sparse_file import new_file, page_count, without, write_pages
from poolsleuth.lab.physical import PAGE, PhysicalImage

_ELF_HEADER, _PROGRAM_HEADER = 64, 56
_CORE, _X86_64 = 4, 62
_NOTE, _LOAD = 4, 1
_PRSTATUS_BYTES, _PRSTATUS_PID, _PRSTATUS_REGISTERS = 336, 32, 112
_MAX_SEGMENTS = 0xFFFE  # more would need a section header to count them
_CR0, _CR4 = 0x80050033, 0x370678


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessorState:
    """Registers of one processor. None: CR3 is the header's directory table base."""

    rip: int = 0
    rsp: int = 0
    cr3: int | None = None
    cr4: int = _CR4
    gs_base: int = 0
    gdt_base: int = 0
    idt_base: int = 0


def write_elf_core(
    path: Path,
    physical: PhysicalImage,
    header: DumpHeaderFields,
    *,
    left_out: Collection[int] = (),
    processors: Sequence[ProcessorState] | None = None,
) -> int:
    """All of the machine's memory but ``left_out``. Returns how many pages the core holds.

    Raises ValueError for a machine that is not x64, and for too many ranges; FileExistsError where the file exists.
    """
    if header.machine_type != X64:
        raise ValueError("ELF cores are written of x64 machines only")
    runs = without(physical.runs(), left_out)
    if len(runs) > _MAX_SEGMENTS:
        raise ValueError(f"an ELF core has {_MAX_SEGMENTS} ranges of memory at most")
    states = processors or [ProcessorState()] * header.processors
    notes = b"".join(_note(b"CORE", 1, _prstatus(i, state)) for i, state in enumerate(states))
    notes += b"".join(_note(b"QEMU", 0, _qemu_state(state, header.directory_table_base)) for state in states)
    notes_at = _ELF_HEADER + _PROGRAM_HEADER * (1 + len(runs))
    first = notes_at + len(notes)
    segments = [struct.pack("<IIQQQQQQ", _NOTE, 0, notes_at, 0, 0, len(notes), len(notes), 0)]
    offset = first
    for base, count in runs:
        size = count * PAGE
        segments.append(struct.pack("<IIQQQQQQ", _LOAD, 0, offset, 0, base * PAGE, size, size, 0))
        offset += size
    top = b"\x7fELF" + bytes((2, 1, 1)) + bytes(9)
    top += struct.pack("<HHIQQQIHHHHHH", _CORE, _X86_64, 1, 0, 64, 0, 0, 64, 56, len(segments), 0, 0, 0)
    with new_file(path) as file:
        file.write(top + b"".join(segments) + notes)
        write_pages(file, first, physical, runs)
    return page_count(runs)


def _note(name: bytes, kind: int, content: bytes) -> bytes:
    padded = (name + b"\0").ljust(8, b"\0")
    return struct.pack("<III", len(name) + 1, len(content), kind) + padded + content.ljust(-(-len(content) // 4) * 4)


def _prstatus(index: int, state: ProcessorState) -> bytes:
    record = bytearray(_PRSTATUS_BYTES)
    struct.pack_into("<I", record, _PRSTATUS_PID, index + 1)
    # r15 r14 r13 r12 rbp rbx r11 r10 r9 r8 rax rcx rdx rsi rdi orig_rax, then what is known here
    known = (state.rip, 0x10, 0x40286, state.rsp, 0x18, 0, state.gs_base, 0x2B, 0x2B, 0x53, 0x2B)
    struct.pack_into("<27Q", record, _PRSTATUS_REGISTERS, *[0] * 16, *known)
    return bytes(record)


def _qemu_state(state: ProcessorState, directory_table_base: int) -> bytes:
    # rax rbx rcx rdx rsi rdi rsp rbp r8 ... r15 rip rflags
    general = [0] * 6 + [state.rsp] + [0] * 9 + [state.rip, 0x40286]
    body = struct.pack("<18Q", *general)
    for selector, limit, flags, base in (
        (0x10, 0, 0x209B00, 0),  # cs
        (0x2B, 0xFFFFFFFF, 0xCFF300, 0),  # ds
        (0x2B, 0xFFFFFFFF, 0xCFF300, 0),  # es
        (0x53, 0x3C00, 0x40F300, 0),  # fs
        (0x2B, 0xFFFFFFFF, 0xCFF300, state.gs_base),  # gs
        (0x18, 0, 0x409300, 0),  # ss
        (0, 0, 0, 0),  # ldt
        (0x40, 0x67, 0x8B00, 0),  # tr
        (0, 0x57, 0, state.gdt_base),  # gdt
        (0, 0xFFF, 0, state.idt_base),  # idt
    ):
        body += struct.pack("<IIIIQ", selector, limit, flags, 0, base)
    cr3 = directory_table_base if state.cr3 is None else state.cr3
    body += struct.pack("<6Q", _CR0, 0, 0, cr3, state.cr4, 0)  # the last one is KernelGSbase
    return struct.pack("<II", 1, 8 + len(body)) + body
