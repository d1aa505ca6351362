from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from poolsleuth.model.series import TagKey
from poolsleuth.model.tags import PoolKind
from poolsleuth.sampling.sample import Sample, TagFigures
from poolsleuth.top import history as module
from poolsleuth.top.history import ALLOCS, BYTES, OUTSTANDING, History

N = PoolKind.NONPAGED


def one(value: float, *, width: int = 1, time: float | None = None) -> Sample:
    ids = np.arange(width)
    values = np.full(width, value)
    return Sample(
        value if time is None else time, TagFigures(ids, values, values / 2, values * 2), {"committed": value}
    )


def test_every_sample_is_kept_as_long_as_there_is_room() -> None:
    history = History()
    for value in range(50):
        history.add(one(value), 1)
    assert history.column(0).tolist() == list(range(50))
    assert history.column(0, OUTSTANDING)[-1] == 24.5
    assert history.row(7, ALLOCS).tolist() == [14]
    assert history.memory("committed").tolist() == list(range(50))
    assert np.isnan(history.memory("physical")).all()
    assert (len(history), history.count) == (50, 50)


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 900), st.integers(3, 40))
def test_thinning_keeps_the_time_evenly_covered(count: int, most: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "MOST_POINTS", most)
        patch.setattr(module, "FEWEST_POINTS", 2)
        history = History()
        for value in range(count):
            history.add(one(value), 1)
            assert history.times[0] == 0
            assert history.times[-1] == value
            assert history.column(0).tolist() == history.times.tolist()
            assert len(history) <= most
        steps = np.diff(history.times)
        assert history.count == count
        assert len(set(steps[:-1].tolist())) <= 1
        assert not len(steps) or steps[-1] <= steps[0]
        assert len(history) > most // 2 - 1 or len(history) == count


def test_tags_that_come_later_make_the_kept_time_shorter_not_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_CELLS", 4_000)
    history = History()
    for value in range(100):
        history.add(one(value, width=1 + value * 4), 1 + value * 4)
    assert len(history) <= max(module.FEWEST_POINTS, 4_000 // 397)
    assert history.column(0).tolist() == history.times.tolist()
    last = history.column(396)
    assert np.isnan(last[:-1]).all()
    assert last[-1] == 99
    assert history.matrix(BYTES, np.array([0, 5_000])).shape == (len(history), 2)
    assert np.isnan(history.matrix(BYTES, np.array([5_000]))).all()


def test_the_last_sample_at_or_before_a_time() -> None:
    history = History()
    assert history.before(5) is None
    for value in (10, 20, 30):
        history.add(one(value), 1)
    assert [history.before(time) for time in (9, 10, 29, 30, 99)] == [None, 0, 1, 2, 2]


def test_memory_stays_bounded_with_as_many_tags_as_there_may_be(watched: Any) -> None:
    history = watched.tracker.history
    watched.then({TagKey("Aaaa", N): (1, 1, 1)})
    width = 20_000
    for value in range(250):
        history.add(one(value, width=width), width)
    assert len(history) <= 100
    assert sum(table.nbytes for table in (history._bytes, history._outstanding, history._allocs)) < 56 << 20


def test_counts_are_exact_and_no_figure_is_too_large() -> None:
    history = History()
    for count in (4_000_000_000.0, 4_000_000_007.0, 1e300):
        row = np.array([count])
        history.add(Sample(count, TagFigures(np.arange(1), row, row, row)), 1)
    assert np.diff(history.column(0, ALLOCS))[0] == 7
    assert history.column(0, OUTSTANDING)[-1] == 1e300
