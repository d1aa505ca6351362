from collections.abc import Callable

import pytest

from poolsleuth.model.facts import Where
from poolsleuth.model.finding import Confidence, Finding, Verdict
from poolsleuth.model.system import ProcessInfo, ProcessList
from poolsleuth.model.tags import TagRow, TagTable
from poolsleuth.patterns.thresholds import (
    EVENTS_SUSPECT,
    HANDLES_CRITICAL,
    HANDLES_SUSPECT,
    OBJECTS_SUSPECT,
    TWINS_DIFFERENCE,
)

Judge = Callable[..., Finding]
Findings = Callable[..., tuple[Finding, ...]]
Table = Callable[..., TagTable]
Row = Callable[..., TagRow]

ID = "handle-leak"
MB = 1 << 20


def processes(*rows: tuple[str, int | None], pid: int | None = 0x1A4, complete: bool = True) -> ProcessList:
    listed = tuple(ProcessInfo(name, pid, None, handles, None, Where(0, 5)) for name, handles in rows)
    return ProcessList(where=Where(0, 4), processes=listed, complete=complete)


@pytest.mark.parametrize(
    ("handles", "verdict", "confidence"),
    [
        (int(HANDLES_SUSPECT.value), Verdict.SUSPECTED, Confidence.LOW),
        (int(HANDLES_CRITICAL.value) - 1, Verdict.SUSPECTED, Confidence.LOW),
        (int(HANDLES_CRITICAL.value), Verdict.FOUND, Confidence.MEDIUM),
    ],
)
def test_edges_of_a_processs_handles(finding: Judge, handles: int, verdict: Verdict, confidence: Confidence) -> None:
    judged = finding(ID, processes(("System", 900), ("svc.exe", handles)))

    assert (judged.verdict, judged.confidence) == (verdict, confidence)
    assert judged.subject.process == "svc.exe"
    assert f"HandleCount {handles:,}" in judged.because[0].says
    assert any("`!handle 0 0 1a4`" in step for step in judged.next_steps)


def test_just_below_is_ruled_out_for_a_list_that_begins_at_the_beginning(finding: Judge) -> None:
    judged = finding(ID, processes(("System", 900), ("svc.exe", int(HANDLES_SUSPECT.value) - 1)))

    assert judged.verdict is Verdict.RULED_OUT
    assert "svc.exe" in judged.headline


def test_one_process_alone_rules_nothing_out(finding: Judge) -> None:
    # "PROCESS 88b0dd88 ... HandleCount: 414." of a comment says nothing about the others
    assert finding(ID, processes(("ApplicationA.exe", 414))).verdict is Verdict.NOT_ASSESSED


def test_a_process_without_a_pid(finding: Judge) -> None:
    judged = finding(ID, processes(("svc.exe", 250_000), pid=None))

    assert any("`!handle 0 0 <pid>`" in step for step in judged.next_steps)


@pytest.mark.parametrize(
    ("handles", "complete", "verdict"),
    [(50, True, Verdict.RULED_OUT), (None, True, Verdict.NOT_ASSESSED), (50, False, Verdict.NOT_ASSESSED)],
)
def test_processes_that_could_not_be_counted_may_hold_many(
    finding: Judge, handles: int | None, complete: bool, verdict: Verdict
) -> None:
    """Handle tables are paged pool: a dump often lacks some of them."""
    judged = finding(ID, processes(("System", 900), ("svc.exe", handles), complete=complete))

    assert judged.verdict is verdict
    if verdict is Verdict.NOT_ASSESSED:
        assert "only the handles of" in judged.headline


def test_unknown_handle_counts_are_not_small(finding: Judge) -> None:
    assert finding(ID, processes(("System", None), ("svc.exe", None))).verdict is Verdict.NOT_ASSESSED


@pytest.mark.parametrize(
    ("tag", "count", "verdict"),
    [
        ("Thre", int(OBJECTS_SUSPECT.value), Verdict.SUSPECTED),
        ("Thre", int(OBJECTS_SUSPECT.value) - 1, Verdict.RULED_OUT),
        ("Even", int(EVENTS_SUSPECT.value), Verdict.SUSPECTED),
        ("Even", int(EVENTS_SUSPECT.value) - 1, Verdict.RULED_OUT),
        ("File", int(OBJECTS_SUSPECT.value), Verdict.RULED_OUT),
    ],
)
def test_edges_of_objects(finding: Judge, row: Row, table: Table, tag: str, count: int, verdict: Verdict) -> None:
    judged = finding(ID, table(row(tag, bytes=68 * MB, outstanding=count), complete=True))

    assert judged.verdict is verdict


def test_threads_of_the_articles_reader(finding: Judge, row: Row, table: Table) -> None:
    # "Diff 137029, Bytes 85506096" of tag Thre: the kernel makes them, somebody else keeps them
    judged = finding(ID, table(row("Thre", bytes=85_506_096, outstanding=137_029)))

    assert judged.verdict is Verdict.SUSPECTED
    assert (judged.subject.tag, judged.subject.driver, judged.subject.process) == ("Thre", None, None)
    assert any("only makes the objects" in reason.says for reason in judged.against)
    assert any("`!process 0 0`" in step for step in judged.next_steps)


def test_the_process_that_holds_the_objects_is_named(findings: Findings, row: Row, table: Table) -> None:
    tags = table(row("Thre", bytes=85 * MB, outstanding=137_029))

    judged = findings(ID, tags, processes(("System", 900), ("svc.exe", 130_000)))

    by_objects = next(f for f in judged if f.subject.tag == "Thre")
    assert (by_objects.subject.process, by_objects.confidence) == ("svc.exe", Confidence.MEDIUM)


@pytest.mark.parametrize(
    ("difference", "twin"), [(TWINS_DIFFERENCE.value, True), (TWINS_DIFFERENCE.value * 1.1, False)]
)
def test_twins_of_the_objects(finding: Judge, row: Row, table: Table, difference: float, twin: bool) -> None:
    count = 200_000
    tags = table(
        row("Toke", pool="paged", bytes=85 * MB, outstanding=count * 3),
        row("SeAt", pool="paged", bytes=20 * MB, outstanding=int(count * 3 * (1 - difference))),
    )

    judged = finding(ID, tags)

    assert any("tag SeAt has as many blocks" in reason.says for reason in judged.because) == twin
    assert judged.confidence is (Confidence.MEDIUM if twin else Confidence.LOW)


def test_many_blocks_that_are_no_objects(finding: Judge, row: Row, table: Table) -> None:
    assert finding(ID, table(row("Ddk", outstanding=5_000_000), complete=True)).verdict is Verdict.NOT_ASSESSED


def test_a_cut_table_proves_no_absence(finding: Judge, row: Row, table: Table) -> None:
    # `!poolused /t5 2` shows the largest of nonpaged pool only: tokens and keys are in paged pool
    judged = finding(ID, table(row("File", bytes=4 * MB, outstanding=24_911)))

    assert judged.verdict is Verdict.NOT_ASSESSED
    assert "`!process 0 0`" in judged.next_steps[0]


def test_without_any_evidence_both_commands_are_named(finding: Judge) -> None:
    judged = finding(ID)

    assert judged.verdict is Verdict.NOT_ASSESSED
    assert judged.next_steps == ("run `!process 0 0`", "run `!poolused`")
