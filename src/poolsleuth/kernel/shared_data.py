"""The time of a running machine, from the page that the kernel shares with all processes (KUSER_SHARED_DATA).

Its address in kernel memory and the places of both times have been the same since Windows NT 4.0 (x86) and the first
x64 version. Each time is a KSYSTEM_TIME: the low 32 bits, the high ones, and the high ones again.
"""

from dataclasses import dataclass
from datetime import datetime

from poolsleuth.kernel.filetime import utc
from poolsleuth.kernel.target import Kernel

_PAGE = {4: 0xFFDF0000, 8: 0xFFFFF78000000000}
_INTERRUPT_TIME, _SYSTEM_TIME = 0x08, 0x14
_CENTURY = 100 * 365 * 86_400 * 10_000_000  # in 100 ns: no machine was up for longer


@dataclass(frozen=True, slots=True)
class MachineTime:
    """``now`` is the machine's clock (UTC), ``uptime_seconds`` the time since it started. None: not readable."""

    now: datetime | None
    uptime_seconds: float | None


def read_machine_time(kernel: Kernel) -> MachineTime:
    """The machine's clock when its memory was taken."""
    page = _PAGE[kernel.pointer_size]
    now, up = _time(kernel, page + _SYSTEM_TIME), _time(kernel, page + _INTERRUPT_TIME)
    return MachineTime(utc(now), up / 1e7 if up is not None and 0 < up < _CENTURY else None)


def _time(kernel: Kernel, address: int) -> int | None:
    raw = kernel.memory.read(address, 12)
    if raw is None or raw[4:8] != raw[8:12]:
        return None
    return int.from_bytes(raw[:8], "little")
