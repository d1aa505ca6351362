"""Pool usage by tag of the whole system: the tag tables of all processors and the expansion table.

Up to Windows Server 2003 there is one table. From Vista on every processor counts in a table of its own, and only the
sum of all of them (``ExPoolTagTables``) means anything; ``PoolTrackTable`` is the first of them. Tags that find no row
there have one in ``PoolTrackTableExpansion``.
"""

from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass

from poolsleuth.kernel.address_space import PAGE, Reader
from poolsleuth.kernel.addresses import is_kernel_address
from poolsleuth.kernel.pool.tag_totals import TagTotals, no_totals
from poolsleuth.kernel.pool.tracker_layout import tracker_layout
from poolsleuth.kernel.pool.tracker_sum import MAX_ALL_ROWS, MAX_ROWS, Sum, totals
from poolsleuth.kernel.target import Kernel

MAX_PROCESSORS = 2048  # Windows has tables for no more
_MAX_PROCESSORS_X86 = 32
_FIRST_PER_PROCESSOR = 6000  # build of Windows Vista
_TAGS_ALWAYS = 3790  # build from which on tags are always counted
# Slots of ExPoolTagTables from a build on, 64-bit (from the distance to the next symbol)
_SLOTS = ((6000, 256), (9200, 640), (15063, 1280), (20348, 2048))


@dataclass(frozen=True, slots=True)
class _Tables:
    """Addresses of the tables; ``expected`` is None when their number is not known.

    ``sound`` is False where the addresses contradict each other. ``behind`` are addresses in the slots behind those of
    the processors: tables, too, when the number of processors is wrong.
    """

    addresses: tuple[int, ...]
    expected: int | None
    says: tuple[str, ...] = ()
    sound: bool = True
    behind: tuple[int, ...] = ()


def read_tag_totals(kernel: Kernel) -> TagTotals:
    """What every tag has in use, summed over all tag tables. Nothing raises: what is missing is said in ``says``."""
    main = kernel.variable("PoolTrackTable")
    rows = kernel.variable("PoolTrackTableSize")
    if main == 0 or rows == 0:
        return no_totals(_not_tracked(kernel))
    if main is not None and not is_kernel_address(main, kernel.pointer_size):
        return no_totals(f"the address of the tag table, {main:#x}, cannot be one of the kernel")
    if rows is None:
        return no_totals("how many rows the tag table has is not known: tags are not read")
    if rows > MAX_ROWS:
        return no_totals(f"the tag table is said to have {rows:,} rows, more than any Windows has: it is not read")
    tables = _tables(kernel, main)
    if not tables.addresses:
        return no_totals(*tables.says, "where the tag table lies is not known", expected=tables.expected)
    return _read(kernel, tables, rows)


def _read(kernel: Kernel, tables: _Tables, rows: int) -> TagTotals:
    memory = kernel.memory
    for address in tables.addresses:
        layout = tracker_layout(kernel, memory, address, rows)
        if layout is not None:
            break
    else:
        if _is_empty(memory, tables.addresses[0], rows):
            return no_totals(_not_tracked(kernel), expected=tables.expected)
        return no_totals(
            *tables.says,
            "no known layout fits the tag table, or it lies in memory that is not in the dump",
            expected=tables.expected,
        )
    says = [*tables.says]
    addresses = tables.addresses[: max(MAX_ALL_ROWS // rows, 1)]
    if len(addresses) < len(tables.addresses):
        says.append(f"only {len(addresses):,} of {len(tables.addresses):,} tag tables are read: they are too large")
    added = Sum(layout, rows)
    # Tables that are not there at all leave no row certain
    read = sum([added.add(memory, address) for address in addresses])
    further = 0
    for address in tables.behind[: max(MAX_ALL_ROWS // rows - len(addresses), 0)]:
        # Memory images often tell a wrong number of processors: what holds the same tags in the same rows is a table
        if not added.has_the_tags_of(memory, address) or not added.add(memory, address):
            break
        further += 1
    if further:
        says.append(f"processors: {tables.expected:,}, tag tables: {read + further:,}; all of them are added")
    if not read:
        return no_totals(*says, "the tag tables lie in memory that cannot be read", expected=tables.expected)
    if not added.keys.any() and not added.missing:
        return no_totals(_not_tracked(kernel), expected=tables.expected)
    mask = kernel.variable("PoolTrackTableMask")
    if mask is not None and mask + 1 not in (rows, rows - 1):
        says.append(f"the tag table's size, {rows:,} rows, and its mask, {mask:#x}, do not agree")
    complete = tables.sound and tables.expected is not None and read >= tables.expected
    if tables.expected is not None and read < tables.expected:
        says.append(f"{read:,} of the {tables.expected:,} processors' tag tables can be read")
    expansion, whole, words = _expansion(kernel, memory, added)
    return totals(
        added,
        expansion,
        says=[*says, *words],
        complete=complete and whole,
        tables_read=read + further,
        tables_expected=None if tables.expected is None else tables.expected + further,
        expansion_read=whole,
    )


def _tables(kernel: Kernel, main: int | None) -> _Tables:
    """The tables of all processors, ``PoolTrackTable`` first."""
    first = () if main is None else (main,)
    if kernel.build < _FIRST_PER_PROCESSOR:
        return _Tables(first, 1)
    processors = _processors(kernel)
    array = kernel.address("ExPoolTagTables")
    if array is None:
        if processors == 1:
            return _Tables(first, 1)
        # One of several tables: its figures may even be negative
        says = "where the other processors' tag tables lie is not known: figures are those of one processor"
        return _Tables(first, processors, (says,))
    slots = _slots(kernel, array)
    says_more = []
    if processors is not None and processors > slots:
        says_more.append(f"{processors:,} processors, but tag tables for {slots:,}")
    wanted = min(processors, slots) if processors is not None else slots
    behind: list[int] = []
    if processors is not None and wanted < slots:
        for pointer in _pointers(kernel.memory, array + wanted * kernel.pointer_size, slots - wanted):
            if pointer is None or not is_kernel_address(pointer, kernel.pointer_size):
                break
            behind.append(pointer)
    found: list[int] = []
    unreadable = odd = 0
    for pointer in _pointers(kernel.memory, array, wanted):
        if pointer == 0 and processors is None:
            break
        if pointer is None:
            unreadable += 1
        elif not is_kernel_address(pointer, kernel.pointer_size) or pointer in found:
            odd += 1
            if processors is None:
                break
        else:
            found.append(pointer)
    if unreadable:
        says_more.append(f"the addresses of {unreadable:,} tag tables cannot be read")
    if odd:
        says_more.append(f"the addresses of {odd:,} tag tables cannot be right")
    expected = processors if processors is not None else None if unreadable or odd or not found else len(found)
    sound = True
    if main is not None and main not in found:
        if found and not unreadable:
            sound = False
            says_more.append("the first tag table is not among those of the processors")
        if len(found) < wanted:
            found.insert(0, main)
    further = tuple(dict.fromkeys(pointer for pointer in behind if pointer not in found))
    return _Tables(tuple(found), expected, tuple(says_more), sound, further)


def _pointers(memory: Reader, array: int, count: int) -> Iterator[int | None]:
    """The pointers of an array; None for those that cannot be read."""
    width = memory.pointer_size
    raw = memory.read(array, count * width)
    for at in range(0, count * width, width):
        yield memory.pointer(array + at) if raw is None else int.from_bytes(raw[at : at + width], "little")


def _processors(kernel: Kernel) -> int | None:
    """The number of processors; None when it is not known or cannot be right."""
    most = MAX_PROCESSORS if kernel.pointer_size == 8 else _MAX_PROCESSORS_X86
    for number in (kernel.processors, kernel.variable("KeNumberProcessors", 4)):
        if number is not None and 0 < number <= most:
            return number
    return None


def _slots(kernel: Kernel, array: int) -> int:
    """How many pointers ``ExPoolTagTables`` has at most."""
    if kernel.pointer_size == 4:
        slots = _MAX_PROCESSORS_X86
    else:
        slots = _SLOTS[max(bisect_right(_SLOTS, (kernel.build, MAX_PROCESSORS)) - 1, 0)][1]
    if kernel.table is not None:
        behind = min((at for at in kernel.table.symbols.values() if at > array - kernel.base), default=None)
        if behind is not None:
            slots = min(slots, (behind - (array - kernel.base)) // kernel.pointer_size)
    return slots


def _expansion(kernel: Kernel, memory: Reader, main: Sum) -> tuple[Sum | None, bool, list[str]]:
    """The expansion table if there is one, whether nothing of it is missing, and what is to be said."""
    return read_expansion(
        memory,
        main,
        kernel.variable("PoolTrackTableExpansion"),
        kernel.variable("PoolTrackTableExpansionSize"),
        may_lack=may_lack_expansion(kernel),
    )


def may_lack_expansion(kernel: Kernel) -> bool:
    """Whether an expansion table that is not known need not exist: not in its symbols, or before Windows Vista."""
    return kernel.exact or kernel.build < _FIRST_PER_PROCESSOR


def read_expansion(
    memory: Reader, main: Sum, address: int | None, rows: int | None, *, may_lack: bool
) -> tuple[Sum | None, bool, list[str]]:
    """The table of tags that found no row in the ``main`` one: its sums, whether nothing is missing, and what to say.

    With an unknown ``address`` none is believed to exist where it ``may_lack`` and the main table has rows to spare.
    """
    if address == 0:
        return None, True, []
    if address is None:
        # The last row takes what overflows and is no row to spare
        spare = bool((main.keys[:-1][main.certain[:-1]] == 0).any())
        if spare and may_lack:
            return None, True, []
        return None, False, ["where the expansion of the tag table lies is not known: rare tags may be missing"]
    if not is_kernel_address(address, memory.pointer_size) or not rows or rows > MAX_ROWS:
        return None, False, ["the expansion of the tag table has an address or a size that cannot be right"]
    added = Sum(main.layout, rows)
    if not added.add(memory, address):
        return None, False, ["the expansion of the tag table lies in memory that cannot be read"]
    return added, True, []


def _is_empty(memory: Reader, address: int, rows: int) -> bool:
    """Whether the beginning of a table can be read and holds nothing."""
    raw = memory.read(address, min(rows * 0x1C, PAGE))
    return raw is not None and not any(raw)


def _not_tracked(kernel: Kernel) -> str:
    if kernel.build < _TAGS_ALWAYS:
        return (
            "the tag table is empty: this Windows counts pool by tag only after pool tagging was switched on"
            " (gflags /r +ptg, then a restart)"
        )
    return "the tag table is empty: the kernel had not made it yet, or it was overwritten"
