import io
import re
from collections.abc import Callable
from dataclasses import replace

import pytest
from rich.cells import cell_len
from rich.console import Console

from poolsleuth.model.finding import Verdict
from poolsleuth.model.report import Report, ReportProblem, SessionPoolUse
from poolsleuth.report.terminal import TAG_ROWS, render

COMMAND = "!for_each_module s-d @#Base @#End nt!ExAllocatePool"


def printed(
    report: Report, *, verbosity: int = 0, width: int = 80, encoding: str = "utf-8", colour: bool = False
) -> str:
    raw = io.BytesIO()
    with io.TextIOWrapper(raw, encoding=encoding, newline="\n") as file:
        render(report, Console(file=file, width=width, force_terminal=colour or None), verbosity=verbosity)
        file.flush()
        return raw.getvalue().decode(encoding)


@pytest.mark.parametrize("width", [80, 160])
@pytest.mark.parametrize("verbosity", [0, 1, 2])
def test_the_whole_report(full_report: Report, golden: Callable[[str, str], None], width: int, verbosity: int) -> None:
    golden(f"full-{width}-v{verbosity}.txt", printed(full_report, width=width, verbosity=verbosity))


def test_a_healthy_machine(healthy_report: Report, golden: Callable[[str, str], None]) -> None:
    golden("healthy.txt", printed(healthy_report))


def test_several_machines(several_report: Report, golden: Callable[[str, str], None]) -> None:
    golden("several.txt", printed(several_report))


def test_a_hostile_report_on_an_ascii_console(hostile_report: Report, golden: Callable[[str, str], None]) -> None:
    golden("hostile-ascii.txt", printed(hostile_report, verbosity=2, encoding="ascii"))


def test_the_verdict_stands_before_the_pools_and_these_before_the_findings(full_report: Report) -> None:
    text = printed(full_report)
    order = ["FILESRV-02", "because guid.sys allocates", "98.1 %", "1. ", "2. The nonpaged pool is full", "Ruled out: "]
    assert sorted(order, key=text.index) == order


@pytest.mark.parametrize("verbosity", [0, 1, 2])
@pytest.mark.parametrize("encoding", ["utf-8", "ascii", "cp1252", "cp437"])
def test_nothing_of_a_hostile_report_steers_the_terminal(hostile_report: Report, encoding: str, verbosity: int) -> None:
    text = printed(hostile_report, encoding=encoding, verbosity=verbosity)
    assert not [c for c in text if c != "\n" and not c.isprintable()]
    assert "[red]markup[/red]" in text  # shown, not obeyed
    assert "\\x1b[31m" in text
    assert not re.search(r"^(forged|# heading)", text, re.MULTILINE)  # no file writes lines of its own


@pytest.mark.parametrize("encoding", ["ascii", "cp1252"])
def test_bars_are_plain_where_the_console_is(full_report: Report, encoding: str) -> None:
    text = printed(full_report, encoding=encoding)
    assert text.isascii()
    assert re.search(r"nonpaged pool  #+-+ +98\.1 %", text)


def test_a_pipe_gets_no_colour_and_a_terminal_does(full_report: Report) -> None:
    assert "\x1b" not in printed(full_report, verbosity=2)
    assert "\x1b[" in printed(full_report, colour=True)


@pytest.mark.parametrize("verbosity", [0, 1, 2])
def test_lines_fit_and_end_without_blanks(full_report: Report, verbosity: int) -> None:
    for width in (80, 160):
        for line in printed(full_report, width=width, verbosity=verbosity).splitlines():
            assert cell_len(line) <= width
            assert line == line.rstrip()


@pytest.mark.parametrize("width", [20, 40, 80, 160])
def test_a_command_is_never_broken(full_report: Report, width: int) -> None:
    text = printed(full_report, width=width)
    assert f"`{COMMAND}`" in text
    assert "poolsleuth whois None C:\\drivers\\guid.sys\n" in text
    assert "poolmon -n C:\\perf\\pool_%date%.log -b\n" in text


def test_verbosity_adds_and_never_takes_away(full_report: Report) -> None:
    brief, evidence, everything = (printed(full_report, verbosity=v, width=160) for v in (0, 1, 2))
    assert "Because:" not in brief
    assert "Ruled out: paged-pool-depletion, lock-contention (run with -v for the reasons)" in brief
    assert "Not assessed: pool-fragmentation (run with -vv for the reasons)" in brief
    assert "NonPagedPool Usage is 125,476 Kb of 127,944 Kb. (kd.log, line 74)" in evidence
    assert "Two modules were unloaded before the capture and could not be searched. (kd.log, line 240)" in evidence
    assert "lock-contention: No resource has waiters." in evidence
    assert "Not assessed: pool-fragmentation" in evidence
    assert "pool-fragmentation: No output shows the blocks" in everything
    assert "!pool @@(nt!MmNonPagedPoolStart) 2" in everything
    assert "How the machine was identified:" in everything
    for text in (brief, evidence, everything):
        assert "kd.log, line 512: The !poolused table ends in the middle of a row." in text


def test_the_tag_table_is_cut_and_says_so(many_tags_report: Report) -> None:
    text = printed(many_tags_report, verbosity=2, width=120)
    table = text.partition("Largest tags:\n")[2].partition("and 199,960 more rows: `poolsleuth tags`")
    assert table[1]
    assert len(table[0].splitlines()) == TAG_ROWS + 2  # the head, and the indentation of the last line


def test_columns_that_nothing_fills_are_left_out(full_report: Report) -> None:
    machine = full_report.machines[0]
    bare = tuple(replace(tag, allocs=None, frees=None, session=None) for tag in machine.tags)
    text = printed(replace(full_report, machines=(replace(machine, tags=bare),)), verbosity=2, width=120)
    assert re.search(r"Tag +Pool +Diff +Bytes +Driver, description", text)


def test_hundreds_of_sessions_do_not_hide_the_findings(full_report: Report) -> None:
    machine = full_report.machines[0]
    sessions = tuple(SessionPoolUse(id=i, used_bytes=i << 20, limit_bytes=1 << 30) for i in range(300))
    report = replace(full_report, machines=(replace(machine, pools=replace(machine.pools, sessions=sessions)),))
    assert "and 292 sessions less full" in printed(report)
    assert "session 299 " in printed(report)
    assert "session 7 " in printed(report, verbosity=2)


def test_no_machine_and_many_problems() -> None:
    problems = tuple(ReportProblem(f"broken {i}") for i in range(80))
    report = Report(tool_version="0", inputs=(), machines=(), problems=problems)
    text = printed(report)
    assert text.startswith("Nothing can be said")
    assert "80 problems with the input:" in text
    assert "and 30 more" in text
    assert "broken 79" in printed(report, verbosity=2)


def test_a_pattern_that_holds_of_one_pool_is_ruled_out_of_the_other_by_name(full_report: Report) -> None:
    machine = full_report.machines[0]
    holding = next(finding for finding in machine.findings if finding.holds)
    other = replace(holding, verdict=Verdict.RULED_OUT, subject=replace(holding.subject, pool="paged"))
    report = replace(full_report, machines=(replace(machine, findings=(holding, other)),))
    assert f"Ruled out: {holding.pattern} of the paged pool (run with -v" in printed(report, width=160)
