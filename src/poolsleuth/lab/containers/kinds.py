"""One call for every kind of memory image."""

from collections.abc import Callable, Collection
from enum import StrEnum
from pathlib import Path

from poolsleuth.lab.containers.bitmap import write_bitmap
from poolsleuth.lab.containers.complete import write_complete, write_header_only
from poolsleuth.lab.containers.debugger_written import write_debugger_dump
from poolsleuth.lab.containers.elf_core import write_elf_core
from poolsleuth.lab.containers.header import DumpHeaderFields
from poolsleuth.lab.containers.lime import write_lime
from poolsleuth.lab.containers.raw import write_raw
from poolsleuth.lab.containers.summary import write_summary
from poolsleuth.lab.physical import PhysicalImage


class DumpKind(StrEnum):
    """What is written. The comment is the type in the header of a crash dump."""

    COMPLETE = "complete"  # 1
    SUMMARY = "summary"  # 2, the kernel dump of the older kind
    HEADER = "header"  # 3
    BITMAP_FULL = "bitmap-full"  # 5
    BITMAP_KERNEL = "bitmap-kernel"  # 6
    AUTOMATIC = "automatic"  # 7
    DEBUGGER_KERNEL = "debugger-kernel"  # 8
    DEBUGGER_KERNEL_USER = "debugger-kernel-user"  # 9
    DEBUGGER_FULL = "debugger-full"  # 10
    RAW = "raw"
    ELF_CORE = "elf-core"
    LIME = "lime"


_Left = Collection[int]
_WRITERS: dict[DumpKind, Callable[[Path, PhysicalImage, DumpHeaderFields, _Left], int]] = {
    DumpKind.COMPLETE: lambda path, memory, header, left: write_complete(path, memory, header, left_out=left),
    DumpKind.SUMMARY: lambda path, memory, header, left: write_summary(path, memory, header, left_out=left),
    DumpKind.HEADER: lambda path, memory, header, _: write_header_only(path, memory, header),
    DumpKind.BITMAP_FULL: lambda path, memory, header, left: write_bitmap(path, memory, header, 5, left_out=left),
    DumpKind.BITMAP_KERNEL: lambda path, memory, header, left: write_bitmap(path, memory, header, 6, left_out=left),
    DumpKind.AUTOMATIC: lambda path, memory, header, left: write_bitmap(path, memory, header, 7, left_out=left),
    DumpKind.DEBUGGER_KERNEL: lambda path, memory, header, left: write_debugger_dump(
        path, memory, header, 8, left_out=left
    ),
    DumpKind.DEBUGGER_KERNEL_USER: lambda path, memory, header, left: write_debugger_dump(
        path, memory, header, 9, left_out=left
    ),
    DumpKind.DEBUGGER_FULL: lambda path, memory, header, left: write_debugger_dump(
        path, memory, header, 10, left_out=left
    ),
    DumpKind.RAW: lambda path, memory, _, left: write_raw(path, memory, left_out=left),
    DumpKind.ELF_CORE: lambda path, memory, header, left: write_elf_core(path, memory, header, left_out=left),
    DumpKind.LIME: lambda path, memory, _, left: write_lime(path, memory, left_out=left),
}


def write_dump(
    path: Path,
    physical: PhysicalImage,
    header: DumpHeaderFields,
    kind: DumpKind | str,
    *,
    leave_out: Collection[int] | Callable[[int], bool] = (),
) -> int:
    """Write the machine's memory as a new file. Returns how many pages of memory it holds.

    Complete kinds hold every page of the machine, those of kernel memory (summary, bitmap-kernel, automatic,
    debugger-kernel and debugger-kernel-user) the pages that exist. ``leave_out``: numbers of pages that are left out,
    or what says so of a page that exists.

    Raises FileExistsError where the file exists, ValueError for a kind that such a machine does not have.
    """
    chosen = DumpKind(kind)
    if callable(leave_out):
        left: Collection[int] = [number for number in physical.pages() if leave_out(number)]
    else:
        left = leave_out
    return _WRITERS[chosen](path, physical, header, left)
