"""The kernel's lists: loaded and unloaded modules, resources with their owners and waiters."""

from dataclasses import replace
from datetime import UTC, datetime

from poolsleuth.lab.driver_code import driver_code
from poolsleuth.lab.machine import PAGE, LoadedModule, LockOwner, Process, Resource, UnloadedModule
from poolsleuth.lab.pe_image import CODE, DATA, DISCARDED, PAGED, READ_ONLY, Section, build_image, import_slots
from poolsleuth.lab.scene import Scene

UNLOADED_SLOTS = 50
"""The kernel keeps the last 50 unloaded drivers."""
_EPOCH = datetime(1601, 1, 1, tzinfo=UTC)
_EXCLUSIVE = 0x80
_THREAD = 0x600  # bytes for a thread whose structure is not known: then only its address matters
_THREAD_OBJECT = 6  # the type in a dispatcher header


def file_time(time: datetime) -> int:
    """A FILETIME: units of 100 ns since 1601."""
    delta = time - _EPOCH
    return (delta.days * 86_400 + delta.seconds) * 10_000_000 + delta.microseconds * 10


def write_modules(scene: Scene) -> tuple[LoadedModule, ...]:
    """The list of loaded modules and what is in memory of their images; gives the modules with their addresses.

    The first module is the kernel. Names lie in paged pool, as those of the real list do.
    """
    layout = scene.layout
    name = "_KLDR_DATA_TABLE_ENTRY" if "_KLDR_DATA_TABLE_ENTRY" in layout.structures else "_LDR_DATA_TABLE_ENTRY"
    found: list[LoadedModule] = []
    base = scene.plan.drivers
    for number, module in enumerate(scene.machine.modules):
        if number == 0:
            found.append(replace(module, base=scene.image.base))
            continue
        found.append(replace(module, base=base))
        base += -(-module.size // 0x10000) * 0x10000
    head = scene.image.address("PsLoadedModuleList")
    if head is None:
        return tuple(found)
    nodes = [scene.nonpaged.reserve(layout.size(name)) for _ in found]
    links = scene.list_links(head, nodes)
    scene.image.put("PsLoadedModuleList", links[0])
    for module, node, link in zip(found, nodes, links[1:], strict=True):
        record = layout.record(name)
        record.set("InLoadOrderLinks", link)
        record.set("DllBase", module.base or 0)
        record.set("EntryPoint", (module.base or 0) + 0x1000)
        record.set("SizeOfImage", module.size)
        record.set("SizeOfImageNotRounded", module.size)
        record.set("FullDllName", scene.unicode_string(module.path, scene.paged))
        record.set("BaseDllName", scene.unicode_string(module.name, scene.nonpaged))
        record.set("Flags", 0x49104000 if layout.windows.build >= 9200 else 0x09004000)
        record.set("LoadCount", 1)
        record.set("SectionPointer", (1 << 8 * layout.pointer) - 1)
        record.set("CheckSum", module.checksum)
        if name == "_KLDR_DATA_TABLE_ENTRY":
            record.set("TimeDateStamp", module.timestamp)
        scene.nonpaged.put(node, bytes(record))
    for module in found[1:]:
        _write_driver(scene, module)
    return tuple(found)


_IMPORTS, _CODE, _LETTERS = PAGE + 0x200, PAGE + 0x800, 0x40
"""Where the imports, the code, and (in the data section) the letters of a driver lie."""


def _write_driver(scene: Scene, module: LoadedModule) -> None:
    """Map what the image has in memory: its headers, and the pages that they lead to.

    Headers that are paged out take the version resource and the debug record with them, not code and imports: all of
    such an image but its first page is in memory.
    """
    if module.base is None:
        return
    windows, wide = scene.layout.windows, scene.pointer == 8
    last = module.size // PAGE * PAGE - PAGE
    text = PAGE  # all code of it is in memory, of the data what is known
    sections = (
        Section(".text", PAGE, text, CODE),
        Section(".data", PAGE + text, max(PAGE, last - text - PAGE), DATA),
        Section(".rsrc", last, PAGE, READ_ONLY),
    )
    routines = _routines(scene)
    pieces = build_image(
        wide=wide,
        base=module.base,
        size=module.size,
        timestamp=module.timestamp,
        checksum=module.checksum,
        sections=sections,
        version=(windows.major, windows.minor, windows.build),
        pdb=module.pdb,
        imports={name: routines[name] for name in module.imports},
        imports_at=_IMPORTS,
        strings=module.version,
        strings_at=last,
    )
    code = driver_code(
        wide=wide,
        base=module.base,
        at=_CODE,
        slots=import_slots(module.imports, _IMPORTS, wide),
        tags=module.tags,
        wrapped=module.timestamp % 2 == 1,
    )
    letters = b"".join(tag.encode("latin-1").ljust(4) + b"\0\0\0\0" for tag in module.letters)
    pieces += [(_CODE, code), (PAGE + text + _LETTERS, letters)]
    scene.system.write(module.base + PAGE, bytes(PAGE if module.present else module.size - PAGE))
    for relative, data in pieces:
        if data and (module.present or PAGE <= relative < last):
            scene.system.write(module.base + relative, data)


def _routines(scene: Scene) -> dict[str, int]:
    """The kernel's routines that drivers import, with their addresses: invented ones where no symbols are known."""
    names = sorted({"ExAllocatePool", *(name for module in scene.machine.modules for name in module.imports)})
    start = scene.image.base + 0x1010
    return {name: scene.image.address(name) or start + 0xB0 * number for number, name in enumerate(names)}


def kernel_pieces(scene: Scene) -> list[tuple[int, bytes]]:
    """The headers of the kernel's own image, and its exports."""
    module, size = scene.machine.modules[0], scene.image.size
    windows = scene.layout.windows
    middle = size // 2 // PAGE * PAGE
    sections = (
        Section(".text", 0x1000, middle - 0x1000, CODE),
        Section(".data", middle, size - middle - 0x5000, DATA),
        Section("PAGE", size - 0x5000, 0x2000, PAGED),
        Section("INIT", size - 0x3000, 0x1000, DISCARDED),
        Section(".rsrc", size - 0x2000, 0x2000, READ_ONLY),
    )
    return build_image(
        wide=scene.pointer == 8,
        base=scene.image.base,
        size=size,
        timestamp=module.timestamp,
        checksum=module.checksum,
        sections=sections,
        version=(windows.major, windows.minor, windows.build),
        pdb=module.pdb,
        exports=_routines(scene),
        exports_at=size - 0x5000,
        strings=module.version,
        strings_at=size - 0x2000,
    )


def write_unloaded(scene: Scene) -> tuple[UnloadedModule, ...]:
    """The ring of the last 50 unloaded drivers; gives them with their addresses. More than 50 push the oldest out."""
    layout, machine = scene.layout, scene.machine
    # Behind all that are loaded
    base = scene.plan.drivers + sum(-(-module.size // 0x10000) * 0x10000 for module in machine.modules[1:])
    found: list[UnloadedModule] = []
    for module in machine.unloaded:
        found.append(replace(module, start=base))
        base += -(-module.size // 0x10000) * 0x10000
    each = layout.size("_UNLOADED_DRIVERS")
    slots = bytearray(UNLOADED_SLOTS * each)
    for number, module in enumerate(found):
        record = layout.record("_UNLOADED_DRIVERS")
        record.set("Name", scene.unicode_string(module.name, scene.nonpaged))
        record.set("StartAddress", module.start or 0)
        record.set("EndAddress", (module.start or 0) + module.size)
        record.set("CurrentTime", file_time(module.time).to_bytes(8, "little"))
        at = number % UNLOADED_SLOTS * each
        slots[at : at + each] = bytes(record)
    scene.image.put("MmUnloadedDrivers", scene.nonpaged.place(slots) if found else 0)
    scene.image.put("MmLastUnloadedDriver", len(found) % UNLOADED_SLOTS, 4)
    return tuple(found[-UNLOADED_SLOTS:])


def write_resources(scene: Scene, processes: tuple[Process, ...]) -> tuple[Resource, ...]:
    """The list of ERESOURCEs; gives them with their addresses and the threads of ``processes`` that hold them."""
    layout = scene.layout
    head = scene.image.address("ExpSystemResourcesList")
    if head is None:
        return ()
    found: list[Resource] = []
    number = 0
    for resource in scene.machine.resources:
        address = scene.image.address(resource.symbol) if resource.symbol else None
        owners = []
        for owner in resource.owners:
            owners.append(_write_owner(scene, owner, processes[number % len(processes)] if processes else None, number))
            number += 1
        symbol = resource.symbol if address else None
        address = address or scene.nonpaged.reserve(layout.size("_ERESOURCE"))
        found.append(replace(resource, symbol=symbol, address=address, owners=tuple(owners)))
    links = scene.list_links(head, [resource.address or 0 for resource in found])
    scene.image.put("ExpSystemResourcesList", links[0])
    for resource, link in zip(found, links[1:], strict=True):
        data = _resource_bytes(scene, resource, link)
        if resource.symbol:
            scene.image.put(resource.symbol, data)
        else:
            scene.nonpaged.put(resource.address or 0, data)
    return tuple(found)


def _write_owner(scene: Scene, owner: LockOwner, process: Process | None, number: int) -> LockOwner:
    """A thread of a process, as far as its structure is known."""
    layout = scene.layout
    if process is None or not layout.has("_ETHREAD", "Cid.UniqueThread"):
        return replace(owner, thread=scene.nonpaged.reserve(_THREAD, 64))
    record = layout.record("_ETHREAD")
    thread_id = 0x1000 + 4 * number
    record.data[0] = _THREAD_OBJECT
    record.set("Cid.UniqueProcess", process.pid)
    record.set("Cid.UniqueThread", thread_id)
    # The part that the scheduler knows lies at the start of it
    for field in ("Process", "ApcState.Process"):
        place = layout.place("_KTHREAD", field)
        if place is not None:
            record.pointer(place.offset, process.address or 0)
    return replace(owner, thread=scene.nonpaged.place(bytes(record), 64), thread_id=thread_id, process_id=process.pid)


def _resource_bytes(scene: Scene, resource: Resource, link: bytes) -> bytes:
    layout = scene.layout
    record = layout.record("_ERESOURCE")
    record.set("SystemResourcesList", link)
    total = 1 if resource.exclusive else sum(owner.count for owner in resource.owners)
    record.set("ActiveCount", min(total, 0x7FFF))
    record.set("ActiveEntries", len(resource.owners))
    record.set("Flag", _EXCLUSIVE if resource.exclusive else 0)
    record.set("ContentionCount", resource.contention)
    record.set("NumberOfSharedWaiters", resource.shared_waiters)
    record.set("NumberOfExclusiveWaiters", resource.exclusive_waiters)
    if resource.shared_waiters:
        record.set("SharedWaiters", scene.nonpaged.reserve(0x20))
    if resource.exclusive_waiters:
        record.set("ExclusiveWaiters", scene.nonpaged.reserve(0x20))
    entries = [_owner_bytes(scene, owner) for owner in resource.owners]
    each = layout.size("_OWNER_ENTRY")
    first = record.at("OwnerEntry")
    if first is None:
        first = record.at("OwnerThreads")  # before Vista: two places, the first for the one that owns it alone
        single = entries[:1] if resource.exclusive else []
        if first is not None and single:
            record.data[first : first + each] = single[0]
        elif first is not None and entries:
            record.data[first + each : first + 2 * each] = entries[0]
    elif entries:
        record.data[first : first + each] = entries[0]
    others = entries[1:]
    slots = max(resource.table_size, len(others) + 1 if others else 0)
    if slots:
        table = bytearray(slots * each)
        head = layout.record("_OWNER_ENTRY")
        head.number(layout.pointer, slots, 4)  # the first entry says how many there are
        table[:each] = bytes(head)
        for number, entry in enumerate(others, start=1):
            table[number * each : (number + 1) * each] = entry
        record.set("OwnerTable", scene.nonpaged.place(table))
    return bytes(record)


def _owner_bytes(scene: Scene, owner: LockOwner) -> bytes:
    record = scene.layout.record("_OWNER_ENTRY")
    record.set("OwnerThread", owner.thread or 0)
    record.set("OwnerCount", owner.count)
    return bytes(record)
