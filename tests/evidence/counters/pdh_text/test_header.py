"""Header lines: the zone, the paths, the delimiter."""

import pytest

from poolsleuth.evidence.counters.pdh_text import header as module
from poolsleuth.evidence.counters.pdh_text.header import is_damaged_header, looks_like_pdh_text, parse_header
from poolsleuth.model.series import CounterPath

PATH = r"\\H\Memory\Pool Paged Bytes"


@pytest.mark.parametrize(
    ("first", "bias", "utc"),
    [
        ("(PDH-CSV 4.0) (Pacific Standard Time)(480)", 480, False),
        ("(PDH-CSV 4.0) (W. Europe Standard Time)(-60)", -60, False),
        ("(PDH-CSV 4.0)", None, False),
        ("(PDH-CSV 4.0) (UTC)(0)", 0, True),
        ("(PDH-CSV 4.0) (GMT Standard Time)(0)", 0, False),
        ("(PDH-CSV 4.0) (a (2), b (heure d)(-120)", -120, False),
        ("(PDH-CSV 4.0) (Paris, Madrid (heure d", None, False),
        ("(PDH-CSV 4.0) (x)(99999)", None, False),
        ("(Pacific Daylight Time)(420)", 420, False),
        ("Zeitstempel", None, False),
        ("time", None, False),
    ],
)
def test_first_cell(first: str, bias: int | None, utc: bool) -> None:
    header = parse_header(f'"{first}","{PATH}"'.encode())
    assert header is not None
    assert (header.bias, header.utc) == (bias, utc)
    assert header.paths == (CounterPath("H", "Memory", None, "Pool Paged Bytes"),)
    assert header.width == 2


@pytest.mark.parametrize(
    "line",
    [b"", b'"time","value"', b'"(x)(1)","y"', b'"11/26/2016 13:46:30.874","1"', b"time,\\\\server", b"(1)(2)(3)"],
)
def test_no_header(line: bytes) -> None:
    assert parse_header(line) is None


@pytest.mark.parametrize(
    "line",
    [
        f'"(PDH-CSX 4.0) (Pacific Standard Time)(480)","{PATH}"',
        f'"(PDX-CSV 4.0) (Pacific Standard Time)(480)","{PATH}"',
        '"(PDH-CSV 4',
        f'ific Standard Tim","{PATH}","{PATH}"',
        '"11/26/2016 13:46:30.874","1.5","2"',
        "11/26/2016 13:46:30.874\t1.5",
    ],
)
def test_a_damaged_header_is_seen(line: str) -> None:
    assert looks_like_pdh_text(f"\ufeff{line}\r\nmore")


@pytest.mark.parametrize(
    "line",
    [
        "*** Virtual Memory Usage ***",
        "kd> !vm",
        'time,tag,type,"bytes"',
        r'the files "C:\a\b", "C:\c\d" and "\\server\share" are large',
        "11/26/2016 13:46:30.874 kd> !vm",
        "see the PDH-CSV below",
    ],
)
def test_other_text_is_no_damaged_header(line: str) -> None:
    assert not is_damaged_header(line)


def test_captions_and_empty_cells_are_no_counters() -> None:
    header = parse_header(f'"(PDH-CSV 4.0)","{PATH}","night run, see (1)",""'.encode())
    assert header is not None
    assert header.paths[1:] == (None, None)
    assert header.width == 2


def test_delimiters_in_names() -> None:
    header = parse_header(b'"(PDH-CSV 4.0)","\\\\H\\Process(a,b;c\td)\\Handle Count","\\\\H\\X(q"r)\\Y"')
    assert header is not None
    assert header.delimiter == ","
    assert [path and path.instance for path in header.paths] == ["a,b;c\td", 'q"r']


def test_quotes_that_a_spreadsheet_doubled() -> None:
    header = parse_header(b'(PDH-CSV 4.0),"\\\\H\\Process(a,""b"")\\Handle Count",\\\\H\\System\\Threads')
    assert header is not None
    assert [path and path.instance for path in header.paths] == ['a,"b"', None]


def test_columns_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_COLUMNS", 3)
    header = parse_header(('"(PDH-CSV 4.0)"' + f',"{PATH}"' * 5).encode())
    assert header is not None
    assert (len(header.paths), header.cut) == (3, 2)


@pytest.mark.parametrize("quote", ['"', ""])
def test_of_columns_beyond_the_bound_nothing_is_kept(quote: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_COLUMNS", 3)
    line = f"{quote}(PDH-CSV 4.0){quote}" + f",{quote}{PATH}{quote}" * 50
    header = parse_header(line.encode())
    assert header is not None
    assert (len(header.paths), header.cut) == (3, 47)
