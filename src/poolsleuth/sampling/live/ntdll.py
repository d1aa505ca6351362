"""The calls into a running Windows. This file can be imported everywhere; ``open_system`` works on Windows only.

NtQuerySystemInformation and RtlGetVersion are documented by Microsoft (winternl.h, wdm.h), as are
IsWow64Process2 and GetComputerNameExW; RtlAdjustPrivilege is declared in the headers of System Informer (phnt, MIT).
"""

import ctypes
import sys
from functools import cached_property

from poolsleuth.model.errors import InputError
from poolsleuth.sampling.live.system import MACHINES, Identity
from poolsleuth.sampling.live.tag_tables import Buffer

NOT_HERE = "live pool figures come from Windows: run this on the server, or give files to replay"
TOO_NARROW = "this Python is a 32-bit program, and figures of a 64-bit Windows have no room in it: use a 64-bit Python"
_DEBUG_PRIVILEGE = 20  # SE_DEBUG_PRIVILEGE
_PHYSICAL_NETBIOS = 4  # ComputerNamePhysicalNetBIOS: the name that counters and debuggers show
_WORKSTATION = 1  # VER_NT_WORKSTATION
_NAME_CHARACTERS = 256
_THIS_PROCESS = -1  # the handle that GetCurrentProcess gives


class VersionInfo(ctypes.Structure):
    """OSVERSIONINFOEXW."""

    _fields_ = (
        ("size", ctypes.c_uint32),
        ("major", ctypes.c_uint32),
        ("minor", ctypes.c_uint32),
        ("build", ctypes.c_uint32),
        ("platform", ctypes.c_uint32),
        ("service_pack", ctypes.c_uint16 * 128),
        ("service_pack_major", ctypes.c_uint16),
        ("service_pack_minor", ctypes.c_uint16),
        ("suites", ctypes.c_uint16),
        ("product", ctypes.c_uint8),
        ("reserved", ctypes.c_uint8),
    )


class NtSystem:
    """A running Windows behind its own libraries. Raises InputError where a 32-bit Python sees a 64-bit Windows.

    A 32-bit program is served by a layer that converts buffers. What it does with pool figures is documented nowhere,
    and bytes beyond 4 GB have no room in its structures: figures that might be wrong are worse than none.
    """

    def __init__(self, ntdll: ctypes.CDLL, kernel32: ctypes.CDLL) -> None:
        self._ntdll = ntdll
        self._kernel32 = kernel32
        self._query = ntdll.NtQuerySystemInformation
        self._query.argtypes = (ctypes.c_uint32, ctypes.c_void_p, ctypes.c_uint32, ctypes.c_void_p)
        self._query.restype = ctypes.c_uint32
        converted, self._machine = self._machines()
        if converted:
            raise InputError(TOO_NARROW)

    @property
    def wide(self) -> bool:
        """Whether this process has 64 bits: as Windows has then, also where it runs x64 code on ARM64."""
        return ctypes.sizeof(ctypes.c_void_p) == 8

    def query(self, info_class: int, buffer: Buffer) -> tuple[int, int]:
        """The status, and the length used or needed."""
        length = ctypes.c_uint32(0)
        status = self._query(info_class, buffer.ctypes.data, len(buffer), ctypes.addressof(length))
        return int(status) & 0xFFFF_FFFF, length.value

    @cached_property
    def identity(self) -> Identity:
        """Which Windows this is."""
        version = VersionInfo()
        version.size = ctypes.sizeof(version)
        told = self._ntdll.RtlGetVersion(ctypes.byref(version)) == 0
        name = ctypes.create_unicode_buffer(_NAME_CHARACTERS)
        size = ctypes.c_uint32(_NAME_CHARACTERS)
        named = self._kernel32.GetComputerNameExW(_PHYSICAL_NETBIOS, name, ctypes.byref(size))
        return Identity(
            computer=(name.value or None) if named else None,
            build=version.build & 0xFFFF if told else None,
            server=version.product != _WORKSTATION if told and version.product else None,
            architecture=self._machine or ("x64" if self.wide else "x86"),
        )

    def allow_debugging(self) -> bool:
        """Enable SeDebugPrivilege; False where the account does not hold it or the console is not elevated."""
        before = ctypes.c_uint8(0)
        return bool(self._ntdll.RtlAdjustPrivilege(_DEBUG_PRIVILEGE, 1, 0, ctypes.byref(before)) == 0)

    def _machines(self) -> tuple[bool, str | None]:
        """Whether this process is a 32-bit one on a 64-bit Windows, and the machine itself, None when not told."""
        this = ctypes.c_void_p(_THIS_PROCESS)
        # A library answers for a function that it does not have with AttributeError
        newer = getattr(self._kernel32, "IsWow64Process2", None)  # since Windows 10 1511
        if newer is not None:
            process, native = ctypes.c_uint16(0), ctypes.c_uint16(0)
            if newer(this, ctypes.byref(process), ctypes.byref(native)):
                return process.value != 0, MACHINES.get(native.value)
        older = getattr(self._kernel32, "IsWow64Process", None)
        converted = ctypes.c_int(0)
        if older is not None and older(this, ctypes.byref(converted)):
            return converted.value != 0, None
        return False, None


def open_system() -> NtSystem:
    """The Windows that this runs on. Raises InputError elsewhere, and in a 32-bit Python on a 64-bit Windows."""
    if sys.platform != "win32":
        raise InputError(NOT_HERE)
    return NtSystem(ctypes.WinDLL("ntdll"), ctypes.WinDLL("kernel32"))
