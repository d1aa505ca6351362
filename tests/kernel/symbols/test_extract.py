"""What is taken out of a source of symbols and types, and by which names."""

from poolsleuth.kernel.symbols.extract import (
    MAX_FIELDS,
    MAX_RVA,
    Layout,
    Member,
    TypeKey,
    wanted_structures,
    wanted_symbols,
)
from poolsleuth.windows.kernel_table import Field


class Source:
    """Layouts out of a dictionary."""

    def __init__(self, **layouts: Layout) -> None:
        self._layouts = layouts

    def layout(self, key: TypeKey) -> Layout | None:
        return self._layouts.get(str(key))


IN = Layout(8, {"x": Member(Field(0, 4)), "y": Member(Field(4, 4, 2, 3))})
MIDDLE = Layout(24, {"in": Member(Field(16, 8), "In"), "z": Member(Field(8, 8, count=4))})
OUT = Layout(64, {"a": Member(Field(0, 8)), "m": Member(Field(32, 24), "Middle"), "gone": Member(Field(56, 8), "Gone")})
SOURCE = Source(In=IN, Middle=MIDDLE, Out=OUT)


def taken(*paths: str) -> dict[str, Field]:
    return dict(wanted_structures(SOURCE, {"Out": paths})["Out"].fields)


def test_the_notation_of_fields() -> None:
    assert taken("a") == {"a": Field(0, 8)}
    assert taken("*") == {"a": Field(0, 8), "m": Field(32, 24), "gone": Field(56, 8)}
    assert taken("m.*") == {"m.in": Field(48, 8), "m.z": Field(40, 8, count=4)}
    assert taken("m.in.*") == {"m.in.x": Field(48, 4), "m.in.y": Field(52, 4, 2, 3)}
    assert taken("m.in.y", "m.z") == {"m.in.y": Field(52, 4, 2, 3), "m.z": Field(40, 8, count=4)}
    assert taken("none", "none.*", "a.*", "m.none.*", "gone.*", "m.in.none") == {}


def test_structures_that_are_not_there_or_make_no_sense_are_left_out() -> None:
    source = Source(Out=OUT, Below=Layout(-1, {}), Large=Layout(1 << 31, {}))
    assert set(wanted_structures(source, {"Out": ("*",), "None": ("*",), "Below": ("*",), "Large": ("*",)})) == {"Out"}


def test_no_more_fields_than_the_bound() -> None:
    many = Layout(8, {f"f{n}": Member(Field(0, 1), "Many") for n in range(MAX_FIELDS)})
    found = wanted_structures(Source(Many=many), {"Many": ("*", "f0.*", "f1.*")})
    assert len(found["Many"].fields) == MAX_FIELDS


def test_symbols() -> None:
    known = {"a": 5, "b": 0, "c": -1, "d": MAX_RVA, "e": MAX_RVA - 1, "f": 7}
    assert wanted_symbols(known, ("a", "b", "c", "d", "e", "none")) == {"a": 5, "e": MAX_RVA - 1}
