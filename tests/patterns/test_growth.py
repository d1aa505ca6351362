from poolsleuth.model.facts import Where
from poolsleuth.model.tags import Completeness, PoolKind, TagRow, TagTable
from poolsleuth.patterns.growth import growing_tags
from poolsleuth.patterns.thresholds import GROWTH_BYTES

MB = 1 << 20
KEY = ("Leak", PoolKind.NONPAGED)


def tables(*sizes: int | None, session: int | None = None) -> list[TagTable]:
    found = []
    for line, size in enumerate(sizes, start=1):
        where = Where(0, line)
        rows = () if size is None else (TagRow("Leak", PoolKind.NONPAGED, None, None, size // 1000, size, where),)
        found.append(
            TagTable(
                where=where,
                rows=rows,
                pools=frozenset({PoolKind.NONPAGED}),
                completeness=Completeness.UNKNOWN,
                session=session,
            )
        )
    return found


def test_growth_through_all_tables() -> None:
    first, last = growing_tags(tables(100 * MB, 110 * MB, 110 * MB, 137 * MB))[KEY]

    assert (first.bytes, last.bytes) == (100 * MB, 137 * MB)


def test_what_comes_down_is_no_growth() -> None:
    assert KEY not in growing_tags(tables(100 * MB, 300 * MB, 299 * MB))


def test_one_table_is_no_growth() -> None:
    assert not growing_tags(tables(500 * MB))


def test_edge() -> None:
    least = int(GROWTH_BYTES.value)

    assert KEY in growing_tags(tables(MB, MB + least))
    assert KEY not in growing_tags(tables(MB, MB + least - 1))
    assert KEY not in growing_tags(tables(1000 * MB, 1199 * MB))


def test_a_table_that_does_not_show_the_tag_says_nothing() -> None:
    assert KEY in growing_tags(tables(100 * MB, None, 150 * MB))


def test_a_sessions_tables_are_another_pool() -> None:
    assert not growing_tags(tables(100 * MB, 200 * MB, session=3))
