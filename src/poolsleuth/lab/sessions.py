"""Sessions: each has its own structure, pool and tag table at the same addresses, seen by its processes only.

The structure is seen twice: there, and at an address of its own that the whole system sees, which EPROCESS.Session has.
"""

from collections.abc import Mapping
from dataclasses import replace

from poolsleuth.lab.machine import PAGE, PoolPages, Process, Session, TagUse
from poolsleuth.lab.page_tables import AddressSpaceWriter
from poolsleuth.lab.pool_pages import write_pool_pages
from poolsleuth.lab.pool_tables import place_tags, tag_rows
from poolsleuth.lab.processes import session_list_head
from poolsleuth.lab.processors import lookaside_list
from poolsleuth.lab.scene import Area, Scene
from poolsleuth.lab.structures import Layout, Record

_TABLE_OUTSIDE = 257  # slots of a session's tag table where it does not lie in the session's structure
_SPACE = "_MM_SESSION_SPACE"


def has_sessions(layout: Layout) -> bool:
    """Whether the layouts say how a session's structure looks."""
    return layout.has(_SPACE, "SessionId") and layout.has("_EPROCESS", "Session")


def has_session_tags(layout: Layout) -> bool:
    """Whether the lab knows where this Windows keeps the tags of a session."""
    pointer = "ExpSessionPoolTrackTable" in layout.symbols or layout.has(_SPACE, "PoolTags")
    return pointer and "ExpSessionPoolTrackTableSize" in layout.symbols


def table_slots(layout: Layout) -> int:
    """Slots of a session's tag table: as many as fit where it lies inside the session's structure."""
    place = layout.place(_SPACE, "PoolTags")
    if place is None or place.count == 1:
        return _TABLE_OUTSIDE
    slots = 1
    while (2 * slots + 1) * layout.size("_POOL_TRACKER_TABLE") <= (place.size or 0):
        slots *= 2
    return slots + 1


def session_addresses(scene: Scene) -> dict[int, int]:
    """Where the whole system sees the structure of each session, by its id."""
    if not has_sessions(scene.layout):
        return {}
    each = -(-scene.layout.size(_SPACE) // PAGE) * PAGE
    return {s.id: scene.plan.sessions + number * each for number, s in enumerate(scene.machine.sessions)}


def write_sessions(
    scene: Scene,
    spaces: dict[int, AddressSpaceWriter],
    processes: tuple[Process, ...],
    heap_states: Mapping[int, int] | None = None,
) -> tuple[Session, ...]:
    """Write every session into the space of its first process; gives them with their addresses.

    ``heap_states`` are the addresses of the state of a session's heaps (1903 and later), by its id.
    """
    layout = scene.layout
    addresses = session_addresses(scene)
    if not addresses:
        return ()
    found: list[Session] = []
    for session in scene.machine.sessions:
        members = [process for process in processes if process.session == session.id]
        if not members:
            continue
        address = addresses[session.id]
        area = Area(scene.plan.session)
        record = _space_record(scene, session, session_list_head(scene, processes, session.id, address))
        record.set("GlobalVirtualAddress", address)
        record.set("HeapState", (heap_states or {}).get(session.id, 0))
        at = area.reserve(layout.size(_SPACE))
        _write_lookasides(scene, session, record, at)
        tags = session.tags if has_session_tags(layout) else ()
        if has_session_tags(layout):
            _write_tags(scene, tags, area, record)
        area.put(at, bytes(record))
        space = spaces[members[0].pid]
        area.write(space, scene.random)
        for offset in range(0, layout.size(_SPACE), PAGE):
            place = space.translate(scene.plan.session + offset)
            assert place is not None
            scene.system.map(address + offset, pages=place // PAGE)
        known = layout.has(_SPACE, "SessionPoolAllocationFailures")
        found.append(replace(session, address=address, tags=tags, failures=session.failures if known else ()))
    return tuple(found)


def write_session_pages(
    scene: Scene,
    spaces: dict[int, AddressSpaceWriter],
    processes: tuple[Process, ...],
    pool_pages: tuple[PoolPages, ...],
) -> None:
    """Write the pages of sessions' pools into the space of each session's first process, as its structure is."""
    for pages in pool_pages:
        members = [process for process in processes if process.session == pages.index]
        if pages.pool == "session" and members:
            write_pool_pages(pages, spaces[members[0].pid], scene.random)


def _space_record(scene: Scene, session: Session, process_list: bytes) -> Record:
    layout, plan = scene.layout, scene.plan
    record = layout.record(_SPACE)
    record.set("SessionId", session.id)
    record.set("ReferenceCount", 1)
    record.set("ProcessList", process_list)
    record.set("CommittedPages", session.committed_pages)
    record.set("NonPagablePages", session.committed_pages // 8)
    record.set("PagedPoolStart", plan.session_pool)
    record.set("PagedPoolEnd", plan.session_pool + session.limit_bytes - 1)
    for number, value in enumerate(session.failures):
        record.set("SessionPoolAllocationFailures", value, index=number)
    info = record.at("PagedPoolInfo")
    for name, value in (
        ("AllocatedPagedPool", session.used_pages),
        ("PagedPoolCommit", session.used_pages),
        ("MaximumSize", session.limit_bytes // PAGE),
    ):
        inner = layout.place("_MM_PAGED_POOL_INFO", name)
        if info is not None and inner is not None:
            record.number(info + inner.offset, value, inner.size or layout.pointer)
    pool = record.at("PagedPool")
    if pool is not None:
        big = session.used_pages // 4
        for name, value in (("PoolType", 0x21), ("TotalPages", session.used_pages - big), ("TotalBigPages", big)):
            inner = layout.place("_POOL_DESCRIPTOR", name)
            if inner is not None:
                record.number(pool + inner.offset, value, inner.size or 4)
        for name, value in (("PagesAllocated", session.used_pages - big), ("BigPagesAllocated", big)):
            inner = layout.place("_POOL_DESCRIPTOR", name)
            if inner is not None:
                record.number(pool + inner.offset, value, inner.size or layout.pointer)
    return record


def _write_lookasides(scene: Scene, session: Session, record: Record, at: int) -> None:
    """The lists of freed blocks of the session's own pool, in its structure at ``at``."""
    place = scene.layout.place(_SPACE, "Lookaside")
    if place is None or not place.size or place.count == 1:
        return
    stride = place.size // place.count
    mine = [pages for pages in scene.machine.pool_pages if pages.pool == "session" and pages.index == session.id]
    waiting = dict(mine[0].lookaside) if mine else {}
    for index in range(place.count):
        waits = tuple(scene.plan.session_pool + offset for offset in waiting.get(index + 1, ()))
        begin = place.offset + index * stride
        body = lookaside_list(scene, at + begin, index, 0x21, waits)
        record.data[begin : begin + len(body)] = body


def _write_tags(scene: Scene, tags: tuple[TagUse, ...], area: Area, record: Record) -> None:
    """The tag table: inside the session's structure, or behind it; the rows that came late in an expansion table."""
    layout = scene.layout
    slots = table_slots(layout)
    inside = tuple(use for use in tags if not use.expansion)
    late = tuple(use for use in tags if use.expansion)
    table = bytes(tag_rows(layout, inside, place_tags(inside, slots), slots).tobytes())
    place = layout.place(_SPACE, "PoolTags")
    if place is not None and place.count > 1:
        record.data[place.offset : place.offset + len(table)] = table
        at = area.start + place.offset
    else:
        at = area.place(table, PAGE)
        record.set("PoolTags", at)
    if late and layout.has(_SPACE, "PoolTrackTableExpansion"):
        rows = tag_rows(layout, late, list(range(len(late))), len(late))
        record.set("PoolTrackTableExpansion", area.place(rows.tobytes(), PAGE))
        record.set("PoolTrackTableExpansionSize", len(late))
    scene.image.put("ExpSessionPoolTrackTable", at)
    scene.image.put("ExpSessionPoolTrackTableSize", slots)
    scene.image.put("ExpSessionPoolTrackTableMask", slots - 2)
