"""Figures of memory, of the machine and of its clock."""

from contextlib import suppress
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from poolsleuth.model.errors import InputError
from poolsleuth.sampling.live.figures import (
    BASIC_SIZES,
    PAGE_SIZES,
    PERFORMANCE_SIZES,
    TIME_SIZES,
    Basic,
    decode_basic,
    decode_clock,
    decode_performance,
)
from poolsleuth.sampling.live.tag_tables import Buffer
from poolsleuth.sampling.sample import MEMORY_FIGURES

if TYPE_CHECKING:
    from sampling.conftest import Writer

PAGES = st.integers(0, 2**32 - 1)
NAMES = {
    "available": "AvailablePages",
    "committed": "CommittedPages",
    "commit_limit": "CommitLimit",
    "commit_peak": "PeakCommitment",
    "paged_used": "PagedPoolPages",
    "nonpaged_used": "NonPagedPoolPages",
    "paged_resident": "ResidentPagedPoolPage",
}


def buffer(data: bytes) -> Buffer:
    return np.frombuffer(data, np.uint8)


@given(
    pages=st.integers(1, 2**32 - 1), processors=st.integers(1, 64), page=st.sampled_from(PAGE_SIZES), wide=st.booleans()
)
def test_basic_information_comes_back(
    pages: int, processors: int, page: int, wide: bool, writer: "type[Writer]"
) -> None:
    data = writer(wide).basic(pages, processors, page)
    assert len(data) == BASIC_SIZES[wide]
    assert decode_basic(buffer(data), wide) == Basic(page, pages, processors)


@pytest.mark.parametrize(("page", "pages"), [(0, 100), (4095, 100), (4096, 0), (0xFFFF_FFFF, 100)])
def test_impossible_basic_information_is_refused(page: int, pages: int, writer: "type[Writer]") -> None:
    with pytest.raises(InputError, match="cannot be right"):
        decode_basic(buffer(writer(True).basic(pages, page=page)), True)


def test_short_basic_information_is_refused(writer: "type[Writer]") -> None:
    with pytest.raises(InputError, match="44 bytes of basic information, and 64 are needed"):
        decode_basic(buffer(writer(False).basic(100)), True)


@given(
    values=st.fixed_dictionaries(dict.fromkeys(NAMES, PAGES)),
    counts=st.tuples(PAGES, PAGES, PAGES, PAGES),
    size=st.sampled_from(PERFORMANCE_SIZES),
)
def test_performance_figures_come_back(
    values: dict[str, int], counts: tuple[int, int, int, int], size: int, writer: "type[Writer]"
) -> None:
    faults, entries, code, drivers = counts
    members = {NAMES[name]: value for name, value in values.items()}
    members |= {"PageFaultCount": faults, "FreeSystemPtes": entries}
    members |= {"ResidentSystemCodePage": code, "ResidentSystemDriverPage": drivers}
    found = decode_performance(buffer(writer(True).performance(members, size)), 4096)
    assert found == {name: value * 4096 for name, value in values.items()} | {
        "page_faults": faults,
        "free_system_ptes": entries,
        "kernel_resident": (code + drivers) * 4096,
    }
    assert {*found, "physical"} == set(MEMORY_FIGURES)


@given(cut=st.integers(0, 0xB0))
def test_figures_beyond_the_end_are_left_out(cut: int, writer: "type[Writer]") -> None:
    whole = decode_performance(buffer(writer(True).performance({})), 4096)
    part = decode_performance(buffer(writer(True).performance({})[:cut]), 4096)
    assert part == {name: whole[name] for name in part}
    assert ("available" in part) == (cut >= 0x30)
    assert ("paged_resident" in part) == (cut >= 0xAC)


@given(now=st.integers(946_684_801, 4_000_000_000), up=st.integers(0, 900_000_000), zone=st.integers(-50_000, 50_000))
def test_the_clock_comes_back(now: int, up: int, zone: int, writer: "type[Writer]") -> None:
    data = writer(True).clock(now, now - up, zone)
    assert len(data) == TIME_SIZES[0]
    for size in TIME_SIZES:
        clock = decode_clock(buffer(data[:size]))
        assert clock.now == now
        assert clock.booted == (now - up if now - up >= 946_684_800 else None)
        assert clock.zone == zone


@pytest.mark.parametrize("now", [0.0, 946_684_799.0, 40_000_000_000.0])
def test_a_time_that_is_no_date_is_refused(now: float, writer: "type[Writer]") -> None:
    with pytest.raises(InputError, match="no date"):
        decode_clock(buffer(writer(True).clock(now, now)))


def test_a_start_after_now_is_not_known(writer: "type[Writer]") -> None:
    assert decode_clock(buffer(writer(True).clock(1.7e9, 1.7e9 + 1))).booted is None


@given(data=st.binary(max_size=400), wide=st.booleans())
def test_any_bytes_give_figures_or_a_sentence(data: bytes, wide: bool) -> None:
    figures = decode_performance(buffer(data), 4096)
    assert len(figures) == 0 or len(data) >= 0x30
    for decode in (lambda: decode_basic(buffer(data), wide), lambda: decode_clock(buffer(data))):
        with suppress(InputError):
            decode()
