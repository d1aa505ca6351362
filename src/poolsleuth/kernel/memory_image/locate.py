"""Finds the kernel in an image of memory: tries page tables until one of them leads to ntoskrnl."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from poolsleuth.kernel.address_space import PAGE, Reader
from poolsleuth.kernel.find.kernel import Tables, find_kernel
from poolsleuth.kernel.image import read_image, read_pdb_id
from poolsleuth.kernel.memory_image.image import MemoryImage
from poolsleuth.kernel.memory_image.page_table_roots import RootCandidate, candidates
from poolsleuth.kernel.paging.parameters import PagingParameters, parameters_for
from poolsleuth.kernel.paging.ranges import MappedRuns, RangeWalk
from poolsleuth.kernel.paging.space import VirtualMemory, open_address_space
from poolsleuth.kernel.target import Kernel

MAX_PAGES_TRIED = 1 << 20  # mapped pages looked at below one root: kernels and drivers take some ten thousand
# Below all roots together: tables that point at themselves map everything, at every root again
MAX_PAGES_IN_ALL = 1 << 21
MAX_TABLES_IN_ALL = 1 << 16  # page tables read: those of a kernel and its drivers are some hundreds
MAX_IMAGES_IN_ALL = 1 << 13  # images whose headers are read: a machine has 200 to 400 drivers
MAX_KERNELS_IN_ALL = 32  # images that are called as a kernel and searched as one
_STEP = 1024  # pages read together
# Where Windows loads its kernel: x64 has one range for it since Vista; x86 anywhere above 2 GB (or 3 GB with /3GB)
_RANGES = {
    "x64": ((0xFFFFF80000000000, 0xFFFFF87FFFFFFFFF),),
    "arm64": ((0xFFFFF80000000000, 0xFFFFF87FFFFFFFFF),),
    "x86": ((0x80000000, 0x9FFFFFFF), (0xE0000000, 0xF7FFFFFF)),
}
_KERNELS = ("ntkrnlmp.pdb", "ntoskrnl.pdb", "ntkrnlpa.pdb", "ntkrpamp.pdb")
_ANY_BUILD = 7601  # entries of valid pages are alike in all builds: what is needed to find the kernel

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

    budget = _Budget()
    for candidate in _roots(image, directory_table_base, told):
        found = _try(image, candidate, tables, kernel_base, budget)
        if found is not None:
            return found
        if budget.spent:
            return None
    return None


@dataclass(slots=True)
class _Budget:
    """What may still be looked at, over all roots."""

    pages: int = MAX_PAGES_IN_ALL
    tables: int = MAX_TABLES_IN_ALL
    images: int = MAX_IMAGES_IN_ALL
    kernels: int = MAX_KERNELS_IN_ALL

    @property
    def spent(self) -> bool:
        return min(self.pages, self.tables, self.images, self.kernels) <= 0


def _roots(image: MemoryImage, given: int | None, told: Callable[[int], None]) -> Iterator[RootCandidate]:
    if given is None:
        yield from candidates(image.memory, image.page_numbers(), image.architecture, image.cr3, told)
        return
    for architecture, pae in (("x64", None), ("arm64", None), ("x86", True), ("x86", False)):
        if image.architecture in (None, architecture):
            yield RootCandidate(architecture, pae, given, "--dtb")


def _try(
    image: MemoryImage, root: RootCandidate, tables: Tables, kernel_base: int | None, budget: _Budget
) -> LocatedKernel | None:
    for la57 in (False, True) if root.architecture == "x64" else (False,):
        found = _try_mode(image, root, tables, kernel_base, budget, la57=la57)
        if found is not None:
            return found
    return None


def _try_mode(
    image: MemoryImage,
    root: RootCandidate,
    tables: Tables,
    kernel_base: int | None,
    budget: _Budget,
    *,
    la57: bool,
) -> LocatedKernel | None:
    parameters = parameters_for(_ANY_BUILD, root.architecture, root.pae, la57=la57)
    space = open_address_space(image.memory, parameters, root.directory_table_base)
    reader = Reader(space)
    bases = [kernel_base] if kernel_base is not None else _kernel_bases(space, reader, root.architecture, budget)
    for base in bases:
        budget.kernels -= 1
        kernel = find_kernel(
            reader,
            header=None,
            open_process=lambda process: Reader(space.of_process(process)),
            tables=tables,
            base=base,
        )
        # Tables of x64 and ARM64 look alike enough to lead to the kernel of the other: what it says of itself decides
        if kernel is not None and kernel.architecture == root.architecture:
            exact = parameters_for(kernel.build, root.architecture, root.pae, kernel.table, la57=la57)
            return LocatedKernel(kernel, exact, root.directory_table_base)
    return None


def _kernel_bases(space: VirtualMemory, reader: Reader, architecture: str, budget: _Budget) -> Iterator[int]:
    """Addresses of mapped images whose PDB is one of the kernel's."""
    tried = 0
    for first, last in _RANGES[architecture]:
        walk = RangeWalk(space.walk, max_tables=budget.tables, max_pages=MAX_PAGES_TRIED)
        for runs in walk.runs(first, last):
            for numbers in _pages(runs):
                if tried >= MAX_PAGES_TRIED or budget.spent:
                    budget.tables -= walk.tables_read
                    return
                tried += len(numbers)
                budget.pages -= len(numbers)
                rows, _places = space.gather(numbers)
                for at in np.flatnonzero((rows[:, 0] == ord("M")) & (rows[:, 1] == ord("Z"))).tolist():
                    if budget.spent:
                        break
                    budget.images -= 1
                    base = int(numbers[at]) * PAGE
                    if _is_kernel(reader, base):
                        yield base
        budget.tables -= walk.tables_read
        if budget.spent:
            return


def _pages(runs: MappedRuns) -> Iterator[NDArray[np.uint64]]:
    """The page numbers of runs that can be read, ``_STEP`` at a time: most runs are short."""
    readable = runs.frames >= 0
    starts, counts = runs.pages[readable], runs.counts[readable]
    ends = np.cumsum(counts)
    total = int(ends[-1]) if len(ends) else 0
    for begin in range(0, total, _STEP):
        at = np.arange(begin, min(begin + _STEP, total), dtype=np.int64)
        run = np.searchsorted(ends, at, side="right")
        yield starts[run] + (at - (ends[run] - counts[run])).astype(np.uint64)


def _is_kernel(reader: Reader, base: int) -> bool:
    found = read_image(reader, base)
    pdb = None if found is None else read_pdb_id(reader, found)
    return pdb is not None and pdb.name.casefold() in _KERNELS
