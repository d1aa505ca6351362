"""Reads the figures of memory and sets aside what cannot be true."""

from dataclasses import replace
from typing import Any

from poolsleuth.kernel.address_space import PAGE
from poolsleuth.kernel.memory_counters.failures import read_pool_failures
from poolsleuth.kernel.memory_counters.figures import KernelFigure, KernelMemoryCounters, Unit
from poolsleuth.kernel.memory_counters.sources import (
    NONPAGED_ALLOCATED,
    NONPAGED_MAXIMUM,
    PAGED_ALLOCATED,
    PAGED_MAXIMUM,
    ROWS,
    WINDOWS_8,
    WINDOWS_10,
    Row,
    Source,
)
from poolsleuth.kernel.page_files import read_page_files
from poolsleuth.kernel.pool.descriptors import PoolDescriptor, read_descriptors
from poolsleuth.kernel.target import Kernel
from poolsleuth.model.memory import VmFamily

MAX_BYTES = 1 << 52  # 4 PB: beyond what any Windows addresses, so that the counter ran below zero or was misread
MAX_COUNT = 1 << 40
MAX_POOL_32 = 1 << 31  # bytes: 32-bit kernels have 2 GB of addresses, and Windows 7 does say 2 GB of paged pool
_SMALLEST_MAXIMUM = 1 << 24  # bytes: no nonpaged pool has a smaller maximum; a number below it counts pages
_XP, _VISTA = 2600, 6000


def read_memory_counters(kernel: Kernel, physical_pages: int | None = None) -> KernelMemoryCounters:
    """The figures of memory as a whole.

    ``physical_pages`` is the machine's memory where the dump itself says it (None when not known). Without symbols the
    variables of Windows 10 and later are believed only when they agree with it: the kernel's debugger block may name
    variables that nothing fills any more.
    """
    return _Reading(kernel, physical_pages).counters()


class _Reading:
    def __init__(self, kernel: Kernel, physical_pages: int | None) -> None:
        self.kernel = kernel
        self.told = None if physical_pages is None or physical_pages <= 0 else physical_pages * PAGE
        self.notes: list[str] = []
        self.impossible: list[tuple[str, KernelFigure]] = []
        self.stale_believed = self._stale_believed()

    def _stale_believed(self) -> bool:
        """Whether variables found without symbols are believed."""
        if self.kernel.build < WINDOWS_10:
            return True
        if self.kernel.table is not None:
            return False  # the symbols know better places
        number = self.kernel.variable("MmNumberOfPhysicalPages")
        agrees = bool(number and self.told and abs(number * PAGE - self.told) <= self.told // 16)
        self.notes.append(
            "without symbols, the figures of memory are those that the kernel's debugger block names: their number "
            "of physical pages agrees with the dump's"
            if agrees
            else "without symbols, where this version keeps its figures of memory is not known"
        )
        return agrees

    def _believed(self, source: Source) -> bool:
        table = self.kernel.table
        return (
            self.stale_believed
            or source.structure is not None
            or (table is not None and source.symbol in table.symbols)
        )

    def figure(self, row: Row) -> KernelFigure | None:
        """The figure of the first source that this kernel has; None when none can be read or believed."""
        for source in row.sources:
            read = source.read(self.kernel) if self._believed(source) else None
            if read is None:
                continue
            number, address = read
            unit = Unit.COUNT if row.field in _COUNTS or row.label == "Total System PTEs" else Unit.BYTES
            most = MAX_BYTES if unit is Unit.BYTES else MAX_COUNT
            if unit is Unit.COUNT and source.width == 4:
                number &= 0xFFFFFFFF  # counters, not numbers that could be below zero
            if unit is Unit.BYTES and source.scale == 1 and self.kernel.pointer_size == 4:
                most, number = MAX_POOL_32, number & 0xFFFFFFFF  # sizes in bytes: 2 GB is 0x80000000
            if number == 0 and not row.zero:
                continue
            figure = KernelFigure(number * source.scale, unit, address, source.name)
            if not 0 <= figure.value <= most:
                self.impossible.append((row.label, figure))
                continue
            return figure
        return None

    def counters(self) -> KernelMemoryCounters:
        """All figures."""
        values: dict[str, KernelFigure] = {}
        other: dict[str, KernelFigure] = {}
        for row in ROWS:
            figure = self.figure(row)
            if figure is not None:
                if row.field is None:
                    other[row.label] = figure
                else:
                    values[row.field] = figure
        parts = self._pool(values, other)
        self._set_aside(values)
        files = read_page_files(self.kernel)
        if files.says is not None:
            self.notes.append(files.says)
        more: dict[str, Any] = values | parts
        return KernelMemoryCounters(
            family=self._family(),
            failures=read_pool_failures(self.kernel),
            impossible=tuple(self.impossible),
            page_files=files.files,
            other=other,
            notes=tuple(self.notes),
            **more,
        )

    def _pool(
        self, values: dict[str, KernelFigure], other: dict[str, KernelFigure]
    ) -> dict[str, tuple[KernelFigure, ...]]:
        """Usage and maxima of the pools; the parts of the sums are returned."""
        parts: dict[str, tuple[KernelFigure, ...]] = {}
        for name, row in (("nonpaged_max", NONPAGED_MAXIMUM), ("paged_max", PAGED_MAXIMUM)):
            figure = self.figure(row)
            if figure is not None:
                values[name] = self._in_bytes(figure)
        nonpaged, paged = self.figure(NONPAGED_ALLOCATED), self.figure(PAGED_ALLOCATED)
        if self.kernel.build < WINDOWS_10:
            found = read_descriptors(self.kernel, None if self.told is None else self.told // PAGE)
            uses = found.nonpaged if found.nonpaged_pages is not None else ()
            plain = tuple(use for use in uses if not use.no_execute)
            if plain:
                values["nonpaged_used"] = _sum(plain)
                nx = tuple(use for use in uses if use.no_execute)
                if nx:
                    values["nonpaged_nx_used"] = _sum(nx)
                if len(plain) > 1:
                    parts["nonpaged_nodes"] = tuple(map(_part, plain[1:]))
                if nonpaged is not None:
                    other["Allocated NonPagedPool"] = nonpaged
                nonpaged = None
            pools = found.paged if found.paged_pages is not None else ()
            if pools:
                values["paged_used"] = _sum(pools)
                parts["paged_pools"] = tuple(map(_part, pools))
                if paged is not None:
                    other["Allocated PagedPool"] = paged
                paged = None
        if nonpaged is not None:
            values["nonpaged_used"] = nonpaged
            if self.kernel.build < WINDOWS_10:
                self.notes.append(
                    "nonpaged usage counts all pages the pool has taken: its descriptors are not all readable"
                )
        if paged is not None:
            values["paged_used"] = paged
        return parts

    def _in_bytes(self, figure: KernelFigure) -> KernelFigure:
        """From Windows 8 on the variable the debugger block names may count pages: told by its size alone."""
        table = self.kernel.table
        if (
            figure.name != "MmMaximumNonPagedPoolInBytes"
            or self.kernel.build < WINDOWS_8
            or (table is not None and figure.name in table.symbols)
            or figure.value >= _SMALLEST_MAXIMUM
        ):
            return figure
        self.notes.append("the maximum of nonpaged pool is taken to count pages: as bytes it would be far too small")
        return replace(figure, value=figure.value * PAGE)

    def _set_aside(self, values: dict[str, KernelFigure]) -> None:
        """Figures above what they are part of were misread, or stand in variables that nothing fills any more."""
        physical = values.get("physical")
        if physical is not None and self.told is not None and not self.told // 2 <= physical.value <= 2 * self.told:
            self.impossible.append((_LABELS["physical"], values.pop("physical")))
            physical = None
        memory = self.told if physical is None else physical.value
        limit = values.get("commit_limit")
        room = None if limit is None or memory is None else max(limit.value, memory)
        bounds = {
            "available": memory,
            "resident_available": memory,
            "modified": memory,
            "nonpaged_used": _lower(memory, values.get("nonpaged_max")),
            "nonpaged_nx_used": _lower(memory, values.get("nonpaged_max")),
            "paged_used": _lower(room, values.get("paged_max")),
            "pages_for_mdls": memory,
            "special_pool": room,
            "driver_commit": room,
            "shared_commit": room,
            "paged_commit": room,
            "nonpaged_commit": room,
            # Commit can be above the limit for a moment, never far
            "committed": None if limit is None else limit.value + (limit.value >> 2),
        }
        for name, bound in bounds.items():
            if bound is not None and name in values and values[name].value > bound:
                self.impossible.append((_LABELS[name], values.pop(name)))

    def _family(self) -> VmFamily:
        build = self.kernel.build
        if build < _XP:
            return VmFamily.W2K
        if build < _VISTA:
            return VmFamily.XP_2003
        return VmFamily.VISTA_7 if build < WINDOWS_8 else VmFamily.W8_LATER


_COUNTS = frozenset(
    ("free_system_ptes", "free_nonpaged_ptes", "pool_failures", "stack_growth_failures"),
)
_LABELS = {row.field: row.label for row in ROWS if row.field is not None} | {
    "nonpaged_used": "NonPagedPool Usage",
    "nonpaged_nx_used": "NonPagedPoolNx Usage",
    "paged_used": "PagedPool Usage",
}


def _lower(bound: int | None, figure: KernelFigure | None) -> int | None:
    known = [number for number in (bound, None if figure is None else figure.value) if number is not None]
    return min(known, default=None)


def _part(use: PoolDescriptor) -> KernelFigure:
    return KernelFigure(use.used_pages * PAGE, Unit.BYTES, use.address, "pool descriptor")


def _sum(uses: tuple[PoolDescriptor, ...]) -> KernelFigure:
    name = "pool descriptor" if len(uses) == 1 else f"{len(uses)} pool descriptors"
    return KernelFigure(sum(use.used_pages for use in uses) * PAGE, Unit.BYTES, uses[0].address, name)
