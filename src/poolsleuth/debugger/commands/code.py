"""``u``: the code at an address, disassembled."""

import re
from functools import cache

import capstone  # type: ignore[import-untyped]

from poolsleuth.debugger.command import Command, Lines
from poolsleuth.debugger.expressions import address
from poolsleuth.debugger.ranges import split_length
from poolsleuth.debugger.target import Target
from poolsleuth.debugger.text import missing, printable
from poolsleuth.model.errors import InputError

MAX_INSTRUCTIONS = 10_000  # of one command
_DEFAULT = 8
_LONGEST = 15  # bytes of one instruction
_BYTES = 16  # columns of its bytes
_HEX = re.compile(r"(?<![\w])0x([0-9a-fA-F]{1,16})\b")
_TARGET = re.compile(r"0x[0-9a-f]{5,16}")


@cache
def _machine(architecture: str) -> capstone.Cs | None:
    kinds = {
        "x86": (capstone.CS_ARCH_X86, capstone.CS_MODE_32),
        "x64": (capstone.CS_ARCH_X86, capstone.CS_MODE_64),
        "arm64": (capstone.CS_ARCH_ARM64, capstone.CS_MODE_ARM),
    }
    return capstone.Cs(*kinds[architecture]) if architecture in kinds else None


def _run(target: Target, _match: re.Match[str], rest: str) -> Lines:
    words = rest.split()
    if len(words) == 2 and not re.match(r"[lL]", words[1]):
        start, last = address(target, words[0]), address(target, words[1])
        if last < start:
            raise InputError("the range ends before it begins")
        return _lines(target, start, MAX_INSTRUCTIONS, last)
    start, count = split_length(target, rest)
    return _lines(target, start, min(count or _DEFAULT, MAX_INSTRUCTIONS), None)


def _lines(target: Target, start: int, count: int, last: int | None) -> Lines:
    machine = _machine(target.kernel.architecture)
    if machine is None:
        yield f"*** code of {target.kernel.architecture} cannot be disassembled"
        return
    name = target.names.text(start)
    yield f"{name if name is not None else target.address(start)}:"
    place, memory = start, target.kernel.memory
    for _ in range(count):
        if place >= 1 << 8 * target.kernel.pointer_size or (last is not None and place > last):
            return
        raw = memory.read(place, _LONGEST) or memory.read(place, min(_LONGEST, -place % 0x1000 or _LONGEST))
        if raw is None:
            yield f"{target.address(place)} {'??':<{_BYTES}}???"
            yield f"*** memory cannot be read at {target.address(place)}"
            return
        size, mnemonic, operands = next(machine.disasm_lite(raw, place, 1), (0, 0, "???", ""))[1:]
        size = size or (4 if target.kernel.architecture == "arm64" else 1)
        text = f"{mnemonic:<7} {_operands(target, mnemonic, operands)}".rstrip()
        yield f"{target.address(place)} {raw[:size].hex():<{_BYTES - 1}} {printable(text)}"
        place += size
    if count == MAX_INSTRUCTIONS:
        yield from missing(f"one command prints {MAX_INSTRUCTIONS:,} instructions; go on from {target.address(place)}")


def _operands(target: Target, mnemonic: str, operands: str) -> str:
    """Operands as the debugger writes them: no blanks, numbers with an h, what is called by its name."""
    if _TARGET.fullmatch(operands) and mnemonic[:1] in "jcb":
        place = int(operands, 16)
        name = target.names.text(place)
        return f"{name} ({target.address(place)})" if name else target.address(place)
    text = operands.replace(", ", ",").replace(" + ", "+").replace(" - ", "-").replace(" * ", "*")
    if target.kernel.architecture == "arm64":
        return text
    return _HEX.sub(_with_h, text)


def _with_h(match: re.Match[str]) -> str:
    digits = match[1].upper()
    return f"{'0' if digits[0].isalpha() else ''}{digits}h"


COMMANDS = (Command(re.compile(r"u(?=\s|$)"), ("u",), "u ADDRESS [L n | LAST]", "the code there, disassembled", _run),)
