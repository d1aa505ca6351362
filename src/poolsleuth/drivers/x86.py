"""What x86 and x64 instructions do to a value that is looked for backwards."""

import re
from collections.abc import Callable, Iterable
from functools import lru_cache

from poolsleuth.drivers.flow import Instruction, Place, Step, Wanted
from poolsleuth.drivers.image_bytes import ImageBytes

_MEMORY = re.compile(
    r"(?:(?P<width>byte|word|dword|qword|xmmword) ptr )?(?P<segment>[a-z]s:)?"
    r"\[(?:(?P<base>[a-z]\w+)(?: (?P<sign>[+-]) (?P<far>0x[\da-f]+|\d+))?|(?P<plain>0x[\da-f]+|\d+))\]"
)
MAX_NAMES = 4096  # of instructions that are remembered: a processor has some 1,500
_NUMBER = re.compile(r"-?(?:0x[\da-f]+|\d+)")

_LETTERS = ("a", "b", "c", "d")
_REGISTERS: dict[str, tuple[str, int]] = {}
for _letter in _LETTERS:
    for _name, _width in (
        (f"r{_letter}x", 8),
        (f"e{_letter}x", 4),
        (f"{_letter}x", 2),
        (f"{_letter}l", 1),
        (f"{_letter}h", 1),
    ):
        _REGISTERS[_name] = (f"r{_letter}x", _width)
for _two in ("si", "di", "bp", "sp"):
    for _name, _width in ((f"r{_two}", 8), (f"e{_two}", 4), (_two, 2), (f"{_two}l", 1)):
        _REGISTERS[_name] = (f"r{_two}", _width)
for _number in range(8, 16):
    for _end, _width in (("", 8), ("d", 4), ("w", 2), ("b", 1)):
        _REGISTERS[f"r{_number}{_end}"] = (f"r{_number}", _width)

_NO_WRITE = frozenset(
    {"cmp", "test", "push", "bt", "nop", "int3", "prefetchw", "comiss", "ucomiss", "lfence", "pause", "cli", "sti"}
)
# Registers that an instruction changes without naming them
_HIDDEN: dict[str, frozenset[str]] = {
    **dict.fromkeys(("mul", "div", "idiv", "rdtsc", "rdmsr", "rdpmc", "xgetbv"), frozenset({"rax", "rdx", "rcx"})),
    **dict.fromkeys(("cdq", "cqo", "cwd"), frozenset({"rdx"})),
    **dict.fromkeys(("cdqe", "cwde", "cbw", "in", "lahf", "sahf"), frozenset({"rax"})),
    **dict.fromkeys(("cmpxchg", "cmpxchg8b", "cmpxchg16b"), frozenset({"rax", "rdx"})),
    "cpuid": frozenset({"rax", "rbx", "rcx", "rdx"}),
    "loop": frozenset({"rcx"}),
    "leave": frozenset({"rbp"}),
    "popal": frozenset({"rax", "rbx", "rcx", "rdx", "rsi", "rdi", "rbp"}),
}
_STRING = re.compile(r"(?:rep(?:n?[ez])? )?(?:movs|stos|lods|cmps|scas|ins|outs)[bdwq]?$")
_STRING_REGISTERS = frozenset({"rcx", "rsi", "rdi", "rax"})
_ENDS = frozenset({"jmp", "ret", "retf", "retn", "iretd", "iretq", "int3", "ud2", "hlt", "sysret", "sysexit"})
_CHANGES = {"add": "add", "sub": "add", "and": "and", "or": "or", "xor": "xor", "shl": "shl"}
_VOLATILE = {
    32: frozenset({"rax", "rcx", "rdx"}),
    64: frozenset({"rax", "rcx", "rdx", "r8", "r9", "r10", "r11"}),
}
ARGUMENT_REGISTERS = ("rcx", "rdx", "r8", "r9")
STACK = "rsp"


def operands(text: str) -> list[str]:
    """The operands of an instruction."""
    return text.split(", ") if text else []


def number(text: str) -> int | None:
    """A constant operand; None when it is none."""
    return int(text, 0) if _NUMBER.fullmatch(text) else None


def register(text: str) -> tuple[str, int] | None:
    """A register's widest name and the bytes that are meant of it; None when it is none."""
    return _REGISTERS.get(text)


@lru_cache(MAX_NAMES)
def _branches(name: str) -> bool:
    return name[0] == "j" or name.startswith("loop")


class X86:
    """The semantics of both widths; ``pops`` says how many bytes a called function takes off the stack (x86)."""

    def __init__(self, image: ImageBytes, pops: Callable[[Instruction], int | None]) -> None:
        self._image = image
        self._pointer = image.bits // 8
        self._volatile = _VOLATILE[image.bits]
        self._pops = pops

    # ---- the way of the code ----

    def goes_on(self, instruction: Instruction) -> bool:
        """Not after a jump, a return, or the interrupts that never come back."""
        if instruction.name == "int":
            return instruction.operands != "0x29"
        return instruction.name not in _ENDS

    def branches(self, name: str) -> bool:
        """Whether it names the place to which it may jump."""
        return _branches(name)

    def jumps_to(self, instruction: Instruction) -> int | None:
        """The target of a jump that names it."""
        return number(instruction.operands) if self.branches(instruction.name) else None

    def register_place(self, text: str) -> Place | None:
        """The register that an operand is; None when it is none."""
        named = register(text)
        return None if named is None else Place(False, named[0])

    def argument(self, index: int) -> Place:
        """Where the argument lies at the call, before the address of return is pushed."""
        if self._image.bits == 32:
            return Place(True, STACK, 4 * index)
        return Place(False, ARGUMENT_REGISTERS[index]) if index < 4 else Place(True, STACK, 8 * index)

    def parameter(self, place: Place) -> Place | None:
        """At a function's first instruction the address of return lies on the stack."""
        if not place.memory:
            return place if place.base in ARGUMENT_REGISTERS[: 2 if self._image.bits == 32 else 4] else None
        distance = place.distance - self._pointer
        least = 0 if self._image.bits == 32 else 0x20  # below are the home places of the registers
        return Place(True, STACK, distance) if place.base == STACK and distance >= least else None

    def tail(self, place: Place) -> Place:
        """Where an argument lies at a jump to a function instead of a call."""
        return place._replace(distance=place.distance + self._pointer) if place.memory else place

    def image_value(self, distance: int) -> tuple[int, bool] | None:
        """Four bytes of the image."""
        section = self._image.section_at(distance)
        value = self._image.number(distance, 4)
        return None if section is None or value is None else (value, not section.writable)

    # ---- the way of the value ----

    def memory(self, text: str, instruction: Instruction) -> Place | None:
        """The memory an operand names; None when it names none, or a place that is worked out at run time."""
        match = _MEMORY.fullmatch(text)
        if match is None or match["segment"] not in (None, "ds:", "ss:"):
            return None
        if match["plain"]:
            return Place(True, "image", (int(match["plain"], 0) - self._image.base) & 0xFFFF_FFFF)
        distance = int(match["far"] or "0", 0) * (-1 if match["sign"] == "-" else 1)
        if match["base"] in ("rip", "eip"):
            return Place(True, "image", instruction.at + instruction.size + distance)
        named = register(match["base"])
        return None if named is None else Place(True, named[0], distance)

    def _source(self, text: str, wanted: Wanted, instruction: Instruction) -> Step:
        constant = number(text)
        if constant is not None:
            return constant
        named = register(text)
        if named is not None:
            return wanted.moved(Place(False, named[0])) if named[1] >= 4 else None
        place = self.memory(text, instruction)
        narrow = text.startswith(("byte", "word", "xmmword"))
        return None if place is None or narrow else wanted.moved(place)

    def back(self, instruction: Instruction, wanted: Wanted) -> Iterable[Step]:
        """One step back."""
        if wanted.place.memory:
            return (self._back_memory(instruction, wanted),)
        return self._back_register(instruction, wanted)

    def _back_register(self, instruction: Instruction, wanted: Wanted) -> tuple[Step, ...]:
        name, looked = instruction.name, wanted.place.base
        same: tuple[Step, ...] = (wanted,)
        if name == "call":
            return (None,) if looked in self._volatile else same
        if name in _NO_WRITE or name[0] == "j":
            return same
        if looked in _HIDDEN.get(name, ()) or (looked in _STRING_REGISTERS and _STRING.match(name)):
            return (None,)
        parts = operands(instruction.operands)
        if not parts:
            return same
        if name == "imul" and len(parts) == 1:
            return (None,) if looked in ("rax", "rdx") else same
        if name in ("xchg", "xadd") and any((register(part) or ("", 0))[0] == looked for part in parts):
            return (None,)
        target = register(parts[0])
        if target is None or target[0] != looked:
            return same
        if target[1] < 4:
            # After one that sets a byte to 0 or 1 the rest of the register is zero: compilers see to it
            return (0, 1) if name.startswith("set") else (None,)
        second = parts[1] if len(parts) > 1 else ""
        if name in ("mov", "movabs", "movsxd"):
            return (self._source(second, wanted, instruction),)
        if name.startswith("cmov"):
            return (self._source(second, wanted, instruction), wanted)
        if name in ("xor", "sub") and second == parts[0]:
            return (0,)
        if name == "pop":
            return (wanted.moved(Place(True, STACK, 0)),)
        constant = number(second)
        if name == "sbb" and second == parts[0]:
            return (0, 0xFFFF_FFFF)
        if name == "movzx" and (narrow := register(second)) is not None:
            return (wanted.moved(Place(False, narrow[0])),) if narrow[1] == 1 else (None,)
        if name in _CHANGES and constant is not None:
            return (wanted.changed((_CHANGES[name], -constant if name == "sub" else constant)),)
        if name == "lea":
            place = self.memory(second, instruction)
            if place is not None and place.base != "image":
                before = wanted.changed(("add", place.distance))
                return (None if before is None else before.moved(Place(False, place.base)),)
        return (None,)

    def _back_memory(self, instruction: Instruction, wanted: Wanted) -> Step:
        name, place = instruction.name, wanted.place
        if place.base == STACK and name in (
            "push",
            "pop",
            "call",
            "pushal",
            "popal",
            "pushfd",
            "popfd",
            "pushfq",
            "popfq",
        ):
            return self._back_stack(instruction, wanted)
        if name == "call":
            return None if place.base in self._volatile else wanted
        if name == "leave" and place.base in (STACK, "rbp"):
            return wanted.moved(Place(True, "rbp", place.distance + self._pointer)) if place.base == STACK else None
        if place.base in _HIDDEN.get(name, ()) or (place.base in _STRING_REGISTERS and _STRING.match(name)):
            return None
        parts = operands(instruction.operands)
        if not parts or name in _NO_WRITE or name[0] == "j":
            return wanted
        target = register(parts[0])
        if target is not None:
            if name == "xchg" and (register(parts[-1]) or ("", 0))[0] == place.base:
                return None
            return wanted if target[0] != place.base else self._back_base(instruction, parts, wanted)
        if self.memory(parts[0], instruction) != place:
            return wanted
        if name == "mov" and not parts[0].startswith(("byte", "word")):
            return self._source(parts[1], wanted, instruction)
        return None

    def _back_base(self, instruction: Instruction, parts: list[str], wanted: Wanted) -> Step:
        """The register was changed that the address is built on."""
        name, place = instruction.name, wanted.place
        second = parts[1] if len(parts) > 1 else ""
        constant = number(second)
        if name in ("add", "sub") and constant is not None:
            distance = place.distance + (constant if name == "add" else -constant)
            below = place.base == STACK and distance < 0  # the place came to be here: nothing was in it before
            return None if below else wanted.moved(place._replace(distance=distance))
        if name == "mov" and (named := register(second)) is not None:
            return wanted.moved(Place(True, named[0], place.distance))
        if name == "lea" and (other := self.memory(second, instruction)) is not None:
            return wanted.moved(Place(True, other.base, other.distance + place.distance))
        return None

    def _back_stack(self, instruction: Instruction, wanted: Wanted) -> Step:
        place, distance = wanted.place, wanted.place.distance
        if instruction.name == "push":
            if distance == 0:
                return self._source(instruction.operands, wanted, instruction)
            distance -= self._pointer
        elif instruction.name == "pop":
            named = register(instruction.operands)
            if named is not None and named[0] == STACK:
                return None
            distance += self._pointer
        elif instruction.name == "call":
            popped = 0 if self._pointer == 8 else self._pops(instruction)
            if popped is None:
                return None
            distance += popped
        else:
            return None
        return None if distance < 0 else wanted.moved(place._replace(distance=distance))
