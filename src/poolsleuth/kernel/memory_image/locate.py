"""Finds the kernel in an image of memory: tries page tables until one of them leads to ntoskrnl."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from poolsleuth.kernel.address_space import PAGE, Reader
from poolsleuth.kernel.find.kernel import Tables, find_kernel
from poolsleuth.kernel.image import read_image, read_pdb_id
from poolsleuth.kernel.memory_image.image import MemoryImage
from poolsleuth.kernel.memory_image.page_table_roots import RootCandidate, candidates
from poolsleuth.kernel.paging.parameters import PagingParameters, parameters_for
from poolsleuth.kernel.paging.ranges import RangeWalk
from poolsleuth.kernel.paging.space import VirtualMemory, open_address_space
from poolsleuth.kernel.target import Kernel

MAX_PAGES_TRIED = 1 << 20  # mapped pages looked at below one root: kernels and drivers take some ten thousand
_STEP = 1024  # pages read together
# Where Windows loads its kernel: x64 has one range for it since Vista; x86 anywhere above 2 GB (or 3 GB with /3GB)
_RANGES = {
    "x64": ((0xFFFFF80000000000, 0xFFFFF87FFFFFFFFF),),
    "arm64": ((0xFFFFF80000000000, 0xFFFFF87FFFFFFFFF),),
    "x86": ((0x80000000, 0x9FFFFFFF), (0xE0000000, 0xF7FFFFFF)),
}
_KERNELS = ("ntkrnlmp.pdb", "ntoskrnl.pdb", "ntkrnlpa.pdb", "ntkrpamp.pdb")
_ANY_BUILD = 7601  # entries of valid pages are alike in all builds: what is needed to find the kernel
_OLDEST_X64 = 3790

Progress = Callable[[str, int, int | None], None]


@dataclass(frozen=True, slots=True)
class LocatedKernel:
    """The kernel of an image, and the page tables that led to it. ``kernel.notes`` says how they were found."""

    kernel: Kernel
    parameters: PagingParameters
    directory_table_base: int


def locate_kernel(
    image: MemoryImage,
    tables: Tables,
    *,
    directory_table_base: int | None = None,
    kernel_base: int | None = None,
    progress: Progress | None = None,
) -> LocatedKernel | None:
    """The first kernel that a candidate leads to; None when none does.

    ``directory_table_base`` and ``kernel_base`` are what the user says; None: they are searched for.
    """

    def told(pages: int) -> None:
        if progress is not None:
            progress("searching page tables", pages * PAGE, image.memory.pages * PAGE)

    for candidate in _roots(image, directory_table_base, told):
        found = _try(image, candidate, tables, kernel_base)
        if found is not None:
            return found
    return None


def _roots(image: MemoryImage, given: int | None, told: Callable[[int], None]) -> Iterator[RootCandidate]:
    if given is None:
        yield from candidates(image.memory, image.page_numbers(), image.architecture, image.cr3, told)
        return
    for architecture, pae in (("x64", None), ("arm64", None), ("x86", True), ("x86", False)):
        if image.architecture in (None, architecture):
            yield RootCandidate(architecture, pae, given, "--dtb")


def _try(image: MemoryImage, root: RootCandidate, tables: Tables, kernel_base: int | None) -> LocatedKernel | None:
    parameters = parameters_for(_ANY_BUILD, root.architecture, root.pae)
    space = open_address_space(image.memory, parameters, root.directory_table_base)
    reader = Reader(space)
    bases = [kernel_base] if kernel_base is not None else _kernel_bases(space, reader, root.architecture)
    for base in bases:
        kernel = find_kernel(
            reader,
            header=None,
            open_process=lambda process: Reader(open_address_space(image.memory, parameters, process)),
            tables=tables,
            base=base,
        )
        if kernel is not None:
            exact = parameters_for(kernel.build, root.architecture, root.pae, kernel.table)
            return LocatedKernel(kernel, exact, root.directory_table_base)
    return None


def _kernel_bases(space: VirtualMemory, reader: Reader, architecture: str) -> Iterator[int]:
    """Addresses of mapped images whose PDB is one of the kernel's."""
    tried = 0
    for first, last in _RANGES[architecture]:
        for runs in RangeWalk(space.walk, max_pages=MAX_PAGES_TRIED).runs(first, last):
            readable = runs.frames >= 0
            for page, count in zip(runs.pages[readable].tolist(), runs.counts[readable].tolist(), strict=True):
                for begin in range(page, page + count, _STEP):
                    if tried >= MAX_PAGES_TRIED:
                        return
                    numbers = np.arange(begin, min(begin + _STEP, page + count), dtype=np.uint64)
                    tried += len(numbers)
                    rows, _places = space.gather(numbers)
                    for at in np.flatnonzero((rows[:, 0] == ord("M")) & (rows[:, 1] == ord("Z"))).tolist():
                        base = int(numbers[at]) * PAGE
                        if _is_kernel(reader, base):
                            yield base


def _is_kernel(reader: Reader, base: int) -> bool:
    found = read_image(reader, base)
    pdb = None if found is None else read_pdb_id(reader, found)
    return pdb is not None and pdb.name.casefold() in _KERNELS
