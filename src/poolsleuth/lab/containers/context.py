"""The processor's CONTEXT and the EXCEPTION_RECORD of a crash, as winnt.h documents them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

X86, X64, ARM64 = 0x14C, 0x8664, 0xAA64
"""Machine types of the PE format."""

_MXCSR = 0x1F80  # as a processor starts: all exceptions masked
_MXCSR_X64, _MXCSR_SAVED_X64 = 0x34, 0x118  # a record of x64 holds it twice, and both are the same

_X64 = {"flags": 0x30, "cs": 0x38, "ds": 0x3A, "es": 0x3C, "fs": 0x3E, "gs": 0x40, "ss": 0x42, "eflags": 0x44}
_X64_ORDER = ("rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi", *(f"r{i}" for i in range(8, 16)), "rip")
_X64_WIDE = {name: 0x78 + 8 * i for i, name in enumerate(_X64_ORDER)}
_X86_ORDER = (
    "gs",
    "fs",
    "es",
    "ds",
    "edi",
    "esi",
    "ebx",
    "edx",
    "ecx",
    "eax",
    "ebp",
    "eip",
    "cs",
    "eflags",
    "esp",
    "ss",
)
_X86 = {"flags": 0} | {name: 0x8C + 4 * i for i, name in enumerate(_X86_ORDER)}
_ARM64 = {f"x{i}": 8 + 8 * i for i in range(29)} | {"fp": 0xF0, "lr": 0xF8, "sp": 0x100, "pc": 0x108}

_USUAL = {
    X64: {"flags": 0x10001F, "cs": 0x10, "ds": 0x2B, "es": 0x2B, "fs": 0x53, "gs": 0x2B, "ss": 0x18, "eflags": 0x40286},
    X86: {"flags": 0x1003F, "gs": 0, "fs": 0x30, "es": 0x23, "ds": 0x23, "cs": 8, "eflags": 0x10286, "ss": 0x10},
    ARM64: {},
}
_SIZES = {X64: 0x4D0, X86: 0x2CC, ARM64: 0x390}


def context_record(machine_type: int, registers: Mapping[str, int] | None = None) -> bytes:
    """A CONTEXT of the kernel with these registers (``rip``, ``rsp``, ``eip``, ``pc``, ...); all others are 0 or usual.

    Raises ValueError for a machine type or a register that is not known.
    """
    if machine_type not in _SIZES:
        raise ValueError(f"no CONTEXT is known of machine type {machine_type:#x}")
    record = bytearray(_SIZES[machine_type])
    if machine_type == ARM64:
        record[0:4] = (0x40000F).to_bytes(4, "little")
    elif machine_type == X64:
        for at in (_MXCSR_X64, _MXCSR_SAVED_X64):
            record[at : at + 4] = _MXCSR.to_bytes(4, "little")
    for name, value in (_USUAL[machine_type] | dict(registers or {})).items():
        at, width = _place(machine_type, name)
        record[at : at + width] = (value & (1 << 8 * width) - 1).to_bytes(width, "little")
    return bytes(record)


def _place(machine_type: int, name: str) -> tuple[int, int]:
    if machine_type == X64 and name in _X64:
        return _X64[name], 4 if name in ("flags", "eflags") else 2
    known, width = {X64: (_X64_WIDE, 8), X86: (_X86, 4), ARM64: (_ARM64, 8)}[machine_type]
    if name not in known:
        raise ValueError(f"no register {name} is known of machine type {machine_type:#x}")
    return known[name], width


@dataclass(frozen=True, slots=True, kw_only=True)
class ExceptionFields:
    """The exception that led to the crash. ``address`` is where it happened, ``information`` has 15 values at most."""

    code: int
    address: int
    flags: int = 0
    information: Sequence[int] = ()

    def packed(self, pointer: int) -> bytes:
        """EXCEPTION_RECORD32 or 64. Raises ValueError for more than 15 values."""
        if len(self.information) > 15:
            raise ValueError("an exception has 15 values at most")
        mask = (1 << 8 * pointer) - 1
        head = self.code.to_bytes(4, "little") + self.flags.to_bytes(4, "little") + bytes(pointer)
        values = (self.address, len(self.information), *self.information, *[0] * (15 - len(self.information)))
        return head + b"".join((value & mask).to_bytes(pointer, "little") for value in values)
