"""What ARM64 instructions do to a value that is looked for backwards."""

import re
from collections.abc import Iterable
from functools import lru_cache

from poolsleuth.drivers.flow import ALL_BITS, Instruction, Place, Step, Wanted
from poolsleuth.drivers.image_bytes import ImageBytes

_PARTS = re.compile(r"\[[^\]]*\]!?|[^,\s][^,]*")
MAX_NAMES = 4096  # of instructions that are remembered: a processor has some 1,500
_NUMBER = re.compile(r"#?-?(?:0x[\da-f]+|\d+)")
_MEMORY = re.compile(r"\[(?P<base>\w+)(?:, #(?P<far>-?(?:0x[\da-f]+|\d+)))?\](?P<first>!?)")
_REGISTER = re.compile(r"[wx](\d+|zr)|sp|wsp|fp|lr")
_NAMES = {"fp": "x29", "lr": "x30", "wsp": "sp"}
_STORES = ("st", "cmp", "cmn", "tst", "ccm", "cb", "tb", "prfm", "msr", "dmb", "dsb", "isb", "nop", "brk", "hint", "b")
_ENDS = frozenset({"b", "br", "ret", "brk", "udf", "eret", "hlt"})
_VOLATILE = frozenset(f"x{n}" for n in range(19)) | {"x30"}
_CHANGES = {"add": "add", "sub": "add", "and": "and", "orr": "or", "eor": "xor", "lsl": "shl"}
_NONE = ""
STACK = "sp"


def operands(text: str) -> list[str]:
    """The operands of an instruction; a memory operand is one."""
    return [part.strip() for part in _PARTS.findall(text)]


def number(text: str) -> int | None:
    """A constant operand; None when it is none."""
    return int(text.removeprefix("#"), 0) if _NUMBER.fullmatch(text) else None


def register(text: str) -> str | None:
    """A register's widest name; ``xzr`` is always zero; None when it is none (those for vectors too)."""
    if not _REGISTER.fullmatch(text):
        return None
    text = _NAMES.get(text, text)
    return "x" + text[1:] if text[0] == "w" else text


@lru_cache(MAX_NAMES)
def _branches(name: str) -> bool:
    return name == "b" or name.startswith(("b.", "cb", "tb"))


class Arm64:
    """The semantics."""

    def __init__(self, image: ImageBytes) -> None:
        self._image = image

    def goes_on(self, instruction: Instruction) -> bool:
        """Not after a jump without condition, a return or a break."""
        return instruction.name not in _ENDS

    def branches(self, name: str) -> bool:
        """Whether it names the place to which it may jump."""
        return _branches(name)

    def jumps_to(self, instruction: Instruction) -> int | None:
        """The target of a branch that names it."""
        if self.branches(instruction.name):
            return number(operands(instruction.operands)[-1])
        return None

    def register_place(self, text: str) -> Place | None:
        """The register that an operand is; None when it is none."""
        named = register(text)
        return None if named is None else Place(False, named)

    def argument(self, index: int) -> Place:
        """The first eight arguments come in registers; no function that takes a tag has it further on."""
        return Place(False, f"x{index}")

    def parameter(self, place: Place) -> Place | None:
        """The first eight parameters."""
        return place if not place.memory and place.base in {f"x{n}" for n in range(8)} else None

    def tail(self, place: Place) -> Place:
        """The same at a jump: the address of return is in a register."""
        return place

    def image_value(self, distance: int) -> tuple[int, bool] | None:
        """Four bytes of the image."""
        section = self._image.section_at(distance)
        value = self._image.number(distance, 4)
        return None if section is None or value is None else (value, not section.writable)

    def back(self, instruction: Instruction, wanted: Wanted) -> Iterable[Step]:
        """One step back."""
        name, base = instruction.name, wanted.place.base
        if name in ("bl", "blr"):
            return (None,) if base in _VOLATILE else (wanted,)
        parts = operands(instruction.operands)
        if not parts:
            return (wanted,)
        moved = self._indexed(parts, wanted)
        if moved is not wanted:
            return self._stored(name, parts, wanted) or (moved,)
        if wanted.place.memory:
            stored = self._stored(name, parts, wanted)
            if stored:
                return stored
        targets = parts[:2] if name.startswith(("ldp", "ldnp", "ldxp", "ldaxp")) else parts[:1]
        written = [] if name.startswith(_STORES) and name not in ("bic", "bfi", "bfxil", "bfm") else targets
        hit = next((n for n, text in enumerate(written) if register(text) == base), None)
        if hit is None:
            return (wanted,)
        return self._base(name, parts, wanted) if wanted.place.memory else self._value(name, parts, wanted, hit)

    def _indexed(self, parts: list[str], wanted: Wanted) -> Wanted:
        """An address that is counted up or down by the access itself, as when the stack is set up."""
        if not wanted.place.memory:
            return wanted
        for n, part in enumerate(parts):
            match = _MEMORY.fullmatch(part)
            if match is None or register(match["base"]) != wanted.place.base:
                continue
            change = (
                number(match["far"] or "0") if match["first"] else number(parts[n + 1]) if n + 1 < len(parts) else None
            )
            if change:
                return wanted.moved(wanted.place._replace(distance=wanted.place.distance + change))
        return wanted

    def _stored(self, name: str, parts: list[str], wanted: Wanted) -> tuple[Step, ...]:
        """What a store put there; empty when it is no store to that place."""
        if not name.startswith("st") or not wanted.place.memory:
            return ()
        match = _MEMORY.fullmatch(parts[-1])
        if match is None or register(match["base"]) != wanted.place.base:
            return ()
        begin = 0 if match["first"] else int(match["far"] or "0", 0)
        for n, text in enumerate(parts[:-1]):
            width = 4 if text[0] == "w" else 8
            if begin + n * width == wanted.place.distance:
                return (None,) if name in ("strb", "strh", "sturb", "sturh") else (self._source(text, wanted),)
        return ()

    def _source(self, text: str, wanted: Wanted) -> Step:
        constant = number(text)
        if constant is not None:
            return constant
        named = register(text)
        if named == "xzr":
            return 0
        return None if named is None else wanted.moved(Place(False, named))

    def _base(self, name: str, parts: list[str], wanted: Wanted) -> tuple[Step, ...]:
        """The register was changed that the address is built on."""
        place = wanted.place
        second = register(parts[1]) if len(parts) > 1 else None
        if name == "mov" and second is not None:
            return (wanted.moved(Place(True, second, place.distance)),)
        if name in ("add", "sub") and len(parts) == 3 and second is not None:
            constant = number(parts[2])
            if constant is not None:
                distance = place.distance + (constant if name == "add" else -constant)
                below = place.base == STACK and second == STACK and distance < 0
                return (None,) if below else (wanted.moved(Place(True, second, distance)),)
        if name in ("adrp", "adr"):
            page = number(parts[1])
            if page is not None:
                return (wanted.moved(Place(True, "image", page + place.distance)),)
        return (None,)

    def _value(self, name: str, parts: list[str], wanted: Wanted, hit: int) -> tuple[Step, ...]:
        """The register was written whose value is looked for."""
        second = parts[1] if len(parts) > 1 else _NONE
        shift = self._shift(parts)
        constant = number(second)
        if name in ("mov", "movz", "movn"):
            if constant is not None:
                value = constant << shift
                return ((~value if name == "movn" else value) & ALL_BITS,)
            return (self._source(second, wanted),)
        if name == "movk" and constant is not None:
            kept = ALL_BITS & ~(0xFFFF << shift)
            return (wanted if shift >= 32 else wanted.changed(("or", constant << shift), ("and", kept)),)
        if name == "orr" and len(parts) == 3 and register(second) == "xzr":
            return (self._source(parts[2], wanted),)
        if name in _CHANGES and len(parts) == 3:
            change, named = number(parts[2]), register(second)
            before = None if change is None else wanted.changed((_CHANGES[name], -change if name == "sub" else change))
            if before is not None and named is not None:
                return (before.moved(Place(False, named)),)
        if name == "cset":
            return (0, 1)
        if name == "csetm":
            return (0, ALL_BITS)
        if name == "csel":
            return (self._source(second, wanted), self._source(parts[2], wanted))
        if (
            name == "cinc"
            and (more := wanted.changed(("add", 1))) is not None
            and register(second) not in (None, "xzr")
        ):
            return (self._source(second, wanted), self._source(second, more))
        if name in ("ldr", "ldur", "ldp", "ldrsw", "ldar", "ldapr"):
            return (self._loaded(parts, wanted, hit),)
        return (None,)

    def _loaded(self, parts: list[str], wanted: Wanted, hit: int) -> Step:
        literal = number(parts[-1])
        if literal is not None and len(parts) == 2:
            return wanted.moved(Place(True, "image", literal))
        memory = next((m for part in parts if (m := _MEMORY.fullmatch(part))), None)
        base = None if memory is None else register(memory["base"])
        if memory is None or base is None:
            return None
        begin = int(memory["far"] or "0", 0)
        return wanted.moved(Place(True, base, begin + hit * (4 if parts[0][0] == "w" else 8)))

    @staticmethod
    def _shift(parts: list[str]) -> int:
        last = parts[-1]
        return int(last.split("#")[1], 0) if last.startswith("lsl #") else 0
