"""What the bytes of a fuzzer mean: a small program of changes to a valid file.

An operation has 12 bytes: action, class of the target, its number (2), displacement in words, kind of value, selector
(2), raw bytes (4). So a fuzzer that changes, adds and drops bytes changes, adds and drops operations.
"""

from collections.abc import Iterator

from fuzz_seeds import CLASSES, ENTRY, Seed, Target
from poolsleuth.kernel.crash_dump.content import PAGE

SIZE = 12
MAX_OPERATIONS = 32
CONSTANTS = (
    0, 1, 2, 3, 4, 7, 8, 0x10, 0x40, 0x7F, 0x80, 0xFF, 0x100, 0xFFF, 0x1000, 0x7FFF, 0x8000, 0xFFFE, 0xFFFF, 0x10000,
    0xFFFFF, 0x100000, 0x1000000, 0x1000001, 0x7FFFFFFF, 0x80000000, 0xFFFFF000, 0xFFFFFFFE, 0xFFFFFFFF, 0x100000000,
    0x100000001, 1 << 36, 1 << 40, (1 << 47) - 1, 1 << 47, 1 << 52, (1 << 63) - 1, 1 << 63, (1 << 63) + 1,
    0xFFFF800000000000, 0xFFFFF78000000000, 0xFFFFF80000000000, 0xFFFFFFFFFFFFF000, (1 << 64) - 8, (1 << 64) - 1,
)  # fmt: skip
ENTRY_FLAGS = (0x063, 0x0E3, 0x867, 0x800, 0x400, 0xC00, 0x000, 0x080, 0x8000000000000063, 0x01, 0x81, 0x8E3)


class Change:
    """Applies a program to a seed, and takes it back: ``with Change(seed, program) as size`` gives the file's size."""

    def __init__(self, seed: Seed, program: bytes) -> None:
        self.seed, self.program = seed, program
        self.size = len(seed.data)
        self._before: list[tuple[int, bytes]] = []

    def __enter__(self) -> int:
        for at in range(0, min(len(self.program), MAX_OPERATIONS * SIZE), SIZE):
            self._apply(self.program[at : at + SIZE].ljust(SIZE, b"\0"))
        return self.size

    def __exit__(self, *_: object) -> None:
        for at, octets in reversed(self._before):
            self.seed.data[at : at + len(octets)] = octets

    def patches(self) -> Iterator[tuple[int, bytes]]:
        """What differs from the seed now, where it was written: offset and bytes."""
        for at, octets in self._before:
            yield at, bytes(self.seed.data[at : at + len(octets)])

    def _write(self, at: int, octets: bytes) -> None:
        data = self.seed.data
        if not 0 <= at < len(data):
            return
        octets = octets[: len(data) - at]
        self._before.append((at, bytes(data[at : at + len(octets)])))
        data[at : at + len(octets)] = octets

    def _put(self, at: int, value: int, width: int) -> None:
        self._write(at, (value & (1 << 8 * width) - 1).to_bytes(width, "little"))

    def _apply(self, operation: bytes) -> None:
        action, kind, raw = operation[0] % 20, operation[1], operation[8:]
        target = self.seed.target(kind, int.from_bytes(operation[2:4], "little"))
        moved = int.from_bytes(operation[4:5], "little", signed=True)
        at = target.offset + moved * target.width
        selector = int.from_bytes(operation[6:8], "little")
        other = self.seed.target(raw[0] if action > 12 else kind, selector)
        if action == 13:
            begin = other.offset & -PAGE
            self._write(at & -PAGE, bytes(self.seed.data[begin : begin + PAGE]))
        elif action == 14:
            self._write(at & -PAGE, raw[1:2] * PAGE)
        elif action == 15:
            self.size = max(0, min(self.size, at + int.from_bytes(raw[1:3], "little")))
        elif action == 16:  # a list: each leads to the other, both ways
            self._put(target.offset, other.address, target.width)
            self._put(other.offset + other.width, target.address, target.width)
        elif action == 17:
            value = self._value(operation, target, at)
            count = 1 + selector % 64
            self._write(at, (value & (1 << 8 * target.width) - 1).to_bytes(target.width, "little") * count)
        elif action == 18:
            self._put(selector << 16 | int.from_bytes(raw[:2], "little"), raw[2], 1)
        else:
            width = {10: 4, 11: 2, 12: 1}.get(action, target.width)
            self._put(at, self._value(operation, target, at), width)

    def _value(self, operation: bytes, target: Target, at: int) -> int:
        kind, raw = operation[5] % 9, operation[8:]
        selector = int.from_bytes(operation[6:8], "little")
        now = int.from_bytes(self.seed.data[max(at, 0) : max(at, 0) + target.width], "little")
        entry = operation[1] % CLASSES == ENTRY
        flags = ENTRY_FLAGS[raw[1] % len(ENTRY_FLAGS)]
        if kind == 2:
            return target.address & -PAGE | flags if entry else target.address + (raw[1] & 0x18)
        if kind == 3:
            other = self.seed.target(raw[0], selector).address
            return other & -PAGE | flags if entry else other
        if kind == 4:
            found = self.seed.target(raw[0], selector)
            return int.from_bytes(self.seed.data[found.offset : found.offset + found.width], "little")
        if kind == 5:
            return now + int.from_bytes(raw[:1], "little", signed=True) * (PAGE if raw[1] & 1 else 1)
        if kind == 6:
            return now ^ 1 << selector % 64
        if kind == 7:
            return int.from_bytes(raw, "little") << (selector % 64)
        if kind == 8 and entry:
            return now & 0xFFF | (selector << 12)
        return CONSTANTS[selector % len(CONSTANTS)]
