from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from poolsleuth.model.series import TagKey
from poolsleuth.model.tags import PoolKind
from poolsleuth.sampling.sample import Sample, TagFigures, TagIndex
from poolsleuth.top.history import MOST_POINTS
from poolsleuth.top.tracker import Since, Tracker

N, P = PoolKind.NONPAGED, PoolKind.PAGED
A, B, C = TagKey("Aaaa", N), TagKey("Bbbb", P), TagKey("Cccc", N)


def test_before_the_first_sample_nothing_is_known(watched: Any) -> None:
    tracker = watched.tracker
    assert (tracker.now, tracker.count, tracker.seconds) == (None, 0, None)
    assert len(tracker.rate()) == 0


def test_changes_are_counted_from_the_last_the_first_and_the_mark(watched: Any) -> None:
    watched.then({A: (100, 1, 10)})
    watched.then({A: (300, 3, 15)})
    watched.tracker.set_mark()
    watched.then({A: (350, 4, 16)})
    tracker = watched.then({A: (320, 3, 20)})
    changes = {since: tracker.change("bytes", since)[0] for since in Since}
    assert changes == {Since.LAST: -30, Since.START: 220, Since.MARK: 20}
    assert tracker.change("frees", Since.LAST)[0] == 17 - 12
    assert tracker.seconds == 180


def test_what_is_not_known_has_no_change(watched: Any) -> None:
    watched.then({A: (100, 1, 10)})
    assert np.isnan(watched.tracker.change("bytes", Since.LAST)[0])
    assert np.isnan(watched.tracker.change("bytes", Since.MARK)[0])
    tracker = watched.then({A: (100, 1, np.nan)})
    assert np.isnan(tracker.change("allocs", Since.LAST)[0])
    assert tracker.change("bytes", Since.LAST)[0] == 0


def test_a_tag_that_comes_later_held_nothing_where_the_table_was_whole(watched: Any) -> None:
    watched.then({A: (100, 1, 10)})
    tracker = watched.then({A: (100, 1, 10), C: (64, 2, 2)})
    assert tracker.change("bytes", Since.START)[1] == 64
    assert tracker.history.matrix()[:, 1].tolist() == [0, 64]


def test_a_tag_that_comes_later_is_not_known_before_where_the_table_was_cut(watched: Any) -> None:
    watched.then({A: (100, 1, 10)}, complete=False)
    tracker = watched.then({A: (100, 1, 10), C: (64, 2, 2)}, complete=False)
    assert np.isnan(tracker.change("bytes", Since.LAST)[1])
    assert np.isnan(tracker.history.matrix()[0, 1])
    # Since the start is since the first sample that shows it
    assert tracker.change("bytes", Since.START).tolist() == [0, 0]
    watched.then({A: (90, 1, 10), C: (100, 3, 3)}, complete=False)
    assert tracker.change("bytes", Since.START).tolist() == [-10, 36]
    assert tracker.change("bytes", Since.LAST).tolist() == [-10, 36]
    watched.then({A: (90, 1, 10)}, complete=False)
    watched.then({A: (90, 1, 10), C: (164, 3, 3)}, complete=False)
    assert tracker.change("bytes", Since.START).tolist() == [-10, 100]
    assert np.isnan(tracker.change("bytes", Since.LAST)[1])


def test_since_the_mark_is_since_the_first_sample_behind_it_that_shows_a_tag(watched: Any, series_of: Any) -> None:
    watched.then({A: (100, 1, 10)}, complete=False)
    watched.then({A: (110, 1, 10), C: (5, 1, 1)}, complete=False)
    watched.then({A: (120, 1, 10)}, complete=False)
    watched.tracker.set_mark()
    tracker = watched.then({A: (130, 1, 10), C: (64, 2, 2)}, complete=False)
    assert tracker.change("bytes", Since.MARK).tolist() == [10, 0]
    watched.then({A: (130, 1, 10), C: (80, 2, 2)}, complete=False)
    assert tracker.change("bytes", Since.MARK).tolist() == [10, 16]
    # A replay that goes back does not take the mark's figures from before it
    tracker.clear_mark()
    tracker.rebuild(series_of(watched), 2)
    tracker.set_mark()
    tracker.rebuild(series_of(watched), 0)
    tracker.feed(series_of(watched).at(1))
    assert tracker.change("bytes", Since.MARK)[0] == -10
    assert np.isnan(tracker.change("bytes", Since.MARK)[1])


def test_a_whole_table_of_one_pool_says_nothing_of_the_others(watched: Any) -> None:
    watched.then({A: (100, 1, 10), TagKey("Sess", P, 3): (50, 1, 1)})
    tracker = watched.then({C: (10, 1, 1)})
    state = tracker.now
    assert state is not None
    assert state.bytes[watched.number("Aaaa")] == 0  # of the same pool: it is gone
    assert np.isnan(state.bytes[watched.number("Sess", P, 3)])  # session 3 is not shown


def test_a_rate_is_that_of_the_last_hour(leaking: Any) -> None:
    rate = leaking.tracker.rate()
    assert rate.tolist()[:2] == [60 * 2.0**20, 0]


def test_there_is_no_rate_over_less_than_a_minute_nor_without_times(watched: Any) -> None:
    watched.then({A: (1, 1, 1)})
    assert np.isnan(watched.then({A: (500, 2, 2)}, after=59).rate()[0])
    assert watched.then({A: (500, 2, 2)}, after=1).rate()[0] == pytest.approx(499 * 60)
    assert np.isnan(watched.then({A: (900, 2, 2)}, after=float("nan")).rate()[0])


def test_single_sessions_are_summed(watched: Any) -> None:
    one, two = TagKey("Usrs", P, 1), TagKey("Usrs", P, 2)
    watched.then({one: (100, 1, 10), two: (200, 2, 20), A: (7, 1, 1)})
    tracker = watched.then({one: (150, 2, 11), two: (200, 2, 20), TagKey("Gini", P, 2): (1, 1, 1), A: (7, 1, 1)})
    number = watched.number("Usrs", P, -1)
    assert tracker.now is not None
    assert (tracker.now.bytes[number], tracker.now.outstanding[number], tracker.now.allocs[number]) == (350, 4, 31)
    assert tracker.change("bytes", Since.LAST)[number] == 50
    assert tracker.history.column(number).tolist() == [300, 350]
    assert tracker.now.bytes[watched.number("Gini", P, -1)] == 1
    # The index of the samples stays as it is: who records them numbers by it
    assert [key for key in watched.index.keys if key.session == -1] == []
    assert TagKey("Aaaa", N, -1) not in tracker.index.keys


def test_a_sum_with_an_unknown_part_is_unknown(watched: Any) -> None:
    tracker = watched.then({TagKey("Usrs", P, 1): (100, 1, 10), TagKey("Usrs", P, 2): (np.nan, 2, 20)})
    number = watched.number("Usrs", P, -1)
    assert np.isnan(tracker.now.bytes[number])
    assert tracker.now.outstanding[number] == 3


def test_tables_of_all_sessions_stand_as_they_are(watched: Any) -> None:
    tracker = watched.then({TagKey("Usrs", P, 1): (100, 1, 10), TagKey("Usrs", P, -1): (700, 7, 70)})
    assert tracker.now.bytes[watched.number("Usrs", P, -1)] == 700
    assert tracker.index is watched.index


def test_tags_that_come_after_a_sum_are_told_apart_from_it(watched: Any) -> None:
    watched.then({TagKey("Usrs", P, 1): (100, 1, 10)})
    tracker = watched.then({TagKey("Usrs", P, 1): (100, 1, 10), B: (5, 1, 1)})
    assert tracker.now.bytes[tracker.index.keys.index(B)] == 5
    assert tracker.now.bytes[tracker.index.keys.index(TagKey("Usrs", P, -1))] == 100


def test_more_tags_than_there_is_room_for_are_left_out(watched: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("poolsleuth.sampling.sample.MAX_TAGS", 3)
    watched.then({TagKey("Usrs", P, 1): (100, 1, 10), A: (1, 1, 1)})  # with the sum of Usrs: three
    tracker = watched.then({TagKey("Usrs", P, 1): (100, 1, 10), A: (2, 1, 1), B: (5, 1, 1)})
    assert [key.tag for key in tracker.index.keys] == ["Usrs", "Aaaa", "Usrs"]
    assert tracker.now.bytes.tolist() == [100, 2, 100]
    tracker = watched.then({B: (5, 1, 1), TagKey("Usrs", P, 1): (7, 1, 10), A: (3, 1, 1)})
    assert tracker.now.bytes.tolist() == [7, 3, 7]
    assert tracker.index.lost > 0


def test_another_index_with_the_same_tags(watched: Any) -> None:
    """As the screen's own copy of a live sampler's index, which comes and goes."""
    watched.then({A: (100, 1, 10), C: (1, 1, 1)})
    other = TagIndex()
    watched.tracker.index = other
    watched.index = other
    tracker = watched.then({C: (2, 1, 1), A: (300, 1, 10), B: (9, 1, 1)})
    assert [key.tag for key in tracker.index.keys] == ["Aaaa", "Cccc", "Bbbb"]
    assert tracker.change("bytes", Since.LAST).tolist()[:2] == [200, 1]


def test_rebuilding_gives_what_feeding_gave(leaking: Any, series_of: Any) -> None:
    series = series_of(leaking)
    tracker = Tracker(series.index)
    tracker.rebuild(series, 120)
    assert tracker.now is not None
    assert tracker.now.bytes.tolist() == leaking.tracker.now.bytes.tolist()
    assert np.array_equal(tracker.history.matrix(), leaking.tracker.history.matrix())
    tracker.set_mark()
    tracker.rebuild(series, 30)
    assert (tracker.count, tracker.change("bytes", Since.MARK)[0]) == (31, -90 * 2.0**20)
    assert tracker.change("bytes", Since.LAST)[0] == 2.0**20


def test_rebuilding_a_long_series_reads_an_even_choice(watched: Any, series_of: Any) -> None:
    for _ in range(3 * MOST_POINTS):
        watched.then({A: (len(watched.samples), 1, 1)})
    series = series_of(watched)
    tracker = Tracker(series.index)
    tracker.rebuild(series, 3 * MOST_POINTS - 1)
    assert len(series.asked) <= MOST_POINTS
    assert series.asked[0] == 0
    assert series.asked[-2:] == [3 * MOST_POINTS - 2, 3 * MOST_POINTS - 1]
    assert tracker.change("bytes", Since.LAST)[0] == 1
    assert tracker.change("bytes", Since.START)[0] == 3 * MOST_POINTS - 1


KEYS = [TagKey(tag, pool, session) for tag in ("Aaaa", "Bb") for pool in (N, P) for session in (None, -1, 1, 2)]
TABLES = st.lists(
    st.tuples(st.dictionaries(st.sampled_from(KEYS), st.integers(0, 2**40), max_size=8), st.booleans(), st.booleans()),
    min_size=1,
    max_size=8,
)


@settings(max_examples=150, deadline=None)
@given(TABLES)
def test_any_samples_give_what_a_plain_reading_of_the_rules_gives(
    tables: list[tuple[dict[TagKey, int], bool, bool]],
) -> None:
    index = TagIndex()
    tracker = Tracker(index)
    moments: list[dict[TagKey, float]] = []
    seen: set[TagKey] = set()
    for step, (rows, complete, sessions) in enumerate(tables):
        ids = np.array([index.number(key) for key in rows], np.int64)
        values = np.array(list(rows.values()), np.float64)
        figures = TagFigures(ids, values, values, values)
        # One start of Windows, whatever the counts do
        tracker.feed(Sample(60.0 * step, figures, complete=complete, booted=-60.0, sessions_complete=sessions))
        held = {key: float(value) for key, value in rows.items()}
        if any((key.session or 0) > 0 for key in rows) and not any(key.session == -1 for key in rows):
            for key, value in rows.items():
                if key.session is not None:
                    of_all = TagKey(key.tag, key.pool, -1)
                    held[of_all] = held.get(of_all, 0.0) + value
        seen |= held.keys()
        shown = {(key.pool, key.session) for key in held} if complete else set()
        shown |= {(key.pool, key.session) for key in KEYS if key.session is not None and sessions}
        moments.append({key: held.get(key, 0.0) for key in KEYS if key in held or (key.pool, key.session) in shown})
    assert set(tracker.index.keys) == seen
    for number, key in enumerate(tracker.index.keys):
        course = [moment.get(key, np.nan) for moment in moments]
        np.testing.assert_array_equal(tracker.history.column(number), course)
        assert tracker.now is not None
        np.testing.assert_equal(float(tracker.now.bytes[number]), course[-1])
        known = [value for value in course if not np.isnan(value)]
        began = known[0] if known and len(course) > 1 else np.nan
        np.testing.assert_equal(float(tracker.change("bytes", Since.START)[number]), course[-1] - began)
        before = course[-2] if len(course) > 1 else np.nan
        np.testing.assert_equal(float(tracker.change("bytes", Since.LAST)[number]), course[-1] - before)
        there = [step for step, value in enumerate(course) if not np.isnan(value)]
        origin = tracker.origin(Since.START)
        if origin is not None:
            assert bool(origin.late[number]) == bool(there and there[0])
            np.testing.assert_equal(float(origin.seen[number]), 60.0 * there[0] if there and there[0] else np.nan)
        first = there[0] if there and there[0] < len(course) - 1 else None
        rate = np.nan if first is None else (course[-1] - course[first]) * 60 / (len(course) - 1 - first)
        np.testing.assert_allclose(tracker.rate()[number], rate)


def test_a_session_that_ended_holds_nothing_where_all_sessions_are_shown(watched: Any) -> None:
    here, there = TagKey("Usrs", P, 1), TagKey("Usrs", P, 2)
    tracker = watched.tracker

    def then(rows: dict[TagKey, float], *, every: bool) -> None:
        ids = np.array([watched.index.number(key) for key in rows], np.int64)
        values = np.array(list(rows.values()))
        figures = TagFigures(ids, values, values, values)
        tracker.feed(Sample(60.0 * tracker.count, figures, complete=True, sessions_complete=every))

    then({A: 7, here: 100, there: 50}, every=True)
    then({A: 7, here: 120}, every=False)  # one table may be missing
    numbers = [tracker.index.keys.index(key) for key in (there, TagKey("Usrs", P, -1))]
    assert np.isnan(tracker.now.bytes[numbers[0]])
    then({A: 7}, every=True)
    assert tracker.now.bytes[numbers].tolist() == [0, 0]
    assert tracker.change("bytes", Since.START)[numbers].tolist() == [-50, -150]
    later = TagKey("Usrs", P, 9)
    then({A: 7, later: 30}, every=True)
    number = tracker.index.keys.index(later)
    assert tracker.change("bytes", Since.LAST)[number] == 30
    np.testing.assert_array_equal(tracker.history.column(number), [0, np.nan, 0, 30])


def started_again(watched: Any, *, every: float = 60.0, allocs: float = 40.0) -> Tracker:
    """Three samples, a restart, one sample; A and B count up by 50 bytes and 10 allocations a sample."""
    for step in range(3):
        watched.then({A: (1000 + 50 * step, 1, 500 + 10 * step), B: (8, 1, 900 + step)}, after=every)
    tracker: Tracker = watched.then({A: (100, 1, allocs), B: (8, 1, allocs)}, after=every)
    return tracker


def test_nothing_is_counted_across_a_restart_of_windows(watched: Any) -> None:
    tracker = started_again(watched, every=600.0)
    assert tracker.restarted
    for since in Since:
        assert np.isnan(tracker.change("allocs", since)).all()
    assert np.isnan(tracker.rate()).all()
    assert tracker.seconds == 0
    watched.then({A: (400, 2, 60), B: (8, 1, 50)}, after=600.0)
    assert tracker.change("bytes", Since.LAST)[0] == 300
    assert tracker.change("bytes", Since.START)[0] == 300
    assert tracker.rate()[0] == 300 * 6
    assert (tracker.seconds, tracker.history.begin) == (600, 3)


def test_a_mark_from_before_a_restart_counts_from_the_first_sample_after_it(watched: Any, series_of: Any) -> None:
    watched.then({A: (5, 1, 400), B: (8, 1, 800)})
    watched.tracker.set_mark()
    tracker = started_again(watched)
    assert np.isnan(tracker.change("bytes", Since.MARK)[0])
    watched.then({A: (400, 2, 60), B: (8, 1, 50)})
    assert tracker.change("bytes", Since.MARK)[0] == 300
    tracker.set_mark()
    tracker.rebuild(series_of(watched), 2)  # back before the restart: the mark is of another Windows
    assert np.isnan(tracker.change("bytes", Since.MARK)).all()
    assert not tracker.restarted


def test_one_tag_or_a_table_that_was_cut_is_no_restart(watched: Any) -> None:
    tags = [TagKey(f"T{n:03}", N) for n in range(20)]
    watched.then(dict.fromkeys(tags, (64, 1, 1000)))
    tracker = watched.then({tag: (64, 1, 5 if tag == tags[0] else 1001) for tag in tags})
    assert tracker.change("allocs", Since.LAST)[0] == -995  # its counter of 32 bits went round
    watched.then(dict.fromkeys(tags[1:4], (64, 1, 1002)))
    assert not tracker.restarted
    watched.then(dict.fromkeys(tags, (64, 1, 1003)))
    watched.then(dict.fromkeys(tags, (64, 1, 20)))
    assert tracker.restarted


def test_the_time_of_the_start_tells_a_restart_from_a_clock_that_was_set() -> None:
    def tracked(*moments: tuple[float, float, float]) -> bool:
        index = TagIndex()
        ids = np.array([index.number(A), index.number(B)])
        tracker = Tracker(index)
        for time, booted, allocs in moments:
            counts = np.full(2, allocs)
            tracker.feed(Sample(time, TagFigures(ids, counts, counts, counts), complete=True, booted=booted))
        return tracker.restarted

    assert tracked((10_000, 0, 50), (10_060, 10_030, 60))  # it has run for 30 seconds
    assert not tracked((10_000, 0, 50), (10_060, 30, 20))  # the same start
    assert not tracked((10_000, 0, 50), (17_260, 7_200, 60))  # the clock was set forward by two hours
    assert tracked((10_000, 9_000, 50), (90_000, 20_000, 20))  # days later, started long ago
