"""The list of processes."""

from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from poolsleuth.sampling.live import processes
from poolsleuth.sampling.live.processes import decode_processes
from poolsleuth.sampling.live.tag_tables import Buffer
from poolsleuth.sampling.sample import ProcessRow

if TYPE_CHECKING:
    from sampling.conftest import Writer

BASE = 0x7FF0_1000
WORD = st.integers(0, 2**32 - 1)
PROCESS = st.tuples(
    WORD,
    st.text(st.characters(codec="utf-16"), min_size=1, max_size=20),
    WORD,
    st.integers(0, 2**32 - 2),
    WORD,
    WORD,
    st.integers(0, 3),
)
Given = tuple[int, str, int, int, int, int, int]


def buffer(data: bytes) -> Buffer:
    return np.frombuffer(data, np.uint8)


@given(rows=st.lists(PROCESS, min_size=1, max_size=8), wide=st.booleans())
def test_processes_come_back(rows: list[Given], wide: bool, writer: "type[Writer]") -> None:
    write = writer(wide)
    data = write.processes([write.process(*row) for row in rows], BASE)
    found, note = decode_processes(buffer(data), wide, BASE)
    assert note is None
    assert found == tuple(
        ProcessRow(pid, name, handles, nonpaged, paged, session)
        for pid, name, handles, session, nonpaged, paged, _ in rows
    )


@given(quota=st.integers(0, 2**64 - 1))
def test_quotas_have_64_bits(quota: int, writer: "type[Writer]") -> None:
    write = writer(True)
    data = write.processes([write.process(8, "a.exe", 1, 0, quota, quota // 2, 1)], BASE)
    (row,), _ = decode_processes(buffer(data), True, BASE)
    assert (row.nonpaged, row.paged) == (quota, quota // 2)


@pytest.mark.parametrize("wide", [True, False])
def test_processes_without_a_name(wide: bool, writer: "type[Writer]") -> None:
    write = writer(wide)
    data = write.processes([write.process(pid, "", 1, 0xFFFF_FFFF, 0, 0, 1) for pid in (0, 4, 8)], BASE)
    found, _ = decode_processes(buffer(data), wide, BASE)
    assert [row.name for row in found] == ["Idle", "System", ""]
    assert [row.session for row in found] == [None] * 3


@pytest.mark.parametrize("wide", [True, False])
def test_a_name_elsewhere_is_not_read(wide: bool, writer: "type[Writer]") -> None:
    write = writer(wide)
    data = write.processes([write.process(8, "agent.exe", 1, 0, 0, 0, 1)], BASE)
    half_outside = BASE + 10 - len(data) + data.index("agent".encode("utf-16-le"))
    for base in (BASE + 4096, BASE - 4096, 0, half_outside):
        (row,), _ = decode_processes(buffer(data), wide, base)
        assert row.name == ""


def test_a_long_name_is_cut(writer: "type[Writer]") -> None:
    write = writer(True)
    data = write.processes([write.process(8, "x" * 5000, 1, 0, 0, 0, 1)], BASE)
    (row,), _ = decode_processes(buffer(data), True, BASE)
    assert row.name == "x" * (processes.MAX_NAME_BYTES // 2)


@pytest.mark.parametrize("wide", [True, False])
@pytest.mark.parametrize("link", [1, 100, 2**31, 2**32 - 1])
def test_a_link_that_leads_nowhere_is_said(link: int, wide: bool, writer: "type[Writer]") -> None:
    write = writer(wide)
    data = write.processes([write.process(8, "a.exe", 1, 0, 0, 0, 1)], BASE)
    found, note = decode_processes(buffer(link.to_bytes(4, "little") + data[4:]), wide, BASE)
    assert [row.pid for row in found] == [8]
    assert note is not None
    assert note.startswith("The list of processes")


def test_the_number_of_processes_is_bounded(writer: "type[Writer]", monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "MAX_PROCESSES", 2)
    write = writer(True)
    data = write.processes([write.process(pid, "a.exe", 1, 0, 0, 0, 1) for pid in range(3)], BASE)
    found, note = decode_processes(buffer(data), True, BASE)
    assert len(found) == 2
    assert note == "Only the first 2 processes are read."


@given(data=st.data())
def test_any_damage_ends_in_a_list(data: st.DataObject, writer: "type[Writer]") -> None:
    wide = data.draw(st.booleans())
    write = writer(wide)
    raw = bytearray(write.processes([write.process(pid, "a.exe", 1, 0, 0, 0, 1) for pid in range(3)], BASE))
    for place, value in data.draw(st.lists(st.tuples(st.integers(0, len(raw) - 1), st.integers(0, 255)), max_size=8)):
        raw[place] = value
    cut = raw[: data.draw(st.integers(0, len(raw)))]
    found, note = decode_processes(buffer(bytes(cut)), wide, BASE)
    assert len(found) <= 1 + len(cut) // 184
    assert note is not None or len(cut) >= 184
