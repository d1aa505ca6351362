"""The header of a kernel crash dump, 32-bit (``PAGEDUMP``) and 64-bit (``PAGEDU64``).

The layout is DUMP_HEADER32 and DUMP_HEADER64 as four public readers know it (volatility, volatility3, rekall and
kdmp-parser agree on it). Windows fills the header with the letters ``PAGE`` before it writes, so that a field which
still reads so was never filled in: it is None here. The fields ``attributes`` and ``boot_id`` are named by kdmp-parser
alone. The offset of the number of pages (+8 on 64-bit) follows rekall and kdmp-parser's structure and was confirmed on
a real dump, whose runs add up to it.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from poolsleuth.kernel.crash_dump.content import PAGE, DumpContent, Flaw
from poolsleuth.kernel.filetime import utc
from poolsleuth.model.errors import InputError

MAX_RUNS_32 = 86  # the buffer of 700 bytes holds no more
MAX_RUNS_64 = 42
MAX_PAGE_NUMBER = 1 << 40  # physical addresses have 52 bits at most
MAX_PROCESSORS = 4096  # Windows supports 2,048
LOWEST_BUILD, HIGHEST_BUILD = 1381, 0xFFFF  # NT 4.0; build numbers are 16 bits in the kernel's own structures
MIN_HEADER = 0x88  # up to the pointer to KDBG: less than that says nothing worth to be told

ARCHITECTURES = {0x14C: "x86", 0x8664: "x64", 0xAA64: "arm64", 0x200: "ia64"}
"""Machine types of the PE format to the names that the model uses. 32-bit ARM (0x1C4) never left dumps behind."""

_FILLER = b"PAGE"
_MAX_UPTIME = 100 * 365 * 86_400 * 10_000_000  # a century in 100 ns: beyond it the field is not an uptime


@dataclass(frozen=True, slots=True)
class PhysicalRun:
    """``pages`` physical pages that lie behind each other, from page number ``base`` on."""

    base: int
    pages: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DumpHeader:
    """What the header says. None: not filled in, cut off, or cannot be true.

    ``system_uptime`` counts 100 ns, ``system_time`` is a FILETIME (UTC). Addresses are virtual, except
    ``directory_table_base`` (CR3 as it was at the crash, with its low bits). ``runs`` is empty where the header lists
    none: bitmap dumps leave the block unfilled.
    """

    bits: Literal[32, 64]
    major_version: int | None
    build: int | None
    directory_table_base: int | None
    pfn_database: int | None
    loaded_module_list: int | None
    active_process_head: int | None
    machine_type: int | None
    processors: int | None
    bugcheck_code: int | None
    bugcheck_parameters: tuple[int, ...] | None
    version_user: str | None
    pae: bool | None
    kd_secondary_version: int | None
    debugger_data_block: int | None
    pages: int | None
    runs: tuple[PhysicalRun, ...]
    exception_code: int | None
    exception_address: int | None
    comment: str | None
    dump_type: int | None
    mini_dump_fields: int | None
    secondary_data_state: int | None
    product_type: int | None
    suite_mask: int | None
    writer_status: int | None
    required_dump_space: int | None
    system_uptime: int | None
    system_time: int | None
    attributes: int | None
    boot_id: int | None

    @property
    def size(self) -> int:
        """Bytes of the header: what belongs to the container begins behind it."""
        return PAGE if self.bits == 32 else 2 * PAGE

    @property
    def pointer(self) -> int:
        """Bytes of a pointer."""
        return self.bits // 8

    @property
    def context(self) -> tuple[int, int]:
        """Where the processor's CONTEXT at the crash lies in the file, and the bytes that are there for it."""
        return (0x320, 1200) if self.bits == 32 else (0x348, 3000)

    @property
    def architecture(self) -> str | None:
        """``x86``, ``x64``, ``arm64`` or ``ia64``; None for a machine type of no known Windows."""
        return None if self.machine_type is None else ARCHITECTURES.get(self.machine_type)

    @property
    def captured_at(self) -> datetime | None:
        """The time of the crash in UTC."""
        return utc(self.system_time)

    @property
    def uptime_seconds(self) -> float | None:
        """How long the system had been up."""
        if not self.system_uptime or self.system_uptime > _MAX_UPTIME:
            return None
        return self.system_uptime / 1e7

    @property
    def server(self) -> bool | None:
        """Whether the product is a server (a domain controller is one)."""
        return {1: False, 2: True, 3: True}.get(self.product_type or 0)


# Offset and width of each number: 32-bit header, 64-bit header. None: the field is not there
_Place = tuple[int, int] | None
_NUMBERS: dict[str, tuple[_Place, _Place]] = {
    "major_version": ((0x008, 4), (0x008, 4)),
    "build": ((0x00C, 4), (0x00C, 4)),
    "directory_table_base": ((0x010, 4), (0x010, 8)),
    "pfn_database": ((0x014, 4), (0x018, 8)),
    "loaded_module_list": ((0x018, 4), (0x020, 8)),
    "active_process_head": ((0x01C, 4), (0x028, 8)),
    "machine_type": ((0x020, 4), (0x030, 4)),
    "processors": ((0x024, 4), (0x034, 4)),
    "bugcheck_code": ((0x028, 4), (0x038, 4)),
    "pae": ((0x05C, 1), None),
    "kd_secondary_version": ((0x05D, 1), (0x104D, 1)),
    "debugger_data_block": ((0x060, 4), (0x080, 8)),
    "run_count": ((0x064, 4), (0x088, 4)),
    "pages": ((0x068, 4), (0x090, 8)),
    "exception_code": ((0x7D0, 4), (0xF00, 4)),
    "exception_address": ((0x7DC, 4), (0xF10, 8)),
    "dump_type": ((0xF88, 4), (0xF98, 4)),
    "mini_dump_fields": ((0xF8C, 4), (0x1038, 4)),
    "secondary_data_state": ((0xF90, 4), (0x103C, 4)),
    "product_type": ((0xF94, 4), (0x1040, 4)),
    "suite_mask": ((0xF98, 4), (0x1044, 4)),
    "writer_status": ((0xF9C, 4), (0x1048, 4)),
    "required_dump_space": ((0xFA0, 8), (0xFA0, 8)),
    "system_uptime": ((0xFB8, 8), (0x1030, 8)),
    "system_time": ((0xFC0, 8), (0xFA8, 8)),
    "attributes": (None, (0x1050, 4)),
    "boot_id": (None, (0x1054, 4)),
}
_PARAMETERS = ((0x02C, 4), (0x040, 8))
_RUNS = ((0x06C, 4), (0x098, 8))
_VERSION_USER = ((0x03C, 32), (0x060, 32))
_COMMENT = ((0x820, 128), (0xFB0, 128))


def read_header(content: DumpContent, flaws: list[Flaw]) -> DumpHeader:
    """Read the header; what is odd in it is added to ``flaws``.

    Raises InputError when it is no kernel crash dump, or nothing in the header can be believed.
    """
    signature = content.take(0, 8)
    if signature not in (b"PAGEDUMP", b"PAGEDU64"):
        raise InputError("it is not a kernel crash dump: it does not begin with PAGEDUMP or PAGEDU64")
    wide = signature == b"PAGEDU64"
    size = 2 * PAGE if wide else PAGE
    if content.size < MIN_HEADER:
        raise InputError(
            f"it is a kernel crash dump that ends after {content.size:,} of the {size:,} bytes of its header:"
            " copy it again from the machine"
        )
    if content.size < size:
        flaws.append(Flaw(f"the dump ends inside its header, which has {size:,} bytes: it is truncated", content.size))
    value = {name: _number(content, places[wide]) for name, places in _NUMBERS.items()}
    machine, build = value["machine_type"], value["build"]
    if build is not None and not LOWEST_BUILD <= build <= HIGHEST_BUILD:
        build = None
    if machine not in ARCHITECTURES and build is None:
        raise InputError(
            "it begins as a kernel crash dump, but neither the machine type nor the build number in its header can be"
            " true: the header is damaged; copy the dump again from the machine"
        )
    bits: Literal[32, 64] = 64 if wide else 32
    if machine not in ARCHITECTURES:
        flaws.append(Flaw("the machine type in the header is none of x86, x64, ARM64 and IA64", 0x30 if wide else 0x20))
    elif (machine == 0x14C) is wide:
        says = f"the header has {bits} bits, but its machine type is {ARCHITECTURES[machine or 0]}"
        flaws.append(Flaw(says, 0x30 if wide else 0x20))
    processors = value["processors"]
    return DumpHeader(
        bits=bits,
        major_version=value["major_version"],
        build=build,
        directory_table_base=value["directory_table_base"],
        pfn_database=value["pfn_database"],
        loaded_module_list=value["loaded_module_list"],
        active_process_head=value["active_process_head"],
        machine_type=machine,
        processors=processors if processors is not None and 0 < processors <= MAX_PROCESSORS else None,
        bugcheck_code=value["bugcheck_code"],
        bugcheck_parameters=_parameters(content, wide),
        version_user=_text(content, _VERSION_USER[wide]),
        pae={0: False, 1: True}.get(-1 if value["pae"] is None else value["pae"]),
        kd_secondary_version=value["kd_secondary_version"],
        debugger_data_block=value["debugger_data_block"],
        pages=value["pages"] if value["run_count"] is not None else None,
        runs=_runs(content, wide, value["run_count"], value["dump_type"], flaws),
        exception_code=value["exception_code"],
        exception_address=value["exception_address"],
        comment=_text(content, _COMMENT[wide]),
        dump_type=value["dump_type"],
        mini_dump_fields=value["mini_dump_fields"],
        secondary_data_state=value["secondary_data_state"],
        product_type=value["product_type"],
        suite_mask=value["suite_mask"],
        writer_status=value["writer_status"],
        required_dump_space=value["required_dump_space"],
        system_uptime=value["system_uptime"],
        system_time=value["system_time"],
        attributes=value["attributes"],
        boot_id=value["boot_id"],
    )


def _is_filler(raw: bytes, offset: int) -> bool:
    pattern = (_FILLER * (len(raw) // 4 + 2))[offset % 4 :]
    return raw == pattern[: len(raw)]


def _number(content: DumpContent, place: _Place) -> int | None:
    if place is None:
        return None
    raw = content.take(*place)
    return None if raw is None or _is_filler(raw, place[0]) else int.from_bytes(raw, "little")


def _parameters(content: DumpContent, wide: bool) -> tuple[int, ...] | None:
    at, width = _PARAMETERS[wide]
    raw = content.take(at, 4 * width)
    if raw is None or _is_filler(raw, at):
        return None
    return tuple(int.from_bytes(raw[i : i + width], "little") for i in range(0, 4 * width, width))


def _text(content: DumpContent, place: tuple[int, int]) -> str | None:
    raw = content.take(*place)
    if raw is None or raw.startswith(_FILLER):
        return None
    text = raw.split(b"\0", 1)[0].decode("latin-1")
    return text if text and text.isprintable() else None


def _runs(
    content: DumpContent, wide: bool, count: int | None, dump_type: int | None, flaws: list[Flaw]
) -> tuple[PhysicalRun, ...]:
    at, width = _RUNS[wide]
    most = MAX_RUNS_64 if wide else MAX_RUNS_32
    if not count:
        return ()
    if count > most:
        if dump_type == 1:
            flaws.append(Flaw(f"the header claims {count:,} runs of memory, but has room for {most} only", at))
        return ()
    found: list[PhysicalRun] = []
    for number in range(count):
        place = at + number * 2 * width
        base, pages = content.number(place, width), content.number(place + width, width)
        if base is None or pages is None:
            break
        if base + pages > MAX_PAGE_NUMBER:
            flaws.append(Flaw("a run of memory in the header lies beyond all physical addresses", place))
            break  # where the next run lies in the file depends on this one
        found.append(PhysicalRun(base, pages))
    return tuple(found)
