"""Sessions through the processes that see them: the same address shows each process its own session."""

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from poolsleuth.kernel.address_space import AddressSpace, Reader
from poolsleuth.kernel.sessions import Sessions, read_sessions
from poolsleuth.kernel.target import Kernel
from poolsleuth.windows.kernel_table import Field, KernelTable, Structure

Make = Callable[[int], Any]

# From symbol files: the offsets of 2003 SP2 x86, 7601.24540 and 22000.318 x64
LAYOUTS: dict[str, dict[str, dict[str, Field]]] = {
    "3790 x86": {
        "_EPROCESS": {"ActiveProcessLinks": Field(0x98, 8), "Session": Field(0x160, 4)},
        "_KPROCESS": {"DirectoryTableBase": Field(0x18, 8, count=2)},
        "_MM_SESSION_SPACE": {
            "SessionId": Field(0xC, 4), "NonPagablePages": Field(0x24, 4), "CommittedPages": Field(0x28, 4),
            "PagedPoolStart": Field(0x2C, 4), "PagedPoolEnd": Field(0x30, 4),
            "SessionPoolAllocationFailures": Field(0x40, 16, count=4), "PagedPoolInfo": Field(0xDE0, 0x24),
        },
        "_MM_PAGED_POOL_INFO": {"AllocatedPagedPool": Field(0x1C, 4)},
    },
    "7601 x64": {
        "_EPROCESS": {
            "ActiveProcessLinks": Field(0x188, 16), "SessionProcessLinks": Field(0x1E0, 16), "Session": Field(0x2D8, 8),
        },
        "_KPROCESS": {"DirectoryTableBase": Field(0x28, 8)},
        "_MM_SESSION_SPACE": {
            "SessionId": Field(8, 4), "NonPagablePages": Field(0x30, 8), "CommittedPages": Field(0x38, 8),
            "PagedPoolStart": Field(0x40, 8), "PagedPoolEnd": Field(0x48, 8),
            "SessionPoolAllocationFailures": Field(0x64, 16, count=4),
            "PagedPoolInfo.AllocatedPagedPool": Field(0xB98 + 0x60, 8),
            "PoolTrackBigPages": Field(0x1F40, 8), "PoolTrackBigPagesSize": Field(0x1F48, 8),
        },
    },
    "22000 x64": {
        "_EPROCESS": {"ActiveProcessLinks": Field(0x448, 16), "Session": Field(0x558, 8)},
        "_KPROCESS": {"DirectoryTableBase": Field(0x28, 8)},
        "_MM_SESSION_SPACE": {
            "SessionId": Field(8, 4), "NonPagablePages": Field(0x20, 8), "CommittedPages": Field(0x28, 8),
            "PagedPoolStart": Field(0x30, 8), "PagedPoolEnd": Field(0x38, 8),
            "PagedPoolInfo.AllocatedPagedPool": Field(0xA0 + 0x10, 8),
            "PagedPoolInfo.MaximumSize": Field(0xA0 + 0x8, 8),
        },
    },
}  # fmt: skip


class Sessioned:
    """Processes in a list, each with an address space of its own in which its session's space can be seen."""

    def __init__(self, make: Make, name: str) -> None:
        self.make, self.name = make, name
        self.pointer = 4 if name.endswith("x86") else 8
        self.memory = make(self.pointer)
        self.base = 0x80800000 if self.pointer == 4 else 0xFFFFF80000000000
        self.head = self.base + 0x100
        self.space = 0xBF7F0000 if self.pointer == 4 else 0xFFFFF90000000000
        self.pool = 0xBC000000 if self.pointer == 4 else 0xFFFFF900C0000000
        self.symbols = {"PsActiveProcessHead": 0x100}
        self.spaces: dict[int, Any] = {}
        self.processes: list[int] = []
        self.asked: list[int] = []

    def place(self, structure: str, name: str) -> Field:
        return LAYOUTS[self.name][structure][name]

    def process(self, base: int, session: int) -> int:
        at = self.base + 0x10000 + 0x1000 * len(self.processes)
        self.processes.append(at)
        self.memory.put(at + self.place("_KPROCESS", "DirectoryTableBase").offset, base)
        self.memory.put(at + self.place("_EPROCESS", "Session").offset, session)
        offset = self.place("_EPROCESS", "ActiveProcessLinks").offset
        links = [self.head, *(each + offset for each in self.processes)]
        for i, link in enumerate(links):
            self.memory.put(link, links[(i + 1) % len(links)], links[i - 1])
        return at

    def session(self, base: int, **values: int) -> Any:
        """What processes with this directory table base see at the session space."""
        memory = self.spaces[base] = self.make(self.pointer)
        for name, value in values.items():
            path = name.replace("__", ".")
            place = self.place("_MM_SESSION_SPACE", path)
            memory.put(self.space + place.offset, value, width=place.size)
        return memory

    def opened(self, base: int) -> Reader:
        self.asked.append(base)
        own: AddressSpace = self.spaces[base] if base in self.spaces else self.make(self.pointer)
        return Reader(own)

    def kernel(self) -> Kernel:
        structures = {name: Structure(0x4000, fields) for name, fields in LAYOUTS[self.name].items()}
        table = KernelTable(pdb=None, machine=None, source="test", symbols=self.symbols, structures=structures)
        build, architecture = self.name.split()
        return Kernel(
            memory=Reader(self.memory),
            build=int(build),
            architecture=architecture,
            pae=None,
            base=self.base,
            size=None,
            pdb=None,
            processors=1,
            table=table,
            process_memory=self.opened,
        )

    def read(self) -> Sessions:
        return read_sessions(self.kernel())


@pytest.fixture
def sessioned(fake_memory: Make) -> Callable[[str], Sessioned]:
    return lambda name: Sessioned(fake_memory, name)


Machines = Callable[[str], Sessioned]


def test_two_sessions_at_one_address(sessioned: Machines) -> None:
    here = sessioned("7601 x64")
    here.process(0x187000, 0)  # System: no session
    for base in (0x1000, 0x2000, 0x3000):
        here.process(base, here.space)
    here.session(
        0x1000,
        SessionId=0, CommittedPages=5000, NonPagablePages=31, PagedPoolStart=here.pool,
        PagedPoolEnd=here.pool + (1 << 25) - 1, PagedPoolInfo__AllocatedPagedPool=700,
        PoolTrackBigPages=here.pool + 0x8000, PoolTrackBigPagesSize=4096,
    )  # fmt: skip
    here.spaces[0x1000].put(here.space + 0x64, 1, 0, 20, 300, width=4)
    here.session(0x2000, SessionId=1, CommittedPages=17, PagedPoolInfo__AllocatedPagedPool=3)
    here.spaces[0x3000] = here.spaces[0x2000]
    found = here.read()
    assert found.complete
    assert found.says == ()
    first, second = found.sessions
    assert (first.id, first.address, first.processes, first.directory_table_base) == (0, here.space, 1, 0x1000)
    assert (first.committed_pages, first.nonpageable_pages, first.paged_pool_pages) == (5000, 31, 700)
    assert (first.paged_pool_start, first.paged_pool_end) == (here.pool, here.pool + 0x1FFFFFF)
    assert (first.allocation_failures, first.failures) == ((1, 0, 20, 300), 321)
    assert first.big_pages == (here.pool + 0x8000, 4096)
    assert first.paged_pool_maximum_pages is None  # kept from Windows 8.1 on
    assert (second.id, second.processes, second.committed_pages, second.paged_pool_pages) == (1, 2, 17, 3)
    assert (second.paged_pool_start, second.big_pages, second.failures) == (None, None, 0)


def test_the_list_of_a_session_spares_opening_all_its_processes(sessioned: Machines) -> None:
    here = sessioned("7601 x64")
    processes = [here.process(0x1000 * (i + 1), here.space) for i in range(6)]
    here.session(0x1000, SessionId=0)
    here.session(0x2000, SessionId=1)
    for base, mine in ((0x1000, processes[::2]), (0x2000, processes[1::2])):
        # The head lies in the session space, what it leads to in memory that all processes see
        ring = [here.space + 0x10, *(process + 0x1E0 for process in mine)]
        for i, link in enumerate(ring):
            memory = here.memory if i else here.spaces[base]
            memory.put(link, ring[(i + 1) % len(ring)], ring[i - 1])
    for base in (0x1000, 0x2000):
        own = here.spaces[base]
        own.pages = {**here.memory.pages, **{n: p for n, p in own.pages.items() if n == here.space >> 12}}
    found = here.read()
    assert [(session.id, session.processes) for session in found.sessions] == [(0, 3), (1, 3)]
    assert here.asked == [0x1000, 0x2000]
    assert found.complete


def test_windows_11_keeps_a_maximum_and_no_failures(sessioned: Machines) -> None:
    here = sessioned("22000 x64")
    here.process(0x5000, here.space)
    here.session(0x5000, SessionId=2, PagedPoolInfo__AllocatedPagedPool=12, PagedPoolInfo__MaximumSize=1 << 20)
    (session,) = here.read().sessions
    assert (session.id, session.paged_pool_pages, session.paged_pool_maximum_pages) == (2, 12, 1 << 20)
    assert session.failures is None


def test_server_2003_tells_the_limits(sessioned: Machines) -> None:
    """Its structure of the pool lies in another structure, and two numbers stand where others have one."""
    here = sessioned("3790 x86")
    at = here.process(0x6000, here.space)
    here.memory.put(at + 0x18 + 4, 0x77777777)  # not the directory table base
    space = here.session(0x6000, SessionId=0, PagedPoolStart=here.pool, PagedPoolEnd=here.pool + 0x2000000)
    space.put(here.space + 0xDE0 + 0x1C, 8191)
    # Session Paged Pool Maximum is 32768K, Session View Space Maximum is 20480K
    here.symbols |= {"MmSessionPoolSize": 0x200, "MmSessionViewSize": 0x210}
    here.memory.put(here.base + 0x200, 32768 * 1024)
    here.memory.put(here.base + 0x210, 20480 * 1024)
    found = here.read()
    (session,) = found.sessions
    assert session.paged_pool_pages == 8191
    assert (found.pool_maximum, found.view_maximum) == (33_554_432, 20_971_520)


def test_a_limit_of_32_bits_on_64_bit_windows(sessioned: Machines) -> None:
    here = sessioned("7601 x64")
    here.symbols["MmSessionPoolSize"] = 0x200
    here.memory.put(here.base + 0x200, 1 << 25, 0xDEADBEEF, width=4)
    assert here.read().pool_maximum == 1 << 25


@pytest.mark.parametrize(("name", "value"), [("CommittedPages", 1 << 60), ("PagedPoolInfo__AllocatedPagedPool", 8193)])
def test_a_number_that_cannot_be_is_none(sessioned: Machines, name: str, value: int) -> None:
    here = sessioned("7601 x64")
    here.process(0x1000, here.space)
    values = {"SessionId": 1, "PagedPoolStart": here.pool, "PagedPoolEnd": here.pool + 8192 * 4096, name: value}
    here.session(0x1000, **values)
    (session,) = here.read().sessions
    assert session.id == 1
    assert session.committed_pages is None if name == "CommittedPages" else session.paged_pool_pages is None


def test_a_session_whose_memory_is_not_in_the_dump(sessioned: Machines) -> None:
    here = sessioned("7601 x64")
    here.process(0x1000, here.space)
    here.process(0x2000, here.space)
    found = here.read()
    (session,) = found.sessions
    assert (session.id, session.processes, session.memory, session.committed_pages) == (None, 2, None, None)
    assert not found.complete
    assert found.says == ("the session of 2 processes cannot be read",)
    # One process of the two is enough
    here.session(0x2000, SessionId=4)
    found = here.read()
    assert [session.id for session in found.sessions] == [4]
    assert not found.complete


def test_a_list_that_loops_ends(sessioned: Machines) -> None:
    here = sessioned("7601 x64")
    first = here.process(0x1000, here.space)
    second = here.process(0x2000, here.space)
    here.session(0x1000, SessionId=0)
    here.session(0x2000, SessionId=1)
    here.memory.put(second + 0x188, first + 0x188)
    found = here.read()
    assert [session.id for session in found.sessions] == [0, 1]
    here.memory.lose(second)
    found = here.read()
    assert [session.id for session in found.sessions] == [0]
    assert not found.complete
    assert found.says


def test_no_symbols_no_sessions(sessioned: Machines) -> None:
    here = sessioned("7601 x64")
    here.symbols.clear()
    found = here.read()
    assert found.sessions == ()
    assert not found.complete
    assert found.says == ("where processes keep their session is not known: sessions are not read",)


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_damaged_memory_ends_in_a_result(sessioned: Machines, data: st.DataObject) -> None:
    here = sessioned(data.draw(st.sampled_from(sorted(LAYOUTS))))
    for base in (0x1000, 0x2000, 0x3000):
        here.process(base, here.space)
        here.session(base, SessionId=base >> 12, CommittedPages=5)
    for memory in (here.memory, here.spaces[0x2000]):
        for _ in range(data.draw(st.integers(0, 4))):
            page = data.draw(st.sampled_from(sorted(memory.pages)))
            at = data.draw(st.sampled_from([0x18, 0x28, 0x98, 0x100, 0x108, 0x160, 0x188, 0x2D8, 0x448, 0x558, 8]))
            memory.write(page * 4096 + at, data.draw(st.binary(min_size=1, max_size=16)))
    found = here.read()
    assert sum(session.processes for session in found.sessions) <= 3
    assert all(session.committed_pages is None or session.committed_pages >= 0 for session in found.sessions)
