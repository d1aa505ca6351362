"""Who imports ExAllocatePool in a dump: told for tags that are worth it, and what could not be searched is told."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from poolsleuth import diagnose
from poolsleuth.evidence.dump import import_facts as facts_of_imports
from poolsleuth.evidence.dump.reader import read_dump
from poolsleuth.lab.catalogue import windows_named
from poolsleuth.lab.containers.kinds import DumpKind
from poolsleuth.lab.machine import Machine
from poolsleuth.lab.simulate import SimulatedMachine, simulate
from poolsleuth.lab.stories import make_machine, small_size
from poolsleuth.model.facts import Fact, Problem
from poolsleuth.model.finding import Confidence, Verdict
from poolsleuth.model.module_search import ModuleSearch
from poolsleuth.model.modules import MemoryHit, PointerTable, SymbolAddress
from poolsleuth.model.report import ReportFinding

NAMES = ("3790-x86", "7601-x64", "19041-x64")
GUID = "{0F1E2D3C-4B5A-6978-8796-A5B4C3D2E1F0}.sys"
ALLOCATE = "nt!ExAllocatePool"


def machine(name: str, story: str = "untagged", drivers: Mapping[str, tuple[str, ...]] | None = None) -> Machine:
    """The story's machine; ``drivers`` get other imports, or another name."""
    made = make_machine(windows_named(name), story, size=small_size())
    if drivers is None:
        return made
    modules = tuple(
        replace(module, imports=drivers[module.name]) if module.name in drivers else module for module in made.modules
    )
    return replace(made, modules=modules)


def written(simulated: SimulatedMachine, path: Path) -> Path:
    simulated.write(path, DumpKind.BITMAP_KERNEL)
    return path


def facts(path: Path) -> tuple[list[Fact], list[Problem]]:
    problems: list[Problem] = []
    with path.open("rb") as file:
        return read_dump(file, 0, problems), problems


def of_imports(found: Iterable[Fact]) -> list[Fact]:
    return [fact for fact in found if isinstance(fact, ModuleSearch | MemoryHit | PointerTable | SymbolAddress)]


def verdict(path: Path) -> ReportFinding:
    report = diagnose([path])
    assert not any("internal error" in problem.says for problem in report.problems)
    (only,) = report.machines
    assert only.conclusion is not None
    assert only.conclusion.pattern == "untagged-allocations"
    (finding,) = [each for each in only.findings if each.pattern == "untagged-allocations"]
    assert finding.verdict is Verdict.FOUND
    return finding


def because(finding: ReportFinding) -> str:
    return " | ".join(reason.says for reason in finding.because)


def against(finding: ReportFinding) -> str:
    return " | ".join(reason.says for reason in finding.against)


@pytest.mark.parametrize("name", NAMES)
def test_the_importer_and_its_place(name: str, tmp_path: Path) -> None:
    simulated = simulate(machine(name))
    (card,) = [module for module in simulated.truth.modules if module.name == "oldcard.sys"]
    found, problems = facts(written(simulated, tmp_path / "MEMORY.DMP"))
    (symbol,) = [fact for fact in found if isinstance(fact, SymbolAddress) and fact.symbol == ALLOCATE]
    (table,) = [fact for fact in found if isinstance(fact, PointerTable)]
    (row,) = table.rows
    assert table.is_import_table
    assert (row.symbol, row.value) == (ALLOCATE, symbol.address)
    width = simulated.truth.windows.pointer
    assert int.from_bytes(simulated.system.read(row.address, width), "little") == symbol.address
    assert (card.base or 0) < row.address < (card.base or 0) + card.size
    (search,) = [fact for fact in found if isinstance(fact, ModuleSearch) and fact.symbol == ALLOCATE]
    assert search.modules == len(simulated.truth.modules) - 1
    # The headers of these are not in memory: what they import cannot be known
    assert set(search.unseen) == {module.name for module in simulated.truth.modules if not module.present}
    assert search.whole_list
    assert not search.complete
    assert not any("imports" in problem.says for problem in problems)


@pytest.mark.parametrize("name", NAMES)
def test_the_verdict_names_the_only_importer_but_not_for_certain(name: str, tmp_path: Path) -> None:
    finding = verdict(written(simulate(machine(name)), tmp_path / "MEMORY.DMP"))
    assert (finding.subject.driver, finding.confidence) == ("oldcard.sys", Confidence.MEDIUM)
    assert "the import table of oldcard.sys" in because(finding)
    assert "the import tables of 57 of 59 loaded modules were searched" in because(finding)
    assert "luafv.sys, crashdmp.sys): they may import it too" in against(finding)
    assert "looked up at run time may lie there" in against(finding)


def test_when_all_tables_are_seen_it_is_certain(tmp_path: Path) -> None:
    made = machine("7601-x64")
    made = replace(made, modules=tuple(replace(module, present=True) for module in made.modules))
    finding = verdict(written(simulate(made), tmp_path / "MEMORY.DMP"))
    assert (finding.subject.driver, finding.confidence) == ("oldcard.sys", Confidence.HIGH)
    assert "the import tables of all 59 loaded modules were searched" in because(finding)


def test_of_several_importers_none_is_blamed(tmp_path: Path) -> None:
    others = {"acmeflt.sys": ("ExFreePool", "ExAllocatePool"), "vendorav.sys": ("ExAllocatePoolWithQuota",)}
    finding = verdict(written(simulate(machine("19041-x64", drivers=others)), tmp_path / "MEMORY.DMP"))
    assert (finding.subject.driver, finding.confidence) == (None, Confidence.MEDIUM)
    assert "the import table of acmeflt.sys" in because(finding)
    assert "the import table of oldcard.sys" in because(finding)
    assert "holds nt!ExAllocatePoolWithQuota" in because(finding)
    assert "3 modules import the function: each is only a candidate" in against(finding)
    assert any("on the importing drivers" in step for step in finding.next_steps)


def test_no_importer_is_said_to_be_none_that_was_seen(tmp_path: Path) -> None:
    made = machine("19041-x64", drivers={"oldcard.sys": ("ExFreePool",)})
    finding = verdict(written(simulate(made), tmp_path / "MEMORY.DMP"))
    assert finding.subject.driver is None
    assert "no importer of nt!ExAllocatePool was found: the import tables of 57 of 59" in because(finding)
    assert "they may import it too" in against(finding)


@pytest.mark.parametrize("name", NAMES)
def test_a_driver_that_has_no_file(name: str, tmp_path: Path) -> None:
    """As in the article: made at run time by a program, named by a GUID; only its memory tells what it imports."""
    made = machine(name)
    modules = tuple(
        replace(module, name=GUID, path=f"\\??\\C:\\WINDOWS\\Temp\\{GUID}", version={}, pdb=None)
        if module.name == "oldcard.sys"
        else module
        for module in made.modules
    )
    finding = verdict(written(simulate(replace(made, modules=modules)), tmp_path / "MEMORY.DMP"))
    assert finding.subject.driver == GUID
    assert "look for the program, not for the file" in because(finding)


@pytest.mark.parametrize("name", ["3790-x86", "19041-x64"])
def test_pages_of_the_importer_that_are_missing(name: str, tmp_path: Path) -> None:
    """Its import table is not in the dump: it is one of those that may import the routine."""
    simulated = simulate(machine(name))
    (card,) = [module for module in simulated.truth.modules if module.name == "oldcard.sys"]
    place = simulated.system.translate((card.base or 0) + 0x1000)  # the page of its imports
    assert place is not None
    lost = replace(simulated, left_out=simulated.left_out | {place // 0x1000})
    finding = verdict(written(lost, tmp_path / "MEMORY.DMP"))
    assert finding.subject.driver is None
    assert "56 of 59" in because(finding)
    assert "oldcard.sys" in against(finding)


@pytest.mark.parametrize("story", ["healthy", "leak"])
def test_nobody_looks_when_the_tag_is_small(story: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*_: object) -> None:
        raise AssertionError

    monkeypatch.setattr(facts_of_imports, "search_imports", never)
    found, problems = facts(written(simulate(machine("7601-x64", story)), tmp_path / "MEMORY.DMP"))
    assert of_imports(found) == []
    assert not any("imports" in problem.says for problem in problems)


def test_too_many_places_are_cut_and_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(facts_of_imports, "MAX_TOLD", 1)
    others = {"acmeflt.sys": ("ExAllocatePool",)}
    found, problems = facts(written(simulate(machine("7601-x64", drivers=others)), tmp_path / "MEMORY.DMP"))
    assert len([fact for fact in found if isinstance(fact, PointerTable)]) == 1
    assert "imports: 2 places hold nt!ExAllocatePool: the first 1 are looked at" in [p.says for p in problems]
