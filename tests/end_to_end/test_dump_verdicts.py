"""What happened to the simulated machine is what the report says, from its dump alone."""

import gzip
import os
import zipfile
from dataclasses import replace
from datetime import timedelta
from functools import cache
from pathlib import Path
from random import Random

import pytest
import zstandard

from poolsleuth import diagnose
from poolsleuth.lab.allocator.corruption import Damage, corrupt
from poolsleuth.lab.catalogue import windows_named
from poolsleuth.lab.containers.kinds import DumpKind
from poolsleuth.lab.machine import BugCheck, Machine, TagUse
from poolsleuth.lab.simulate import simulate
from poolsleuth.lab.stories import make_machine
from poolsleuth.model.finding import Confidence, Severity, Verdict
from poolsleuth.model.report import Report, ReportMachine

NAMES = ("3790-x86", "7601-x64", "19041-x64")
CONCLUSIONS = {
    "leak": {"nonpaged-pool-depletion", "pool-leak"},
    "paged-leak": {"paged-pool-depletion", "pool-leak"},
    "untagged": {"untagged-allocations"},
    "session-full": {"session-pool-depletion"},
    "handle-leak": {"handle-leak"},
    "lock-contention": {"lock-contention"},
    "pool-failures": {"commit-exhaustion"},
}


@cache
def truth(name: str, story: str) -> Machine:
    return make_machine(windows_named(name), story)


def dump(machine: Machine, path: Path, kind: DumpKind = DumpKind.BITMAP_KERNEL) -> Path:
    simulate(machine).write(path, kind)
    return path


def only(report: Report) -> ReportMachine:
    (machine,) = report.machines
    return machine


@pytest.mark.parametrize("story", sorted(CONCLUSIONS))
@pytest.mark.parametrize("name", NAMES)
def test_the_story_is_the_conclusion(name: str, story: str, tmp_path: Path) -> None:
    machine = only(diagnose([dump(truth(name, story), tmp_path / "MEMORY.DMP")]))
    assert machine.conclusion is not None
    assert machine.conclusion.pattern in CONCLUSIONS[story]
    tags = {f.subject.tag for f in machine.findings if f.pattern == "pool-leak" and f.verdict is not Verdict.RULED_OUT}
    if story in ("leak", "paged-leak"):
        assert tags == {"Leak" if story == "leak" else "HogP"}
    elif story != "untagged":
        assert tags <= {None}
    blamed = {f.subject.driver for f in machine.findings if f.verdict is Verdict.FOUND}
    if story == "untagged":
        assert blamed == {
            None,
            "oldcard.sys",
        }  # the only importer of ExAllocatePool, but two modules could not be searched
        (found,) = [f for f in machine.findings if f.subject.driver is not None and f.verdict is Verdict.FOUND]
        assert (found.pattern, found.confidence) == ("untagged-allocations", Confidence.MEDIUM)
    else:
        assert blamed <= {None}  # nothing in a dump's totals proves a driver


@pytest.mark.parametrize("name", NAMES)
def test_a_healthy_machine_alarms_nobody(name: str, tmp_path: Path) -> None:
    machine = only(diagnose([dump(truth(name, "healthy"), tmp_path / "MEMORY.DMP")]))
    loud = [
        f
        for f in machine.findings
        if f.verdict in (Verdict.FOUND, Verdict.SUSPECTED) and f.severity is not Severity.INFO
    ]
    assert [(f.pattern, f.headline) for f in loud] == []


def test_two_dumps_of_one_boot_are_one_machine_that_grew(tmp_path: Path) -> None:
    """Live dumps, six hours apart: the tag that grew by half is suspected because it grew."""
    first = truth("19041-x64", "leak")

    def grown(tag: TagUse) -> TagUse:
        if tag.tag.strip() != "Leak":
            return tag
        use = tag.nonpaged
        more = use.outstanding // 2
        return replace(tag, nonpaged=replace(use, allocs=use.allocs + more, bytes=use.bytes * 3 // 2))

    second = replace(
        first, crashed_at=first.crashed_at + timedelta(hours=6), tags=tuple(grown(tag) for tag in first.tags)
    )
    paths = [dump(first, tmp_path / "monday.dmp"), dump(second, tmp_path / "later.dmp")]
    for order in (paths, paths[::-1]):
        machine = only(diagnose(order))
        (leak,) = [f for f in machine.findings if f.pattern == "pool-leak" and f.subject.tag == "Leak"]
        assert leak.verdict is Verdict.SUSPECTED
        assert "it grew from capture to capture" in leak.headline


def test_a_packed_dump_is_the_same_dump(tmp_path: Path) -> None:
    path = dump(truth("3790-x86", "leak"), tmp_path / "MEMORY.DMP")
    data = path.read_bytes()
    (tmp_path / "a.gz").write_bytes(gzip.compress(data, 1))
    (tmp_path / "a.zst").write_bytes(zstandard.compress(data, 1))
    with zipfile.ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        archive.write(path, "MEMORY.DMP")
    plain = only(diagnose([path]))
    for name in ("a.gz", "a.zst", "a.zip"):
        packed = diagnose([tmp_path / name])
        assert only(packed).findings == plain.findings
        assert packed.problems == diagnose([path]).problems


def test_a_dump_beside_another_machines_log(tmp_path: Path) -> None:
    log = tmp_path / "kd.log"
    log.write_text(
        "Windows Server 2003 Kernel Version 3790 (Service Pack 2) MP (4 procs) Free x86 compatible\n0: kd> !vm\n\n"
        "*** Virtual Memory Usage ***\n\tPhysical Memory:      523123 (   2092492 Kb)\n"
        "\tAvailable Pages:      205437 (    821748 Kb)\n\tNonPagedPool Usage:    25463 (    101852 Kb)\n"
        "\tNonPagedPool Max:      32647 (    130588 Kb)\n"
    )
    report = diagnose([dump(truth("19041-x64", "leak"), tmp_path / "MEMORY.DMP"), log])
    assert [machine.inputs for machine in report.machines] == [(0,), (1,)]


def test_truncated_anywhere_it_still_reports(tmp_path: Path) -> None:
    path = dump(truth("3790-x86", "leak"), tmp_path / "MEMORY.DMP", DumpKind.BITMAP_FULL)
    whole = path.stat().st_size
    for parts in range(11, 0, -1):
        os.truncate(path, whole * parts // 12)  # of 2 GB, nearly all holes: a copy of each part would fill disks
        report = diagnose([path])
        assert any("truncated" in problem.says for problem in report.problems)
        assert not any("internal error" in problem.says for problem in report.problems)
        assert only(report).system.build == 3790


def test_two_machines_of_one_kind_are_two(tmp_path: Path) -> None:
    """Same Windows, same memory, same kernel address (32-bit Windows does not move it): started at other times."""
    paths = [
        dump(make_machine(windows_named("3790-x86"), "leak", seed=seed), tmp_path / f"{seed}.dmp") for seed in (1, 2)
    ]
    assert [machine.inputs for machine in diagnose(paths).machines] == [(0,), (1,)]


@pytest.mark.parametrize("name", ["2600-x86", "3790-x86", "7601-x64", "14393-x64"])
def test_the_article_s_fragmentation_is_found_in_the_blocks(name: str, tmp_path: Path) -> None:
    """0xF18 bytes of MmCm, again and again, and small blocks that keep the rest of each page."""
    machine = only(diagnose([dump(truth(name, "fragmentation"), tmp_path / "MEMORY.DMP")]))
    assert machine.conclusion is not None
    assert machine.conclusion.pattern == "pool-fragmentation"
    (finding,) = [f for f in machine.findings if f.pattern == "pool-fragmentation"]
    assert (finding.verdict, finding.subject.tag, finding.subject.pool) == (Verdict.FOUND, "MmCm", "nonpaged")
    said = " ".join(reason.says for reason in finding.because)
    assert "pages with blocks are held by less than a tenth of live bytes each" in said
    assert "by blocks of ReEv" in said
    assert any("should ask for a whole page (0x1000)" in step for step in finding.next_steps)


@pytest.mark.parametrize("name", ["18362-x64", "19041-x64", "20348-x64", "22000-x64"])
def test_segment_heaps_in_pieces_are_found_and_no_request_is_blamed(name: str, tmp_path: Path) -> None:
    machine = only(diagnose([dump(truth(name, "fragmentation"), tmp_path / "MEMORY.DMP")]))
    assert machine.conclusion is not None
    assert machine.conclusion.pattern == "pool-fragmentation"
    (finding,) = [f for f in machine.findings if f.pattern == "pool-fragmentation"]
    assert (finding.verdict, finding.confidence) == (Verdict.FOUND, Confidence.MEDIUM)
    assert (finding.subject.tag, finding.subject.driver, finding.subject.pool) == (None, None, "nonpaged")


@pytest.mark.parametrize("damage", [Damage.CONTRADICTION, Damage.SIZE_ZERO, Damage.SIZE_TOO_LARGE])
@pytest.mark.parametrize("name", ["3790-x86", "7601-x64"])
def test_a_damaged_header_is_found_after_bug_check_0x19(name: str, damage: Damage, tmp_path: Path) -> None:
    healthy = truth(name, "healthy")
    simulated = simulate(replace(healthy, bug_check=BugCheck(0x19, (0x20, 0, 0, 0))))
    where = corrupt(simulated, damage, Random(7), pool="nonpaged")
    path = tmp_path / "MEMORY.DMP"
    simulated.write(path, DumpKind.BITMAP_KERNEL)
    machine = only(diagnose([path]))
    (finding,) = [f for f in machine.findings if f.pattern == "pool-corruption"]
    assert finding.verdict is Verdict.FOUND
    said = " ".join(reason.says for reason in finding.because)
    assert f"{where.address & ~0xFFF:x}" in said
