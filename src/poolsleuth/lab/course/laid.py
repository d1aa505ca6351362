"""What of the memory that a course's drivers hold is really there in the end: for the dump."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from poolsleuth.lab.machine import BIG_PAGE_ROW, IN_USE, PAGE, BigPages, SimulatedWindows
from poolsleuth.lab.usual_figures import Pool

_FIRST_NX, _FIRST_WITH_BYTES = 9200, 6000
_GAP = 1  # pages between two allocations


def with_big(windows: SimulatedWindows, big: BigPages, held: Mapping[tuple[str, Pool, int], int]) -> BigPages:
    """The big-page table with the whole pages that drivers hold: so many, by tag, pool and bytes of each.

    They lie behind the others of their pool; addresses are offsets, as in any machine that is not simulated yet.
    """
    tables: list[NDArray[np.void]] = [big.rows]
    ends = {pool: _end(big.rows, paged=pool == "paged") for pool in ("nonpaged", "paged")}
    for (tag, pool, size), count in held.items():
        if count <= 0:
            continue
        pages = -(-size // PAGE)
        rows = np.zeros(count, BIG_PAGE_ROW)
        rows["address"] = ends[pool] + np.arange(count, dtype=np.uint64) * np.uint64((pages + _GAP) * PAGE)
        ends[pool] += count * (pages + _GAP) * PAGE
        rows["tag"] = tag.encode("latin-1")
        rows["bytes"] = size if windows.build >= _FIRST_WITH_BYTES else pages * PAGE  # before, the table counts pages
        rows["pool_type"] = 1 if pool == "paged" else (0x200 if windows.build >= _FIRST_NX else 0)
        rows["state"] = IN_USE
        tables.append(rows)
    return big if len(tables) == 1 else BigPages(np.concatenate(tables))


def _end(rows: "NDArray[np.void]", *, paged: bool) -> int:
    """The offset behind the last allocation of a pool."""
    mine = rows[(rows["pool_type"] & 1 == 1) == paged]
    if not len(mine):
        return PAGE
    pages = (mine["bytes"] + np.uint64(PAGE - 1)) // np.uint64(PAGE)
    return int((mine["address"] + pages * np.uint64(PAGE)).max()) + PAGE
