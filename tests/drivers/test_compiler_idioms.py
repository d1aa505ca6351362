"""Tags at calls in the idioms of other compilers, written in assembler."""

from typing import Any

from poolsleuth.drivers.image import open_driver
from poolsleuth.drivers.tag_functions import Use
from poolsleuth.drivers.tag_scan import scan_file_image
from poolsleuth.drivers.tags import tag_text

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

    found = {(tag_text(use.tag), use.use, use.function) for use in scan.uses}
    assert found == {("Krnl", Use.ALLOCATION, "ExAllocatePoolWithTag")}
