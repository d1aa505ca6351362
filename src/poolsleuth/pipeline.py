"""The whole road: bytes -> facts -> machines -> findings -> report. One broken part never ends the run."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from os import PathLike, fspath
from pathlib import Path
from typing import Any

from poolsleuth import __version__
from poolsleuth.compose import compose_machine
from poolsleuth.driver_code import CODE_READER, code_of_drivers
from poolsleuth.evidence.dump.options import AS_FOUND, DumpOptions
from poolsleuth.fusion.machines import MAX_MACHINES, assemble
from poolsleuth.fusion.reported import ReportedMachine, facts_of_report
from poolsleuth.model.facts import Problem, Reason, Where
from poolsleuth.model.finding import Finding, Verdict
from poolsleuth.model.machine import Machine, System
from poolsleuth.model.report import Report, ReportFinding, ReportMachine, ReportProblem, ReportReason
from poolsleuth.model.tags import TagDescription, TagDescriptions
from poolsleuth.patterns.pattern import Evidence, Pattern, all_patterns, not_assessed, run
from poolsleuth.reading import EVERYTHING, Progress, Selection, read_all
from poolsleuth.windows.builds import Era, WindowsVersionMatch


@dataclass(frozen=True, slots=True)
class Assumed:
    """What the user knows of the machine and the evidence may not say. ``physical_bytes`` is its memory."""

    windows: WindowsVersionMatch | None = None
    physical_bytes: int | None = None

    def completed(self, system: System) -> System:
        """The system with what was not known of it filled in; what the evidence says stands."""
        known: dict[str, Any] = {}
        basis = list(system.basis)
        if self.windows is not None and system.era is None:
            version, bits = self.windows.version, self.windows.bits
            known = {"os": version.name, "era": int(version.era)}
            basis.append(Reason(f"{version.name}: you said so"))
            if system.architecture is None:
                usual = bits or (64 if version.era >= Era.VISTA_7 else 32)
                known["architecture"] = "x86" if usual == 32 else "x64"
                basis.append(Reason(f"{known['architecture']}: {'you said so' if bits else 'as usual for it'}"))
        if self.physical_bytes is not None and system.physical_bytes is None:
            known["physical_bytes"] = self.physical_bytes
            basis.append(Reason("physical memory: you said so"))
        return replace(system, **known, basis=tuple(basis))


NOTHING_ASSUMED = Assumed()

Paths = str | PathLike[str] | Sequence[str | PathLike[str]]
"""One path, or several."""


def read(paths: Paths, *, progress: Progress | None = None) -> tuple[tuple[Machine, ...], tuple[Problem, ...]]:
    """The machines that some inputs speak of, and what could not be read of them."""
    result = read_all(_names(paths), progress)
    return assemble(result.facts), tuple(result.problems)


def diagnose(
    paths: Paths,
    *,
    pooltags: str | PathLike[str] | None = None,
    progress: Progress | None = None,
    selection: Selection = EVERYTHING,
    assumed: Assumed = NOTHING_ASSUMED,
    dumps: DumpOptions = AS_FOUND,
) -> Report:
    """Diagnose some inputs together. Bad input never raises: it stands in the report's ``problems``.

    ``pooltags`` is the path of a pooltag.txt (also recognised among ``paths``). ``Report.machines`` is empty when no
    input could be used. ``selection`` bounds the time that is looked at, and asks for series to be shown.
    ``assumed`` fills in what no input says of a machine. ``dumps`` says how crash dumps are read (symbols).
    """
    names = [*_names(paths), *(_names(pooltags) if pooltags is not None else [])]
    result = read_all(names, progress, selection, replace(dumps, code=dumps.code or CODE_READER))
    if len(result.inputs) == 1 and result.reports:
        return result.reports[0][1]  # a report alone is shown as it was written
    descriptions = [d for facts in result.facts for f in facts if isinstance(f, TagDescriptions) for d in f.entries]
    reported = {index: facts_of_report(report, index) for index, report in result.reports}
    lists = [part for index, facts in enumerate(result.facts) for part in reported.get(index, [list(facts)])]
    found = assemble(lists, one_each=all(len(parts) <= 1 for parts in reported.values()))
    found = tuple(replace(machine, system=assumed.completed(machine.system)) for machine in found)
    if len(found) >= MAX_MACHINES:
        result.problems.append(
            Problem(f"more than {MAX_MACHINES} machines seem to speak here: the others are left out")
        )
    inputs = list(result.inputs)
    offsets: dict[int, int] = {}
    problems: list[ReportProblem] = []
    for index, report in result.reports:
        offsets[index] = len(inputs)
        inputs += report.inputs
        problems += [replace(p, input=None if p.input is None else p.input + offsets[index]) for p in report.problems]
    known = _Known(descriptions, result.drivers, progress)
    machines = [(m.inputs[0], _report_machine(m, offsets, known, result.problems, selection)) for m in found]
    if result.drivers and not found:
        index, path = result.drivers[0]
        says = f"{path}: {_FOLDER_ALONE}" if path.is_dir() else _DRIVERS_ALONE
        result.problems.append(Problem(says, Where(index)))
    problems = [*(_report_problem(problem) for problem in result.problems), *problems]
    machines.sort(key=lambda item: item[0])  # in the order of the inputs; within one, as they stand in it
    machines_in_order = tuple(machine for _, machine in machines)
    return Report(tool_version=__version__, inputs=tuple(inputs), machines=machines_in_order, problems=tuple(problems))


def _names(paths: Paths) -> list[str]:
    if isinstance(paths, str | PathLike):
        return [fspath(paths)]
    return [fspath(path) for path in paths]


def _report_machine(
    machine: Machine,
    offsets: dict[int, int],
    known: "_Known",
    problems: list[Problem],
    selection: Selection,
) -> ReportMachine:
    """A machine judged; one that only a report speaks of stays as that report has it."""
    told = list(machine.all(ReportedMachine))
    if len(told) == 1 and machine.inputs == (told[0].where.input,):
        return _shifted(told[0].machine, offsets[told[0].where.input], told[0].where.input)
    judged = _diagnose_machine(machine, known, problems, selection)
    if not told:
        return judged
    # What the reports found from outputs that are not at hand any more stands, unless it was judged anew
    open_now = {f.pattern for f in judged.findings if f.verdict is Verdict.NOT_ASSESSED}
    kept: dict[str, tuple[ReportFinding, ...]] = {}
    for fact in told:
        shifted = _shifted(fact.machine, offsets[fact.where.input], fact.where.input)
        for pattern in open_now:
            holding = tuple(f for f in shifted.findings if f.pattern == pattern and f.holds)
            kept[pattern] = holding or kept.get(pattern, ())
    kept = {pattern: findings for pattern, findings in kept.items() if findings}
    findings = [f for f in judged.findings if f.pattern not in kept]
    concluded = [c for fact in told if (c := fact.machine.conclusion) is not None and c.pattern in kept]
    return replace(
        judged,
        findings=(*findings, *(f for holding in kept.values() for f in holding)),
        conclusion=judged.conclusion or (concluded[-1] if concluded else None),
    )


_FOLDER_ALONE = (
    "a directory is searched for drivers only: give the evidence in it file by file (FOLDER/*), or ask `poolsleuth"
    " whois TAG` whose a tag is"
)
_DRIVERS_ALONE = (
    "a driver or program file tells nothing of a machine by itself: give the evidence beside it, or ask"
    " `poolsleuth whois TAG` whose a tag is"
)


@dataclass(frozen=True, slots=True)
class _Known:
    """What was given that belongs to no machine: lists of tags, and driver files with the inputs they are."""

    descriptions: Sequence[TagDescription]
    drivers: Sequence[tuple[int, Path]]
    progress: Progress | None


def _diagnose_machine(machine: Machine, known: _Known, problems: list[Problem], selection: Selection) -> ReportMachine:
    evidence = Evidence(machine, known.descriptions)
    findings = findings_of(evidence, problems)
    accused = list(dict.fromkeys(f.subject.tag for f in findings if f.holds and f.subject.tag is not None))
    if known.drivers and accused:
        # Only now it is known what to look for in the drivers' files
        files = code_of_drivers(known.drivers, accused, known.progress, problems)
        evidence = Evidence(machine, known.descriptions, files)
        findings = findings_of(evidence, problems)
    asked = selection.asks_for if selection.counters else None
    asked_tag = selection.asks_for_tag if selection.tags else None
    return compose_machine(machine, evidence, findings, asked, asked_tag)


def findings_of(evidence: Evidence, problems: list[Problem]) -> list[Finding]:
    """What every pattern says of one machine's evidence; one that breaks is told in the problems."""
    findings: list[Finding] = []
    for pattern in all_patterns():
        findings += _judge(pattern, evidence, problems)
    return findings


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
