"""What the HTML page shows, cut to size: the template only lays it out."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from poolsleuth.model.finding import Verdict
from poolsleuth.model.report import Report, ReportFinding, ReportInput, ReportMachine, ReportReason, ReportTag
from poolsleuth.report.arrange import (
    MachineVerdict,
    PoolRow,
    bugcheck_text,
    failures_text,
    findings_in_order,
    largest_tags,
    machine_name,
    pool_rows,
    system_words,
    tag_text,
    unassigned_failures,
    verdict_of,
)
from poolsleuth.report.blocks import Bar, bars
from poolsleuth.report.charts import ChartStore, MachineCharts
from poolsleuth.report.html_cut import Cut
from poolsleuth.report.html_drivers import DriversView, drivers_view
from poolsleuth.report.wording import (
    UNKNOWN,
    StepPart,
    bytes_short,
    bytes_text,
    clean,
    count_text,
    duration_text,
    percent_text,
    place_text,
    plural,
    pool_name,
    session_text,
    severity_rank,
    short,
    step_parts,
    subject_text,
    time_text,
    trend_text,
    verdict_word,
)


@dataclass(frozen=True, slots=True)
class Reason:
    """One sentence of evidence and where it stands."""

    says: str
    place: str


@dataclass(frozen=True, slots=True)
class Step:
    """A next step; ``whole`` is False when it was cut, and then nothing of it is offered for copying."""

    parts: tuple[StepPart, ...]
    whole: bool


@dataclass(frozen=True, slots=True)
class FindingView:
    """A finding in words."""

    headline: str
    pattern: str
    verdict: str
    severity: str
    confidence: str
    about: str
    trend: str
    because: tuple[Reason, ...]
    against: tuple[Reason, ...]
    explains: tuple[str, ...]
    steps: tuple[Step, ...]
    left_out: int


@dataclass(frozen=True, slots=True)
class PoolView:
    """A pool's bar: ``width`` in percent of the limit, None without a bar."""

    name: str
    width: str | None
    percent: str
    figures: str
    exact: str
    failures: str
    notes: tuple[str, ...]
    tone: str
    runs: tuple[Bar, ...] = ()


@dataclass(frozen=True, slots=True)
class TagView:
    """One row of the tag table, in words."""

    tag: str
    pool: str
    session: str
    allocs: str
    frees: str
    outstanding: str
    bytes: str
    size: str
    driver: str
    description: str


@dataclass(frozen=True, slots=True)
class IndexView:
    """One machine in the overview; ``full`` is False for one that stands nowhere else."""

    number: int
    full: bool
    name: str
    says: str
    verdict: str
    tone: str
    summary: str


@dataclass(frozen=True, slots=True)
class MachineView:
    """One machine in detail."""

    number: int
    name: str
    says: str
    verdict: str
    tone: str
    confidence: str
    pattern: str
    system: tuple[str, ...]
    bugcheck: str | None
    facts: tuple[tuple[str, str], ...]
    basis: tuple[str, ...]
    pools: tuple[PoolView, ...]
    sessions_left: int
    failed: str  # allocations of no known pool
    bearing: int | None  # which of the findings bears the verdict, from 1
    holding: tuple[FindingView, ...]
    holding_left: int
    ruled_out: tuple[FindingView, ...]
    ruled_out_count: int
    not_assessed: tuple[FindingView, ...]
    not_assessed_count: int
    tags: tuple[TagView, ...]
    tag_count: str
    tags_left: str
    has_sessions: bool
    drivers: DriversView | None
    charts: MachineCharts | None


@dataclass(frozen=True, slots=True)
class InputView:
    """One input."""

    name: str
    kind: str
    size: str
    sha256: str


@dataclass(frozen=True, slots=True)
class PageView:
    """Everything on the page. ``*_left`` says in words how many entries were left out, empty for none."""

    version: str
    title: str
    index: tuple[IndexView, ...]
    machines: Iterator[MachineView]  # made while the page is written: a page that grows too large is given up early
    machine_count: int
    tally: str
    machines_left: str
    detailed: int
    inputs: tuple[InputView, ...]
    input_count: int
    inputs_left: str
    problems: tuple[Reason, ...]
    problem_count: int
    problems_left: str
    charted: bool  # whether any machine shows a chart
    live: bool  # whether a script draws the charts


def page_view(report: Report, cut: Cut, store: ChartStore, *, live: bool) -> PageView:
    """The page of a report, no larger than the cut. ``live``: a script will draw the charts."""
    # The worst machines keep their place when not all fit; the order of the page stays that of the report.
    verdicts = [verdict_of(machine) for machine in report.machines]
    worst = sorted(range(1, len(verdicts) + 1), key=lambda number: severity_rank(verdicts[number - 1].severity))
    indexed = sorted(worst[: cut.index])
    detailed = set(worst[: cut.machines])
    index = tuple(
        _index(report.machines[number - 1], verdicts[number - 1], number, cut, full=number in detailed)
        for number in indexed
    )
    charts = store.views(sorted(detailed), cut.lines, cut.points, cut.text, live=live)
    sick = sum(verdict.verdict is not None for verdict in verdicts)
    total = len(report.machines)
    name = index[0].name if total == 1 else plural(total, "machine")
    return PageView(
        version=short(report.tool_version, 60),
        title=f"Kernel pool diagnosis: {short(name, 80)}",
        index=index,
        machines=(_machine(report, number, cut, len(detailed), charts.get(number)) for number in sorted(detailed)),
        machine_count=total,
        tally=f"{count_text(sick)} of {plural(total, 'machine')} {'has' if sick == 1 else 'have'} findings that hold.",
        machines_left=_left(total - len(index), "machine"),
        detailed=len(detailed),
        inputs=tuple(_input(entry, cut) for entry in report.inputs[: cut.inputs]),
        input_count=len(report.inputs),
        inputs_left=_left(len(report.inputs) - cut.inputs, "input"),
        problems=tuple(
            Reason(short(problem.says, cut.text), place_text(problem, report.inputs, cut.text))
            for problem in report.problems[: cut.problems]
        ),
        problem_count=len(report.problems),
        problems_left=_left(len(report.problems) - cut.problems, "problem"),
        charted=any(machine.any for machine in charts.values()),
        live=live,
    )


def _left(n: int, one: str) -> str:
    return plural(n, one) if n > 0 else ""


def _index(machine: ReportMachine, verdict: MachineVerdict, number: int, cut: Cut, *, full: bool) -> IndexView:
    return IndexView(
        number=number,
        full=full,
        name=short(machine_name(machine, number), min(cut.text, 200)),
        says=short(verdict.says, min(cut.text, 300)),
        verdict=verdict.word,
        tone=verdict.tone,
        summary=short(system_words(machine)[0], min(cut.text, 80)),
    )


def _machine(report: Report, number: int, cut: Cut, detailed: int, charts: MachineCharts | None) -> MachineView:
    """One of the ``detailed`` machines, which share the rows of the page."""
    machine = report.machines[number - 1]
    verdict = verdict_of(machine)
    findings = findings_in_order(machine)
    by_verdict = {v: [f for f in findings if f.verdict is v] for v in Verdict}
    holding = [finding for finding in findings if finding.holds]
    pools = pool_rows(machine)
    shown = largest_tags(machine.tags, cut.rows // detailed)
    left = len(machine.tags) - len(shown)

    def views(chosen: Sequence[ReportFinding]) -> tuple[FindingView, ...]:
        return tuple(_finding(finding, report.inputs, cut) for finding in chosen[: cut.findings])

    return MachineView(
        number=number,
        name=short(machine_name(machine, number), cut.text),
        says=short(verdict.says, cut.text),
        verdict=verdict.word,
        tone=verdict.tone,
        confidence=f"{verdict.confidence.value} confidence" if verdict.confidence else "",
        pattern=short(verdict.pattern or "", cut.text),
        system=tuple(short(text, cut.text) for text in system_words(machine)),
        bugcheck=short(bugcheck_text(machine) or "", cut.text) or None,
        facts=_facts(machine, cut),
        basis=tuple(short(text, cut.text) for text in machine.system.basis[: cut.reasons]),
        pools=tuple(_pool(row, cut) for row in pools[: 2 + cut.sessions]),
        sessions_left=max(0, len(pools) - 2 - cut.sessions),
        failed=unassigned_failures(machine),
        bearing=next((i for i, f in enumerate(holding[: cut.findings], 1) if f.pattern == verdict.pattern), None),
        holding=views(holding),
        holding_left=max(0, len(holding) - cut.findings),
        ruled_out=views(by_verdict[Verdict.RULED_OUT]),
        ruled_out_count=len(by_verdict[Verdict.RULED_OUT]),
        not_assessed=views(by_verdict[Verdict.NOT_ASSESSED]),
        not_assessed_count=len(by_verdict[Verdict.NOT_ASSESSED]),
        tags=tuple(_tag(tag, cut) for tag in shown),
        tag_count=count_text(len(machine.tags)),
        tags_left=count_text(left) if left else "",
        has_sessions=any(tag.session is not None for tag in shown),
        drivers=drivers_view(machine.drivers, cut.drivers // detailed, cut.text),
        charts=charts,
    )


def _facts(machine: ReportMachine, cut: Cut) -> tuple[tuple[str, str], ...]:
    system = machine.system
    said = {None: UNKNOWN, True: "yes", False: "no"}
    facts = [
        ("Windows", system.os or UNKNOWN),
        ("Build", UNKNOWN if system.build is None else short(str(system.build), 20)),
        ("Architecture", system.architecture or UNKNOWN),
    ]
    if system.architecture == "x86":
        facts += [("PAE", said[system.pae]), ("/3GB", said[system.three_gb])]
    facts += [
        ("Physical memory", bytes_text(system.physical_bytes)),
        ("Captured", time_text(system.captured_at)),
        ("Up for", duration_text(system.uptime_seconds)),
        ("Bug check", bugcheck_text(machine) or "none in the evidence"),
    ]
    return tuple((name, short(value, cut.text)) for name, value in facts)


def _pool(row: PoolRow, cut: Cut) -> PoolView:
    exact = bytes_text(row.used) if row.limit is None else f"{bytes_text(row.used)} of {bytes_text(row.limit)}"
    return PoolView(
        name=row.name,
        width=None if row.share is None else f"{max(row.share * 100, 0.5 if row.share else 0):.2f}",
        percent=percent_text(row.used, row.limit),
        figures=row.figures,
        exact=exact,
        failures=failures_text(row.failures),
        notes=tuple(short(note, cut.text) for note in row.notes),
        tone=row.severity.value if row.severity else "calm",
        runs=bars(row.free_runs),
    )


def _finding(finding: ReportFinding, inputs: Sequence[ReportInput], cut: Cut) -> FindingView:
    lists = (finding.because, finding.against, finding.explains, finding.next_steps)
    return FindingView(
        headline=short(finding.headline, cut.text),
        pattern=short(finding.pattern, cut.text),
        verdict=verdict_word(finding.verdict),
        severity=finding.severity.value,
        confidence=f"{finding.confidence.value} confidence",
        about=short(subject_text(finding.subject), cut.text),
        trend=trend_text(finding.trend) if finding.trend else "",
        because=_reasons(finding.because, inputs, cut),
        against=_reasons(finding.against, inputs, cut),
        explains=tuple(short(text, cut.text) for text in finding.explains[: cut.reasons]),
        steps=tuple(_step(text, cut) for text in finding.next_steps[: cut.reasons]),
        left_out=sum(max(0, len(entries) - cut.reasons) for entries in lists),
    )


def _reasons(reasons: Sequence[ReportReason], inputs: Sequence[ReportInput], cut: Cut) -> tuple[Reason, ...]:
    return tuple(
        Reason(short(r.says, cut.text), place_text(r, inputs, min(cut.text, 300))) for r in reasons[: cut.reasons]
    )


def _step(text: str, cut: Cut) -> Step:
    return Step(step_parts(short(text, cut.text)), whole=len(text) <= cut.text and len(clean(text)) <= cut.text)


def _tag(tag: ReportTag, cut: Cut) -> TagView:
    numbers = ("" if n is None else count_text(n) for n in (tag.allocs, tag.frees, tag.outstanding, tag.bytes))
    allocs, frees, outstanding, size = numbers
    room = min(cut.text, 160)
    return TagView(
        tag=tag_text(tag.tag),
        pool=short(pool_name(tag.pool).removesuffix(" pool"), 20) if tag.pool != "session" else "session",
        session=session_text(tag.session),
        allocs=allocs,
        frees=frees,
        outstanding=outstanding,
        bytes=size,
        size=bytes_short(tag.bytes) if tag.bytes is not None else "",
        driver=short(tag.driver or "", min(room, 80)),
        description=short(tag.description or "", room),
    )


def _input(entry: ReportInput, cut: Cut) -> InputView:
    return InputView(
        name=short(entry.name, cut.text),
        kind=entry.kind.value if entry.kind else "not recognised",
        size=bytes_text(entry.bytes),
        sha256=short(entry.sha256 or UNKNOWN, 80),
    )
