"""Two pieces of evidence beside each other (``poolsleuth.diff/1``): what grew, shrank, appeared and went.

Sizes are bytes, times UTC. None is "not known" and never 0. A change is always AFTER minus BEFORE.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from poolsleuth.model.finding import Severity, Subject
from poolsleuth.model.report import ReportFinding, ReportInput, ReportProblem

SCHEMA = "poolsleuth.diff/1"


class Status(StrEnum):
    """What became of a figure.

    ``APPEARED`` and ``GONE`` need proof that there was nothing on the other side: a row of 0, or a table that is
    complete. A row that a table of unknown completeness does not have is ``NOT_SHOWN_BEFORE`` or ``NOT_SHOWN_AFTER``.
    """

    GREW = "grew"
    SHRANK = "shrank"
    APPEARED = "appeared"
    GONE = "gone"
    SAME = "same"
    NOT_SHOWN_BEFORE = "not-shown-before"
    NOT_SHOWN_AFTER = "not-shown-after"
    UNKNOWN = "unknown"

    @property
    def more(self) -> bool:
        """True when there is more of it than before."""
        return self in (Status.GREW, Status.APPEARED)

    @property
    def less(self) -> bool:
        """True when there is less of it than before."""
        return self in (Status.SHRANK, Status.GONE)


class FindingStatus(StrEnum):
    """What became of a finding. ``ONLY_BEFORE`` and ``ONLY_AFTER``: the other side's evidence could not judge it."""

    NEW = "new"
    WORSE = "worse"
    MILDER = "milder"
    GONE = "gone"
    SAME = "same"
    ONLY_BEFORE = "only-before"
    ONLY_AFTER = "only-after"


@dataclass(frozen=True, slots=True)
class Amount:
    """One figure on both sides."""

    before: int | None = None
    after: int | None = None

    @property
    def change(self) -> int | None:
        """After minus before, None when either is not known."""
        return None if self.before is None or self.after is None else self.after - self.before


@dataclass(frozen=True, slots=True, kw_only=True)
class TagChange:
    """One tag in one pool.

    ``bytes`` and ``outstanding`` hold 0 on a side whose complete table does not list the tag. ``allocations`` is how
    often it was allocated between the captures, None when the counts cannot be compared (other machine, reboot).
    ``share`` is the part of its pool's change that this change makes up (1 is all of it; more than 1 and below 0
    occur). Rates are per hour. ``means`` says what growth of this tag usually means, None when no note knows it.
    """

    tag: str
    pool: str
    status: Status
    bytes: Amount
    outstanding: Amount
    session: int | None = None
    allocations: int | None = None
    share: float | None = None
    bytes_per_hour: float | None = None
    outstanding_per_hour: float | None = None
    driver: str | None = None
    description: str | None = None
    means: str | None = None
    notable: bool = False


@dataclass(frozen=True, slots=True)
class Explained:
    """A tag that makes up ``share`` of its pool's change; ``bytes`` is its own change."""

    tag: str
    bytes: int
    share: float


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolChange:
    """One pool, or one session's.

    ``basis`` says which figure the change is taken from: "used", or "tagged" where the usage is not known on both
    sides; None when neither is. ``unexplained_bytes`` is the part of the change that no tag accounts for:
    ``unexplained_exact`` when all tags are known on both sides, otherwise tags that are not shown may hide in it.
    """

    pool: str
    status: Status
    used: Amount
    limit: Amount
    session: int | None = None
    tagged: Amount = Amount()
    failures: Amount = Amount()
    basis: str | None = None
    bytes_per_hour: float | None = None
    explained_by: tuple[Explained, ...] = ()
    unexplained_bytes: int | None = None
    unexplained_exact: bool = False
    notable: bool = False

    @property
    def amount(self) -> Amount:
        """The figure that the change is taken from; unknown on at least one side when there is no basis."""
        return self.tagged if self.basis == "tagged" else self.used


@dataclass(frozen=True, slots=True, kw_only=True)
class FindingChange:
    """One finding about one subject; a side that has none of the kind is None."""

    pattern: str
    subject: Subject
    status: FindingStatus
    before: ReportFinding | None
    after: ReportFinding | None

    @property
    def severity(self) -> Severity:
        """How bad it is now, or was when it is gone."""
        finding = self.after if self.after is not None and self.after.holds else self.before or self.after
        return finding.severity if finding is not None else Severity.INFO

    @property
    def notable(self) -> bool:
        """True for what is new or worse and more than information."""
        return self.status in (FindingStatus.NEW, FindingStatus.WORSE) and self.severity is not Severity.INFO


@dataclass(frozen=True, slots=True)
class CounterChange:
    """The last sample of one counter or process figure on each side. ``unit`` as in ``ReportSeries``."""

    name: str
    unit: str
    before: float
    after: float


@dataclass(frozen=True, slots=True)
class SystemChange:
    """A fact of the system that differs: ``what`` is a field of ``ReportSystem``, or "name"."""

    what: str
    before: str | int | bool | None
    after: str | int | bool | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """The time between the captures.

    ``seconds`` is negative when AFTER is the older one. ``rebooted`` is None when nothing tells; ``reboot_basis`` says
    what tells. ``hours`` is the time that rates are taken over, None when there are none.
    """

    before_at: datetime | None = None
    after_at: datetime | None = None
    before_uptime: float | None = None
    after_uptime: float | None = None
    seconds: float | None = None
    hours: float | None = None
    rebooted: bool | None = None
    reboot_basis: str | None = None


@dataclass(frozen=True, slots=True)
class ComparedMachine:
    """One machine of one side: its number in that side's report (from 1), and its name, None when not known."""

    number: int
    name: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class MachinePair:
    """Two machines, or one at two times (``over_time``).

    Tags are ranked: the largest change first, then what is shown on one side only, then what did not change.
    ``notes`` are sentences on what limits the comparison. ``comparable`` is False when the sides share no figure.
    """

    before: ComparedMachine
    after: ComparedMachine
    over_time: bool
    paired_by: str
    span: Span
    system: tuple[SystemChange, ...] = ()
    pools: tuple[PoolChange, ...] = ()
    tags: tuple[TagChange, ...] = ()
    findings: tuple[FindingChange, ...] = ()
    counters: tuple[CounterChange, ...] = ()
    notes: tuple[str, ...] = ()
    comparable: bool = True

    @property
    def notable(self) -> bool:
        """True when something grew by more than the thresholds, or a finding is new or worse."""
        return (
            any(pool.notable for pool in self.pools)
            or any(tag.notable for tag in self.tags)
            or any(finding.notable for finding in self.findings)
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ComparedSide:
    """One side of the comparison; ``unpaired`` are its machines that the other side has no partner for."""

    inputs: tuple[ReportInput, ...]
    problems: tuple[ReportProblem, ...] = ()
    unpaired: tuple[ComparedMachine, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """The whole document."""

    tool_version: str
    before: ComparedSide
    after: ComparedSide
    pairs: tuple[MachinePair, ...]

    @property
    def notable(self) -> bool:
        """True when any pair shows notable growth (exit status 1)."""
        return any(pair.notable for pair in self.pairs)

    @property
    def comparable(self) -> bool:
        """False when no two machines share a figure (exit status 2)."""
        return any(pair.comparable for pair in self.pairs)
