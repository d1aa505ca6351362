"""What the commands of the shell are run on: the kernel, and what the dump's header says beside it."""

from dataclasses import dataclass
from datetime import datetime
from functools import cached_property

from poolsleuth.debugger.names import Names, names_of
from poolsleuth.kernel.crash_dump.header import DumpHeader
from poolsleuth.kernel.crash_dump.triage import TriageDump
from poolsleuth.kernel.shared_data import read_machine_time
from poolsleuth.kernel.target import Kernel


@dataclass(frozen=True, eq=False, kw_only=True)
class Target:
    """A kernel in a dump or in an image of memory.

    ``header`` is None for an image. ``physical_pages`` is the machine's memory as the file says it, None when it does
    not. ``triage`` is what a small memory dump says beside its memory; None for all other dumps.
    """

    kernel: Kernel
    header: DumpHeader | None = None
    physical_pages: int | None = None
    triage: TriageDump | None = None

    @property
    def captured_at(self) -> datetime | None:
        """When the dump was taken (UTC), by its header, or by the machine's clock where there is no header."""
        return self.header.captured_at if self.header is not None else read_machine_time(self.kernel).now

    @property
    def uptime_seconds(self) -> float | None:
        """How long the machine had been up."""
        if self.header is not None:
            return self.header.uptime_seconds
        return read_machine_time(self.kernel).uptime_seconds

    @cached_property
    def names(self) -> Names:
        """Modules and symbols."""
        return names_of(self.kernel, self.triage)

    def address(self, number: int) -> str:
        """An address as the debugger prints it: 8 digits, or 16 with a grave accent in the middle."""
        return address_text(number, self.kernel.pointer_size)

    def plain(self, number: int) -> str:
        """An address without the grave accent, as the extensions (``!locks``, ``!process``) print it."""
        return f"{number:0{2 * self.kernel.pointer_size}x}"


def address_text(number: int, width: int) -> str:
    """A number of ``width`` bytes in hexadecimal; one of 8 bytes has a grave accent in its middle."""
    digits = f"{number:0{2 * width}x}"
    return f"{digits[:-8]}`{digits[-8:]}" if width == 8 else digits
