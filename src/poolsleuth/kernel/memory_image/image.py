"""Opens an image of physical memory that is no crash dump, whatever its container."""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from poolsleuth.kernel.crash_dump.content import PAGE, DumpContent, Flaw
from poolsleuth.kernel.crash_dump.memory import PhysicalMemory
from poolsleuth.kernel.crash_dump.runs import RunMap
from poolsleuth.kernel.memory_image import elf_core, lime
from poolsleuth.kernel.memory_image.ranges import MemoryRange, memory_of
from poolsleuth.model.errors import InputError

MIN_RAW = 16 << 20  # bytes: no Windows of this project runs in less, so that a smaller file is no image of one

PART = 1 << 16  # page numbers given at once


class ImageKind(StrEnum):
    """How the image keeps its memory."""

    RAW = "raw memory image"
    ELF_CORE = "ELF core of a virtual machine"
    LIME = "LiME image"


@dataclass(frozen=True, slots=True)
class MemoryImage:
    """An open image. ``architecture`` is what the container says (None: nothing), ``cr3`` that of each processor."""

    kind: ImageKind
    memory: PhysicalMemory
    architecture: str | None
    cr3: tuple[int, ...]
    flaws: tuple[Flaw, ...]
    runs: RunMap

    def page_numbers(self) -> Iterator[NDArray[np.int64]]:
        """The numbers of all pages that the image says it holds, in parts of ``PART`` pages at most."""
        for base, count in zip(self.runs.bases.tolist(), self.runs.counts.tolist(), strict=True):
            for begin in range(base, base + count, PART):
                yield np.arange(begin, min(begin + PART, base + count), dtype=np.int64)


def image_kind(head: bytes, size: int | None) -> ImageKind | None:
    """What an image is by its first bytes; a raw one has no mark, only a fitting size. None: no image."""
    if head.startswith(elf_core.MAGIC):
        return ImageKind.ELF_CORE
    if head.startswith(lime.MAGIC):
        return ImageKind.LIME
    return ImageKind.RAW if size is not None and size >= MIN_RAW and size % PAGE == 0 else None


def open_image(content: DumpContent) -> MemoryImage:
    """Find the pages of an image. Raises InputError when it is none, or holds no whole page."""
    kind = image_kind(content.take(0, min(16, content.size)) or b"", content.size)
    flaws: list[Flaw] = []
    architecture: str | None = None
    cr3: tuple[int, ...] = ()
    if kind is ImageKind.ELF_CORE:
        core = elf_core.read_elf_core(content, flaws)
        ranges, architecture, cr3 = list(core.ranges), core.architecture, core.cr3
    elif kind is ImageKind.LIME:
        ranges = lime.lime_ranges(content, flaws)
    elif kind is ImageKind.RAW:
        ranges = [MemoryRange(0, content.size, 0)]
    else:
        raise InputError("it is no image of a machine's memory")
    found = memory_of(content, ranges, flaws)
    if found is None:
        raise InputError(f"no whole page of memory is in it, though it begins as the header of a {kind.value} does")
    memory, runs = found
    return MemoryImage(kind, memory, architecture, cr3, tuple(flaws), runs)
