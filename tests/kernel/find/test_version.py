"""What the kernel says of its version: real build strings, and what is none."""

from collections.abc import Callable
from typing import Any

import pytest

from poolsleuth.kernel.find.version import KernelVersion, read_version_at

Made = Callable[..., Any]


def version(machine: Any, lab: bytes | None, number: int | None = None, pack: int | None = None) -> KernelVersion:
    for name, value in (("NtBuildNumber", number), ("CmNtCSDVersion", pack)):
        machine.memory.put(machine.at(name), value or 0, width=4)
    machine.memory.write(machine.at("NtBuildLab"), (lab or b"") + b"\0")
    return read_version_at(
        machine.reader,
        lab=machine.at("NtBuildLab") if lab is not None else None,
        number=machine.at("NtBuildNumber") if number is not None else None,
        pack=machine.at("CmNtCSDVersion") if pack is not None else None,
    )


# Build strings as debuggers print them ("Built by: ..."); CmNtCSDVersion holds the service pack in its second byte
@pytest.mark.parametrize(
    ("lab", "pack", "wanted"),
    [
        (b"2600.xpsp_sp3_gdr.100216-1514", 0x300, (2600, None, 3, None)),
        (b"2600.xpsp_sp2_rtm.040803-2158", None, (2600, None, 2, None)),
        (b"3790.srv03_sp2_gdr.100216-1301", None, (3790, None, 2, None)),
        (b"6002.18267.x86fre.vistasp2_gdr.100608-0458", 0x200, (6002, 18267, 2, False)),
        (b"7601.17514.amd64fre.win7sp1_rtm.101119-1850", 0x100, (7601, 17514, 1, False)),
        (b"7601.17514.amd64chk.win7sp1_rtm.101119-1850", 0x100, (7601, 17514, 1, True)),
        (b"9600.17328.amd64fre.winblue_r3.140827-1500", 0, (9600, 17328, 0, False)),
        (b"19041.1.amd64fre.vb_release.191206-1406", 0, (19041, 1, 0, False)),
        (b"22000.1.arm64fre.co_release.210604-1628", None, (22000, 1, None, False)),
    ],
)
def test_build_strings(machine: Made, lab: bytes, pack: int | None, wanted: tuple[Any, ...]) -> None:
    found = version(machine(), lab, pack=pack)
    assert (found.build, found.revision, found.service_pack, found.checked_build) == wanted
    assert found.lab == lab.decode()


def test_the_number_alone(machine: Made) -> None:
    written = machine()
    free, checked, neither = (version(written, None, number) for number in (0xF0001DB1, 0xC0001DB1, 0x1DB1))
    assert (free.build, free.checked_build) == (7601, False)
    assert (checked.build, checked.checked_build) == (7601, True)
    assert (neither.build, neither.checked_build) == (None, None)


@pytest.mark.parametrize("lab", [b"", b"kernel", b"76\x1b01.x", b"\xff" * 40, b"1" * 200, b"99.1.x"])
def test_texts_that_are_none(machine: Made, lab: bytes) -> None:
    written = machine()
    found = version(written, lab)
    assert (found.build, found.lab) == (None, None)
    replaced = read_version_at(
        written.reader, lab=written.at("NtBuildLab"), number=None, pack=None, text="7601.17514.x86fre.win7.1-1"
    )
    assert replaced.build == 7601


def test_end_of_a_page_and_odd_service_packs(machine: Made) -> None:
    written = machine()
    place = written.base + 0x91000 - 12
    written.memory.write(place, b"7600.16385.w")
    written.memory.lose(place + 12)
    assert read_version_at(written.reader, lab=place, number=None, pack=None).lab is None  # its end is missing
    written.memory.write(place - 8, b"7600.16385.win7_rtm\0")
    assert read_version_at(written.reader, lab=place - 8, number=None, pack=None).build == 7600
    assert version(written, None, None, 0xFFFF0300).service_pack is None
    assert version(written, None, None, 0x6300).service_pack is None
