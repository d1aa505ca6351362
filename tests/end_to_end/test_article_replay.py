"""The commands of the articles, replayed on dumps of the lab: line by line, in their form, with the lab's truth.

The articles: "Pool Fragmentation" and "NonPagedPool Depletion" (ntdebugging), "Crash Dump Analysis Patterns" (13c).
Lines quoted here are theirs; their figures are another machine's, so that only what is no figure is compared.
"""

import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from poolsleuth.cli.shell import opened
from poolsleuth.debugger.shell import Shell
from poolsleuth.debugger.target import Target
from poolsleuth.evidence.dump.options import DumpOptions
from poolsleuth.kernel.pool.tags import tag_text
from poolsleuth.lab.catalogue import windows_named
from poolsleuth.lab.containers.kinds import DumpKind
from poolsleuth.lab.simulate import SimulatedMachine, simulate
from poolsleuth.lab.stories import make_machine, small_size
from poolsleuth.model.facts import Fact
from poolsleuth.model.memory import MemoryCounters
from poolsleuth.model.modules import ImportTableRange, MemoryHit, ModuleList, PointerTable, SymbolAddress
from poolsleuth.model.pool import PoolMap, PoolPage
from poolsleuth.pipeline import diagnose
from poolsleuth.reading import read_all

PAGE = 4096
OFFLINE = DumpOptions(offline=True)
GUID = "{8D5A1C3E-0F42-4B77-9C61-2A6E5D90B1F4}"


@dataclass(frozen=True, slots=True)
class Replay:
    """A machine, its dump, and what the shell printed of it."""

    machine: SimulatedMachine
    dump: Path
    log: Path
    shell: Shell

    def run(self, commands: str) -> list[str]:
        """The lines of one command, without prompt and the blank line behind; they are added to the log."""
        lines = list(self.shell.run(commands))
        with self.log.open("a", encoding="utf-8") as file:
            file.write("\n".join(lines) + "\n")
        return lines[1:-1]

    def facts(self) -> tuple[Fact, ...]:
        """What our own log reader finds in all that was printed so far."""
        read = read_all([self.log], None)
        assert read.problems == []
        return read.facts[0]


@pytest.fixture(scope="module")
def replay(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Replay]]:
    folder = tmp_path_factory.mktemp("replay")
    stack = ExitStack()

    @cache
    def make(name: str, story: str) -> tuple[SimulatedMachine, Path, Target]:
        windows = windows_named(name)
        # Below 16 MB of pool nobody speaks of fragmentation
        machine = (
            make_machine(windows, story) if windows.build == 3790 else make_machine(windows, story, size=small_size())
        )
        if story == "untagged":
            # The article's driver: its name is a GUID, and it has no file
            named = tuple(
                replace(one, name=f"{GUID}.sys", path=f"\\??\\C:\\WINDOWS\\system32\\drivers\\{GUID}.sys")
                if one.name == "oldcard.sys"
                else one
                for one in machine.modules
            )
            machine = replace(machine, modules=named)
        simulated = simulate(machine)
        path = folder / f"{name}-{story}.dmp"
        simulated.write(path, DumpKind.SUMMARY)
        return simulated, path, stack.enter_context(opened(str(path), OFFLINE))

    def give(name: str, story: str, log: Path) -> Replay:
        machine, path, target = make(name, story)
        return Replay(machine, path, log, stack.enter_context(Shell(target)))

    with stack:
        yield give


def form(line: str) -> str:
    """A line without its figures: what stands between them."""
    return re.sub(r"[ ]*\b\d+\b", " #", line)


def ends(line: str) -> list[int]:
    """The columns in which its figures end: they are set to the right."""
    return [match.end() for match in re.finditer(r"\b\d+\b", line)]


def check_rows(lines: list[str], quoted: str) -> int:
    """Each line stands among the quoted ones, in their order, with its figures in their columns; gives how many."""
    known = [line for line in quoted.splitlines() if line.strip()]
    at = count = 0
    for line in lines:
        if not line.strip() or (line.startswith("***") and "Usage" not in line):
            continue
        while at < len(known) and form(known[at]) != form(line):
            at += 1
        if at == len(known):
            raise AssertionError(f"no line of the article has the form of {line!r}")
        assert ends(line) == ends(known[at]), (line, known[at])
        at, count = at + 1, count + 1
    return count


VM = """*** Virtual Memory Usage ***
      Physical Memory:      917368 (   3669472 Kb)
      Page File: \\??\\C:\\pagefile.sys
        Current:   4190208 Kb  Free Space:   4090220 Kb
        Minimum:   4190208 Kb  Maximum:      4190208 Kb
      Available Pages:      649161 (   2596644 Kb)
      ResAvail Pages:       860271 (   3441084 Kb)
      Locked IO Pages:         210 (       840 Kb)
      Free System PTEs:      14629 (     58516 Kb)
      Free NP PTEs:           4230 (     16920 Kb)
      Free Special NP:           0 (         0 Kb)
      Modified Pages:          791 (      3164 Kb)
      Modified PF Pages:       785 (      3140 Kb)
      NonPagedPool Usage:    25463 (    101852 Kb)
      NonPagedPool Max:      32647 (    130588 Kb)
      ********** Excessive NonPaged Pool Usage *****
      PagedPool 0 Usage:      8717 (     34868 Kb)
      PagedPool 1 Usage:      6113 (     24452 Kb)
      PagedPool 2 Usage:      6100 (     24400 Kb)
      PagedPool 3 Usage:      6033 (     24132 Kb)
      PagedPool 4 Usage:      6116 (     24464 Kb)
      PagedPool Usage:       33079 (    132316 Kb)
      PagedPool Maximum:     60416 (    241664 Kb)
      ********** 3 pool allocations have failed **********
      Session Commit:         1870 (      7480 Kb)
      Shared Commit:          5401 (     21604 Kb)
      Special Pool:              0 (         0 Kb)
      Shared Process:         8957 (     35828 Kb)
      PagedPool Commit:      33120 (    132480 Kb)
      Driver Commit:          1939 (      7756 Kb)
      Committed pages:      227031 (    908124 Kb)
      Commit limit:        1929623 (   7718492 Kb)
"""
# Not in the article's debugger: a row of later ones, which the dump has the figure for
LATER = "Modified No Write Pages"

POOLUSED = """   Sorting by  NonPaged Pool Consumed

  Pool Used:
            NonPaged            Paged
 Tag    Allocs     Used    Allocs     Used
 MmCm     3187 17452976         0        0      Calls made to MmAllocateContiguousMemory , Binary: nt!mm
 TOTAL  239570 65912104    200276 66610504"""
_POOLUSED_ROW = re.compile(r" (?P<tag>.{4})[ ]+(\d+)[ ]+(\d+)[ ]+(\d+)[ ]+(\d+)      \S.*")

# As the article has it: " fa808a20 size:   18 previous size:  a20  (Allocated)  ReEv", and with stars
# such as "*fa808000 size:  a20 previous size:    0  (Free)      *MFE0"
_POOL_ROW = re.compile(
    r"(?P<mark>[ *])(?P<at>[0-9a-f]{8}) size:(?P<size>[ ]+[0-9a-f]+) previous size:(?P<before>[ ]+[0-9a-f]+)"
    r"  (?P<state>\(Free\)     |\(Allocated\)) (?P=mark)(?P<tag>.{4})( \(Protected\))?"
)
# As the article has it: "fe592000 size:  f18 previous size:    0  (Allocated) MmCm"
_FOUND_ROW = re.compile(r"[0-9a-f]{8} size:  f18 previous size:    0  \(Allocated\) MmCm")


def check_memory(counters: MemoryCounters, machine: SimulatedMachine) -> None:
    truth = machine.truth.memory
    for figure, pages in (
        (counters.physical, truth.physical),
        (counters.available, truth.available),
        (counters.nonpaged_used, truth.nonpaged_used),
        (counters.nonpaged_max, truth.nonpaged_max),
        (counters.paged_used, truth.paged_used),
        (counters.paged_max, truth.paged_max),
        (counters.committed, truth.committed),
        (counters.commit_limit, truth.commit_limit),
    ):
        assert figure is not None
        assert pages is not None
        assert figure.value == pages * PAGE


def check_poolused(lines: list[str], top: int, machine: SimulatedMachine) -> None:
    quoted = POOLUSED.splitlines()
    assert lines[:5] == quoted[:5]
    rows = lines[5:-1]
    assert len(rows) == top
    largest = sorted(machine.truth.tags, key=lambda use: -use.nonpaged.bytes)[:top]
    for line, use in zip(rows, largest, strict=True):
        match = _POOLUSED_ROW.fullmatch(line)
        assert match is not None, line
        assert match["tag"] == use.tag
        numbers = [int(number) for number in match.groups()[1:]]
        assert numbers == [use.nonpaged.outstanding, use.nonpaged.bytes, use.paged.outstanding, use.paged.bytes]
        if max(numbers) < 10**8:
            assert ends(line)[-4:] == ends(quoted[5])[-4:] or not use.tag.strip().isalpha()
            assert line.index(match[5], match.start(5)) + len(match[5]) == 42
    assert form(lines[-1]) == form(quoted[-1])
    total = [int(number) for number in re.findall(r"\d+", lines[-1])]
    uses = machine.truth.tags
    assert total[1] == sum(use.nonpaged.bytes for use in uses)
    assert total[3] == sum(use.paged.bytes for use in uses)


def pinned(machine: SimulatedMachine) -> Iterator[int]:
    """Pages that one or two small blocks hold, as the article's, those with the fewest blocks first."""
    part = next(part for part in machine.truth.pool_pages if str(part.pool) == "nonpaged")
    pages = part.blocks["address"] // PAGE
    found = []
    for page in np.unique(pages).tolist():
        blocks = part.blocks[pages == page]
        live = int(blocks["size"][blocks["state"] != 1].sum())
        if 0 < live <= PAGE // 10:
            found.append((len(blocks), page * PAGE))
    return (page for _, page in sorted(found))


def test_pool_fragmentation(replay: Callable[..., Replay], tmp_path: Path) -> None:
    one = replay("3790-x86-pae", "fragmentation", tmp_path / "article.log")
    machine = one.machine
    one.run("vertarget")
    lines = [line for line in one.run("!vm") if LATER not in line]
    assert check_rows(lines, VM) >= 18
    check_poolused(one.run("!poolused /t5 2"), 5, machine)
    part = next(part for part in machine.truth.pool_pages if str(part.pool) == "nonpaged")
    for page, _ in zip(pinned(machine), range(8), strict=False):
        lines = one.run(f"!pool {page:x}")
        assert lines[0] == f"Pool page {page:x} region is Nonpaged pool"
        rows = [match for line in lines[1:] if (match := _POOL_ROW.fullmatch(line)) is not None]
        assert [row["mark"] for row in rows] == ["*"] + [" "] * (len(rows) - 1)
        truth = part.blocks[part.blocks["address"] // PAGE == page // PAGE]
        assert [(int(row["at"], 16), int(row["size"], 16), row["state"].strip() == "(Free)") for row in rows] == [
            (int(block["address"]), int(block["size"]), block["state"] == 1) for block in truth
        ]
        assert [row["tag"] for row in rows] == [f"{tag_text(int(block['tag'])):<4}" for block in truth]
        assert [int(row["before"], 16) for row in rows[1:]] == [int(row["size"], 16) for row in rows[:-1]]
        # What is no row of a block is the line on the tag's owner that the article left out
        assert len(lines) == 1 + len(rows) + 1
    found = [line for line in one.run("!poolfind MmCm") if " size: " in line]
    assert all(_FOUND_ROW.fullmatch(line) for line in found)
    mmcm = part.blocks[(part.blocks["tag"] == int.from_bytes(b"MmCm", "little")) & (part.blocks["state"] != 1)]
    assert [int(line[:8], 16) for line in found] == sorted(mmcm["address"].tolist())
    facts = one.facts()
    (counters,) = [fact for fact in facts if isinstance(fact, MemoryCounters)]
    check_memory(counters, machine)
    assert sum(isinstance(fact, PoolPage) for fact in facts) == 8
    same_conclusion(one, "pool-fragmentation")


def same_conclusion(one: Replay, pattern: str) -> None:
    """The saved log tells the same as the dump."""
    for source in (one.log, one.dump):
        report = diagnose(source, dumps=OFFLINE)
        (machine,) = report.machines
        assert machine.conclusion is not None, source
        assert machine.conclusion.pattern == pattern, source
        if pattern == "untagged-allocations":
            assert GUID in machine.conclusion.says, source


def test_nonpaged_pool_depletion(replay: Callable[..., Replay], tmp_path: Path) -> None:
    one = replay("3790-x86-pae", "untagged", tmp_path / "article.log")
    machine = one.machine
    driver = next(module for module in machine.truth.modules if module.name == f"{GUID}.sys")
    assert driver.base is not None
    one.run("vertarget")
    lines = [line for line in one.run("!vm") if LATER not in line]
    assert "      ********** Excessive NonPaged Pool Usage *****" in lines
    assert check_rows(lines, VM) >= 18
    check_poolused(one.run("!poolused /t2 2"), 2, machine)
    # As the article has it: "e0894d1f nt!ExAllocatePool"
    found = one.run("x nt!ExAllocatePool")
    match = re.fullmatch(r"(?P<at>[0-9a-f]{8}) nt!ExAllocatePool", found[0])
    assert match is not None
    routine = match["at"]
    # As the article has it: "f50b8058 e0894d1f e0828e04 e089b708 e084011b .M.............."
    (hit,) = one.run(f"!for_each_module s-d @#Base @#End {routine}")
    words = re.fullmatch(rf"(?P<at>[0-9a-f]{{8}})  {routine}(?: [0-9a-f]{{8}}){{3}}  .{{16}}", hit)
    assert words is not None
    slot = int(words["at"], 16)
    assert driver.base <= slot < driver.base + driver.size
    # As the article has it: "f50b8058 e0894d1f nt!ExAllocatePool", then more of nt's routines
    lines = one.run(f"dps {slot:x}")
    assert lines[0] == f"{slot:08x}  {routine} nt!ExAllocatePool"
    named = [line.split(" ")[-1] for line in lines[:3]]
    assert named == [f"nt!{name}" for name in driver.imports]
    # As the article has it:
    # such as "Loaded Module Info: [f50b8058]", "Module: {...}", "Base Address: f50b3000", "Image Name: {...}.sys"
    lines = one.run(f"!lmi {slot:x}")
    assert lines[0].rstrip() == f"Loaded Module Info: [{slot:x}]"
    labels = dict(line.strip().split(": ", 1) for line in lines[1:] if ": " in line)
    assert labels["Module"] == GUID
    assert labels["Base Address"] == f"{driver.base:08x}"
    assert labels["Image Name"] == f"{GUID}.sys"
    # As the article has it: "!dh on the module's base address and look for Import Address Table Directory"
    lines = one.run(f"!dh -f {driver.base:x}")
    table = next(line for line in lines if "Import Address Table Directory" in line)
    row = re.fullmatch(r" *([0-9A-F]+) \[ *([0-9A-F]+)\] address \[size\] of Import Address Table Directory", table)
    assert row is not None
    begin = driver.base + int(row[1], 16)
    assert begin <= slot < begin + int(row[2], 16)
    facts = one.facts()
    check_memory(next(fact for fact in facts if isinstance(fact, MemoryCounters)), machine)
    assert any(isinstance(f, SymbolAddress) and f.symbol == "nt!ExAllocatePool" for f in facts)
    assert [f.address for f in facts if isinstance(f, MemoryHit)] == [slot]
    assert [f.is_import_table for f in facts if isinstance(f, PointerTable)] == [True]
    assert [f.base for f in facts if isinstance(f, ImportTableRange)] == [driver.base]
    assert any(m.name == GUID for f in facts if isinstance(f, ModuleList) for m in f.modules)
    same_conclusion(one, "untagged-allocations")


_THREE = """   Sorting by  NonPaged Pool Consumed

  Pool Used:
            NonPaged
 Tag    Allocs    Frees     Diff     Used"""
# As the article has it:
# such as " MmCm   250092   240351     9741  2134368  Mm control areas for mapped files , Binary: nt!mm"
_THREE_ROW = re.compile(r" (?P<tag>.{4})[ ]+(\d+)[ ]+(\d+)[ ]+(\d+)[ ]+(\d+)  \S.*")


def test_part_13c_of_the_patterns(replay: Callable[..., Replay], tmp_path: Path) -> None:
    one = replay("7601-x64", "session-full", tmp_path / "article.log")
    lines = one.run("!poolused 3")
    assert lines[:5] == _THREE.splitlines()
    rows = [match for line in lines[5:] if (match := _THREE_ROW.fullmatch(line)) is not None]
    assert len(rows) > 50
    assert all(int(row[4]) == (int(row[2]) - int(row[3])) % (1 << 64) % (1 << 32) for row in rows)
    # As the article has it:
    # such as "Session ID 9 @ f79b5000:", "Paged Pool Usage:       32552K", "*** 7837 Pool Allocation Failures ***"
    lines = one.run("!vm 4")
    assert lines[0] == "       Terminal Server Memory Usage By Session:"
    full = next(session for session in one.machine.truth.sessions if session.id == 1)
    at = next(number for number, line in enumerate(lines) if re.fullmatch(r"       Session ID 1 @ [0-9a-f]{16}:", line))
    used = re.fullmatch(r"       Paged Pool Usage: +(\d+)K", lines[at + 1])
    assert used is not None
    assert int(used[1]) == full.used_pages * PAGE >> 10
    assert re.fullmatch(r"       \*\*\* \d+ Pool Allocation Failures \*\*\*", lines[at + 3])
    # The comment: !sprocess 3, .process /r /p 88b0dd88, !poolused 8 "Sorting by Session Tag"
    lines = one.run("!sprocess 1")
    assert lines[0] == "Dumping Session 1"
    process = next(line.split()[1] for line in lines if line.startswith("PROCESS "))
    lines = one.run(f".process /r /p {process}; !poolused 8")
    assert lines[0].startswith("Implicit process is now ")
    assert lines[1] == "Loading User Symbols"
    assert "   Sorting by  Session Tag" in lines
    # As the article has it: "MmSt        0        0     85622 140642616     Mm section object prototype ptes"
    lines = one.run("!poolused 4")
    assert lines[0] == "   Sorting by  Paged Pool Consumed"
    # As the article has it:
    # such as "Resource @ nt!CmpRegistryLock (0x80478b00)    Shared 10 owning threads", "    Contention Count = 9149810"
    lines = one.run("!locks -v")
    assert any(
        re.fullmatch(
            r"Resource @ nt!\w+ \(0x[0-9a-f]{16}\)    (Shared \d+ owning threads|Exclusively owned|Available)", line
        )
        for line in lines
    )
    assert any(re.fullmatch(r"    Contention Count = \d+", line) for line in lines)


# As the article has it: "82780000: ..OO.OO.OO..O.OO .O..OO.OO.OO..O. OO.O..OO.O..OO.. ..OO.O..OO.OO.OO"
_MAP_ROW = re.compile(r"[0-9a-f]{8}:(?: [OP<{>}=.-]{16}){4}")
_LEGEND = """Status Map of Pool Area Pages
==============================
  'O': one page in use                              ('P': paged out)
  '<': start page of contiguous pages in use        ('{': paged out)
  '>': last page of contiguous pages in use         ('}': paged out)
  '=': intermediate page of contiguous pages in use ('-': paged out)
  '.': one page not used

Non-Paged Pool Area Summary
----------------------------"""


def test_the_map_and_the_unloaded_drivers_of_part_13c(replay: Callable[..., Replay], tmp_path: Path) -> None:
    one = replay("3790-x86-pae", "fragmentation", tmp_path / "article.log")
    lines = one.run("!w2kfre\\kdex2x86.xpool -map")
    assert lines[:10] == _LEGEND.splitlines()
    assert re.fullmatch(r"Maximum Number of Pages  = \d+ pages", lines[10])
    assert re.fullmatch(r"Number of Pages In Use   = \d+ pages \(\d+\.\d%\)", lines[11])
    assert lines[13] == "          +00000  +08000   +10000  +18000   +20000  +28000   +30000  +38000"
    assert all(
        _MAP_ROW.fullmatch(line) for line in lines[14:] if line[:8].strip("abcdef0123456789") == "" and line[8:9] == ":"
    )
    maps = [fact for fact in one.facts() if isinstance(fact, PoolMap)]
    assert len(maps) == 2
    gone = one.machine.truth.unloaded[-1]
    lines = one.run(f"lmv m {gone.name}")
    # As the article has it:
    # such as "start    end        module name", "", "Unloaded modules:", "a5069000 a5084000   MyAVDrv.sys"
    assert lines[:3] == ["start    end        module name", "", "Unloaded modules:"]
    assert re.fullmatch(rf"[0-9a-f]{{8}} [0-9a-f]{{8}}   {re.escape(gone.name)}", lines[3])
    assert lines[4:6] == ["    Timestamp: unavailable (00000000)", "    Checksum:  00000000"]
