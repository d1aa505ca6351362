"""What is recorded comes back, whatever the samples are like and however they are asked for."""

import math
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from poolsleuth.model.series import TagKey
from poolsleuth.model.tags import PoolKind
from poolsleuth.sampling.recording.layout import MOST_BY_HANDLES
from poolsleuth.sampling.recording.reader import Recording
from poolsleuth.sampling.recording.writer import RecordingWriter
from poolsleuth.sampling.sample import MEMORY_FIGURES, Host, ProcessRow, Sample

from .conftest import START, Made, Making, plain, write_series

_NAMES = st.text(st.characters(max_codepoint=0xFF), min_size=1, max_size=4).map(lambda name: name.rstrip(" \0"))
_KEYS = st.builds(TagKey, _NAMES, st.sampled_from(PoolKind), st.none() | st.integers(-1, 0xFFF0))
_FIGURES = st.just(math.nan) | st.floats(-1e18, 1e18) | st.integers(0, 2**53).map(float)
_TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
_COUNTS = st.none() | st.integers(0, 2**53)
_PROCESSES = st.lists(
    st.builds(ProcessRow, st.integers(0, 2**32 - 1), _TEXTS, _COUNTS, _COUNTS, _COUNTS, st.none() | st.integers(0, 9)),
    max_size=4,
    unique_by=lambda row: row.pid,
)


@st.composite
def _series(draw: st.DrawFn) -> Made:
    making = Making()
    keys = draw(st.lists(_KEYS, min_size=1, max_size=6, unique=True))
    figures = st.tuples(_FIGURES, _FIGURES, _FIGURES)
    tables = st.dictionaries(st.sampled_from(keys), figures, max_size=6)
    memory = st.dictionaries(st.sampled_from(MEMORY_FIGURES), st.floats(0, 1e15), max_size=3)
    samples = [
        making.sample(
            math.nan if draw(st.integers(0, 9)) == 9 else 0.0,
            draw(tables),
            draw(memory),
            draw(_PROCESSES),
            complete=draw(st.booleans()),
            booted=draw(st.none() | st.floats(0, 2e9)),
            label=draw(_TEXTS),
        )
        for n in range(draw(st.integers(1, 12)))
    ]
    times = draw(st.sampled_from([1, 2, 12]))  # the same samples over and over: more than lie between two key samples
    return Made(
        [replace(sample, time=sample.time + START + 60 * n) for n, sample in enumerate(samples * times)], making.index
    )


@settings(max_examples=15, deadline=None)
@given(_series(), st.data())
def test_every_sample_comes_back(series: Made, data: st.DataObject) -> None:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "pool.parquet"
        assert write_series(path, series) == len(series.samples)
        recording = Recording.open([path])
        wanted = [plain(sample, series.index) for sample in series.samples]
        assert [plain(sample, recording.index) for sample in recording.samples()] == wanted
        np.testing.assert_array_equal(recording.times, series.times)
        places = data.draw(st.lists(st.integers(0, len(wanted) - 1), max_size=6))
        assert [plain(recording.at(place), recording.index) for place in places] == [wanted[at] for at in places]
        ascending = sorted(places)
        found = [plain(sample, recording.index) for sample in recording.samples(ascending)]
        assert found == [wanted[place] for place in ascending]
        keys = series.index.keys
        courses = recording.tag(keys).courses
        for key in keys:
            for place, sample in enumerate(series.samples):
                at = np.flatnonzero(sample.tags.ids == series.index.number(key))
                expected = sample.tags.bytes[at[0]] if len(at) else math.nan
                np.testing.assert_equal(courses[key].bytes[place], expected)


@settings(max_examples=10, deadline=None)
@given(_series(), st.data())
def test_a_journal_is_read_as_a_part_is(series: Made, data: st.DataObject) -> None:
    """Samples that are not sealed, of a recorder that was killed and started again at any sample."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "pool.parquet"
        kills = set(data.draw(st.lists(st.integers(0, len(series.samples)), max_size=3)))
        writer = RecordingWriter(path, series.host)
        for place, sample in enumerate(series.samples):
            if place in kills:
                writer._release()  # what the system does when a process is killed
                writer = RecordingWriter(path, series.host)
            writer.add(sample, series.index)
        recording = Recording.open([path])
        writer.close()
        found = [plain(sample, recording.index) for sample in recording.samples()]
        assert found == [plain(sample, series.index) for sample in series.samples]
        again = Recording.open([path])
        assert [plain(sample, again.index) for sample in again.samples()] == found
        assert recording.notes == again.notes == ()
        assert [file.name for file in Path(folder).iterdir()] == ["pool.parquet"]


def test_what_the_recording_says_of_the_machine(tmp_path: Path, making: Making) -> None:
    host = Host("SRV-\u00e4", "Windows Server 2022", 20348, "x64", 1 << 36, utc=False)
    path = tmp_path / "pool.parquet"
    write_series(path, Made(making.course(3), making.index, host), every=60)
    recording = Recording.open([path])
    assert (recording.host, recording.every, len(recording)) == (host, 60.0, 3)
    assert len(recording.id) == 32
    assert Recording.open([path]).id == recording.id


def test_text_that_utf_8_cannot_hold_and_text_without_end(tmp_path: Path, making: Making) -> None:
    rows = (ProcessRow(4, "a\ud800\x1b[31m\0z", 1, 2, 3), ProcessRow(8, "n" * 1000, 1, 2, 3))
    sample = making.sample(START, {TagKey("A\udfffB", PoolKind.PAGED): (1.0, 2.0, 3.0)}, processes=rows, label="\ud900")
    path = tmp_path / "pool.parquet"
    write_series(path, Made([sample], making.index))
    recording = Recording.open([path])
    found = recording.at(0)
    assert [row.name for row in found.processes] == ["a\ufffd\x1b[31m\0z", "n" * 260]
    assert recording.index.keys == [TagKey("A\ufffdB", PoolKind.PAGED)]
    assert found.label == "\ufffd"


def test_figures_of_processes_that_are_none(tmp_path: Path, making: Making) -> None:
    rows = (ProcessRow(-1, "no pid", 1, 2, 3), ProcessRow(4, "x", -1, 2**60, 5, 2**40))
    path = tmp_path / "pool.parquet"
    write_series(path, Made([making.sample(START, {}, processes=rows)], making.index))
    assert Recording.open([path]).at(0).processes == (ProcessRow(4, "x", None, None, 5, None),)


def test_of_many_processes_the_largest_are_kept(tmp_path: Path, making: Making) -> None:
    rows = [ProcessRow(n, f"p{n}", handles=n, nonpaged=2 * (1000 - n), paged=0) for n in range(1000)]
    path = tmp_path / "pool.parquet"
    write_series(path, Made([making.sample(START, {}, processes=rows)], making.index))
    kept = [row.pid for row in Recording.open([path]).at(0).processes]
    assert kept == [*range(100), *range(1000 - MOST_BY_HANDLES, 1000)]


def test_two_indexes_one_after_the_other(tmp_path: Path) -> None:
    """A source that begins anew gives its tags other numbers."""
    one, other = Making(), Making()
    key, second = TagKey("Aaaa", PoolKind.PAGED), TagKey("Bbbb", PoolKind.PAGED)
    path = tmp_path / "pool.parquet"
    with RecordingWriter(path, Host("S")) as writer:
        writer.add(one.sample(START, {key: (1, 1, 1), second: (2, 2, 2)}), one.index)
        writer.add(other.sample(START + 60, {second: (2, 2, 2)}), other.index)
    recording = Recording.open([path])
    assert plain(recording.at(1), recording.index)[1] == {second: (2.0, 2.0, 2.0)}
    np.testing.assert_array_equal(recording.tag([key]).courses[key].bytes, [1.0, math.nan])


def test_numbers_of_tags_that_are_none_are_left_out(tmp_path: Path, making: Making) -> None:
    sample = making.sample(START, {TagKey("Aaaa", PoolKind.PAGED): (1, 2, 3)})
    figures = sample.tags
    figures.ids[0] = -1
    path = tmp_path / "pool.parquet"
    write_series(path, Made([Sample(START, figures)], making.index))
    assert len(Recording.open([path]).at(0).tags) == 0


@pytest.fixture(scope="module")
def long(tmp_path_factory: pytest.TempPathFactory) -> Recording:
    making = Making()
    path = tmp_path_factory.mktemp("long") / "pool.parquet"
    write_series(path, Made(making.course(400, tags=2), making.index))
    return Recording.open([path])


@pytest.mark.parametrize("most", [1, 2, 3, 5, 10, 200, 1000])
def test_evenly_spread_places(long: Recording, most: int) -> None:
    recording = long
    places = recording.evenly(most)
    assert places[0] == 0
    assert most == 1 or places[-1] == 399
    assert len(places) <= most
    assert (np.diff(places) > 0).all()
    if 3 <= most <= 7:  # 400 samples have seven key samples
        assert recording.keys[places[:-1]].all()
    elif 7 < most <= 400:
        assert len(places) == most


def test_some_time_of_it(tmp_path: Path, making: Making) -> None:
    path = tmp_path / "pool.parquet"
    samples = making.course(200)
    write_series(path, Made(samples, making.index))
    recording = Recording.open([path])
    since, until = START + 60 * 70, START + 60 * 130.5
    np.testing.assert_array_equal(recording.evenly(1000, since, until), np.arange(70, 131))
    key = making.index.keys[4]
    some = recording.tag([key], since, until)
    np.testing.assert_array_equal(some.times, recording.times[70:131])
    np.testing.assert_array_equal(some.courses[key].allocs, recording.tag([key]).courses[key].allocs[70:131])
    assert len(recording.evenly(10, START + 1e6)) == 0
    assert len(recording.tag([key], START + 1e6).times) == 0


def test_places_that_are_none(tmp_path: Path, making: Making) -> None:
    path = tmp_path / "pool.parquet"
    write_series(path, Made(making.course(3), making.index))
    recording = Recording.open([path])
    for place in (-1, 3):
        with pytest.raises(IndexError):
            recording.at(place)
    for places in ([2, 1], [-1], [3]):
        with pytest.raises(ValueError, match="ascend"):
            list(recording.samples(places))
    recording.close()
    assert plain(recording.at(1), recording.index) == plain(making.course(3)[1], making.index)


def test_a_clock_that_was_set_back(tmp_path: Path, making: Making) -> None:
    table = {TagKey("Aaaa", PoolKind.PAGED): (1.0, 2.0, 3.0)}
    path = tmp_path / "pool.parquet"
    times = [START, START + 60, START - 3000, START - 2940]
    write_series(path, Made([making.sample(time, table) for time in times], making.index))
    recording = Recording.open([path])
    assert recording.times.tolist() == times
    assert recording.notes == ("the computer's clock was set back 1 times while it was recorded",)
