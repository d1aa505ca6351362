"""The threads that hold a resource and those that wait for it."""

from poolsleuth.kernel.address_space import Rows
from poolsleuth.kernel.linked_lists import walk_list
from poolsleuth.kernel.resource_layout import ResourceLayout
from poolsleuth.kernel.target import Kernel

MAX_OWNERS = 4096  # entries of the table of owners: threads that hold one resource at the same time
MAX_WAITERS = 4096  # threads in one wait list
MAX_THREADS = 1 << 18  # threads of all resources together: a damaged list can lead to the same ones again and again
_FLAGS = 3  # of the pointer to a thread


class ResourceThreads:
    """Reads threads until ``MAX_THREADS`` are read; from then on it finds none, and ``cut`` is True."""

    __slots__ = ("_kernel", "_layout", "_left", "cut")

    def __init__(self, kernel: Kernel, layout: ResourceLayout) -> None:
        self._kernel, self._layout = kernel, layout
        self._left = MAX_THREADS
        self.cut = False

    def _may_read(self, count: int) -> bool:
        if count > self._left:
            self.cut = True
            return False
        self._left -= count
        return True

    def owners(self, row: Rows) -> list[tuple[int, int, int]]:
        """Thread, pointer as kept, and count of every owner that can be read."""
        layout = self._layout
        found: list[tuple[int, int]] = [
            (int(row[f"thread{i}"]), int(row[f"count{i}"]) >> layout.count_shift) for i in range(layout.entries)
        ]
        table = int(row["table"])
        if table and layout.entries:
            found += self._table(table)
        return [(thread & ~_FLAGS, thread, count) for thread, count in found if thread & ~_FLAGS and count]

    def _table(self, table: int) -> list[tuple[int, int]]:
        """The owners beside the resource: the first entry keeps the table's size where the others keep their count."""
        memory, each, at = self._kernel.memory, self._layout.entry_size, self._layout.count_offset
        size = memory.number(table + at, 4)
        if size is None or not 1 < size <= MAX_OWNERS or not self._may_read(size):
            return []
        raw = memory.read(table + each, (size - 1) * each)
        if raw is None:
            return []
        width = memory.pointer_size
        return [
            (
                int.from_bytes(raw[i : i + width], "little"),
                int.from_bytes(raw[i + at : i + at + 4], "little") >> self._layout.count_shift,
            )
            for i in range(0, len(raw), each)
        ]

    def waiters(self, waited: int, count: int) -> tuple[int, ...]:
        """The threads that wait for the semaphore or event at ``waited``, in the order they came."""
        memory, layout = self._kernel.memory, self._layout
        if not count or not waited or layout.wait_list is None or layout.wait_thread is None or not self._may_read(1):
            return ()
        blocks = walk_list(memory, waited + layout.wait_list, min(MAX_WAITERS, self._left)).entries.tolist()
        self._may_read(len(blocks))
        threads = (memory.pointer(block + layout.wait_thread) for block in blocks)
        return tuple(thread for thread in threads if thread)
