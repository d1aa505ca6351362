"""The limit a pool is judged by: the printed maximum where it is one, else the rule of that Windows and memory."""

from poolsleuth.model.machine import System
from poolsleuth.model.memory import MemoryCounters
from poolsleuth.model.tags import PoolKind
from poolsleuth.windows.builds import Era, version_of_build
from poolsleuth.windows.pool_limits import effective_limit, pool_limits

SLACK = 1.05  # a rule's figure is not exact to the megabyte; beyond it the machine cannot be the one the rule is for


def judged_limit(kind: PoolKind, counters: MemoryCounters, system: System) -> tuple[int | None, str, bool]:
    """The limit in bytes, why in one sentence, and whether it is an upper bound only, below which the true limit may
    lie. The limit is None when what would decide is not known.

    Where no maximum was printed (a counter log, a poolmon screen), the upper bound of the published rule stands in for
    it: a pool that is short of that is short of any.
    """
    printed = counters.paged_max if kind is PoolKind.PAGED else counters.nonpaged_max
    ram = counters.physical.value if counters.physical else system.physical_bytes
    commit = counters.commit_limit.value if counters.commit_limit else None
    era = Era(system.era) if system.era is not None else None
    bits = system.bits
    limit, source = effective_limit(
        "nonpaged" if kind is PoolKind.NONPAGED else "paged",
        printed_max_bytes=printed.value if printed else None,
        era=era,
        bits=bits,
        ram_bytes=ram,
        commit_limit_bytes=commit,
    )
    if counters.source != "!vm":
        # The same figures, taken from the kernel itself
        source = source.replace("that !vm prints", "that the kernel keeps").replace("the printed ", "the kernel's ")
    if limit is not None or printed is not None or era is None or bits is None:
        return limit, source, False
    version = version_of_build(system.build) if system.build is not None else None
    rules = pool_limits(
        version or era,
        bits=32 if bits == 32 else 64,
        ram_bytes=ram,
        three_gb=system.three_gb,
        commit_limit_bytes=commit,
    )
    rule, bound = (rules.paged, commit) if kind is PoolKind.PAGED else (rules.nonpaged, ram)
    static = era <= Era.XP_2003 or bits == 32
    if rule.high_bytes is None or (bound is None and not static):
        return None, source, False
    used = counters.paged_used if kind is PoolKind.PAGED else counters.nonpaged_used
    if used is not None and used.value > rule.high_bytes * SLACK:
        return (
            None,
            "the pool holds more than the rule of this Windows allows: Windows or address width is another",
            False,
        )
    if bound is not None and bound <= rule.high_bytes:
        return bound, "commit limit" if kind is PoolKind.PAGED else "physical memory", rule.low_bytes != rule.high_bytes
    if rule.low_bytes == rule.high_bytes:
        return rule.high_bytes, f"by rule: {rule.rule}", False
    return rule.high_bytes, f"at most, by rule: {rule.rule}", True
