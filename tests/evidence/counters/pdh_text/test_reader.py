"""The reader on logs that are written in every dialect known, on damaged ones, and on those that must be refused."""

import io
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from poolsleuth.evidence.counters.pdh_text import PdhTextReader, columns, header, looks_like_pdh_text

Read = Callable[..., Any]
Make = Callable[..., Any]

NONPAGED = r"\\HOST\Memory\Pool Nonpaged Bytes"
PAGED = r"\\HOST\Memory\Pool Paged Bytes"
HANDLES = r"\\HOST\Process(svc (x)\y)\Handle Count"
PATHS = [NONPAGED, PAGED, HANDLES]
ROWS: list[list[Any]] = [[28422144.0, None, 0.1], [28782592.0, 7.5e7, None], [3.0, 1.5, 17.512710432621848]]
START = datetime(2024, 11, 20, 13, 46, 30, 874000, tzinfo=UTC)

DIALECTS: dict[str, dict[str, Any]] = {
    "csv": {},
    "tsv": {"first": "(PDH-TSV 4.0) (Pacific Standard Time)(480)", "delimiter": "\t"},
    "no prefix": {"first": "(Pacific Daylight Time)(420)", "bias": 420},
    "east": {"first": "(PDH-CSV 4.0) (W. Europe Standard Time)(-60)", "bias": -60},
    "esxtop": {"first": "(PDH-CSV 4.0) (UTC)(0)", "bias": 0},
    "commas in the zone": {"first": "(PDH-CSV 4.0) (Paris, Madrid (heure d'été))(-120)", "bias": -120},
    "cut zone": {"first": "(PDH-CSV 4.0) (Amsterdam, Berlin (Zeitz)(-60)", "bias": -60},
    "caption": {"caption": "Collected by night, see (1)"},
    "unix": {"end": "\n"},
    "mac": {"end": "\r"},
    "byte order mark": {"bom": "\ufeff"},
    "utf-16": {"encoding": "utf-16"},
    "utf-16 without mark": {"encoding": "utf-16-le"},
    "utf-16 big": {"encoding": "utf-16-be", "bom": "\ufeff"},
    "empty for missing": {"missing": ""},
    "typeperf": {
        "before": 'C:\\>typeperf "\\Memory\\Pool Nonpaged Bytes" -sc 3\r\n\r\n',
        "after": "\r\nExiting, please wait...                         \r\nThe command completed successfully.\r\n",
    },
    "blank line first": {"before": "\r\n"},
    "unquoted": {"quoted": False, "missing": ""},
    "decimal comma": {"quoted": False, "delimiter": ";", "comma": True, "missing": ""},
    "decimal comma in quotes": {"comma": True},
    "iso dates": {"first": "time", "date": "%Y-%m-%dT%H:%M:%S.%fZ"[:-1], "bias": 0},
    "german dates": {"first": "(PDH-CSV 4.0) (x)(-60)", "date": "%d.%m.%Y %H:%M:%S.%f", "bias": -60},
    "day first": {"date": "%d/%m/%Y %H:%M:%S.%f"},
    "twelve hours": {"date": "%m/%d/%Y %I:%M:%S %p", "quoted": False, "missing": ""},
}


def make(dialect: Make, name: str) -> Any:
    return dialect(**DIALECTS[name])


@pytest.mark.parametrize("name", DIALECTS)
def test_every_dialect(name: str, dialect: Make, read: Read) -> None:
    data = make(dialect, name).write(PATHS, ROWS)
    outcome = read(data)
    assert outcome.error is None
    assert outcome.problems == []
    assert [path.text for path in outcome.columns] == PATHS
    assert outcome.values == [
        {path: value for path, value in zip(PATHS, row, strict=True) if value is not None} for row in ROWS
    ]
    milliseconds = 0.874 if "%f" in make(dialect, name).date else 0.0
    first = START.replace(microsecond=0).timestamp() + milliseconds
    assert outcome.times == pytest.approx([first, first + 15, first + 30], abs=1e-4)
    assert outcome.utc is (name != "iso dates")


@pytest.mark.parametrize("name", DIALECTS)
def test_every_dialect_is_recognised(name: str, dialect: Make) -> None:
    one = make(dialect, name)
    assert looks_like_pdh_text(one.write(PATHS, ROWS).decode(one.encoding))


def test_long_header_is_recognised_by_its_beginning(dialect: Make) -> None:
    paths = [rf"\\HOST\Process(name{n})\Handle Count" for n in range(5000)]
    assert looks_like_pdh_text(dialect().write(paths, [])[: 64 << 10].decode())


@pytest.mark.parametrize(
    "text",
    [
        "",
        "time,tag,type,bytes\n2024-01-01,Thre,Nonp,5\n",
        "name,path\nbackup,\\\\server\\share\\file\n",
        "kd> !vm\n\n*** Virtual Memory Usage ***\n",
        " Memory:49371552K Avail:26121028K  PageFlts:901597864\n",
        "(PDH) is the Performance Data Helper\n",
        "rem\nAfdB - afd.sys - AFD buffers\n",
    ],
)
def test_other_text_is_not_recognised(text: str, read: Read) -> None:
    assert not looks_like_pdh_text(text)
    assert read(text.encode()).error is not None


@pytest.mark.parametrize(("at", "byte"), [(2, b"?"), (6, b"X"), (8, b"0")])
def test_a_damaged_header_is_named(at: int, byte: bytes, dialect: Make, read: Read) -> None:
    data = dialect().write(PATHS, ROWS)
    data = data[:at] + byte + data[at + 1 :]
    assert looks_like_pdh_text(data.decode())
    error = read(data).error
    assert error is None or "its header line (the time zone and the names of the counters) is damaged" in error


def test_a_log_without_its_header_is_named(dialect: Make, read: Read) -> None:
    data = dialect().write(PATHS, ROWS).partition(b"\n")[2]
    assert looks_like_pdh_text(data.decode())
    assert "is damaged or missing; give the log as Windows wrote it" in read(data).error


def test_counters_beyond_the_bound_leave_the_others_as_they_are(
    monkeypatch: pytest.MonkeyPatch, dialect: Make, read: Read
) -> None:
    for module in (header, columns):
        monkeypatch.setattr(module, "MAX_COLUMNS", 2)
    outcome = read(dialect().write(PATHS, ROWS))
    assert [path.text for path in outcome.columns] == PATHS[:2]
    assert outcome.values == [{NONPAGED: 28422144.0}, {NONPAGED: 28782592.0, PAGED: 7.5e7}, {NONPAGED: 3.0, PAGED: 1.5}]
    assert [problem.says for problem in outcome.problems] == ["counters beyond the first 150,000, left out: 1"]


def test_a_line_of_far_too_many_cells_is_no_sample(dialect: Make, read: Read) -> None:
    data = dialect().write(PATHS, ROWS)
    outcome = read(data + b'"11/20/2024 13:47:30.874"' + b"," * 100_000 + b"\r\n")
    assert len(outcome.rows) == len(ROWS)
    assert "lines that are no whole sample, left out: 1" in outcome.says


def test_without_a_zone_times_stay_as_they_stand(dialect: Make, read: Read) -> None:
    outcome = read(dialect(first="(PDH-CSV 4.0)", bias=0).write(PATHS, ROWS))
    assert not outcome.utc
    assert outcome.times[0] == START.timestamp()


def test_iso_dates_with_a_zone_are_utc(dialect: Make, read: Read) -> None:
    text = "time,\\\\H\\Memory\\X\n2024-11-20T13:46:30.874Z,1\n2024-11-20T15:46:45.874+02:00,2\n"
    outcome = read(text.encode())
    assert outcome.utc
    assert outcome.times == [START.timestamp(), START.timestamp() + 15]


def test_only_what_is_wanted_becomes_a_column(dialect: Make, read: Read) -> None:
    asked = []

    def wanted(path: Any) -> bool:
        asked.append(path.text)
        return bool(path.counter == "Pool Paged Bytes")

    outcome = read(dialect().write(PATHS, ROWS), wanted)
    assert asked == PATHS
    assert [path.text for path in outcome.columns] == [PAGED]
    assert outcome.series == 3
    assert [row.cells for row in outcome.rows] == [{}, {0: 7.5e7}, {0: 1.5}]


@pytest.mark.parametrize("damage", [None, "cut", "unquoted"])
def test_few_of_many_columns(damage: str | None, dialect: Make, read: Read) -> None:
    paths = [rf"\\H\Process(p{n})\Handle Count" for n in range(600)]
    lines = dialect().write(paths, [[float(n + row) for n in range(600)] for row in range(3)]).split(b"\r\n")
    if damage == "cut":
        lines[2] = lines[2][:2500]
    if damage == "unquoted":
        lines[2] = lines[2].replace(b'"', b"")
    outcome = read(b"\r\n".join(lines), lambda path: path.instance in ("p7", "p599"))
    expected = [{0: 7 + row, 1: 599 + row} for row in range(3)]
    if damage == "cut":
        del expected[1][1]
    assert [row.cells for row in outcome.rows] == expected
    assert len(outcome.problems) == (damage == "cut")


def test_several_headers(dialect: Make, read: Read) -> None:
    one = dialect()
    other = r"\\OTHER\Memory\Pool Paged Bytes"
    data = (
        one.write([NONPAGED, PAGED], [[1.0, 2.0], [3.0, 4.0]])
        + one.write([PAGED, NONPAGED], [[6.0, 5.0]], start=START + timedelta(minutes=5))
        + one.write([other], [[7.0]])
    )
    outcome = read(data)
    assert [path.text for path in outcome.columns] == [NONPAGED, PAGED, other]
    assert [row.cells for row in outcome.rows] == [{0: 1, 1: 2}, {0: 3, 1: 4}, {0: 5, 1: 6}, {2: 7}]
    assert "begin before the one before them ends: 1" in outcome.says


def test_names_that_come_again(dialect: Make, read: Read) -> None:
    paths = [
        r"\\H\Process(a)\Handle Count",
        r"\\H\Process(A)\Handle Count",
        r"\\H\Process(a)\Handle Count",
        r"\\H\Processor(_Total)\% Processor Time",
        r"\\H\Processor(_Total)\% Processor Time",
    ]
    outcome = read(dialect().write(paths, [[1.0, 2.0, 3.0, 4.0, 4.0]]))
    assert [path.instance for path in outcome.columns] == ["a", "A#1", "a#2", "_Total"]
    assert outcome.rows[0].cells == {0: 1, 1: 2, 2: 3, 3: 4}
    assert outcome.problems == []


def test_twins_that_differ_are_told(dialect: Make, read: Read) -> None:
    outcome = read(dialect().write([NONPAGED, NONPAGED], [[1.0, 2.0], [3.0, 3.0]]))
    assert [row.cells for row in outcome.rows] == [{0: 1}, {0: 3}]
    assert "differ, read from the first one: 1" in outcome.says


def test_minus_one_is_no_size(dialect: Make, read: Read) -> None:
    paths = [NONPAGED, r"\\H\Processor(_Total)\% Processor Time", r"\\H\System\Threads"]
    outcome = read(dialect().write(paths, [[-1.0, -1.0, -1.0], [5.0, 6.0, 7.0]]))
    assert [row.cells for row in outcome.rows] == [{2: -1}, {0: 5, 1: 6, 2: 7}]
    (problem,) = outcome.problems
    assert "-1" in problem.says
    assert problem.says.endswith("2")
    assert problem.where.line == 2


def test_text_for_a_number(dialect: Make, read: Read) -> None:
    rows = [["nan", "1.#QNAN", "inf"], ["#VALUE!", "1_000", "12"]]
    outcome = read(dialect().write(PATHS, rows))
    assert [row.cells for row in outcome.rows] == [{}, {2: 12}]
    (problem,) = outcome.problems
    assert problem.says == "values that are not numbers (the first is '#VALUE!'), counted as missing: 2"
    assert problem.where.line == 3


def test_short_long_and_foreign_lines(dialect: Make, read: Read) -> None:
    one = dialect()
    data = one.write(PATHS, [[1.0, 2.0, 3.0]] * 4).decode().split("\r\n")
    data[2] = data[2].rsplit(",", 1)[0]
    data[3] += ',"99"'
    data.insert(3, "the disk is full")
    outcome = read("\r\n".join(data).encode())
    assert [row.cells for row in outcome.rows] == [
        {0: 1, 1: 2, 2: 3},
        {0: 1, 1: 2},
        {0: 1, 1: 2, 2: 3},
        {0: 1, 1: 2, 2: 3},
    ]
    assert {problem.where.line for problem in outcome.problems} == {3, 4, 5}
    assert len(outcome.problems) == 3


def test_a_log_that_went_on_in_the_middle_of_a_line(dialect: Make, read: Read) -> None:
    whole = dialect().write(PATHS, [[1.0, 2.0, 3.0], [4.0, 5.0, 6.0], [7.0, 8.0, 9.0]]).decode().split("\r\n")
    data = "\r\n".join([*whole[:2], whole[2][:38] + whole[3], ""])
    outcome = read(data.encode())
    assert outcome.rows[0].cells == {0: 1, 1: 2, 2: 3}
    assert all(set(row.cells.items()) <= {(0, 4.0), (1, 5.0), (2, 6.0)} for row in outcome.rows[1:])


def test_decimal_commas_between_commas_are_refused(dialect: Make, read: Read) -> None:
    outcome = read(dialect(quoted=False, comma=True, missing="").write(PATHS, [[1.5, 2.5, 3.5]] * 3))
    assert outcome.rows == []
    assert "relog" in outcome.error


def test_a_header_alone(dialect: Make, read: Read) -> None:
    outcome = read(dialect().write(PATHS, []))
    assert "not one whole sample" in outcome.error


@pytest.mark.parametrize(
    ("cell", "says"),
    [("18:41.5", "lost their dates"), ("45616.57396", "day numbers"), ("11/20/24 13:46", "century")],
)
def test_what_a_spreadsheet_does_to_times(cell: str, says: str, dialect: Make, read: Read) -> None:
    text = dialect(quoted=False).write(PATHS, []).decode() + f"{cell},1,2,3\r\n" * 30
    outcome = read(text.encode())
    assert outcome.rows == []
    assert says in outcome.error
    assert cell in outcome.error
    assert "line" in outcome.error


def test_some_spoiled_times_among_good_ones_are_left_out(dialect: Make, read: Read) -> None:
    text = dialect().write(PATHS, ROWS).decode() + '"18:41.5","1","2","3"\r\n' * 50
    outcome = read(text.encode())
    assert len(outcome.rows) == 3
    assert "date that cannot be read, left out: 50" in outcome.says
    assert outcome.problems[0].where.line == 5


def test_times_without_seconds_are_told(dialect: Make, read: Read) -> None:
    text = dialect(quoted=False).write(PATHS, []).decode() + "11/20/2024 5:46,1,2,3\r\n11/20/2024 5:47,1,2,3\r\n"
    outcome = read(text.encode())
    assert outcome.times == [1732110360, 1732110420]
    assert "without seconds" in outcome.says


def test_localised_names_in_an_old_code_page(read: Read) -> None:
    russian = r'"(PDH-CSV 4.0) (RTZ 2)(-180)","\\HOST\Память\Байт в невыгружаемом страничном пуле"'
    outcome = read((russian + '\r\n"11/20/2024 13:46:30.874","5"\r\n').encode("cp1251"))
    assert outcome.columns[0].counter == "Байт в невыгружаемом страничном пуле"
    french = r'"(PDH-CSV 4.0) (x)(-60)","\\HOST\Mémoire\Octets de réserve non paginée"'
    outcome = read((french + '\r\n"11/20/2024 13:46:30.874","5"\r\n').encode("cp1252"))
    assert outcome.columns[0].object == "Mémoire"


def test_progress_is_told(dialect: Make) -> None:
    calls: list[int] = []
    reader = PdhTextReader(io.BytesIO(dialect().write(PATHS, ROWS)), 0, lambda _: True, lambda: calls.append(1))
    assert len(list(reader.rows())) == 3
    assert calls


_VALUES = st.one_of(
    st.none(),
    st.floats(min_value=0, max_value=1e300, allow_nan=False),
    st.integers(min_value=0, max_value=2**53).map(float),
)
_INSTANCES = st.text(
    st.characters(codec="utf-8", exclude_categories=("Cc", "Cs", "Zl", "Zp"), exclude_characters='"'), min_size=1
).map(str.strip)


@settings(max_examples=60, deadline=None)
@given(
    data=st.data(),
    name=st.sampled_from(sorted(set(DIALECTS) - {"unquoted", "decimal comma", "twelve hours"})),
    instances=st.lists(_INSTANCES.filter(bool), min_size=1, max_size=4, unique_by=str.casefold),
)
def test_what_is_written_is_read(
    data: st.DataObject, name: str, instances: list[str], dialect: Make, read: Read
) -> None:
    paths = [rf"\\HOST\Thing({instance})\Count" for instance in instances]
    rows = data.draw(st.lists(st.lists(_VALUES, min_size=len(paths), max_size=len(paths)), min_size=1, max_size=5))
    one = make(dialect, name)
    outcome = read(one.write(paths, rows))
    assert outcome.error is None
    assert [path.text for path in outcome.columns] == paths
    expected = [{at: value for at, value in enumerate(row) if value is not None} for row in rows]
    if one.comma:  # 1,500 may be thousands: it is left out until another value shows what the comma is
        for got, want in zip(outcome.rows, expected, strict=True):
            assert got.cells.items() <= want.items()
    else:
        assert [row.cells for row in outcome.rows] == expected


@settings(max_examples=150, deadline=None)
@given(data=st.data(), name=st.sampled_from(sorted(DIALECTS)))
def test_cut_anywhere_gives_only_true_values(data: st.DataObject, name: str, dialect: Make, read: Read) -> None:
    whole = make(dialect, name).write(PATHS, ROWS)
    full = read(whole)
    cut = data.draw(st.integers(min_value=0, max_value=len(whole)))
    outcome = read(whole[:cut])
    assert outcome.error or outcome.rows
    known = dict(zip(full.times, full.rows, strict=True))
    for row in outcome.rows:
        values = {outcome.columns[at].text: value for at, value in row.cells.items()}
        true = {full.columns[at].text: value for at, value in known[row.time].cells.items()}
        assert values.items() <= true.items()


@settings(max_examples=150, deadline=None)
@given(data=st.data(), name=st.sampled_from(sorted(DIALECTS)))
def test_damage_gives_rows_or_an_input_error(data: st.DataObject, name: str, dialect: Make, read: Read) -> None:
    damaged = bytearray(make(dialect, name).write(PATHS, ROWS * 4))
    for _ in range(data.draw(st.integers(1, 6))):
        at = data.draw(st.integers(0, len(damaged) - 1))
        damaged[at : at + data.draw(st.integers(0, 30))] = data.draw(st.binary(max_size=20))
        if not damaged:
            return
    outcome = read(bytes(damaged))
    assert outcome.error or outcome.rows
    assert outcome.times == sorted(outcome.times) or "begin before" in outcome.says


@settings(max_examples=150, deadline=None)
@given(tail=st.binary(max_size=300))
def test_anything_after_a_header(tail: bytes, dialect: Make, read: Read) -> None:
    outcome = read(dialect().write(PATHS, []) + tail)
    assert outcome.error or outcome.rows


@pytest.mark.parametrize(
    "line",
    [
        b'"' * 400_000,
        b"," * 400_000,
        b'"11/20/2024 13:46:30.874"' + b',"' * 200_000,
        b"(" * 400_000,
        b'"(PDH-CSV 4.0) ' + b"(" * 200_000 + b'","\\\\H\\a\\b"',
        b'"(PDH-CSV 4.0)"' + b',"\\\\H\\P(a)\\b"' * 20_000,
        b'"t","' + b"\\" * 300_000,
    ],
)
def test_hostile_lines_take_no_time(line: bytes, dialect: Make, read: Read) -> None:
    started = time.monotonic()
    read(dialect().write(PATHS, ROWS) + line + b"\r\n")
    read(line + b"\r\n" + line)
    assert time.monotonic() - started < 3
