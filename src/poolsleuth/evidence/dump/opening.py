"""From a file to the kernel in it: container, page tables, symbols."""

from collections.abc import Callable
from dataclasses import dataclass, replace

from poolsleuth.evidence.dump.options import DumpOptions
from poolsleuth.kernel.address_space import Reader
from poolsleuth.kernel.crash_dump.content import DumpContent, Flaw
from poolsleuth.kernel.crash_dump.dump import CrashDump, open_dump
from poolsleuth.kernel.crash_dump.header import DumpHeader
from poolsleuth.kernel.crash_dump.memory import PhysicalMemory
from poolsleuth.kernel.find.block_space import BlockSpace
from poolsleuth.kernel.find.kernel import Tables, find_kernel
from poolsleuth.kernel.memory_image.image import MemoryImage, open_image
from poolsleuth.kernel.memory_image.locate import locate_kernel
from poolsleuth.kernel.paging.layout import Mode
from poolsleuth.kernel.paging.parameters import PagingParameters, parameters_for
from poolsleuth.kernel.paging.space import open_address_space
from poolsleuth.kernel.paging.swizzle import inferred_invalid_pte_mask
from poolsleuth.kernel.symbols.find import find_table, symbol_sources
from poolsleuth.kernel.target import Kernel
from poolsleuth.model.errors import InputError
from poolsleuth.windows.kernel_table import KernelTable, PdbId

Progress = Callable[[str, int, int | None], None]
"""Called while something long runs: what it is, how much is done, how much there is (None when not known)."""


_KERNEL_HALF, _LAST_ADDRESS = 0xFFFF_8000_0000_0000, 0xFFFF_FFFF_FFFF_FFFF
MAX_LOOKUPS = 4  # kernels whose symbols are looked for: a hostile image could name one for each page


@dataclass(frozen=True, slots=True)
class OpenedDump:
    """A dump or an image with the kernel in it. ``kernel`` is None when none was found: ``says`` tells why.

    Of ``dump`` and ``image`` one is None. ``physical_pages`` is how much memory the machine has, as far as the file
    says it; None when it does not. ``symbols_tried`` are sentences on the symbols that the user named and that could
    not be used; empty when the user named none.
    """

    dump: CrashDump | None
    image: MemoryImage | None
    kernel: Kernel | None
    physical_pages: int | None
    flaws: tuple[Flaw, ...]
    says: str | None
    symbols_tried: tuple[str, ...] = ()


def open_kernel(content: DumpContent, options: DumpOptions, progress: Progress | None = None) -> OpenedDump:
    """Open a crash dump or an image of memory, and find the kernel in it.

    Raises InputError when it is neither, or its header cannot be believed.
    """
    sources = symbol_sources(options.symbols, offline=options.offline, progress=progress)

    known: dict[PdbId, tuple[KernelTable | None, tuple[str, ...]]] = {}

    def tables(pdb: PdbId) -> tuple[KernelTable | None, tuple[str, ...]]:
        if pdb not in known:
            if len(known) >= MAX_LOOKUPS:
                return None, ()
            found = find_table(pdb, sources)
            known[pdb] = found.table, found.tried
        return known[pdb]

    opened = _open(content, options, tables, progress)
    if not options.symbols:
        return opened
    tried = [*sources.path.problems, *(sentence for _, said in known.values() for sentence in said)]
    return replace(opened, symbols_tried=tuple(dict.fromkeys(tried)))


def _open(content: DumpContent, options: DumpOptions, tables: Tables, progress: Progress | None) -> OpenedDump:
    if content.take(0, 4) == b"PAGE":
        return _of_dump(open_dump(content), options, tables)
    image = open_image(content)
    located = locate_kernel(
        image,
        tables,
        directory_table_base=options.directory_table_base,
        kernel_base=options.kernel_base,
        progress=progress,
    )
    if located is None:
        says = (
            "no Windows kernel was found in it: say where its page tables are with --dtb (CR3 of the system process),"
            " and its kernel with --kernel-base"
        )
        return OpenedDump(None, image, None, None, image.flaws, says)
    kernel = _settled(located.kernel, image.memory, located.parameters, located.directory_table_base)
    return OpenedDump(None, image, kernel, None, image.flaws, None)


def _of_dump(dump: CrashDump, options: DumpOptions, tables: Tables) -> OpenedDump:
    header = dump.header
    pages = header.pages if dump.memory is not None and header.runs else None
    if dump.triage is not None:
        space = Reader(BlockSpace(dump.triage.blocks, header.pointer))
        kernel = find_kernel(
            space,
            header=header,
            open_process=None,
            tables=tables,
            triage=dump.triage,
            debugger_data=dump.triage.debugger_data,
        )
        return OpenedDump(dump, None, kernel, None, dump.flaws, None)
    if dump.memory is None:
        return OpenedDump(dump, None, None, pages, dump.flaws, None)
    base = options.directory_table_base or header.directory_table_base
    if not base:
        return OpenedDump(dump, None, None, pages, dump.flaws, _NO_TABLES)
    try:
        every = _modes(header)
    except InputError as error:
        return OpenedDump(dump, None, None, pages, dump.flaws, str(error))
    for parameters in every:
        kernel = _kernel(header, dump.memory, parameters, base, options, tables)
        if kernel is not None:
            return OpenedDump(dump, None, kernel, pages, dump.flaws, None)
    return OpenedDump(dump, None, None, pages, dump.flaws, _NO_KERNEL)


def _modes(header: DumpHeader) -> list[PagingParameters]:
    """How addresses may be translated, the likeliest first. The header tells neither the levels of x64 nor, unfilled,
    whether x86 has PAE: page tables of the other kind lead to no kernel. Raises InputError for other architectures.
    """
    build, architecture = header.build or 0, header.architecture or ""
    every = [parameters_for(build, architecture, header.pae)]
    if architecture == "x64":
        every.append(parameters_for(build, architecture, None, la57=True))
    elif architecture == "x86" and header.pae is None:
        every.append(parameters_for(build, architecture, False))
    return every if len(every) == 1 or every[0].mode is not every[1].mode else every[:1]


_NO_KERNEL = (
    "the kernel was not found in its memory: the pages that hold it are not in this dump, or its header does not lead"
    " to the page tables (say where they are with --dtb, CR3 of the system process)"
)
_NO_TABLES = "its header does not say where the page tables are: say it with --dtb (CR3 of the system process)"


def _kernel(
    header: DumpHeader,
    memory: PhysicalMemory,
    parameters: PagingParameters,
    base: int,
    options: DumpOptions,
    tables: Tables,
) -> Kernel | None:
    space = open_address_space(memory, parameters, base)
    kernel = find_kernel(
        Reader(space),
        header=header,
        open_process=lambda process: Reader(space.of_process(process)),
        tables=tables,
        base=options.kernel_base,
    )
    return None if kernel is None else _settled(kernel, memory, parameters, base)


def _settled(kernel: Kernel, memory: PhysicalMemory, parameters: PagingParameters, base: int) -> Kernel:
    """The kernel with page tables read as its own symbols and variables say: only now are they known."""
    state = kernel.address("MiState")
    mask = None
    if state is not None and kernel.table is not None:
        mask = kernel.value(state, "_MI_SYSTEM_INFORMATION", "Hardware.InvalidPteMask")
    elif kernel.architecture == "x64":
        # Updates of older Windows brought swizzled entries as well: the entries themselves show it
        mask = inferred_invalid_pte_mask(open_address_space(memory, parameters, base), _KERNEL_HALF, _LAST_ADDRESS)
    start = kernel.variable("MmPagedPoolStart") if kernel.architecture == "x86" else None
    if mask is None and start is None and kernel.table is None:
        return kernel
    better = parameters_for(
        kernel.build,
        kernel.architecture,
        parameters.mode is Mode.X86_PAE,  # what led to the kernel, whatever its variables say
        kernel.table,
        la57=parameters.mode is Mode.X64_LA57,
        invalid_pte_mask=mask,
        paged_pool_start=start,
    )
    space = open_address_space(memory, better, base)
    return replace(kernel, memory=Reader(space), process_memory=lambda process: Reader(space.of_process(process)))
