"""Physical memory out of every container: any read equals the same read done byte by byte."""

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from poolsleuth.kernel.absence import Absence
from poolsleuth.kernel.crash_dump.content import PAGE, DumpContent, open_content
from poolsleuth.kernel.crash_dump.dump import Container, open_dump
from poolsleuth.kernel.crash_dump.memory import MAX_READ, PhysicalMemory
from poolsleuth.kernel.crash_dump.runs import run_map

PageBytes = Callable[[int], bytes]
Writer = Callable[..., bytes]

RUNS = [(1, 3), (6, 2), (70, 4), (9, 1)]  # not in order of their pages: the file's order counts
PRESENT = {page for base, count in RUNS for page in range(base, base + count)}
BITS = 77
HIGHEST = 90


@pytest.fixture(scope="module")
def dumps(
    complete_dump: Writer, bitmap_dump: Writer, legacy_dump: Writer, debugger_dump: Writer
) -> list[tuple[Container, bytes]]:
    kept = [
        (Container.DEBUGGER, debugger_dump(RUNS, kind=kind, spare=spare)) for kind in (8, 9, 10) for spare in (0, 3)
    ]
    for wide in (False, True):
        kept.append((Container.RUNS, complete_dump(wide, RUNS)))
        kept.append((Container.LEGACY_BITMAP, legacy_dump(wide, PRESENT, BITS)))
        kept.append((Container.LEGACY_BITMAP, legacy_dump(wide, PRESENT, BITS, bitmap_at=0x38)))
        for kind, mark in ((5, b"FDMP"), (6, b"SDMP"), (7, b"SDMP")):
            kept.append((Container.BITMAP, bitmap_dump(wide, PRESENT, BITS, kind=kind, mark=mark, gap=kind % 2)))
    return kept


def memory_of(data: bytes) -> PhysicalMemory:
    memory = open_dump(DumpContent(data)).memory
    assert memory is not None
    return memory


def test_every_container_is_recognised_and_whole(dumps: list[tuple[Container, bytes]]) -> None:
    for container, data in dumps:
        dump = open_dump(DumpContent(data))
        assert (dump.container, dump.flaws) == (container, ())
        assert dump.memory is not None
        assert (dump.memory.pages, dump.memory.pages_cut_off) == (len(PRESENT), 0)


def test_every_page_of_every_container(dumps: list[tuple[Container, bytes]], page_bytes: PageBytes) -> None:
    for _, data in dumps:
        memory = memory_of(data)
        for page in range(HIGHEST):
            expected = page_bytes(page) if page in PRESENT else Absence.NOT_IN_DUMP
            assert memory.read_physical(page * PAGE, PAGE) == expected
        assert [page for page in range(HIGHEST) if memory.offsets(np.array([page]))[0] >= 0] == sorted(PRESENT)


@given(draws=st.data())
def test_any_read_equals_the_same_read_byte_by_byte(
    draws: st.DataObject, dumps: list[tuple[Container, bytes]], page_bytes: PageBytes
) -> None:
    memory = memory_of(draws.draw(st.sampled_from(dumps))[1])
    address = draws.draw(st.integers(0, HIGHEST * PAGE))
    size = draws.draw(st.integers(0, 3 * PAGE))
    pages = range(address // PAGE, (address + max(size, 1) - 1) // PAGE + 1)
    got = memory.read_physical(address, size)
    if size and not PRESENT.issuperset(pages):
        assert got is Absence.NOT_IN_DUMP
    else:
        whole = b"".join(page_bytes(page) for page in pages)
        assert got == whole[address % PAGE :][:size]


def test_a_truncated_dump_tells_cut_off_from_not_in_the_dump(dumps: list[tuple[Container, bytes]]) -> None:
    for container, data in dumps:
        dump = open_dump(DumpContent(data[: -2 * PAGE - 1]))
        assert dump.container is container
        assert dump.memory is not None
        assert dump.memory.pages_cut_off == 3
        (flaw,) = dump.flaws
        assert "3 of 10 pages of memory are missing" in flaw.says
        states = [dump.memory.read_physical(page * PAGE, 1) for page in sorted(PRESENT)]
        assert states.count(Absence.CUT_OFF) == 3
        assert dump.memory.read_physical(4 * PAGE, 1) is Absence.NOT_IN_DUMP


@pytest.mark.parametrize("page", [1 << 39, 1 << 40, 1 << 52, 1 << 70])
def test_addresses_that_no_dump_has(dumps: list[tuple[Container, bytes]], page: int) -> None:
    for _, data in dumps:
        assert memory_of(data).read_physical(page * PAGE, 8) is Absence.NOT_IN_DUMP


def test_page_numbers_of_any_integer_type(dumps: list[tuple[Container, bytes]]) -> None:
    for _, data in dumps:
        memory = memory_of(data)
        wanted = np.array([70, 1, (1 << 64) - 1], dtype=np.uint64)
        assert (memory.offsets(wanted) >= 0).tolist() == [True, True, False]
        assert memory.offsets(np.array([-5, 70], dtype=np.int32))[0] == Absence.NOT_IN_DUMP
        assert memory.offset(-5) == memory.offset(1 << 70) == Absence.NOT_IN_DUMP
        pages = range(HIGHEST + 100)  # beyond the bits of the map, too
        assert [memory.offset(page) for page in pages] == memory.offsets(np.array(pages)).tolist()
        assert len(memory.offsets(np.empty(0, np.int64))) == 0


def test_pages_gathered_equal_pages_read_one_by_one(dumps: list[tuple[Container, bytes]]) -> None:
    wanted = np.array([70, 4, 1, 1, 9, 200, 73, 6])
    for cut in (0, 3 * PAGE + 7):
        for _, data in dumps:
            memory = memory_of(data[: len(data) - cut])
            rows, offsets = memory.gather(wanted)
            assert offsets.tolist() == memory.offsets(wanted).tolist()
            assert offsets.tolist() == [memory.offset(page) for page in wanted.tolist()]
            for page, row, offset in zip(wanted.tolist(), rows, offsets.tolist(), strict=True):
                read = memory.read_physical(page * PAGE, PAGE)
                assert (row.tobytes() if offset >= 0 else Absence(offset)) == read
                assert offset >= 0 or not row.any()
            assert len(memory.stored()) == memory.pages - memory.pages_cut_off
    with pytest.raises(ValueError, match="at once"):
        memory.gather(np.zeros(MAX_READ // PAGE + 1, np.int64))


def test_bounds_of_a_read(dumps: list[tuple[Container, bytes]]) -> None:
    memory = memory_of(dumps[0][1])
    assert memory.read_physical(0, 0) == b""
    for address, size in ((-1, 1), (0, -1), (0, MAX_READ + 1)):
        with pytest.raises(ValueError, match="physical memory"):
            memory.read_physical(address, size)


def mapped_bytes() -> int:
    """Bytes of files that are mapped and present in this process."""
    found = re.search(r"RssFile:\s*(\d+) kB", Path("/proc/self/status").read_text(encoding="ascii"))
    assert found is not None
    return int(found[1]) * 1024


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="no /proc/self/status: memory is not counted here")
def test_what_was_read_does_not_stay_mapped(tmp_path: Path) -> None:
    pages = 8192
    path = tmp_path / "MEMORY.DMP"
    np.repeat(np.arange(pages, dtype=np.uint32), PAGE // 4).tofile(path)
    with path.open("rb") as file, open_content(file) as content:
        memory = PhysicalMemory(content, run_map(0, np.zeros(1, np.int64), np.array([pages])))
        view = memory.stored()
        before = mapped_bytes()
        for begin in range(0, pages, 2000):
            numbers = np.arange(begin, min(begin + 2000, pages))
            rows, _ = memory.gather(numbers)
            assert (rows.view("<u4") == numbers[:, None]).all()
        assert isinstance(memory.read_physical(0, pages * PAGE), bytes)
        assert mapped_bytes() - before < pages * PAGE // 4
        assert view[-1].view("<u4")[0] == pages - 1  # a view stays good
        del view
