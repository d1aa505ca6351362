"""A list of modules is complete only when every module in it has a name."""

from dataclasses import replace
from pathlib import Path

import pytest

from poolsleuth.evidence.dump import driver_facts
from poolsleuth.evidence.dump.reader import read_dump
from poolsleuth.kernel.modules import LoadedModules, read_modules
from poolsleuth.kernel.target import Kernel
from poolsleuth.lab.catalogue import windows_named
from poolsleuth.lab.containers.kinds import DumpKind
from poolsleuth.lab.machine import Hidden
from poolsleuth.lab.simulate import simulate
from poolsleuth.lab.stories import make_machine, small_size
from poolsleuth.model.facts import Problem
from poolsleuth.model.modules import ModuleList


@pytest.mark.parametrize("unnamed", [0, 2])
def test_modules_without_a_name_make_the_list_incomplete(
    unnamed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Their names were paged out: one of them may be the driver that seems to be gone."""

    def read(kernel: Kernel) -> LoadedModules:
        found = read_modules(kernel)
        kept = len(found.modules) - unnamed
        lost = [replace(module, name=None, path=None) for module in found.modules[kept:]]
        return replace(found, modules=(*found.modules[:kept], *lost))

    monkeypatch.setattr(driver_facts, "read_modules", read)
    machine = make_machine(windows_named("7601-x64"), "healthy", size=small_size(), hidden=Hidden())
    path = tmp_path / "MEMORY.DMP"
    simulate(machine).write(path, DumpKind.BITMAP_KERNEL)
    problems: list[Problem] = []
    with path.open("rb") as file:
        facts = read_dump(file, 0, problems)
    (listed,) = [fact for fact in facts if isinstance(fact, ModuleList)]
    assert (len(listed.modules), listed.complete) == (len(machine.modules) - unnamed, unnamed == 0)
    told = [f"loaded modules: the names of {unnamed} are not in this dump"] if unnamed else []
    assert [problem.says for problem in problems] == told
