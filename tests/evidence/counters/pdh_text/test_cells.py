"""Numbers, and lines that are not regular."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from poolsleuth.evidence.counters.pdh_text.cells import Numbers, irregular_row, picked_cells


@pytest.mark.parametrize(
    ("cell", "value"),
    [
        (b"86.93735103284412", 86.93735103284412),
        (b" 5 ", 5.0),
        (b"1.2345e-005", 1.2345e-5),
        (b"-3", -3.0),
        (b"1,5", 1.5),
        (b"0,125", 0.125),
        (b"28422144,125", 28422144.125),
        (b"1,5e+17", 1.5e17),
    ],
)
def test_number(cell: bytes, value: float) -> None:
    assert Numbers().number(cell) == value


@pytest.mark.parametrize("cell", [b"", b" ", b"NaN", b"-1.#IND", b"INF", b"1e999", b"n/a"])
def test_missing(cell: bytes) -> None:
    numbers = Numbers()
    assert numbers.number(cell) is None
    assert numbers.unreadable == 0


@pytest.mark.parametrize("cell", [b"x", b"1.234,5", b"1,234.5", b"1,500", b"1_0", b"--1", b"\xff", b"0x10"])
def test_no_number(cell: bytes) -> None:
    numbers = Numbers()
    assert numbers.number(cell) is None
    assert numbers.unreadable == 1


def test_a_sure_decimal_comma_explains_the_others() -> None:
    numbers = Numbers()
    assert numbers.number(b"1,500") is None
    assert numbers.number(b"2,25") == 2.25
    assert numbers.number(b"1,500") == 1.5


@settings(deadline=None)
@given(st.floats(allow_nan=False, allow_infinity=False, min_value=-1e300, max_value=1e300))
def test_every_number(value: float) -> None:
    assert Numbers().number(repr(value).encode()) == value


def cells(line: bytes, width: int = 3, ended: bool = True) -> tuple[list[bytes], bool] | None:
    row = irregular_row(line, ",", width, ended)
    return None if row is None else (row.cells, row.whole)


def test_quoted_lines_are_used_as_far_as_they_are_whole() -> None:
    assert cells(b'"t","1"') == ([b"t", b"1"], False)
    assert cells(b'"t","1","2') == ([b"t", b"1"], False)
    assert cells(b'"t","1"x"2"') is None
    assert cells(b'"t","1","2"x"3"', width=4) == ([b"t", b"1"], False)
    assert cells(b'"t","1","2","3"') == ([b"t", b"1", b"2", b"3"], True)
    assert cells(b'"t","1","2"05/29/2008') == ([b"t", b"1"], False)


def test_unquoted_lines_must_have_the_right_number_of_cells() -> None:
    assert cells(b"t,1,2") == ([b"t", b"1", b"2"], True)
    assert cells(b"t,1") is None
    assert cells(b"t,1,2,3") is None
    assert cells(b"t,1,2,,") == ([b"t", b"1", b"2"], True)


def test_the_last_value_of_a_cut_line_may_be_half_a_number() -> None:
    assert cells(b"t,1,2", ended=False) == ([b"t", b"1"], False)
    assert cells(b"t,1", ended=False) == ([b"t"], False)
    assert cells(b"t", ended=False) is None


def test_mixed_quotes() -> None:
    assert cells(b'"t",1,2') == ([b"t", b"1", b"2"], True)
    assert cells(b't,"1,5",2') == ([b"t", b"1,5", b"2"], True)
    assert cells(b'"t",1') is None
    assert cells(b'"t",1,"2') is None


def picked(line: bytes) -> tuple[dict[int, bytes], int] | None:
    found = picked_cells(line, ord(","), (0, 2, 5))
    return None if found is None else (dict(found[0]), found[1])


def test_picked_cells() -> None:
    assert picked(b'"t","1","2","3"') == ({0: b"t", 2: b"2"}, 4)
    assert picked(b'"t","","","","",""') == ({0: b"t", 2: b"", 5: b""}, 6)
    assert picked(b'"t"') == ({0: b"t"}, 1)


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b'"',
        b"t,1",
        b'"t";"1"',
        b'"t","1',
        b'"t","1"x"2"',
        b'"t",1,"2"',
        b'"t" ,"1"',
        b' "t"',
        b'"t","1"\r',
        b'"""',
    ],
)
def test_irregular_lines_are_not_picked_from(line: bytes) -> None:
    assert picked(line) is None


@settings(deadline=None)
@given(st.lists(st.binary(max_size=3).map(lambda b: b.replace(b'"', b"'")), min_size=1, max_size=9))
def test_picking_is_splitting(values: list[bytes]) -> None:
    line = b",".join(b'"' + value + b'"' for value in values)
    assert picked(line) == ({at: values[at] for at in (0, 2, 5) if at < len(values)}, len(values))
