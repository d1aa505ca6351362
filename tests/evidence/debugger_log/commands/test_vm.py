"""Figures of ``!vm``: expected beside the quoted rows, Kb x 1024."""

import io
import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from poolsleuth.evidence.debugger_log.reader import LogReader
from poolsleuth.model.errors import InputError
from poolsleuth.model.facts import Figure
from poolsleuth.model.memory import MemoryCounters, VmFamily

SHARED = Path(__file__).parents[5] / "shared"
LOGS = Path(__file__).parents[3] / "data" / "logs"

SERVER_2003 = """3: kd> !vm

*** Virtual Memory Usage ***
      Physical Memory:      917368 (   3669472 Kb)
      Page File: \\??\\C:\\pagefile.sys
        Current:   4190208 Kb  Free Space:   4090220 Kb
        Minimum:   4190208 Kb  Maximum:      4190208 Kb
      Available Pages:      649161 (   2596644 Kb)
      Free System PTEs:      14629 (     58516 Kb)
      Free NP PTEs:           4230 (     16920 Kb)
      NonPagedPool 0 Used:    8271 (     33084 Kb)
      NonPagedPool 1 Used:   13828 (     55312 Kb)
      NonPagedPool Usage:    25463 (    101852 Kb)
      NonPagedPool Max:      32647 (    130588 Kb)
      ********** Excessive NonPaged Pool Usage *****
      PagedPool 0 Usage:      8717 (     34868 Kb)
      PagedPool Usage:       33079 (    132316 Kb)
      PagedPool Maximum:     60416 (    241664 Kb)

      ********** 3441 pool allocations have failed **********

      Special Pool:              0 (         0 Kb)
      Mystery Pages:             3 (        12 Kb)
      Committed pages:      227031 (    908124 Kb)
      Commit limit:        1929623 (   7718492 Kb)
"""

WINDOWS_10 = """0: kd> !vm
Page File: \\??\\C:\\pagefile.sys
  Current:   1310720 Kb  Free Space:   1310712 Kb
  Minimum:   1310720 Kb  Maximum:     12450572 Kb
No Name for Paging File
  Current:  12450572 Kb  Free Space:  12450564 Kb
  Minimum:  12450572 Kb  Maximum:     12450572 Kb

Physical Memory:          1037662 (    4150648 Kb)
Available Pages:           524288 (    2097152 Kb)
Free System PTEs:      4294967290 (17179869160 Kb)
NonPagedPool Usage:             0 (          0 Kb)
NonPagedPoolNx Usage:       33285 (     133140 Kb)
NonPagedPool Max:      4294967296 (17179869184 Kb)
PagedPool  0:               20000 (      80000 Kb)
PagedPool Usage:            40000 (     160000 Kb)
PagedPool Maximum:     4294967296 (17179869184 Kb)

********** 5 kernel stack PTE allocations have failed **********
********** 7 kernel stack growth attempts have failed **********

NonPagedPool Commit:        41000 (     164000 Kb)
Kernel Stacks:               6000 (      24000 Kb)
Boot Commit:                 2000 (       8000 Kb)
Committed pages:           900000 (    3600000 Kb)
Commit limit:             1365342 (    5461368 Kb)

  Pid ImageName                       Commit   SharedCommit      Debt

  1a4 svchost.exe                    25104 Kb       1216 Kb      0 Kb
 12c8 My Own Tool.exe                10000 Kb        120 Kb      0 Kb
"""


def counters(text: str) -> list[MemoryCounters]:
    return [fact for fact in LogReader(0).read(io.BytesIO(text.encode())) if isinstance(fact, MemoryCounters)]


def value(figure: Figure | None) -> int | None:
    return figure.value if figure is not None else None


def test_server_2003() -> None:
    (vm,) = counters(SERVER_2003)
    assert vm.family is VmFamily.XP_2003
    assert (vm.command, vm.live) == ("!vm", False)
    assert value(vm.physical) == 3669472 * 1024  # Physical Memory:      917368 (   3669472 Kb)
    assert value(vm.nonpaged_used) == 101852 * 1024  # NonPagedPool Usage:    25463 (    101852 Kb)
    assert value(vm.nonpaged_max) == 130588 * 1024  # NonPagedPool Max:      32647 (    130588 Kb)
    assert value(vm.paged_used) == 132316 * 1024  # PagedPool Usage:       33079 (    132316 Kb)
    assert value(vm.paged_max) == 241664 * 1024  # PagedPool Maximum:     60416 (    241664 Kb)
    assert value(vm.free_system_ptes) == 14629  # Free System PTEs:      14629: a count, not bytes
    assert [figure.value for figure in vm.nonpaged_nodes] == [33084 * 1024, 55312 * 1024]
    assert [figure.value for figure in vm.paged_pools] == [34868 * 1024]
    assert value(vm.pool_failures) == 3441  # ********** 3441 pool allocations have failed **********
    assert value(vm.nonpaged_warning) == 1
    assert vm.paged_warning is None
    assert value(vm.special_pool) == 0  # a real 0: no special pool
    assert {label: figure.value for label, figure in vm.other.items()} == {"Mystery Pages": 12 * 1024}
    assert vm.nonpaged_used is not None
    assert vm.nonpaged_used.where.line == 13
    (file,) = vm.page_files
    assert file.name == "\\??\\C:\\pagefile.sys"
    assert (file.current_bytes, file.free_bytes) == (4190208 * 1024, 4090220 * 1024)


def test_windows_10() -> None:
    (vm,) = counters(WINDOWS_10)
    assert vm.family is VmFamily.W8_LATER
    assert value(vm.nonpaged_nx_used) == 133140 * 1024
    assert value(vm.nonpaged_max) == 1 << 44  # 4294967296 pages: the 16 TB of the address space
    assert (value(vm.kernel_stack_pte_failures), value(vm.stack_growth_failures)) == (5, 7)
    assert vm.pool_failures is None  # failed stacks are no failed pool allocations
    assert [file.name for file in vm.page_files] == ["\\??\\C:\\pagefile.sys", "(no name)"]
    assert [(p.pid, p.name, p.commit_bytes) for p in vm.processes] == [
        (0x1A4, "svchost.exe", 25104 * 1024),
        (0x12C8, "My Own Tool.exe", 10000 * 1024),
    ]


def test_windows_2000_prints_ptes_behind_special_pool() -> None:
    text = " *** Virtual Memory Usage ***\n Page File: \\??\\S:\\pagefile.sys\n"
    text += "    Current:   2098176Kb Free Space:   1837740Kb\n Special Pool:           0   (       0 Kb)\n"
    text += " Free System PTEs:  135832   (  543328 Kb)\n"
    (vm,) = counters(text)
    assert vm.family is VmFamily.W2K
    assert vm.page_files[0].free_bytes == 1837740 * 1024


def test_pages_and_kb_that_disagree_are_not_used() -> None:
    reader = LogReader(0)
    text = SERVER_2003.replace("25463 (    101852 Kb)", "25463 (    101853 Kb)")
    (vm,) = [f for f in reader.read(io.BytesIO(text.encode())) if isinstance(f, MemoryCounters)]
    assert vm.nonpaged_used is None
    assert [problem.says for problem in reader.problems] == [
        "the !vm row 'NonPagedPool Usage' is damaged (its pages and Kb disagree) and is not used"
    ]


def test_a_cut_row_is_said_and_absent() -> None:
    reader = LogReader(0)
    text = SERVER_2003.split("(   7718492 Kb)", maxsplit=1)[0]
    (vm,) = [f for f in reader.read(io.BytesIO(text.encode())) if isinstance(f, MemoryCounters)]
    assert vm.commit_limit is None
    assert [problem.says for problem in reader.problems] == ["the !vm row 'Commit limit' is cut and not used"]


def test_usage_above_the_memory_is_set_aside() -> None:
    # A real Windows 7: NonPagedPool Usage: 29559056 ( 118236224 Kb) with 8 GB of memory
    text = (
        "1: kd> !vm\n\\*\\*\\* Virtual Memory Usage \\*\\*\\*  \nPhysical Memory: 2097038 ( 8388152 Kb)  \n"
        "NonPagedPool Usage: 29559056 ( 118236224 Kb)  \nNonPagedPool Max: 1561080 ( 6244320 Kb)  \n"
        "PagedPool Maximum: 33554432 ( 134217728 Kb)  \n"
    )
    (vm,) = counters(text)
    assert vm.nonpaged_used is None
    assert [(label, figure.value) for label, figure in vm.impossible] == [("NonPagedPool Usage", 118236224 * 1024)]
    assert vm.family is VmFamily.VISTA_7


def test_a_counter_below_zero_is_set_aside() -> None:
    text = "!vm\nPhysical Memory: 2097038 ( 8388152 Kb)\n"
    text += "PagedPool Commit: 18446744073709551000 (73786976294838204000 Kb)\n"
    (vm,) = counters(text)
    assert vm.paged_commit is None
    assert [label for label, _ in vm.impossible] == ["PagedPool Commit"]


def test_zero_where_zero_cannot_be_is_unread() -> None:
    (vm,) = counters(
        "!vm\nPhysical Memory: 2097038 ( 8388152 Kb)\nCommitted pages: 0 ( 0 Kb)\nCommit limit: 0 ( 0 Kb)\n"
    )
    assert vm.committed is None
    assert vm.commit_limit is None


def test_two_captures_without_a_title_between() -> None:
    first, second = counters(
        WINDOWS_10 + WINDOWS_10.replace("0: kd> !vm\n", "").replace("33285 (     133140", "33286 (     133144")
    )
    assert value(first.nonpaged_nx_used) == 133140 * 1024
    assert value(second.nonpaged_nx_used) == 133144 * 1024


@pytest.mark.parametrize(
    "broken",
    [
        "NonPagedPool Usage:    25463 (    101852\n Kb)",
        "NonPagedPool Usage:    25463\n(    101852 Kb)",
        "NonPagedPool\nUsage:    25463 (    101852 Kb)",
        "NonPagedPool Usage:    254\n63 (    101852 Kb)",
        "NonPagedPool Usage:    25463 (    101\n852 Kb)",
        "NonPagedPool Usage:    25,463 (    101,852 Kb)",
        "NonPagedPool Usage: **25463** (101852 Kb) <-- high",
        "nonpagedpool usage: 25463 (101852 KB)",
        "note the high NonPagedPool Usage: 25463 (101852 Kb)",
        "NonPagedPool Usage 25463 (101852 Kb)",
    ],
)
def test_a_row_broken_anywhere(broken: str) -> None:
    text = SERVER_2003.replace("NonPagedPool Usage:    25463 (    101852 Kb)", broken)
    assert broken in text
    assert value(counters(text)[0].nonpaged_used) == 101852 * 1024


LABELS = {
    "physical": "Physical Memory",
    "available": "Available Pages",
    "nonpaged_max": "NonPagedPool Max",
    "paged_max": "PagedPool Maximum",
    "shared_commit": "Shared Commit",
    "driver_commit": "Driver Commit",
    "committed": "Committed pages",
    "commit_limit": "Commit limit",
}


@settings(max_examples=60, deadline=None)
@given(
    pages=st.fixed_dictionaries({name: st.integers(1, 2**33) for name in LABELS}),
    collapsed=st.booleans(),
    crlf=st.booleans(),
)
def test_round_trip(pages: dict[str, int], collapsed: bool, crlf: bool) -> None:
    rows = [f"       {LABELS[n] + ':':<20}{count:>8} ( {count * 4:>8} Kb)" for n in LABELS for count in [pages[n]]]
    text = "*** Virtual Memory Usage ***\n" + "\n".join(rows) + "\n"
    if collapsed:
        text = re.sub(" +", " ", text)
    if crlf:
        text = text.replace("\n", "\r\n")
    (vm,) = counters(text)
    assert {name: value(getattr(vm, name)) for name in LABELS} == {n: count * 4096 for n, count in pages.items()}


def figures(vm: MemoryCounters) -> set[tuple[str, int]]:
    named = {
        (name, figure.value) for name in vm.__dataclass_fields__ if isinstance(figure := getattr(vm, name), Figure)
    }
    nodes = {("pool", figure.value) for figure in (*vm.nonpaged_nodes, *vm.paged_pools)}
    return named | nodes | {(label, figure.value) for label, figure in vm.other.items()}


WHOLE = {text: {f for vm in counters(text) for f in figures(vm)} for text in (SERVER_2003, WINDOWS_10)}


@settings(max_examples=150, deadline=None)
@given(text=st.sampled_from(list(WHOLE)), data=st.data())
def test_no_figure_comes_from_a_cut(text: str, data: st.DataObject) -> None:
    """Cut off anywhere, and with a piece missing: what is left says nothing that the whole text does not say."""
    end = data.draw(st.integers(0, len(text)))
    for vm in counters(text[:end] + "\n"):
        assert figures(vm) <= WHOLE[text]


@settings(max_examples=150, deadline=None)
@given(text=st.sampled_from(list(WHOLE)), data=st.data())
def test_a_changed_digit_is_seen(text: str, data: st.DataObject) -> None:
    """One figure of a row altered: pages and Kb no longer agree, so the row is not believed."""
    rows = list(re.finditer(r"(\d+) \( +(\d+) Kb\)", text))
    row = data.draw(st.sampled_from(rows))
    at = data.draw(st.integers(row.start(1), row.end(1) - 1))
    digit = data.draw(st.sampled_from([d for d in "0123456789" if d != text[at]]))
    for vm in counters(text[:at] + digit + text[at + 1 :]):
        assert figures(vm) <= WHOLE[text] | {("family", 0)}


@settings(max_examples=150, deadline=None)
@given(text=st.sampled_from(list(WHOLE)), data=st.data())
def test_any_mutation_reads(text: str, data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(start, min(len(text), start + 200)))
    insert = data.draw(st.text(st.sampled_from("0123456789 \n\t\r:()*KbPagedPool\u00a0\x00>|"), max_size=20))
    reader = LogReader(0)
    try:
        list(reader.read(io.BytesIO((text[:start] + insert + text[end:]).encode())))
    except InputError:
        return
    assert not [problem for problem in reader.problems if "could not be read" in problem.says]


@pytest.mark.parametrize("name", ["001", "005", "006", "053"])
def test_published(name: str) -> None:
    found = sorted((SHARED / "data" / "transcripts").glob(f"{name}_*.txt"))
    if not found:
        pytest.skip(f"the published transcript {name} is not there")
    (vm, *_) = counters(found[0].read_text(encoding="utf-8"))
    expected = {
        "001": (3669472, 101852, 132316),
        "005": (2047524, 40168, 131400),
        "006": (16774784, 151384, 482840),
        "053": (8388152, None, 347816),
    }[name]
    assert (
        tuple(v // 1024 if (v := value(f)) else None for f in (vm.physical, vm.nonpaged_used, vm.paged_used))
        == expected
    )


def test_server_2003_x64_has_a_maximum_of_128_gb_as_well() -> None:
    (vm,) = counters(SERVER_2003.replace("60416 (    241664 Kb)", "33554432 ( 134217728 Kb)"))

    assert value(vm.paged_max) == 128 << 30
    assert vm.family is VmFamily.XP_2003
