"""Which kernel it is: NtBuildLab, NtBuildNumber and CmNtCSDVersion."""

import re
from dataclasses import dataclass

from poolsleuth.kernel.address_space import PAGE, Reader
from poolsleuth.kernel.target import Kernel

MAX_LAB = 128  # bytes of NtBuildLab and NtBuildLabEx: real ones have 26 to 60
MAX_PACK = 9  # service packs: Windows 2000 had four, NT 4.0 six
_FREE, _CHECKED = 0xF000_0000, 0xC000_0000
_LAB = re.compile(r"(\d{4,5})\.(?:(\d+)\.)?(?:amd64|x86|i386|arm64|ia64)?(fre|chk)?\.?[\w.()-]+")
_PACK = re.compile(r"sp(\d)(?:_|\b)")


@dataclass(frozen=True, slots=True, kw_only=True)
class KernelVersion:
    """The version as the kernel itself says it. None: it does not, or the page is not in the dump.

    ``build`` and ``revision`` are the first two numbers of ``lab`` (``7601.17514.amd64fre.win7sp1_rtm.101119-1850``);
    ``service_pack`` is 0 where there is none. ``checked_build`` is True for the debug builds of Windows.
    """

    build: int | None
    revision: int | None
    lab: str | None
    service_pack: int | None
    checked_build: bool | None


def kernel_version(kernel: Kernel) -> KernelVersion:
    """The version of a kernel that was found."""
    return read_version_at(
        kernel.memory,
        lab=kernel.address("NtBuildLab"),
        longer_lab=kernel.address("NtBuildLabEx"),
        number=kernel.address("NtBuildNumber"),
        pack=kernel.address("CmNtCSDVersion"),
    )


def read_version_at(
    memory: Reader,
    *,
    lab: int | None,
    number: int | None,
    pack: int | None,
    text: str | None = None,
    longer_lab: int | None = None,
) -> KernelVersion:
    """The version from the addresses of the variables; ``text`` stands for a lab that cannot be read.

    ``longer_lab`` is NtBuildLabEx, which says more than NtBuildLab where there is one.
    """
    found = next((said for at in (longer_lab, lab) if at is not None and (said := _lab(memory, at))), text)
    match = None if found is None else _LAB.match(found)
    raw = None if number is None else memory.number(number, 4)
    build = int(match[1]) if match else None
    checked = {"fre": False, "chk": True}.get(match[3] or "") if match else None
    if raw is not None and raw & _FREE in (_FREE, _CHECKED):
        build = build or raw & 0xFFFF
        checked = raw & _FREE == _CHECKED if checked is None else checked
    return KernelVersion(
        build=build,
        revision=int(match[2]) if match and match[2] else None,
        lab=found,
        service_pack=_service_pack(None if pack is None else memory.number(pack, 4), found),
        checked_build=checked,
    )


def _lab(memory: Reader, address: int) -> str | None:
    raw = memory.read(address, MAX_LAB) or memory.read(address, min(MAX_LAB, PAGE - address % PAGE))
    if raw is None or b"\0" not in raw:  # a text without its end is cut, or none at all
        return None
    text = raw.split(b"\0", 1)[0].decode("latin-1")
    return text if text.isascii() and text.isprintable() and _LAB.match(text) else None


def _service_pack(raw: int | None, lab: str | None) -> int | None:
    """From CmNtCSDVersion, whose second byte it is; else from the name of the branch."""
    if raw is not None and raw < 1 << 16 and raw >> 8 <= MAX_PACK:
        return raw >> 8
    named = _PACK.search(lab) if lab else None
    return int(named[1]) if named else None
