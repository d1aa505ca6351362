"""Names of counters, and times of series."""

from datetime import UTC, datetime
from math import inf, nan

import pytest
from hypothesis import given
from hypothesis import strategies as st

from poolsleuth.model.series import CounterPath, moment


@pytest.mark.parametrize(
    ("path", "text"),
    [
        (CounterPath("SRV", "Memory", None, "Pool Nonpaged Bytes"), r"\\SRV\Memory\Pool Nonpaged Bytes"),
        (CounterPath("SRV", "Process", "svchost#2", "Handle Count"), r"\\SRV\Process(svchost#2)\Handle Count"),
        (CounterPath(None, "Memory", None, "Pool Paged Bytes"), r"\Memory\Pool Paged Bytes"),
        (CounterPath(None, "Thread", "a/1", "% Processor Time"), r"\Thread(a/1)\% Processor Time"),
        (CounterPath("SRV", "Process", "", "Handle Count"), r"\\SRV\Process()\Handle Count"),  # empty is not none
        (CounterPath("", "Memory", None, "X"), r"\Memory\X"),
    ],
)
def test_the_path_as_windows_writes_it(path: CounterPath, text: str) -> None:
    assert path.text == text


def test_paths_are_compared_by_their_parts() -> None:
    assert CounterPath("SRV", "Process", None, "X") != CounterPath("SRV", "Process", "", "X")
    assert len({CounterPath("A", "B", None, "C"), CounterPath("A", "B", None, "C")}) == 1


@pytest.mark.parametrize("seconds", [None, nan, inf, -inf, -1.0, -1e-9, 32_503_680_000.0, 1e18, 1e308])
def test_what_is_no_time(seconds: float | None) -> None:
    assert moment(seconds) is None


def test_times() -> None:
    assert moment(0.0) == datetime(1970, 1, 1, tzinfo=UTC)
    assert moment(1_480_196_790.874) == datetime(2016, 11, 26, 21, 46, 30, 874_000, tzinfo=UTC)
    assert moment(32_503_679_999.0) == datetime(2999, 12, 31, 23, 59, 59, tzinfo=UTC)


@given(st.floats(allow_nan=True))
def test_any_number_is_a_time_or_none(seconds: float) -> None:
    at = moment(seconds)
    if at is not None:
        assert at.tzinfo is UTC
        assert abs(at.timestamp() - seconds) < 1e-5
