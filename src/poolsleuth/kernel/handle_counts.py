"""How many handles a process has open."""

from poolsleuth.kernel.records import RecordPlan
from poolsleuth.kernel.target import Kernel

MAX_HANDLES = 1 << 24  # of one process: the limit of Windows
MAX_LISTS = 256  # lists of free handles in one table
MAX_LIST_SIZE = 0x100  # bytes of one: 0x40 in 64-bit Windows
_STRICT = 1  # of the flags: one list only


class HandleCounter:
    """Counts the handles of handle tables.

    Up to Windows 8 a table keeps one count. From 8.1 on each of its lists of free handles keeps its own, which may be
    below zero, for a handle may be closed into another list than the one it was taken from: their sum counts. How many
    lists there are is in nt!ExpFreeListCount; where that is not known, one for each processor is a guess.
    """

    __slots__ = ("_each", "_kernel", "_list", "_lists", "_plan")

    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel
        self._plan = RecordPlan(kernel, "_HANDLE_TABLE", ("HandleCount", "FreeLists", "Flags", "NextHandleNeedingPool"))
        self._list = RecordPlan(kernel, "_HANDLE_TABLE_FREE_LIST", ("HandleCount",))
        structure = kernel.structure("_HANDLE_TABLE_FREE_LIST")
        size = 0 if structure is None else structure.size
        self._each = size if size <= MAX_LIST_SIZE else 0
        lists = kernel.variable("ExpFreeListCount", 4)
        self._lists = lists if lists and lists <= MAX_LISTS else None

    def count(self, table: int | None) -> tuple[int | None, bool]:
        """The handles of the table at ``table``, and whether the number of lists had to be guessed.

        A process that ends has no table any more (an address of 0), and no handles. None when the count, or where the
        table lies, cannot be read, or when it cannot be true.
        """
        if not table:
            return table, False
        record = self._plan.read(self._kernel.memory, table)
        if "HandleCount" in self._plan:
            handles = record.number("HandleCount")
            return (handles if handles is not None and handles <= MAX_HANDLES else None), False
        first, flags = record.place("FreeLists"), record.number("Flags")
        if first is None or "HandleCount" not in self._list or not self._each or flags is None:
            return None, False
        guessed = False
        lists = 1 if flags & _STRICT else self._lists
        if lists is None:
            lists, guessed = self._kernel.processors or 0, True
        if not 0 < lists <= MAX_LISTS:
            return None, False
        total = self._sum(first, lists)
        if total is None:
            return None, False
        # A handle is a multiple of 4: no more are open than there is room for
        room = record.number("NextHandleNeedingPool")
        if total < 0 or total > MAX_HANDLES or (room is not None and total > room // 4):
            return None, False
        return total, guessed

    def _sum(self, first: int, lists: int) -> int | None:
        """The counts of all lists, read at once; None when not all can be read, or one cannot be true."""
        place = self._list.fields["HandleCount"]
        raw = self._kernel.memory.read(first, lists * self._each)
        if raw is None:
            return None
        total = 0
        for at in range(place.offset, len(raw), self._each):
            part = int.from_bytes(raw[at : at + 4], "little", signed=True)
            if abs(part) > MAX_HANDLES:
                return None
            total += part
        return total
