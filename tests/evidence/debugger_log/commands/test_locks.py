"""``!locks``: resources, their threads, the closing line, and the user-mode command."""

import dataclasses
import io
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from poolsleuth.evidence.debugger_log.reader import LogReader
from poolsleuth.model.facts import Where
from poolsleuth.model.system import LockSummary, LockThread, ResourceLock, UserModeLock

SHARED = Path(__file__).resolve().parents[4].parent / "shared"


def read(text: str) -> list[Any]:
    reader = LogReader(0)
    facts = list(reader.read(io.BytesIO(text.encode())))
    assert not [problem for problem in reader.problems if "could not be read" in problem.says]
    return facts


def real(name: str) -> str:
    path = SHARED / name
    if not path.exists():
        pytest.skip(f"{name} is not here")
    return path.read_text(encoding="utf-8", errors="replace")


def only(text: str, kind: type[Any]) -> list[Any]:
    return [fact for fact in read(text) if isinstance(fact, kind)]


def plain(value: Any) -> Any:
    """A fact without its place and prompt: damage moves lines and loses prompts."""
    if isinstance(value, Where):
        return None
    if dataclasses.is_dataclass(value):
        names = [f.name for f in dataclasses.fields(value) if f.name not in {"live", "command"}]
        return {name: plain(getattr(value, name)) for name in names}
    if isinstance(value, tuple | list):
        return [plain(item) for item in value]
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    return value


def wrapped(text: str, width: int = 64) -> str:
    return re.sub(rf"(?m)^(?=.{{{width + 1}}})(.{{20,{width}}}) +(?=\S)", r"\1\n", text)


DAMAGE: dict[str, Callable[[str], str]] = {
    "double spaced": lambda text: text.replace("\n", "\n\n"),
    "collapsed": lambda text: re.sub(r"(?m) +", " ", re.sub(r"(?m)^ +", "", text)),
    "quoted": lambda text: re.sub(r"(?m)^", "> ", text),
    "tabbed": lambda text: re.sub(r"(?m)^", "\t", text),
    "hard blanks": lambda text: text.replace("  ", "\u00a0 "),
    "carriage returns": lambda text: text.replace("\n", "\r\n"),
    "no prompt": lambda text: re.sub(r"(?m)^[^\n]*kd>[^\n]*$", "", text),
}


def broken(sample: str, cut: int, at: int, junk: str) -> str:
    text = sample[: cut % (len(sample) + 1)]
    place = at % (len(text) + 1)
    return text[:place] + junk + text[place + len(junk) :]


KERNEL = """0: kd> !locks
**** DUMP OF ALL RESOURCE OBJECTS ****
KD: Scanning for held locks..........................

Resource @ 0xffff8b03516cae70    Shared 1 owning threads
    Contention Count = 39
     Threads: ffff8b034f13e080-01<*> ffff8b034f13e123-01<*> *** Actual Thread ffff8b034f13e120
              ffff8b034f13e300-01
KD: Scanning for held locks.....

Resource @ 0xffff8b0352014a90    Exclusively owned
    Contention Count = 1
    NumberOfExclusiveWaiters = 2
     Threads: ffff8b0351756040-01<*>

     Threads Waiting On Exclusive Access:
              ffff8b03515d5040       ffff8b03515d5080
27708 total locks, 2 locks currently held
"""

# As in the article that quotes it: everything on one line
FLATTENED = (
    "Resource @ nt!CmpRegistryLock (0x80478b00) Shared 10 owning threads Contention Count = 9149810"
    " NumberOfSharedWaiters = 718 NumberOfExclusiveWaiters = 21\n"
)

USER_MODE = """0:000> !locks

CritSec ntdll!LdrpLoaderLock+0 at 7c97c174
WaiterWoken        No
LockCount          12
RecursionCount     1
OwningThread       5f8
EntryCount         13
ContentionCount    13
*** Locked

CritSec at 00a2b3c4
LockCount          1
*** Locked

Scanned 30 critical sections
"""

VERBOSE = """kd> !locks -v 80d8b0b0

Resource @ 0x80d8b0b0    Shared 1 owning threads
     Threads: 80ed0023-01<*> *** Actual Thread 80ed0020

     THREAD 80ed0020  Cid 4.2c  Teb: 00000000 Win32Thread: 00000000 WAIT: (WrQueue) KernelMode Non-Alertable
         8055e100  Unknown
ChildEBP RetAddr
fafa3d30 804fe997 nt!KiSwapContext+0x25 (FPO: [EBP 0xfafa3d48] [0,0,4])
00000000 00000000 nt!KiThreadStartup+0x16

1 total locks, 1 locks currently held
"""


def test_owners_waiters_and_counts() -> None:
    shared, exclusive, summary = read(KERNEL)
    # Resource @ 0xffff8b03516cae70    Shared 1 owning threads
    assert (shared.address, shared.state, shared.owners) == (0xFFFF8B03516CAE70, "shared", 1)
    assert shared.name is None
    assert shared.address_bits == 64
    assert shared.contention.value == 39  #  Contention Count = 39
    assert shared.shared_waiters is None  # the row is not printed: not known, not 0
    assert shared.threads == (
        LockThread(0xFFFF8B034F13E080, owner=True),
        LockThread(0xFFFF8B034F13E120, owner=True),  # *** Actual Thread ffff8b034f13e120
        LockThread(0xFFFF8B034F13E300, owner=False),  # without <*> it waits
    )
    # Resource @ 0xffff8b0352014a90    Exclusively owned
    assert (exclusive.state, exclusive.owners, exclusive.exclusive_waiters.value) == ("exclusive", 1, 2)
    assert exclusive.threads[1:] == (
        LockThread(0xFFFF8B03515D5040, owner=False, exclusive_wait=True),
        LockThread(0xFFFF8B03515D5080, owner=False, exclusive_wait=True),
    )
    # 27708 total locks, 2 locks currently held
    assert (summary.total, summary.held) == (27708, 2)
    assert summary.where.line == 18


def test_everything_on_one_line() -> None:
    (lock,) = read(FLATTENED)
    assert (lock.name, lock.address, lock.address_bits) == ("nt!CmpRegistryLock", 0x80478B00, 32)
    assert (lock.state, lock.owners) == ("shared", 10)
    assert lock.contention.value == 9_149_810
    assert lock.shared_waiters.value == 718
    assert lock.exclusive_waiters.value == 21
    assert lock.threads == ()


def test_several_facts_on_one_line() -> None:
    text = "Resource @ 0x89929320 Exclusively owned Threads: 8952d030-01<*> Resource @ 0x89da1a68 Available"
    one, two, summary = read(text + " 7 total locks, 1 locks currently held")
    assert (one.state, one.threads) == ("exclusive", (LockThread(0x8952D030, owner=True),))
    assert (two.state, two.owners, two.threads) == ("available", 0, ())
    assert (summary.total, summary.held) == (7, 1)


def test_user_mode_locks_are_no_kernel_facts() -> None:
    facts = read(USER_MODE)
    assert [type(fact) for fact in facts] == [UserModeLock, UserModeLock]
    assert [fact.name for fact in facts] == ["ntdll!LdrpLoaderLock", "00a2b3c4"]


def test_stacks_of_verbose_lists_are_no_threads() -> None:
    lock, summary = read(VERBOSE)
    assert lock.threads == (LockThread(0x80ED0020, owner=True),)
    assert (summary.total, summary.held) == (1, 1)


def test_a_state_that_is_not_printed_stays_unknown() -> None:
    (lock,) = read("Resource @ 0x89929320  ...\n    Contention Count = 12\n")
    assert (lock.state, lock.owners, lock.contention.value) == ("unknown", None, 12)


def test_outputs_larger_than_a_piece_of_text_lose_nothing() -> None:
    body = VERBOSE[VERBOSE.index("Resource") : VERBOSE.index("1 total")]
    facts = read("kd> !locks -v\n" + body * 4_000)
    locks = [fact for fact in facts if isinstance(fact, ResourceLock)]
    assert len(locks) == 4_000
    assert {lock.threads for lock in locks} == {(LockThread(0x80ED0020, owner=True),)}
    assert [lock.where.line for lock in locks] == [2 + body.count("\n") * number for number in range(4_000)]


def test_resources_beyond_the_bound_are_a_problem() -> None:
    reader = LogReader(0)
    text = "kd> !locks\n" + "Resource @ 0x89929320 Available\n" * 50_010
    assert len(list(reader.read(io.BytesIO(text.encode())))) == 50_000
    assert [problem.says for problem in reader.problems] == [
        "more than 50000 resources in one !locks: the rest is not read"
    ]


def test_real_xp() -> None:
    facts = read(real("data/transcripts/017_xp_locks_docs.txt"))
    locks = [fact for fact in facts if isinstance(fact, ResourceLock)]
    # Resource @ 0x80e97620    Shared 4 owning threads
    assert (locks[0].address, locks[0].owners, len(locks[0].threads)) == (0x80E97620, 4, 4)
    assert all(thread.owner for thread in locks[0].threads)
    #      Threads: 80ed0023-01<*> *** Actual Thread 80ed0020
    assert locks[1].threads == (LockThread(0x80ED0020, owner=True),)
    # 2263 total locks, 3 locks currently held / 1 total locks, 1 locks currently held
    assert [(s.total, s.held) for s in facts if isinstance(s, LockSummary)] == [(2263, 3), (1, 1)]


def test_real_windows_11_deadlock() -> None:
    facts = read(real("data/transcripts/042_win11_locks_recursive.txt"))
    waited_for = facts[2]
    # Resource @ 0xffff8b0352014a90    Exclusively owned / NumberOfExclusiveWaiters = 1
    assert (waited_for.address, waited_for.exclusive_waiters.value) == (0xFFFF8B0352014A90, 1)
    assert waited_for.threads[-1] == LockThread(0xFFFF8B03515D5040, owner=False, exclusive_wait=True)
    assert (facts[3].total, facts[3].held) == (27708, 3)  # 27708 total locks, 3 locks currently held


def test_real_vista_local_debugger() -> None:
    facts = only(real("data/transcripts/046_vista7_locks_actual_thread.txt"), ResourceLock)
    assert facts[0].contention.value == 3_911_396  # Contention Count = 3911396
    assert facts[0].live is True  # lkd> !locks
    assert facts[1].threads[0].thread == 0x8A4CB530  # *** Actual Thread 8a4cb530


def test_real_registry_contention() -> None:
    for name in ("data/transcripts/008_w2k_vm_poolused4_myav_lmv_locks.txt", "seeds/002_3328612633af358e.txt"):
        (lock,) = only(real(name), ResourceLock)
        # NumberOfSharedWaiters = 718 / NumberOfExclusiveWaiters = 21
        assert (lock.name, lock.shared_waiters.value, lock.exclusive_waiters.value) == ("nt!CmpRegistryLock", 718, 21)


@pytest.mark.parametrize("damage", DAMAGE)
@pytest.mark.parametrize("sample", [KERNEL, FLATTENED, VERBOSE])
def test_damage_of_pasted_text_changes_nothing(damage: str, sample: str) -> None:
    assert plain(read(DAMAGE[damage](sample))) == plain(read(sample))
    assert read(sample)


@pytest.mark.parametrize("sample", [KERNEL, FLATTENED, VERBOSE])
def test_hard_wrapped_lines_change_nothing(sample: str) -> None:
    assert plain(read(wrapped(sample))) == plain(read(sample))


@given(cut=st.integers(0, 20_000), at=st.integers(0, 20_000), junk=st.text(max_size=12))
@settings(max_examples=80, deadline=None)
def test_any_cut_or_changed_sample_gives_facts_or_nothing(cut: int, at: int, junk: str) -> None:
    for sample in (KERNEL, FLATTENED, VERBOSE):
        for fact in read(broken(sample, cut, at, junk)):
            assert fact.where.line is not None
