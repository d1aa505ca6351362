"""The kernel is found by page tables of every kind, also where the header does not say which."""

from pathlib import Path

import pytest

from poolsleuth.evidence.dump.reader import read_dump
from poolsleuth.lab.catalogue import windows_named
from poolsleuth.lab.containers.kinds import DumpKind
from poolsleuth.lab.machine import Hidden, SimulatedWindows
from poolsleuth.lab.simulate import simulate
from poolsleuth.lab.stories import make_machine, small_size
from poolsleuth.model.facts import Fact, Problem
from poolsleuth.model.modules import ModuleList
from poolsleuth.model.system import TargetInfo
from poolsleuth.model.tags import Completeness, TagTable

PAE_ENABLED = 0x5C  # of a header of 32 bits


def read(path: Path) -> tuple[list[Fact], list[Problem]]:
    problems: list[Problem] = []
    with path.open("rb") as file:
        return read_dump(file, 0, problems), problems


def complete_tags(facts: list[Fact]) -> bool:
    return any(isinstance(fact, TagTable) and fact.completeness is Completeness.COMPLETE for fact in facts)


def test_page_tables_of_five_levels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    machine = make_machine(windows_named("20348-x64"), "healthy", size=small_size(), hidden=Hidden())
    monkeypatch.setattr(SimulatedWindows, "mode", property(lambda _: "la57"))
    path = tmp_path / "MEMORY.DMP"
    simulate(machine).write(path, DumpKind.BITMAP_KERNEL)
    facts, problems = read(path)
    assert problems == []
    assert complete_tags(facts)
    assert [len(fact.modules) for fact in facts if isinstance(fact, ModuleList)] == [len(machine.modules)]


@pytest.mark.parametrize("name", ["3790-x86", "3790-x86-pae"])
def test_a_header_that_does_not_say_whether_there_is_pae(name: str, tmp_path: Path) -> None:
    machine = make_machine(windows_named(name), "healthy", size=small_size(), hidden=Hidden())
    path = tmp_path / "MEMORY.DMP"
    simulate(machine).write(path, DumpKind.COMPLETE)
    with path.open("r+b") as file:
        file.seek(PAE_ENABLED)
        file.write(b"P")  # as Windows fills what it does not write
    facts, _ = read(path)
    (target,) = [fact for fact in facts if isinstance(fact, TargetInfo)]
    assert target.pae is (name == "3790-x86-pae")
    assert complete_tags(facts)
