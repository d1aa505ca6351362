"""Images written here, page by page: every page is read back, whatever its phase in the file; damage is told."""

import struct
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from poolsleuth.kernel.absence import Absence
from poolsleuth.kernel.crash_dump.content import PAGE, DumpContent
from poolsleuth.kernel.memory_image.image import MIN_RAW, ImageKind, image_kind, open_image
from poolsleuth.model.errors import InputError

PageBytes = Callable[[int], bytes]
RUNS = ((1, 3), (0x100, 2), (0x80000, 1))
CR3 = 0x1AD000


def lime(page_of: PageBytes, runs: tuple[tuple[int, int], ...] = RUNS) -> bytes:
    out = b""
    for base, count in runs:
        out += struct.pack("<4sIQQ8x", b"EMiL", 1, base * PAGE, (base + count) * PAGE - 1)
        out += b"".join(page_of(number) for number in range(base, base + count))
    return out


def elf(page_of: PageBytes, runs: tuple[tuple[int, int], ...] = RUNS) -> bytes:
    state = struct.pack("<II", 1, 440) + bytes(18 * 8 + 10 * 24) + struct.pack("<5Q", 0x80050033, 0, 0, CR3, 0x6F8)
    note = struct.pack("<III", 5, len(state), 0) + b"QEMU\0\0\0\0" + state
    notes_at = 64 + 56 * (len(runs) + 1)
    at = notes_at + len(note)
    segments = struct.pack("<IIQQQQQQ", 4, 0, notes_at, 0, 0, len(note), len(note), 0)
    body = b""
    for base, count in runs:
        segments += struct.pack("<IIQQQQQQ", 1, 0, at + len(body), 0, base * PAGE, count * PAGE, count * PAGE, 0)
        body += b"".join(page_of(number) for number in range(base, base + count))
    head = (
        b"\x7fELF\x02\x01\x01"
        + bytes(9)
        + struct.pack("<HHIQQQIHHHHHH", 4, 62, 1, 0, 64, 0, 0, 64, 56, len(runs) + 1, 0, 0, 0)
    )
    return head + segments + note + body


@pytest.fixture
def page_of(number_bytes: PageBytes) -> PageBytes:
    return number_bytes


@pytest.fixture
def number_bytes() -> PageBytes:
    return lambda number: struct.pack("<Q", number) * (PAGE // 8)


@pytest.mark.parametrize(("write", "kind"), [(lime, ImageKind.LIME), (elf, ImageKind.ELF_CORE)])
def test_every_page_is_read_back(write: Callable[[PageBytes], bytes], kind: ImageKind, page_of: PageBytes) -> None:
    image = open_image(DumpContent(write(page_of)))

    assert (image.kind, image.flaws, image.memory.pages, image.memory.pages_cut_off) == (kind, (), 6, 0)
    numbers = [number for base, count in RUNS for number in range(base, base + count)]
    rows, places = image.memory.gather(np.array([*numbers, 0, 0x102], np.int64))
    assert [bytes(row) for row in rows[:6]] == [page_of(number) for number in numbers]
    assert places[6:].tolist() == [Absence.NOT_IN_DUMP, Absence.NOT_IN_DUMP]
    for number in numbers:
        assert image.memory.read_physical(number * PAGE + 8, 16) == page_of(number)[8:24]


def test_a_core_tells_its_processor(page_of: PageBytes) -> None:
    image = open_image(DumpContent(elf(page_of)))
    assert (image.architecture, image.cr3) == ("x64", (CR3,))


def test_a_raw_image_is_known_by_its_size_alone() -> None:
    assert image_kind(b"\0" * 16, MIN_RAW) is ImageKind.RAW
    assert image_kind(b"\0" * 16, MIN_RAW + 1) is None
    assert image_kind(b"\0" * 16, MIN_RAW - PAGE) is None
    image = open_image(DumpContent(bytes(MIN_RAW - 8) + b"the end!"))
    assert image.memory.read_physical(MIN_RAW - 8, 8) == b"the end!"
    assert image.memory.read_physical(MIN_RAW, 8) is Absence.NOT_IN_DUMP


def test_a_truncated_image_gives_what_it_holds(page_of: PageBytes) -> None:
    image = open_image(DumpContent(lime(page_of)[: -PAGE - 100]))
    assert image.memory.pages_cut_off > 0
    assert any("truncated" in flaw.says or "ends inside" in flaw.says for flaw in image.flaws)
    assert image.memory.read_physical(PAGE, 8) == page_of(1)[:8]


def test_overlapping_ranges_are_read_once(page_of: PageBytes) -> None:
    image = open_image(DumpContent(lime(page_of, ((4, 4), (2, 4)))))
    rows, places = image.memory.gather(np.arange(2, 8))
    assert (places >= 0).all()
    assert [bytes(row) for row in rows] == [page_of(number) for number in range(2, 8)]


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"EMiL" + bytes(40), "first range cannot be true"),
        (b"\x7fELF\x02\x01" + bytes(10) + struct.pack("<HH", 2, 62) + bytes(60), "no core of a virtual machine"),
        (b"\x7fELF", "cut off in its header"),
        (b"\x7fELF\x02\x02" + bytes(30), "big-endian"),
        (b"something else", "no image"),
    ],
)
def test_what_is_no_image_is_refused(data: bytes, says: str) -> None:
    with pytest.raises(InputError, match=says):
        open_image(DumpContent(data))


@given(
    st.sampled_from([lime, elf]),
    st.integers(0, 30_000),
    st.lists(st.tuples(st.integers(0, 600), st.binary(min_size=1, max_size=8)), max_size=4),
)
def test_damage_gives_an_image_or_one_sentence(
    write: Callable[[PageBytes], bytes], keep: int, changes: list[tuple[int, bytes]]
) -> None:
    data = bytearray(write(lambda number: bytes([number & 0xFF]) * PAGE))
    for at, new in changes:
        data[at : at + len(new)] = new
    try:
        image = open_image(DumpContent(bytes(data[:keep])))
    except InputError:
        return
    image.memory.gather(np.array([0, 1, 2, 0x100, 0x80000, 1 << 50], np.int64))
    image.memory.read_physical(0x1000, 100)
    assert image.memory.pages_cut_off <= image.memory.pages
