"""A Windows that is not there: it answers ``NtQuerySystemInformation`` with buffers, and counts as Windows does.

The buffers are written from the declarations of the structures, member by member, and share no code with the reader.

    def test_something(fake_windows: type[FakeWindows]) -> None:
        windows = fake_windows(wide=True)
        windows.tag(b"Leak", nonpaged=(1000, 10, 990 * 64))
        source = LiveSource(windows)
        first = source.take()
        windows.allocate(b"Leak", 500, 500 * 64)
        windows.pass_time(60)
        second = source.take()
"""

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import pytest
from numpy.typing import NDArray

from poolsleuth.model.series import TagKey
from poolsleuth.sampling.live.system import Identity
from poolsleuth.sampling.sample import Sample, Sampler

SUCCESS, NOT_THERE, TOO_SHORT, DENIED = 0, 0xC000_0003, 0xC000_0004, 0xC000_0022
EPOCH = 11_644_473_600
PAGE = 4096


class Used(NamedTuple):
    """Allocations, frees and bytes of a tag in one pool, with as many bits as they take."""

    allocs: int = 0
    frees: int = 0
    bytes: int = 0


@dataclass
class Tag:
    name: bytes
    nonpaged: Used = field(default_factory=Used)
    paged: Used = field(default_factory=Used)


@dataclass
class Process:
    pid: int
    name: str
    handles: int = 100
    session: int = 0
    nonpaged: int = 0
    paged: int = 0
    threads: int = 2


class Writer:
    """Writes buffers as a Windows of one width does."""

    def __init__(self, wide: bool) -> None:
        self.wide = wide
        self.pointer = 8 if wide else 4

    def number(self, value: int, size: int = 4) -> bytes:
        return (value & ((1 << 8 * size) - 1)).to_bytes(size, "little")

    def size_t(self, value: int) -> bytes:
        return self.number(value, self.pointer)

    def aligned(self, members: Sequence[tuple[int, int]]) -> bytes:
        """A structure: values with their sizes, each aligned to its size, as a C compiler lays it out."""
        out = b""
        for value, size in members:
            out += bytes(-len(out) % size) + self.number(value, size)
        return out + bytes(-len(out) % max(size for _, size in members))

    def tags(self, rows: Sequence[tuple[bytes, tuple[int, int, int], tuple[int, int, int]]]) -> list[Tag]:
        """Tags out of names, figures in nonpaged and figures in paged pool."""
        return [Tag(name, Used(*nonpaged), Used(*paged)) for name, nonpaged, paged in rows]

    def process(
        self, pid: int, name: str, handles: int, session: int, nonpaged: int, paged: int, threads: int
    ) -> Process:
        return Process(pid, name, handles, session, nonpaged, paged, threads)

    def row(self, tag: Tag, count: int = 4) -> bytes:
        members = [(int.from_bytes(tag.name.ljust(4, b"\0")[:4], "little"), 4)]
        for used in (tag.paged, tag.nonpaged):
            members += [(used.allocs, count), (used.frees, count), (used.bytes, self.pointer)]
        return self.aligned(members)

    def pool_tags(self, tags: Sequence[Tag]) -> bytes:
        return self.size_t(len(tags)) + b"".join(self.row(tag) for tag in tags)

    def pool_tags_2(self, tags: Sequence[Tag]) -> bytes:
        return self.size_t(len(tags)) + b"".join(self.row(tag, self.pointer) for tag in tags)

    def session_tags(self, sessions: Mapping[int, Sequence[Tag]]) -> bytes:
        out = b""
        for number, (session, tags) in enumerate(sessions.items()):
            rows = b"".join(self.row(tag) for tag in tags)
            head = self.pointer + 8
            link = head + len(rows) if number < len(sessions) - 1 else 0
            out += self.size_t(link) + self.number(session) + self.number(len(tags)) + rows
        return out

    def big_pool(self, blocks: Sequence[tuple[int, int, bytes]]) -> bytes:
        """Address with bit 0 for nonpaged pool, size, tag."""
        rows = (
            self.aligned([(at, self.pointer), (size, self.pointer), (int.from_bytes(tag.ljust(4), "little"), 4)])
            for at, size, tag in blocks
        )
        return self.size_t(len(blocks)) + b"".join(rows)

    def basic(self, pages: int, processors: int = 4, page: int = PAGE) -> bytes:
        members = [(0, 4), (156_250, 4), (page, 4), (pages, 4), (1, 4), (pages, 4), (65_536, 4)]
        members += [(0x10000, self.pointer), (0x7FFE_FFFF, self.pointer), (15, self.pointer), (processors, 1)]
        return self.aligned(members)

    def performance(self, figures: Mapping[str, int], size: int = 344) -> bytes:
        """Members by their own names; those that are not given hold their own offset."""
        names = [
            "IoReads",
            "IoWrites",
            "IoOthers",
            "AvailablePages",
            "CommittedPages",
            "CommitLimit",
            "PeakCommitment",
            "PageFaultCount",
            "CopyOnWriteCount",
            "TransitionCount",
            "CacheTransitionCount",
            "DemandZeroCount",
            "PageReadCount",
            "PageReadIoCount",
            "CacheReadCount",
            "CacheIoCount",
            "DirtyPagesWriteCount",
            "DirtyWriteIoCount",
            "MappedPagesWriteCount",
            "MappedWriteIoCount",
            "PagedPoolPages",
            "NonPagedPoolPages",
            "PagedPoolAllocs",
            "PagedPoolFrees",
            "NonPagedPoolAllocs",
            "NonPagedPoolFrees",
            "FreeSystemPtes",
            "ResidentSystemCodePage",
            "TotalSystemDriverPages",
            "TotalSystemCodePages",
            "NonPagedPoolLookasideHits",
            "PagedPoolLookasideHits",
            "AvailablePagedPoolPages",
            "ResidentSystemCachePage",
            "ResidentPagedPoolPage",
            "ResidentSystemDriverPage",
        ]
        assert set(figures) <= set(names)
        out = bytes(32)
        for name in names:
            out += self.number(figures.get(name, 0x5A00_0000 + len(out)))
        return out.ljust(size, b"\xee")

    def clock(self, now: float, booted: float, zone: int = -3600) -> bytes:
        ticks = [round((moment + EPOCH) * 10_000_000) for moment in (booted, now)]
        return struct.pack("<qqqIIQQ", *ticks, zone * 10_000_000, 1, 0, 0, 0)

    def processes(self, rows: Sequence[Process], base: int) -> bytes:
        out = b""
        for number, process in enumerate(rows):
            name = process.name.encode("utf-16-le", "surrogatepass")
            thread = 80 if self.wide else 64
            head = 256 if self.wide else 184
            room = head + thread * process.threads + len(name) + 2
            room += -room % 8
            last = number == len(rows) - 1
            at = base + len(out) + head + thread * process.threads if name else 0
            members = [(0 if last else room, 4), (process.threads, 4), (1, 8), (2, 4), (3, 4), (4, 8), (5, 8), (6, 8)]
            members += [(7, 8), (len(name), 2), (len(name) + 2 if name else 0, 2), (at, self.pointer), (8, 4)]
            members += [(process.pid, self.pointer), (4, self.pointer), (process.handles, 4), (process.session, 4)]
            members += [(9, self.pointer), (10, self.pointer), (11, self.pointer), (12, 4), (13, self.pointer)]
            members += [(14, self.pointer), (15, self.pointer), (process.paged, self.pointer), (16, self.pointer)]
            members += [(process.nonpaged, self.pointer), (17, self.pointer), (18, self.pointer), (19, self.pointer)]
            members += [(20, 8)] * 6
            entry = self.aligned(members)
            assert len(entry) == head
            out += (entry + bytes(thread * process.threads) + name).ljust(room, b"\0")
        return out


class FakeWindows:
    """A ``LiveSystem``. ``refuse`` maps classes to the status they answer with; ``asked`` is what was asked."""

    def __init__(self, *, wide: bool = True, new: bool = False, build: int = 26100) -> None:
        self.wide = wide
        self.writer = Writer(wide)
        self.identity = Identity("SERVER", build, True, "x64" if wide else "x86")
        self.tags: dict[bytes, Tag] = {}
        self.sessions: dict[int, dict[bytes, Tag]] = {}
        self.processes = [Process(0, ""), Process(4, "System", 3000), Process(900, "agent.exe", 150, 1, 20_000, 90_000)]
        self.blocks: list[tuple[int, int, bytes]] = []
        self.figures: dict[str, int] = {"AvailablePages": 500_000, "NonPagedPoolPages": 60_000}
        self.now, self.booted = 1_790_000_000.0, 1_789_000_000.0
        self.pages = 2_097_152
        self.refuse: dict[int, int] = {} if new else {255: NOT_THERE}
        self.answers: dict[int, bytes] = {}  # whole answers in the place of the right ones
        self.privileged = True  # whether the account holds SeDebugPrivilege
        self.needs_privilege: set[int] = set()  # classes that are refused until it is enabled
        self.debugging = False
        self.hides_addresses = False
        self.asked: list[tuple[int, int]] = []

    def tag(
        self,
        name: bytes,
        nonpaged: tuple[int, int, int] = (0, 0, 0),
        paged: tuple[int, int, int] = (0, 0, 0),
        session: int | None = None,
    ) -> None:
        """Set a tag's figures: allocations, frees, bytes."""
        table = self.tags if session is None else self.sessions.setdefault(session, {})
        table[name] = Tag(name, Used(*nonpaged), Used(*paged))

    def usual_tags(self) -> None:
        """Tags of both pools, one that never held anything, and enough others to judge what most of them do."""
        self.tag(b"Leak", nonpaged=(1000, 10, 990 * 64))
        self.tag(b"File", nonpaged=(500, 100, 400 * 336), paged=(70, 30, 40 * 100))
        self.tag(b"MmSt", paged=(9, 2, 7 * 4096))
        self.tag(b"Zero")
        for number in range(10):
            self.tag(b"T%03d" % number, nonpaged=(100 + number, 50, (50 + number) * 32))

    @staticmethod
    def shown(source: Sampler, sample: Sample) -> dict[TagKey, tuple[float, float, float]]:
        """Bytes, outstanding and allocations by key."""
        tags = sample.tags
        assert len(set(tags.ids)) == len(tags.ids) == len(tags.bytes) == len(tags.outstanding) == len(tags.allocs)
        return {
            source.index.keys[number]: (float(size), float(left), float(allocs))
            for number, size, left, allocs in zip(tags.ids, tags.bytes, tags.outstanding, tags.allocs, strict=True)
        }

    def allocate(self, name: bytes, count: int, size: int, session: int | None = None) -> None:
        """So many more nonpaged allocations of a tag, of so many bytes together."""
        tag = (self.tags if session is None else self.sessions[session])[name]
        used = tag.nonpaged
        tag.nonpaged = Used(used.allocs + count, used.frees, used.bytes + size)

    def pass_time(self, seconds: float) -> None:
        self.now += seconds

    def allow_debugging(self) -> bool:
        self.debugging = self.privileged
        return self.privileged

    def query(self, info_class: int, buffer: NDArray[np.uint8]) -> tuple[int, int]:
        self.asked.append((info_class, len(buffer)))
        if info_class in self.refuse:
            return self.refuse[info_class], 0
        if info_class in self.needs_privilege and not self.debugging:
            return DENIED, 0
        exact = {0: 64 if self.wide else 44}.get(info_class)
        answer = self.answers.get(info_class)
        if answer is None:
            answer = self.answer(info_class, buffer.ctypes.data)
        if len(answer) > len(buffer) or (exact is not None and len(buffer) != exact):
            return TOO_SHORT, len(answer)
        buffer[: len(answer)] = np.frombuffer(answer, np.uint8)
        return SUCCESS, len(answer)

    def answer(self, info_class: int, address: int) -> bytes:
        write = self.writer
        tags = list(self.tags.values())
        hide = self.hides_addresses and not self.debugging
        blocks = [(0 if hide else at, size, tag) for at, size, tag in self.blocks]
        match info_class:
            case 0:
                return write.basic(self.pages)
            case 2:
                return write.performance(self.figures)
            case 3:
                return write.clock(self.now, self.booted)
            case 5:
                return write.processes(self.processes, address)
            case 22:
                return write.pool_tags(tags)
            case 66:
                return write.big_pool(blocks)
            case 67:
                return write.session_tags({number: list(table.values()) for number, table in self.sessions.items()})
            case 255:
                return write.pool_tags_2(tags)
        raise AssertionError(f"class {info_class} is not asked")


@pytest.fixture(scope="session")
def fake_windows() -> type[FakeWindows]:
    return FakeWindows


@pytest.fixture(scope="session")
def writer() -> type[Writer]:
    return Writer
