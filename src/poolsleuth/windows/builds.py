"""Windows versions as data: which build is which Windows, and what people type when they name one.

Build numbers are those that Microsoft publishes in its release-information pages; a client and a server that
share a kernel share the build, and then only the product type tells them apart.
"""

import re
from dataclasses import dataclass
from enum import IntEnum
from typing import Literal


class Era(IntEnum):
    """Generations of Windows between which the rules of the kernel pools change; later is greater."""

    W2K = 1  # 5.0
    XP_2003 = 2  # 5.1, 5.2
    VISTA_7 = 3  # 6.0, 6.1
    W8 = 4  # 6.2
    W81_AND_LATER = 5  # 6.3 and everything since: 10, 11, Server 2016 to 2025


@dataclass(frozen=True, slots=True)
class WindowsVersion:
    """One version of Windows. ``server`` is None when client and server share the build and nothing tells."""

    name: str
    build: int
    era: Era
    server: bool | None


@dataclass(frozen=True, slots=True)
class WindowsVersionMatch:
    """What a typed name means: ``version`` (its last build where the name covers several).

    ``bits`` is 32 or 64 when that Windows exists in one width only, or the text says it; None otherwise.
    """

    version: WindowsVersion
    bits: Literal[32, 64] | None


@dataclass(frozen=True, slots=True)
class _Row:
    """A released build: ``client`` or ``server`` is None where there was no such release."""

    build: int
    era: Era
    client: str | None
    server: str | None


_ROWS = (
    _Row(2195, Era.W2K, "Windows 2000", "Windows 2000 Server"),
    _Row(2600, Era.XP_2003, "Windows XP", None),
    _Row(3790, Era.XP_2003, "Windows XP x64", "Windows Server 2003"),
    _Row(6000, Era.VISTA_7, "Windows Vista", None),
    _Row(6001, Era.VISTA_7, "Windows Vista SP1", "Windows Server 2008"),
    _Row(6002, Era.VISTA_7, "Windows Vista SP2", "Windows Server 2008 SP2"),
    _Row(6003, Era.VISTA_7, None, "Windows Server 2008 SP2"),  # SP2 with the updates of 2019 and later
    _Row(7600, Era.VISTA_7, "Windows 7", "Windows Server 2008 R2"),
    _Row(7601, Era.VISTA_7, "Windows 7 SP1", "Windows Server 2008 R2 SP1"),
    _Row(9200, Era.W8, "Windows 8", "Windows Server 2012"),
    _Row(9600, Era.W81_AND_LATER, "Windows 8.1", "Windows Server 2012 R2"),
    _Row(10240, Era.W81_AND_LATER, "Windows 10 1507", None),
    _Row(10586, Era.W81_AND_LATER, "Windows 10 1511", None),
    _Row(14393, Era.W81_AND_LATER, "Windows 10 1607", "Windows Server 2016"),
    _Row(15063, Era.W81_AND_LATER, "Windows 10 1703", None),
    _Row(16299, Era.W81_AND_LATER, "Windows 10 1709", "Windows Server version 1709"),
    _Row(17134, Era.W81_AND_LATER, "Windows 10 1803", "Windows Server version 1803"),
    _Row(17763, Era.W81_AND_LATER, "Windows 10 1809", "Windows Server 2019"),
    _Row(18362, Era.W81_AND_LATER, "Windows 10 1903", "Windows Server version 1903"),
    _Row(18363, Era.W81_AND_LATER, "Windows 10 1909", "Windows Server version 1909"),
    _Row(19041, Era.W81_AND_LATER, "Windows 10 2004", "Windows Server version 2004"),
    _Row(19042, Era.W81_AND_LATER, "Windows 10 20H2", "Windows Server version 20H2"),
    _Row(19043, Era.W81_AND_LATER, "Windows 10 21H1", None),
    _Row(19044, Era.W81_AND_LATER, "Windows 10 21H2", None),
    _Row(19045, Era.W81_AND_LATER, "Windows 10 22H2", None),
    _Row(20348, Era.W81_AND_LATER, None, "Windows Server 2022"),
    _Row(22000, Era.W81_AND_LATER, "Windows 11 21H2", None),
    _Row(22621, Era.W81_AND_LATER, "Windows 11 22H2", None),
    _Row(22631, Era.W81_AND_LATER, "Windows 11 23H2", None),
    _Row(25398, Era.W81_AND_LATER, None, "Windows Server version 23H2"),
    _Row(26100, Era.W81_AND_LATER, "Windows 11 24H2", "Windows Server 2025"),
    _Row(26200, Era.W81_AND_LATER, "Windows 11 25H2", None),
)
_BY_BUILD = {row.build: row for row in _ROWS}

# First build that carried the client's name, previews included; names a build that was never released.
_FAMILIES = (
    (2195, "Windows 2000"),
    (2600, "Windows XP"),
    (6000, "Windows Vista"),
    (6519, "Windows 7"),
    (9200, "Windows 8"),
    (9600, "Windows 8.1"),
    (9841, "Windows 10"),
    (21996, "Windows 11"),
)
_HIGHEST_PLAUSIBLE_BUILD = 32_767  # previews of 2025 count in the 28000s; beyond this it is a misread number


def known_versions() -> tuple[WindowsVersion, ...]:
    """Every released build of the table, oldest first, named for client and server together."""
    return tuple(_named(row, None, None) for row in _ROWS)


def version_of_build(
    build: int, *, server: bool | None = None, bits: Literal[32, 64] | None = None
) -> WindowsVersion | None:
    """Name the Windows of a build number.

    ``server`` None means that the product type is not known: a shared build is then named for both, such as
    "Windows 10 1809 or Server 2019". ``bits`` only matters for 3790, whose 32-bit kernel is always a server's.
    A build that was never released gets the name of its family with the number, such as "Windows 10 (build
    19500)". None when no Windows can have that build, or when it lies between two eras, so that nothing says
    which rules it follows.
    """
    row = _BY_BUILD.get(build)
    if row is not None:
        return _named(row, server, bits)
    if not _ROWS[0].build < build <= _HIGHEST_PLAUSIBLE_BUILD:
        return None
    lower = max((row for row in _ROWS if row.build < build), key=lambda row: row.build)
    upper = min((row for row in _ROWS if row.build > build), key=lambda row: row.build, default=lower)
    if lower.era is not upper.era:
        return None
    return WindowsVersion(_unreleased_name(build, server), build, lower.era, server)


def _unreleased_name(build: int, server: bool | None) -> str:
    family = "Windows Server"
    if not server:
        family = next(name for first, name in reversed(_FAMILIES) if first <= build)
    return f"{family} (build {build})"


def _named(row: _Row, server: bool | None, bits: Literal[32, 64] | None) -> WindowsVersion:
    if row.build == 3790 and bits == 32 and server is None:
        server = True  # Windows XP x64 is the only client of this build, and it has no 32-bit kernel
    if server is None and row.client and row.server:
        shared = f"{row.client} or {row.server.removeprefix('Windows ')}"
        if row.build == 2195:
            shared = row.client
        elif row.build == 3790:
            shared = "Windows XP x64 / Server 2003 x64" if bits == 64 else "Windows Server 2003 or XP x64"
        return WindowsVersion(shared, row.build, row.era, None)
    if server is None:
        return WindowsVersion(row.client or row.server or "Windows", row.build, row.era, row.client is None)
    name = (row.server if server else row.client) or _unreleased_name(row.build, server)
    return WindowsVersion(name, row.build, row.era, server)


@dataclass(frozen=True, slots=True)
class _Typed:
    """What a family name stands for: its name, last build, product type, and the one width it exists in."""

    name: str
    build: int
    server: bool | None
    bits: Literal[32, 64] | None = None


_TYPED = {
    "2000": _Typed("Windows 2000", 2195, None, 32),
    "xp": _Typed("Windows XP", 2600, False),
    "2003": _Typed("Windows Server 2003", 3790, True),
    "2003r2": _Typed("Windows Server 2003 R2", 3790, True),
    "vista": _Typed("Windows Vista", 6002, False),
    "2008": _Typed("Windows Server 2008", 6002, True),
    "7": _Typed("Windows 7", 7601, False),
    "2008r2": _Typed("Windows Server 2008 R2", 7601, True, 64),
    "8": _Typed("Windows 8", 9200, False),
    "2012": _Typed("Windows Server 2012", 9200, True, 64),
    "8.1": _Typed("Windows 8.1", 9600, False),
    "2012r2": _Typed("Windows Server 2012 R2", 9600, True, 64),
    "10": _Typed("Windows 10", 19045, False),
    "2016": _Typed("Windows Server 2016", 14393, True, 64),
    "2019": _Typed("Windows Server 2019", 17763, True, 64),
    "2022": _Typed("Windows Server 2022", 20348, True, 64),
    "11": _Typed("Windows 11", 26200, False, 64),
    "2025": _Typed("Windows Server 2025", 26100, True, 64),
}
_SHORT = {"2k": "2000", "2k3": "2003", "2k8": "2008", "2k12": "2012", "2k16": "2016", "2k19": "2019"}

# The family is the first thing after "Windows", "Server", "WS" ...; editions and service packs follow it freely,
# but never a unit: "8 GB" is a size in the wrong option, not Windows 8.
_NAME = re.compile(
    r"(?P<prefix>(?:(?:microsoft|windows|win|small|business|storage|server|srv|ws|w|nt)\s*)*)"
    r"(?P<family>2k(?:3|8|12|16|19)?|2000|2003|2008|2012|2016|2019|2022|2025|xp|vista|7|8\.1|8|10|11)"
    r"(?:(?<=xp)(?=64)|(?![0-9.]))(?:\s*(?P<r2>r2)(?![a-z0-9]))?(?P<rest>.*)"
)
_BUILD = re.compile(r"(?:(?:windows|build)\s*)*(?:\d{1,2}\.\d\.)?(?P<build>\d{4,5})(?:\.\d+)*")
_RELEASE = re.compile(r"(?<![a-z0-9])(\d\dh[12]|1[5-9]\d\d|2004)(?![a-z0-9])")
_NT = {
    "5.0": "2000",
    "5.1": "xp",
    "5.2": "2003",
    "6.0": "vista",
    "6.1": "7",
    "6.2": "8",
    "6.3": "8.1",
    "10.0": "10",
}


def parse_os_name(text: str) -> WindowsVersionMatch | None:
    """Understand a Windows name as people type it: "ws2003", "2008 R2", "win7", "Windows 10 1809", "19045".

    Upper and lower case, "Microsoft", "(R)" and whatever edition or service pack follows do not matter. A bare
    number is a family where one has that name ("2008", "7"), else a build. None when it names no Windows since
    Windows 2000.
    """
    said = " ".join(re.sub(r"\(r\)|\(tm\)|[®™(),_]", " ", text.lower()).split())
    family = _NAME.fullmatch(said)
    if family is None:
        return _parse_number(said)
    key = _SHORT.get(family["family"], family["family"]) + (family["r2"] or "")
    typed = _TYPED.get(key)
    rest = family["rest"]
    if typed is None or re.match(r"\s*[kmgt]i?b?(?![a-z0-9])", rest):
        return None
    is_server = re.search(r"server|srv|(?<!windo)ws", family["prefix"]) is not None
    if is_server and typed.server is False:
        return None
    bits = typed.bits
    if bits is None and re.search(r"(?<![0-9])64(?![0-9])", rest):
        bits = 64
    elif bits is None and re.search(r"x86|(?<![0-9])32(?![0-9])", rest):
        bits = 32
    return WindowsVersionMatch(_typed_version(typed, rest, server=is_server, bits=bits), bits)


def _typed_version(typed: _Typed, rest: str, *, server: bool, bits: Literal[32, 64] | None) -> WindowsVersion:
    if typed.name == "Windows XP" and bits == 64:
        return WindowsVersion("Windows XP x64", 3790, Era.XP_2003, False)
    if typed.name == "Windows 2000" and (server or "server" in rest):
        return WindowsVersion("Windows 2000 Server", typed.build, Era.W2K, True)
    release = _RELEASE.search(rest)
    if release is not None:
        for row in _ROWS:
            if row.client is not None and row.client.lower() == f"{typed.name} {release[1]}".lower():
                return WindowsVersion(row.client, row.build, row.era, False)
    return WindowsVersion(typed.name, typed.build, _BY_BUILD[typed.build].era, typed.server)


def _parse_number(said: str) -> WindowsVersionMatch | None:
    kernel = said.removeprefix("windows ").removeprefix("nt ")
    if kernel in _NT:
        return parse_os_name(_NT[kernel])
    number = _BUILD.fullmatch(said)
    if number is None:
        return None
    version = version_of_build(int(number["build"]))
    if version is None:
        return None
    return WindowsVersionMatch(version, _only_width(version.build))


def _only_width(build: int) -> Literal[32, 64] | None:
    if build == 2195:
        return 32
    # Servers since 2008 R2 and Windows 11 exist in 64 bits only.
    return 64 if build == 20348 or build >= 22000 else None
