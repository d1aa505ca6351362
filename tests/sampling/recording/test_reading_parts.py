"""Parts are opened by what their metadata lists, and their rows are read when, and only when, they are needed."""

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from poolsleuth.model.errors import InputError
from poolsleuth.sampling.recording import part as parts
from poolsleuth.sampling.recording import reader, store
from poolsleuth.sampling.recording.courses import UPTIME
from poolsleuth.sampling.recording.footer import checked
from poolsleuth.sampling.recording.layout import KEY_EVERY, SAMPLES_KEY
from poolsleuth.sampling.recording.reader import Recording
from poolsleuth.sampling.recording.writer import RecordingWriter
from poolsleuth.sampling.sample import Host, Sample

from .conftest import Made, Making, plain

HOST = Host("SRV01")
COUNT = 5 * KEY_EVERY


@pytest.fixture(scope="module")
def made() -> Made:
    making = Making()
    return Made(making.course(COUNT, every=600.0), making.index, HOST)


@pytest.fixture(scope="module")
def days(tmp_path_factory: pytest.TempPathFactory, made: Made) -> Path:
    """A recording of five parts."""
    path = tmp_path_factory.mktemp("days") / "pool.parquet"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(store, "PART_SECONDS", 6 * 3600.0)
        with RecordingWriter(path, HOST) as recorder:
            for sample in made.samples:
                recorder.add(sample, made.index)
    assert len(list(path.parent.iterdir())) == 5
    return path


@pytest.fixture
def copy(days: Path, tmp_path: Path) -> Path:
    shutil.copytree(days.parent, tmp_path / "copy")
    return tmp_path / "copy" / "pool.parquet"


@pytest.fixture
def checks(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The files whose footers were checked."""
    seen: list[str] = []

    def counted(data: bytes, where: str) -> object:
        seen.append(Path(where).name)
        return checked(data, where)

    monkeypatch.setattr(parts, "checked", counted)
    return seen


def test_opening_reads_one_block_of_each_part(days: Path, made: Made, checks: list[str]) -> None:
    recording = Recording.open([days])
    assert checks == ["pool.parquet"]  # which may be replaced, and is read whole
    assert recording.times.tolist() == made.times.tolist()
    assert recording.keys.nonzero()[0].tolist() == list(range(0, COUNT, KEY_EVERY))


def test_the_last_hours_need_the_last_part_only(days: Path, made: Made, checks: list[str]) -> None:
    recording = Recording.open([days])
    places = recording.evenly(10**6, since=float(recording.times[-10]))
    assert len(list(recording.samples(places))) == 10
    assert recording.tag([made.index.keys[1]], since=float(recording.times[-10])).places.tolist() == places.tolist()
    assert len(checks) == 1


@pytest.mark.parametrize("at_once", [1, 2, 24])
def test_several_parts_at_once_say_what_each_says(
    days: Path, made: Made, monkeypatch: pytest.MonkeyPatch, at_once: int
) -> None:
    for module in (parts, reader):
        monkeypatch.setattr(module, "MOST_AT_ONCE", at_once)
    recording = Recording.open([days])
    keys = np.arange(0, COUNT, KEY_EVERY)
    found = [plain(sample, recording.index) for sample in recording.samples(keys)]
    assert found == [plain(made.at(int(place)), made.index) for place in keys]
    asked = made.index.keys[3]
    course = recording.tag([asked]).courses[asked]
    for place, size in enumerate(course.bytes.tolist()):
        assert _bytes(made.at(place), made.index.number(asked)) == (None if np.isnan(size) else size)
    memory = recording.memory(["available", "page_faults", "committed", UPTIME], np.arange(COUNT))
    assert memory["available"].tolist() == [sample.memory["available"] for sample in made.samples]
    assert memory["page_faults"].tolist() == [sample.memory["page_faults"] for sample in made.samples]
    assert np.isnan(memory["committed"]).all()
    assert np.isnan(memory[UPTIME]).all()


def _bytes(sample: Sample, number: int) -> float | None:
    found = sample.tags.bytes[sample.tags.ids == number]
    return float(found[0]) if len(found) else None


def test_older_parts_that_are_named_are_not_held_in_memory(days: Path) -> None:
    recording = Recording.open(sorted(days.parent.iterdir()))
    assert [part.path is None for part in recording._parts] == [False] * 4 + [True]
    assert len(recording) == COUNT


def test_a_damaged_part_is_named_when_it_is_read(copy: Path, made: Made) -> None:
    damaged = sorted(copy.parent.iterdir())[2]
    data = bytearray(damaged.read_bytes())
    data[4:2000] = bytes(1996)
    damaged.write_bytes(data)
    recording = Recording.open([copy])
    assert (len(recording), recording.notes) == (COUNT, ())
    for read in (
        lambda: recording.tag([made.index.keys[1]]),
        lambda: list(recording.samples(range(0, COUNT, KEY_EVERY))),
        lambda: recording.memory(["available"], np.arange(COUNT)),
        lambda: recording.at(2 * KEY_EVERY + 5),
    ):
        with pytest.raises(InputError, match=damaged.name):
            read()
    assert plain(recording.at(COUNT - 1), recording.index) == plain(made.at(COUNT - 1), made.index)


def _rewritten(path: Path, change: Callable[[pl.DataFrame], pl.DataFrame], crc: str) -> None:
    said = pl.read_parquet_metadata(path)
    said = {name: text for name, text in said.items() if name.startswith("poolsleuth.")}
    at = said["poolsleuth.recording"].index('"crc": "') + 8
    said["poolsleuth.recording"] = said["poolsleuth.recording"][:at] + crc + said["poolsleuth.recording"][at + 8 :]
    change(pl.read_parquet(path)).write_parquet(path, metadata=said)


def test_without_a_crc_the_rows_say_which_samples_there_are(copy: Path) -> None:
    """A part that another program shortened: its list is that of the whole one."""
    older = min(copy.parent.iterdir())
    _rewritten(older, lambda rows: rows.filter(pl.col("sample") < 10), "")
    assert len(Recording.open([older])) == 10


def test_a_list_that_lies(copy: Path, made: Made) -> None:
    older = min(copy.parent.iterdir())
    _rewritten(older, lambda rows: rows.filter(pl.col("sample") < 10), "12345678")
    recording = Recording.open([older])
    assert len(recording) == KEY_EVERY
    assert recording.tag([made.index.keys[1]]).courses
    with pytest.raises(InputError, match="is damaged, or was changed by another program"):
        recording.at(3)


def test_a_part_that_is_replaced_after_it_was_opened(copy: Path, made: Made) -> None:
    first, second, *_ = sorted(copy.parent.iterdir())
    recording = Recording.open([first])
    second.replace(first)
    with pytest.raises(InputError, match="was replaced while it was read"):
        recording.tag([made.index.keys[1]])


def test_a_part_without_a_list_is_opened_by_its_rows(copy: Path, made: Made, checks: list[str]) -> None:
    older = min(copy.parent.iterdir())
    data = older.read_bytes()
    older.write_bytes(data.replace(SAMPLES_KEY.encode(), b"x" * len(SAMPLES_KEY)))
    recording = Recording.open([older])
    assert older.name in checks
    assert recording.times.tolist() == made.times[:KEY_EVERY].tolist()
