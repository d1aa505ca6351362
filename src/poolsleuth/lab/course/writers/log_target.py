"""What the debugger prints by itself: its banner, the target, the bug check. Also how it writes numbers and times."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from poolsleuth.lab.course.writers.zone import Zone
from poolsleuth.lab.machine import Machine

VISTA, WINDOWS_7, WINDOWS_8, WINDOWS_10 = 6000, 7600, 9200, 10240
_SECOND = timedelta(seconds=1)
_STARS = "*" * 79
_TITLES = {
    2600: "Windows XP",
    3790: "Windows Server 2003",
    6002: "Windows Server 2008/Windows Vista",
    7601: "Windows 7",
    9600: "Windows 8.1",
}
# What the debugger says of the bug checks of this lab, in words of its public help
_BUG_CHECKS = {
    0x19: ("BAD_POOL_HEADER", "The pool is already corrupt at the time of the current request."),
    0x3F: ("NO_MORE_SYSTEM_PTES", "No System PTEs left."),
    0x50: ("PAGE_FAULT_IN_NONPAGED_AREA", "Invalid system memory was referenced."),
    0xC2: ("BAD_POOL_CALLER", "The current thread is making a bad pool request."),
    0xC5: ("DRIVER_CORRUPTED_EXPOOL", "An attempt was made to access a pageable (or invalid) address."),
    0xE2: ("MANUALLY_INITIATED_CRASH", "The user manually initiated this crash dump."),
}


@dataclass(frozen=True, slots=True)
class Style:
    """How the debugger of a Windows generation writes."""

    build: int
    bits: int
    zone: Zone

    @classmethod
    def of(cls, machine: Machine, zone: Zone) -> "Style":
        """That of the debugger in which people open a dump of this Windows."""
        return cls(machine.windows.build, 8 * machine.windows.pointer, zone)

    @property
    def old(self) -> bool:
        """Whether it is a debugger of the years before Windows 8."""
        return self.build < WINDOWS_8

    def plain(self, address: int) -> str:
        """An address without the mark in its middle."""
        return f"{address:0{self.bits // 4}x}"

    def address(self, address: int) -> str:
        """An address; one of 64 bits has a mark in its middle."""
        text = self.plain(address)
        return text if self.bits == 32 else f"{text[:8]}`{text[8:]}"


def prompt(machine: Machine) -> str:
    """What stands before a command: the processor, where there are several."""
    return "0: kd> " if machine.processors > 1 else "kd> "


def banner(machine: Machine, style: Style) -> list[str]:
    """From the start of the debugger to its first prompt."""
    program = (
        "Windows Debugger  Version 6.12.0002.633 X86" if style.old else "Windows Debugger Version 10.0.19041.685 AMD64"
    )
    if style.build >= WINDOWS_10:
        kind = "Kernel Bitmap Dump File: Kernel address space is available, User address space may not be available."
    else:
        kind = "Kernel Summary Dump File: Only kernel address space is available"
    return [
        "",
        f"Microsoft (R) {program}",
        "Copyright (c) Microsoft Corporation. All rights reserved.",
        "",
        "",
        f"Loading Dump File [C:\\{'WINDOWS' if style.old else 'Windows'}\\MEMORY.DMP]",
        kind,
        "",
        "Symbol search path is: srv*c:\\symbols*http://msdl.microsoft.com/download/symbols",
        "Executable search path is: ",
        *target(machine, style),
        "Loading Kernel Symbols",
        *_dots(len(machine.modules)),
        "Loading User Symbols",
        "",
        "Loading unloaded module list",
        *_dots(len(machine.unloaded)),
    ]


def _dots(count: int) -> list[str]:
    return ["." * min(64, count - start) for start in range(0, count, 64)]


def target(machine: Machine, style: Style) -> list[str]:
    """``vertarget``."""
    windows = machine.windows
    title = _TITLES.get(windows.build, "Windows 10")
    pack = f" (Service Pack {windows.service_pack})" if windows.service_pack else ""
    count = f"MP ({machine.processors} procs)" if machine.processors > 1 else "UP"
    free = "Free x64" if windows.architecture == "x64" else "Free x86 compatible"
    product = "Server" if windows.server else "WinNt"
    lines = [
        f"{title} Kernel Version {windows.build}{pack} {count} {free}",
        f"Product: {product}, suite: TerminalServer SingleUserTS",
    ]
    lines.append(f"{'Edition build lab' if windows.build >= WINDOWS_10 else 'Built by'}: {windows.lab}")
    if not style.old:
        lines.append("Machine Name:")
    base, modules = machine.modules[0].base or 0, machine.places.get("PsLoadedModuleList", 0)
    lines.append(f"Kernel base = 0x{style.address(base)} PsLoadedModuleList = 0x{style.address(modules)}")
    lines.append(f"Debug session time: {session_time(machine.crashed_at, style)}")
    lines.append(f"System Uptime: {uptime(machine.crashed_at - machine.booted_at)}")
    return lines


def session_time(at: datetime, style: Style) -> str:
    """A time as the debugger's ``.time`` prints it: local, with the distance to UTC."""
    local, bias = style.zone.local(at), style.zone.bias
    sign, hours, minutes = "-" if bias > 0 else "+", abs(bias) // 60, abs(bias) % 60
    zone = f"(UTC {sign} {hours}:{minutes:02})" if style.build >= VISTA else f"(GMT{sign}{hours})"
    return f"{local:%a %b} {local.day:2} {local:%H:%M:%S}.{local.microsecond // 1000:03} {local.year} {zone}"


def uptime(up: timedelta) -> str:
    """Days, hours, minutes, seconds and thousandths."""
    seconds, rest = divmod(up, _SECOND)
    minutes, hours = seconds // 60 % 60, seconds // 3600 % 24
    return f"{seconds // 86_400} days {hours}:{minutes:02}:{seconds % 60:02}.{rest // timedelta(milliseconds=1):03}"


def bug_check(machine: Machine, style: Style) -> list[str]:
    """``.bugcheck``."""
    numbers = " ".join(style.address(value) for value in machine.bug_check.parameters)
    return [f"Bugcheck code {machine.bug_check.code:08X}", f"Arguments {numbers}"]


def analysis(machine: Machine, style: Style) -> list[str]:
    """The head of ``!analyze -v``: the bug check and its arguments."""
    check = machine.bug_check
    name, says = _BUG_CHECKS.get(check.code, ("Unknown bugcheck code", "Unknown bugcheck description"))
    blank = f"*{'':77}*"
    return [
        _STARS,
        blank,
        f"*{'':24}Bugcheck Analysis{'':36}*",
        blank,
        _STARS,
        "",
        f"{name} ({check.code:x})",
        says,
        "Arguments:",
        *(f"Arg{number}: {style.plain(value)}" for number, value in enumerate(check.parameters, 1)),
        "",
        "Debugging Details:",
        "------------------",
        "",
    ]
