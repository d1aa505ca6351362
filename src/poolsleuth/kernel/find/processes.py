"""Which layout of processes and threads fits a dump: by the sizes that KDBG gives, or by the first process itself."""

from collections.abc import Iterable, Mapping, Sequence

from poolsleuth.kernel.address_space import PAGE, Reader
from poolsleuth.kernel.find.lists import list_is_sane
from poolsleuth.kernel.kdbg import Kdbg
from poolsleuth.windows.kernel_table import Field, Structure

_SYSTEM_IDS = (4, 8)  # the System process since XP, and in Windows 2000
_NAME = b"System\0"
_DIRECTORY = "Pcb.DirectoryTableBase"
_LINKS = "ActiveProcessLinks"
_PARENT = "InheritedFromUniqueProcessId"
# What the test of the first process shows to be true; nothing else of that layout is believed
_TESTED = ("UniqueProcessId", _LINKS, "ImageFileName", _DIRECTORY)
# The first byte of a process object, as tools that search memory for processes know it. Layouts whose tested fields lie
# alike to each other, but not alike to the object's start, are told apart by it and by the page tables
_PROCESS_OBJECT = 3
_TABLE_UNIT = 32
_HIGHEST_TABLE = 1 << 52  # physical addresses have 52 bits
_PARTLY = "of processes only numbers, names and page tables are read: the rest of their layout could not be checked"


def process_layout(
    memory: Reader, kdbg: Kdbg | None, head: int | None, layouts: Sequence[Structure], own: Structure | None = None
) -> tuple[Structure | None, str | None]:
    """The layout of _EPROCESS, and a sentence when it is not the whole one. ``head`` is PsActiveProcessHead.

    A layout whose size and parent's field are those in KDBG is believed as a whole. Else the first process of the list
    must be called System and have its number. When the parent's field is that of KDBG as well, or the layout is
    ``own`` (that of the very build), what lies between the fields that were tested is believed; else nothing but them.
    """
    parent = None
    if kdbg is not None:
        size, parent = kdbg.values.get("SizeEProcess"), kdbg.values.get("OffsetEprocessParentCID")
        for layout in layouts:
            if layout.size == size and layout.fields[_PARENT].offset == parent:
                return layout, None
    if head is None or list_is_sane(memory, head) is not True:
        return None, "the layout of processes could not be checked: processes were not read"
    first = memory.pointer(head)
    passed = [] if first is None or first == head else _passing(memory, first, layouts)
    if not passed:
        return None, "no known layout of processes fits the dump: processes were not read"
    for layout in passed:
        if layout.fields[_PARENT].offset == parent or (parent is None and layout == own):
            last = layout.fields["ImageFileName"].offset
            return _part(layout, kdbg, [name for name, place in layout.fields.items() if place.offset <= last]), None
    return _part(passed[0], kdbg, _TESTED), _PARTLY


def _passing(memory: Reader, links: int, layouts: Sequence[Structure]) -> list[Structure]:
    """The layouts by which the process is System. Where its start remains in doubt there is none."""
    found = [layout for layout in layouts if _is_system(memory, links, layout)]
    starts = {layout.fields[_LINKS].offset for layout in found}
    marked = {start for start in starts if memory.number(links - start, 1) == _PROCESS_OBJECT}
    if len(marked or starts) > 1:
        return []
    return [layout for layout in found if layout.fields[_LINKS].offset in (marked or starts)]


def _is_system(memory: Reader, links: int, layout: Structure) -> bool:
    process = links - layout.fields[_LINKS].offset
    if memory.pointer(process + layout.fields["UniqueProcessId"].offset) not in _SYSTEM_IDS:
        return False
    if memory.read(process + layout.fields["ImageFileName"].offset, len(_NAME)) != _NAME:
        return False
    tables = memory.pointer(process + layout.fields[_DIRECTORY].offset)
    if tables is None or tables >= _HIGHEST_TABLE:
        return False
    # The lower bits are flags, but for 32-bit kernels with PAE, whose top-level tables have 32 bytes
    return tables >= PAGE and (memory.pointer_size == 8 or tables % _TABLE_UNIT == 0)


def _part(layout: Structure, kdbg: Kdbg | None, names: Iterable[str]) -> Structure:
    fields = {name: layout.fields[name] for name in names}
    parent = None if kdbg is None else kdbg.values.get("OffsetEprocessParentCID")
    if parent:
        fields[_PARENT] = Field(parent, layout.fields[_PARENT].size)
    size = layout.size if kdbg is None else kdbg.values.get("SizeEProcess", layout.size)
    return Structure(size, fields)


def thread_layouts(kdbg: Kdbg | None, layouts: Mapping[str, Structure]) -> dict[str, Structure]:
    """_ETHREAD and _KTHREAD where KDBG gives the same size of a thread; else none."""
    thread = layouts.get("_ETHREAD")
    if kdbg is None or thread is None or thread.size != kdbg.values.get("SizeEThread"):
        return {}
    return {name: layouts[name] for name in ("_ETHREAD", "_KTHREAD") if name in layouts}
