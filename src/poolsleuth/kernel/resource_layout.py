"""How an ERESOURCE lies in memory: as the symbols say, else as the four layouts of all versions."""

from dataclasses import dataclass

import numpy as np

from poolsleuth.kernel.target import Kernel
from poolsleuth.windows.kernel_table import Field

_VISTA, _WINDOWS_7, _WINDOWS_8, _WINDOWS_10, _ANNIVERSARY = 6000, 7600, 9200, 10240, 14393

# (offset, bytes) of the fields; x86 and x64, before Vista and from Vista on. Windows 2000 is taken to be as XP
_OLD = {
    4: {
        "OwnerTable": (0x8, 4), "ActiveCount": (0xC, 2), "Flag": (0xE, 2), "SharedWaiters": (0x10, 4),
        "ExclusiveWaiters": (0x14, 4), "OwnerThreads": (0x18, 16), "ContentionCount": (0x28, 4),
        "NumberOfSharedWaiters": (0x2C, 2), "NumberOfExclusiveWaiters": (0x2E, 2),
    },
    8: {
        "OwnerTable": (0x10, 8), "ActiveCount": (0x18, 2), "Flag": (0x1A, 2), "SharedWaiters": (0x20, 8),
        "ExclusiveWaiters": (0x28, 8), "OwnerThreads": (0x30, 32), "ContentionCount": (0x50, 4),
        "NumberOfSharedWaiters": (0x54, 2), "NumberOfExclusiveWaiters": (0x56, 2),
    },
}  # fmt: skip
_NEW = {
    4: {
        "OwnerTable": (0x8, 4), "ActiveCount": (0xC, 2), "Flag": (0xE, 2), "SharedWaiters": (0x10, 4),
        "ExclusiveWaiters": (0x14, 4), "OwnerEntry": (0x18, 8), "ActiveEntries": (0x20, 4),
        "ContentionCount": (0x24, 4), "NumberOfSharedWaiters": (0x28, 4), "NumberOfExclusiveWaiters": (0x2C, 4),
    },
    8: {
        "OwnerTable": (0x10, 8), "ActiveCount": (0x18, 2), "Flag": (0x1A, 2), "SharedWaiters": (0x20, 8),
        "ExclusiveWaiters": (0x28, 8), "OwnerEntry": (0x30, 16), "ActiveEntries": (0x40, 4),
        "ContentionCount": (0x44, 4), "NumberOfSharedWaiters": (0x48, 4), "NumberOfExclusiveWaiters": (0x4C, 4),
    },
}  # fmt: skip
_NAMES = {
    "OwnerTable": "table", "ActiveCount": "active", "Flag": "flags", "SharedWaiters": "shared_object",
    "ExclusiveWaiters": "exclusive_object", "ContentionCount": "contention", "NumberOfSharedWaiters": "shared",
    "NumberOfExclusiveWaiters": "exclusive",
}  # fmt: skip
_MAX_SIZE = 0x400  # bytes: the largest ERESOURCE has 0x68


@dataclass(frozen=True, slots=True)
class ResourceLayout:
    """What is read of a resource, as a structured type, and where its owners stand.

    ``link`` is the offset of its list entry. ``entries`` is how many owners are kept in the resource itself: the
    columns ``thread0``, ``count0`` and so on. ``count_shift``: bits below the count of an owner entry, which are flags.
    ``counts_entries``: there is a counter of owning threads. ``wait_thread`` is the offset of the thread in a wait
    block; None where waiting threads cannot be found.
    """

    dtype: "np.dtype[np.void]"
    link: int
    entries: int
    entry_size: int
    count_offset: int
    count_shift: int
    counts_entries: bool
    wait_list: int | None
    wait_thread: int | None


def resource_layout(kernel: Kernel) -> ResourceLayout | None:
    """The layout of this kernel's resources; None when its symbols describe none that could be read."""
    width = kernel.pointer_size
    places = _places(kernel)
    formats: dict[str, tuple[int, str]] = {}
    for field, name in _NAMES.items():
        place = places.get(field)
        if place is None or (place.size or width) not in (1, 2, 4, 8):
            return None
        formats[name] = (place.offset, f"<{'i' if name == 'active' else 'u'}{place.size or width}")
    count_offset, shift = _owner_count(kernel)
    entry_size = 2 * width
    if "OwnerEntry" in places:
        starts = [places["OwnerEntry"].offset]
    elif "OwnerThreads" in places:
        starts = [places["OwnerThreads"].offset, places["OwnerThreads"].offset + entry_size]
    else:
        starts = []
    for i, start in enumerate(starts):
        formats[f"thread{i}"] = (start, f"<u{width}")
        formats[f"count{i}"] = (start + count_offset, "<u4")
    counts_entries = "ActiveEntries" in places
    if counts_entries:
        formats["active_entries"] = (places["ActiveEntries"].offset, "<u4")
    size = max(offset + int(form[2:]) for offset, form in formats.values())
    link = places["SystemResourcesList"].offset if "SystemResourcesList" in places else 0
    if size > _MAX_SIZE:
        return None
    dtype = np.dtype(
        {
            "names": list(formats),
            "formats": [form for _, form in formats.values()],
            "offsets": [offset for offset, _ in formats.values()],
            "itemsize": size,
        }
    )
    wait_list, wait_thread = _wait_places(kernel)
    return ResourceLayout(
        dtype=dtype,
        link=link,
        entries=len(starts),
        entry_size=entry_size,
        count_offset=count_offset,
        count_shift=shift,
        counts_entries=counts_entries,
        wait_list=wait_list,
        wait_thread=wait_thread,
    )


def _places(kernel: Kernel) -> dict[str, Field]:
    structure = kernel.structure("_ERESOURCE")
    if structure is not None:
        return dict(structure.fields)
    table = (_NEW if kernel.build >= _VISTA else _OLD)[kernel.pointer_size]
    return {name: Field(offset, size) for name, (offset, size) in table.items()}


def _owner_count(kernel: Kernel) -> tuple[int, int]:
    """Where the count of an owner entry lies, and how many flags lie below it."""
    place = kernel.place("_OWNER_ENTRY", "OwnerCount")
    if place is not None and kernel.exact:
        return place.offset, place.bit or 0
    # Without symbols, by build: two flags came with Windows 7, one more with 1607
    shift = 0 if kernel.build < _WINDOWS_7 else 2 if kernel.build < _ANNIVERSARY else 3
    return kernel.pointer_size, shift


def _wait_places(kernel: Kernel) -> tuple[int | None, int | None]:
    """Where a dispatcher object keeps its wait list, and a wait block its thread; None from Windows 10 on.

    From Windows 10 on a resource points to chains of another kind, whose layout is not public.
    """
    if kernel.build >= _WINDOWS_10:
        return None, None
    listed, thread = kernel.place("_DISPATCHER_HEADER", "WaitListHead"), kernel.place("_KWAIT_BLOCK", "Thread")
    if thread is None and kernel.build >= _WINDOWS_8:
        return None, None  # it moved in Windows 8
    return 8 if listed is None else listed.offset, 2 * kernel.pointer_size if thread is None else thread.offset
