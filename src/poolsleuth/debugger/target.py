"""What the commands of the shell are run on: the kernel, and what the dump's header says beside it."""

import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cached_property

from poolsleuth.debugger.names import Names, names_of
from poolsleuth.kernel.address_space import Reader
from poolsleuth.kernel.crash_dump.header import DumpHeader
from poolsleuth.kernel.crash_dump.triage import TriageDump
from poolsleuth.kernel.processes import Process
from poolsleuth.kernel.shared_data import read_machine_time
from poolsleuth.kernel.target import Kernel

Progress = Callable[[str, int], None]
"""Told while a command takes long: what is done, and how much of it so far."""

Judge = Callable[[bool], Iterator[str]]
"""Our own verdict, line by line; with its evidence where the argument is True."""


@dataclass(eq=False, kw_only=True)
class Target:
    """A kernel in a dump or in an image of memory, and the process whose addresses the commands see.

    ``header`` is None for an image. ``physical_pages`` is the machine's memory as the file says it, None when it does
    not. ``triage`` is what a small memory dump says beside its memory; None for all other dumps. ``symbol_path`` is
    what the user named as sources of symbols. ``judge`` gives the verdict (``!analyze``), None where there is none;
    ``progress`` is told what long commands do.

    The address space can be changed (``.process``, ``!session -s``): ``kernel.memory`` is then that of the process.
    Kernel addresses mean the same there, those of its session and of its user half are seen too. ``process`` and
    ``session`` say whose it is; None: the system's.
    """

    kernel: Kernel
    header: DumpHeader | None = None
    physical_pages: int | None = None
    triage: TriageDump | None = None
    symbol_path: tuple[str, ...] = ()
    judge: Judge | None = None
    progress: Progress | None = None
    process: Process | None = None
    session: int | None = None
    run_command: Callable[[str], Iterator[str]] | None = None
    _system: Reader | None = field(default=None, repr=False)

    def copied(self) -> "Target":
        """The same target, whose address space can be changed without changing this one's."""
        return copy.copy(self)

    def switch(self, memory: Reader | None, *, process: Process | None = None, session: int | None = None) -> None:
        """Look through another address space; None for the system's."""
        if self._system is None:
            self._system = self.kernel.memory
        self.kernel = replace(self.kernel, memory=memory or self._system)
        self.process, self.session = process, session

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

    def progressed(self, what: str) -> Callable[[int], None] | None:
        """A call for a walk that counts what it has done."""
        tell = self.progress
        return None if tell is None else lambda done: tell(what, done)

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
