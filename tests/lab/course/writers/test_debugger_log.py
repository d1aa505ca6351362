"""A session on a simulated machine: what the log's reader finds in it is the machine's truth."""

import io
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import TypeVar

import pytest

from poolsleuth.evidence.debugger_log.reader import LogReader
from poolsleuth.lab.catalogue import CATALOGUE
from poolsleuth.lab.course.writers.debugger_log import debugger_log, write_debugger_log
from poolsleuth.lab.course.writers.log_lists import module_name
from poolsleuth.lab.course.writers.log_tags import shown
from poolsleuth.lab.machine import Machine
from poolsleuth.lab.simulate import SimulatedMachine
from poolsleuth.model.facts import Fact, Figure
from poolsleuth.model.memory import MemoryCounters, SessionMemory, VmFamily
from poolsleuth.model.modules import ModuleList, UnloadedModules
from poolsleuth.model.system import BugCheck, LockSummary, ProcessList, ResourceLock, TargetInfo
from poolsleuth.model.tags import PoolKind, TagTable

F = TypeVar("F", bound=Fact)
Simulated = Callable[[str, str], SimulatedMachine]

PAGE = 4096
EVERY = [windows.name for windows in CATALOGUE]
SOME = ["2600-x86", "3790-x86-pae", "3790-x64", "6002-x86", "7601-x64", "9600-x64", "17763-x64", "22000-x64"]


def read(truth: Machine) -> list[Fact]:
    reader = LogReader(0)
    facts = list(reader.read(io.BytesIO(debugger_log(truth).replace("\n", "\r\n").encode("cp1252"))))
    assert not reader.problems
    return facts


def of(facts: list[Fact], kind: type[F]) -> list[F]:
    return [fact for fact in facts if isinstance(fact, kind)]


def value(figure: Figure | None) -> int | None:
    return None if figure is None else figure.value


@pytest.mark.parametrize("windows", EVERY)
def test_the_target_is_told_twice(simulated: Simulated, windows: str) -> None:
    truth = simulated(windows, "healthy").truth
    played = truth.windows
    found = of(read(truth), TargetInfo)
    assert len(found) == 2  # the banner, and vertarget
    for info in found:
        assert (info.build, info.build_lab, info.architecture) == (played.build, played.lab, played.architecture)
        assert (info.server, info.processors) == (played.server, truth.processors)
        assert info.service_pack == (f"Service Pack {played.service_pack}" if played.service_pack else None)
        assert info.kernel_base == truth.modules[0].base
        assert info.captured_at == truth.crashed_at - timedelta(microseconds=truth.crashed_at.microsecond % 1000)
        up = (truth.crashed_at - truth.booted_at) // timedelta(milliseconds=1) / 1000
        assert info.uptime_seconds == pytest.approx(up, abs=1e-6)


@pytest.mark.parametrize("windows", EVERY)
def test_memory(simulated: Simulated, windows: str) -> None:
    """Every figure of ``!vm`` that the lab knows of that Windows."""
    truth = simulated(windows, "pool-failures").truth
    memory = truth.memory
    (vm,) = of(read(truth), MemoryCounters)
    build = truth.windows.build
    assert (vm.family is VmFamily.W8_LATER) == (build >= 9200)
    if build < 6000 and truth.windows.architecture == "x86":
        assert vm.family is VmFamily.XP_2003
    for field, pages in (
        ("physical", memory.physical),
        ("available", memory.available),
        ("resident_available", memory.resident_available),
        ("modified", memory.modified),
        ("nonpaged_max", memory.nonpaged_max),
        ("paged_used", memory.paged_used),
        ("paged_max", memory.paged_max),
        ("shared_commit", memory.shared_commit),
        ("paged_commit", memory.paged_commit),
        ("driver_commit", memory.driver_commit),
        ("committed", memory.committed),
        ("commit_limit", memory.commit_limit),
    ):
        assert value(getattr(vm, field)) == (None if pages is None else pages * PAGE), field
    assert memory.nonpaged_used is not None
    used = (value(vm.nonpaged_used) or 0) + (value(vm.nonpaged_nx_used) or 0)
    assert used == memory.nonpaged_used * PAGE
    assert value(vm.free_system_ptes) == memory.free_system_ptes
    assert value(vm.pool_failures) == memory.pool_failures
    assert [value(figure) for figure in vm.paged_pools] == [
        (one.pages + one.big_pages) * PAGE for one in truth.descriptors if one.paged
    ]
    assert [(file.name, file.current_bytes, file.free_bytes) for file in vm.page_files] == [
        (file.name or vm.page_files[number].name, file.pages * PAGE, file.free_pages * PAGE)
        for number, file in enumerate(memory.page_files)
    ]
    assert not vm.impossible


@pytest.mark.parametrize(("part", "warned"), [(0.7, False), (0.802, True), (0.98, True)])
def test_the_warning(simulated: Simulated, part: float, warned: bool) -> None:
    """Real logs warn at 80.2 % (32,850 of 40,960 pages), not at 78 % (25,463 of 32,647)."""
    truth = simulated("3790-x86", "healthy").truth
    most = truth.memory.paged_max or 0
    full = replace(truth, memory=replace(truth.memory, paged_used=int(most * part)))
    (vm,) = of(read(full), MemoryCounters)
    assert (vm.paged_warning is not None) == warned
    assert vm.nonpaged_warning is None


@pytest.mark.parametrize("windows", SOME)
def test_tags(simulated: Simulated, windows: str) -> None:
    truth = simulated(windows, "leak").truth
    tables = of(read(truth), TagTable)
    assert [table.sorted_by for table in tables] == [PoolKind.NONPAGED, PoolKind.PAGED]
    wanted = {}
    for use in truth.tags:
        for pool, part in ((PoolKind.NONPAGED, use.nonpaged), (PoolKind.PAGED, use.paged)):
            if part.outstanding:
                wanted[shown(use.tag).strip(), pool] = (part.outstanding, part.bytes)
    for table in tables:
        assert {(row.tag, row.pool): (row.outstanding, row.bytes) for row in table.rows} == wanted
        for pool in (PoolKind.NONPAGED, PoolKind.PAGED):
            total = table.total[pool]
            assert total.bytes == sum(size for (_, kind), (_, size) in wanted.items() if kind is pool)
            assert total.outstanding == sum(count for (_, kind), (count, _) in wanted.items() if kind is pool)
        order = [row.bytes or 0 for row in table.rows if row.pool is table.sorted_by]
        assert order == sorted(order, reverse=True)


@pytest.mark.parametrize("windows", SOME)
def test_sessions(simulated: Simulated, windows: str) -> None:
    truth = simulated(windows, "session-full").truth
    found = of(read(truth), SessionMemory)
    assert len(found) == bool(truth.sessions)
    for memory in found:
        # From Windows 8 on no maximum is printed
        limit = truth.sessions[0].limit_bytes if truth.windows.build < 9200 else None
        assert value(memory.paged_limit) == limit
        assert [(one.id, value(one.used), value(one.commit), value(one.failures) or 0) for one in memory.sessions] == [
            (one.id, one.used_pages * PAGE, one.committed_pages * PAGE, sum(one.failures)) for one in truth.sessions
        ]


@pytest.mark.parametrize("windows", SOME)
def test_modules(simulated: Simulated, windows: str) -> None:
    truth = simulated(windows, "untagged").truth
    facts = read(truth)
    whole = max(of(facts, ModuleList), key=lambda fact: len(fact.modules))
    assert {(one.name, one.start, one.end) for one in whole.modules} == {
        (module_name(module, number), module.base, (module.base or 0) + module.size)
        for number, module in enumerate(truth.modules)
    }
    (unloaded,) = of(facts, UnloadedModules)
    assert [(one.name, one.start, one.end) for one in unloaded.modules] == [
        (one.name, one.start, (one.start or 0) + one.size) for one in reversed(truth.unloaded)
    ]
    details = {one.name: one for fact in of(facts, ModuleList) for one in fact.modules if one.company}
    assert details["oldcard"].company == "Acme Storage Inc."
    assert details["oldcard"].image == "oldcard.sys"
    assert set(details) == {
        module.name.rpartition(".")[0] for module in truth.modules if "Acme" in module.version.get("CompanyName", "")
    }


@pytest.mark.parametrize("windows", SOME)
def test_locks(simulated: Simulated, windows: str) -> None:
    truth = simulated(windows, "lock-contention").truth
    facts = read(truth)
    held = [resource for resource in truth.resources if resource.owners]
    found = of(facts, ResourceLock)
    assert [one.address for one in found] == [resource.address for resource in held]
    for lock, resource in zip(found, held, strict=True):
        assert lock.name == (f"nt!{resource.symbol}" if resource.symbol else None)
        assert lock.state == ("exclusive" if resource.exclusive else "shared")
        assert (value(lock.contention) or 0) == resource.contention
        assert (value(lock.shared_waiters) or 0) == resource.shared_waiters
        assert (value(lock.exclusive_waiters) or 0) == resource.exclusive_waiters
        owners = resource.owners[:1] if resource.exclusive else resource.owners
        assert [thread.thread for thread in lock.threads] == [owner.thread for owner in owners]
        assert all(thread.owner for thread in lock.threads)
    (summary,) = of(facts, LockSummary)
    assert (summary.total, summary.held) == (len(truth.resources), len(held))
    assert found[0].shared_waiters is not None
    assert found[0].shared_waiters.value == 718


@pytest.mark.parametrize("windows", SOME)
def test_processes(simulated: Simulated, windows: str) -> None:
    truth = simulated(windows, "handle-leak").truth
    (found,) = of(read(truth), ProcessList)
    assert [(one.name, one.pid, one.address, one.handles, one.session) for one in found.processes] == [
        (one.name, one.pid, one.address, one.handles, one.session) for one in truth.processes
    ]


@pytest.mark.parametrize("windows", SOME)
def test_the_bug_check(simulated: Simulated, windows: str) -> None:
    truth = simulated(windows, "healthy").truth
    top = 2 ** (8 * truth.windows.pointer) - 1
    crashed = replace(truth, bug_check=replace(truth.bug_check, code=0x19, parameters=(0x20, top, 0x1000, 0)))
    for found in of(read(crashed), BugCheck):
        assert (found.code, found.parameters) == (0x19, (0x20, top, 0x1000, 0))
    assert {found.name for found in of(read(crashed), BugCheck)} == {None, "BAD_POOL_HEADER"}
    calm = replace(truth, bug_check=replace(truth.bug_check, code=0))
    assert not of(read(calm), BugCheck)


def test_lines_end_as_windows_ends_them(simulated: Simulated, tmp_path: Path) -> None:
    truth = simulated("3790-x86", "leak").truth
    path = tmp_path / "session.log"
    write_debugger_log(path, truth)
    data = path.read_bytes()
    assert data.count(b"\r\n") == data.count(b"\n") == debugger_log(truth).count("\n")
    with pytest.raises(FileExistsError):
        write_debugger_log(path, truth)
