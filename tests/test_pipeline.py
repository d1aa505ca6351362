import gzip
import json
from pathlib import Path

import pytest

from poolsleuth import pipeline, reading
from poolsleuth.model.document import from_json, to_json
from poolsleuth.model.errors import InputError
from poolsleuth.model.finding import Finding, Verdict
from poolsleuth.model.report import InputKind
from poolsleuth.patterns.pattern import Pattern, all_patterns
from poolsleuth.pipeline import diagnose, read

LOGS = Path(__file__).parent / "data" / "logs"
UNTAGGED, FRAGMENTED, SEVERAL = LOGS / "untagged.txt", LOGS / "fragmented.txt", LOGS / "several_machines.txt"
TAG_LIST = "rem our own\nNone - acme.sys - Acme blocks\nMmCm - acme.sys - Acme buffers\nQqqq - other.sys - Other\n"


@pytest.fixture
def report_file(tmp_path: Path) -> Path:
    path = tmp_path / "report.json"
    path.write_text(to_json(diagnose(UNTAGGED)), encoding="utf-8")
    return path


def test_the_road_from_a_log_to_a_verdict() -> None:
    report = diagnose(UNTAGGED)

    assert [(i.name, i.kind, i.bytes) for i in report.inputs] == [
        (str(UNTAGGED), InputKind.DEBUGGER_LOG, UNTAGGED.stat().st_size)
    ]
    assert report.problems == ()
    (machine,) = report.machines
    assert machine.conclusion is not None
    assert machine.conclusion.pattern == "untagged-allocations"
    assert report.anything_holds


def test_one_path_or_several_of_any_type() -> None:
    one = diagnose(str(UNTAGGED))

    assert diagnose(UNTAGGED) == one
    assert diagnose([str(UNTAGGED)]) == one
    assert diagnose((UNTAGGED,)) == one


def test_the_same_path_twice_is_one_input() -> None:
    assert len(diagnose([UNTAGGED, UNTAGGED]).inputs) == 1


def test_two_machines_in_two_logs_are_kept_apart() -> None:
    report = diagnose([UNTAGGED, FRAGMENTED])

    assert [machine.inputs for machine in report.machines] == [(0,), (1,)]
    assert [machine.conclusion and machine.conclusion.pattern for machine in report.machines] == [
        "untagged-allocations",
        "pool-fragmentation",
    ]


def test_two_logs_of_one_machine_are_fused(tmp_path: Path) -> None:
    text = UNTAGGED.read_text("utf-8")
    cut = text.index("1: kd> !poolused")
    (tmp_path / "vm.log").write_text(text[:cut], "utf-8")
    (tmp_path / "tags.log").write_text(text[cut:], "utf-8")

    report = diagnose([tmp_path / "vm.log", tmp_path / "tags.log"])

    (machine,) = report.machines
    assert machine.inputs == (0, 1)
    assert machine.conclusion is not None
    assert machine.conclusion.pattern == "untagged-allocations"
    found = next(f for f in machine.findings if f.pattern == "untagged-allocations")
    assert {reason.input for reason in found.because} == {1, None}


def test_a_packed_log_gives_the_same_verdict(tmp_path: Path) -> None:
    packed = tmp_path / "kd.log.gz"
    packed.write_bytes(gzip.compress(UNTAGGED.read_bytes()))

    assert diagnose(packed).machines == diagnose(UNTAGGED).machines


def test_bad_inputs_beside_a_good_one(tmp_path: Path) -> None:
    empty, noise = tmp_path / "empty.log", tmp_path / "noise.txt"
    empty.write_bytes(b"")
    noise.write_text("Dear all, the server is slow again.\n", "utf-8")

    report = diagnose([empty, tmp_path / "missing.log", UNTAGGED, noise])

    assert len(report.machines) == 1
    assert report.machines[0].inputs == (2,)
    assert [problem.input for problem in report.problems] == [0, 1, 3]
    assert "empty" in report.problems[0].says
    assert "`!vm`" in report.problems[2].says


@pytest.mark.parametrize(
    ("content", "kind", "says"),
    [
        (b"PAGEDU64" + bytes(8192), InputKind.CRASH_DUMP, "crash dump"),
        (b"MDMP" + bytes(64), None, "user-mode"),
        (b"MZ" + bytes(126), InputKind.DRIVER, "driver"),
    ],
)
def test_what_cannot_be_read_is_said(tmp_path: Path, content: bytes, kind: InputKind | None, says: str) -> None:
    path = tmp_path / "input"
    path.write_bytes(content)

    report = diagnose(path)

    assert report.machines == ()
    assert report.inputs[0].kind is kind
    assert says in report.problems[0].says
    assert not report.anything_holds


@pytest.mark.parametrize("as_option", [True, False])
def test_a_list_of_tags_describes_the_tags(tmp_path: Path, as_option: bool) -> None:
    listed = tmp_path / "pooltag.txt"
    listed.write_text(TAG_LIST, "utf-8")

    report = diagnose(UNTAGGED, pooltags=listed) if as_option else diagnose([listed, UNTAGGED])

    (machine,) = report.machines
    drivers = {tag.tag: tag.driver for tag in machine.tags}
    assert drivers["MmCm"] == "acme.sys"
    assert InputKind.POOL_TAGS in {source.kind for source in report.inputs}


def test_a_list_of_tags_alone_speaks_of_no_machine(tmp_path: Path) -> None:
    listed = tmp_path / "pooltag.txt"
    listed.write_text(TAG_LIST, "utf-8")

    report = diagnose(listed)

    assert (report.machines, report.problems) == ((), ())


def test_a_report_alone_is_shown_as_it_was_written(report_file: Path) -> None:
    again = diagnose(report_file)

    assert to_json(again) == report_file.read_text("utf-8")


def test_a_report_beside_a_log(report_file: Path) -> None:
    report = diagnose([FRAGMENTED, report_file])

    assert [source.kind for source in report.inputs] == [
        InputKind.DEBUGGER_LOG,
        InputKind.REPORT,
        InputKind.DEBUGGER_LOG,
    ]
    new, old = report.machines
    assert new.inputs == (0,)
    assert old.inputs == (1, 2)
    reasons = [reason for finding in old.findings for reason in finding.because if reason.input is not None]
    assert reasons
    assert {reason.input for reason in reasons} == {2}
    assert from_json(to_json(report)) == report


@pytest.mark.parametrize(
    "damage",
    [
        lambda document: document["machines"][0]["findings"][0].update(verdict="perhaps"),
        lambda document: document["problems"].append({"input": 99, "at": None, "says": "x"}),
        lambda document: document["machines"][0].update(inputs=[-1]),
        lambda document: document["machines"][0]["findings"][0]["because"].append(
            {"says": "x", "input": 7, "at": None}
        ),
        lambda document: document.update(schema="poolsleuth.report/99"),
        lambda document: document.update(machines={}),
        lambda document: document["tool"].update(version=1),
    ],
)
def test_a_damaged_report_is_a_problem_not_a_crash(report_file: Path, damage: object) -> None:
    document = json.loads(report_file.read_text("utf-8"))
    # Each case needs something to damage
    document["machines"][0]["findings"].sort(key=lambda finding: not finding["because"])
    assert callable(damage)
    damage(document)
    report_file.write_text(json.dumps(document), "utf-8")

    report = diagnose(report_file)

    assert report.machines == ()
    assert "report" in report.problems[0].says


def test_a_report_that_is_no_json(tmp_path: Path) -> None:
    path = tmp_path / "r.json"
    path.write_text('{"schema": "poolsleuth.report/1", "tool": NaN', "utf-8")

    assert "not a JSON report" in diagnose(path).problems[0].says


def test_a_pattern_that_breaks_does_not_end_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> Finding:
        raise ZeroDivisionError("a defect")

    patterns = (Pattern("pool-load", broken), *[p for p in all_patterns() if p.id != "pool-load"])
    monkeypatch.setattr(pipeline, "all_patterns", lambda: patterns)

    report = diagnose(UNTAGGED)

    (machine,) = report.machines
    assert machine.conclusion is not None
    broken_one = next(f for f in machine.findings if f.pattern == "pool-load")
    assert broken_one.verdict is Verdict.NOT_ASSESSED
    assert "ZeroDivisionError" in report.problems[0].says


def test_an_input_that_breaks_a_reader_does_not_end_the_run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    listed = tmp_path / "pooltag.txt"
    listed.write_text(TAG_LIST, "utf-8")

    def broken(text: str, index: int) -> None:
        raise KeyError("a defect")

    monkeypatch.setattr(reading, "parse_pool_tags", broken)

    report = diagnose([listed, UNTAGGED])

    assert len(report.machines) == 1
    assert "internal error" in report.problems[0].says


def test_progress_is_told_while_reading() -> None:
    seen: list[tuple[str, int, int | None]] = []

    diagnose(SEVERAL, progress=lambda name, done, total: seen.append((name, done, total)))

    assert seen
    assert all(name == str(SEVERAL) and done <= (total or 0) for name, done, total in seen)


def test_read_gives_machines_and_problems() -> None:
    machines, problems = read([SEVERAL, "missing.log"])

    assert len(machines) == 6
    assert [problem.where.input for problem in problems if problem.where] == [1]


def test_a_vm_of_zeros_breaks_nothing(tmp_path: Path) -> None:
    log = tmp_path / "kd.log"
    rows = ("Physical Memory", "NonPagedPool Usage", "NonPagedPool Max", "PagedPool Usage", "PagedPool Maximum")
    figures = "\n".join(f"      {row}:   0 (  0 Kb)" for row in (*rows, "Committed pages", "Commit limit"))
    table = (
        "   Sorting by  NonPaged Pool Consumed\n  Pool Used:\n            NonPaged            Paged\n"
        " Tag    Allocs     Used    Allocs     Used\n"
        " None     9 17452976         0        0  call\n"
        " TOTAL    9 17452976         0        0\n"
    )
    log.write_text(
        f"0: kd> !vm\n\n*** Virtual Memory Usage ***\n{figures}\n0: kd> !poolused 2\n{table}",
        "utf-8",
    )

    report = diagnose(log)

    assert [problem for problem in report.problems if "internal" in problem.says] == []


def test_an_error_of_ours_is_one_of_ours() -> None:
    with pytest.raises(InputError, match="no_such_schema"):
        from_json('{"schema": "no_such_schema"}')
