"""Where the page tables of Windows may lie in an image that does not say it: candidates, the likeliest first.

Windows maps its page tables into its own address space: one entry of the top-level table points at that table itself
(x86 without PAE: entry 0x300; with PAE: the fourth page directory's entry 3; x64 and ARM64: any one of the upper half).
On x64 the block that starts the other processors, in the first megabyte, holds CR3 too; its form follows what
public memory analysis tools look for: a jump of 5 bytes at its start, and CR3 at +A0.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from poolsleuth.kernel.absence import Absence
from poolsleuth.kernel.crash_dump.content import PAGE
from poolsleuth.kernel.crash_dump.memory import PhysicalMemory

MAX_SCANNED = 16 << 30  # bytes of an image that are searched: the system's tables lie low in memory
MAX_CANDIDATES = 64  # tables tried: each trial walks a part of the tables below it
MAX_DIRECTORIES = 16  # page directories of PAE whose pointers are searched for, through all memory below 4 GB
_STEP = 2048  # pages looked at together
_FRAME = np.uint64(0x000FFFFFFFFFF000)
_PRESENT = np.uint64(1)
_LOW = 0x100  # pages of the first megabyte
_START_MARK, _START_MASK = 0x00000001000600E9, 0xFFFFFFFFFFFF00FF
_START_CR3 = 0xA0


@dataclass(frozen=True, slots=True)
class RootCandidate:
    """A physical address that may be the directory table base. ``found_by`` says how, for the report."""

    architecture: str
    pae: bool | None
    directory_table_base: int
    found_by: str


def candidates(
    memory: PhysicalMemory,
    numbers: Iterator[NDArray[np.int64]],
    architecture: str | None,
    cr3: tuple[int, ...],
    progress: Callable[[int], None] | None = None,
) -> Iterator[RootCandidate]:
    """Candidates, the likeliest first, each once; ``MAX_CANDIDATES`` at most.

    ``numbers`` gives the page numbers that the image holds, in parts; ``architecture`` is what the container says
    (None: all are tried); ``cr3`` that of its processors; ``progress`` is told the pages searched so far.
    """
    told: set[tuple[str, bool | None, int]] = set()
    every = (
        *(RootCandidate(architecture or "x64", None, value, "CR3 in the notes of the image") for value in cr3),
        *(_of_start_block(memory) if architecture in (None, "x64") else ()),
    )
    for one in every:
        if (key := (one.architecture, one.pae, one.directory_table_base)) not in told:
            told.add(key)
            yield one
        if len(told) >= MAX_CANDIDATES:
            return
    for one in _self_mapped(memory, numbers, architecture, progress):
        if (key := (one.architecture, one.pae, one.directory_table_base)) in told:
            continue
        told.add(key)
        yield one
        if len(told) >= MAX_CANDIDATES:
            return


def _of_start_block(memory: PhysicalMemory) -> Iterator[RootCandidate]:
    for number in range(1, _LOW):
        raw = memory.read_physical(number * PAGE, _START_CR3 + 8)
        if isinstance(raw, Absence) or int.from_bytes(raw[:8], "little") & _START_MASK != _START_MARK:
            continue
        value = int.from_bytes(raw[_START_CR3:], "little")
        if value and not value & ~int(_FRAME):
            yield RootCandidate("x64", None, value, "the block that starts other processors, in the first megabyte")


def _self_mapped(
    memory: PhysicalMemory,
    numbers: Iterator[NDArray[np.int64]],
    architecture: str | None,
    progress: Callable[[int], None] | None,
) -> Iterator[RootCandidate]:
    searched, left = 0, MAX_DIRECTORIES
    for part in numbers:
        for begin in range(0, len(part), _STEP):
            if searched * PAGE >= MAX_SCANNED:
                return
            pages = part[begin : begin + _STEP]
            rows, places = memory.gather(pages)
            searched += len(pages)
            if progress is not None:
                progress(searched)
            held, tables = pages[places >= 0], rows[places >= 0]
            yield from _of_pages(held, tables, architecture)
            if architecture in (None, "x86"):
                directories = _last_directories(held, tables)[:left]
                left -= len(directories)
                for four in directories:
                    yield from _page_directory_pointers(memory, four)


def _of_pages(pages: NDArray[np.int64], rows: NDArray[np.uint8], architecture: str | None) -> Iterator[RootCandidate]:
    frames = pages.astype(np.uint64) << np.uint64(12)
    how = "a table that maps itself"
    if architecture != "x86":
        wide = rows.view("<u8")[:, 256:]
        own = ((wide & _FRAME) == frames[:, None]) & ((wide & _PRESENT) != 0)
        for at in np.flatnonzero(own.any(axis=1)).tolist():
            for name in ("x64", "arm64") if architecture is None else (architecture,):
                yield RootCandidate(name, None, int(frames[at]), how)
    if architecture in (None, "x86"):
        narrow = rows.view("<u4")[:, 0x300].astype(np.uint64)
        for at in np.flatnonzero(((narrow & np.uint64(0xFFFFF000)) == frames) & ((narrow & _PRESENT) != 0)).tolist():
            yield RootCandidate("x86", False, int(frames[at]), how)


def _last_directories(pages: NDArray[np.int64], rows: NDArray[np.uint8]) -> NDArray[np.uint64]:
    """The four page directories that each table names which may be the last of them: its fourth entry is itself."""
    directories = rows.view("<u8")[:, :4]
    own = ((directories[:, 3] & _FRAME) == pages.astype(np.uint64) << np.uint64(12)) & (
        (directories & _PRESENT) != 0
    ).all(axis=1)
    found: NDArray[np.uint64] = directories[own] & _FRAME
    return found


def _page_directory_pointers(memory: PhysicalMemory, directories: NDArray[np.uint64]) -> Iterator[RootCandidate]:
    """The 32 bytes that point at four page directories lie in a page of their own, in low memory."""
    for begin in range(0, 1 << 20, _STEP):  # below 4 GB: CR3 has 32 bits there
        numbers = np.arange(begin, begin + _STEP, dtype=np.int64)
        numbers = numbers[memory.offsets(numbers) >= 0]
        if not len(numbers):
            continue
        rows, _ = memory.gather(numbers)
        tables = rows.view("<u8").reshape(len(rows), -1, 4)
        same = ((tables & _FRAME) == directories).all(axis=2) & ((tables & _PRESENT) != 0).all(axis=2)
        # The page directory itself holds the same four entries at its start: it is no table of pointers
        for row, column in np.argwhere(same).tolist():
            address = int(numbers[row]) * PAGE + column * 32
            if address != int(directories[3]):
                yield RootCandidate("x86", True, address, "a table that maps itself")
                return
