"""A kernel whose pool tables are written byte by byte, at offsets taken from the documentation of the layouts."""

import struct
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest

from poolsleuth.kernel.address_space import Reader
from poolsleuth.kernel.target import Kernel
from poolsleuth.windows.kernel_table import Field, KernelTable, Structure

ORDER = ("NonPagedAllocs", "NonPagedFrees", "NonPagedBytes", "PagedAllocs", "PagedFrees", "PagedBytes")


@dataclass(frozen=True)
class Format:
    """A kernel's tables: build, pointer size, a tracker row's size, and (offset, width) of its six counters."""

    build: int
    wide: bool
    row: int
    counters: tuple[tuple[int, int], ...]
    big_row: int
    big: Mapping[str, tuple[int, ...]]

    @property
    def pointer(self) -> int:
        return 8 if self.wide else 4


_X86 = ((0x4, 4), (0x8, 4), (0xC, 4), (0x10, 4), (0x14, 4), (0x18, 4))
_X64 = ((0x4, 4), (0x8, 4), (0x10, 8), (0x18, 4), (0x1C, 4), (0x20, 8))
_X86_NEW = ((0x8, 8), (0x10, 8), (0x4, 4), (0x20, 8), (0x28, 8), (0x18, 4))
_X64_NEW = ((0x10, 8), (0x18, 8), (0x8, 8), (0x28, 8), (0x30, 8), (0x20, 8))
_BIG_2003 = {"Va": (0, 8), "Key": (8, 4), "NumberOfPages": (0xC, 4)}
_BIG_VISTA = {"Va": (0, 8), "Key": (8, 4), "PoolType": (0xC, 4), "NumberOfBytes": (0x10, 8)}
_BIG_10 = {"Va": (0, 8), "Key": (8, 4), "PoolType": (0xC, 4, 8, 12), "NumberOfBytes": (0x10, 8)}

FORMATS = {
    "2600 x86": Format(2600, False, 0x1C, _X86, 0xC, {"Va": (0, 4), "Key": (4, 4), "NumberOfPages": (8, 4)}),
    "3790 x86": Format(3790, False, 0x1C, _X86, 0x10, {"Va": (0, 4), "Key": (4, 4), "NumberOfPages": (8, 4)}),
    "3790 x64": Format(3790, True, 0x28, _X64, 0x18, _BIG_2003),
    "7601 x64": Format(7601, True, 0x28, _X64, 0x18, _BIG_VISTA),
    "14393 x64": Format(14393, True, 0x28, _X64, 0x18, _BIG_10),
    "17763 x86": Format(
        17763,
        False,
        0x30,
        _X86_NEW,
        0x10,
        {"Va": (0, 4), "Key": (4, 4), "PoolType": (8, 4, 8, 12), "NumberOfBytes": (0xC, 4)},
    ),
    "17763 x64": Format(17763, True, 0x38, _X64_NEW, 0x18, _BIG_10),
    "19041 x64": Format(19041, True, 0x38, _X64_NEW, 0x18, _BIG_10),
    "20348 x64": Format(20348, True, 0x50, _X64_NEW, 0x20, _BIG_10),
    "22000 x64": Format(22000, True, 0x50, _X64_NEW, 0x20, _BIG_10),
}


def number(tag: str) -> int:
    return int.from_bytes(tag.encode("latin-1").ljust(4), "little")


def slot(key: int, mask: int) -> int:
    product = 40543 * key
    return (product ^ product >> 32) & mask


@dataclass
class Machine:
    """Memory and symbols of a kernel under construction; ``exact`` False gives it no symbols, only addresses."""

    memory: Any
    format: Format
    exact: bool = True
    processors: int | None = 1
    symbols: dict[str, int] = field(default_factory=dict)
    structures: dict[str, Structure] = field(default_factory=dict)
    spaces: dict[int, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.base = 0xFFFFF80000000000 if self.format.wide else 0x80400000
        self.heap = 0xFFFFFA8000000000 if self.format.wide else 0x85000000
        self.next = 0x1000

    def variable(self, name: str, *values: int, width: int | None = None) -> int:
        """A variable of the kernel, or an array of them; its address."""
        width = width or self.format.pointer
        at = self.next
        self.next += max(width * len(values), 8) + 64
        self.next += -self.next % 16
        self.memory.put(self.base + at, *values, width=width)
        self.symbols[name] = at
        return self.base + at

    def room(self, size: int) -> int:
        """An address in the pool where ``size`` bytes can be written; no two of them share a page."""
        at = self.heap
        self.heap += -(-size // 4096) * 4096 + 4096
        return at

    def table(self, entries: Mapping[int, tuple[int, Sequence[int]]], rows: int, at: int | None = None) -> int:
        """A tracker table: row -> (key, six counters, any of them negative or too large); its address."""
        out = bytearray(rows * self.format.row)
        for row, (key, counters) in entries.items():
            begin = row * self.format.row
            struct.pack_into("<I", out, begin, key)
            for (offset, width), value in zip(self.format.counters, counters, strict=True):
                raw = (value % (1 << 8 * width)).to_bytes(width, "little")
                out[begin + offset : begin + offset + width] = raw
        at = at or self.room(len(out))
        self.memory.write(at, bytes(out))
        return at

    def places(self, keys: Sequence[int], rows: int) -> dict[int, int]:
        """The row of each key: its hash slot, or the next one that is free. The last row takes what overflows."""
        mask = rows - 2
        taken: dict[int, int] = {}
        for key in keys:
            row = slot(key, mask)
            while row in taken.values():
                row = (row + 1) & mask
            taken[key] = row
        return taken

    def trackers(self, tables: Sequence[Mapping[int, Sequence[int]]], rows: int = 257) -> list[int]:
        """The tables of all processors (key -> counters) and their variables; the tables' addresses."""
        places = self.places(list(dict.fromkeys(key for table in tables for key in table)), rows)
        # As the kernel does it, the first table has the keys of all
        full = [{**(dict.fromkeys(places, (0,) * 6) if not i else {}), **table} for i, table in enumerate(tables)]
        at = [self.table({places[key]: (key, each) for key, each in table.items()}, rows) for table in full]
        self.variable("PoolTrackTable", at[0])
        self.variable("PoolTrackTableSize", rows)
        if self.format.build >= 6000:
            self.variable("ExPoolTagTables", *at, *(0,) * 8)
            self.variable("PoolTrackTableExpansion", 0)
            self.processors = len(tables)
        return at

    def big_pages(self, entries: Sequence[tuple[int, int, int, int]], rows: int) -> int:
        """The table of big pages out of (address, key, size in the table's unit, pool type); its address."""
        at = self.big_table(entries, rows)
        self.variable("PoolBigPageTable", at)
        self.variable("PoolBigPageTableSize", rows)
        return at

    def big_table(self, entries: Sequence[tuple[int, int, int, int]], rows: int) -> int:
        out = bytearray(rows * self.format.big_row)
        size_name = "NumberOfPages" if "NumberOfPages" in self.format.big else "NumberOfBytes"
        for i, (address, key, size, kind) in enumerate(entries):
            row = int.from_bytes(out[i * self.format.big_row : (i + 1) * self.format.big_row], "little")
            for name, value in (("Va", address), ("Key", key), (size_name, size), ("PoolType", kind)):
                if name in self.format.big:
                    offset, _, *bits = self.format.big[name]
                    row |= value << 8 * offset + (bits[0] if bits else 0)
            out[i * self.format.big_row : (i + 1) * self.format.big_row] = row.to_bytes(self.format.big_row, "little")
        at = self.room(len(out))
        self.memory.write(at, bytes(out))
        return at

    def kernel(self) -> Kernel:
        form = self.format
        tracker = {name: Field(*place) for name, place in zip(ORDER, form.counters, strict=True)}
        structures = {
            "_POOL_TRACKER_TABLE": Structure(form.row, {"Key": Field(0, 4), **tracker}),
            "_POOL_TRACKER_BIG_PAGES": Structure(form.big_row, {n: Field(*place) for n, place in form.big.items()}),
            **self.structures,
        }
        table = KernelTable(
            pdb=None,
            machine="x64" if form.wide else "x86",
            source="test",
            symbols=self.symbols,
            structures=structures,
        )
        return Kernel(
            memory=Reader(self.memory),
            build=form.build,
            architecture="x64" if form.wide else "x86",
            pae=None,
            base=self.base,
            size=None,
            pdb=None,
            processors=self.processors,
            table=table if self.exact else None,
            addresses={} if self.exact else {name: self.base + at for name, at in self.symbols.items()},
            layouts={} if self.exact else self.structures,
            process_memory=(lambda base: Reader(self.spaces.get(base, type(self.memory)(form.pointer)))),
        )


@pytest.fixture(scope="session")
def formats() -> Mapping[str, Format]:
    return FORMATS


@pytest.fixture(scope="session")
def tag_number() -> Callable[[str], int]:
    return number


@pytest.fixture
def machine(fake_memory: Callable[[int], Any]) -> Callable[..., Machine]:
    def make(name: str = "7601 x64", **options: Any) -> Machine:
        form = FORMATS[name]
        return Machine(fake_memory(form.pointer), form, **options)

    return make
