"""Debugger banners and ``vertarget``: which Windows on which machine was debugged, and when."""

import re
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta, timezone

from poolsleuth.evidence.debugger_log.output import Block, BufferedOutput, Context, Output, address_bits
from poolsleuth.model.facts import Fact
from poolsleuth.model.system import TargetInfo

MAX_CHARS = 256 * 1024  # a banner with all its symbol warnings is a few KB; whatever follows belongs to nobody
_PAE_WITHIN = 400  # characters behind the banner in which the kernel's image may be named

_DUMP = re.compile(r"Loading\s{1,8}Dump\s{1,8}File\s{1,8}\[(?P<file>[^\]\n]{1,400})\]")
_CONNECTED = re.compile(
    r"Connected\s{1,8}to\s{1,8}(?P<os>Windows\s[^\n]{0,60}?)\s{1,8}(?P<build>\d{3,6})(?:\.\d{1,6})*\s{1,8}"
    r"(?P<arch>x86|x64|amd64|arm64|arm|ia64)(?:\s{1,8}compatible)?\s{1,8}target",
    re.IGNORECASE,
)
_VERSION = re.compile(
    r"(?P<os>Windows\s[^\n]{0,80}?)\s{1,8}Kernel\s{1,8}Version\s{1,8}(?P<build>\d{3,6})(?:\.\d{1,6})*"
    r"(?:\s{1,8}\((?P<pack>[^()\n]{1,60})\))?"
    r"(?:\s{1,8}(?:(?P<up>UP)|MP\s{1,8}\((?P<procs>\d{1,5})\s{1,8}procs?\)))?"
    r"(?:\s{1,8}(?:Free|Checked)\s{1,8}(?P<arch>x86|x64|amd64|ARM\s{1,8}64|arm64|ia64|itanium))?",
    re.IGNORECASE,
)
_USER_MODE = re.compile(r"^[ ]*(?:User Mini Dump File|Process Uptime:)", re.MULTILINE)
_PRODUCT = re.compile(r"^[ ]*Product:\s{0,8}(?P<product>\w{1,20})", re.MULTILINE)
_BUILT_BY = re.compile(r"^[ ]*(?:Built\s{1,8}by|Edition\s{1,8}build\s{1,8}lab):\s{0,8}(?P<lab>\S{1,120})", re.MULTILINE)
_MACHINE = re.compile(
    r"^[ ]*Machine\s{1,8}Name:[ ]*(?:\n[ \x1f]*){0,2}(?:\"(?P<quoted>[^\"\n]{1,63})\"|(?P<bare>[\w.-]{1,63})[ \x1f]*$)",
    re.MULTILINE,
)
_KERNEL_BASE = re.compile(r"^[ ]*Kernel\s{1,8}base\s{0,8}=\s{0,8}(?P<base>0x[0-9a-fA-F]{8,16})\b", re.MULTILINE)
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_TIME = re.compile(
    r"\b(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)\s{1,8}(?P<month>" + "|".join(_MONTHS) + r")\s{1,8}(?P<day>\d{1,2})\s{1,8}"
    r"(?P<hour>\d{1,2}):(?P<minute>\d{2}):(?P<second>\d{2})(?:\.(?P<fraction>\d{1,6})\d{0,6})?\s{1,8}(?P<year>\d{4})"
    r"(?:\s{1,8}\(\s?(?:UTC|GMT)(?:\s{0,4}(?P<sign>[+-])\s{0,4}(?P<hours>\d{1,2})(?::(?P<minutes>\d{2}))?)?(?P<zone>\s?\)))?"
)
_SESSION_TIME = re.compile(r"Debug\s{1,8}session\s{1,8}time:", re.IGNORECASE)
_UPTIME = re.compile(
    r"System\s{1,8}Uptime:\s{0,8}(?:(?P<days>\d{1,6})\s{1,8}days?\s{1,8})?(?P<h>\d{1,3}):(?P<m>\d{2}):(?P<s>\d{2}(?:\.\d{1,9})?)",
    re.IGNORECASE,
)
_PAE = re.compile(r"\bPAE\b|\bntkrpamp\b|\bntkrnlpa\b")
_ARCHITECTURES = {"x86": "x86", "x64": "x64", "amd64": "x64", "arm64": "arm64", "ia64": "ia64", "itanium": "ia64"}
_SERVERS = {"server": True, "servernt": True, "lanmannt": True, "winnt": False}


class _Target(BufferedOutput):
    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self._left = MAX_CHARS

    def feed(self, text: str, line: int) -> None:
        """Keep the beginning only."""
        if self._left > 0:
            super().feed(text[: self._left], line)
            self._left -= len(text)

    def parse(self, block: Block) -> Iterable[Fact]:
        """One fact for each banner; the lines around a version belong to it."""
        if block.context.user_mode:
            return
        for start, end in _banners(block.text):
            fact = _target(block, start, end)
            if fact is not None:
                yield fact


def _banners(text: str) -> Iterator[tuple[int, int]]:
    """Without prompts, several banners can follow each other: a line that was already seen begins the next one."""
    start = 0
    seen: set[str] = set()
    marks = sorted(
        (match.start(), name)
        for name, expression in (("dump", _DUMP), ("connected", _CONNECTED), ("version", _VERSION))
        for match in expression.finditer(text)
    )
    for position, name in marks:
        if name in seen or (name != "version" and "version" in seen):
            yield start, position
            start, seen = position, set()
        seen.add(name)
    yield start, len(text)


def _target(block: Block, start: int, end: int) -> TargetInfo | None:
    text = block.text
    dump = _DUMP.search(text, start, end)
    connected = _CONNECTED.search(text, start, end)
    version = _VERSION.search(text, start, end)
    product = _PRODUCT.search(text, start, end)
    lab = _BUILT_BY.search(text, start, end)
    machine = _MACHINE.search(text, start, end)
    base = _KERNEL_BASE.search(text, start, end)
    session_time = _SESSION_TIME.search(text, start, end)
    uptime = _UPTIME.search(text, start, end)
    found = [m for m in (dump, connected, version, product, lab, machine, base, session_time, uptime) if m]
    if not found or _USER_MODE.search(text, start, end):
        return None
    spoken = version or connected
    architecture = _architecture(spoken["arch"] if spoken else None)
    return TargetInfo(
        where=block.where(min(match.start() for match in found)),
        live=block.context.live,
        command=block.context.command,
        address_bits=address_bits(base["base"]) if base else None,
        os=" ".join(spoken["os"].split()) if spoken else None,
        build=int(spoken["build"]) if spoken else None,
        build_lab=lab["lab"] if lab else None,
        service_pack=" ".join(version["pack"].split()) if version and version["pack"] else None,
        architecture=architecture,
        # Its absence proves nothing: the kernel's image is seldom named
        pae=True if _PAE.search(text, start, min(end, max(m.end() for m in found) + _PAE_WITHIN)) else None,
        server=_SERVERS.get(product["product"].lower()) if product else None,
        processors=_processors(version),
        computer=(machine["quoted"] or machine["bare"]).strip() if machine else None,
        kernel_base=int(base["base"], 16) if base else None,
        captured_at=_captured_at(text, session_time, connected, end),
        uptime_seconds=_seconds(uptime),
        dump_file=dump["file"].strip() if dump else None,
        live_target=True if connected or block.context.live else False if dump else None,
    )


def _architecture(printed: str | None) -> str | None:
    return None if printed is None else _ARCHITECTURES.get("".join(printed.split()).lower())


def _processors(version: re.Match[str] | None) -> int | None:
    if version is None:
        return None
    return 1 if version["up"] else int(version["procs"]) if version["procs"] else None


def _captured_at(
    text: str, session_time: re.Match[str] | None, connected: re.Match[str] | None, end: int
) -> datetime | None:
    """The time in UTC. Old debuggers print local time without its offset: then the time stays unknown."""
    before = session_time or connected
    if before is None:
        return None
    match = _TIME.search(text, before.end(), min(end, before.end() + 80))
    if match is None or not match["zone"]:
        return None
    offset = timedelta(hours=int(match["hours"] or 0), minutes=int(match["minutes"] or 0))
    try:
        local = datetime(
            int(match["year"]),
            _MONTHS.index(match["month"]) + 1,
            int(match["day"]),
            int(match["hour"]),
            int(match["minute"]),
            int(match["second"]),
            int((match["fraction"] or "0").ljust(6, "0")),
            tzinfo=timezone(-offset if match["sign"] == "-" else offset),
        )
        return local.astimezone(UTC)
    except (ValueError, OverflowError):
        return None  # a 31st of February: the line is damaged


def _seconds(uptime: re.Match[str] | None) -> float | None:
    if uptime is None:
        return None
    hours = int(uptime["days"] or 0) * 24 + int(uptime["h"])
    return hours * 3600 + int(uptime["m"]) * 60 + float(uptime["s"])


class _Reader:
    name = "target"
    banners = (
        r"Loading\s+Dump\s+File\s+\[",
        r"Microsoft\s+\(R\)\s+Windows\s+Debugger\b",
    )
    rows = (
        r"Connected\s+to\s+Windows\s",
        r"Windows\s[^\n]{1,60}?Kernel\s+Version\s+\d",
        r"Built\s+by:\s",
        r"Edition\s+build\s+lab:",
        r"Machine\s+Name:",
        r"Kernel\s+base\s+=\s",
        r"Debug\s+session\s+time:",
        r"System\s+Uptime:\s",
    )

    def open(self, context: Context) -> Output:
        """Begin a banner."""
        return _Target(context)


READER = _Reader()
