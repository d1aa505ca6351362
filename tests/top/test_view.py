from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from poolsleuth.model.series import TagKey
from poolsleuth.model.tags import PoolKind
from poolsleuth.top.filters import TagPattern
from poolsleuth.top.view import Change, Column, View, ViewOptions

N, P = PoolKind.NONPAGED, PoolKind.PAGED
USUAL = ViewOptions()


@dataclass
class Owner:
    driver: str | None = None
    note: str | None = None
    sure: bool = True


class Owners:
    """Drivers of three tags; counts how often it is asked."""

    known = {  # noqa: RUF012
        "Leak": Owner("myfault.sys", "made to leak"),
        "Idle": Owner("Beep.sys"),
        "Wave": Owner(None, "goes up and down", sure=False),
    }

    def __init__(self) -> None:
        self.asked = 0

    def of(self, key: TagKey) -> Owner:
        self.asked += 1
        return self.known.get(key.tag, Owner())


def shown(view: View, options: ViewOptions = USUAL) -> list[str]:
    return [view.tracker.index.keys[number].tag for number in view.rows(options)]


@pytest.fixture
def busy(watched: Any) -> Any:
    """Two samples of five tags, in which everything is different from everything."""
    watched.then(
        {
            TagKey("MmSt", P): (1000, 10, 100),
            TagKey("Mm", N): (5000, 5, 50),
            TagKey("Irp", N): (800, 8, 900),
            TagKey("File", N): (800, 4, 40),
            TagKey("Xyz", P): (float("nan"), float("nan"), 7),
        },
    )
    watched.then(
        {
            TagKey("MmSt", P): (1900, 19, 109),
            TagKey("Mm", N): (5000, 5, 5000),
            TagKey("Irp", N): (500, 5, 930),
            TagKey("File", N): (500, 2, 40),
            TagKey("Xyz", P): (float("nan"), 3, 7),
        },
        nonpaged_used=10_000,
    )
    return watched


def test_without_a_sample_there_are_no_rows(watched: Any) -> None:
    view = View(watched.tracker)
    assert shown(view) == []
    assert view.totals(ViewOptions()) == ()


@pytest.mark.parametrize(
    ("column", "order"),
    [
        ("bytes", "Mm MmSt File Irp Xyz"),
        ("tag", "File Irp Mm MmSt Xyz"),
        ("type", "File Irp Mm MmSt Xyz"),
        ("allocs", "Mm Irp MmSt File Xyz"),
        ("frees", "Mm Irp MmSt File Xyz"),
        ("diff", "MmSt Irp Mm Xyz File"),
        ("each", "Mm File Irp MmSt Xyz"),
        ("started", "MmSt Mm File Irp Xyz"),
        ("share", "MmSt Mm File Irp Xyz"),
    ],
)
def test_numbers_go_from_the_most_down_and_what_is_not_known_is_last(busy: Any, column: str, order: str) -> None:
    """Ties are in the order of their tags: File before Irp, which both hold 500 bytes."""
    assert shown(View(busy.tracker), ViewOptions(sort=Column(column))) == order.split()


@pytest.mark.parametrize(
    ("column", "order"),
    [
        ("bytes", "File Irp MmSt Mm Xyz"),
        ("tag", "Xyz MmSt Mm Irp File"),
        ("type", "MmSt Xyz File Irp Mm"),
        ("started", "File Irp Mm MmSt Xyz"),
    ],
)
def test_reversed_what_is_not_known_is_last_still(busy: Any, column: str, order: str) -> None:
    assert shown(View(busy.tracker), ViewOptions(sort=Column(column), reverse=True)) == order.split()


@pytest.mark.parametrize(
    ("column", "order"),
    [
        ("allocs", "Mm Irp MmSt File Xyz"),  # 4950, 30, 9, 0, 0
        ("frees", "Mm Irp File MmSt Xyz"),  # 4950, 33, 2, 0
        ("diff", "MmSt Mm File Irp Xyz"),  # 9, 0, -2, -3
        ("bytes", "MmSt Mm File Irp Xyz"),  # 900, 0, -300, -300
        ("each", "File Irp Mm MmSt Xyz"),  # 250 - 200, 100 - 100, 0, 0
        ("tag", "File Irp Mm MmSt Xyz"),
    ],
)
def test_by_change(busy: Any, column: str, order: str) -> None:
    assert shown(View(busy.tracker), ViewOptions(sort=Column(column), by_change=True)) == order.split()


def test_by_driver_and_note_without_regard_to_case_and_the_unknown_last(leaking: Any) -> None:
    leaking.then({TagKey("Zero", N): (1, 1, 1)}, complete=False)
    view = View(leaking.then(dict.fromkeys(leaking.index.keys, (5, 1, 1))), Owners())
    assert shown(view, ViewOptions(sort=Column.DRIVER)) == ["Idle", "Leak", "Wave", "Zero"]
    assert shown(view, ViewOptions(sort=Column.DRIVER, reverse=True)) == ["Leak", "Idle", "Wave", "Zero"]
    assert shown(view, ViewOptions(sort=Column.NOTE)) == ["Wave", "Leak", "Idle", "Zero"]


def test_by_rate_and_trend(leaking: Any) -> None:
    view = View(leaking.tracker)
    assert shown(view, ViewOptions(sort=Column.RATE)) == ["Leak", "Idle", "Wave"]
    assert shown(view, ViewOptions(sort=Column.TREND)) == shown(view, ViewOptions(sort=Column.RATE))


def test_by_the_change_since_the_mark(busy: Any) -> None:
    view = View(busy.tracker)
    assert shown(view, ViewOptions(sort=Column.MARKED)) == ["File", "Irp", "Mm", "MmSt", "Xyz"]  # there is no mark
    busy.tracker.set_mark()
    assert view.row(busy.number("Irp")).marked.bytes == 0
    busy.then({TagKey("Irp", N): (900, 9, 940), TagKey("MmSt", P): (10, 1, 110)})
    assert shown(view, ViewOptions(sort=Column.MARKED))[0] == "Irp"
    assert view.row(busy.number("Irp")).marked == Change(10, 6, 4, 400, 0)


@pytest.mark.parametrize(
    ("options", "order"),
    [
        (ViewOptions(include=("Mm*",)), "Mm MmSt"),
        (ViewOptions(include=("mm*",)), ""),
        (ViewOptions(include=("Mm",)), "Mm"),
        (ViewOptions(include=("Mm??",)), "Mm MmSt"),
        (ViewOptions(include=("Mm?",)), "Mm"),
        (ViewOptions(include=("?rp", "Fi*")), "File Irp"),
        (ViewOptions(exclude=("Mm*", "Irp")), "File Xyz"),
        (ViewOptions(include=("Mm*",), exclude=("*t",)), "Mm"),
        (ViewOptions(include=("*",)), "Mm MmSt File Irp Xyz"),
        (ViewOptions(pools=N), "Mm File Irp"),
        (ViewOptions(pools=P), "MmSt Xyz"),
        (ViewOptions(search="mM"), "Mm MmSt"),
        (ViewOptions(search="i"), "File Irp"),
        (ViewOptions(search="i", exclude=("I*",), pools=N), "File"),
        (ViewOptions(session=-1), ""),
        (ViewOptions(session=3), ""),
    ],
)
def test_filters(busy: Any, options: ViewOptions, order: str) -> None:
    assert shown(View(busy.tracker), options) == order.split()


def test_a_search_looks_into_driver_and_note(leaking: Any) -> None:
    view = View(leaking.tracker, Owners())
    assert shown(view, ViewOptions(search="MYFAULT")) == ["Leak"]
    assert shown(view, ViewOptions(search="up and")) == ["Wave"]
    assert shown(view, ViewOptions(search=".sys")) == ["Leak", "Idle"]
    assert shown(view, ViewOptions(search="sysmade")) == []  # not over the edge of two columns


def test_tags_are_looked_at_once_for_filters(leaking: Any) -> None:
    owners = Owners()
    view = View(leaking.tracker, owners)
    for search in ("m", "my", "myf", "my", "m"):
        view.rows(ViewOptions(search=search, include=("L*",)))
    assert owners.asked == 3
    leaking.then({TagKey("Lmy", N): (1, 1, 1), TagKey("Leak", N): (1, 1, 1)})
    assert shown(view, ViewOptions(search="my", include=("L*",))) == ["Leak", "Lmy"]
    assert owners.asked == 4
    leaking.then({TagKey("Nomy", N): (1, 1, 1), TagKey("Leak", N): (1, 1, 1)})
    assert shown(view, ViewOptions(search="my", include=("L*",))) == ["Leak", "Lmy"]
    assert shown(view, ViewOptions(search="my")) == ["Leak", "Nomy", "Lmy"]


@given(st.text("ab*?", max_size=6), st.text("ab", min_size=1, max_size=4))
def test_patterns_match_as_a_plain_reading_of_the_rule_says(pattern: str, tag: str) -> None:
    def matches(rest: str, text: str) -> bool:
        if not rest:
            return not text
        if rest[0] == "*":
            return any(matches(rest[1:], text[k:]) for k in range(len(text) + 1))
        return bool(text) and rest[0] in ("?", text[0]) and matches(rest[1:], text[1:])

    padded = pattern if "*" in pattern else pattern.ljust(4)
    assert TagPattern(pattern).covers(tag) == (matches(padded, tag) or matches(padded, tag.ljust(4)))


def test_a_hostile_pattern_takes_no_time() -> None:
    assert not TagPattern("*a" * 100_000).covers("aaaa")
    assert TagPattern("*" * 100_000).covers("a")
    assert not TagPattern("(a+)+$").covers("aaaa")


def test_tags_that_never_held_anything_have_no_row(watched: Any) -> None:
    watched.then({TagKey("Held", N): (10, 1, 1), TagKey("None", N): (0, 0, 0), TagKey("Past", N): (0, 0, 8)})
    view = View(watched.tracker)
    assert shown(view) == ["Held", "Past"]
    watched.then({TagKey("Past", N): (0, 0, 8), TagKey("None", N): (0, 0, 0)})
    assert shown(view) == ["Held", "Past"]  # gone from the whole table: it went down to nothing
    assert view.row(watched.number("Held")).last.bytes == -10
    watched.then({TagKey("Past", N): (0, 0, 8)}, complete=False)
    assert shown(view) == ["Past"]  # nothing is known of the others


def test_sessions(watched: Any) -> None:
    watched.then(
        {
            TagKey("Syst", N): (1, 1, 1),
            TagKey("Usrs", P, 1): (100, 1, 10),
            TagKey("Usrs", P, 2): (200, 2, 20),
            TagKey("Gini", P, 2): (250, 1, 1),
        }
    )
    view = View(watched.tracker)
    assert shown(view) == ["Syst"]
    assert shown(view, ViewOptions(session=2)) == ["Gini", "Usrs"]
    assert shown(view, ViewOptions(session=-1)) == ["Usrs", "Gini"]
    assert view.row(view.rows(ViewOptions(session=-1))[0]).bytes == 300
    assert view.sessions() == [1, 2]
    assert view.row(watched.number("Gini", P, 2)).share == pytest.approx(250 / 450)


def test_a_row_tells_everything(leaking: Any) -> None:
    row = View(leaking.tracker, Owners()).row(leaking.number("Leak"))
    assert (row.key, row.allocs, row.frees, row.outstanding) == (TagKey("Leak", N), 122_885, 5, 122_880)
    assert (row.bytes, row.each) == (120 << 20, 1024)
    assert row.last == Change(1024, 0, 1024, 1 << 20, 0)
    assert row.started == Change(122_880, 0, 122_880, 120 << 20, 1024)
    assert row.marked == Change(None, None, None, None, None)
    assert row.rate == 60 << 20
    assert row.share == 120 / 512
    assert (row.driver, row.note, row.sure, row.changed, row.paged) == (
        "myfault.sys",
        "made to leak",
        True,
        True,
        False,
    )


def test_what_is_not_known_is_none(busy: Any) -> None:
    row = View(busy.tracker).row(busy.number("Xyz", P))
    assert (row.bytes, row.each, row.allocs, row.outstanding, row.frees) == (None, None, 7, 3, 4)
    assert (row.rate, row.share, row.driver) == (None, None, None)
    assert row.last == Change(0, None, None, None, None)


def test_figures_beyond_doubles_are_whole_all_the_same(watched: Any) -> None:
    watched.then({TagKey("Huge", N): (2.0**63, 3, 2.0**60)})
    row = View(watched.tracker).row(0)
    assert (row.bytes, row.each) == (1 << 63, (1 << 63) // 3)
    assert row.frees == (1 << 60) - 3


def test_a_share_is_of_the_pool_or_else_of_all_tags(watched: Any) -> None:
    rows = {TagKey("Aaaa", N): (300, 1, 1), TagKey("Bbbb", N): (100, 1, 1), TagKey("Cccc", P): (50, 1, 1)}
    view = View(watched.then(rows, nonpaged_used=1000))
    assert [row.share for row in view.look([0, 1, 2])] == [0.3, 0.1, 1.0]
    for less in ({}, {"nonpaged_used": 10.0}):  # a pool that is smaller than its tags cannot be
        watched.then(rows, **less)
        assert [row.share for row in view.look([0, 1, 2])] == [0.75, 0.25, 1.0]


def test_totals(busy: Any) -> None:
    busy.then({TagKey("MmSt", P): (1900, 19, 109), TagKey("Irp", N): (600, 6, 931), TagKey("File", N): (500, 2, 40)})
    nonpaged, paged = View(busy.tracker).totals(ViewOptions())
    assert (nonpaged.pool, nonpaged.rows, nonpaged.bytes, nonpaged.outstanding, nonpaged.allocs) == (N, 3, 1100, 8, 971)
    assert nonpaged.last.bytes == 100 - 5000  # Mm is gone
    assert (paged.pool, paged.rows, paged.bytes) == (P, 2, 1900)
    assert [t.rows for t in View(busy.tracker).totals(ViewOptions(include=("I*",)))] == [1]


def test_a_total_with_an_unknown_part_is_unknown(busy: Any) -> None:
    paged = View(busy.tracker).totals(ViewOptions(pools=P))[0]
    assert (paged.bytes, paged.outstanding, paged.last.bytes) == (None, 22, None)


def test_many_ties_are_in_the_order_of_their_tags(watched: Any) -> None:
    names = [f"{number * 7919 % 1000:04d}" for number in range(1000)]
    watched.then({TagKey(name, P): (number % 3, 1, 1) for number, name in enumerate(names)})
    found = View(watched.tracker).look(View(watched.tracker).rows(ViewOptions()))
    assert [(row.bytes, row.key.tag) for row in found] == sorted(
        ((number % 3, name) for number, name in enumerate(names)), key=lambda one: (-one[0], one[1])
    )


def test_the_same_question_is_answered_once_and_the_next_sample_anew(busy: Any) -> None:
    view = View(busy.tracker)
    assert view.rows(ViewOptions()) is view.rows(ViewOptions())
    before = view.rows(ViewOptions())
    busy.then({TagKey("Irp", N): (9000, 9, 940)})
    assert view.rows(ViewOptions()) is not before
    assert shown(view)[0] == "Irp"
    assert view.row(busy.number("Irp")).bytes == 9000


# ---- all columns, any figures ----

FIGURES = st.one_of(st.just(float("nan")), st.integers(0, 2**50).map(float))


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.text("ABab", min_size=1, max_size=4), FIGURES, FIGURES, FIGURES), max_size=12),
    st.sampled_from(list(Column)),
    st.booleans(),
    st.booleans(),
)
def test_the_order_is_the_one_that_sorting_objects_gives(
    rows: Any, column: Column, reverse: bool, by_change: bool
) -> None:
    from poolsleuth.sampling.sample import Sample, TagFigures, TagIndex  # noqa: PLC0415
    from poolsleuth.top.tracker import Tracker  # noqa: PLC0415

    tracker = Tracker(TagIndex())
    last = {TagKey(tag, P): figures for tag, *figures in rows}
    first = {key: [1.0, 1.0, 2.0] for key in last}
    for step, table in enumerate((first, last)):
        ids = np.array([tracker.index.number(key) for key in table], np.int64)
        columns = np.array(list(table.values()), float).reshape(-1, 3)
        tracker.feed(Sample(step * 3600.0, TagFigures(ids, *columns.T)))
    view = View(tracker)
    options = ViewOptions(sort=column, reverse=reverse, by_change=by_change)
    found = view.look(view.rows(options))
    assert {row.key for row in found} == {key for key, figures in last.items() if not all(map(np.isnan, figures))}

    def value(row: Any) -> Any:
        source = row.last if by_change else row
        return {
            "allocs": source.allocs, "frees": source.frees, "diff": source.outstanding, "bytes": source.bytes,
            "each": source.each, "started": row.started.bytes, "marked": row.marked.bytes, "rate": row.rate,
            "trend": row.rate, "share": row.share, "type": 0, "driver": None, "note": None,
        }[column.value]  # fmt: skip

    if column is Column.TAG:
        assert [row.key.tag for row in found] == sorted((row.key.tag for row in found), reverse=reverse)
        return
    known = [row for row in found if value(row) is not None]
    assert found[: len(known)] == known
    sign = 1 if reverse or column is Column.TYPE else -1
    assert known == sorted(known, key=lambda row: (sign * value(row), row.key.tag))
    rest = found[len(known) :]
    assert rest == sorted(rest, key=lambda row: row.key.tag)


def test_a_tag_that_came_later_is_counted_from_there_and_marked(watched: Any) -> None:
    """As in logs that were cut to so many lines: nobody knows what the tag held before."""
    leak, idle = TagKey("Leak", N), TagKey("Idle", P)
    watched.then({idle: (4096, 4, 4)}, complete=False)
    watched.tracker.set_mark()
    watched.then({idle: (4096, 4, 4)}, complete=False)
    watched.then({idle: (8192, 8, 8), leak: (1000, 10, 10)}, complete=False)
    tracker = watched.then({idle: (8192, 8, 8), leak: (9000, 90, 90)}, complete=False)
    view = View(tracker)
    rows = {row.key.tag: row for row in view.look(view.rows(ViewOptions(sort=Column.STARTED)))}
    assert list(rows) == ["Leak", "Idle"]
    assert (rows["Leak"].started.bytes, rows["Leak"].started_late, rows["Leak"].marked_late) == (8000, True, True)
    assert (rows["Idle"].started.bytes, rows["Idle"].started_late, rows["Idle"].marked_late) == (4096, False, False)
    assert rows["Leak"].rate == 8000 * 60  # a minute
    assert rows["Idle"].rate == 4096 * 20  # three


def test_a_tag_that_came_later_held_nothing_where_the_table_was_whole(watched: Any) -> None:
    leak, idle = TagKey("Leak", N), TagKey("Idle", N)
    watched.then({idle: (4096, 4, 4)})
    tracker = watched.then({idle: (4096, 4, 4), leak: (1000, 10, 10)})
    row = View(tracker).row(watched.number("Leak"))
    assert (row.started.bytes, row.started_late) == (1000, False)
