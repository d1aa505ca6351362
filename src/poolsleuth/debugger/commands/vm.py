"""``!vm``: memory as a whole, in the layout of the debuggers of the dump's generation.

The rows and their order are those of real outputs of each generation. A figure that this kernel does not keep, or that
is not in the dump, has no row: a 0 would be a figure.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from poolsleuth.debugger.command import Command, Lines
from poolsleuth.debugger.commands.vm_sessions import session_lines
from poolsleuth.debugger.target import Target
from poolsleuth.debugger.text import printable
from poolsleuth.kernel.address_space import PAGE
from poolsleuth.kernel.memory_counters.figures import KernelFigure, KernelMemoryCounters, Unit
from poolsleuth.kernel.memory_counters.reader import read_memory_counters
from poolsleuth.kernel.page_files import KernelPageFile
from poolsleuth.model.errors import InputError
from poolsleuth.model.memory import VmFamily

_SUMMARY, _SESSIONS = 1, 4  # flags
_EXCESSIVE = 0.8  # of the maximum: real outputs have no banner at 78 % and have one at 80.2 %


@dataclass(frozen=True, slots=True)
class _Layout:
    """How a generation prints a row: what stands before the label, width of label and number together, the Kb."""

    indent: str
    width: int
    gap: str
    kb: int

    def row(self, label: str, pages: int) -> str:
        number = f"{pages:>{max(self.width - len(label) - 1, 2)}}"
        if not number.startswith(" "):
            number = " " + number
        return f"{self.indent}{label}:{number}{self.gap}({pages * (PAGE >> 10):>{self.kb}} Kb)"


_LAYOUTS = {
    VmFamily.W2K: _Layout(" ", 25, "   ", 8),
    VmFamily.XP_2003: _Layout("      ", 28, " ", 10),
    VmFamily.VISTA_7: _Layout("      ", 28, " ", 10),
    VmFamily.W8_LATER: _Layout("", 32, " ", 11),
}
_FIRST = (
    ("physical", "Physical Memory"),
    ("available", "Available Pages"),
    ("resident_available", "ResAvail Pages"),
)
_PTES = (("free_system_ptes", "Free System PTEs"), ("free_nonpaged_ptes", "Free NP PTEs"))
_MODIFIED = (
    ("modified", "Modified Pages"),
    (None, "Modified PF Pages"),
    (None, "Modified No Write Pages"),
)
_COMMIT = (
    ("shared_commit", "Shared Commit"),
    ("special_pool", "Special Pool"),
    ("shared_process", "Shared Process"),
    ("paged_commit", "PagedPool Commit"),
    ("driver_commit", "Driver Commit"),
)
_COMMIT_NEW = (
    ("shared_commit", "Shared Commit"),
    ("special_pool", "Special Pool"),
    ("shared_process", "Shared Process"),
    ("pages_for_mdls", "Pages For MDLs"),
    (None, "ContigMem Pages"),
    ("nonpaged_commit", "NonPagedPool Commit"),
    ("paged_commit", "PagedPool Commit"),
    ("driver_commit", "Driver Commit"),
    (None, "Boot Commit"),
    (None, "PFN Array Commit"),
    (None, "SmallNonPagedPtesCommit"),
    (None, "SlabAllocatorPages"),
    (None, "System PageTables"),
    (None, "ProcessLockedFilePages"),
    (None, "Pagefile Hash Pages"),
)
_LAST = (("committed", "Committed pages"), ("commit_limit", "Commit limit"))
_Rows = tuple[tuple[str | None, str], ...]


def _run(target: Target, _match: re.Match[str], rest: str) -> Lines:
    flags = 0
    if rest:
        try:
            flags = int(rest, 16)
        except ValueError:
            raise InputError(f"!vm takes flags in hexadecimal, not '{printable(rest, 40)}'") from None
    if flags == _SESSIONS:
        return session_lines(target)
    return _lines(target, sessions=bool(flags & _SESSIONS), others=bool(flags & ~(_SUMMARY | _SESSIONS)))


def _lines(target: Target, *, sessions: bool, others: bool) -> Lines:
    read = read_memory_counters(target.kernel, target.physical_pages)
    yield from _Vm(target, read).lines()
    for label, figure in read.impossible:
        yield f"*** the figure of {label} ({figure.value:,} bytes or counts) cannot be true and is left out"
    for note in read.notes:
        yield f"*** {printable(note)}"
    if others:
        yield "*** of the flags of !vm 1 (no list of processes, as always here) and 4 (sessions) are known"
    if sessions:
        yield ""
        yield from session_lines(target)


class _Vm:
    def __init__(self, target: Target, read: KernelMemoryCounters) -> None:
        self.target, self.read = target, read
        self.family = read.family if read.family in _LAYOUTS else VmFamily.W8_LATER
        self.layout = _LAYOUTS[self.family]
        self.new = self.family is VmFamily.W8_LATER

    def lines(self) -> Lines:
        """The whole output."""
        old = self.family is VmFamily.W2K
        if self.new:
            yield from self._page_files()
            yield ""
        else:
            yield "*** Virtual Memory Usage ***"
        yield from self._physical()
        if not self.new:
            yield from self._page_files()
        yield from self._rows(_FIRST[1:])
        if not old:
            yield from self._rows(_PTES)
        if self.new and self.read.stack_growth_failures is not None and self.read.stack_growth_failures.value:
            count = self.read.stack_growth_failures.value
            yield from ("", f"******* {count} kernel stack growth attempts have failed ******", "")
        yield from self._rows(_MODIFIED)
        yield from self._nonpaged()
        yield from self._paged()
        failures = self.read.pool_failures
        if failures is not None and failures.value:
            yield from ("", f"{self.layout.indent}********** {failures.value} pool allocations have failed **********")
            yield ""
        if old:
            yield from self._rows((*_COMMIT[:2], _PTES[0], *_COMMIT[2:]))
        else:
            yield from self._rows(_COMMIT_NEW if self.new else _COMMIT)
        yield from self._rows(_LAST)

    def _figure(self, field: str | None, label: str) -> KernelFigure | None:
        found = self.read.other.get(label) if field is None else getattr(self.read, field)
        return found if isinstance(found, KernelFigure) else None

    def _row(self, label: str, figure: KernelFigure) -> str:
        return self.layout.row(label, figure.value if figure.unit is Unit.COUNT else figure.value // PAGE)

    def _rows(self, rows: _Rows) -> Lines:
        for field, label in rows:
            figure = self._figure(field, label)
            if figure is not None:
                yield self._row(label, figure)

    def _physical(self) -> Lines:
        if self.read.physical is not None:
            yield from self._rows(_FIRST[:1])
        elif self.target.physical_pages:
            yield self.layout.row(_FIRST[0][1], self.target.physical_pages)

    def _nonpaged(self) -> Lines:
        read = self.read
        for number, node in enumerate(read.nonpaged_nodes):
            yield self._row(f"NonPagedPool {number}" if self.new else f"NonPagedPool {number} Used", node)
        yield from self._rows((("nonpaged_used", "NonPagedPool Usage"), ("nonpaged_nx_used", "NonPagedPoolNx Usage")))
        yield from self._rows((("nonpaged_max", "NonPagedPool Max"),))
        used = [figure.value for figure in (read.nonpaged_used, read.nonpaged_nx_used) if figure is not None]
        if used and _is_excessive(sum(used), read.nonpaged_max):
            yield f"{self.layout.indent}********** Excessive NonPaged Pool Usage *****"

    def _paged(self) -> Lines:
        read = self.read
        for number, pool in enumerate(read.paged_pools):
            yield self._row(f"PagedPool {number}" if self.new else f"PagedPool {number} Usage", pool)
        if read.paged_used is not None and _is_excessive(read.paged_used.value, read.paged_max):
            yield f"{self.layout.indent}********** Excessive Paged Pool Usage *****"
        yield from self._rows((("paged_used", "PagedPool Usage"), ("paged_max", "PagedPool Maximum")))

    def _page_files(self) -> Iterator[str]:
        for file in self.read.page_files:
            yield from _page_file(file, self.family, self.layout.indent)


def _page_file(file: KernelPageFile, family: VmFamily, indent: str) -> Iterator[str]:
    if file.name is None:
        yield f"{indent}No Name for Paging File"
    else:
        yield f"{indent}Page File: {printable(file.name)}"
    glued = family is VmFamily.W2K
    unit, inner = ("Kb ", indent + "   ") if glued else (" Kb  ", indent + "  ")
    for left, right, widths in (
        (("Current:", file.current_bytes), ("Free Space:", file.free_bytes), (10, 10)),
        (("Minimum:", file.minimum_bytes), ("Maximum:", file.maximum_bytes), (10, 13)),
    ):
        parts = [
            f"{label}{size >> 10:>{width}}{unit}"
            for (label, size), width in zip((left, right), widths, strict=True)
            if size is not None
        ]
        if parts:
            yield (inner + "".join(parts)).rstrip()


def _is_excessive(used: int, most: KernelFigure | None) -> bool:
    return most is not None and used > _EXCESSIVE * most.value


COMMANDS = (
    Command(
        re.compile(r"!vm\b"),
        ("!vm",),
        "!vm [flags]",
        "memory as a whole: pools, commit, page files; flag 4 prints the sessions",
        _run,
    ),
)
