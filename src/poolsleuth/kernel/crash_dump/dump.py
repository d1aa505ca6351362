"""Opens a kernel crash dump: its header, its container, and what the container gives."""

from dataclasses import dataclass
from enum import StrEnum

from poolsleuth.kernel.crash_dump.bitmap import bitmap_map, has_bitmap
from poolsleuth.kernel.crash_dump.content import DumpContent, Flaw
from poolsleuth.kernel.crash_dump.header import DumpHeader, read_header
from poolsleuth.kernel.crash_dump.memory import PageMap, PhysicalMemory
from poolsleuth.kernel.crash_dump.runs import complete_map, debugger_map, is_debugger_written
from poolsleuth.kernel.crash_dump.triage import TriageDump, read_triage

_COMPLETE, _HEADER_ONLY, _TRIAGE = 1, 3, 4


class Container(StrEnum):
    """How a dump keeps its memory. The number in the header is only believed where no mark says more."""

    RUNS = "complete dump"  # type 1
    LEGACY_BITMAP = "kernel dump of the older kind"  # type 2
    BITMAP = "bitmap dump (kernel, automatic, active or complete)"  # types 5, 6, 7
    DEBUGGER = "dump written by a debugger"  # types 8, 9, 10
    TRIAGE = "triage dump"  # type 4
    HEADER_ONLY = "header without memory"  # type 3
    UNKNOWN = "dump of an unknown kind"


@dataclass(frozen=True, slots=True)
class CrashDump:
    """An open dump. ``memory`` is None where no physical page can be read, ``triage`` but for a triage dump."""

    header: DumpHeader
    container: Container
    memory: PhysicalMemory | None
    triage: TriageDump | None
    flaws: tuple[Flaw, ...]


def open_dump(content: DumpContent) -> CrashDump:
    """Read the header and find the pages. Raises InputError when it is no dump or its header cannot be believed."""
    flaws: list[Flaw] = []
    header = read_header(content, flaws)
    triage: TriageDump | None = None
    found: PageMap | None = None
    container = _container(content, header)
    if content.size < header.size:
        pass  # already said: there is nothing behind the header
    elif header.architecture == "ia64":
        flaws.append(Flaw("dumps of IA64 have pages of another size: only the header was read", header.size))
    elif container in (Container.BITMAP, Container.LEGACY_BITMAP):
        found = bitmap_map(content, header, flaws)
    elif container is Container.DEBUGGER:
        found = debugger_map(content, header, flaws)
    elif container is Container.RUNS:
        found = complete_map(header, flaws)
    elif container is Container.TRIAGE:
        triage = read_triage(content, header, flaws)
    elif container is Container.UNKNOWN:
        kind = "not filled in" if header.dump_type is None else str(header.dump_type)
        flaws.append(Flaw(f"the type of the dump in its header ({kind}) is none that is known", header.size))
    memory = None if found is None else PhysicalMemory(content, found)
    if memory is not None and memory.pages_cut_off:
        flaws.append(
            Flaw(
                f"the dump is truncated: {memory.pages_cut_off:,} of {memory.pages:,} pages of memory are missing",
                content.size,
            )
        )
    return CrashDump(header, container, memory, triage, tuple(flaws))


def _container(content: DumpContent, header: DumpHeader) -> Container:
    if header.dump_type == _TRIAGE:
        return Container.TRIAGE
    if has_bitmap(content, header):
        return Container.LEGACY_BITMAP if header.dump_type == 2 else Container.BITMAP
    if is_debugger_written(content, header):
        return Container.DEBUGGER
    if header.dump_type == _HEADER_ONLY:
        return Container.HEADER_ONLY
    if header.dump_type == _COMPLETE:
        return Container.RUNS
    known = {2: Container.LEGACY_BITMAP, 5: Container.BITMAP, 6: Container.BITMAP, 7: Container.BITMAP}
    known |= dict.fromkeys((8, 9, 10), Container.DEBUGGER)
    if header.dump_type in known and content.size <= header.size + 8:
        return known[header.dump_type or 0]  # truncated right behind the header
    return Container.UNKNOWN
