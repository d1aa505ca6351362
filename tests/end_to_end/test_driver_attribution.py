"""Who allocates with a tag, out of a dump alone: the guilty driver is named with its code, an innocent one never."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from poolsleuth import diagnose
from poolsleuth.lab.catalogue import windows_named
from poolsleuth.lab.containers.kinds import DumpKind
from poolsleuth.lab.machine import LoadedModule, Machine
from poolsleuth.lab.simulate import simulate
from poolsleuth.lab.stories import STORIES, make_machine, small_size
from poolsleuth.model.finding import Verdict
from poolsleuth.model.report import ReportFinding, ReportMachine
from poolsleuth.windows import tag_notes

NAMES = ("2600-x86", "3790-x86-pae", "7601-x64", "19041-x64", "22000-x64")
GUILTY = {"leak": ("Leak", "leaky.sys"), "paged-leak": ("HogP", "pagehog.sys")}
Change = Callable[[LoadedModule], LoadedModule]


def judged(machine: Machine, path: Path, *more: Path) -> ReportMachine:
    path.unlink(missing_ok=True)
    simulate(machine).write(path, DumpKind.BITMAP_KERNEL)
    report = diagnose([path, *more])
    assert not [problem.says for problem in report.problems if "internal error" in problem.says]
    (found,) = report.machines
    return found


def changed(machine: Machine, name: str, change: Change) -> Machine:
    assert name in {module.name for module in machine.modules}
    return replace(machine, modules=tuple(change(m) if m.name == name else m for m in machine.modules))


def leak(machine: ReportMachine, tag: str) -> ReportFinding:
    (found,) = [f for f in machine.findings if f.pattern == "pool-leak" and f.subject.tag == tag and f.holds]
    return found


def said(reasons: object) -> str:
    return "\n".join(reason.says for reason in reasons)  # type: ignore[attr-defined]


@pytest.mark.parametrize("story", sorted(GUILTY))
@pytest.mark.parametrize("name", NAMES)
def test_the_guilty_driver_is_named_with_the_call(name: str, story: str, tmp_path: Path) -> None:
    tag, guilty = GUILTY[story]
    # A small machine has no room for a leak of paged pool that would be noticed
    truth = make_machine(windows_named(name), story, size=None if story == "paged-leak" else small_size())
    machine = judged(truth, tmp_path / "MEMORY.DMP")

    finding = leak(machine, tag)
    assert finding.subject.driver == guilty
    assert f"it is {guilty} that allocates with this tag" in finding.headline
    call = f"{guilty} allocates with tag {tag}: 1 call of ExAllocatePoolWithTag at {guilty}+0x18"
    assert call in said(finding.because)
    assert f"vendorav.sys has the four bytes of {tag} in its data" in said(finding.because)
    assert machine.conclusion is not None
    assert guilty in machine.conclusion.says
    assert "vendorav.sys" not in machine.conclusion.says


def test_two_drivers_with_one_tag_are_both_told_and_neither_accused(tmp_path: Path) -> None:
    truth = make_machine(windows_named("19041-x64"), "leak", size=small_size())
    both = changed(truth, "acmeflt.sys", lambda module: replace(module, tags=("Leak",)))
    finding = leak(judged(both, tmp_path / "MEMORY.DMP"), "Leak")

    assert finding.subject.driver is None
    assert "acmeflt.sys and leaky.sys allocate with this tag" in finding.headline
    assert "2 drivers allocate with tag Leak" in said(finding.against)


def test_a_driver_without_headers_is_found_in_its_memory(tmp_path: Path) -> None:
    """As article 001 has it: a driver that exists in memory only; here its headers are wiped, too."""
    truth = make_machine(windows_named("3790-x86"), "leak", size=small_size())
    headless = changed(truth, "leaky.sys", lambda module: replace(module, present=False))
    assert leak(judged(headless, tmp_path / "MEMORY.DMP"), "Leak").subject.driver == "leaky.sys"


def test_only_letters_accuse_nobody(tmp_path: Path) -> None:
    truth = make_machine(windows_named("19041-x64"), "leak", size=small_size())
    nobody = changed(truth, "leaky.sys", lambda module: replace(module, tags=("Othr",)))
    finding = leak(judged(nobody, tmp_path / "MEMORY.DMP"), "Leak")

    assert finding.subject.driver is None
    assert "none allocates with tag Leak" in said(finding.because)
    assert "vendorav.sys has the four bytes" in said(finding.because)


def test_missing_code_of_others_costs_certainty(tmp_path: Path) -> None:
    truth = make_machine(windows_named("19041-x64"), "leak", size=small_size())
    simulated = simulate(truth)
    (other,) = [module for module in simulated.truth.modules if module.name == "tcpip.sys"]
    number = simulated.system.translate((other.base or 0) + 0x1000)
    assert number is not None
    path = tmp_path / "MEMORY.DMP"
    replace(simulated, left_out=simulated.left_out | {number // 0x1000}).write(path, DumpKind.BITMAP_KERNEL)
    (machine,) = diagnose([path]).machines
    finding = leak(machine, "Leak")

    assert finding.subject.driver == "leaky.sys"
    assert "(medium confidence that it is the only one)" in finding.headline
    assert "4 KB of resident code of 1 module are not in this dump" in said(finding.against)


@pytest.mark.parametrize("name", ["3790-x86", "14393-x64"])
def test_who_asks_for_contiguous_memory_is_told_where_the_pool_is_in_pieces(name: str, tmp_path: Path) -> None:
    machine = judged(make_machine(windows_named(name), "fragmentation"), tmp_path / "MEMORY.DMP")
    (finding,) = [f for f in machine.findings if f.pattern == "pool-fragmentation"]
    assert finding.subject.tag == "MmCm"
    assert "churner.sys imports nt!MmAllocateContiguousMemory" in said(finding.because)
    assert "an import shows who can ask for memory of tag MmCm, not who did" in said(finding.against)


def owners_of(machine: Machine, tag: str | None) -> set[str]:
    """The drivers of the truth that may be named for a tag."""
    if tag == "None":
        return {module.name for module in machine.modules if "ExAllocatePool" in module.imports}
    if tag in ("MmCm", "Cont"):
        return {module.name for module in machine.modules if "MmAllocateContiguousMemory" in module.imports}
    return {module.name for module in machine.modules if tag in module.tags}


def altered(present: bool, letters: tuple[str, ...]) -> Change:
    return lambda module: replace(module, present=present, letters=module.letters + letters)


# A smaller example of a dump helps nobody, and takes minutes to find
@settings(
    max_examples=12,
    phases=(Phase.explicit, Phase.reuse, Phase.generate),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    name=st.sampled_from(NAMES),
    story=st.sampled_from(sorted(set(STORIES) - {"huge"})),
    seed=st.integers(0, 1 << 16),
    data=st.data(),
)
def test_no_innocent_is_ever_named(
    name: str, story: str, seed: int, data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    truth = make_machine(windows_named(name), story, seed=seed, size=small_size())
    others = [module.name for module in truth.modules[1:] if module.tags]
    for victim in data.draw(st.lists(st.sampled_from(others), max_size=3, unique=True)):
        wiped = data.draw(st.booleans())
        letters = tuple(data.draw(st.lists(st.sampled_from(("Leak", "HogP", "None", "MmCm", "Even")), max_size=3)))
        truth = changed(truth, victim, altered(not wiped, letters))
    machine = judged(truth, tmp_path_factory.getbasetemp() / "innocent.dmp")
    for finding in machine.findings:
        driver = finding.subject.driver
        if driver is None or finding.verdict not in (Verdict.FOUND, Verdict.SUSPECTED):
            continue
        if finding.pattern == "unloaded-driver-leak":
            continue  # named for its name, or for what its blocks point at: tests of that pattern
        note = tag_notes.find(finding.subject.tag or "")
        if story == "unloaded" and (finding.subject.tag, driver) == ("Tq7x", "acmetmp.sys"):
            continue  # it did it, and is gone
        assert driver in owners_of(truth, finding.subject.tag) or (note is not None and note.binary == driver)
