"""A writer of page tables, from the manuals of the processors: it shares no code with the reader.

``Machine`` maps virtual pages and writes entries by hand; ``memory`` puts its physical pages into a file and gives the
``PhysicalMemory`` that the reader works on. Pages that were only mapped hold bytes that follow from their number.
"""

from collections.abc import Callable, Iterable
from hashlib import blake2b

import numpy as np
import pytest
from numpy.typing import NDArray

from poolsleuth.kernel.crash_dump.content import DumpContent
from poolsleuth.kernel.crash_dump.memory import PhysicalMemory

PAGE = 4096
# Bytes of an entry, and of each level: the lowest bit of its index in the address, and the number of entries
FORMS: dict[str, tuple[int, tuple[tuple[int, int], ...]]] = {
    "x86": (4, ((22, 1024), (12, 1024))),
    "pae": (8, ((30, 4), (21, 512), (12, 512))),
    "x64": (8, ((39, 512), (30, 512), (21, 512), (12, 512))),
    "la57": (8, ((48, 512), (39, 512), (30, 512), (21, 512), (12, 512))),
    "arm64": (8, ((39, 512), (30, 512), (21, 512), (12, 512))),
}


def filler(number: int) -> bytes:
    return blake2b(number.to_bytes(8, "little"), digest_size=64).digest() * (PAGE // 64)


class Listed:
    """A page map out of a list of page numbers, in the order of the file."""

    def __init__(self, numbers: list[int], first: int) -> None:
        self.first = first
        self.pages = len(numbers)
        self._order = np.argsort(np.array(numbers, np.int64))
        self._sorted = np.array(sorted(numbers), np.int64)

    def places(self, numbers: NDArray[np.int64]) -> NDArray[np.int64]:
        if not self.pages:
            return np.full(len(numbers), -1, np.int64)
        at = np.minimum(np.searchsorted(self._sorted, numbers), self.pages - 1)
        return np.where(self._sorted[at] == numbers, self.first + self._order[at] * PAGE, -1)

    def place(self, number: int) -> int:
        return int(self.places(np.array([number], np.int64))[0])


class Machine:
    """Physical pages and one set of page tables. Tables are taken from page 0x100 on, as they are needed."""

    def __init__(self, form: str, dtb: int = 0x100000) -> None:
        self.form = form
        self.width, self.levels = FORMS[form]
        self.arm = form == "arm64"
        self.pages: dict[int, bytearray] = {}
        self.dtb = dtb
        self.next_table = (dtb >> 12) + 1
        self.page(dtb >> 12, bytes(PAGE))

    def page(self, number: int, data: bytes | None = None) -> bytearray:
        if number not in self.pages:
            self.pages[number] = bytearray(filler(number) if data is None else data)
        return self.pages[number]

    def table(self) -> int:
        number = self.next_table
        self.next_table += 1
        self.page(number, bytes(PAGE))
        return number

    def entry_at(self, address: int, depth: int) -> int:
        """The physical address of the entry of ``address`` at a level; the tables above are made."""
        base = self.dtb & (0xFFFFFFE0 if self.form == "pae" else 0xFFFFFFFFF000)
        for level in range(depth + 1):
            shift, count = self.levels[level]
            at = base + (address >> shift) % count * self.width
            if level == depth:
                return at
            entry = self.number(at, self.width)
            if not entry:
                number = self.table()
                bits = 0x3 if self.arm else 0x1 if self.form == "pae" and level == 0 else 0x63
                entry = number << 12 | bits
                self.set(at, entry)
            base = entry & 0xFFFFFFFFF000
        raise AssertionError

    def number(self, at: int, width: int) -> int:
        page = self.page(at >> 12, bytes(PAGE))
        return int.from_bytes(page[at & 0xFFF : (at & 0xFFF) + width], "little")

    def set(self, at: int, value: int) -> None:
        page = self.page(at >> 12, bytes(PAGE))
        page[at & 0xFFF : (at & 0xFFF) + self.width] = value.to_bytes(self.width, "little")

    def put(self, address: int, entry: int, depth: int | None = None) -> int:
        """Write the entry of an address as it is; at the last level when ``depth`` is None."""
        at = self.entry_at(address, len(self.levels) - 1 if depth is None else depth)
        self.set(at, entry)
        return at

    def map(self, address: int, number: int, *, data: bytes | None = None, fill: bool = True) -> None:
        """Map a page of 4 KB as Windows does, with accessed, dirty, global and so on."""
        self.put(address, number << 12 | (0x703 if self.arm else 0x963))
        if fill:
            self.page(number, data)

    def map_large(self, address: int, depth: int, number: int) -> None:
        """Map a large page; ``number`` is its first physical page."""
        if self.form == "x86":
            entry = (number & 0xFFC00) << 12 | (number >> 20) << 13 | 0x9E3
        else:
            entry = number << 12 | (0x701 if self.arm else 0x9E3)
        self.put(address, entry, depth)

    def memory(
        self, *, lost: Iterable[int] = (), cut: Iterable[int] = (), order: list[int] | None = None
    ) -> PhysicalMemory:
        """The machine as a dump: ``lost`` pages are not in it, ``cut`` ones lie behind the end of the file."""
        without, behind = set(lost), sorted(set(cut))
        numbers = order or [number for number in sorted(self.pages) if number not in without and number not in behind]
        content = b"HEAD".ljust(PAGE, b"-") + b"".join(bytes(self.pages[number]) for number in numbers)
        return PhysicalMemory(DumpContent(content), Listed(numbers + behind, PAGE))


@pytest.fixture(scope="session")
def machine() -> Callable[..., Machine]:
    return Machine


@pytest.fixture(scope="session")
def fill() -> Callable[[int], bytes]:
    return filler
