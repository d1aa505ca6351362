"""What the commands on blocks, sessions and images print, our own log reader reads back as the same facts."""

from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import TypeVar

import numpy as np
import pytest

from poolsleuth.cli.shell import opened
from poolsleuth.debugger.names import module_name
from poolsleuth.debugger.pool_pages import read_pool_pages
from poolsleuth.debugger.shell import Shell
from poolsleuth.debugger.target import Target
from poolsleuth.evidence.dump.options import DumpOptions
from poolsleuth.kernel.image import read_image
from poolsleuth.kernel.pool.lookasides import read_lookasides
from poolsleuth.kernel.pool.session_tags import read_session_tags
from poolsleuth.kernel.pool.tags import tag_text
from poolsleuth.kernel.sessions import read_sessions
from poolsleuth.lab.allocator.corruption import Damage, corrupt
from poolsleuth.lab.catalogue import windows_named
from poolsleuth.lab.containers.kinds import DumpKind
from poolsleuth.lab.simulate import SimulatedMachine, simulate
from poolsleuth.lab.stories import make_machine, small_size
from poolsleuth.model.facts import Fact
from poolsleuth.model.modules import ImportTableRange, ModuleList
from poolsleuth.model.pool import Lookasides, PoolMap, PoolPage, PoolValidation
from poolsleuth.model.system import BugCheck, ProcessList, SessionContext, TargetInfo
from poolsleuth.model.tags import PoolKind, TagTable
from poolsleuth.reading import read_all

PAGE = 4096
CLASSIC = ["2600-x86", "3790-x86-pae", "3790-x64", "6002-x64", "7601-x64", "14393-x64"]
WITH_SESSIONS = ["7601-x64", "9600-x64", "14393-x64", "19041-x64"]
Lab = Callable[..., tuple[Path, SimulatedMachine]]
TargetOf = Callable[..., Target]
F = TypeVar("F", bound=Fact)


@pytest.fixture
def read_back(tmp_path: Path) -> Callable[[Target, str], tuple[Fact, ...]]:
    """Runs a command line and reads what it printed as a debugger log."""

    def read(target: Target, commands: str) -> tuple[Fact, ...]:
        log = tmp_path / "log.txt"
        with Shell(target) as shell:
            log.write_text("\n".join(shell.run(commands)) + "\n", encoding="utf-8")
        found = read_all([log], None)
        assert found.problems == []
        return found.facts[0]

    return read


ReadBack = Callable[[Target, str], tuple[Fact, ...]]


def every(facts: tuple[Fact, ...], kind: type[F]) -> list[F]:
    return [fact for fact in facts if isinstance(fact, kind)]


@pytest.mark.parametrize("name", CLASSIC)
def test_good_pages_are_valid(name: str, lab_dump: Lab, target_of: TargetOf, read_back: ReadBack) -> None:
    _, machine = lab_dump(name)
    pages = [int(page) for part in machine.truth.pool_pages for page in part.addresses[:3]]
    found = every(read_back(target_of(name), "; ".join(f"!poolval {page + 0x18:x}" for page in pages)), PoolValidation)
    assert [(fact.page, fact.valid, fact.errors) for fact in found] == [(page, True, ()) for page in pages]


_HEADERS = [d for d in Damage if d not in (Damage.FREE_LIST, Damage.OVERRUN)]


@pytest.mark.parametrize("name", ["3790-x86-pae", "7601-x64"])
@pytest.mark.parametrize("damage", _HEADERS, ids=lambda damage: damage.name)
def test_a_bad_header_is_named(name: str, damage: Damage, tmp_path: Path, read_back: ReadBack) -> None:
    machine = simulate(make_machine(windows_named(name), size=small_size()))
    hit = corrupt(machine, damage, Random(3))
    path = tmp_path / "x.dmp"
    machine.write(path, DumpKind.SUMMARY)
    with opened(str(path), DumpOptions(offline=True)) as target:
        (fact,) = every(read_back(target, f"!poolval {hit.address:x}"), PoolValidation)
    assert (fact.page, fact.valid) == (hit.address & ~(PAGE - 1), False)
    assert any(error.startswith(f"[ {hit.address:0{16 if 'x64' in name else 8}x} ]") for error in fact.errors)
    # The chain is found again behind the bad header: at most it and the one behind it are told
    assert len(fact.errors) <= 2


@pytest.mark.parametrize("name", ["2600-x86", "3790-x86-pae", "7601-x64", "14393-x64", "19041-x64"])
@pytest.mark.parametrize("command", ["!xpool -map", "!w2kfre\\kdex2x86.xpool -map"])
def test_the_map(name: str, command: str, target_of: TargetOf, read_back: ReadBack) -> None:
    target = target_of(name)
    known = read_pool_pages(target)
    assert len(known.nonpaged.pages) > 50
    assert len(known.paged.pages) > 50
    nonpaged, paged = every(read_back(target, command), PoolMap)
    for fact, pool, kind in ((nonpaged, known.nonpaged, PoolKind.NONPAGED), (paged, known.paged, PoolKind.PAGED)):
        assert fact.pool is kind
        assert fact.used_pages is not None
        assert fact.used_pages.value == fact.shown_used == len(pool.pages)
        used = set(pool.pages.tolist())
        lonely = [page for page in used if not {page - 1, page + 1} & used and page % 64 not in (0, 63)]
        assert fact.isolated == len(lonely)
        for address, cells in fact.rows:
            for number, cell in enumerate(cells):
                assert (cell != ".") == (address // PAGE + number in used)


@pytest.mark.parametrize("name", CLASSIC)
def test_the_map_has_the_pages_of_the_truth(name: str, lab_dump: Lab, target_of: TargetOf) -> None:
    _, machine = lab_dump(name)
    known = read_pool_pages(target_of(name))
    assert {str(part.pool) for part in machine.truth.pool_pages} >= {"nonpaged", "paged"}
    for part in machine.truth.pool_pages:
        pool = known.paged if str(part.pool) == "paged" else known.nonpaged
        missing = np.setdiff1d(part.addresses.astype(np.uint64) // np.uint64(PAGE), pool.pages)
        assert not len(missing)


@pytest.mark.parametrize("name", WITH_SESSIONS)
@pytest.mark.parametrize("flags", ["8", "9", "a", "c"])
def test_the_tags_of_a_session(name: str, flags: str, target_of: TargetOf, read_back: ReadBack) -> None:
    target = target_of(name, "session-full")
    sessions = [one for one in read_sessions(target.kernel).sessions if one.memory is not None and one.id is not None]
    assert len(sessions) > 1
    for session in sessions[:2]:
        facts = read_back(target, f"!session -s {session.id}; !poolused {flags}; !session -s -1")
        assert [fact.session for fact in every(facts, SessionContext)] == [session.id]
        totals = read_session_tags(target.kernel, session)
        wanted = {
            (row.tag.rstrip(), row.pool): (row.outstanding, row.bytes)
            for row in totals.figures()
            if row.outstanding or row.bytes
        }
        tables = every(facts, TagTable)
        if not wanted:
            assert not tables
            continue
        assert tables[0].session is not None
        read = {(row.tag, row.pool): (row.outstanding, row.bytes) for row in tables[0].rows if row.outstanding}
        assert read == {key: row for key, row in wanted.items() if key[1] in tables[0].pools}


def test_without_a_chosen_session_the_shell_asks(run: Callable[..., list[str]]) -> None:
    (sentence,) = run("!poolused 8", "19041-x64", story="session-full")
    assert sentence.startswith("no session is chosen: !session -s N")


@pytest.mark.parametrize("name", WITH_SESSIONS)
def test_the_process_of_a_session_shows_its_pool(name: str, target_of: TargetOf, read_back: ReadBack) -> None:
    """As the comment below article 002 does it: !sprocess, .process /r /p, !poolused 8."""
    target = target_of(name, "session-full")
    number = next(one.id for one in read_sessions(target.kernel).sessions if one.id)
    with Shell(target) as shell:
        lines = list(shell.run(f"!sprocess {number}"))
        process = next(line.split()[1] for line in lines if line.startswith("PROCESS "))
        printed = list(shell.run(f".process /r /p {process}; !poolused 8 ; .process"))
        assert printed[1] == f"Implicit process is now {target.address(int(process, 16))}"
        assert printed[2] == "Loading User Symbols"
        assert any("Sorting by" in line and "Session Tag" in line for line in printed)
        assert sum(line.startswith("Implicit process is now") for line in printed) == 2
        # What was switched in one shell is not switched in another
        assert shell.target.process is not None
    assert target.process is None
    facts = read_back(target, f"!sprocess {number}")
    assert [fact.session for fact in every(facts, SessionContext)] == [number]
    (processes,) = every(facts, ProcessList)
    assert {one.session for one in processes.processes} == {number}


@pytest.mark.parametrize("name", WITH_SESSIONS)
def test_addresses_of_a_session_are_seen_after_the_switch(name: str, target_of: TargetOf) -> None:
    target = target_of(name, "session-full")
    session = next(one for one in read_sessions(target.kernel).sessions if one.id and one.memory is not None)
    assert session.memory is not None
    # The session's own number, at the address that the session's processes see
    raw = session.memory.read(session.address, 16)
    assert raw is not None
    with Shell(target) as shell:
        list(shell.run(f"!session -s {session.id}"))
        assert shell.target.kernel.memory.read(session.address, 16) == raw
        assert "?" not in list(shell.run(f"dd {session.address:x} L4"))[1]


@pytest.mark.parametrize("name", ["3790-x86-pae", "7601-x64", "22000-x64"])
def test_modules_by_lmi_and_dh(name: str, target_of: TargetOf, read_back: ReadBack) -> None:
    target = target_of(name)
    for module in (*target.names.modules[:4], *target.names.modules[-3:]):
        called = module_name(module, target.kernel)
        facts = read_back(target, f"!lmi {module.base + 0x1058:x}; !dh -f {module.base:x}")
        (found,) = every(facts, ModuleList)[0].modules
        assert (found.name, found.start, found.end, found.image) == (called, module.base, module.end, module.name)
        image = read_image(target.kernel.memory, module.base)
        assert image is not None
        ranges = [(one.base, one.rva, one.size) for one in every(facts, ImportTableRange)]
        rva, size = image.directories[12]
        assert ranges == ([(module.base, rva, size)] if size else [])


def test_every_module_by_lmi(target_of: TargetOf, read_back: ReadBack) -> None:
    target = target_of("3790-x86-pae")
    facts = every(read_back(target, "!for_each_module !lmi @#Base"), ModuleList)
    read = {(one.name, one.start, one.end) for fact in facts for one in fact.modules}
    # The outputs follow each other below one prompt
    assert read <= {(module_name(m, target.kernel), m.base, m.end) for m in target.names.modules}
    assert read


@pytest.mark.parametrize("name", ["7601-x64", "19041-x64", "22000-x64"])
def test_lookaside_lists(name: str, target_of: TargetOf, read_back: ReadBack) -> None:
    target = target_of(name)
    lists = read_lookasides(target.kernel).lists
    found = every(read_back(target, "!lookaside"), Lookasides)
    if not lists:
        assert found == []
        return
    (fact,) = found
    assert [(one.tag, one.size, one.depth, one.max_depth, one.allocates, one.misses) for one in fact.lists] == [
        (tag_text(one.tag).rstrip(), one.size, one.waits, one.depth, one.total_allocates, one.allocate_misses)
        for one in lists
    ]
    assert fact.nonpaged_total is not None
    assert fact.nonpaged_total.value == sum(one.size * one.waits for one in lists if not one.pool_type & 1)


@pytest.mark.parametrize("name", ["3790-x86-pae", "19041-x64"])
@pytest.mark.parametrize("command", ["!analyze", "!analyze -v"])
def test_the_verdict_adds_no_facts(name: str, command: str, target_of: TargetOf, read_back: ReadBack) -> None:
    target = target_of(name, "leak")
    facts = read_back(target, command)
    (bug,) = facts
    assert isinstance(bug, BugCheck)
    assert target.header is not None
    assert (bug.code, bug.parameters) == (target.header.bugcheck_code, target.header.bugcheck_parameters)
    with Shell(target) as shell:
        text = "\n".join(shell.run(command))
    assert "found" in text
    assert "Leak" in text


@pytest.mark.parametrize("name", ["3790-x86-pae", "19041-x64"])
def test_what_is_no_evidence_is_not_taken_for_any(name: str, target_of: TargetOf, read_back: ReadBack) -> None:
    facts = read_back(
        target_of(name),
        "u nt L30; u nt!ExAllocatePoolWithTag L8; ln nt!ExAllocatePoolWithTag; .formats nt; dt _EPROCESS @$proc;"
        " !pte nt; dt nt!*; !vtop 0 nt; !dh -i tcpip; .sympath; .reload; .process; ? nt; help; .echo 1 2 3; .time",
    )
    assert [fact for fact in facts if not isinstance(fact, TargetInfo)] == []


def test_the_contents_of_blocks_are_no_hits(lab_dump: Lab, target_of: TargetOf, read_back: ReadBack) -> None:
    _, machine = lab_dump("3790-x86-pae")
    page = int(machine.truth.pool_pages[0].addresses[0])
    plain, full = (read_back(target_of("3790-x86-pae"), f"!pool {page:x}{flags}") for flags in ("", " 1"))
    (one,), (other,) = every(plain, PoolPage), every(full, PoolPage)
    assert len(plain) == len(full) == 1
    assert [(b.address, b.size, b.tag, b.free) for b in other.blocks] == [
        (b.address, b.size, b.tag, b.free) for b in one.blocks
    ]
    assert len(every(read_back(target_of("3790-x86-pae"), f"!pool {page + 8:x} 2"), PoolPage)[0].blocks) == 1
