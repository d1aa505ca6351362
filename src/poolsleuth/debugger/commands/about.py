"""``vertarget``, ``.time`` and ``.bugcheck``: which machine it was, when, and what it stopped with."""

import re
from datetime import timedelta

from poolsleuth.debugger.command import Command, Lines
from poolsleuth.debugger.commands.modules import time_text
from poolsleuth.debugger.target import Target, address_text
from poolsleuth.debugger.text import printable
from poolsleuth.kernel.find.version import kernel_version
from poolsleuth.model.errors import InputError
from poolsleuth.windows.builds import version_of_build

_ARCHITECTURES = {"x86": "x86 compatible", "x64": "x64", "arm64": "ARM 64-bit (AArch64)"}


def _vertarget(target: Target, _match: re.Match[str], rest: str) -> Lines:
    _nothing(rest, "vertarget")
    return _version(target)


def _version(target: Target) -> Lines:
    kernel, header = target.kernel, target.header
    version = kernel_version(kernel)
    build = header.build if header is not None and header.build is not None else kernel.build
    server = header.server if header is not None else None
    windows = version_of_build(build, server=server, bits=64 if kernel.pointer_size == 8 else 32)
    name = windows.name if windows is not None else "Windows"
    pack = f" (Service Pack {version.service_pack})" if version.service_pack else ""
    count = header.processors if header is not None else kernel.processors
    processors = "" if count is None else " UP" if count == 1 else f" MP ({count} procs)"
    kind = "" if version.checked_build is None else " Checked" if version.checked_build else " Free"
    architecture = _ARCHITECTURES.get(kernel.architecture, kernel.architecture)
    yield f"{name} Kernel Version {build}{pack}{processors}{kind or ' Free'} {architecture}"
    if server is not None:
        yield f"Product: {'ServerNt' if server else 'WinNt'}"
    if version.lab is not None:
        yield f"Built by: {printable(version.lab)}"
    yield _base(target)
    yield from _time(target)


def _base(target: Target) -> str:
    kernel = target.kernel
    text = f"Kernel base = 0x{target.address(kernel.base)}"
    modules = kernel.address("PsLoadedModuleList")
    return text if modules is None else f"{text} PsLoadedModuleList = 0x{target.address(modules)}"


def _time_of(target: Target, _match: re.Match[str], rest: str) -> Lines:
    _nothing(rest, ".time")
    return _time(target)


def _time(target: Target) -> Lines:
    at, up = target.captured_at, target.uptime_seconds
    if at is not None:
        yield f"Debug session time: {time_text(at, milliseconds=True)} (UTC + 0:00)"
    if up is not None:
        whole = timedelta(seconds=up)
        hours, rest = divmod(whole.seconds, 3600)
        milliseconds = whole.microseconds // 1000
        yield f"System Uptime: {whole.days} days {hours}:{rest // 60:02d}:{rest % 60:02d}.{milliseconds:03d}"
    if at is None and up is None:
        yield "*** the dump does not say when it was taken"


def _bugcheck(target: Target, _match: re.Match[str], rest: str) -> Lines:
    _nothing(rest, ".bugcheck")
    return _bug(target)


def _bug(target: Target) -> Lines:
    header = target.header
    if header is None or header.bugcheck_code is None:
        yield "*** an image of memory has no bug check" if header is None else "*** the header has no bug check"
        return
    width = header.pointer
    arguments = " ".join(address_text(number, width) for number in header.bugcheck_parameters or ())
    yield f"Bugcheck code {header.bugcheck_code:08X}"
    if arguments:
        yield f"Arguments {arguments}"


def _nothing(rest: str, command: str) -> None:
    if rest:
        raise InputError(f"{command} takes nothing behind it, not '{printable(rest, 40)}'")


COMMANDS = (
    Command(
        re.compile(r"(?:vertarget|version)\b"), ("vertarget",), "vertarget", "which Windows it is, and when", _vertarget
    ),
    Command(
        re.compile(r"\.time\b"), (".time",), ".time", "when the dump was taken, and how long Windows ran", _time_of
    ),
    Command(re.compile(r"\.bugcheck\b"), (".bugcheck",), ".bugcheck", "the bug check with its arguments", _bugcheck),
)
