"""Where imported functions are called: through the slot, through a register that was loaded from it, by a jump."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from poolsleuth.drivers.arm64 import number as arm_number
from poolsleuth.drivers.arm64 import operands as arm_operands
from poolsleuth.drivers.arm64 import register as arm_register
from poolsleuth.drivers.code import Code, references
from poolsleuth.drivers.image_bytes import Section
from poolsleuth.drivers.x86 import operands, register

REACH = 4096  # bytes behind a load of a slot into a register, in which calls through that register are looked for
MAX_SITES = 20_000  # of one image; a driver has some hundred
MAX_LOADS = 5000  # of slots into registers, of one image; a driver has some hundred


@dataclass(frozen=True, slots=True)
class Site:
    """A call: the byte behind it, the function, and whether it is a jump that never comes back (a tail call)."""

    end: int
    function: str
    tail: bool


def import_sites(code: Code, slots: Mapping[int, str], loads: set[int]) -> Iterator[Site]:
    """The calls of the functions whose addresses stand in ``slots``. A call may come twice.

    ``loads`` gets the places at which a slot is loaded into a register.
    """
    for section in code.image.code:
        if code.machine == "arm64":
            yield from _arm64(code, section, slots, loads)
        else:
            yield from _x86(code, section, slots, loads)


def _x86(code: Code, section: Section, slots: Mapping[int, str], loads: set[int]) -> Iterator[Site]:
    data = section.data
    for end, slot in references(code.image, section, slots):
        at = end - section.rva - 4
        if at < 1:
            continue
        name, second, first = slots[slot], data[at - 1], data[at - 2] if at > 1 else 0
        middle = 0x05  # ModRM: an address and no register
        if first == 0xFF and second == 0x15:
            yield Site(end, name, tail=False)
        elif first == 0xFF and second == 0x25:
            yield Site(end, name, tail=True)
        elif first == 0x8B and second & 0xC7 == middle:
            if len(loads) >= MAX_LOADS:
                return
            loads.add(end - 1)
            prefix = data[at - 3] if at > 2 and code.machine == "x64" else 0
            yield from _through_register(code, end, (second >> 3 & 7) + (8 if prefix & 0xF4 == 0x44 else 0), name)
        elif second == 0xA1 and code.machine == "x86":
            if len(loads) >= MAX_LOADS:
                return
            loads.add(end - 1)
            yield from _through_register(code, end, 0, name)


_ORDER = ("rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi", *(f"r{n}" for n in range(8, 16)))


def _through_register(code: Code, begin: int, index: int, name: str) -> Iterator[Site]:
    """Calls through a register until it is written again, straight on through the function."""
    holder = _ORDER[index]
    function, _ = code.function_at(begin - 1)
    before = ""
    for instruction in code.stream(begin, begin + REACH):
        if instruction.at != begin and instruction.at > function and code.function_at(instruction.at)[0] != function:
            return
        parts = operands(instruction.operands)
        first = register(parts[0]) if parts else None
        if instruction.name in ("call", "jmp"):
            if first is not None and first[0] == holder:
                yield Site(instruction.at + instruction.size, name, tail=instruction.name == "jmp")
            elif instruction.name == "call" and holder == "r10" and parts and parts[0].startswith("0x"):
                # The kernel's guard against speculation: it calls what r10 holds
                yield Site(instruction.at + instruction.size, name, tail=False)
                return
            if instruction.name == "call" and holder in ("rax", "rcx", "rdx", "r8", "r9", "r10", "r11"):
                return
        elif first is not None and first[0] == holder and instruction.name not in ("cmp", "test", "push"):
            if instruction.name != "pop" or code.machine == "x64":
                return
            # x86 takes its registers back before a return in the middle of a function, too
            before = "pop"
        if instruction.name.startswith("ret") and not before and code.machine == "x64":
            continue
        if instruction.name == "int3":
            return


def _arm64(code: Code, section: Section, slots: Mapping[int, str], loads: set[int]) -> Iterator[Site]:
    words = np.frombuffer(section.data[: len(section.data) // 4 * 4], "<u4")
    wanted_low = {slot & 0xFFF for slot in slots}
    index = np.flatnonzero((words & 0xFFC00000) == 0xF9400000)  # ldr x, [x, #distance]
    low = ((words[index] >> 10) & 0xFFF).astype(np.int64) * 8
    for at in index[np.isin(low, np.array(sorted(wanted_low), np.int64))][: 4 * MAX_LOADS].tolist():
        word = int(words[at])
        base, into, distance = word >> 5 & 31, word & 31, (word >> 10 & 0xFFF) * 8
        name = _page_before(section, words, at, base, distance, slots)
        if name is not None and len(loads) < MAX_LOADS:
            loads.add(section.rva + at * 4)
            yield from _through_arm_register(code, section.rva + at * 4 + 4, f"x{into}", name)
    # With its address worked out first, as for a load that must be seen in order (ldar)
    index = np.flatnonzero((words & 0xFFC00000) == 0x91000000)  # add x, x, #distance
    low = ((words[index] >> 10) & 0xFFF).astype(np.int64)
    for at in index[np.isin(low, np.array(sorted(wanted_low), np.int64))][: 4 * MAX_LOADS].tolist():
        word = int(words[at])
        if len(loads) < MAX_LOADS and _page_before(section, words, at, word >> 5 & 31, word >> 10 & 0xFFF, slots):
            loads.add(section.rva + at * 4)


_LOOK_BACK = 256  # instructions between the page of a slot and its load


def _page_before(
    section: Section,
    words: "np.ndarray[tuple[int], np.dtype[np.uint32]]",
    at: int,
    base: int,
    distance: int,
    slots: Mapping[int, str],
) -> str | None:
    """The slot that is loaded, when the register's page was set shortly before."""
    for n in range(at - 1, max(-1, at - _LOOK_BACK), -1):
        word = int(words[n])
        if word & 0x9F00001F == 0x90000000 | base:
            pages = ((word >> 5 & 0x7FFFF) << 2 | (word >> 29 & 3)) ^ 0x100000
            page = ((section.rva + n * 4) & ~0xFFF) + ((pages - 0x100000) << 12)
            return slots.get(page + distance)
    return None


def _through_arm_register(code: Code, begin: int, holder: str, name: str) -> Iterator[Site]:
    function, _ = code.function_at(begin - 1)
    for instruction in code.stream(begin, begin + REACH):
        if code.function_at(instruction.at)[0] != function:
            return
        parts = arm_operands(instruction.operands)
        first = arm_register(parts[0]) if parts else None
        if instruction.name in ("blr", "br"):
            if first == holder:
                yield Site(instruction.at + 4, name, tail=instruction.name == "br")
            if instruction.name == "br":
                return
        if instruction.name in ("bl", "blr"):
            if arm_number(holder[1:]) in range(19):
                return
        elif first == holder and not instruction.name.startswith(("st", "cmp", "cb", "tb", "tst")):
            return
