"""Counter logs of machines with any figures: text and both kinds of binary logs say the same."""

import io
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from poolsleuth.evidence.counters.blg.reader import BlgReader
from poolsleuth.evidence.counters.pdh_text.reader import PdhTextReader
from poolsleuth.lab.catalogue import windows_named
from poolsleuth.lab.course.moment import Moment
from poolsleuth.lab.course.writers.blg import Form, write_blg
from poolsleuth.lab.course.writers.counter_csv import write_counter_csv
from poolsleuth.lab.machine import Machine, Process
from poolsleuth.lab.stories import make_machine, small_size

FORMS: tuple[Form, ...] = ("counters", "objects")
BASES = {name: make_machine(windows_named(name), size=small_size()) for name in ("3790-x86", "22000-x64")}

# Bytes of 63 bits hold 2**51 pages; beyond 2**53 bytes text and binary would differ by what a double can hold
_PAGES = st.sampled_from([0, 1, 2**20, 2**32]) | st.integers(0, 2**40)
_NAMES = st.text(
    st.characters(min_codepoint=0x21, max_codepoint=0x7E, exclude_characters='"/\\()[],'), min_size=1, max_size=15
)


@st.composite
def _machines(draw: st.DrawFn) -> Machine:
    base = BASES[draw(st.sampled_from(sorted(BASES)))]
    memory = replace(
        base.memory,
        available=draw(_PAGES),
        nonpaged_used=draw(_PAGES),
        paged_used=draw(_PAGES),
        committed=draw(st.integers(0, 2**32 - 1)),
        commit_limit=draw(st.integers(1, 2**32 - 1)),
        free_system_ptes=draw(st.integers(0, 2**32 - 1) | st.none()),
    )
    processes = tuple(
        Process(
            pid=4 * (number + 1), parent=0, name=name, session=None, handles=draw(st.integers(0, 2**24) | st.none())
        )
        for number, name in enumerate(draw(st.lists(_NAMES, min_size=1, max_size=6)))
    )
    return replace(base, memory=memory, processes=processes)


def rows(reader: Any) -> list[dict[str, float]]:
    found = list(reader.rows())
    return [{reader.columns[number].text: value for number, value in row.cells.items()} for row in found]


@settings(max_examples=40, deadline=None)
@given(machine=_machines(), seconds=st.integers(1, 10**7), busy=st.floats(0, 1))
def test_all_logs_say_the_same(
    tmp_path_factory: pytest.TempPathFactory, machine: Machine, seconds: int, busy: float
) -> None:
    folder = tmp_path_factory.mktemp("any")
    moments = [Moment(machine.booted_at + timedelta(seconds=seconds * n), machine, busy) for n in (1, 2)]
    write_counter_csv(folder / "a.csv", moments)
    text = rows(PdhTextReader(io.BytesIO((folder / "a.csv").read_bytes()), 0, lambda _: True, lambda: None))
    assert text[1][r"\\LAB-SERVER\Memory\Pool Nonpaged Bytes"] == (machine.memory.nonpaged_used or 0) * 4096
    for form in FORMS:
        write_blg(folder / f"{form}.blg", moments, form=form)
        with (folder / f"{form}.blg").open("rb") as file:
            binary = rows(BlgReader(file, 0, lambda _: True, lambda _: None))
        for expected, found in zip(text, binary, strict=True):
            assert expected.keys() == found.keys()
            for name, value in expected.items():
                assert found[name] == pytest.approx(value, rel=1e-12, abs=1e-9), (form, name)
