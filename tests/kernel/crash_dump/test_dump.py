"""Any dump that is cut or changed gives a result or one sentence; the marks outrank the number in the header."""

import struct
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from poolsleuth.kernel.absence import Absence
from poolsleuth.kernel.crash_dump.content import PAGE, DumpContent, open_content
from poolsleuth.kernel.crash_dump.dump import Container, open_dump
from poolsleuth.model.errors import InputError

Writer = Callable[..., bytes]
MAX_FLAWS = 12


@pytest.fixture(scope="module")
def dumps(
    complete_dump: Writer, bitmap_dump: Writer, legacy_dump: Writer, debugger_dump: Writer, triage_dump: Writer
) -> list[bytes]:
    drivers = [("nt.exe", 0x80400000, 0x1000, 0, 0), ("b.sys", 0x80600000, 0x1000, 0, 0)]
    found = [debugger_dump([(3, 1), (5, 2)], kind=kind) for kind in (8, 9, 10)]
    for wide in (False, True):
        found += [
            complete_dump(wide, [(1, 2), (6, 1)]),
            bitmap_dump(wide, {1, 4}, 9),
            legacy_dump(wide, {1, 4}, 9),
            triage_dump(wide, drivers, [("c.sys", 1, 2)], blocks=[(0x80400000, b"MZ")]),
        ]
    return found


def check(data: bytes) -> None:
    try:
        dump = open_dump(DumpContent(data))
    except InputError:
        return
    assert len(dump.flaws) <= MAX_FLAWS
    assert all(flaw.says for flaw in dump.flaws)
    if dump.memory is not None:
        for page in range(8):
            got = dump.memory.read_physical(page * PAGE, PAGE)
            assert isinstance(got, Absence) or len(got) == PAGE
    if dump.triage is not None:
        assert len(dump.triage.drivers) <= 5000
        dump.triage.blocks.read(0x80400000, 2)


# Where numbers lie that say how much there is or where; and any other place
PLACES = st.one_of(
    st.sampled_from([0x64, 0x68, 0x88, 0x90, 0x98, 0xA0, 0xF88, 0xF98]),
    st.integers(0x1000, 0x10A0),
    st.integers(0x2000, 0x20C0),
    st.integers(0, 0x2400),
)
VALUES = st.one_of(
    st.sampled_from([0, 1, 0x7F, 0xFFF, 0xFFFFFFFF, 1 << 32, 1 << 52, 1 << 63, (1 << 64) - 1]), st.integers(0, 1 << 16)
)


@given(draws=st.data())
def test_any_change_and_cut(draws: st.DataObject, dumps: list[bytes]) -> None:
    data = bytearray(draws.draw(st.sampled_from(dumps)))
    for _ in range(draws.draw(st.integers(0, 4))):
        at = min(draws.draw(PLACES), len(data) - 8)
        width, layout = draws.draw(st.sampled_from([(1, "B"), (4, "<I"), (8, "<Q")]))
        struct.pack_into(layout, data, at, draws.draw(VALUES) & ((1 << 8 * width) - 1))
    check(bytes(data[: draws.draw(st.one_of(st.just(len(data)), st.integers(0, len(data))))]))


@pytest.mark.parametrize(
    ("kind", "container"), [(0x45474150, Container.BITMAP), (1, Container.BITMAP), (99, Container.BITMAP)]
)
def test_the_mark_outranks_the_number(bitmap_dump: Writer, kind: int, container: Container) -> None:
    dump = open_dump(DumpContent(bitmap_dump(True, {1, 4}, 9, kind=kind)))
    assert dump.container is container
    assert dump.memory is not None


def test_header_only_and_unknown(dump_header: Callable[..., bytearray]) -> None:
    dump = open_dump(DumpContent(bytes(dump_header(True, 3))))
    assert (dump.container, dump.memory, dump.flaws) == (Container.HEADER_ONLY, None, ())
    dump = open_dump(DumpContent(bytes(dump_header(True, 77)) + bytes(PAGE)))
    assert dump.container is Container.UNKNOWN
    assert "(77)" in dump.flaws[0].says


def test_pages_of_ia64_are_not_guessed(complete_dump: Writer) -> None:
    dump = open_dump(DumpContent(complete_dump(True, [(1, 2)], machine=0x200)))
    assert dump.memory is None
    assert "IA64" in dump.flaws[0].says


def test_a_mapped_file_reads_as_its_bytes(complete_dump: Writer, tmp_path: Path) -> None:
    data = complete_dump(True, [(1, 2)])
    path = tmp_path / "a.dmp"
    path.write_bytes(data)
    with path.open("rb") as file, open_content(file) as content:
        memory = open_dump(content).memory
        assert memory is not None
        assert memory.read_physical(PAGE, 2 * PAGE) == data[0x2000:]


def test_an_empty_file(tmp_path: Path) -> None:
    path = tmp_path / "empty.dmp"
    path.touch()
    with path.open("rb") as file, pytest.raises(InputError, match="mapped"), open_content(file):
        pass
