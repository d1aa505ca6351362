"""Pool usage by tag of one session: a table of its own, that only the session's processes see.

``ExpSessionPoolTrackTable`` holds the table's address, the same in every session. Where it is not known (Windows 11
has no such symbol) the session space tells: ``_MM_SESSION_SPACE.PoolTags`` is the table itself, or its address.
"""

from poolsleuth.kernel.address_space import Reader
from poolsleuth.kernel.addresses import is_kernel_address
from poolsleuth.kernel.pool.layout import number_at
from poolsleuth.kernel.pool.tag_totals import TagTotals, no_totals
from poolsleuth.kernel.pool.tracker_layout import tracker_layout
from poolsleuth.kernel.pool.tracker_sum import MAX_ROWS, Sum, totals
from poolsleuth.kernel.pool.tracker_tables import may_lack_expansion, read_expansion
from poolsleuth.kernel.sessions import Session
from poolsleuth.kernel.target import Kernel

_SPACE = "_MM_SESSION_SPACE"


def read_session_tags(kernel: Kernel, session: Session) -> TagTotals:
    """What every tag has in use in one session (nearly all of it paged session pool).

    Nothing raises: where the table cannot be found or read, the totals are empty and say why.
    """
    number = session.id
    if session.memory is None:
        return no_totals("the session's memory cannot be read", expected=1, session=number)
    address, room = _table(kernel, session)
    if address is None:
        return no_totals("where the session's tag table lies is not known", expected=1, session=number)
    if not is_kernel_address(address, kernel.pointer_size):
        return no_totals("the address of the session's tag table cannot be right", expected=1, session=number)
    rows = kernel.variable("ExpSessionPoolTrackTableSize")
    if rows is None and room is None:
        return no_totals("how many rows the session's tag table has is not known", expected=1, session=number)
    if rows is not None and not 0 < rows <= MAX_ROWS:
        return no_totals(f"a session's tag table cannot have {rows:,} rows", expected=1, session=number)
    return _read(kernel, session, session.memory, address, rows, room)


def _read(
    kernel: Kernel, session: Session, memory: Reader, address: int, rows: int | None, room: int | None
) -> TagTotals:
    """``room`` is how many bytes of the session space the table has; None when it lies elsewhere."""
    number = session.id
    guess = rows if rows is not None else min((room or 0) // 0x1C, MAX_ROWS)
    layout = tracker_layout(kernel, memory, address, guess)
    if layout is None:
        return no_totals("no known layout fits the session's tag table", expected=1, session=number)
    says: list[str] = []
    fitting = room // layout.structure.size if room is not None else None
    if rows is None:
        rows = fitting or 0
    elif fitting is not None and fitting < rows:
        says.append(f"the session's tag table is said to have {rows:,} rows, but there is room for {fitting:,}")
        rows = fitting
    if not rows:
        return no_totals("the session's tag table has no rows", expected=1, session=number)
    added = Sum(layout, rows)
    if not added.add(memory, address):
        return no_totals("the session's tag table cannot be read", expected=1, session=number)
    expansion, whole, words = read_expansion(
        memory,
        added,
        number_at(memory, session.address, kernel.place(_SPACE, "PoolTrackTableExpansion")),
        number_at(memory, session.address, kernel.place(_SPACE, "PoolTrackTableExpansionSize")),
        may_lack=may_lack_expansion(kernel) and kernel.place(_SPACE, "PoolTrackTableExpansion") is None,
    )
    return totals(
        added,
        expansion,
        says=[*says, *words],
        complete=whole and not says,
        tables_read=1,
        tables_expected=1,
        expansion_read=whole,
        session=number,
    )


def _table(kernel: Kernel, session: Session) -> tuple[int | None, int | None]:
    """Where the table lies, and how many bytes it can have there; None for what is not known."""
    place = kernel.place(_SPACE, "PoolTags")
    inline = place is not None and place.size is not None and place.size > kernel.pointer_size
    begin = session.address + place.offset if place is not None else 0
    end = begin + (place.size or 0) if place is not None else 0
    address = kernel.variable("ExpSessionPoolTrackTable")
    if address:
        return address, end - address if inline and begin <= address < end else None
    if place is None or session.memory is None:
        return None, None
    if inline:
        return begin, place.size
    pointer = session.memory.pointer(begin)
    return pointer or None, None
