"""What the debugger calls the pools."""

from poolsleuth.kernel.pool.blocks import Pool

REGIONS = {
    Pool.NONPAGED: "Nonpaged pool",
    Pool.NONPAGED_NX: "Nonpaged pool",
    Pool.PAGED: "Paged pool",
    Pool.SESSION: "Paged session pool",
    Pool.UNKNOWN: "Unknown",
}
"""What the debugger calls a pool."""
