"""Every threshold of the diagnosis in one table, each with its reason. Shares are fractions of 1."""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Threshold:
    """A number a verdict depends on, and why it is this number."""

    value: float
    reason: str


POOL_WARNING: Final = Threshold(
    0.80,
    "the debugger's own banner fires at 80.2 % of paged pool on Windows 2000 and stays silent at 78.0 % of nonpaged"
    " pool on Server 2003; above four fifths a burst of load is enough to fail requests",
)
POOL_CRITICAL: Final = Threshold(
    0.90, "real machines fail allocations from here on (818 failures at 90.0 % of paged pool, no banner)"
)
RAM_SHARE_WARNING: Final = Threshold(
    0.25, "where the limit is memory itself: a quarter of RAM in nonpaged pool is far above any healthy server seen"
)
RAM_SHARE_CRITICAL: Final = Threshold(
    0.50, "a published case judges 54 % of RAM in nonpaged pool as the cause of a server's trouble"
)
COMMIT_SHARE_WARNING: Final = Threshold(
    0.35, "paged pool above a third of the commit limit leaves processes too little"
)
COMMIT_SHARE_CRITICAL: Final = Threshold(0.60, "paged pool is then the largest single part of all committed memory")
COMMIT_CRITICAL: Final = Threshold(
    0.90, "allocations that need commit begin to fail: a real machine at 90.7 % could not grow a stack"
)
COMMIT_MOSTLY_POOL: Final = Threshold(
    0.40, "healthy machines have a tenth of their commit in pools; with two fifths the pool is what fills it"
)
SESSION_WARNING: Final = Threshold(0.80, "the same rule as for the system pools")
SESSION_CRITICAL: Final = Threshold(0.90, "the same rule as for the system pools")
FRAGMENTATION_GAP: Final = Threshold(
    0.30, "10 to 15 % of a pool's pages are normally in no block (headers, page ends); a published case has 36.8 %"
)
FRAGMENTATION_MIN_BYTES: Final = Threshold(16 << 20, "below 16 MB the gap is a few caches, and nobody is short of it")
FRAGMENTATION_POOL_SHARE: Final = Threshold(0.50, "in a pool that is half empty the gap harms nobody yet")
PINNED_PAGE_SHARE: Final = Threshold(0.10, "a page is pinned when its live blocks take less than a tenth of it")
TAG_DOMINATES: Final = Threshold(0.25, "a tag with a quarter of a full pool decides whether the pool is full")
TAG_IS_MOST: Final = Threshold(0.50, "a tag with more than half of a pool outweighs all others in it together")
TAG_UNTAGGED_SHARE: Final = Threshold(0.15, "untagged memory is normally a few KB; a sixth of the pool is a component")
TAG_UNTAGGED_BYTES: Final = Threshold(32 << 20, "32 MB without a tag is conspicuous on any machine")
GENERIC_OF_LIMIT: Final = Threshold(
    0.05, "a twentieth of what a pool can take, in a pool with room, is some driver's working set"
)
UNKNOWN_TAG_LEADS: Final = Threshold(
    3.0, "a tag that nobody documents with three times the bytes of the next largest stands out without any limit"
)
UNKNOWN_TAG_BYTES: Final = Threshold(16 << 20, "below 16 MB a large unknown tag is a driver's working set")
UNKNOWN_TAG_SHARE: Final = Threshold(0.50, "half of a pool in one tag that nobody documents is conspicuous in itself")
UNKNOWN_TAG_LARGE_BYTES: Final = Threshold(256 << 20, "a tag of this size deserves a look whatever the limit is")
NEVER_FREED: Final = Threshold(0.10, "memory that is used and given back is freed nearly as often as allocated")
NEVER_FREED_BYTES: Final = Threshold(64 << 20, "tables kept from boot on are smaller than 64 MB")
GROWTH_BYTES: Final = Threshold(16 << 20, "below 16 MB between two captures is the noise of a server at work")
GROWTH_SHARE: Final = Threshold(0.20, "the published case of a leaking tag grew by a quarter in three days")
UNLOADED_BYTES: Final = Threshold(64 << 10, "less than 64 KB left behind by an unloaded driver harms nobody")
HANDLES_SUSPECT: Final = Threshold(30_000, "services with more open handles exist (databases, antivirus) but are few")
HANDLES_CRITICAL: Final = Threshold(200_000, "no design needs so many; a process may have 16 million at most")
OBJECTS_SUSPECT: Final = Threshold(
    100_000, "a published case of leaking threads began with 110,065 objects; healthy servers have thousands"
)
EVENTS_SUSPECT: Final = Threshold(400_000, "small objects such as events are many on a healthy server, but not so many")
TWINS_MIN: Final = Threshold(10_000, "two counts that agree by chance are small")
TWINS_DIFFERENCE: Final = Threshold(0.005, "parts of one object differ by what is in flight, at most half a percent")
TWINS_BY_CHANCE: Final = Threshold(
    0.05,
    "pairs of unrelated tags expected to agree as closely: in a table of thousands of tags equal counts are common",
)
LOCK_WAITERS: Final = Threshold(10, "a few waiters come and go on a busy lock; ten at one instant is a queue")
LOCK_WAITERS_FEW: Final = Threshold(4, "two or three waiters at one instant are seen on every busy server")
LOCK_WAITERS_CRITICAL: Final = Threshold(100, "a hundred threads in one queue is a server that has stopped answering")
PTES_CRITICAL: Final = Threshold(
    3_000, "on 32-bit Windows before Vista the PTEs are fixed at boot; stacks and I/O need runs, which are then gone"
)
PTES_WARNING: Final = Threshold(7_000, "the classic tuning guides for /3GB servers ask to stay above 7,000")
FALSE_BANNER: Final = Threshold(0.60, "an 'Excessive' banner below three fifths of the maximum is not borne out")
COURSE_BYTES: Final = Threshold(1 << 20, "less than 1 MB over a whole log is the noise of a server at work")
COURSE_SHARE: Final = Threshold(0.01, "a pool that moves by less than a hundredth stands still")
COURSE_TAG_SHARE: Final = Threshold(0.05, "a tag, a process or a kind of object that moves by less than a twentieth")
COURSE_COUNT: Final = Threshold(500, "a few hundred handles or blocks come and go with any program that starts")
GROWTH_EXPLAINED: Final = Threshold(0.50, "tags that make half of a pool's growth are its cause")
LIMIT_SOON_HOURS: Final = Threshold(7 * 24, "a limit that is reached within a week needs somebody now")
FOLLOWS_THE_LOAD: Final = Threshold(0.70, "a rank correlation from which a figure is said to follow a load counter")
FOLLOWS_CLOSELY: Final = Threshold(
    0.90, "a growth whose order is that of a growing load nine times in ten may be the load's own"
)
PROCESS_EXPLAINS: Final = Threshold(0.50, "a process that holds half of a growth is the one to look at")
LOAD_SWING_BYTES: Final = Threshold(16 << 20, "a tag that comes and goes by less than 16 MB is no news")
QUOTA_PAID: Final = Threshold(
    0.25, "a process that pays for a quarter of a tag's bytes is worth a look; with less, many ask for such blocks"
)
POINTERS_BLOCKS: Final = Threshold(
    32, "of fewer blocks a share of nine tenths may be chance, or one list of one driver: they say nothing"
)
POINTERS_NAMED: Final = Threshold(
    50, "a driver is named by what its blocks hold only when there are enough of them to be more than one table's"
)
POINTERS_SEEN: Final = Threshold(
    0.50, "where most blocks of a tag are not in the dump, or cannot be found in it, the others may be another driver's"
)
POINTERS_HOME: Final = Threshold(
    0.90,
    "a structure has its routine's address in every block; what was left in memory by others stands in a few, or at"
    " other offsets",
)
POINTERS_MET: Final = Threshold(
    0.50, "a tag may be used for several structures: what stands in half of its blocks is worth a word, not a name"
)
POINTERS_ELSEWHERE: Final = Threshold(
    0.25, "what a quarter of other blocks of that size hold at the same offset was there before: memory is not cleared"
)
POINTERS_HELD: Final = Threshold(
    0.50, "who holds every other sampled block keeps them alive; single addresses are left in memory by chance"
)
