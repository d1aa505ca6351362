"""Where the bytes of one tag lie in an image: as an operand in code, by chance in code, in data."""

from collections.abc import Iterator, Sequence
from itertools import islice

import numpy as np

from poolsleuth.drivers.code import Code
from poolsleuth.drivers.image_bytes import ImageBytes, Section
from poolsleuth.drivers.tag_functions import Use
from poolsleuth.drivers.tag_scan import TagUse
from poolsleuth.drivers.tags import PROTECTED, turned

MAX_PLACES = 200  # of one tag in one image that are listed; four letters such as "File" stand in many texts
PAIR = 8  # instructions of ARM64 between the two halves of a constant
_AT_ONCE = 256 << 10  # bytes that are compared with all tags: they stay in the processor's own memory
_BACK = 64  # bytes before a place from which the code is read, to see which instruction covers it

_MOVZ, _MOVK = 0x52800000, 0x72800000


def needles(tag: int) -> tuple[bytes, ...]:
    """The bytes to look for: the tag, the tag with the protected bit, its characters the other way round."""
    forms = (tag, tag | PROTECTED, turned(tag))
    raw = [form.to_bytes(4, "little") for form in forms]
    if raw[0].endswith(b" "):
        raw.append(raw[0].rstrip(b" ").ljust(4, b"\0"))  # of three letters, without the blank
        raw.append(raw[0].rstrip(b" ").rjust(4, b" ")[::-1])
    return tuple(dict.fromkeys(raw))


def may_hold(data: bytes, tag: int, *, arm64: bool) -> bool:
    """Whether a search through the calls of an image could find the tag at all: a quick look at all of its bytes.

    A tag that a driver works out of other numbers is not seen.
    """
    if any(needle in data for needle in needles(tag)):
        return True
    return arm64 and any(True for form in {tag, turned(tag)} for _ in _halves(data, form))


def held_tags(data: bytes, tags: Sequence[int], *, arm64: bool) -> set[int]:
    """Which of several tags stand in some bytes, also with the protected bit or a NUL for the blank at the end.

    All are looked for in one pass: three times as quick as one search for each. Tags with their letters the other way
    round are not looked for.
    """
    wanted: dict[int, int] = {}
    for tag in tags:
        wanted[tag] = tag
        raw = tag.to_bytes(4, "little")
        if raw.endswith(b" "):
            wanted[int.from_bytes(raw.rstrip(b" ").ljust(4, b"\0"), "little")] = tag
    found: set[int] = set()
    plain = np.uint32(~PROTECTED & 0xFFFF_FFFF)
    for begin in range(0, len(data), _AT_ONCE):
        part = data[begin : begin + _AT_ONCE + 3]
        for phase in range(min(4, len(part) - 3)):
            words = np.frombuffer(part, "<u4", (len(part) - phase) // 4, phase) & plain
            found |= {tag for number, tag in wanted.items() if tag not in found and bool((words == number).any())}
    if arm64:
        found |= {tag for tag in tags if tag not in found and any(True for _ in _halves(data, tag))}
    return found


def _halves(data: bytes, tag: int) -> Iterator[int]:
    """Offsets of the first of two ARM64 instructions that set a register to the tag, half by half."""
    words = np.frombuffer(data[: len(data) // 4 * 4], "<u4")
    low, high = tag & 0xFFFF, tag >> 16
    plain = words & 0x7FFFFFE0
    # The upper half may bear the protected bit
    uppers = [(_MOVK | 1 << 21 | (half << 5)) & 0x7FFFFFE0 for half in (high, high | 0x8000)]
    lower = (_MOVZ | (low << 5)) & 0x7FFFFFE0
    for at in np.flatnonzero(np.isin(plain, np.array(uppers, np.uint32))).tolist():
        register = int(words[at]) & 31
        near = words[max(0, at - PAIR) : at]
        fitting = np.flatnonzero((near & 0x7FFFFFFF) == np.uint32(lower | register))
        if len(fitting):
            yield (at - len(near) + int(fitting[-1])) * 4


def tag_places(image: ImageBytes, code: Code, tag: int) -> list[TagUse]:
    """Where the tag's bytes are, by address; places in code are told apart by the instruction that covers them."""
    found: list[TagUse] = []
    other = turned(tag)
    for section in image.sections[1:]:  # not the headers
        if section.executable and image.machine == "arm64":
            for form in dict.fromkeys((tag, other)):
                for at in islice(_halves(section.data, form), MAX_PLACES):
                    found.append(_operand(image, code, section, at, form))
        for needle in needles(tag):
            at = section.data.find(needle)
            while at >= 0 and len(found) < MAX_PLACES:
                if section.executable:
                    found.append(_in_code(image, code, section, at, needle))
                else:
                    found.append(_plain(image, section, at, needle, Use.DATA, ""))
                at = section.data.find(needle, at + 1)
    return sorted(found, key=lambda use: use.rva)[:MAX_PLACES]


def within_text(place: TagUse) -> bool:
    """Whether a letter stands right before or behind the four bytes of a place in data."""
    raw = place.raw
    before, after = (raw[3:4], raw[8:9]) if len(raw) > 8 else (b"", raw[4:5])
    return any(0x20 <= octet <= 0x7E for octet in before + after)


def _key(needle: bytes) -> int:
    return int.from_bytes(needle.replace(b"\0", b" "), "little") & ~PROTECTED


def _plain(image: ImageBytes, section: Section, at: int, needle: bytes, use: Use, text: str) -> TagUse:
    rva = section.rva + at
    begin = max(0, at - 4)
    return TagUse(_key(needle), use, None, rva, image.offset_of(rva), section.data[begin : at + 8], text)


def _operand(image: ImageBytes, code: Code, section: Section, at: int, tag: int) -> TagUse:
    rva = section.rva + at
    text = next((line.text for line in code.disassemble(rva, rva + 4)), "")
    return TagUse(tag, Use.IMMEDIATE, None, rva, image.offset_of(rva), section.data[at : at + 4], text)


def _in_code(image: ImageBytes, code: Code, section: Section, at: int, needle: bytes) -> TagUse:
    rva = section.rva + at
    if image.machine == "arm64":
        return _plain(image, section, at, needle, Use.CODE_BYTES, "")
    begin, _ = code.function_at(rva)
    begin = max(begin, rva - _BACK, section.rva)
    constant = hex(int.from_bytes(needle, "little"))
    for line in code.disassemble(begin, rva + 16):  # it falls into step after a few instructions
        if line.at <= rva and rva + 4 <= line.at + line.size:
            if line.operands.endswith(constant) and rva + 4 == line.at + line.size:
                raw = section.data[line.at - section.rva : rva + 4 - section.rva]
                return TagUse(_key(needle), Use.IMMEDIATE, None, line.at, image.offset_of(line.at), raw, line.text)
            break
    return _plain(image, section, at, needle, Use.CODE_BYTES, "")
