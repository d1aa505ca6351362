"""Kernel crash dumps as evidence: the machine, its bug check and drivers; and what the dump cannot tell."""

import struct
from datetime import UTC, datetime
from typing import BinaryIO

from poolsleuth.kernel.crash_dump.content import open_content
from poolsleuth.kernel.crash_dump.dump import Container, CrashDump, open_dump
from poolsleuth.kernel.crash_dump.header import DumpHeader
from poolsleuth.kernel.crash_dump.triage import TriageDriver, TriageDump
from poolsleuth.model.facts import Fact, Problem, Where
from poolsleuth.model.modules import Module, ModuleList, UnloadedModule, UnloadedModules
from poolsleuth.model.system import BugCheck, TargetInfo
from poolsleuth.windows.bugchecks import name_of
from poolsleuth.windows.builds import version_of_build

MAX_FLAWS = 20  # sentences about one damaged dump: more of them help nobody
_FIRST_BUILD_TIME = 631_152_000  # 1990-01-01: a "time" of a driver before that is a hash of the build
_FIRST_HASHED_BUILD = 10240
_COMMANDS = "`!vm`, `!poolused 2`, `!poolused 4` and `lm`"


def read_dump(file: BinaryIO, input_index: int, problems: list[Problem]) -> list[Fact]:
    """Read a kernel crash dump that can be sought in: only its header, its directory and its lists.

    What the dump cannot tell, and what of it is damaged, is added to ``problems``. Raises InputError when it is no
    kernel crash dump, or its header cannot be believed.
    """
    with open_content(file) as content:
        dump = open_dump(content)
        problems += [Problem(flaw.says, Where(input_index, offset=flaw.offset or 0)) for flaw in dump.flaws[:MAX_FLAWS]]
        facts: list[Fact] = [_target(dump, input_index)]
        facts += _bug_check(dump.header, input_index, problems)
        if dump.triage is not None:
            facts += _drivers(dump.header, dump.triage, input_index)
        problems.append(Problem(_not_read(dump), Where(input_index, offset=dump.header.size)))
    return facts


def _target(dump: CrashDump, index: int) -> TargetInfo:
    header, triage = dump.header, dump.triage
    version = None
    if header.build is not None:
        version = version_of_build(header.build, server=header.server, bits=header.bits)
    return TargetInfo(
        where=Where(index, offset=0),
        live=False,
        address_bits=header.bits,
        at=header.captured_at,
        os=version.name if version is not None else None,
        build=header.build,
        build_lab=triage.build_lab if triage is not None else None,
        architecture=header.architecture,
        pae=header.pae if header.architecture == "x86" else None,
        server=header.server,
        processors=header.processors,
        kernel_base=triage.kernel_base if triage is not None else None,
        captured_at=header.captured_at,
        uptime_seconds=header.uptime_seconds,
        live_target=False,
        told_by="the header of the dump",
    )


def _bug_check(header: DumpHeader, index: int, problems: list[Problem]) -> list[Fact]:
    """The bug check, unless the dump was written without a crash (code 0, or four letters of an imaging tool)."""
    code = header.bugcheck_code
    where = Where(index, offset=0x38 if header.bits == 64 else 0x28)
    if not code:
        return []
    letters = struct.pack("<I", code)
    if name_of(code) is None and all(0x20 < byte < 0x7F for byte in letters):
        problems.append(
            Problem(
                f'the bug check in the header is no crash: it spells "{letters.decode("ascii")}", which is the mark of'
                " a tool that images the memory of a running system",
                where,
            )
        )
        return []
    return [
        BugCheck(
            where=where,
            live=False,
            address_bits=header.bits,
            at=header.captured_at,
            code=code,
            name=name_of(code),
            parameters=header.bugcheck_parameters or (),
        )
    ]


def _drivers(header: DumpHeader, triage: TriageDump, index: int) -> list[Fact]:
    facts: list[Fact] = []
    if triage.drivers:
        facts.append(
            ModuleList(
                where=Where(index, offset=triage.drivers_offset),
                live=False,
                address_bits=header.bits,
                at=header.captured_at,
                modules=tuple(
                    _module(driver, header, triage.kernel_base, index)
                    for driver in triage.drivers
                    if driver.file_name is not None
                ),
                complete=triage.drivers_complete,
            )
        )
    if triage.unloaded:
        facts.append(
            UnloadedModules(
                where=Where(index, offset=triage.unloaded_offset),
                live=False,
                address_bits=header.bits,
                at=header.captured_at,
                modules=tuple(
                    UnloadedModule(each.name, each.start, each.end, Where(index, offset=each.offset))
                    for each in triage.unloaded
                ),
            )
        )
    return facts


def _module(driver: TriageDriver, header: DumpHeader, kernel_base: int | None, index: int) -> Module:
    file_name = driver.file_name or ""
    # Debuggers call the kernel "nt", whatever its file is called
    name = "nt" if driver.base == kernel_base else file_name.rpartition(".")[0] or file_name
    return Module(
        name=name,
        start=driver.base,
        end=driver.base + driver.size,
        where=Where(index, offset=driver.offset),
        image=file_name,
        path=driver.path,
        timestamp=_timestamp(driver.timestamp, header),
    )


def _timestamp(raw: int, header: DumpHeader) -> str | None:
    """The time stamp of the build with its raw value; Windows 10 and later keep a hash there in their own drivers."""
    if not raw:
        return None
    latest = header.captured_at.timestamp() if header.captured_at is not None else 1 << 32
    if not _FIRST_BUILD_TIME <= raw <= latest:
        return f"{raw:08X} (a hash of the build, not a time)"
    time = f"{datetime.fromtimestamp(raw, UTC):%Y-%m-%d %H:%M:%S} UTC"
    hashed = header.build is not None and header.build >= _FIRST_HASHED_BUILD
    return f"{raw:08X} ({time}, or a hash of the build)" if hashed else f"{time} ({raw:08X})"


def _not_read(dump: CrashDump) -> str:
    if dump.container is Container.TRIAGE:
        memory = dump.triage.memory if dump.triage is not None else None
        figures = ""
        if memory is not None:
            figures = (
                ", and its block of memory figures is empty"
                if memory.empty
                else ", and the unit of the figures in its memory block is not documented"
            )
        return (
            f"a triage dump carries no pool usage (it has no pool tables{figures}): give a kernel or complete dump"
            " (MEMORY.DMP), or the text of `!vm` and `!poolused` from the machine"
        )
    if dump.container is Container.HEADER_ONLY:
        return "the dump is a header without memory, so that it carries no pool usage: give a kernel or complete dump"
    pages = ""
    if dump.memory is not None:
        pages = f", {dump.memory.pages - dump.memory.pages_cut_off:,} pages of memory"
    return (
        f"its header was read ({dump.container.value}{pages}); the pool tables of a dump are not read yet by this"
        f" version: open it in WinDbg, run {_COMMANDS}, and give the log"
    )
