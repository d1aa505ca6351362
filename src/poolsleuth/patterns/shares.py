"""How much of a pool a tag holds, also where only its blocks are counted."""

from poolsleuth.model.machine import System
from poolsleuth.model.tags import TagRow
from poolsleuth.patterns.views import PoolStates

# The smallest block: a header and one unit of granularity, 8 + 8 bytes on x86, 16 + 16 on 64-bit Windows
SMALLEST_BLOCK_32 = 16
SMALLEST_BLOCK_64 = 32


def least_bytes(row: TagRow, system: System) -> int | None:
    """The row's bytes, or the least that its outstanding blocks must take. None when neither is known."""
    if row.bytes is not None:
        return row.bytes
    if row.outstanding is None:
        return None
    return row.outstanding * (SMALLEST_BLOCK_64 if system.bits == 64 else SMALLEST_BLOCK_32)


def tag_share(row: TagRow, states: PoolStates | None, system: System) -> float | None:
    """The row's (least) share of the pool in use, 0 to 1; None when the usage is not known.

    A share above 1 says that table and usage do not belong together (another time, or the session's pool): None.
    """
    state = states.of(row.pool) if states is not None else None
    least = least_bytes(row, system)
    if least is None or state is None or state.used is None or not state.used.value:
        return None
    share = least / state.used.value
    return share if share <= 1 else None
