"""What the shell prints, our own log reader reads back as the facts that the dump itself gives."""

from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path
from typing import TypeVar

import pytest

from poolsleuth.cli.shell import opened
from poolsleuth.debugger.shell import Shell
from poolsleuth.debugger.target import Target
from poolsleuth.evidence.dump.options import DumpOptions
from poolsleuth.lab.catalogue import CATALOGUE
from poolsleuth.lab.simulate import SimulatedMachine
from poolsleuth.model.facts import Fact, Figure
from poolsleuth.model.memory import MemoryCounters, SessionMemory
from poolsleuth.model.modules import ModuleList, UnloadedModules
from poolsleuth.model.system import BugCheck, LockSummary, ProcessList, ResourceLock, TargetInfo
from poolsleuth.model.tags import Completeness, PoolKind, TagTable
from poolsleuth.reading import read_all

NAMES = [windows.name for windows in CATALOGUE]
COMMANDS = (
    "vertarget; .bugcheck; !vm; !vm 4; !poolused; !poolused 1; !poolused 2; !poolused 3; !poolused 4; lm;"
    " !locks -v; !process 0 0"
)
# Rows that no !vm prints, and what a log cannot say
NOT_PRINTED = {
    "Peak Commitment",
    "Commit Limit Maximum",
    "Secure NonPagedPool",
    "Total System PTEs",
    "Allocated NonPagedPool",
    "Allocated PagedPool",
}
NOT_COMPARED = {"where", "live", "command", "address_bits", "at", "source", "family", "failure_reasons", "processes"}

Lab = Callable[..., tuple[Path, SimulatedMachine]]
F = TypeVar("F", bound=Fact)


def only(facts: tuple[Fact, ...], kind: type[F]) -> F:
    (found,) = every(facts, kind)
    return found


def every(facts: tuple[Fact, ...], kind: type[F]) -> list[F]:
    return [fact for fact in facts if isinstance(fact, kind)]


def bare(value: object) -> object:
    """A figure as its number alone, for a log and a dump have it in different places."""
    if isinstance(value, Figure):
        return value.value
    if isinstance(value, tuple):
        return tuple(map(bare, value))
    return value


def both(path: Path, target: Target, folder: Path, commands: str) -> tuple[tuple[Fact, ...], tuple[Fact, ...]]:
    """The facts of the dump, and those of the text that the shell printed of it."""
    with Shell(target) as shell:
        text = "\n".join(shell.run(commands))
    log = folder / "log.txt"
    log.write_text(text + "\n", encoding="utf-8")
    read = read_all([log, path], None, dumps=DumpOptions(offline=True))
    assert [problem for problem in read.problems if problem.where and problem.where.input == 0] == []
    return read.facts[1], read.facts[0]


OTHERS = [
    (name, story)
    for name in ("3790-x86", "9600-x64", "22000-x64")
    for story in ("session-full", "handle-leak", "lock-contention", "pool-failures", "untagged")
]


@pytest.mark.parametrize(("name", "story"), [*((name, "leak") for name in NAMES), *OTHERS])
def test_every_windows(name: str, story: str, lab_dump: Lab, target_of: Callable[..., Target], tmp_path: Path) -> None:
    path, _ = lab_dump(name, story)
    dump, log = both(path, target_of(name, story), tmp_path, COMMANDS)
    check_identity(dump, log)
    check_memory(dump, log)
    check_sessions(dump, log)
    check_tags(dump, log)
    check_modules(dump, log)
    check_locks(dump, log)
    check_processes(dump, log)


DUMPS = Path(__file__).parents[3] / "shared" / "data" / "dumps"


@pytest.mark.skipif(not DUMPS.is_dir(), reason="the real dumps are not there")
def test_the_drivers_of_a_real_small_memory_dump(tmp_path: Path) -> None:
    path = DUMPS / "triage_x64.dmp"
    with opened(str(path), DumpOptions(offline=True)) as target:
        dump, log = both(path, target, tmp_path, "vertarget; .bugcheck; lm; !vm; !poolused; !locks; !process 0 0")
    check_identity(dump, log)
    wanted, read = only(dump, ModuleList), only(log, ModuleList)
    assert {(m.name, m.start, m.end) for m in read.modules} == {(m.name, m.start, m.end) for m in wanted.modules}
    assert len(read.modules) > 100
    # Of the rest it has nothing, and nothing is made up
    assert not any(isinstance(fact, TagTable | MemoryCounters | ProcessList | ResourceLock) for fact in log)


def check_identity(dump: tuple[Fact, ...], log: tuple[Fact, ...]) -> None:
    wanted, read = only(dump, TargetInfo), only(log, TargetInfo)
    for name in ("os", "build", "build_lab", "service_pack", "architecture", "server", "processors", "kernel_base"):
        assert getattr(read, name) == getattr(wanted, name), name
    assert wanted.captured_at is not None
    assert read.captured_at is not None
    assert abs((read.captured_at - wanted.captured_at).total_seconds()) < 0.001
    assert read.uptime_seconds == pytest.approx(wanted.uptime_seconds, abs=0.001)
    bug, printed = only(dump, BugCheck), only(log, BugCheck)
    assert (printed.code, printed.parameters) == (bug.code, bug.parameters)


def check_memory(dump: tuple[Fact, ...], log: tuple[Fact, ...]) -> None:
    wanted, read = only(dump, MemoryCounters), only(log, MemoryCounters)
    build = only(dump, TargetInfo).build
    assert build is not None
    for field in fields(MemoryCounters):
        name = field.name
        if name == "other":
            printed = {label: bare(figure) for label, figure in wanted.other.items() if label not in NOT_PRINTED}
            assert {label: bare(figure) for label, figure in read.other.items()} == printed
        elif name == "pages_for_mdls" and build < 9200:
            assert read.pages_for_mdls is None  # no debugger has this row for Windows 7
        elif name == "page_files":
            # The log reader has a name of its own for the file that stands for compressed memory
            unnamed = [replace(f, name="(no name)") if f.name.startswith("No Name") else f for f in wanted.page_files]
            assert list(read.page_files) == unnamed
        elif name.endswith("_warning"):
            continue  # a line of the debugger's own, not a figure of the kernel
        elif name not in NOT_COMPARED:
            assert bare(getattr(read, name)) == bare(getattr(wanted, name)), name


def check_sessions(dump: tuple[Fact, ...], log: tuple[Fact, ...]) -> None:
    wanted, read = every(dump, SessionMemory), every(log, SessionMemory)
    assert len(read) == len(wanted)
    for one, other in zip(wanted, read, strict=True):
        assert bare(other.paged_limit) == bare(one.paged_limit)
        assert bare(other.view_limit) == bare(one.view_limit)
        assert [tuple(bare(getattr(s, f.name)) for f in fields(s)) for s in other.sessions] == [
            tuple(bare(getattr(s, f.name)) for f in fields(s)) for s in one.sessions
        ]


def check_tags(dump: tuple[Fact, ...], log: tuple[Fact, ...]) -> None:
    (wanted,) = [table for table in every(dump, TagTable) if table.session is None]
    tables = every(log, TagTable)
    assert [table.command for table in tables] == ["!poolused", *(f"!poolused {flags}" for flags in "1234")]
    for table in tables:
        verbose = (table.command or "")[-1] in "13"
        expected = {
            (row.tag, row.pool): (row.allocs, row.frees, row.outstanding, row.bytes)
            for row in wanted.rows
            # Without the count of frees what was freed to the last block is not listed
            if row.pool in table.pools and (row.outstanding or row.bytes or verbose)
        }
        read = {(row.tag, row.pool): (row.allocs, row.frees, row.outstanding, row.bytes) for row in table.rows}
        # A tag with nothing left in any pool, and nothing but frees that wrapped
        read = {key: row for key, row in read.items() if any(row) or key in expected}
        assert read.keys() == expected.keys()
        for key, (allocs, frees, outstanding, size) in expected.items():
            assert read[key][2:] == (outstanding, size), key
            if verbose and allocs is not None:
                assert read[key][:2] == (allocs, frees), key
        complete = wanted.completeness is Completeness.COMPLETE
        assert table.completeness is (Completeness.COMPLETE if complete else Completeness.CUT)
        assert table.sorted_by is {"2": PoolKind.NONPAGED, "3": PoolKind.NONPAGED, "4": PoolKind.PAGED}.get(
            (table.command or "")[-1]
        )


def check_modules(dump: tuple[Fact, ...], log: tuple[Fact, ...]) -> None:
    wanted, read = only(dump, ModuleList), only(log, ModuleList)
    assert {(m.name, m.start, m.end) for m in read.modules} == {(m.name, m.start, m.end) for m in wanted.modules}
    assert read.complete is wanted.complete is True
    gone, printed = only(dump, UnloadedModules), only(log, UnloadedModules)
    assert [(m.name, m.start, m.end) for m in printed.modules] == [(m.name, m.start, m.end) for m in gone.modules]


def check_locks(dump: tuple[Fact, ...], log: tuple[Fact, ...]) -> None:
    wanted, read = every(dump, ResourceLock), every(log, ResourceLock)
    assert len(read) == len(wanted) > 0
    for one, other in zip(wanted, read, strict=True):
        assert (other.name, other.address, other.state, other.owners) == (one.name, one.address, one.state, one.owners)
        for name in ("contention", "shared_waiters", "exclusive_waiters"):
            assert (bare(getattr(other, name)) or 0) == (bare(getattr(one, name)) or 0)
        assert set(other.threads) == set(one.threads)
    assert (only(log, LockSummary).total, only(log, LockSummary).held) == (
        only(dump, LockSummary).total,
        only(dump, LockSummary).held,
    )


def check_processes(dump: tuple[Fact, ...], log: tuple[Fact, ...]) -> None:
    wanted, read = only(dump, ProcessList), only(log, ProcessList)
    assert [(p.name, p.pid, p.address, p.handles, p.session) for p in read.processes] == [
        (p.name, p.pid, p.address, p.handles, p.session) for p in wanted.processes
    ]
