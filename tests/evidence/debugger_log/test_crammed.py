"""A log that lost its line feeds: cut where outputs begin, and read."""

import io
import textwrap
import time
from pathlib import Path

import pytest

from poolsleuth.evidence.debugger_log.clean import SOFT, clean
from poolsleuth.evidence.debugger_log.decode import MAX_LINE
from poolsleuth.evidence.debugger_log.reader import LogReader
from poolsleuth.model.facts import Fact
from poolsleuth.model.memory import MemoryCounters, SessionMemory
from poolsleuth.model.modules import UnloadedModules
from poolsleuth.model.system import LockSummary, ResourceLock
from poolsleuth.model.tags import TagTable

LOGS = Path(__file__).parents[2] / "data" / "logs"
LOCKS = """0: kd> !locks
**** DUMP OF ALL RESOURCE OBJECTS ****
KD: Scanning for held locks......

Resource @ nt!CmpRegistryLock (0x80478b00)    Shared 10 owning threads
    Contention Count = 40
     Threads: 8a4cb530-01<*> 8a4cb7a0-01<*> 8a4cc530-01<*>
KD: Scanning for held locks......
16088 total locks, 1 locks currently held
"""
VM = "Physical Memory: 917368 ( 3669472 Kb) NonPagedPool Usage: 63900 ( 255600 Kb) NonPagedPool Max: 65000 ( 260000 Kb)"


def read(text: str) -> tuple[list[Fact], list[str]]:
    reader = LogReader(0)
    facts = list(reader.read(io.BytesIO(text.encode())))
    return facts, [problem.says for problem in reader.problems]


def figures(facts: list[Fact]) -> list[tuple[int | None, ...]]:
    found = []
    for fact in facts:
        if isinstance(fact, MemoryCounters):
            counters = (fact.physical, fact.nonpaged_used, fact.nonpaged_max, fact.paged_used, fact.pool_failures)
            found.append(tuple(figure.value if figure else None for figure in counters))
    return found


def rows(facts: list[Fact]) -> list[list[tuple[str, str, int | None, int | None]]]:
    return [[(r.tag, r.pool, r.outstanding, r.bytes) for r in f.rows] for f in facts if isinstance(f, TagTable)]


@pytest.mark.parametrize("name", ["fragmented.txt", "several_machines.txt", "untagged.txt"])
def test_a_log_in_one_paragraph(name: str) -> None:
    text = (LOGS / name).read_text()
    if name == "several_machines.txt":
        # A tag of two words cannot be told from the description before it
        text = text.replace("\n I D ", "\n IxD ")
    whole, _ = read(text)
    flat, problems = read(" ".join(text.split()))
    assert problems == []
    assert figures(flat) == figures(whole) != []
    sessions, printed_sessions = (
        [[(s.id, s.used and s.used.value) for s in f.sessions] for f in facts if isinstance(f, SessionMemory)]
        for facts in (flat, whole)
    )
    assert sessions == printed_sessions
    for mine, printed in zip(rows(flat), rows(whole), strict=True):
        assert [row for row in printed if row not in mine] == []
    assert [f.command for f in flat if isinstance(f, TagTable)] == [f.command for f in whole if isinstance(f, TagTable)]


def test_locks_in_one_paragraph() -> None:
    for text in (LOCKS, LOCKS + "nothing else to see " * 30):
        facts, problems = read(" ".join(text.split()))
        (lock,) = [f for f in facts if isinstance(f, ResourceLock)]
        assert (lock.name, lock.owners, len(lock.threads)) == ("nt!CmpRegistryLock", 10, 3)
        assert [f.total for f in facts if isinstance(f, LockSummary)] == [16088]
        assert problems == []


def test_an_output_behind_its_command() -> None:
    facts, _ = read("kd> !locks Resource @ nt!CmpRegistryLock (0x80478b00) Shared 10 owning threads\n")
    (lock,) = facts
    assert isinstance(lock, ResourceLock)
    assert (lock.name, lock.owners, lock.command) == ("nt!CmpRegistryLock", 10, "!locks")
    facts, _ = read(f"kd> !vm *** Virtual Memory Usage *** {VM}\n")
    assert figures(facts) == [(917368 * 4096, 63900 * 4096, 65000 * 4096, None, None)]
    assert facts[0].command == "!vm"


def test_unloaded_modules_in_one_paragraph() -> None:
    row = "Unloaded modules: a5069000 a5084000 MyAVDrv.sys a5169000 a5184000 other.sys"
    (fact,) = read(f"kd> lm start end module name {row} {'and so on ' * 50}\n")[0]
    assert isinstance(fact, UnloadedModules)
    assert [module.name for module in fact.modules] == ["MyAVDrv.sys", "other.sys"]


@pytest.mark.parametrize("before", ["", "It says: ", "kd> !vm "])
def test_no_failure_is_lost_on_a_single_line(before: str) -> None:
    facts, _ = read(f"{before}{VM} ********** 429 pool allocations have failed **********\n")
    assert figures(facts) == [(917368 * 4096, 63900 * 4096, 65000 * 4096, None, 429)]
    facts, _ = read("NonPagedPool Usage: 63900 ( 255600 Kb) NonPagedPool Max: ... 429 pool allocations have failed\n")
    assert figures(facts) == [(None, 63900 * 4096, None, None, 429)]


def test_processes_of_a_flattened_vm() -> None:
    table = "Pid ImageName Commit SharedCommit Debt 4 System 268 Kb 48 Kb 0 Kb 1a4 smss.exe 1132 Kb 60 Kb 0 Kb "
    (fact,) = read(f"0: kd> !vm {VM} Total Private: 1000 ( 4000 Kb) {table}{'x ' * 200}\n")[0]
    assert isinstance(fact, MemoryCounters)
    assert [(p.pid, p.name, p.commit_bytes) for p in fact.processes] == [
        (4, "System", 268 << 10),
        (0x1A4, "smss.exe", 1132 << 10),
    ]


@pytest.mark.parametrize(
    "text",
    [
        "The pool was full and the server did not answer. " * 20,
        "We typed lkd> !vm and looked at the Physical Memory and the NonPagedPool Usage, " * 20,
        "0: kd> .echo this is a long remark about the state of the server and nothing else",
        "\n".join(textwrap.wrap(f"*** Virtual Memory Usage *** {VM.replace('(', '').replace(')', '')} " * 4, 80)),
    ],
)
def test_what_is_not_crammed_stays(text: str) -> None:
    assert clean(text) == text


def test_a_hard_wrapped_paragraph_is_read_as_before() -> None:
    text = (LOGS / "fragmented.txt").read_text().split("!poolused")[0]
    text = " ".join(text[text.index("*** Virtual") :].split())
    assert figures(read("\n".join(textwrap.wrap(text, 80)))[0]) == figures(read(text)[0])


def test_a_cut_moves_no_line_number() -> None:
    text = clean(f"a\nkd> !vm *** Virtual Memory Usage *** {VM}\nb\n")
    assert text.count("\n") - text.count(SOFT) == 3


@pytest.mark.parametrize(
    "banner",
    [
        "*** Virtual Memory Usage ***",
        "Sorting by NonPaged Pool Consumed",
        "**** DUMP OF ALL RESOURCE OBJECTS ****",
        "Terminal Server Memory Usage By Session:",
    ],
)
def test_a_banner_with_nothing_below_it(banner: str) -> None:
    facts, problems = read(f"kd> !x\n{banner}\n\nnothing\n")
    assert facts == []
    (problem,) = problems
    assert "nothing below it could be read" in problem


def test_a_line_without_end_is_said() -> None:
    _, problems = read(f"{VM}{' x' * MAX_LINE}\n")
    assert problems == ["a line of more than 64 KB is read only up to there"]


def test_a_paragraph_of_many_rows_takes_little_time() -> None:
    header = "kd> !poolused 2 Sorting by NonPaged Pool Consumed Pool Used: NonPaged Paged Tag Allocs Used Allocs Used "
    text = header + " ".join(f"T{n:03x} {n + 1} {n * 64 + 64} 0 0 words" for n in range(2000))
    begin = time.process_time()
    ((table),) = rows(read(text)[0])
    assert len(table) == 2000
    assert time.process_time() - begin < 5
