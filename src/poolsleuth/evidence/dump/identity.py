"""Which machine a dump comes from, and its bug check."""

import struct
from collections.abc import Iterator

from poolsleuth.evidence.dump.bug_check_block import bug_check_tag
from poolsleuth.evidence.dump.context import DumpContext
from poolsleuth.evidence.dump.opening import OpenedDump
from poolsleuth.kernel.crash_dump.header import DumpHeader
from poolsleuth.kernel.find.version import KernelVersion, kernel_version
from poolsleuth.kernel.shared_data import read_machine_time
from poolsleuth.kernel.target import Kernel
from poolsleuth.model.facts import Fact
from poolsleuth.model.system import BugCheck, TargetInfo
from poolsleuth.windows.bugchecks import name_of
from poolsleuth.windows.builds import version_of_build


def target(opened: OpenedDump, context: DumpContext) -> TargetInfo:
    """What the header and the kernel say of the machine."""
    if opened.dump is not None:
        return _of_header(opened.dump.header, opened, context)
    kernel = opened.kernel
    if kernel is None:
        return TargetInfo(where=context.where(offset=0), live=False, told_by="the image")
    version = kernel_version(kernel)
    time = read_machine_time(kernel)
    bits = 8 * kernel.pointer_size
    windows = version_of_build(kernel.build, server=None, bits=64 if bits == 64 else 32)
    context.captured_at, context.bits = time.now, bits
    return TargetInfo(
        **context.base(offset=0),
        os=windows.name if windows is not None else None,
        build=kernel.build,
        build_lab=version.lab,
        service_pack=_service_pack(version),
        architecture=kernel.architecture,
        pae=kernel.pae if kernel.architecture == "x86" else None,
        processors=kernel.processors,
        kernel_base=kernel.base,
        captured_at=time.now,
        uptime_seconds=time.uptime_seconds,
        live_target=False,
        told_by="the kernel in the image",
        notes=kernel.notes,
    )


def _of_header(header: DumpHeader, opened: OpenedDump, context: DumpContext) -> TargetInfo:
    kernel = opened.kernel
    triage = opened.dump.triage if opened.dump is not None else None
    version = kernel_version(kernel) if kernel is not None else None
    windows = None
    if header.build is not None:
        windows = version_of_build(header.build, server=header.server, bits=header.bits)
    base = kernel.base if kernel is not None else triage.kernel_base if triage is not None else None
    lab = version.lab if version is not None else None
    return TargetInfo(
        **context.base(offset=0),
        os=windows.name if windows is not None else None,
        build=header.build if header.build is not None else kernel.build if kernel is not None else None,
        build_lab=lab or (triage.build_lab if triage is not None else None),
        service_pack=_service_pack(version) if version is not None else None,
        architecture=header.architecture,
        pae=_pae(header, kernel),
        server=header.server,
        processors=header.processors,
        kernel_base=base,
        captured_at=header.captured_at,
        uptime_seconds=header.uptime_seconds,
        live_target=False,
        told_by="the header of the dump",
        notes=kernel.notes if kernel is not None else (),
    )


def _pae(header: DumpHeader, kernel: Kernel | None) -> bool | None:
    if header.architecture != "x86":
        return None
    return header.pae if header.pae is not None else kernel.pae if kernel is not None else None


def _service_pack(version: KernelVersion) -> str | None:
    return f"Service Pack {version.service_pack}" if version.service_pack else None


def bug_check(header: DumpHeader, kernel: Kernel | None, context: DumpContext) -> Iterator[Fact]:
    """The bug check with the tag of the pool block that it names.

    Nothing when the dump was written without a crash (code 0, or four letters of an imaging tool).
    """
    code = header.bugcheck_code
    offset = 0x38 if header.bits == 64 else 0x28
    if not code:
        return
    letters = struct.pack("<I", code)
    if name_of(code) is None and all(0x20 < byte < 0x7F for byte in letters):
        context.problem(
            f'the bug check in the header is no crash: it spells "{letters.decode("ascii")}", which is the mark of a'
            " tool that images the memory of a running system",
            offset=offset,
        )
        return
    yield BugCheck(
        **context.base(offset=offset),
        code=code,
        name=name_of(code),
        parameters=header.bugcheck_parameters or (),
        tag=bug_check_tag(header, kernel),
    )
