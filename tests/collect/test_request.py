"""What may stand in a command line, and what may not."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from poolsleuth.collect.request import (
    DAY,
    FEWEST_SAMPLES,
    HOUR,
    MINUTE,
    Request,
    check,
    check_folder,
    check_host,
    check_tag,
    read_span,
    span_text,
    tag_filter,
    usual_interval,
)
from poolsleuth.windows.builds import WindowsVersion, parse_os_name
from poolsleuth.windows.tag_patterns import covers

A_DAY = Request(windows=None, duration=DAY, interval=300, max_mb=300, folder="C:\\PoolLogs")
PRINTABLE = "".join(map(chr, range(32, 127)))


def windows(name: str) -> WindowsVersion:
    match = parse_os_name(name)
    assert match is not None
    return match.version


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90", 90), ("90s", 90), ("5min", 300), ("5 m", 300), ("24h", DAY), ("7d", 7 * DAY), ("2w", 14 * DAY)],
)
def test_span(text: str, seconds: int) -> None:
    assert read_span(text) == seconds


@pytest.mark.parametrize("text", ["", "h", "-5m", "1.5h", "24x", "5m5s", "9" * 30, "٣h"])
def test_what_is_no_span(text: str) -> None:
    with pytest.raises(ValueError, match="is not a time: write a number with a unit"):
        read_span(text)


@pytest.mark.parametrize("text", ["0", "0s", "00h"])
def test_a_span_of_nothing(text: str) -> None:
    with pytest.raises(ValueError, match=f"'{text}' must be longer than 0"):
        read_span(text)


@given(st.integers(1, 90 * DAY))
def test_span_text_says_the_same(seconds: int) -> None:
    assert read_span(span_text(seconds)) == seconds


@pytest.mark.parametrize(
    ("text", "folder"),
    [("C:\\PoolLogs", "C:\\PoolLogs"), ("d:\\a b\\c.1\\", "d:\\a b\\c.1"), ("C:\\PerfLogs", "C:\\PerfLogs")],
)
def test_folder(text: str, folder: str) -> None:
    assert check_folder(text) == folder


@pytest.mark.parametrize(
    "text",
    [
        "", "C:", "C:\\", "PoolLogs", "\\pool", "C:pool", "\\\\server\\share", "C:\\a\\..\\b", "C:\\a\\\\b", "C:/a",
        'C:\\a"b', "C:\\a&calc", "C:\\%TEMP%", "C:\\a^b", "C:\\a!b", "C:\\$(x)", "C:\\a'b", "C:\\a;b", "C:\\a\nb",
        "C:\\a ", "C:\\a.", "C:\\nul", "C:\\x\\COM1.txt", "C:\\ä", "C:\\" + "a" * 200,
    ],
)  # fmt: skip
def test_what_is_no_folder(text: str) -> None:
    with pytest.raises(ValueError, match="cannot be the folder on the server"):
        check_folder(text)


@pytest.mark.parametrize(("text", "host"), [("SRV1", "SRV1"), ("\\\\srv-1.example.com", "srv-1.example.com")])
def test_host(text: str, host: str) -> None:
    assert check_host(text) == host


@pytest.mark.parametrize("text", ["", "-s", "a b", "a&b", "a\\b", "%X%", "a.", "\\\\\\a", "ä", "a" * 300, "a\n"])
def test_what_is_no_host(text: str) -> None:
    with pytest.raises(ValueError, match="is not a computer name"):
        check_host(text)


@pytest.mark.parametrize("text", ["", "    ", "MmStx", "Mm\t", "Mm\n", "Mmä", "\x7f", "Mm\x00"])
def test_what_is_no_tag(text: str) -> None:
    with pytest.raises(ValueError, match="is not a pool tag: a tag has one to four printable ASCII characters"):
        check_tag(text)


@pytest.mark.parametrize(
    ("tag", "expected"), [("MmSt", "MmSt"), ("Irp ", "Irp?"), ("Io", "Io??"), ("MSb+", "MSb?"), ('a"%', "a???")]
)
def test_filter(tag: str, expected: str) -> None:
    assert tag_filter(check_tag(tag)) == expected


@given(st.text(PRINTABLE, min_size=1, max_size=4).filter(str.strip))
def test_a_filter_covers_its_tag_and_holds_nothing_that_speaks_to_a_shell(tag: str) -> None:
    text = tag_filter(check_tag(tag))
    assert len(text) == 4
    assert covers(text, tag)
    assert all(character.isascii() and (character.isalnum() or character in "_?") for character in text)


@pytest.mark.parametrize(
    ("duration", "interval"),
    [(MINUTE, 2), (10 * MINUTE, 20), (HOUR, 60), (8 * HOUR, 60), (12 * HOUR, 120), (DAY, 300), (30 * DAY, 300)],
)
def test_usual_interval(duration: int, interval: int) -> None:
    assert usual_interval(duration) == interval


@given(st.integers(MINUTE, 90 * DAY))
def test_usual_interval_is_always_accepted(duration: int) -> None:
    request = check(replace(A_DAY, duration=duration, interval=usual_interval(duration)))
    assert request.samples >= FEWEST_SAMPLES


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"duration": 59}, "--for must lie between"),
        ({"duration": 91 * DAY}, "--for must lie between"),
        ({"interval": 2 * HOUR}, "--interval must lie between"),
        ({"duration": HOUR, "interval": 600}, "--interval 10 min gives 6 samples in 1 h"),
        ({"max_mb": 9}, "--max-size must lie between 10MB and 1000MB"),
        ({"max_mb": 1001}, "--max-size must lie between"),
        ({"tags": ("A", "B", "C", "D", "E")}, "at most 4 tags, not 5"),
        ({"tags": ("MmSt", "+;&%")}, "cannot be traced alone"),
        ({"tags": ("MmSt",), "windows": windows("2008")}, "Windows Server 2008 SP2 cannot trace|Server 2008 cannot"),
        ({"tags": ("MmSt",), "remote": "SRV1"}, "run it on SRV1"),
        ({"windows": windows("2000"), "remote": "SRV1"}, "Windows 2000 has no logman"),
        ({"remote": "SRV1", "counters": False}, "only counters can be collected with --remote"),
        ({"counters": False, "poolmon": False}, "nothing is left to collect"),
    ],
)
def test_what_does_not_go_together(change: dict[str, object], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        check(replace(A_DAY, **change))  # type: ignore[arg-type]


def test_snapshots_are_not_taken_more_often_than_each_minute() -> None:
    request = replace(A_DAY, duration=HOUR, interval=5)
    assert (request.snapshot_interval, request.snapshots, request.samples) == (60, 60, 720)
