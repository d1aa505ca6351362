"""The plan: which steps, in which words, for which Windows; and its text."""

import json
from dataclasses import replace

import pytest

from poolsleuth.collect.plan import Plan, Step, make_plan
from poolsleuth.collect.request import DAY, HOUR, Request, check
from poolsleuth.collect.text import plan_lines
from poolsleuth.evidence.dates import find_date
from poolsleuth.windows.builds import WindowsVersion, parse_os_name

A_DAY = Request(windows=None, duration=DAY, interval=300, max_mb=300, folder="C:\\PoolLogs")


def windows(name: str) -> WindowsVersion:
    match = parse_os_name(name)
    assert match is not None
    return match.version


def step(plan: Plan, name: str) -> Step:
    return next(step for step in plan.steps if step.id == name)


def test_steps_and_files_of_a_usual_plan() -> None:
    plan = make_plan(A_DAY)
    assert [step.id for step in plan.steps] == ["prepare", "counters", "poolmon", "stop"]
    assert plan.send == (r"C:\PoolLogs\%COMPUTERNAME%_pool*.blg", r"C:\PoolLogs\%COMPUTERNAME%_poolmon.log")


def test_a_tag_adds_a_trace_that_is_stopped_first() -> None:
    plan = make_plan(replace(A_DAY, tags=("MmSt",)))
    assert [step.id for step in plan.steps] == ["prepare", "counters", "poolmon", "trace", "stop"]
    assert plan.send[-1].endswith("_pool.etl")
    assert step(plan, "stop").commands[0].startswith("xperf -stop -d ")
    assert not any("A ? stands" in note for note in step(plan, "trace").notes)
    assert any("A ? stands" in note for note in step(make_plan(replace(A_DAY, tags=("Io",))), "trace").notes)


@pytest.mark.parametrize(("name", "wanted"), [("7", True), ("2008r2", True), ("2012", False), ("2019", False)])
def test_only_windows_7_needs_the_kernel_in_memory_for_stacks(name: str, wanted: bool) -> None:
    plan = make_plan(replace(A_DAY, tags=("MmSt",), windows=windows(name)))
    assert any("DisablePagingExecutive" in note for note in step(plan, "trace").notes) is wanted


@pytest.mark.parametrize(("name", "wanted"), [("xp", True), ("xp x64", False), ("2003", False), ("7", False)])
def test_only_windows_xp_must_be_told_to_count_tags(name: str, wanted: bool) -> None:
    plan = make_plan(replace(A_DAY, windows=windows(name)))
    assert any("gflags -r +ptg" in note for note in step(plan, "poolmon").notes) is wanted


@pytest.mark.parametrize("name", ["xp", "2003", "2008", "7"])
def test_poolmon_runs_in_a_loop_on_every_windows(name: str) -> None:
    request = replace(A_DAY, windows=windows(name))
    (command,) = step(make_plan(request), "poolmon").commands
    assert command.startswith("for /l %i in (1,1,288) do @(")
    assert command.endswith("& ping -n 301 127.0.0.1 > nul)")
    assert ("powershell" in command) is (name == "7")
    assert command.count("(") == command.count(")")
    assert command.count('"') % 2 == 0


def test_the_time_that_wmic_writes_is_read() -> None:
    (command,) = step(make_plan(replace(A_DAY, windows=windows("2003"))), "poolmon").commands
    assert 'wmic os get LocalDateTime /value | find "=" >> ' in command
    found = find_date("LocalDateTime=20080327101500.000000+060\r".strip())
    assert found is not None
    assert (found.year, found.first, found.second, found.seconds) == (2008, 3, 27, 10 * HOUR + 15 * 60)
    # The last number are minutes east of UTC, in WMI's own form of a date
    assert found.offset == HOUR


def test_windows_2000_is_told_what_to_do_by_hand() -> None:
    plan = make_plan(check(replace(A_DAY, windows=windows("2000"))))
    assert not any(step.commands for step in plan.steps if step.id != "prepare")
    assert any("Counter Logs" in note for note in step(plan, "counters").notes)
    assert plan.send == ("the counter log",)


def test_only_what_poolsleuth_reads_is_given_to_it() -> None:
    both = make_plan(replace(A_DAY, tags=("MmSt",)))
    assert both.analyse[0] == "poolsleuth trend *.blg *.log"
    assert make_plan(replace(A_DAY, counters=False)).analyse[0] == "poolsleuth trend *.log"
    only_trace = make_plan(replace(A_DAY, counters=False, poolmon=False, tags=("MmSt",)))
    assert only_trace.analyse == ()
    assert not any("poolsleuth trend" in line for line in plan_lines(only_trace))


def test_a_log_that_may_wrap_is_told() -> None:
    told = "oldest samples"
    assert not any(told in note for note in step(make_plan(A_DAY), "counters").notes)
    long = make_plan(replace(A_DAY, duration=30 * DAY))
    assert any(told in note for note in step(long, "counters").notes)


def test_text_has_each_command_on_a_line_of_its_own() -> None:
    plan = make_plan(replace(A_DAY, tags=("MmSt", "a&b|"), duration=4 * HOUR, interval=60))
    text = list(plan_lines(plan))
    for part in plan.steps:
        for command in part.commands:
            assert text.count(f"    {command}") == 1
    assert not any("\n" in line for line in text)


def test_json_has_every_field() -> None:
    document = json.loads(json.dumps(make_plan(A_DAY).as_json()))
    assert list(document) == [
        "windows", "remote", "folder", "duration_seconds", "interval_seconds", "max_megabytes", "steps", "send",
        "analyse",
    ]  # fmt: skip
    assert list(document["steps"][0]) == ["id", "title", "commands", "notes"]
