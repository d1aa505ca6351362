"""Machines made to mislead: an innocent driver that looks guilty is never named with certainty, by a dump alone."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from poolsleuth import diagnose
from poolsleuth.lab.catalogue import windows_named
from poolsleuth.lab.containers.kinds import DumpKind
from poolsleuth.lab.contents import BlockContents, Place
from poolsleuth.lab.draft import Draft, finish, make_draft, small_size
from poolsleuth.lab.machine import PAGE, Machine
from poolsleuth.lab.simulate import SimulatedMachine, simulate
from poolsleuth.model.finding import Confidence, Verdict
from poolsleuth.model.report import ReportFinding, ReportMachine

MB = 1 << 20
NAME = "19041-x64"
ALLOCATE = ("ExAllocatePoolWithTag",)
Changes = Mapping[str, Mapping[str, Any]]


def machine_of(
    tag: str,
    contents: BlockContents | None = None,
    *,
    imports: tuple[str, ...] = ALLOCATE,
    size: int = 8 * MB,
    modules: Changes | None = None,
) -> Machine:
    """A machine in which leaky.sys leaks blocks of 1,024 bytes, all of them in memory; its code does not show the tag.

    ``modules`` are changes of loaded drivers by name.
    """

    def change(draft: Draft) -> None:
        draft.drivers["leaky.sys"] = imports
        draft.leak(tag, "nonpaged", size=size, each=1024)
        draft.contents += [contents] if contents is not None else []

    draft = make_draft(windows_named(NAME), "leak", change, seed=0, size=small_size())
    draft.count_blocks()
    made = finish(draft)
    changes = {"leaky.sys": {"tags": ("Lkc1",)}, **(modules or {})}
    return replace(made, modules=tuple(replace(m, **changes.get(m.name, {})) for m in made.modules))


def judged(machine: Machine | SimulatedMachine, path: Path) -> ReportMachine:
    simulated = simulate(machine) if isinstance(machine, Machine) else machine
    simulated.write(path / "MEMORY.DMP", DumpKind.BITMAP_KERNEL)
    (found,) = diagnose([path / "MEMORY.DMP"]).machines
    return found


def base(simulated: SimulatedMachine, name: str) -> int:
    (found,) = [module.base for module in simulated.truth.modules if module.name == name]
    assert found is not None
    return found


def holding(machine: ReportMachine, tag: str) -> dict[str, ReportFinding]:
    return {f.pattern: f for f in machine.findings if f.subject.tag == tag and f.holds}


def said(reasons: object) -> str:
    return "\n".join(reason.says for reason in reasons)  # type: ignore[attr-defined]


def owners(finding: ReportFinding) -> set[str | None]:
    """Whom a finding names, for a reader or for a program."""
    return {finding.subject.driver, finding.roles.owner if finding.roles is not None else None}


def test_who_lies_where_an_unloaded_driver_lay_has_not_made_its_blocks(tmp_path: Path) -> None:
    """acmetmp.sys is gone, and vendorav.sys was loaded at its addresses: the old blocks seem to point at its code."""
    code = BlockContents(tag="Tq7x", code=Place(0x18, "acmetmp.sys", 0x1A40))
    simulated = simulate(machine_of("Tq7x", code))
    (*_, gone) = [unloaded for unloaded in simulated.truth.unloaded if unloaded.name == "acmetmp.sys"]
    there = base(simulated, "vendorav.sys")
    assert gone.start is not None
    moved = {gone.start + at: there + at for at in (0, 0x1A40, gone.size)}
    for page in simulated.physical._pages.values():
        words = np.frombuffer(page, "<u8").copy()
        for old, new in moved.items():
            words[words == old] = new
        page[:] = words.tobytes()

    finding = holding(judged(simulated, tmp_path), "Tq7x")["pool-leak"]
    assert owners(finding) == {None}
    assert "owner:" not in finding.headline
    told = "point at vendorav.sys+0x1a40 (code), where acmetmp.sys lay before it was unloaded, at offset 0x18"
    assert told in said(finding.because)
    assert "the blocks point at several drivers (vendorav.sys, acmetmp.sys)" in said(finding.against)


def test_the_one_importer_is_not_named_when_the_blocks_point_at_another_driver(tmp_path: Path) -> None:
    """leaky.sys asks for the address of ExAllocatePool at run time; acmeflt.sys imports it, and leaks nothing."""
    code = BlockContents(tag="None", code=Place(0x20, "leaky.sys", 0x18C8))
    changes: Changes = {
        "acmeflt.sys": {"imports": ("ExAllocatePool", "ExFreePool", *ALLOCATE)},
        "crashdmp.sys": {"present": True},
        "luafv.sys": {"present": True},
    }
    machine = machine_of("None", code, imports=("MmGetSystemRoutineAddress",), modules=changes)
    found = holding(judged(machine, tmp_path), "None")

    untagged = found["untagged-allocations"]
    assert (untagged.verdict, untagged.confidence) == (Verdict.FOUND, Confidence.MEDIUM)
    assert untagged.subject.driver is None
    assert "one importer seen is acmeflt.sys, but the blocks point at the code of leaky.sys" in untagged.headline
    assert "one of the two did it" in said(untagged.against)
    assert found["pool-leak"].subject.driver is None


@pytest.mark.parametrize(
    ("contents", "modules", "reason"),
    [
        (Place(0x30, "leaky.sys", 0x2050), {}, "the blocks point at several drivers"),
        (None, {"leaky.sys": {"tags": ("Lkc1",), "letters": ("StRq",)}}, "leaky.sys has the letters of StRq"),
        (Place(0x30, "fltmgr.sys", 0x1850), {}, "the blocks point at code of fltmgr.sys, too"),
    ],
    ids=["data of the owner", "letters of the owner", "code of Windows"],
)
@pytest.mark.parametrize("guest", ["vendorav.sys", "acmetmp.sys"])
def test_who_is_called_back_is_not_the_owner(
    guest: str, contents: Place | None, modules: Changes, reason: str, tmp_path: Path
) -> None:
    """Each block holds the routine of a guest, loaded or gone; something else shows who made them."""
    blocks = BlockContents(tag="StRq", code=Place(0x20, guest, 0x1880), data=contents)
    found = holding(judged(machine_of("StRq", blocks, modules=modules), tmp_path), "StRq")

    assert owners(found["pool-leak"]) == {None}
    assert reason in said(found["pool-leak"].against)
    gone = found.get("unloaded-driver-leak")
    assert gone is None or (gone.verdict, gone.confidence) == (Verdict.SUSPECTED, Confidence.MEDIUM)


def test_a_driver_that_is_gone_is_no_more_than_suspected_while_code_of_others_is_missing(tmp_path: Path) -> None:
    blocks = BlockContents(tag="StRq", code=Place(0x20, "acmetmp.sys", 0x1880))
    simulated = simulate(machine_of("StRq", blocks, modules={"leaky.sys": {"tags": ("StRq",)}}))
    page = simulated.system.translate(base(simulated, "leaky.sys") + PAGE)
    assert page is not None
    found = holding(judged(replace(simulated, left_out=simulated.left_out | {page // PAGE}), tmp_path), "StRq")

    gone = found["unloaded-driver-leak"]
    assert (gone.verdict, gone.confidence) == (Verdict.SUSPECTED, Confidence.MEDIUM)
    assert "not all code of the loaded drivers is in this dump" in said(gone.against)
    assert owners(found["pool-leak"]) == {None}


@pytest.mark.parametrize("tag", ["Irp", "FMqz"])
def test_a_tag_of_windows_or_its_family_is_not_given_to_who_waits_for_it(tag: str, tmp_path: Path) -> None:
    blocks = BlockContents(tag=tag, code=Place(0x20, "vendorav.sys", 0x1880))
    finding = holding(judged(machine_of(tag, blocks), tmp_path), tag)["pool-leak"]
    assert owners(finding) == {None}
    assert "vendorav.sys" not in finding.headline
    assert "of Windows itself" in said(finding.against)


def test_what_only_the_blocks_say_is_called_probable(tmp_path: Path) -> None:
    blocks = BlockContents(tag="StRq", code=Place(0x20, "vendorav.sys", 0x1880))
    finding = holding(judged(machine_of("StRq", blocks), tmp_path), "StRq")["pool-leak"]
    assert "probable owner: vendorav.sys (the blocks point at its code)" in finding.headline
    assert "only what is in the blocks names vendorav.sys" in said(finding.against)


def test_with_a_third_of_code_and_pool_missing_nobody_innocent_is_named(tmp_path: Path) -> None:
    blocks = BlockContents(tag="Leak", code=Place(0x20, "leaky.sys", 0x1880))
    scanner = {"acmeflt.sys": {"letters": ("Leak",)}, "leaky.sys": {"tags": ("Leak",)}}
    simulated = simulate(machine_of("Leak", blocks, modules=scanner))
    places = [
        simulated.system.translate(at)
        for module in simulated.truth.modules[1:]
        for at in range(module.base or 0, (module.base or 0) + module.size, PAGE)
    ]
    pools = [heap.blocks["address"] for heap in simulated.truth.heaps]
    pools += [part.addresses for part in simulated.truth.pool_pages if part.pool != "session"]
    places += [simulated.system.translate(int(at)) for at in np.unique(np.concatenate(pools) // PAGE * PAGE)]
    numbers = sorted({place // PAGE for place in places if place is not None})
    lost = np.random.default_rng(3).choice(numbers, len(numbers) // 3, replace=False).tolist()
    machine = judged(replace(simulated, left_out=simulated.left_out | set(lost)), tmp_path)

    for finding in machine.findings:
        if finding.holds:
            assert owners(finding) <= {None, "leaky.sys"}, finding.headline
