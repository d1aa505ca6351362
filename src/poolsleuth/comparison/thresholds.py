"""What is worth telling of a change, each number with its reason. Growth of tags shares two with ``pool-leak``."""

from typing import Final

from poolsleuth.patterns.thresholds import GROWTH_BYTES, GROWTH_SHARE, Threshold

__all__ = [
    "COUNTS_FELL",
    "COUNTS_FELL_SHARE",
    "EXPLAINS_LEAST",
    "GROWTH_BYTES",
    "GROWTH_SHARE",
    "LIMIT_STEP",
    "LIMIT_STEP_BYTES",
    "OBJECTS_GROWTH",
    "POOL_GROWTH_SHARE",
    "RATE_SECONDS",
    "REBOOT_SECONDS",
    "SAME_MOMENT_SECONDS",
    "SHARE_BYTES",
    "WHOLE_SHARE",
    "Threshold",
]

POOL_GROWTH_SHARE: Final = Threshold(
    0.10, "the published case of leaking threads made its nonpaged pool grow by a tenth in three days"
)
LIMIT_STEP: Final = Threshold(
    0.05, "a twentieth of the limit between two captures: a pool that is half full has room for ten such steps"
)
LIMIT_STEP_BYTES: Final = Threshold(
    1 << 20, "below 1 MB even a small session's pool has room for more such steps than anybody takes captures"
)
OBJECTS_GROWTH: Final = Threshold(
    20_000, "the published case of leaking threads made 26,964 in three days; busy servers vary by thousands"
)
SHARE_BYTES: Final = Threshold(1 << 20, "when a pool changed by less than 1 MB, the share of a tag in it is noise")
EXPLAINS_LEAST: Final = Threshold(0.05, "a tag with less than a twentieth of the change does not explain it")
RATE_SECONDS: Final = Threshold(60, "a rate per hour from less than a minute multiplies one burst of load")
REBOOT_SECONDS: Final = Threshold(
    300, "clocks are set, and a capture takes minutes: an uptime short by more than five minutes means a restart"
)
SAME_MOMENT_SECONDS: Final = Threshold(1, "a report keeps whole seconds: less than one apart is the same moment")
COUNTS_FELL: Final = Threshold(3, "one count may have passed 32 bits and begun again; three at once have not")
COUNTS_FELL_SHARE: Final = Threshold(
    0.10, "counts of allocations never fall while Windows runs: a tenth of all tags with lower counts is a restart"
)
WHOLE_SHARE: Final = Threshold(
    0.99, "tags that add up to all but a hundredth of their pool leave no room for a large one that is not shown"
)
