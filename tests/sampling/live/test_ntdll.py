"""The calls into Windows, with libraries that are Python's: what they are given and what is made of the answers."""

import ctypes
import sys
from collections.abc import Callable
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import pytest

from poolsleuth.model.errors import InputError
from poolsleuth.sampling.live import ntdll
from poolsleuth.sampling.live.ntdll import NtSystem, VersionInfo, open_system
from poolsleuth.sampling.live.source import open_live
from poolsleuth.sampling.live.system import Identity

if TYPE_CHECKING:
    from sampling.conftest import FakeWindows


class Libraries:
    """ntdll and kernel32 of some Windows."""

    def __init__(self, *, process: int = 0, native: int = 0x8664, since_1511: bool = True, product: int = 3) -> None:
        self.enabled: list[tuple[int, int, int]] = []
        self.holds = True

        def query(info_class: int, address: int, length: int, needed: int) -> int:
            assert info_class == 22
            ctypes.memmove(address, b"\x07" * length, length)
            ctypes.c_uint32.from_address(needed).value = length - 1
            return -1073741820  # as a signed number: 0xC0000004

        def version(reference: Any) -> int:
            info: VersionInfo = reference._obj
            assert info.size == ctypes.sizeof(VersionInfo) == 284
            info.major, info.minor, info.build, info.product = 10, 0, 0xF000_0000 | 26100, product
            return 0

        def adjust(privilege: int, enable: int, thread: int, before: Any) -> int:
            self.enabled.append((privilege, enable, thread))
            return 0 if self.holds else 0xC0000061

        def wow2(handle: ctypes.c_void_p, one: Any, other: Any) -> int:
            assert handle.value == ctypes.c_void_p(-1).value
            one._obj.value, other._obj.value = process, native
            return 1

        def wow(handle: ctypes.c_void_p, one: Any) -> int:
            one._obj.value = int(process != 0)
            return 1

        def name(kind: int, buffer: Any, size: Any) -> int:
            assert (kind, size._obj.value) == (4, 256)
            buffer.value = "SERVER"
            return 1

        self.ntdll = SimpleNamespace(NtQuerySystemInformation=query, RtlGetVersion=version, RtlAdjustPrivilege=adjust)
        self.kernel32 = SimpleNamespace(GetComputerNameExW=name, IsWow64Process=wow)
        if since_1511:
            self.kernel32.IsWow64Process2 = wow2

    def open(self) -> NtSystem:
        return NtSystem(cast("ctypes.CDLL", self.ntdll), cast("ctypes.CDLL", self.kernel32))


def test_a_buffer_is_filled() -> None:
    buffer = np.zeros(100, np.uint8)
    assert Libraries().open().query(22, buffer[10:50]) == (0xC0000004, 39)
    assert not buffer[:10].any()
    assert (buffer[10:50] == 7).all()
    assert not buffer[50:].any()


def test_the_width_is_that_of_this_process() -> None:
    assert Libraries().open().wide == (sys.maxsize > 2**32)


@pytest.mark.parametrize(("product", "server"), [(1, False), (2, True), (3, True)])
def test_who_it_is(product: int, server: bool) -> None:
    assert Libraries(product=product).open().identity == Identity("SERVER", 26100, server, "x64")


def test_an_x64_python_on_arm64_is_served_as_on_x64() -> None:
    assert Libraries(native=0xAA64).open().identity.architecture == "arm64"


def test_before_windows_10_the_width_tells_the_machine() -> None:
    assert Libraries(since_1511=False).open().identity.architecture == ("x64" if sys.maxsize > 2**32 else "x86")


def test_what_fails_is_not_known() -> None:
    libraries = Libraries()
    libraries.ntdll.RtlGetVersion = lambda _: 0xC0000001
    libraries.kernel32.GetComputerNameExW = lambda *_: 0
    libraries.kernel32.IsWow64Process2 = lambda *_: 0
    libraries.kernel32.IsWow64Process = lambda *_: 0
    assert libraries.open().identity == Identity(None, None, None, "x64" if sys.maxsize > 2**32 else "x86")


@pytest.mark.parametrize("since_1511", [True, False])
@pytest.mark.parametrize("native", [0x8664, 0xAA64])
def test_a_32_bit_python_on_a_64_bit_windows_is_refused(since_1511: bool, native: int) -> None:
    with pytest.raises(InputError, match="use a 64-bit Python"):
        Libraries(process=0x014C, native=native, since_1511=since_1511).open()


def test_the_privilege_of_debuggers_is_enabled() -> None:
    libraries = Libraries()
    assert libraries.open().allow_debugging()
    assert libraries.enabled == [(20, 1, 0)]
    libraries.holds = False
    assert not libraries.open().allow_debugging()


@pytest.mark.skipif(sys.platform == "win32", reason="this is Windows")
@pytest.mark.parametrize("opened", [open_system, open_live])
def test_elsewhere_it_says_what_to_do(opened: Callable[[], object]) -> None:
    with pytest.raises(InputError) as caught:
        opened()
    assert str(caught.value) == ntdll.NOT_HERE


@pytest.mark.skipif(sys.platform == "win32" or sys.maxsize < 2**32, reason="would be a Windows of this process's width")
def test_a_sample_by_way_of_the_calls(monkeypatch: pytest.MonkeyPatch, fake_windows: "type[FakeWindows]") -> None:
    windows = fake_windows()
    windows.tag(b"Leak", nonpaged=(1000, 10, 990 * 64))
    libraries = Libraries(native=0xAA64)

    def query(info_class: int, address: int, length: int, needed: int) -> int:
        buffer = np.ctypeslib.as_array((ctypes.c_uint8 * length).from_address(address))
        status, ctypes.c_uint32.from_address(needed).value = windows.query(info_class, buffer)
        return status

    libraries.ntdll.NtQuerySystemInformation = query
    monkeypatch.setattr(sys, "platform", "win32")
    monkeypatch.setattr(ctypes, "WinDLL", lambda name: getattr(libraries, name), raising=False)
    source = open_live()
    sample = source.take()
    assert list(sample.tags.bytes) == [990 * 64]
    assert sample.complete
    assert [process.name for process in sample.processes] == ["Idle", "System", "agent.exe"]
    assert (source.host.computer, source.host.architecture, source.notes) == ("SERVER", "arm64", ())


@pytest.mark.skipif(sys.platform != "win32", reason="needs a running Windows")
def test_this_windows_gives_a_sample() -> None:
    source = open_live()
    first, second = source.take(), source.take()
    assert len(first.tags) > 500, source.notes
    assert first.complete
    assert {"physical", "available", "nonpaged_used", "paged_used", "committed"} <= set(first.memory)
    assert first.memory["available"] < first.memory["physical"]
    assert 0 < np.nansum(first.tags.bytes) < 2 * (first.memory["nonpaged_used"] + first.memory["paged_used"])
    names = {(process.pid, process.name) for process in first.processes}
    assert (4, "System") in names
    assert first.booted is not None
    assert first.booted < first.time <= second.time
    assert source.host.build is not None
    assert len(source.big_pool()) > 10
