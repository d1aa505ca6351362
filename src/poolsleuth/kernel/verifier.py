"""Driver Verifier: whether it runs, what it counts, special pool (MmVerifierData, MmSpecialPoolTag)."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from poolsleuth.kernel.address_space import PAGE
from poolsleuth.kernel.linked_lists import walk_list
from poolsleuth.kernel.records import RecordPlan
from poolsleuth.kernel.target import Kernel

MAX_DRIVERS = 1000  # drivers under Verifier: no system has more
MAX_SPECIAL_PAGES = 1 << 40
_COUNTERS = (
    "AllocationsAttempted",
    "AllocationsSucceeded",
    "AllocationsSucceededSpecialPool",
    "AllocationsWithNoTag",
    "AllocationsFailed",
    "AllocationsFailedDeliberately",
    "UnTrackedPool",
    "CurrentPagedPoolAllocations",
    "CurrentNonPagedPoolAllocations",
    "PagedBytes",
    "NonPagedBytes",
)


@dataclass(frozen=True, slots=True)
class VerifierState:
    """What is known of Driver Verifier. None is what is not known.

    ``level`` are its option bits (0: it is off). ``counters`` are those of MmVerifierData by their own names, where the
    layout is known. ``special_pool_bytes`` is the memory special pool uses now, ``special_pool_tag`` the tag that is
    sent there ("" when none is). ``drivers`` are the names of the drivers to be verified, None where the version keeps
    them in a list whose layout is not public. ``address`` is that of the level.
    """

    level: int | None
    address: int | None
    counters: Mapping[str, int] = field(default_factory=dict)
    special_pool_bytes: int | None = None
    special_pool_tag: str | None = None
    drivers: tuple[str, ...] | None = None

    @property
    def on(self) -> bool | None:
        """Whether it runs."""
        return None if self.level is None else self.level != 0


def read_verifier(kernel: Kernel) -> VerifierState:
    """The state of Driver Verifier."""
    data = kernel.address("MmVerifierData")
    level: int | None = None
    counters: dict[str, int] = {}
    if data is not None:
        # The options stand first in all versions
        level = kernel.memory.number(data, 4)
        record = RecordPlan(kernel, "_MM_DRIVER_VERIFIER_DATA", _COUNTERS).read(kernel.memory, data)
        for name in _COUNTERS:
            number = record.number(name)
            if number is not None:
                counters[name] = number
    return VerifierState(
        level=level,
        address=data,
        counters=counters,
        special_pool_bytes=_special_pool(kernel),
        special_pool_tag=_tag(kernel.variable("MmSpecialPoolTag", 4)),
        drivers=_drivers(kernel),
    )


def _special_pool(kernel: Kernel) -> int | None:
    state = kernel.address("MiState")
    if state is not None:
        pages = kernel.value(state, "_MI_SYSTEM_INFORMATION", "Vs.SpecialPagesInUse")
    else:
        pages = kernel.variable("MmSpecialPagesInUse")
    return pages * PAGE if pages is not None and pages <= MAX_SPECIAL_PAGES else None


def _tag(number: int | None) -> str | None:
    if number is None:
        return None
    return number.to_bytes(4, "little").rstrip(b"\0").decode("latin-1")


def _drivers(kernel: Kernel) -> tuple[str, ...] | None:
    """The list of Windows 2000 to 2003: later ones keep it in structures that are not public."""
    head, links = kernel.address("MiSuspectDriverList"), kernel.place("_MI_VERIFIER_DRIVER_ENTRY", "Links")
    if head is None or links is None:
        return None
    plan = RecordPlan(kernel, "_MI_VERIFIER_DRIVER_ENTRY", ("BaseName",))
    walk = walk_list(kernel.memory, head, MAX_DRIVERS)
    records = (plan.read(kernel.memory, entry - links.offset) for entry in walk.entries.tolist())
    names = (record.unicode_string("BaseName") for record in records)
    return tuple(name for name in names if name)
