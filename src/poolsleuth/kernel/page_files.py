"""Page files: MmPagingFile[] up to Windows 8.1, the system partition's PagingFile[] after."""

from dataclasses import dataclass

from poolsleuth.kernel.address_space import PAGE
from poolsleuth.kernel.records import Record, RecordPlan
from poolsleuth.kernel.target import Kernel
from poolsleuth.windows.kernel_table import Field

MAX_PAGE_FILES = 16  # slots of the array in every version
MAX_PAGES = 1 << 32  # 16 TB: the largest page file of any Windows
# Sizes stand first, in pages, in all versions; the name's place differs
_SIZES = ("Size", "MaximumSize", "MinimumSize", "FreeSpace")
_WINDOWS_10 = 10240


@dataclass(frozen=True, slots=True)
class KernelPageFile:
    """One page file; sizes in bytes, None what cannot be read or cannot be true.

    ``name`` is None for the file that stands for compressed memory (the debugger prints ``No Name for Paging File``)
    and where the name cannot be read. ``virtual_store`` and ``swap`` are None where the layout has no such flags.
    ``address`` is that of the MMPAGING_FILE.
    """

    address: int
    name: str | None
    current_bytes: int | None
    free_bytes: int | None
    minimum_bytes: int | None
    maximum_bytes: int | None
    virtual_store: bool | None
    swap: bool | None


@dataclass(frozen=True, slots=True)
class PageFiles:
    """The page files, in the order of their numbers. ``says`` is why they (or some) are missing, else None."""

    files: tuple[KernelPageFile, ...]
    whole: bool
    says: str | None
    address: int | None


def read_page_files(kernel: Kernel) -> PageFiles:
    """The page files of the system."""
    slots, count = _slots(kernel)
    if slots is None:
        return PageFiles((), False, "where the list of page files lies in this version is not known", None)
    if count is None or count > MAX_PAGE_FILES:
        return PageFiles((), False, "the number of page files cannot be read or cannot be true", slots)
    width = kernel.pointer_size
    fallback = {name: Field(i * width, width) for i, name in enumerate(_SIZES)}
    plan = RecordPlan(
        kernel, "_MMPAGING_FILE", (*_SIZES, "PageFileName", "WsSwapPagefile", "VirtualStorePagefile"), fallback
    )
    files: list[KernelPageFile] = []
    for i in range(count):
        address = kernel.memory.pointer(slots + i * width)
        file = _file(plan.read(kernel.memory, address)) if address else None
        if file is not None:
            files.append(file)
    lost = count - len(files)
    says = f"{lost} of {count} page files cannot be read" if lost else None
    return PageFiles(tuple(files), not lost, says, slots)


def _slots(kernel: Kernel) -> tuple[int | None, int | None]:
    """The address of the array of pointers, and how many of them are in use."""
    partition = kernel.address("MiSystemPartition")
    place = kernel.place("_MI_PARTITION", "Vp.PagingFile")
    if partition is not None and place is not None:
        return partition + place.offset, kernel.value(partition, "_MI_PARTITION", "Vp.NumberOfPagingFiles")
    if kernel.build >= _WINDOWS_10 and not (kernel.table is not None and "MmPagingFile" in kernel.table.symbols):
        return None, None
    return kernel.address("MmPagingFile"), kernel.variable("MmNumberOfPagingFiles", 4)


def _file(record: Record) -> KernelPageFile | None:
    """None when nothing of it can be read."""
    numbers = {name: record.number(name) for name in _SIZES}
    if all(number is None for number in numbers.values()):
        return None
    size, maximum, minimum, free = (_bytes(numbers[name]) for name in _SIZES)
    if size is not None and free is not None and free > size:
        free = None
    name = record.unicode_string("PageFileName")
    store, swap = record.number("VirtualStorePagefile"), record.number("WsSwapPagefile")
    return KernelPageFile(
        address=record.address,
        name=name.partition("\0")[0] or None if name else None,
        current_bytes=size,
        free_bytes=free,
        minimum_bytes=minimum,
        maximum_bytes=maximum,
        virtual_store=None if store is None else bool(store),
        swap=None if swap is None else bool(swap),
    )


def _bytes(pages: int | None) -> int | None:
    return None if pages is None or pages > MAX_PAGES else pages * PAGE
