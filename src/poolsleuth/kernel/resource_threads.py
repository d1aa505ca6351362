"""The threads that hold a resource and those that wait for it."""

from poolsleuth.kernel.address_space import Rows
from poolsleuth.kernel.linked_lists import walk_list
from poolsleuth.kernel.resource_layout import ResourceLayout
from poolsleuth.kernel.target import Kernel

MAX_OWNERS = 4096  # entries of the table of owners: threads that hold one resource at the same time
MAX_WAITERS = 4096  # threads in one wait list
_FLAGS = 3  # of the pointer to a thread


def owners(kernel: Kernel, layout: ResourceLayout, row: Rows) -> list[tuple[int, int, int]]:
    """Thread, pointer as kept, and count of every owner that can be read."""
    found: list[tuple[int, int]] = [
        (int(row[f"thread{i}"]), int(row[f"count{i}"]) >> layout.count_shift) for i in range(layout.entries)
    ]
    table = int(row["table"])
    if table and layout.entries:
        found += _table(kernel, layout, table)
    return [(thread & ~_FLAGS, thread, count) for thread, count in found if thread & ~_FLAGS and count]


def _table(kernel: Kernel, layout: ResourceLayout, table: int) -> list[tuple[int, int]]:
    """The owners beside the resource: the first entry keeps the table's size where the others keep their count."""
    each, at = layout.entry_size, layout.count_offset
    size = kernel.memory.number(table + at, 4)
    if size is None or not 1 < size <= MAX_OWNERS:
        return []
    raw = kernel.memory.read(table + each, (size - 1) * each)
    if raw is None:
        return []
    width = kernel.pointer_size
    return [
        (
            int.from_bytes(raw[i : i + width], "little"),
            int.from_bytes(raw[i + at : i + at + 4], "little") >> layout.count_shift,
        )
        for i in range(0, len(raw), each)
    ]


def waiters(kernel: Kernel, layout: ResourceLayout, waited: int, count: int) -> tuple[int, ...]:
    """The threads that wait for the semaphore or event at ``waited``, in the order they came."""
    if not count or not waited or layout.wait_list is None or layout.wait_thread is None:
        return ()
    walk = walk_list(kernel.memory, waited + layout.wait_list, MAX_WAITERS)
    threads = (kernel.memory.pointer(block + layout.wait_thread) for block in walk.entries.tolist())
    return tuple(thread for thread in threads if thread)
