"""What of a comparison is shown: the tags that were asked for, cut to so many rows."""

from collections.abc import Sequence
from dataclasses import dataclass

from poolsleuth.model.comparison import FindingChange, FindingStatus, MachinePair, PoolChange, Status, TagChange

TOP = 20
ONE_SIDED = 10  # tags that only one side shows: named, without a row each
FINDINGS = 20
SESSIONS = 8
COUNTERS = 10
PROBLEMS = 20
UNPAIRED = 40

_SHOWN_FINDINGS = tuple(status for status in FindingStatus if status is not FindingStatus.SAME)


@dataclass(frozen=True, slots=True)
class Selection:
    """The rows of tags that are wanted. ``least`` is in bytes: a smaller change is left out, and an unknown one too."""

    top: int = TOP
    pool: str | None = None
    least: int | None = None

    def keeps(self, tag: TagChange) -> bool:
        """Whether a tag was asked for."""
        if self.pool is not None and tag.pool != self.pool:
            return False
        if self.least is None:
            return True
        change = tag.bytes.change
        if change is None and tag.status in (Status.NOT_SHOWN_BEFORE, Status.NOT_SHOWN_AFTER):
            return (tag.bytes.before or tag.bytes.after or 0) >= self.least
        return change is not None and abs(change) >= self.least

    def moved(self, pair: MachinePair) -> list[TagChange]:
        """The tags that changed, as they are ranked; not yet cut to ``top``."""
        return [tag for tag in pair.tags if (tag.status.more or tag.status.less) and self.keeps(tag)]

    def one_sided(self, pair: MachinePair, status: Status) -> list[TagChange]:
        """The tags that a side does not show although they may be there, unless the other shows nothing of them."""
        return [
            tag
            for tag in pair.tags
            if tag.status is status
            and self.keeps(tag)
            and (tag.bytes.before or tag.bytes.after or tag.outstanding.before or tag.outstanding.after)
        ]

    def pools(self, pair: MachinePair) -> list[PoolChange]:
        """The pools with any figure, then the sessions with one."""
        return [
            pool
            for pool in pair.pools
            if (self.pool is None or pool.pool == self.pool)
            and not (pool.amount.before is None and pool.amount.after is None)
        ]


def findings_shown(pair: MachinePair) -> Sequence[FindingChange]:
    """What is new, worse, milder, gone or judged on one side only; what stayed is not repeated."""
    return [change for change in pair.findings if change.status in _SHOWN_FINDINGS]
