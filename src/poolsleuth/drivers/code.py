"""The code of an image: where functions begin, the instructions before a place, references to slots."""

import sys
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import capstone  # type: ignore[import-untyped]
import numpy as np
from numpy.typing import NDArray

from poolsleuth.drivers.flow import Instruction
from poolsleuth.drivers.image_bytes import EXCEPTIONS, ImageBytes, Section
from poolsleuth.drivers.imports import read_export_places

WINDOW = 256  # bytes before a call that are looked at first: a tag is nearly always set some 30 bytes before
WIDER_WINDOW, WIDE_WINDOW = 2 << 10, 16 << 10  # when the value comes from further away, within the same function
STEP = 24  # bytes after which reading x86 code from anywhere has fallen into step with its instructions
MAX_FUNCTIONS = 400_000  # of an exception table: ntoskrnl has 40,000
MAX_CALLS = 1_500_000  # of one section: a driver of 60 MB has some 500,000
MAX_SHIFT = 15  # bytes: no x86 instruction is longer
LITTLE = 128  # bytes of code that are read in one go where a reader may stop at any instruction
CHUNK = 4 << 20  # bytes of code that numpy looks at in one go

_MODES = {
    "x86": (capstone.CS_ARCH_X86, capstone.CS_MODE_32),
    "x64": (capstone.CS_ARCH_X86, capstone.CS_MODE_64),
    "arm64": (capstone.CS_ARCH_ARM64, capstone.CS_MODE_ARM),
}
# What stands before a function of x86: padding, or the end of the one before it
_BEFORE = frozenset({0xCC, 0x90, 0xC3, 0x00})


class Code:
    """The executable sections and the beginnings of their functions, all from the image's base on."""

    def __init__(self, image: ImageBytes) -> None:
        self.image = image
        self.machine = image.machine
        arch, mode = _MODES[image.machine]
        self._engine = capstone.Cs(arch, mode)
        self._kept: list[Instruction] = []
        self._engine.skipdata = True  # tables between functions must not end the walk
        fragments: set[int] = set()
        starts = {image.entry, *read_export_places(image)}
        if image.machine != "x86":
            listed, fragments = _exception_table(image)
            starts |= listed
        self.calls = tuple(relative_calls(section, image.machine) for section in image.code)
        for calls in self.calls:
            # A jump leads to a function or to another part of the same one: nobody knows
            # With places it sorts: without, it hashes, which takes ten times as long
            targets, _places = np.unique(calls.targets[calls.come_back], return_index=True)
            starts |= self._believable(targets)
        self._fragments = fragments
        every = np.array(sorted(start for start in starts if 0 <= start < 1 << 40), np.int64)
        inside = np.zeros(len(every), np.bool_)
        for section in image.sections:
            inside |= (every >= section.rva) & (every < section.end)
        self._starts: list[int] = every[inside].tolist()

    def _believable(self, targets: NDArray[np.int64]) -> set[int]:
        """Targets of calls that look like a function's first byte; bytes that are no call lead anywhere."""
        found: set[int] = set()
        for section in self.image.code:
            inside = targets[(targets >= section.rva) & (targets < section.end)] - section.rva
            if self.machine == "arm64":
                found |= set((inside[inside % 4 == 0] + section.rva).tolist())
                continue
            data = section.data
            for at in inside.tolist():
                before = data[at - 1] if at else 0xCC
                if at % 16 == 0 or before in _BEFORE or (at >= 3 and data[at - 3] == 0xC2 and data[at - 1] == 0):
                    found.add(at + section.rva)
        return found

    def function_at(self, rva: int) -> tuple[int, bool]:
        """The last known beginning at or before a place, and whether it is truly the first byte of its function."""
        index = bisect_right(self._starts, rva) - 1
        section = self.image.section_at(rva)
        least = section.rva if section is not None else 0
        if index < 0 or self._starts[index] < least:
            return least, False
        return self._starts[index], self._starts[index] not in self._fragments

    def function_end(self, begin: int) -> int:
        """Where the next function begins that is known, or the section ends."""
        index = bisect_right(self._starts, begin)
        section = self.image.section_at(begin)
        end = begin if section is None else section.end
        return min(end, self._starts[index]) if index < len(self._starts) else end

    def disassemble(self, begin: int, end: int) -> Iterator[Instruction]:
        """The instructions from one place to another of the same section."""
        section = self.image.section_at(begin)
        if section is None:
            return
        intern = sys.intern
        data = section.data[begin - section.rva : max(0, min(end, section.end) - section.rva)]
        for at, size, name, text in self._engine.disasm_lite(data, begin):
            yield Instruction(at, size, intern(name), text)

    def stream(self, begin: int, end: int) -> Iterator[Instruction]:
        """The same, a little at a time: for who nearly always stops early."""
        while begin < end:
            stop = min(begin + LITTLE, end)
            for line in self.disassemble(begin, min(stop + MAX_SHIFT, end)):
                if line.at >= stop:
                    break
                yield line
                begin = line.at + line.size
            if begin < stop:
                return

    def window(self, end: int, span: int) -> tuple[list[Instruction], bool]:
        """The instructions up to ``end``, and whether the first is the first of its function.

        Empty when no instruction ends there, wherever one begins to read.
        """
        first, entry = self.function_at(end - 1)
        begin = first
        if end - begin > span:
            begin, entry = (end - span) & ~3, False
        if entry:
            found = self._from_entry(begin, end)
            if found:
                return found, True
        if self.machine != "arm64" and not entry:
            begin = max(first, begin - STEP)
        for shift in range(MAX_SHIFT + 1):
            found = list(self.disassemble(begin + shift, end))
            if found and found[-1].at + found[-1].size == end and not found[-1].name.startswith("."):
                sure = entry and shift == 0
                if not sure and self.machine != "arm64":
                    found = [line for line in found if line.at >= min(begin + STEP, end - STEP)]
                return found, sure
            if self.machine == "arm64":
                break
        return [], False

    def _from_entry(self, begin: int, end: int) -> list[Instruction]:
        """The instructions of a function from its first up to ``end``; empty when none ends there.

        Those of the function before are kept: most functions that call one of the functions that matter call several.
        """
        kept = self._kept if self._kept and self._kept[0].at == begin else []
        last = kept[-1].at + kept[-1].size if kept else begin
        if last > end:
            found = [line for line in kept if line.at + line.size <= end]
        else:
            found = [*kept, *self.disassemble(last, end)]
        if not found or found[-1].at + found[-1].size != end or found[-1].name.startswith("."):
            return []
        if last <= end:
            self._kept = found
        return found


def _exception_table(image: ImageBytes) -> tuple[set[int], set[int]]:
    """Beginnings of functions, and those of parts of functions that were put elsewhere, from the exception table."""
    place = image.directory(EXCEPTIONS)
    wide = image.machine == "x64"
    step = 12 if wide else 8
    raw = None if place is None else image.read(place[0], min(place[1] // step, MAX_FUNCTIONS) * step)
    if not raw:
        return set(), set()
    table = np.frombuffer(raw, "<u4").reshape(-1, step // 4)
    starts = set(table[:, 0].tolist()) - {0}
    fragments: set[int] = set()
    if wide:
        ends = {int(end) for end in table[:, 1]}
        for begin, unwind in zip(table[:, 0].tolist(), table[:, 2].tolist(), strict=True):
            first = image.read(unwind, 1) if not unwind & 1 else None
            if unwind & 1 or (first is not None and (first[0] >> 3) & 4):  # chained to another entry
                (starts.discard if begin in ends else fragments.add)(begin)
    else:
        fragments = set(table[(table[:, 1] & 3) == 2, 0].tolist())
    return starts, fragments


class Calls(NamedTuple):
    """Where calls and jumps by distance may be (ends of the instructions), where they lead, and which are calls."""

    ends: NDArray[np.int64]
    targets: NDArray[np.int64]
    come_back: NDArray[np.bool_]


def relative_calls(section: Section, machine: str) -> Calls:
    """All calls and jumps by distance of a section, by place. Bytes that only look like one are among them."""
    found: list[Calls] = [Calls(np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0, np.bool_))]
    count = 0
    for begin in range(0, len(section.data), CHUNK):
        part = section.data[begin : begin + CHUNK + 4]
        if machine == "arm64":
            words = np.frombuffer(part[: min(len(part), CHUNK) // 4 * 4], "<u4")
            at = np.flatnonzero((words & 0x7C000000) == 0x14000000).astype(np.int64)
            distance = ((words[at].astype(np.int64) & 0x3FFFFFF) ^ 0x2000000) - 0x2000000
            ends = section.rva + begin + at * 4 + 4
            fresh = Calls(ends, ends - 4 + distance * 4, words[at] >= 0x80000000)
        else:
            octets = np.frombuffer(part, "u1")
            at = np.flatnonzero((octets[: max(0, len(part) - 4)] & 0xFE) == 0xE8).astype(np.int64)
            number = (octets[at + n + 1].astype(np.int64) << (8 * n) for n in range(4))
            distance = (sum(number, np.zeros(len(at), np.int64)) ^ 0x80000000) - 0x80000000
            ends = section.rva + begin + at + 5
            fresh = Calls(ends, ends + distance, octets[at] == 0xE8)
        count += len(fresh.ends)
        if count > MAX_CALLS:
            break
        found.append(fresh)
    ends, targets, come_back = (np.concatenate(parts) for parts in zip(*found, strict=True))
    return Calls(ends, targets, come_back)


def calls_to(code: Code, wanted: Iterable[int]) -> Iterator[tuple[int, int]]:
    """Ends of the calls and jumps by distance that lead to one of some places, and that place."""
    want = np.array(sorted(wanted), np.int64)
    for calls in code.calls:
        hit = np.flatnonzero(np.isin(calls.targets, want))
        yield from zip(calls.ends[hit].tolist(), calls.targets[hit].tolist(), strict=True)


def references(image: ImageBytes, section: Section, slots: Iterable[int]) -> Iterator[tuple[int, int]]:
    """Places (of the byte behind them) of four bytes that name one of the slots, as x86 and x64 code does.

    x64 names it by the distance from the end of the instruction (that ends with it), x86 by its address.
    """
    want = np.array(sorted(slots), np.int64)
    if not len(want):
        return
    relative = image.bits == 64
    low, high = int(want[0]), int(want[-1])
    for begin in range(0, len(section.data), CHUNK):
        part = section.data[begin : begin + CHUNK + 3]
        for phase in range(4):
            count = (len(part) - phase) // 4
            if count <= 0:
                continue
            # All in 32 bits, where both ways of naming wrap round
            found = np.frombuffer(part, "<u4", count, phase)
            if relative:
                ends = np.arange(section.rva + begin + phase + 4, section.rva + begin + phase + 4 + 4 * count, 4)
                found = found + ends.astype(np.uint32)
            else:
                found = found - np.uint32(image.base & 0xFFFFFFFF)
            near = np.flatnonzero((found - np.uint32(low)) <= np.uint32(high - low))
            near = near[np.isin(found[near].astype(np.int64), want)]
            for index in near.tolist():
                yield section.rva + begin + phase + 4 * index + 4, int(found[index])
