"""A finding: a pattern's verdict with what speaks for it and against it."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from poolsleuth.model.facts import Reason


class Verdict(StrEnum):
    """``SUSPECTED`` is a guess and is called one; ``NOT_ASSESSED`` means the evidence cannot answer."""

    FOUND = "found"
    SUSPECTED = "suspected"
    RULED_OUT = "ruled-out"
    NOT_ASSESSED = "not-assessed"


class Severity(StrEnum):
    """How much it matters to the machine."""

    CRITICAL = "critical"
    WARNING = "warning"
    INFO = "info"


class Confidence(StrEnum):
    """How sure the verdict is."""

    HIGH = "high"
    MEDIUM = "medium"
    LOW = "low"


@dataclass(frozen=True, slots=True)
class Subject:
    """What a finding is about; None where it is about no such thing."""

    pool: str | None = None
    tag: str | None = None
    driver: str | None = None
    session: int | None = None
    resource: str | None = None
    process: str | None = None


@dataclass(frozen=True, slots=True)
class Trend:
    """Growth over time: bytes per hour with its interval, allocations per hour, and when the limit is reached."""

    bytes_per_hour: float
    low: float
    high: float
    allocs_per_hour: float | None = None
    limit_reached_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Roles:
    """Who does what to the blocks of a tag, as far as the blocks themselves tell.

    ``owner`` is the driver that made them, None when it is not known; ``retainers`` keep them from being freed;
    ``victims`` are tags and objects that grow because of them.
    """

    owner: str | None = None
    retainers: tuple[str, ...] = ()
    victims: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One verdict of one pattern about one subject."""

    pattern: str
    verdict: Verdict
    severity: Severity
    confidence: Confidence
    headline: str
    subject: Subject = Subject()
    because: tuple[Reason, ...] = ()
    against: tuple[Reason, ...] = ()
    explains: tuple[str, ...] = ()
    next_steps: tuple[str, ...] = ()
    trend: Trend | None = None
    roles: Roles | None = None

    @property
    def holds(self) -> bool:
        """True when something was found or suspected."""
        return self.verdict in (Verdict.FOUND, Verdict.SUSPECTED)
