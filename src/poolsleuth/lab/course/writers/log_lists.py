"""``lm``, ``lmvm``, ``!locks`` and ``!process 0 0``."""

from collections.abc import Iterator
from datetime import UTC, datetime

from poolsleuth.lab.course.writers.log_target import WINDOWS_8, Style
from poolsleuth.lab.machine import LoadedModule, Machine, Process, Resource

_PER_LINE = 4  # threads of a resource
_DOTS = 40  # progress between two resources
_MICROSOFT = "Microsoft Corporation"


def module_name(module: LoadedModule, number: int) -> str:
    """The debugger's name for a module: without extension, the kernel's is always nt."""
    return "nt" if number == 0 else module.name.rpartition(".")[0] or module.name


def _ordered(machine: Machine) -> list[tuple[int, LoadedModule, str]]:
    """Modules that are anywhere, by address, with their names."""
    rows = [
        (one.base, one, module_name(one, number)) for number, one in enumerate(machine.modules) if one.base is not None
    ]
    return sorted(rows, key=lambda row: row[0])


def _heading(style: Style) -> str:
    width = 8 if style.bits == 32 else 17
    return f"{'start':{width}} {'end':{width}}   module name"


def _range(style: Style, start: int, size: int) -> str:
    return f"{style.address(start)} {style.address(start + size)}"


def module_list(machine: Machine, style: Style) -> list[str]:
    """``lm``: loaded modules by address, then the unloaded ones, the last one first."""
    lines = [_heading(style)]
    for base, module, name in _ordered(machine):
        symbols = "(deferred)             "
        if name == "nt" and module.pdb is not None:
            folder = f"{module.pdb.guid}{module.pdb.age:X}"
            symbols = f"(pdb symbols)          c:\\symbols\\{module.pdb.name}\\{folder}\\{module.pdb.name}"
        lines.append(f"{_range(style, base, module.size)}   {name:8}   {symbols}")
    return [*lines, "", *_unloaded(machine, style)]


def _unloaded(machine: Machine, style: Style) -> Iterator[str]:
    if not machine.unloaded:
        return
    yield "Unloaded modules:"
    for module in reversed(machine.unloaded):
        yield f"{_range(style, module.start or 0, module.size)}   {module.name}"


def third_party(machine: Machine) -> list[str]:
    """Names of the modules that somebody else made, as far as their version resources say so."""
    return [
        name
        for _, module, name in _ordered(machine)
        if module.present and module.version.get("CompanyName", _MICROSOFT) != _MICROSOFT
    ]


def module_details(machine: Machine, style: Style, wanted: str) -> list[str]:
    """``lmvm NAME``: everything about one module."""
    lines = ["Browse full module list"] if style.build >= WINDOWS_8 else []
    lines.append(_heading(style))
    for base, module, name in _ordered(machine):
        if name != wanted:
            continue
        at = datetime.fromtimestamp(module.timestamp, UTC)
        local = style.zone.local(at)
        lines += [
            f"{_range(style, base, module.size)}   {name:8}   (deferred)             ",
            f"    Image path: {module.path}",
            f"    Image name: {module.name}",
            f"    Timestamp:        {local:%a %b %d %H:%M:%S %Y} ({module.timestamp:08X})",
            f"    CheckSum:         {module.checksum:08X}",
            f"    ImageSize:        {module.size:08X}",
        ]
        if module.version:
            lines.append(f"    File version:     {module.version.get('FileVersion', '')}")
            lines.append(f"    Product version:  {module.version.get('ProductVersion', '')}")
            lines += [f"    {key + ':':17} {value}" for key, value in module.version.items() if value]
    return [*lines, ""]


def locks(machine: Machine, style: Style) -> list[str]:
    """``!locks``: the resources that are held."""
    lines = ["**** DUMP OF ALL RESOURCE OBJECTS ****"]
    held = 0
    for resource in machine.resources:
        if not resource.owners:
            continue
        held += 1
        lines += ["KD: Scanning for held locks" + "." * _DOTS, "", *_resource(resource, style)]
    return [*lines, f"{len(machine.resources)} total locks, {held} locks currently held", ""]


def _resource(resource: Resource, style: Style) -> Iterator[str]:
    address = f"0x{style.plain(resource.address or 0)}"
    place = f"nt!{resource.symbol} ({address})" if resource.symbol else address
    owners = resource.owners[:1] if resource.exclusive else resource.owners
    state = "Exclusively owned" if resource.exclusive else f"Shared {len(owners)} owning threads"
    yield f"Resource @ {place}    {state}"
    for name, count in (
        ("Contention Count", resource.contention),
        ("NumberOfSharedWaiters", resource.shared_waiters),
        ("NumberOfExclusiveWaiters", resource.exclusive_waiters),
    ):
        if count:
            yield f"    {name} = {count}"
    threads = [f"{style.plain(owner.thread or 0)}-{owner.count:02x}<*> " for owner in owners]
    for start in range(0, len(threads), _PER_LINE):
        lead = "     Threads: " if start == 0 else " " * 14
        yield lead + "".join(threads[start : start + _PER_LINE])


def processes(machine: Machine, style: Style) -> list[str]:
    """``!process 0 0``."""
    lines = ["**** NT ACTIVE PROCESS DUMP ****"]
    for process in machine.processes:
        lines += [*_process(process, style), ""]
    return lines


def _process(process: Process, style: Style) -> Iterator[str]:
    session = "none" if process.session is None else str(process.session)
    address = f"PROCESS {style.plain(process.address or 0)}"
    peb = "00000000" if process.pid <= 4 else "7ffdf000"
    ids = f"SessionId: {session}  Cid: {process.pid:04x}    Peb: {peb}  ParentCid: {process.parent:04x}"
    if style.bits == 32:
        yield f"{address}  {ids}"
    else:
        yield address
        yield f"    {ids}"
    # The lab has no table of handles to point to, but for their number
    handles = "<Data Not Accessible>" if process.handles is None else f"{process.handles:3}."
    table = style.plain(0)
    yield f"    DirBase: {process.directory_table_base or 0:08x}  ObjectTable: {table}  HandleCount: {handles}"
    yield f"    Image: {process.name}"
