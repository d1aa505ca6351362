"""What an address leads to: a loaded module, where an unloaded one lay, or a block of the pool."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from poolsleuth.kernel.address_space import Reader
from poolsleuth.kernel.image import read_image
from poolsleuth.kernel.modules import LoadedModule
from poolsleuth.kernel.pool.blocks import BLOCK, Blocks
from poolsleuth.kernel.unloaded_modules import UnloadedDriver

Addresses = NDArray[np.uint64]
Ranges = tuple[tuple[int, int], ...]
"""First addresses and first addresses behind."""

_CODE, _WRITABLE = 0x20, 0x8000_0000  # characteristics of a section: IMAGE_SCN_CNT_CODE, IMAGE_SCN_MEM_WRITE
_RUNS = 0x2000_0000  # IMAGE_SCN_MEM_EXECUTE


@dataclass(frozen=True, slots=True)
class Image:
    """A module's range with the parts of it that hold code and that hold data which is written to.

    ``code`` and ``data`` are None where the headers are not in memory.
    """

    name: str
    base: int
    end: int
    code: Ranges | None
    data: Ranges | None

    def is_code(self, address: int) -> bool | None:
        """Whether an address of the image is in its code; None when that is not known."""
        return None if self.code is None else any(begin <= address < end for begin, end in self.code)


def images_of(memory: Reader, modules: Iterable[LoadedModule]) -> tuple[Image, ...]:
    """The modules in the order of their addresses. One that overlaps another, or has no name, is left out."""
    found: list[Image] = []
    for module in sorted(modules, key=lambda module: module.base):
        if module.name is None or (found and module.base < found[-1].end):
            continue
        image = read_image(memory, module.base)
        code: Ranges | None = None
        data: Ranges | None = None
        if image is not None and image.sections:
            parts = [(module.base + s.address, module.base + s.address + s.size, s.flags) for s in image.sections]
            code = tuple((begin, end) for begin, end, flags in parts if flags & (_CODE | _RUNS))
            data = tuple((b, e) for b, e, flags in parts if flags & _WRITABLE and not flags & (_CODE | _RUNS))
        found.append(Image(module.name, module.base, module.end, code, data))
    return tuple(found)


class Ranged:
    """Ranges that do not overlap, to look many addresses up in."""

    __slots__ = ("_ends", "_starts")

    def __init__(self, ranges: Sequence[tuple[int, int]]) -> None:
        self._starts = np.array([begin for begin, _end in ranges], np.uint64)
        self._ends = np.array([end for _begin, end in ranges], np.uint64)

    def find(self, addresses: Addresses) -> NDArray[np.int64]:
        """The number of the range that each address lies in, -1 for none."""
        if not len(self._starts):
            return np.full(len(addresses), -1, np.int64)
        at = np.searchsorted(self._starts, addresses, side="right").astype(np.int64) - 1
        inside = (at >= 0) & (addresses < self._ends[np.maximum(at, 0)])
        return np.where(inside, at, -1)


def find_blocks(blocks: Blocks, addresses: Addresses) -> NDArray[np.int64]:
    """The row of the block (ascending by address) that each address lies in, -1 for none."""
    if not len(blocks):
        return np.full(len(addresses), -1, np.int64)
    starts = blocks["address"]
    at = np.searchsorted(starts, addresses, side="right").astype(np.int64) - 1
    some = np.maximum(at, 0)
    inside = (at >= 0) & (addresses - starts[some] < blocks["size"][some])
    return np.where(inside, at, -1)


def blocks_around(parts: Iterable[Blocks], addresses: Addresses) -> Blocks:
    """Of a walk's parts the blocks in which one of ``addresses`` lies, ascending."""
    wanted = np.unique(addresses)
    found: list[Blocks] = [np.empty(0, BLOCK)]
    for blocks in parts:
        if not len(blocks):
            continue
        begin = np.searchsorted(wanted, blocks["address"], side="left")
        end = np.searchsorted(wanted, blocks["address"] + blocks["size"], side="left")
        hit = begin < end
        if hit.any():
            found.append(blocks[hit])
    every = np.concatenate(found)
    return every[np.argsort(every["address"], kind="stable")]


@dataclass(frozen=True, slots=True)
class Gone:
    """Where unloaded drivers lay, in ranges that do not overlap.

    Each range has the names of the drivers that were there, newest first, and the start of the newest one's image.
    """

    ranges: Ranges
    names: tuple[tuple[str, ...], ...]
    starts: tuple[int, ...]


def gone_of(drivers: Iterable[UnloadedDriver]) -> Gone:
    """The ranges of unloaded drivers (newest first, ``MmUnloadedDrivers`` holds 50)."""
    spans = [(driver.start, driver.end, driver.name or "a driver without a name") for driver in drivers]
    edges = sorted({edge for begin, end, _name in spans for edge in (begin, end)})
    found: list[tuple[tuple[int, int], tuple[str, ...], int]] = []
    for begin, end in pairwise(edges):
        here = [(first, name) for first, last, name in spans if first <= begin and end <= last]
        if here:
            found.append(((begin, end), tuple(dict.fromkeys(name for _first, name in here)), here[0][0]))
    return Gone(tuple(each[0] for each in found), tuple(each[1] for each in found), tuple(each[2] for each in found))
