"""The kernels that the lab can play."""

from typing import Literal

from poolsleuth.lab.machine import SimulatedWindows
from poolsleuth.model.errors import InputError


def _kernel(
    title: str,
    version: str,
    architecture: Literal["x86", "x64"],
    lab: str,
    *,
    pae: bool | None = None,
    server: bool = False,
    service_pack: int = 0,
    symbols: bool = True,
) -> SimulatedWindows:
    major, minor, build, revision = (int(part) for part in version.split("."))
    return SimulatedWindows(
        name=f"{build}-{architecture}" + ("-pae" if pae else ""),
        title=title,
        build=build,
        revision=revision,
        major=major,
        minor=minor,
        architecture=architecture,
        pae=pae,
        server=server,
        service_pack=service_pack,
        lab=lab,
        symbols=symbols,
    )


def _x86(title: str, version: str, lab: str, **other: int) -> tuple[SimulatedWindows, SimulatedWindows]:
    """The same Windows without and with PAE."""
    server, pack = bool(other.get("server")), other.get("service_pack", 0)
    plain, pae = (
        _kernel(title, version, "x86", lab, pae=value, server=server, service_pack=pack, symbols=False)
        for value in (False, True)
    )
    return plain, pae


CATALOGUE: tuple[SimulatedWindows, ...] = (
    *_x86("Windows XP SP3", "5.1.2600.5512", "2600.xpsp.080413-2111", service_pack=3),
    *_x86("Windows Server 2003 SP2", "5.2.3790.3959", "3790.srv03_sp2_rtm.070216-1710", server=1, service_pack=2),
    _kernel(
        "Windows Server 2003 x64 SP2", "5.2.3790.3959", "x64", "3790.srv03_sp2_rtm.070216-1710",
        server=True, service_pack=2, symbols=False,
    ),
    *_x86(
        "Windows Server 2008 SP2", "6.0.6002.18005", "6002.18005.x86fre.lh_sp2rtm.090410-1830",
        server=1, service_pack=2,
    ),
    _kernel(
        "Windows Server 2008 SP2", "6.0.6002.18005", "x64", "6002.18005.amd64fre.lh_sp2rtm.090410-1830",
        server=True, service_pack=2, symbols=False,
    ),
    *_x86("Windows 7 SP1", "6.1.7601.24540", "7601.24540.x86fre.win7sp1_ldr_escrow.191105-1059", service_pack=1),
    _kernel(
        "Windows Server 2008 R2 SP1", "6.1.7601.24540", "x64", "7601.24540.amd64fre.win7sp1_ldr_escrow.191105-1059",
        server=True, service_pack=1,
    ),
    _kernel(
        "Windows Server 2012 R2", "6.3.9600.19913", "x64", "9600.19913.amd64fre.winblue_ltsb_escrow.201207-1920",
        server=True,
    ),
    _kernel(
        "Windows Server 2016", "10.0.14393.4583", "x64", "14393.4583.amd64fre.rs1_release.210730-1850", server=True
    ),
    _kernel("Windows Server 2019", "10.0.17763.379", "x64", "17763.1.amd64fre.rs5_release.180914-1434", server=True),
    _kernel("Windows 10 1903", "10.0.18362.295", "x64", "18362.1.amd64fre.19h1_release.190318-1202"),
    _kernel("Windows 10 2004", "10.0.19041.804", "x64", "19041.1.amd64fre.vb_release.191206-1406"),
    _kernel("Windows Server 2022", "10.0.20348.288", "x64", "20348.1.amd64fre.fe_release.210507-1500", server=True),
    _kernel("Windows 11 21H2", "10.0.22000.318", "x64", "22000.1.amd64fre.co_release.210604-1628"),
)  # fmt: skip
"""All of them, oldest first."""


def windows_named(name: str) -> SimulatedWindows:
    """A kernel by its name, such as ``19041-x64``. Raises InputError when there is none."""
    for windows in CATALOGUE:
        if windows.name == name:
            return windows
    names = ", ".join(windows.name for windows in CATALOGUE)
    raise InputError(f"the lab has no Windows called {name!r}: it has {names}")
