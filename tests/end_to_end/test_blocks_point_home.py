"""From a dump alone: who owns the blocks that leak, who keeps them, and that nobody is accused without a reason."""

import re
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest

from poolsleuth import diagnose
from poolsleuth.lab.catalogue import windows_named
from poolsleuth.lab.containers.kinds import DumpKind
from poolsleuth.lab.machine import Machine
from poolsleuth.lab.simulate import simulate
from poolsleuth.lab.stories import STORIES, make_machine, small_size
from poolsleuth.model.finding import Confidence, Roles, Verdict
from poolsleuth.model.report import ReportFinding, ReportMachine

NAMES = ("3790-x86", "7601-x64", "22000-x64")
GUILTY = {
    "leak": {"leaky.sys"},
    "paged-leak": {"pagehog.sys"},
    "untagged": {"oldcard.sys"},
    "unloaded": {"acmetmp.sys"},
    "retainer": {"reqsrv.sys"},
    "fragmentation": {"churner.sys"},
}


@cache
def truth(name: str, story: str) -> Machine:
    return make_machine(windows_named(name), story, size=small_size())


def judged(name: str, story: str, path: Path) -> ReportMachine:
    simulate(truth(name, story)).write(path / "x.dmp", DumpKind.BITMAP_KERNEL)
    (machine,) = diagnose([path / "x.dmp"]).machines
    return machine


def of(machine: ReportMachine, pattern: str, tag: str) -> ReportFinding:
    (found,) = [f for f in machine.findings if f.pattern == pattern and f.subject.tag == tag]
    return found


def because(finding: ReportFinding) -> str:
    return "\n".join(reason.says for reason in finding.because)


@pytest.mark.parametrize("name", NAMES)
def test_the_leak_points_at_its_driver(name: str, tmp_path: Path) -> None:
    found = of(judged(name, "leak", tmp_path), "pool-leak", "Leak")
    assert found.subject.driver == "leaky.sys"
    assert re.search(
        r"99\d of 1,000 sampled blocks of Leak point at leaky\.sys\+0x1a40 \(code\) at offset 0x18", because(found)
    )
    assert "linked with each other" in because(found)


@pytest.mark.parametrize("name", NAMES)
def test_owner_and_retainer_are_told_apart(name: str, tmp_path: Path) -> None:
    found = of(judged(name, "retainer", tmp_path), "pool-leak", "Rqst")
    assert found.verdict is Verdict.SUSPECTED
    assert found.subject.driver == "reqsrv.sys"
    assert "retainer: keeper.sys" in found.headline
    assert "blocks of tag Kpr2 hold the addresses of 1,000 of 1,000 sampled blocks of Rqst" in because(found)


@pytest.mark.parametrize("name", NAMES)
def test_the_owner_is_known_by_its_blocks_where_no_code_says_so(name: str, tmp_path: Path) -> None:
    """The same machine, with drivers in whose code no tag can be seen."""
    machine = truth(name, "retainer")
    blind = replace(machine, modules=tuple(replace(module, tags=()) for module in machine.modules))
    simulate(blind).write(tmp_path / "x.dmp", DumpKind.BITMAP_KERNEL)
    (report,) = diagnose([tmp_path / "x.dmp"]).machines
    found = of(report, "pool-leak", "Rqst")
    assert found.subject.driver == "reqsrv.sys"
    assert "owner: reqsrv.sys (the blocks point at its code), retainer: keeper.sys" in found.headline
    assert found.roles == Roles("reqsrv.sys", ("keeper.sys",))


@pytest.mark.parametrize("name", NAMES)
def test_what_an_unloaded_driver_left_is_found_without_its_name_in_the_tag(name: str, tmp_path: Path) -> None:
    machine = judged(name, "unloaded", tmp_path)
    found = of(machine, "unloaded-driver-leak", "Tq7x")
    assert (found.verdict, found.confidence) == (Verdict.FOUND, Confidence.HIGH)
    assert found.subject.driver == "acmetmp.sys"
    assert "sampled blocks of Tq7x point at acmetmp.sys+0x1a40, which was unloaded" in because(found)
    assert machine.conclusion is not None
    assert machine.conclusion.pattern == "unloaded-driver-leak"


@pytest.mark.parametrize("name", ["3790-x86-pae", "9600-x64", "20348-x64"])
def test_leaked_objects_are_kept_by_handles(name: str, tmp_path: Path) -> None:
    simulate(make_machine(windows_named(name), "handle-leak")).write(tmp_path / "x.dmp", DumpKind.BITMAP_KERNEL)
    (machine,) = diagnose([tmp_path / "x.dmp"]).machines
    found = of(machine, "handle-leak", "Even")
    assert "are objects of type Event" in because(found)
    assert found.headline.endswith("handles that are never closed")
    assert found.subject.driver is None


@pytest.mark.parametrize("story", sorted(set(STORIES) - {"huge"}))
@pytest.mark.parametrize("name", ["2600-x86", "19041-x64"])
def test_nobody_else_is_named_in_any_story(name: str, story: str, tmp_path: Path) -> None:
    """Neither as a subject nor as owner or retainer in a headline."""
    guilty = GUILTY.get(story, set())
    for finding in judged(name, story, tmp_path).findings:
        if finding.verdict in (Verdict.FOUND, Verdict.SUSPECTED):
            assert finding.subject.driver in guilty | {None}, finding.headline
            if "owner:" in finding.headline or "retainer:" in finding.headline:
                assert guilty, finding.headline


def test_a_healthy_machine_hears_nothing_of_owners(tmp_path: Path) -> None:
    for finding in judged("7601-x64", "healthy", tmp_path).findings:
        assert "owner:" not in finding.headline
        assert "sampled blocks" not in because(finding)
