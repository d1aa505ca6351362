"""The whole road: bytes -> facts -> machines -> findings -> report. One broken part never ends the run."""

from collections.abc import Sequence
from dataclasses import replace
from os import PathLike, fspath

from poolsleuth import __version__
from poolsleuth.compose import compose_machine
from poolsleuth.fusion.machines import MAX_MACHINES, assemble
from poolsleuth.model.facts import Problem
from poolsleuth.model.finding import Finding
from poolsleuth.model.machine import Machine
from poolsleuth.model.report import Report, ReportFinding, ReportMachine, ReportProblem, ReportReason
from poolsleuth.model.tags import TagDescription, TagDescriptions
from poolsleuth.patterns.pattern import Evidence, Pattern, all_patterns, not_assessed, run
from poolsleuth.reading import Progress, read_all

Paths = str | PathLike[str] | Sequence[str | PathLike[str]]
"""One path, or several."""


def read(paths: Paths, *, progress: Progress | None = None) -> tuple[tuple[Machine, ...], tuple[Problem, ...]]:
    """The machines that some inputs speak of, and what could not be read of them."""
    result = read_all(_names(paths), progress)
    return assemble(result.facts), tuple(result.problems)


def diagnose(paths: Paths, *, pooltags: str | PathLike[str] | None = None, progress: Progress | None = None) -> Report:
    """Diagnose some inputs together. Bad input never raises: it stands in the report's ``problems``.

    ``pooltags`` is the path of a pooltag.txt (also recognised among ``paths``). ``Report.machines`` is empty when no
    input could be used.
    """
    result = read_all([*_names(paths), *(_names(pooltags) if pooltags is not None else [])], progress)
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
