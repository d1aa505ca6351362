"""Processes with their address spaces and handle tables."""

from dataclasses import replace

from poolsleuth.lab.machine import Machine, Process
from poolsleuth.lab.page_tables import AddressSpaceWriter
from poolsleuth.lab.scene import Scene

_NAME_BYTES = 15  # the kernel keeps that many characters of the name of the image
_HANDLES_PER_TABLE = 256
_FIRST_WITH_PCID = 17763  # from here on the low bits of DirectoryTableBase hold flags on processors that have PCID
_PCID = 2


def make_spaces(machine: Machine, system: AddressSpaceWriter) -> dict[int, AddressSpaceWriter]:
    """The address space of every process, by its id; the first process of a session brings the session's space."""
    spaces: dict[int, AddressSpaceWriter] = {}
    leaders: dict[int, AddressSpaceWriter] = {}
    for process in machine.processes:
        if process.pid == 4:
            spaces[4] = system
            continue
        leader = None if process.session is None else leaders.get(process.session)
        space = system.share_kernel_half(session_of=leader if process.session is not None else system)
        if process.session is not None:
            leaders.setdefault(process.session, space)
        spaces[process.pid] = space
    return spaces


def write_processes(
    scene: Scene, spaces: dict[int, AddressSpaceWriter], sessions: dict[int, int]
) -> tuple[Process, ...]:
    """The list of processes; ``sessions`` gives the address of each session's structure. Gives them with addresses."""
    layout = scene.layout
    head = scene.image.address("PsActiveProcessHead")
    if head is None or "_EPROCESS" not in layout.structures or not layout.has("_EPROCESS", "ActiveProcessLinks"):
        return ()
    size = layout.size("_EPROCESS")
    found = [
        replace(
            process,
            address=scene.nonpaged.reserve(size, 0x80),
            directory_table_base=spaces[process.pid].dtb,
            handles=process.handles if _counts_handles(scene) else None,
        )
        for process in scene.machine.processes
    ]
    links_at = _offset(scene, "ActiveProcessLinks")
    links = scene.list_links(head, [(process.address or 0) + links_at for process in found])
    scene.image.put("PsActiveProcessHead", links[0])
    rings = {number: _session_ring(scene, found, number, address) for number, address in sessions.items()}
    for process, link in zip(found, links[1:], strict=True):
        record = layout.record("_EPROCESS")
        record.set("ActiveProcessLinks", link)
        record.set("UniqueProcessId", process.pid)
        record.set("InheritedFromUniqueProcessId", process.parent)
        record.set("ImageFileName", process.name.encode("latin-1")[:_NAME_BYTES])
        base = process.directory_table_base or 0
        place = layout.place("_KPROCESS", "DirectoryTableBase") or layout.place("_EPROCESS", "Pcb.DirectoryTableBase")
        if place is not None:
            flags = _PCID if layout.windows.build >= _FIRST_WITH_PCID else 0
            record.pointer(place.offset, base | flags)
        if process.session is not None and process.session in sessions:
            record.set("Session", sessions[process.session])
            record.set("SessionProcessLinks", rings[process.session][process.pid])
        if process.handles is not None:
            record.set("ObjectTable", _handle_table(scene, process))
        scene.nonpaged.put(process.address or 0, bytes(record))
        if process.pid == 4:
            scene.image.put("PsInitialSystemProcess", process.address or 0)
    return tuple(found)


def _session_ring(scene: Scene, found: list[Process], session: int, address: int) -> dict[int, bytes]:
    """SessionProcessLinks of the processes of a session; they run through its structure's ProcessList."""
    members = [process for process in found if process.session == session]
    head = scene.layout.place("_MM_SESSION_SPACE", "ProcessList")
    at = _offset(scene, "SessionProcessLinks")
    links = scene.list_links(address + (head.offset if head else 0), [(p.address or 0) + at for p in members])
    return {process.pid: link for process, link in zip(members, links[1:], strict=True)}


def session_list_head(scene: Scene, found: tuple[Process, ...], session: int, address: int) -> bytes:
    """ProcessList of a session's structure."""
    members = [process for process in found if process.session == session]
    head = scene.layout.place("_MM_SESSION_SPACE", "ProcessList")
    at = _offset(scene, "SessionProcessLinks")
    return scene.list_links(address + (head.offset if head else 0), [(p.address or 0) + at for p in members])[0]


def _offset(scene: Scene, field: str) -> int:
    place = scene.layout.place("_EPROCESS", field)
    return 0 if place is None else place.offset


def _counts_handles(scene: Scene) -> bool:
    """Whether the layouts say where a handle table keeps its count."""
    layout = scene.layout
    counted = layout.has("_HANDLE_TABLE", "HandleCount") or layout.has("_HANDLE_TABLE", "FreeLists.HandleCount")
    return counted and layout.has("_EPROCESS", "ObjectTable")


def _handle_table(scene: Scene, process: Process) -> int:
    """A handle table in paged pool: the count is in it, or since Windows 8 in its (only) free list."""
    handles = process.handles or 0
    record = scene.layout.record("_HANDLE_TABLE")
    record.set("UniqueProcessId", process.pid)
    record.set("QuotaProcess", 0 if process.pid == 4 else process.address or 0)
    record.set("NextHandleNeedingPool", 4 * -(-max(handles, 1) // _HANDLES_PER_TABLE) * _HANDLES_PER_TABLE)
    record.set("StrictFIFO", 1)
    if not record.set("HandleCount", handles):
        record.set("FreeLists.HandleCount", handles)
        record.set("FreeLists.HighWaterMark", handles)
    return scene.paged.place(bytes(record), 64)
