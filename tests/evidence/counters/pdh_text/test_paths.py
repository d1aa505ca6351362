"""Counter paths."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from poolsleuth.evidence.counters.pdh_text.paths import counter_path
from poolsleuth.model.series import CounterPath


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (r"\\H\Memory\Pool Paged Bytes", ("H", "Memory", None, "Pool Paged Bytes")),
        (r"\Memory\Pool Paged Bytes", (None, "Memory", None, "Pool Paged Bytes")),
        (r"\Process(svchost#2)\Handle Count", (None, "Process", "svchost#2", "Handle Count")),
        (r"\\h\Thread(a/0)\% Processor Time", ("h", "Thread", "a/0", "% Processor Time")),
        (r"\\h\SMB Client Shares(\srv\d$)\Read Bytes/sec", ("h", "SMB Client Shares", r"\srv\d$", "Read Bytes/sec")),
        (r"\\h\Network Interface(intel[r] x (2))\Bytes/sec", ("h", "Network Interface", "intel[r] x (2)", "Bytes/sec")),
        # From the counters of ESXTOP and of the directory service
        (r"\\h\Memory\Memory Overcommit (1 Minute Avg)", ("h", "Memory", None, "Memory Overcommit (1 Minute Avg)")),
        (
            r"\\h\Database ==> Instances(lsass/NTDSA)\I/O Database Reads (Attached)/sec",
            ("h", "Database ==> Instances", "lsass/NTDSA", "I/O Database Reads (Attached)/sec"),
        ),
        (r"\\h\Group Cpu(1:idle)\Members", ("h", "Group Cpu", "1:idle", "Members")),
        (r"\\h\Odd (old)(x)\Count", ("h", "Odd (old)", "x", "Count")),
        (r"\\h\Process()\Handle Count", ("h", "Process", "", "Handle Count")),
    ],
)
def test_path(text: str, expected: tuple[str | None, str, str | None, str]) -> None:
    path = counter_path(text)
    assert path == CounterPath(*expected)
    assert path.text == text


@pytest.mark.parametrize(
    "text", ["", "x", "\\", "\\\\", "\\\\h", "\\\\h\\", r"\\h\Memory", r"\Memory(", r"\a(b\c", "a\\b\\c"]
)
def test_no_path(text: str) -> None:
    assert counter_path(text) is None


@settings(deadline=None)
@given(st.text(alphabet="\\()ab /[]#", max_size=40))
def test_any_text(text: str) -> None:
    path = counter_path(text)
    assert path is None or (path.object and path.counter)
