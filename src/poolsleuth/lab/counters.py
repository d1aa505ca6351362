"""The counters of memory and pool: variables of their own up to 8.1, since 10 in MiState and the system partition."""

import struct
from dataclasses import dataclass, fields, replace
from typing import Literal

from poolsleuth.lab.machine import PAGE, Memory, PageFile
from poolsleuth.lab.pool_tables import writes_descriptors
from poolsleuth.lab.scene import Scene
from poolsleuth.lab.structures import Layout, Record
from poolsleuth.windows.pool_failures import REASONS

_STATE, _PARTITION = "_MI_SYSTEM_INFORMATION", "_MI_PARTITION"
_IN_DESCRIPTORS = frozenset({"nonpaged_used", "paged_used"})  # the pools' own descriptors add up to them, too
_MAX_PAGE_FILES = 16
_INVALID_PTE_MASK = 0x2000_00000000  # what Intel processors that need the L1TF defence have


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a figure lies. ``at`` is a variable, or a field of ``owner``; ``width`` None is that of the field.

    ``bytes``: the kernel keeps bytes, not pages.
    """

    owner: Literal["variable", "state", "partition", "ptes", "paged"]
    at: str
    width: int | None = None
    bytes: bool = False


def _variable(name: str, width: int | None = None, *, octets: bool = False) -> _Place:
    return _Place("variable", name, width, octets)


# All places that exist are written: a kernel has some of them
_PLACES: dict[str, tuple[_Place, ...]] = {
    "physical": (_variable("MmNumberOfPhysicalPages"), _Place("partition", "Vp.NumberOfPhysicalPages")),
    "available": (_variable("MmAvailablePages"), _Place("partition", "Vp.AvailablePages")),
    "resident_available": (
        _variable("MmResidentAvailablePages"),
        _Place("partition", "Vp.ResidentAvailablePages"),
    ),
    "nonpaged_used": (_variable("MmAllocatedNonPagedPool"), _Place("state", "Pools.AllocatedNonPagedPool")),
    "nonpaged_max": (
        _variable("MmMaximumNonPagedPoolInBytes", octets=True),
        _variable("MmMaximumNonPagedPoolInPages"),
        _Place("state", "Vs.MaximumNonPagedPoolInPages"),
    ),
    "paged_used": (_Place("paged", "AllocatedPagedPool"), _Place("state", "Vs.PagedPoolInfo.AllocatedPagedPool")),
    "paged_max": (
        _variable("MmSizeOfPagedPoolInBytes", octets=True),
        _variable("MmSizeOfPagedPoolInPages"),
        _Place("paged", "MaximumSize"),
        _Place("state", "Vs.PagedPoolInfo.MaximumSize"),
        _Place("state", "Vs.SizeOfPagedPoolInPages"),
    ),
    "paged_commit": (_variable("MmPagedPoolCommit"), _Place("paged", "PagedPoolCommit")),
    "nonpaged_commit": (_Place("state", "Vs.NonPagedPoolCommit"),),
    "free_system_ptes": (
        _variable("MmTotalFreeSystemPtes", 4),
        _Place("ptes", "TotalFreeSystemPtes"),
        _Place("state", "Vs.SystemPteInfo.TotalFreeSystemPtes"),
    ),
    "total_system_ptes": (
        _Place("ptes", "TotalSystemPtes"),
        _Place("state", "Vs.SystemPteInfo.TotalSystemPtes"),
    ),
    "committed": (_variable("MmTotalCommittedPages"), _Place("partition", "Vp.TotalCommittedPages")),
    "commit_limit": (_variable("MmTotalCommitLimit"), _Place("partition", "Vp.TotalCommitLimit")),
    "peak_committed": (_variable("MmPeakCommitment"), _Place("partition", "Commit.PeakCommitment")),
    "shared_commit": (
        _variable("MmSharedCommit"),
        _Place("state", "Vs.SharedCommit"),
        _Place("partition", "Vp.SharedCommit"),
    ),
    "driver_commit": (_variable("MmDriverCommit", 4), _Place("state", "Vs.DriverCommit")),
    "process_commit": (_variable("MmProcessCommit"), _Place("state", "Vs.ProcessCommit")),
    "modified": (_variable("MmModifiedPageListHead"), _Place("partition", "Vp.ModifiedPageListHead.Total")),
    "modified_no_write": (
        _variable("MmModifiedNoWritePageListHead"),
        _Place("partition", "Vp.ModifiedNoWritePageListHead.Total"),
    ),
    "mdl": (_variable("MmMdlPagesAllocated"), _Place("state", "Vs.MdlPagesAllocated")),
    "pool_failures": (_variable("ExPoolFailures", 4),),
}


@dataclass(slots=True)
class _Owners:
    """The structures that are being filled, None where this Windows has none."""

    state: Record | None
    partition: Record | None
    ptes: Record | None
    paged: Record | None


def _record(layout: Layout, structure: str, variable: str) -> Record | None:
    known = structure in layout.structures and variable in layout.symbols
    return layout.record(structure) if known else None


def write_counters(scene: Scene) -> Memory:
    """Write every figure wherever this Windows keeps it; gives the truth back, with None for what it keeps nowhere."""
    layout, image, memory = scene.layout, scene.image, scene.machine.memory
    owners = _Owners(
        state=_record(layout, _STATE, "MiState"),
        partition=_record(layout, _PARTITION, "MiSystemPartition"),
        ptes=_record(layout, "_MI_SYSTEM_PTE_TYPE", "MiSystemPteInfo"),
        paged=_record(layout, "_MM_PAGED_POOL_INFO", "MmPagedPoolInfo"),
    )
    unknown: dict[str, None] = {}
    counted = _IN_DESCRIPTORS if writes_descriptors(layout) else frozenset()
    for name, places in _PLACES.items():
        value = getattr(memory, name)
        written = [_put(scene, owners, place, value) for place in places] if value is not None else []
        if not any(written) and name not in counted:
            unknown[name] = None
    kept = replace(memory, **unknown)  # type: ignore[arg-type]
    kept = _write_failures(scene, owners, kept)
    kept = replace(kept, page_files=_write_page_files(scene, owners, kept.page_files))
    if owners.state is not None:
        owners.state.set("Hardware.InvalidPteMask", invalid_pte_mask(layout))
        _write_paged_range(scene, owners.state)
        image.put("MiState", bytes(owners.state))
    if owners.partition is not None:
        owners.partition.set("Vp.HighestPhysicalPage", scene.physical.end - 1)
        owners.partition.set("Vp.LowestPhysicalPage", scene.physical.runs()[0][0])
        image.put("MiSystemPartition", bytes(owners.partition))
    if owners.ptes is not None:
        image.put("MiSystemPteInfo", bytes(owners.ptes))
    if owners.paged is not None:
        image.put("MmPagedPoolInfo", bytes(owners.paged))
    _write_old_variables(scene, memory)
    return kept


def invalid_pte_mask(layout: Layout) -> int:
    """What the addresses in entries of pages that are not there are scrambled with; 0 where Windows does no such thing.

    Since 1809 (and in updates of older ones, by their symbols).
    """
    known = layout.has(_STATE, "Hardware.InvalidPteMask")
    return _INVALID_PTE_MASK if known and layout.windows.build >= 17763 else 0


def _put(scene: Scene, owners: _Owners, place: _Place, value: int) -> bool:
    number = value * PAGE if place.bytes else value
    if place.owner == "variable":
        return scene.image.put(place.at, number, place.width)
    record = getattr(owners, place.owner)
    return isinstance(record, Record) and record.set(place.at, number)


def _write_failures(scene: Scene, owners: _Owners, memory: Memory) -> Memory:
    """The failures by pool and priority and by reason; gone in 1903."""
    by_pool = memory.failures_by_pool or ((0, 0, 0),) * 3
    reasons = memory.failure_reasons or {}
    table = struct.pack("<9I", *(value for row in by_pool for value in row))
    counts = struct.pack(f"<{len(REASONS)}I", *(reasons.get(name, 0) for name in REASONS))
    held = [scene.image.put("MmPoolFailures", table), scene.image.put("MmPoolFailureReasons", counts)]
    if owners.state is not None:
        held[0] = owners.state.set("Pools.PoolFailures", table)
        held[1] = owners.state.set("Pools.PoolFailureReasons", counts)
    named = {name: reasons.get(name, 0) for name in REASONS}
    return replace(memory, failures_by_pool=by_pool if held[0] else None, failure_reasons=named if held[1] else None)


def _write_page_files(scene: Scene, owners: _Owners, files: tuple[PageFile, ...]) -> tuple[PageFile, ...]:
    layout = scene.layout
    chosen = files[:_MAX_PAGE_FILES]
    if "_MMPAGING_FILE" not in layout.structures:
        return ()
    pointers = bytearray()
    for number, file in enumerate(chosen):
        record = layout.record("_MMPAGING_FILE")
        record.set("Size", file.pages)
        record.set("MaximumSize", file.maximum_pages)
        record.set("MinimumSize", file.minimum_pages)
        record.set("FreeSpace", file.free_pages)
        record.set("PeakUsage", file.pages - file.free_pages)
        record.set("CurrentUsage", file.pages - file.free_pages)
        record.set("PageFileNumber", number)
        if file.name:
            record.set("PageFileName", scene.unicode_string(file.name, scene.nonpaged))
        pointers += scene.word(scene.nonpaged.place(bytes(record)))
    if owners.partition is not None:
        owners.partition.set("Vp.NumberOfPagingFiles", len(chosen))
        owners.partition.set("Vp.PagingFile", bytes(pointers))
    else:
        scene.image.put("MmPagingFile", bytes(pointers))
        scene.image.put("MmNumberOfPagingFiles", len(chosen), 4)
    return chosen


def _write_paged_range(scene: Scene, state: Record) -> None:
    """Where paged pool lies: its first address and its size, kept with the bitmap of it."""
    memory = scene.machine.memory
    state.set("SystemVa.DynamicBitMapPagedPool.BaseVa", scene.plan.paged)
    state.set("SystemVa.DynamicBitMapPagedPool.MaximumSize", memory.paged_max or 0)


def _write_old_variables(scene: Scene, memory: Memory) -> None:
    """Ranges of memory and pools that kernels before 8 keep in variables; those that a kernel lacks are left out."""
    image, plan = scene.image, scene.plan
    image.put("MmHighestPhysicalPage", scene.physical.end - 1)
    image.put("MmLowestPhysicalPage", scene.physical.runs()[0][0])
    image.put("MmPfnDatabase", plan.pfn)
    image.put("MmHighestUserAddress", plan.user_end)
    image.put("MmUserProbeAddress", plan.user_end - 0xFFFF)
    image.put("MmSystemRangeStart", plan.system)
    if scene.layout.windows.build >= 9200:
        return
    nonpaged = (memory.nonpaged_max or 0) * PAGE
    image.put("MmNonPagedPoolStart", plan.nonpaged)
    image.put("MmNonPagedPoolEnd", plan.nonpaged + nonpaged)
    image.put("MmSizeOfNonPagedPoolInBytes", (memory.nonpaged_used or 0) * PAGE)
    image.put("MmPagedPoolStart", plan.paged)
    image.put("MmPagedPoolEnd", plan.paged + (memory.paged_max or 0) * PAGE - 1)
    image.put("MmTotalCommitLimitMaximum", memory.commit_limit or 0)


def figures_of(memory: Memory) -> dict[str, object]:
    """The figures by their names, page files left out."""
    return {f.name: getattr(memory, f.name) for f in fields(memory) if f.name != "page_files"}
