"""Tags at calls: recall and false alarms on drivers of a real toolchain; idioms of other compilers in assembler."""

import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pefile  # type: ignore[import-untyped]
import pytest

from poolsleuth.drivers.image import open_driver
from poolsleuth.drivers.image_bytes import of_file
from poolsleuth.drivers.tag_functions import Use
from poolsleuth.drivers.tag_scan import Scan, scan_file_image, scan_image, scan_memory_image
from poolsleuth.drivers.tags import tag_text

Drivers = Callable[[str, str], Path]

MATRIX = [(machine, level) for machine in ("x64", "x86", "arm64") for level in ("O0", "O1", "O2", "Os")]

# What the source of the driver says (conftest.EVERY_CALL): tag, use, function
WRITTEN = {
    ("File", Use.ALLOCATION, "ExAllocatePoolWithTag"),
    ("Wrap", Use.ALLOCATION, "ExAllocatePoolWithTag"),
    ("Wra2", Use.ALLOCATION, "ExAllocatePoolWithTag"),
    ("Tail", Use.ALLOCATION, "ExAllocatePoolWithTag"),
    ("Con1", Use.ALLOCATION, "ExAllocatePoolWithTag"),
    ("Con2", Use.ALLOCATION, "ExAllocatePoolWithTag"),
    ("Pol2", Use.ALLOCATION, "ExAllocatePool2"),
    ("Pol3", Use.ALLOCATION, "ExAllocatePool3"),
    ("Quot", Use.ALLOCATION, "ExAllocatePoolWithQuotaTag"),
    ("Prio", Use.ALLOCATION, "ExAllocatePoolWithTagPriority"),
    ("LokN", Use.LOOKASIDE, "ExInitializeNPagedLookasideList"),
    ("LokP", Use.LOOKASIDE, "ExInitializePagedLookasideList"),
    ("LokE", Use.LOOKASIDE, "ExInitializeLookasideListEx"),
    ("Var4", Use.ALLOCATION, "ExAllocatePoolWithTag"),
    ("Fix5", Use.ALLOCATION, "ExAllocatePoolWithTag"),
    ("Prot", Use.ALLOCATION, "ExAllocatePoolWithTag"),
    ("Prot", Use.FREE, "ExFreePoolWithTag"),
    (" Ddk", Use.ALLOCATION, "ExAllocatePoolWithTag"),
    ("Abc", Use.ALLOCATION, "ExAllocatePoolWithTag"),
    ("File", Use.FREE, "ExFreePoolWithTag"),
    ("Wrap", Use.FREE, "ExFreePoolWithTag"),
    ("OlFr", Use.FREE, "ExFreePoolWithTag"),
    ("Ndd1", Use.ALLOCATION, "NdisAllocateMemoryWithTag"),
    ("Ndd2", Use.ALLOCATION, "NdisAllocateMemoryWithTagPriority"),
    ("Ndd2", Use.FREE, "NdisFreeMemoryWithTagPriority"),
    ("xFlt", Use.ALLOCATION, "FltAllocatePoolAlignedWithTag"),
    ("xFlt", Use.FREE, "FltFreePoolAlignedWithTag"),
    ("Stor", Use.ALLOCATION, "StorPortExtendedFunction"),
    ("xObj", Use.REFERENCE, "ObOpenObjectByPointerWithTag"),
    ("Loop", Use.ALLOCATION, "ExAllocatePoolWithTag"),
    ("Pic1", Use.ALLOCATION, "ExAllocatePoolWithTag"),
    ("Qicb", Use.ALLOCATION, "ExAllocatePoolWithTag"),
    ("Ricz", Use.ALLOCATION, "ExAllocatePoolWithTag"),
    ("HHoi", Use.ALLOCATION, "ExAllocatePoolWithTag"),
    ("HHoi", Use.FREE, "ExFreePoolWithTag"),
}
# What is missed, and why: clang at -O0 passes what has 64 bits on the stack of x86 through another register
MISSED: dict[tuple[str, str], set[str]] = {("x86", "O0"): {"Pol2", "Pol3"}}


def found_in(scan: Scan) -> set[tuple[str, Use, str | None]]:
    return {(tag_text(use.tag), use.use, use.function) for use in scan.uses}


@pytest.mark.parametrize(("machine", "level"), MATRIX)
def test_every_written_tag_is_found_at_its_call(every_call: Drivers, machine: str, level: str) -> None:
    scan = scan_file_image(open_driver(every_call(machine, level)).image)
    missed = MISSED.get((machine, level), set())

    assert found_in(scan) == {row for row in WRITTEN if row[0] not in missed}
    assert {tag_text(use.tag) for use in scan.uses if not use.certain} == {"Var4"}
    assert scan.calls["ExAllocatePool"] == 1
    assert scan.calls["MmAllocateContiguousMemory"] == 1


@pytest.mark.parametrize(("machine", "level"), MATRIX)
def test_letters_that_are_no_tag_are_not_found_at_calls(no_tags: Drivers, machine: str, level: str) -> None:
    scan = scan_file_image(open_driver(no_tags(machine, level)).image)

    # `table[choice]` and `local + choice` are no constants; the rest are arguments of other kinds
    assert found_in(scan) == set()
    assert scan.unread >= 3


def test_each_use_says_where(every_call: Drivers) -> None:
    path = every_call("x64", "O2")
    data = path.read_bytes()
    for use in scan_file_image(of_file(data, "x")).uses:
        assert use.offset is not None
        assert data[use.offset : use.offset + len(use.raw)] == use.raw
        assert use.text.startswith(("call ", "jmp "))


# ---- idioms of other compilers ----

X86_IDIOMS = r"""
.intel_syntax noprefix
.macro through kind, slot               # call or jmp dword ptr [slot]
  .byte 0xff, \kind
  .long \slot
.endm
.text
.globl _DriverEntry@8
.p2align 4
_DriverEntry@8:
  push ebp
  mov ebp, esp
  push esi
  push edi
  mov esi, dword ptr [__imp__ExAllocatePoolWithTag@12]
  push 0x31736e49                       # Ins1: the pushes of a call of another function stand between
  mov ecx, offset _name
  push ecx
  push eax
  through 0x15, __imp__RtlInitUnicodeString@8
  push 16
  push 0
  call esi
  push 0x32736e49                       # Ins2: a local function that takes eight bytes off
  push 2
  push 1
  call _local
  push eax
  push 0
  call esi
  push 0x33736e49                       # Ins3: a call whose caller takes the arguments off
  mov ecx, offset _name
  push ecx
  through 0x15, __imp__DbgPrint
  add esp, 4
  push 16
  push 0
  call esi
  push 0x34736e49                       # Ins4: a function of which nobody knows what it takes off
  push 3
  push 3
  push 3
  through 0x15, __imp__ObscureThree@12
  push eax
  push 0
  call esi
  mov edi, 0x35736e49                   # Ins5: kept in a register, pushed by way of the register
  test eax, eax
  je 1f
  push edi
  push 8
  push 0
  call esi
1:
  push edi
  push eax
  through 0x15, __imp__ExFreePoolWithTag@8
  push 16
  pop ecx
  push 0x36736e49                       # Ins6: through a thunk
  push ecx
  push 0
  call _thunk
  sub esp, 12                           # Ins7: stores instead of pushes, in any order
  mov dword ptr [esp + 8], 0x37736e49
  mov dword ptr [esp], 1
  mov dword ptr [esp + 4], 64
  through 0x15, __imp__ExAllocatePoolWithTag@12
  push dword ptr [ebp + 8]              # Ins8: the caller of _inner gives it
  push 0x38736e49
  call _inner
  pop edi
  pop esi
  pop ebp
  ret 8
.p2align 4
_inner:                                 # stdcall, tag first
  mov edi, edi
  push ebp
  mov ebp, esp
  push dword ptr [ebp + 8]
  push dword ptr [ebp + 12]
  push 1
  through 0x15, __imp__ExAllocatePoolWithTag@12
  pop ebp
  ret 8
.p2align 4
_local:
  mov eax, dword ptr [esp + 4]
  ret 8
.p2align 4
_thunk:
  through 0x25, __imp__ExAllocatePoolWithTag@12
.data
_name: .long 0
"""

X64_IDIOMS = r"""
.intel_syntax noprefix
.text
.globl DriverEntry
.p2align 4
DriverEntry:
  push rbx
  sub rsp, 0x40
  mov r8d, 0x31736e49                   # Ins1: with a prefix that says nothing, as the kernel's own compiler writes it
  xor ecx, ecx
  mov edx, 16
  rex64 call qword ptr [rip + __imp_ExAllocatePoolWithTag]
  nop dword ptr [rax + rax]
  mov r8d, 0x32736e49                   # Ins2: guarded against speculation
  mov r10, qword ptr [rip + __imp_ExAllocatePoolWithTag]
  call guard
  mov ebx, 0x33736e49                   # Ins3: kept in a register over calls, two functions
  mov r8d, ebx
  call thunk
  mov edx, ebx
  mov rcx, rax
  call qword ptr [rip + __imp_ExFreePoolWithTag]
  mov eax, 0x34736e49                   # Ins4 and Ins5: chosen without a jump
  test ecx, ecx
  mov r8d, 0x35736e49
  cmove r8d, eax
  call qword ptr [rip + __imp_ExAllocatePoolWithTag]
  mov edx, 0x36736e49                   # Ins6: through two functions of its own
  call outer
  sbb r8d, r8d                          # Ins7 and Jns7: worked out of a flag
  and r8d, 1
  add r8d, 0x37736e49
  call qword ptr [rip + __imp_ExAllocatePoolWithTag]
  mov r8d, 0x38736e49                   # lost: the call in between may change it
  call qword ptr [rip + __imp_DbgPrint]
  call qword ptr [rip + __imp_ExAllocatePoolWithTag]
  add rsp, 0x40
  pop rbx
  ret
.p2align 4
outer:
  mov r8d, edx
  mov edx, 16
  jmp inner
.p2align 4
inner:
  xor ecx, ecx
  jmp qword ptr [rip + __imp_ExAllocatePoolWithTag]
.p2align 4
guard:
  jmp r10
.p2align 4
thunk:
  jmp qword ptr [rip + __imp_ExAllocatePoolWithTag]
"""


ARM64_IDIOMS = r"""
.text
.globl DriverEntry
.p2align 2
DriverEntry:
  stp x29, x30, [sp, #-48]!
  stp x19, x20, [sp, #16]
  mov x29, sp
  adrp x20, __imp_ExAllocatePoolWithTag   // the page is kept over calls
  movz w2, #0x6e49                         // Ins1: the address worked out first, loaded in order
  movk w2, #0x3173, lsl #16
  add x8, x20, :lo12:__imp_ExAllocatePoolWithTag
  ldar x9, [x8]
  blr x9
  movz w19, #0x6e49                        // Ins2: kept in a register; also freed
  movk w19, #0x3273, lsl #16
  mov w2, w19
  ldr x8, [x20, :lo12:__imp_ExAllocatePoolWithTag]
  blr x8
  mov w1, w19
  adrp x8, __imp_ExFreePoolWithTag
  ldr x8, [x8, :lo12:__imp_ExFreePoolWithTag]
  blr x8
  ldr w2, literal                          // Ins3: out of the code itself
  ldr x8, [x20, :lo12:__imp_ExAllocatePoolWithTag]
  blr x8
  movz w9, #0x6e49                         // Ins4 and Ins5: chosen without a jump
  movk w9, #0x3473, lsl #16
  add w10, w9, #0x1, lsl #12
  movz w10, #0x6e49
  movk w10, #0x3573, lsl #16
  cmp w0, #0
  csel w2, w9, w10, eq
  ldr x8, [x20, :lo12:__imp_ExAllocatePoolWithTag]
  blr x8
  movz w1, #0x6e49                         // Ins6: through a function of its own, that jumps
  movk w1, #0x3673, lsl #16
  bl inner
  stp w0, w19, [sp, #32]                   // Ins2 again: by way of the stack
  ldp w3, w2, [sp, #32]
  ldr x8, [x20, :lo12:__imp_ExAllocatePoolWithTag]
  blr x8
  ldp x19, x20, [sp, #16]
  ldp x29, x30, [sp], #48
  ret
.p2align 2
inner:
  mov w2, w1
  adrp x16, __imp_ExAllocatePoolWithTag
  ldr x16, [x16, :lo12:__imp_ExAllocatePoolWithTag]
  br x16
literal: .long 0x33736e49
"""


def test_idioms_of_x86(toolchain: Any) -> None:
    path = toolchain.build("idioms", X86_IDIOMS, "x86", "O0", ["/safeseh:no"])
    scan = scan_file_image(open_driver(path).image)

    found = {(tag_text(use.tag), use.use, use.certain) for use in scan.uses}
    assert found == {
        *((f"Ins{n}", Use.ALLOCATION, True) for n in (1, 2, 3, 5, 6, 7, 8)),
        ("Ins4", Use.ALLOCATION, False),
        ("Ins5", Use.FREE, True),
    }
    assert [use.wrapper is not None for use in scan.uses if tag_text(use.tag) in ("Ins6", "Ins8")] == [True, True]


def test_idioms_of_x64(toolchain: Any) -> None:
    path = toolchain.build("idioms", X64_IDIOMS, "x64", "O0")
    scan = scan_file_image(open_driver(path).image)

    found = {(tag_text(use.tag), use.use) for use in scan.uses}
    assert found == {
        *((f"Ins{n}", Use.ALLOCATION) for n in (1, 2, 3, 4, 5, 6, 7)),
        ("Jns7", Use.ALLOCATION),
        ("Ins3", Use.FREE),
    }
    assert scan.unread == 1


def test_idioms_of_arm64(toolchain: Any) -> None:
    path = toolchain.build("idioms", ARM64_IDIOMS, "arm64", "O0")
    scan = scan_file_image(open_driver(path).image)

    found = [(tag_text(use.tag), use.use) for use in scan.uses]
    assert sorted(found) == sorted(
        [*((f"Ins{n}", Use.ALLOCATION) for n in (1, 2, 2, 3, 4, 5, 6)), ("Ins2", Use.FREE)],
    )
    assert scan.unread == 0


def test_the_kernel_calls_its_own_exports(toolchain: Any) -> None:
    source = """
    typedef unsigned U; void* volatile keep; volatile U seen;
    __declspec(dllexport) __attribute__((noinline)) void* ExAllocatePoolWithTag(int t, unsigned long long s, U tag) {
      seen = tag; return keep; }
    int DriverEntry(void* d, void* p) { keep = ExAllocatePoolWithTag(1, 2, 'lnrK'); return 0; }
    """
    scan = scan_file_image(open_driver(toolchain.build("kernel", source, "x64")).image)

    assert found_in(scan) == {("Krnl", Use.ALLOCATION, "ExAllocatePoolWithTag")}


# ---- in memory ----


@pytest.mark.parametrize("machine", ["x64", "x86", "arm64"])
@pytest.mark.parametrize("tables", [True, False], ids=["import tables", "import tables thrown away"])
def test_the_same_is_found_in_memory(every_call: Drivers, machine: str, tables: bool) -> None:
    path = every_call(machine, "O2")
    # 32-bit addresses as a dump has them, with their sign
    base = 0xFFFFF80012340000 if machine != "x86" else 0xFFFFFFFFF7340000
    pe = pefile.PE(str(path))
    pe.relocate_image(base if machine != "x86" else base & 0xFFFFFFFF)
    memory = bytearray(pe.get_memory_mapped_image())
    wide = machine != "x86"
    functions: dict[int, str] = {}
    for library in pe.DIRECTORY_ENTRY_IMPORT:
        for found in library.imports:
            address = (0xFFFFF80001000000 if wide else 0xFFFFFFFF80500000) + 0x140 * len(functions)
            functions[address] = found.name.decode()
            at = found.address - pe.OPTIONAL_HEADER.ImageBase
            memory[at : at + (8 if wide else 4)] = address.to_bytes(8, "little")[: 8 if wide else 4]
    if not tables:
        at = pe.DOS_HEADER.e_lfanew + 24 + (112 if wide else 96) + 8
        memory[at : at + 8] = bytes(8)
    memory += bytes(-len(memory) % 0x1000)

    def read(address: int, size: int) -> bytes | None:
        begin = address - base
        return bytes(memory[begin : begin + size]) if begin >= 0 and begin + size <= len(memory) else None

    scan = scan_memory_image(read, base, len(memory), functions)

    assert found_in(scan) == WRITTEN
    assert scan.calls == scan_file_image(open_driver(path).image).calls
    assert all(use.offset is None for use in scan.uses)


def test_a_direct_call_in_memory_is_known_by_its_address() -> None:
    # mov r8d, 'File'; call rel32 to the address of ExAllocatePoolWithTag; ret
    base, target = 0xFFFFF80000010000, 0xFFFFF80000500000
    code = b"\x41\xb8File" + b"\xe8" + struct.pack("<i", target - (base + 0x1000 + 11)) + b"\xc3"
    memory = _image_of(code.ljust(0x1000, b"\xcc"))

    def read(address: int, size: int) -> bytes | None:
        return memory[address - base : address - base + size] if address + size <= base + len(memory) else None

    scan = scan_memory_image(read, base, len(memory), {target: "ExAllocatePoolWithTag"})
    assert found_in(scan) == {("File", Use.ALLOCATION, "ExAllocatePoolWithTag")}
    assert scan_image(of_file(memory, "x"), {}).uses == ()


def _image_of(code: bytes) -> bytes:
    """An x64 image of one section, the same in a file and in memory."""
    optional = struct.pack("<HBBIII", 0x20B, 14, 0, len(code), 0, 0) + struct.pack("<II", 0x1000, 0x1000)
    optional += struct.pack(
        "<QIIHHHHHHIIII", 0x140000000, 0x1000, 0x1000, 10, 0, 0, 0, 10, 0, 0, 0x1000 + len(code), 0x1000, 0
    )
    optional += struct.pack("<HHQQQQII", 1, 0, 0x100000, 0x1000, 0x100000, 0x1000, 0, 16) + bytes(128)
    header = b"MZ".ljust(0x3C, b"\0") + struct.pack("<I", 0x40)
    header += b"PE\0\0" + struct.pack("<HHIIIHH", 0x8664, 1, 0, 0, 0, len(optional), 0x22) + optional
    header += struct.pack("<8sIIIIIIHHI", b".text", len(code), 0x1000, len(code), 0x1000, 0, 0, 0, 0, 0x60000020)
    return header.ljust(0x1000, b"\0") + code
