"""Every dump of the simulated machine gives back its truth exactly: whatever the Windows, the container, the story."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import TypeVar

import numpy as np
import pytest

from poolsleuth.evidence.dump.reader import read_dump
from poolsleuth.lab.catalogue import CATALOGUE, windows_named
from poolsleuth.lab.containers.kinds import DumpKind
from poolsleuth.lab.machine import IN_USE, Hidden, Machine, TagUse
from poolsleuth.lab.simulate import SimulatedMachine, simulate
from poolsleuth.lab.stories import STORIES, make_machine, small_size
from poolsleuth.lab.truth import counter_bits
from poolsleuth.model.facts import Fact, Figure, Problem
from poolsleuth.model.memory import MemoryCounters, SessionMemory
from poolsleuth.model.modules import ModuleList, UnloadedModules
from poolsleuth.model.pool import BigPages
from poolsleuth.model.system import BugCheck, LockSummary, ProcessList, ResourceLock, TargetInfo
from poolsleuth.model.tags import Completeness, PoolKind, TagTable

PAGE = 4096
HEADER = "the header of the dump"
KINDS = [kind for kind in DumpKind if kind is not DumpKind.HEADER]
BITS_64 = (DumpKind.DEBUGGER_KERNEL, DumpKind.DEBUGGER_KERNEL_USER, DumpKind.DEBUGGER_FULL, DumpKind.ELF_CORE)
SIZE = replace(small_size(), ram_bytes=1 << 30)
NAMES = [windows.name for windows in CATALOGUE]


@cache
def machine(name: str, story: str) -> SimulatedMachine:
    return simulate(make_machine(windows_named(name), story, size=SIZE, hidden=Hidden(transition=0.2)))


def facts_of(simulated: SimulatedMachine, kind: DumpKind, folder: Path) -> tuple[list[Fact], list[Problem]]:
    path = folder / "MEMORY.DMP"
    simulated.write(path, kind)
    problems: list[Problem] = []
    with path.open("rb") as file:
        return read_dump(file, 0, problems), problems


F = TypeVar("F", bound=Fact)


def only(facts: list[Fact], kind: type[F]) -> F:
    (found,) = [fact for fact in facts if isinstance(fact, kind)]
    return found


def check_identity(truth: Machine, facts: list[Fact]) -> None:
    target = only(facts, TargetInfo)
    windows = truth.windows
    assert (target.build, target.architecture) == (windows.build, windows.architecture)
    assert target.processors == truth.processors or (target.told_by != HEADER and not windows.symbols)
    assert target.captured_at == truth.crashed_at
    assert target.pae == windows.pae
    assert target.uptime_seconds == pytest.approx((truth.crashed_at - truth.booted_at).total_seconds(), abs=1e-6)
    assert target.kernel_base == truth.modules[0].base
    assert target.build_lab is not None
    assert windows.lab in target.build_lab or target.build_lab.startswith(str(windows.build))


def check_bug_check(truth: Machine, facts: list[Fact]) -> None:
    check = only(facts, BugCheck)
    assert (check.code, check.parameters) == (truth.bug_check.code, truth.bug_check.parameters)


def tag_rows(
    tags: Iterable[TagUse], bits: int
) -> Iterator[tuple[tuple[str, PoolKind], tuple[int | None, int | None, int, int]]]:
    for tag in tags:
        for pool, use in ((PoolKind.NONPAGED, tag.nonpaged), (PoolKind.PAGED, tag.paged)):
            if not (use.allocs or use.frees or use.bytes):
                continue
            allocs, frees = use.allocs % (1 << bits), use.frees % (1 << bits)
            wrapped = allocs - frees != use.outstanding
            counts = (None, None) if wrapped else (allocs, frees)
            name = "".join(c if " " <= c <= "~" else "." for c in tag.tag).rstrip()
            yield (name, pool), (*counts, use.outstanding, use.bytes)


def check_tags(truth: Machine, facts: list[Fact]) -> None:
    tables = [fact for fact in facts if isinstance(fact, TagTable)]
    system = [table for table in tables if table.session is None]
    bits = counter_bits(truth)
    assert len(system) == 1
    read = {(row.tag, row.pool): (row.allocs, row.frees, row.outstanding, row.bytes) for row in system[0].rows}
    complete = truth.windows.symbols or truth.windows.build < 6000
    # Without symbols nobody knows where the expansion table lies: its tags are missing, and the table says it is cut
    listed = [tag for tag in truth.tags if complete or not tag.expansion]
    assert read == dict(tag_rows(listed, bits))
    assert system[0].completeness is (Completeness.COMPLETE if complete else Completeness.CUT)
    for session in truth.sessions:
        mine = [table for table in tables if table.session == session.id]
        wanted = dict(tag_rows(session.tags, bits))
        if wanted and session.address is not None and mine:
            rows = {(r.tag, r.pool): (r.allocs, r.frees, r.outstanding, r.bytes) for r in mine[0].rows}
            assert rows == wanted


def same(figure: Figure | None, value: int | None, unit: int = PAGE) -> bool:
    return (None if figure is None else figure.value) == (None if value is None else value * unit)


def check_memory(truth: Machine, facts: list[Fact]) -> None:
    read, memory = only(facts, MemoryCounters), truth.memory
    assert read.impossible == ()
    nonpaged = (read.nonpaged_used.value if read.nonpaged_used else 0) + (
        read.nonpaged_nx_used.value if read.nonpaged_nx_used else 0
    )
    wrong = {
        name: (figure, value)
        for name, figure, value in (
            ("physical", read.physical, memory.physical),
            ("available", read.available, memory.available),
            ("resident_available", read.resident_available, memory.resident_available),
            ("nonpaged_max", read.nonpaged_max, memory.nonpaged_max),
            ("paged_used", read.paged_used, memory.paged_used),
            ("paged_max", read.paged_max, memory.paged_max),
            ("committed", read.committed, memory.committed),
            ("commit_limit", read.commit_limit, memory.commit_limit),
            ("shared_commit", read.shared_commit, memory.shared_commit),
            ("driver_commit", read.driver_commit, memory.driver_commit),
        )
        if not (same(figure, value) or (figure is None and not truth.windows.symbols))
    }
    assert wrong == {}
    if nonpaged:
        assert nonpaged == (memory.nonpaged_used or 0) * PAGE
    if memory.pool_failures and read.pool_failures is not None:
        assert read.pool_failures.value == memory.pool_failures
    if memory.failure_reasons is not None and read.failure_reasons:
        assert {r.name: r.count.value for r in read.failure_reasons} == {
            name: count for name, count in memory.failure_reasons.items() if count
        }
    if truth.windows.symbols:
        assert [(f.name, f.current_bytes, f.free_bytes) for f in read.page_files] == [
            # The one of compressed memory has none
            (f.name or "(no name)", f.pages * PAGE, f.free_pages * PAGE)
            for f in memory.page_files
        ]


def check_lists(truth: Machine, facts: list[Fact]) -> None:
    modules = only(facts, ModuleList)
    assert modules.complete
    assert [(m.image, m.path, m.start, m.end) for m in modules.modules] == [
        (m.name, m.path, m.base, (m.base or 0) + m.size) for m in truth.modules
    ]
    told = {m.name: m.version["CompanyName"] for m in truth.modules if m.present and "CompanyName" in m.version}
    assert told
    assert {m.image: m.company for m in modules.modules if m.company} == told
    unloaded = only(facts, UnloadedModules)
    newest_first = sorted(truth.unloaded, key=lambda m: m.time, reverse=True)
    assert [(m.name, m.start, m.unloaded_at) for m in unloaded.modules] == [
        (m.name, m.start, m.time) for m in newest_first
    ]
    processes = only(facts, ProcessList)
    assert [(p.pid, p.address, p.name) for p in processes.processes] == [
        (p.pid, p.address, p.name[:14] if len(p.name) > 15 else p.name) for p in truth.processes
    ]
    known = [(p.handles, q.handles) for p, q in zip(processes.processes, truth.processes, strict=True)]
    # Where the lab has no layout for handle tables, its processes have none
    assert all(read in (None, told if told is not None else 0) for read, told in known)
    if truth.windows.symbols:
        assert any(read is not None for read, _ in known)


def check_locks(truth: Machine, facts: list[Fact]) -> None:
    summary = only(facts, LockSummary)
    assert summary.total == len(truth.resources)
    read = {lock.address: lock for lock in facts if isinstance(lock, ResourceLock)}
    for resource in truth.resources:
        if not (resource.owners or resource.contention):
            continue
        assert resource.address is not None
        lock = read[resource.address]
        assert lock.contention is not None
        assert lock.contention.value == resource.contention
        assert lock.shared_waiters is not None
        assert lock.shared_waiters.value == resource.shared_waiters
        assert lock.exclusive_waiters is not None
        assert lock.exclusive_waiters.value == resource.exclusive_waiters
        assert {t.thread for t in lock.threads if t.owner} == {o.thread for o in resource.owners}
        if resource.symbol is not None and truth.windows.symbols:
            assert lock.name == f"nt!{resource.symbol.removeprefix('nt!')}"


def check_sessions(truth: Machine, facts: list[Fact]) -> None:
    found = [fact for fact in facts if isinstance(fact, SessionMemory)]
    if not found:
        assert not truth.windows.symbols or not truth.sessions or truth.sessions[0].address is None
        return
    for session in truth.sessions:
        (read,) = [one for one in found[0].sessions if one.id == session.id]
        assert read.used is None or read.used.value == session.used_pages * PAGE
        assert read.commit is None or read.commit.value == session.committed_pages * PAGE
        assert (read.failures.value if read.failures else 0) in (sum(session.failures), 0)


def check_big_pages(truth: Machine, facts: list[Fact]) -> None:
    found = only(facts, BigPages)
    rows = truth.big_pages.rows
    living = rows[rows["state"] == IN_USE]
    assert found.complete
    assert sum(use.blocks for use in found.uses) == len(living)
    page_unit = truth.windows.build < 6000
    sizes = (living["bytes"] + PAGE - 1) // PAGE * PAGE if page_unit else living["bytes"]
    assert sum(use.bytes for use in found.uses) == int(np.sum(sizes))


def check_all(truth: Machine, facts: list[Fact], *, image: bool = False) -> None:
    check_identity(truth, facts)
    if not image:
        check_bug_check(truth, facts)
    check_tags(truth, facts)
    check_memory(truth, facts)
    check_lists(truth, facts)
    check_locks(truth, facts)
    check_sessions(truth, facts)
    check_big_pages(truth, facts)


@pytest.mark.parametrize("name", NAMES)
def test_every_windows(name: str, tmp_path: Path) -> None:
    """One dump of each, all containers in turn."""
    kinds = [kind for kind in KINDS if kind not in (DumpKind.RAW, DumpKind.LIME, DumpKind.ELF_CORE)]
    if not name.endswith("x64"):
        kinds = [kind for kind in kinds if kind not in BITS_64]
    simulated = machine(name, "failures" if "failures" in STORIES else "leak")
    facts, _ = facts_of(simulated, kinds[NAMES.index(name) % len(kinds)], tmp_path)
    check_all(simulated.truth, facts)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", ["3790-x86-pae", "7601-x64", "20348-x64"])
def test_every_container(name: str, kind: DumpKind, tmp_path: Path) -> None:
    if kind in BITS_64 and not name.endswith("x64"):
        pytest.skip("this container is 64-bit only")
    simulated = machine(name, "leak")
    facts, _ = facts_of(simulated, kind, tmp_path)
    check_all(simulated.truth, facts, image=kind in (DumpKind.RAW, DumpKind.LIME, DumpKind.ELF_CORE))


@pytest.mark.parametrize("story", sorted(STORIES))
@pytest.mark.parametrize("name", ["3790-x86", "14393-x64", "22000-x64"])
def test_every_story(name: str, story: str, tmp_path: Path) -> None:
    simulated = machine(name, story)
    facts, _ = facts_of(simulated, DumpKind.BITMAP_FULL, tmp_path)
    check_all(simulated.truth, facts)


@pytest.mark.parametrize("name", NAMES)
def test_what_is_missing_makes_nothing_up(name: str, tmp_path: Path) -> None:
    """A third of the paged structures' pages is out or left out: what is said of them is true, or is not said."""
    hidden = Hidden(transition=0.2, paged_out=0.2, left_out=0.2)
    simulated = simulate(make_machine(windows_named(name), "leak", seed=3, size=SIZE, hidden=hidden))
    truth = simulated.truth
    facts, _ = facts_of(simulated, DumpKind.BITMAP_KERNEL, tmp_path)
    bits = counter_bits(truth)
    by_session = {session.id: session.tags for session in truth.sessions}
    for table in [fact for fact in facts if isinstance(fact, TagTable)]:
        whole = dict(tag_rows(truth.tags if table.session is None else by_session[table.session], bits))
        read = {(row.tag, row.pool): (row.allocs, row.frees, row.outstanding, row.bytes) for row in table.rows}
        assert read.items() <= whole.items()
        assert table.completeness is Completeness.CUT or read == whole
    bases = {m.base: m.name for m in truth.modules}
    for modules in [fact for fact in facts if isinstance(fact, ModuleList)]:
        assert all(bases[m.start] == m.image for m in modules.modules)
        assert not modules.complete or len(modules.modules) == len(truth.modules)
    addresses = {r.address: r for r in truth.resources}
    for lock in [fact for fact in facts if isinstance(fact, ResourceLock)]:
        assert lock.contention is not None
        assert lock.contention.value == addresses[lock.address].contention
    for big in [fact for fact in facts if isinstance(fact, BigPages)]:
        living = int(np.count_nonzero(truth.big_pages.rows["state"] == IN_USE))
        blocks = sum(use.blocks for use in big.uses)
        assert blocks == living if big.complete else blocks <= living
