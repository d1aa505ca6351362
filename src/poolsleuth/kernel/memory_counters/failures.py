"""Pool that the memory manager refused: counts by kind and priority, and counts by reason (gone from 1903 on)."""

from poolsleuth.kernel.memory_counters.figures import (
    POOL_KINDS,
    PRIORITIES,
    KernelFigure,
    PoolFailures,
    Unit,
)
from poolsleuth.kernel.target import Kernel
from poolsleuth.windows.pool_failures import REASONS

_WIDTH = 4  # bytes of each counter
_STATE = "_MI_SYSTEM_INFORMATION"
_PATH = "Pools.PoolFailureReasons"


def read_pool_failures(kernel: Kernel) -> PoolFailures | None:
    """The counts; None when this kernel has none or they cannot be read."""
    state = kernel.address("MiState")
    counts_at, reasons_at = kernel.address("MmPoolFailures"), kernel.address("MmPoolFailureReasons")
    named: dict[str, int] = {}
    if state is not None:
        counts, reasons = kernel.place(_STATE, "Pools.PoolFailures"), kernel.place(_STATE, _PATH)
        counts_at = None if counts is None else state + counts.offset
        reasons_at = None if reasons is None else state + reasons.offset
        for name in REASONS:
            place = kernel.place(_STATE, f"{_PATH}.{name}")
            if place is not None:
                named[name] = state + place.offset
    prefix = "MmPoolFailureReasons" if state is None else f"MiState.{_PATH}"
    places = named or ({} if reasons_at is None else {name: reasons_at + i * _WIDTH for i, name in enumerate(REASONS)})
    by_reason: dict[str, KernelFigure] = {}
    for name, address in places.items():
        value = kernel.memory.number(address, _WIDTH)
        if value is not None:
            by_reason[name] = KernelFigure(value, Unit.COUNT, address, f"{prefix}.{name}")
    table = _counts(kernel, counts_at)
    if table is None and not by_reason:
        return None
    return PoolFailures(table, counts_at if table else None, by_reason or None, bool(named))


def _counts(kernel: Kernel, address: int | None) -> tuple[tuple[int, ...], ...] | None:
    columns = len(PRIORITIES)
    raw = None if address is None else kernel.memory.read(address, len(POOL_KINDS) * columns * _WIDTH)
    if raw is None:
        return None
    numbers = [int.from_bytes(raw[i : i + _WIDTH], "little") for i in range(0, len(raw), _WIDTH)]
    return tuple(tuple(numbers[i : i + columns]) for i in range(0, len(numbers), columns))
