"""Rows of real outputs of Windows 10 and 11, and what their figures are."""

import io

from poolsleuth.evidence.debugger_log.reader import LogReader
from poolsleuth.model.memory import MemoryCounters, VmFamily

KB = 1024


def counters(text: str) -> MemoryCounters:
    (fact,) = LogReader(0).read(io.BytesIO(text.encode()))
    assert isinstance(fact, MemoryCounters)
    return fact


def test_all_nonpaged_pool_may_be_no_execute() -> None:
    fact = counters(
        """Physical Memory:           524157 (    2096628 Kb)
NonPagedPool Usage:             0 (          0 Kb)
NonPagedPoolNx Usage:       14108 (      56432 Kb)
NonPagedPool Max:      4294967296 (17179869184 Kb)
"""
    )

    assert fact.family is VmFamily.W8_LATER
    assert fact.nonpaged_used is not None
    assert fact.nonpaged_used.value == 0
    assert fact.nonpaged_nx_used is not None
    assert fact.nonpaged_nx_used.value == 56432 * KB


def test_a_counter_below_zero_is_impossible() -> None:
    fact = counters(
        """Physical Memory:          2844914 (   11379656 Kb)
PagedPool Usage:            66288 (     265152 Kb)
PagedPool Commit:  18446735282293205272 (18446708908044166240 Kb)
Committed pages:          2355436 (    9421744 Kb)
"""
    )

    assert [label for label, _ in fact.impossible] == ["PagedPool Commit"]
    assert fact.paged_commit is None
    assert fact.paged_used is not None
    assert fact.paged_used.value == 265152 * KB


def test_processes_and_routine_messages() -> None:
    fact = counters(
        """Physical Memory:           524157 (    2096628 Kb)

******* 67968 kernel stack PTE allocations have failed ******


******* 247785920 kernel stack growth attempts have failed ******

Committed pages:           269178 (    1076712 Kb)

  Pid ImageName                        Commit   SharedCommit        Debt

  81c MsMpEng.exe                   112764 Kb        7400 Kb        0 Kb
...
  f10 userinit.exe                      72 Kb           0 Kb        0 Kb
"""
    )

    assert fact.pool_failures is None
    assert fact.kernel_stack_pte_failures is not None
    assert fact.kernel_stack_pte_failures.value == 67968
    assert [(p.pid, p.name, p.commit_bytes) for p in fact.processes] == [
        (0x81C, "MsMpEng.exe", 112764 * KB),
        (0xF10, "userinit.exe", 72 * KB),
    ]
