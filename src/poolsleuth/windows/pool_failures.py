"""The reasons for which the memory manager counts refused pool allocations (Windows Vista to Windows 10 1809).

The names are those of the structure _MI_POOL_FAILURE_REASONS in public symbol files (1703 to 1809), in its order.
"""

from dataclasses import dataclass
from typing import Literal

REASONS = (
    "NonPagedNoPtes",
    "PriorityTooLow",
    "NonPagedNoPagesAvailable",
    "PagedNoPtes",
    "SessionPagedNoPtes",
    "PagedNoPagesAvailable",
    "SessionPagedNoPagesAvailable",
    "PagedNoCommit",
    "SessionPagedNoCommit",
    "NonPagedNoResidentAvailable",
    "NonPagedNoCommit",
)
"""Index in the kernel's array to name."""


@dataclass(frozen=True, slots=True)
class PoolFailureNote:
    """Which pool was refused (None: not said), and what was missing, in words."""

    pool: Literal["nonpaged", "paged", "session"] | None
    says: str


_MISSING = {
    "NoPtes": "no address space (system PTEs) was left",
    "NoPagesAvailable": "no free page of memory was left",
    "NoCommit": "the commit limit was reached",
    "NoResidentAvailable": "too much memory was locked already (no resident available pages)",
}
_POOLS: tuple[tuple[str, Literal["nonpaged", "paged", "session"]], ...] = (
    ("SessionPaged", "session"),
    ("NonPaged", "nonpaged"),
    ("Paged", "paged"),
)


def failure_note(name: str) -> PoolFailureNote | None:
    """What a reason means; None for a name that is not known."""
    if name == "PriorityTooLow":
        return PoolFailureNote(None, "the request was of low priority and memory was short")
    for prefix, pool in _POOLS:
        if name.startswith(prefix) and name.removeprefix(prefix) in _MISSING:
            return PoolFailureNote(pool, _MISSING[name.removeprefix(prefix)])
    return None
