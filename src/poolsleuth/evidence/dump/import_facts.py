"""Which modules can have taken memory that names no driver: importers of the routines that take it."""

from collections.abc import Iterator

from poolsleuth.evidence.dump.block_facts import looks_fragmented
from poolsleuth.evidence.dump.context import DumpContext
from poolsleuth.evidence.dump.module_memory import session_memory
from poolsleuth.kernel.imports import ImportSearch, ImportSlot, search_imports
from poolsleuth.kernel.modules import read_modules
from poolsleuth.kernel.target import Kernel
from poolsleuth.model.facts import Fact
from poolsleuth.model.module_search import ModuleSearch
from poolsleuth.model.modules import MemoryHit, PointerRow, PointerTable, SymbolAddress
from poolsleuth.model.tags import TagTable
from poolsleuth.windows.shared_tags import ROUTINES

WORTH_SHARE = 0.10  # of all tagged bytes of a pool: the pattern speaks of untagged memory from 15 % of a pool on
WORTH_BYTES = 16 << 20  # of a tag: it is looked into, however large the pool is
IN_PIECES = 0.30  # of a pool's pages in no tag: the pattern speaks of fragmentation from there on
CONTIGUOUS = frozenset({"MmCm", "Cont"})
MAX_TOLD = 500  # places that are handed on


def import_facts(kernel: Kernel, told: list[Fact], context: DumpContext) -> Iterator[Fact]:
    """Search all modules for the routines of those tags that hold a notable part of a pool; else nothing."""
    symbols = dict.fromkeys(s for tag, routines in ROUTINES.items() if _worth_it(tag, told) for s in routines)
    if not symbols:
        return
    loaded = read_modules(kernel)
    if not loaded.modules:
        return  # why is told where the list itself is read
    names = {symbol: symbol.partition("!")[2] for symbol in symbols}
    search = search_imports(kernel, loaded.modules, names.values(), lambda: session_memory(kernel))
    if search.says is not None:
        context.problem(f"imports: {search.says}")
    for symbol in symbols:
        yield from _of_routine(symbol, names[symbol], search, loaded.whole, loaded.address, context)


def _worth_it(tag: str, told: list[Fact]) -> bool:
    # Contiguous memory takes a pool apart although little of it is in use at a time
    in_pieces = tag in CONTIGUOUS and looks_fragmented(told, IN_PIECES)
    for table in told:
        if not isinstance(table, TagTable) or table.session is not None:
            continue
        for row in table.rows:
            if row.tag == tag and row.bytes:
                all_bytes = sum(other.bytes or 0 for other in table.rows if other.pool is row.pool)
                if in_pieces or row.bytes >= WORTH_BYTES or row.bytes >= WORTH_SHARE * all_bytes:
                    return True
    return False


def _of_routine(
    symbol: str, name: str, search: ImportSearch, whole_list: bool, list_address: int | None, context: DumpContext
) -> Iterator[Fact]:
    address = search.addresses.get(name)
    slots = [slot for slot in search.slots if slot.routine == name]
    if address is None and not slots:
        return  # most kernels have only some of the routines
    if address is not None:
        yield SymbolAddress(**context.base(address), symbol=symbol, address=address)
    yield ModuleSearch(
        **context.base(list_address),
        symbol=symbol,
        address=address,
        modules=search.modules,
        unseen=tuple(module.name for module in search.unseen),
        unread_bytes=search.unread_bytes,
        unread_modules=search.unread_modules,
        whole_list=whole_list and search.says is None,
    )
    if len(slots) > MAX_TOLD:
        context.problem(f"imports: {len(slots):,} places hold {symbol}: the first {MAX_TOLD} are looked at")
    for slot in slots[:MAX_TOLD]:
        yield _place(slot, symbol, context)


def _place(slot: ImportSlot, symbol: str, context: DumpContext) -> Fact:
    if slot.in_table:
        row = PointerRow(slot.slot, slot.value, symbol, context.where(slot.slot))
        return PointerTable(**context.base(slot.slot), rows=(row,), is_import_table=True)
    return MemoryHit(
        **context.base(slot.slot), address=slot.slot, values=(slot.value,), text="", searched=f"{slot.value:x}"
    )
