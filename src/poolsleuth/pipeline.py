"""The whole road: bytes -> facts -> machines -> findings -> report. One broken part never ends the run."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from os import PathLike, fspath

from poolsleuth import __version__
from poolsleuth.compose import compose_machine
from poolsleuth.evidence.debugger_log.bounded import BoundedFacts
from poolsleuth.evidence.debugger_log.reader import LogReader
from poolsleuth.evidence.pooltags import parse_pool_tags
from poolsleuth.evidence.recognise import REFUSALS, Content, content_of
from poolsleuth.evidence.report import read_report
from poolsleuth.evidence.source import SAMPLE_BYTES, EvidenceStream, Source, open_source, sources
from poolsleuth.fusion.machines import MAX_MACHINES, assemble
from poolsleuth.model.errors import InputError
from poolsleuth.model.facts import Fact, Problem, Where
from poolsleuth.model.finding import Finding
from poolsleuth.model.machine import Machine
from poolsleuth.model.report import (
    InputKind,
    Report,
    ReportFinding,
    ReportInput,
    ReportMachine,
    ReportProblem,
    ReportReason,
)
from poolsleuth.model.tags import TagDescription, TagDescriptions
from poolsleuth.patterns.pattern import Evidence, Pattern, all_patterns, not_assessed, run

MAX_POOL_TAGS_BYTES = 64 << 20

Paths = str | PathLike[str] | Sequence[str | PathLike[str]]
"""One path, or several."""

Progress = Callable[[str, int, int | None], None]
"""Called while an input is read: its name, bytes read so far, bytes in all (None when not known)."""


@dataclass(slots=True)
class _Read:
    """What came out of all inputs."""

    inputs: list[ReportInput] = field(default_factory=list)
    facts: list[tuple[Fact, ...]] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    reports: list[tuple[int, Report]] = field(default_factory=list)


def read(paths: Paths, *, progress: Progress | None = None) -> tuple[tuple[Machine, ...], tuple[Problem, ...]]:
    """The machines that some inputs speak of, and what could not be read of them."""
    result = _read_all(_names(paths), progress)
    return assemble(result.facts), tuple(result.problems)


def diagnose(paths: Paths, *, pooltags: str | PathLike[str] | None = None, progress: Progress | None = None) -> Report:
    """Diagnose some inputs together. Bad input never raises: it stands in the report's ``problems``.

    ``pooltags`` is the path of a pooltag.txt (also recognised among ``paths``). ``Report.machines`` is empty when no
    input could be used.
    """
    result = _read_all([*_names(paths), *(_names(pooltags) if pooltags is not None else [])], progress)
    if len(result.inputs) == 1 and result.reports:
        return result.reports[0][1]  # a report alone is shown as it was written
    descriptions = [d for facts in result.facts for f in facts if isinstance(f, TagDescriptions) for d in f.entries]
    found = assemble(result.facts)
    if len(found) >= MAX_MACHINES:
        result.problems.append(
            Problem(f"more than {MAX_MACHINES} machines seem to speak here: the others are left out")
        )
    machines = [(machine.inputs[0], _diagnose_machine(machine, descriptions, result.problems)) for machine in found]
    inputs = list(result.inputs)
    problems = [_report_problem(problem) for problem in result.problems]
    for index, report in result.reports:
        offset = len(inputs)
        inputs += report.inputs
        machines += [(index, _shifted(machine, offset, index)) for machine in report.machines]
        problems += [replace(p, input=None if p.input is None else p.input + offset) for p in report.problems]
    machines.sort(key=lambda item: item[0])  # in the order of the inputs; within one, as they stand in it
    machines_in_order = tuple(machine for _, machine in machines)
    return Report(tool_version=__version__, inputs=tuple(inputs), machines=machines_in_order, problems=tuple(problems))


def _names(paths: Paths) -> list[str]:
    if isinstance(paths, str | PathLike):
        return [fspath(paths)]
    return [fspath(path) for path in paths]


def _read_all(paths: Iterable[str], progress: Progress | None) -> _Read:
    result = _Read()
    for path in dict.fromkeys(paths):
        try:
            found = sources(path)
        except InputError as error:
            _unusable(result, path, str(error))
            continue
        for source in found:
            _read_source(source, result, progress)
    return result


def _unusable(result: _Read, name: str, says: str) -> None:
    result.inputs.append(ReportInput(name, None, None, None))
    result.facts.append(())
    result.problems.append(Problem(says, Where(len(result.inputs) - 1)))


def _read_source(source: Source, result: _Read, progress: Progress | None) -> None:
    index = len(result.inputs)
    problems: list[Problem] = []
    kind: InputKind | None = None
    facts: tuple[Fact, ...] = ()
    count: int | None = source.size
    digest: str | None = None
    try:
        with open_source(source) as stream:
            try:
                kind, facts = _read_stream(source, stream, index, result, problems, progress)
            except InputError as error:
                problems.append(Problem(f"{source.name}: {error}", Where(index)))
            except Exception as error:  # the one place where a defect of ours must not lose the other inputs
                problems.append(
                    Problem(f"{source.name}: it could not be read (internal error: {error!r})", Where(index))
                )
            if stream.stopped is not None:
                problems.append(Problem(f"{source.name}: {stream.stopped}", Where(index, offset=stream.position)))
            digest = stream.sha256()
    except InputError as error:
        problems.append(Problem(str(error), Where(index)))
    result.inputs.append(ReportInput(source.name, kind, count, digest))
    result.facts.append(facts)
    result.problems += problems


def _read_stream(
    source: Source,
    stream: EvidenceStream,
    index: int,
    result: _Read,
    problems: list[Problem],
    progress: Progress | None,
) -> tuple[InputKind | None, tuple[Fact, ...]]:
    sample = stream.peek(SAMPLE_BYTES)
    if not sample and stream.stopped is None:
        raise InputError("it is empty")
    content = content_of(sample)
    if content is Content.CRASH_DUMP:
        problems.append(Problem(f"{source.name}: {REFUSALS[content]}", Where(index)))
        return InputKind.CRASH_DUMP, ()
    if content in REFUSALS:
        problems.append(Problem(f"{source.name}: {REFUSALS[content]}", Where(index)))
        return {Content.DRIVER: InputKind.DRIVER, Content.COUNTER_LOG: InputKind.COUNTER_LOG}.get(content), ()
    if content is Content.REPORT:
        result.reports.append((index, read_report(stream)))
        return InputKind.REPORT, ()
    if content is Content.POOL_TAGS:
        data = stream.read(MAX_POOL_TAGS_BYTES)
        return InputKind.POOL_TAGS, (parse_pool_tags(data.decode("utf-8", errors="replace"), index),)
    return _read_log(source, stream, index, problems, progress)


def _read_log(
    source: Source, stream: EvidenceStream, index: int, problems: list[Problem], progress: Progress | None
) -> tuple[InputKind | None, tuple[Fact, ...]]:
    def report_progress(_: int) -> None:
        if progress is not None:
            progress(source.name, stream.position, source.size)

    reader = LogReader(index, report_progress)
    kept = BoundedFacts()
    for fact in reader.read(stream):
        kept.add(fact)
    problems += reader.problems
    for name, count in kept.dropped.items():
        problems.append(
            Problem(
                f"{source.name}: the log is so long that {count:,} facts of kind {name} were left out, evenly spread;"
                " the first and the last are kept",
                Where(index),
            )
        )
    facts = kept.facts()
    if not facts:
        if reader.outputs:
            raise InputError(
                "it holds the beginning of a debugger output ("
                + ", ".join(sorted(reader.outputs))
                + ") but no figure that"
                " can be used; paste the whole output"
            )
        raise InputError(
            "no output of a debugger command was recognised in it; give the text of `!vm`, `!poolused` and so on, with"
            " their headers"
        )
    only_poolmon = set(reader.outputs) == {"poolmon"}
    return (InputKind.POOLMON_LOG if only_poolmon else InputKind.DEBUGGER_LOG), facts


def _diagnose_machine(
    machine: Machine, descriptions: Sequence[TagDescription], problems: list[Problem]
) -> ReportMachine:
    evidence = Evidence(machine, descriptions)
    findings: list[Finding] = []
    for pattern in all_patterns():
        findings += _judge(pattern, evidence, problems)
    return compose_machine(machine, evidence, findings)


def _judge(pattern: Pattern, evidence: Evidence, problems: list[Problem]) -> tuple[Finding, ...]:
    try:
        return run(pattern, evidence)
    except Exception as error:  # a pattern that breaks must not lose the verdicts of the others
        problems.append(Problem(f"the pattern {pattern.id} could not be judged (internal error: {error!r})"))
        return (not_assessed(pattern.id, "an internal error stopped the judgement (see the problems)"),)


def _report_problem(problem: Problem) -> ReportProblem:
    where = problem.where
    return ReportProblem(problem.says, where.input if where else None, (where.at or None) if where else None)


def _shifted(machine: ReportMachine, offset: int, report: int) -> ReportMachine:
    """A machine of a report that was read back, its inputs now counted behind ours."""

    def reasons(found: tuple[ReportReason, ...]) -> tuple[ReportReason, ...]:
        return tuple(replace(r, input=None if r.input is None else r.input + offset) for r in found)

    def shift(finding: ReportFinding) -> ReportFinding:
        return replace(finding, because=reasons(finding.because), against=reasons(finding.against))

    return replace(
        machine,
        inputs=(report, *(i + offset for i in machine.inputs)),
        findings=tuple(shift(f) for f in machine.findings),
    )
