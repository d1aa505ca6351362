"""Finds the kernel and puts together what readers are given: symbols where they fit, else what can be checked."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from poolsleuth.kernel.address_space import PAGE, Reader
from poolsleuth.kernel.addresses import is_kernel_address
from poolsleuth.kernel.crash_dump.header import DumpHeader
from poolsleuth.kernel.crash_dump.triage import TriageDump
from poolsleuth.kernel.find.addresses import count_processors, header_lists, variable_addresses
from poolsleuth.kernel.find.base import first_module, is_kernel, search_back
from poolsleuth.kernel.find.lists import list_is_sane
from poolsleuth.kernel.find.pool_tables import find_pool_tables
from poolsleuth.kernel.find.processes import process_layout, thread_layouts
from poolsleuth.kernel.find.version import KernelVersion, read_version_at
from poolsleuth.kernel.image import PeImage, read_exports, read_image, read_pdb_id
from poolsleuth.kernel.kdbg import Kdbg, KdbgKeys, parse_kdbg, read_kdbg, scan_kdbg
from poolsleuth.kernel.target import Kernel
from poolsleuth.windows.kernel_table import KernelTable, PdbId, Structure
from poolsleuth.windows.structure_layouts import known_layouts, layouts_for
from poolsleuth.windows.wanted_symbols import SYMBOLS

Tables = Callable[[PdbId], tuple[KernelTable | None, tuple[str, ...]]]

_FIRST_WITH_STATE = 10240  # from here on the figures of the memory manager lie in MiState
_ALWAYS_PAE = 9200  # x86 kernels from Windows 8 on have no other mode
# Structures that hardly ever changed: used beside symbols too, where those lack them
_STABLE = (
    "_LIST_ENTRY", "_UNICODE_STRING", "_UNLOADED_DRIVERS", "_KLDR_DATA_TABLE_ENTRY", "_LDR_DATA_TABLE_ENTRY",
    "_ERESOURCE", "_OWNER_ENTRY", "_POOL_HEADER",
)  # fmt: skip
_CHECKED = ("_EPROCESS", "_KPROCESS", "_ETHREAD", "_KTHREAD", "_KAPC_STATE")


@dataclass(slots=True)
class _Found:
    """What the search knows so far."""

    memory: Reader
    header: DumpHeader | None
    triage: TriageDump | None
    architecture: str | None
    kdbg: Kdbg | None = None
    base: int | None = None
    size: int | None = None
    image: PeImage | None = None
    pdb: PdbId | None = None
    table: KernelTable | None = None
    notes: list[str] = field(default_factory=list)

    def symbol(self, name: str) -> int | None:
        """The address of a symbol, from the table."""
        relative = None if self.table is None or self.base is None else self.table.symbols.get(name)
        return None if relative is None or self.base is None else self.base + relative


def find_kernel(
    space: Reader,
    *,
    header: DumpHeader | None,
    open_process: Callable[[int], Reader] | None,
    tables: Tables,
    triage: TriageDump | None = None,
    base: int | None = None,
    debugger_data: bytes | None = None,
) -> Kernel | None:
    """The kernel of a dump, with all that can be known of its variables and structures. Never raises.

    ``space`` is the system's address space (of a triage dump its blocks), ``header`` None for an image without one:
    ``base`` must then say where the kernel lies. ``tables`` gives the symbols of a PDB, None when there are none, and
    sentences on what was tried. ``debugger_data`` is the copy of KDBG that a triage dump carries. None: no kernel was
    found, or not even its build.
    """
    found = _Found(space, header, triage, None if header is None else header.architecture)
    _first_kdbg(found, debugger_data)
    if not _locate(found, base) or found.base is None:
        return None
    _identify(found, tables)
    _second_kdbg(found)
    if found.architecture is None:
        return None
    exports = {} if found.table is not None or found.image is None else read_exports(space, found.image, SYMBOLS)
    version = _version(found, exports)
    build = (None if header is None else header.build) or version.build
    if build is None:
        return None
    addresses, refused = variable_addresses(
        space, build=build, header=header, kdbg=found.kdbg, exports=exports
    )  # fmt: skip
    processors = (None if header is None else header.processors) or count_processors(
        space, found.symbol("KiProcessorBlock") or addresses.get("KiProcessorBlock")
    )
    _say_symbols(found, build)
    found.notes += refused if found.table is None else ()
    pae = _pae(found, build)
    layouts = _layouts(found, addresses, build, pae, version.service_pack)
    if found.triage is None:
        _pool(found, addresses, layouts, build, processors)
    return Kernel(
        memory=space,
        build=build,
        architecture=found.architecture,
        pae=pae,
        base=found.base,
        size=found.size,
        pdb=found.pdb,
        processors=processors,
        table=found.table,
        addresses=addresses,
        layouts=layouts,
        process_memory=open_process,
        notes=tuple(dict.fromkeys(found.notes)),
    )


def _first_kdbg(found: _Found, raw: bytes | None) -> None:
    """KDBG as far as it can be had before anything else is known."""
    pointer = None if found.header is None else found.header.debugger_data_block
    if raw is not None:
        found.kdbg = parse_kdbg(raw, found.memory.pointer_size, address=pointer)
    if found.kdbg is None and pointer:
        found.kdbg = read_kdbg(found.memory, pointer)


def _second_kdbg(found: _Found) -> None:
    """KDBG with what the symbols say, else by a search through the image of the kernel."""
    if found.kdbg is not None or found.base is None:
        return
    memory = found.memory
    pointers = (found.symbol("KdDebuggerDataBlock"), None if found.header is None else found.header.debugger_data_block)
    for pointer in pointers:
        if pointer:
            found.kdbg = found.kdbg or read_kdbg(memory, pointer, keys=_keys(found), base=found.base)
    if found.kdbg is None and found.triage is None and found.size:
        found.kdbg = scan_kdbg(memory, found.base, found.size, base=found.base)
        if found.kdbg is not None:
            found.notes.append(
                "the kernel's debugger data (KDBG) was found by a search: the header does not lead to it"
            )
    if found.kdbg is None:
        what = "is not in the dump, or scrambled with keys that only symbols can give"
        found.notes.append(f"the kernel's debugger data (KDBG) {what}")


def _keys(found: _Found) -> KdbgKeys | None:
    never, always, flag = (found.symbol(name) for name in ("KiWaitNever", "KiWaitAlways", "KdpDataBlockEncoded"))
    if never is None or always is None or flag is None:
        return None
    first, second = found.memory.number(never, 8), found.memory.number(always, 8)
    return None if first is None or second is None else KdbgKeys(first, second, flag)


def _locate(found: _Found, given: int | None) -> bool:
    """Find the base: the first candidate with the headers of a kernel, else the first that cannot be read at all."""
    memory = found.memory
    heads = header_lists(found.header)
    inside = heads.get("PsLoadedModuleList")
    unread: tuple[int, int | None] | None = None
    for base, size in _bases(found, given):
        if base % PAGE or not is_kernel_address(base, memory.pointer_size):
            continue
        image = read_image(memory, base)
        if image is not None and is_kernel(image, None, found.architecture):
            _take(found, base, image.size, image)
            break
        if base == given:
            found.notes.append(f"at {base:#x}, the base that was given, there is no kernel: it was searched for")
        elif image is None and unread is None and memory.read(base, 2) is None:
            unread = base, size
    else:
        listed = unread is not None and unread[1] is not None  # the list of modules names it too
        image = None if listed or inside is None else search_back(memory, inside, found.architecture)
        if image is not None:
            _take(found, image.base, image.size, image)
        elif unread is not None:
            _take(found, *unread, None)
    if found.base is not None and found.kdbg is not None and found.kdbg.kernel_base != found.base:
        found.notes.append("the kernel's debugger data (KDBG) gives another base than the kernel has: it was not used")
        found.kdbg = None
    return found.base is not None


def _take(found: _Found, base: int, size: int | None, image: PeImage | None) -> None:
    found.base, found.size, found.image = base, size, image
    if image is not None:
        found.architecture = found.architecture or image.architecture


def _bases(found: _Found, given: int | None) -> Iterable[tuple[int, int | None]]:
    """Candidates for the base, with the size of the image where it is known."""
    if given is not None:
        yield given, None
    architecture = found.architecture or ("x64" if found.memory.pointer_size == 8 else "x86")
    entry = layouts_for(_FIRST_WITH_STATE, architecture).structures.get("_KLDR_DATA_TABLE_ENTRY")
    heads = [header_lists(found.header).get("PsLoadedModuleList")]
    if found.kdbg is not None:
        heads.append(found.kdbg.variables.get("PsLoadedModuleList"))
    modules = [first_module(found.memory, head, entry) for head in heads if head is not None and entry is not None]
    sizes = {module.base: module.size for module in modules if module is not None}
    if found.triage is not None:
        sizes |= {driver.base: driver.size for driver in found.triage.drivers[:1]}
    if found.kdbg is not None:
        yield found.kdbg.kernel_base, sizes.get(found.kdbg.kernel_base)
    yield from sizes.items()
    if found.triage is not None and found.triage.kernel_base is not None:
        yield found.triage.kernel_base, sizes.get(found.triage.kernel_base)


def _identify(found: _Found, tables: Tables) -> None:
    """Read which PDB belongs to the kernel, and take its symbols when they fit."""
    if found.image is None:
        return
    found.pdb = read_pdb_id(found.memory, found.image)
    if found.pdb is None:
        return
    table, tried = tables(found.pdb)
    found.notes += tried
    if table is None:
        return
    fits = symbols_fit(found.memory, table, found.image, found.header)
    if fits is False:
        found.notes.append(
            f"the symbols of {found.pdb.name} {found.pdb.key} ({table.source}) do not fit the kernel in the dump: "
            "they were not used"
        )
        return
    found.table = table
    checked = "" if fits else "; they could not be checked against the dump"
    found.notes.append(f"symbols of {found.pdb.name} {found.pdb.key} from the {table.source}{checked}")


def symbols_fit(memory: Reader, table: KernelTable, image: PeImage, header: DumpHeader | None) -> bool | None:
    """Whether a table belongs to the kernel in memory: its lists are lists, or lie where the header says.

    One that holds is enough: a crash may have destroyed the other. None when nothing could be checked.
    """
    if table.machine is not None and image.architecture is not None and table.machine != image.architecture:
        return False
    heads = header_lists(header)
    answers: list[bool] = []
    for name in ("PsLoadedModuleList", "PsActiveProcessHead"):
        relative = table.symbols.get(name)
        if relative is None:
            continue
        if relative >= image.size:
            return False
        sane = heads.get(name) == image.base + relative or list_is_sane(memory, image.base + relative)
        if sane is not None:
            answers.append(sane)
    return any(answers) if answers else None


def _version(found: _Found, exports: dict[str, int]) -> KernelVersion:
    kdbg = {} if found.kdbg is None else found.kdbg.variables
    return read_version_at(
        found.memory,
        lab=found.symbol("NtBuildLab") or kdbg.get("NtBuildLab"),
        longer_lab=found.symbol("NtBuildLabEx"),
        number=found.symbol("NtBuildNumber") or exports.get("NtBuildNumber"),
        pack=found.symbol("CmNtCSDVersion") or kdbg.get("CmNtCSDVersion"),
        text=None if found.triage is None else found.triage.build_lab,
    )


def _pae(found: _Found, build: int) -> bool | None:
    if found.architecture != "x86":
        return None
    if found.header is not None and found.header.pae is not None:
        return found.header.pae
    if build >= _ALWAYS_PAE:
        return True
    return None if found.kdbg is None else found.kdbg.pae


def _say_symbols(found: _Found, build: int) -> None:
    if found.table is not None:
        return
    if found.pdb is not None:
        lack = f"no symbols for {found.pdb.name} {found.pdb.key}"
    else:
        lack = "which symbols belong to the kernel could not be read from the dump"
    if found.triage is not None:
        found.notes.append(lack)
        return
    says = f"{lack}: structures as build {build} usually has them, checked against the dump"
    if build >= _FIRST_WITH_STATE:
        says += "; memory counters of MiState were not read"
    if found.pdb is not None:
        says += ": give symbols with --symbols or `poolsleuth symbols add`"
    found.notes.append(says)


def _layouts(
    found: _Found, addresses: dict[str, int], build: int, pae: bool | None, pack: int | None
) -> dict[str, Structure]:
    """The structures of the build; those that grow with updates only when they pass a test."""
    architecture = found.architecture or ""
    choice = layouts_for(build, architecture, pae=pae, service_pack=pack)
    if found.table is not None:
        return {name: choice.structures[name] for name in _STABLE if name in choice.structures}
    if found.triage is None and choice.profile is None:
        found.notes.append(f"no structures are known for build {build} on {architecture}")
    elif found.triage is None and not choice.certain:
        found.notes.append(f"the structures are those of {choice.profile} (build {choice.build}), the nearest known")
    layouts = {name: layout for name, layout in choice.structures.items() if name not in _CHECKED}
    if found.triage is not None:
        return layouts
    first = choice.structures.get("_EPROCESS")
    others = [layout for layout in known_layouts("_EPROCESS", architecture) if layout != first]
    process, says = process_layout(
        found.memory,
        found.kdbg,
        addresses.get("PsActiveProcessHead"),
        [first, *others] if first else others,
        first if choice.certain else None,
    )
    if process is not None:
        layouts["_EPROCESS"] = process
    if says is not None:
        found.notes.append(says)
    if "_KPROCESS" in choice.structures and process is not None:
        layouts["_KPROCESS"] = choice.structures["_KPROCESS"]
    return layouts | thread_layouts(found.kdbg, choice.structures)


def _pool(
    found: _Found, addresses: dict[str, int], layouts: dict[str, Structure], build: int, processors: int | None
) -> None:
    """Find the tables of the pool by tests, where the symbols do not name them."""
    if found.symbol("PoolTrackTableSize") is not None:
        return
    variable = found.symbol("PoolTrackTable") or addresses.get("PoolTrackTable")
    if variable is None:
        found.notes.append("where the table of pool tags lies is not known: there are no figures of pool tags")
        return
    tables = find_pool_tables(
        found.memory,
        variable,
        build=build,
        architecture=found.architecture or "",
        processors=processors,
        layouts=layouts,
    )
    addresses.update(tables.addresses)
    layouts.update(tables.layouts)
    found.notes += tables.notes
