"""The report: one document that every renderer draws from and that can be read back (``poolsleuth.report/1``)."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from poolsleuth.model.finding import Confidence, Roles, Severity, Subject, Trend, Verdict
from poolsleuth.model.report_blocks import PoolBlocks

SCHEMA = "poolsleuth.report/1"


class InputKind(StrEnum):
    """What an input was recognised as, by its content."""

    CRASH_DUMP = "crash-dump"
    DEBUGGER_LOG = "debugger-log"
    COUNTER_LOG = "counter-log"
    POOLMON_LOG = "poolmon-log"
    RECORDING = "recording"
    POOL_TAGS = "pool-tags"
    DRIVER = "driver"
    REPORT = "report"


@dataclass(frozen=True, slots=True)
class ReportInput:
    """One input; ``kind``, ``bytes`` and ``sha256`` are None when it could not be read or recognised."""

    name: str
    kind: InputKind | None
    bytes: int | None
    sha256: str | None


@dataclass(frozen=True, slots=True)
class ReportReason:
    """One sentence of evidence; ``input`` is an index into the report's inputs, ``at`` a place in it."""

    says: str
    input: int | None = None
    at: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportFinding:
    """A finding as the report carries it."""

    pattern: str
    verdict: Verdict
    severity: Severity
    confidence: Confidence
    headline: str
    subject: Subject = Subject()
    because: tuple[ReportReason, ...] = ()
    against: tuple[ReportReason, ...] = ()
    explains: tuple[str, ...] = ()
    next_steps: tuple[str, ...] = ()
    trend: Trend | None = None
    roles: Roles | None = None

    @property
    def holds(self) -> bool:
        """True when something was found or suspected."""
        return self.verdict in (Verdict.FOUND, Verdict.SUSPECTED)


@dataclass(frozen=True, slots=True)
class ReportBugCheck:
    """A bug check: code and parameters as ``0x`` strings."""

    code: str
    name: str | None
    parameters: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportSystem:
    """The computer. ``os`` may name a family; ``basis`` says what the identification rests on."""

    os: str | None = None
    build: int | None = None
    architecture: str | None = None
    pae: bool | None = None
    three_gb: bool | None = None
    physical_bytes: int | None = None
    captured_at: datetime | None = None
    uptime_seconds: float | None = None
    bugcheck: ReportBugCheck | None = None
    basis: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolUse:
    """One pool in bytes. ``limit_bytes`` is the limit it is judged by, ``printed_max_bytes`` what ``!vm`` prints.

    ``tagged_bytes`` is what tags account for (a printed TOTAL, or the sum of a complete table; None otherwise);
    ``failures`` counts failed allocations that belong to this pool for certain. ``tags_complete`` is True when the
    tables show every tag of this pool (then a tag that is not among them does not exist), False when they are cut,
    None when that is not known or there is no table. ``blocks`` is None where the pool's blocks were not walked.
    """

    used_bytes: int | None = None
    limit_bytes: int | None = None
    limit_source: str | None = None
    printed_max_bytes: int | None = None
    tagged_bytes: int | None = None
    failures: int | None = None
    tags_complete: bool | None = None
    blocks: PoolBlocks | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionPoolUse:
    """One session's paged pool in bytes, and its failed allocations."""

    id: int
    used_bytes: int | None = None
    limit_bytes: int | None = None
    failures: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Pools:
    """The pools of one machine. ``failures`` counts all pool allocations that failed since the start, whatever pool
    they were of; None when none are told."""

    nonpaged: PoolUse = PoolUse()
    paged: PoolUse = PoolUse()
    sessions: tuple[SessionPoolUse, ...] = ()
    failures: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportTag:
    """One tag in one pool; None is a column that the evidence does not have."""

    tag: str
    pool: str
    allocs: int | None
    frees: int | None
    outstanding: int | None
    bytes: int | None
    description: str | None = None
    driver: str | None = None
    session: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportDriver:
    """A loaded module. ``base`` is its address as a ``0x`` string, ``size`` bytes; what is not known is None.

    ``timestamp`` is the build's time stamp as the evidence words it: later Windows keep a hash there.
    """

    name: str
    path: str | None = None
    base: str | None = None
    size: int | None = None
    company: str | None = None
    version: str | None = None
    timestamp: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportUnloadedDriver:
    """A driver that was unloaded ``times`` times, at last at ``last_at`` (UTC, None when that is not known)."""

    name: str
    times: int
    last_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportDrivers:
    """The drivers of one machine. ``complete`` is True when every loaded one is listed, None without any list."""

    loaded: tuple[ReportDriver, ...] = ()
    complete: bool | None = None
    unloaded: tuple[ReportUnloadedDriver, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportSeries:
    """One line of a chart: figures over time, down-sampled so that peaks and floors survive.

    ``kind`` is "pool", "tag", "process", "load" or "counter"; ``unit`` is "bytes", "count", "percent", "seconds" or
    "per second". ``seconds`` are counted from ``start``; a value that is missing is None. ``samples`` is the number
    before down-sampling. ``course`` is what the figures do, in one word (see ``patterns.course``), ``says`` in one
    sentence; both None when they were not judged. ``trend`` is the growth that was fitted, ``line`` its two ends
    (seconds, value). ``limit`` is in the series' own unit. ``utc`` is False when the times are local and nothing says
    the zone.
    """

    name: str
    kind: str
    unit: str
    start: datetime
    seconds: tuple[float, ...]
    values: tuple[float | None, ...]
    samples: int
    path: str | None = None
    pool: str | None = None
    tag: str | None = None
    session: int | None = None
    process: str | None = None
    course: str | None = None
    says: str | None = None
    limit: float | None = None
    trend: Trend | None = None
    line: tuple[tuple[float, float], ...] = ()
    utc: bool = True


@dataclass(frozen=True, slots=True)
class Conclusion:
    """What it all comes to: the pattern that explains most, and one sentence a manager understands."""

    pattern: str
    verdict: Verdict
    says: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportMachine:
    """Everything the report says about one computer. ``conclusion`` is None when nothing was found or suspected."""

    name: str | None
    inputs: tuple[int, ...]
    system: ReportSystem
    pools: Pools
    tags: tuple[ReportTag, ...]
    conclusion: Conclusion | None
    findings: tuple[ReportFinding, ...]
    series: tuple[ReportSeries, ...] = ()
    drivers: ReportDrivers = ReportDrivers()


@dataclass(frozen=True, slots=True)
class ReportProblem:
    """Input that could not be used, with its place."""

    says: str
    input: int | None = None
    at: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """The whole document."""

    tool_version: str
    inputs: tuple[ReportInput, ...]
    machines: tuple[ReportMachine, ...]
    problems: tuple[ReportProblem, ...]

    @property
    def anything_holds(self) -> bool:
        """True when any finding of any machine was found or suspected (exit status 1)."""
        return any(finding.holds for machine in self.machines for finding in machine.findings)

    def to_json(self) -> str:
        """The report as its JSON document, strict JSON text (see ``model.document``)."""
        from poolsleuth.model.document import to_json  # noqa: PLC0415 - the document's writer knows this class

        return to_json(self)
