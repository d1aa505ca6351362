"""What goes wrong around a recording: names, memory, damage, a disk that refuses; nothing is lost without a word."""

import errno
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest
from polars.io.plugins import register_io_source

from poolsleuth.model.errors import InputError
from poolsleuth.sampling.recording import disk, part, store, writer
from poolsleuth.sampling.recording.layout import (
    KEY_EVERY,
    Description,
    described,
    journal_of,
    older_parts,
    recorded_into,
)
from poolsleuth.sampling.recording.reader import Recording
from poolsleuth.sampling.recording.writer import RecordingWriter
from poolsleuth.sampling.sample import Host, Sample

from .conftest import Making, plain

HOST = Host("SRV01")


def _record(path: Path, samples: list[Sample], making: Making, **how: int) -> list[str]:
    with RecordingWriter(path, HOST, **how) as recorder:  # type: ignore[arg-type]
        for sample in samples:
            recorder.add(sample, making.index)
    return recorder.notes


def _whole(path: Path, samples: list[Sample], making: Making) -> bool:
    recording = Recording.open([path])
    return [plain(s, recording.index) for s in recording.samples()] == [plain(s, making.index) for s in samples]


@pytest.mark.parametrize("name", ["pool", "pool.parquet", "a.b", "pool.2026"])
def test_older_parts_are_found_whatever_the_name(tmp_path: Path, making: Making, name: str) -> None:
    path = tmp_path / name
    samples = making.course(400, every=600.0)
    _record(path, samples, making)
    assert len(older_parts(path)) == 2
    assert _whole(path, samples, making)
    assert all(recorded_into(older) == path for older in older_parts(path))
    assert recorded_into(path) == path
    for belongs in (f"{name}.tail", f"{name}.new"):
        assert recorded_into(tmp_path / belongs) == path


def test_a_day_is_one_file_and_the_newest_samples_are_in_the_file_itself(tmp_path: Path, making: Making) -> None:
    path = tmp_path / "pool.parquet"
    samples = making.course(145, tags=3, every=600.0)  # a day and a sample
    _record(path, samples, making, durable=False)
    assert list(tmp_path.iterdir()) == [path]
    _record(path, making.course(1, start=samples[-1].time + 600), making)
    assert len(older_parts(path)) == 1
    assert len(Recording.open([path])) == 146


def test_the_part_with_the_newest_samples_is_never_dropped(
    tmp_path: Path, making: Making, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer, "LEAST_MAX_BYTES", 1)
    path = tmp_path / "pool.parquet"
    samples = making.course(3, tags=300)
    _record(path, samples, making, max_bytes=2_000)
    recording = Recording.open([path])
    assert plain(recording.at(len(recording) - 1), recording.index) == plain(samples[-1], making.index)


def test_a_part_that_cannot_be_removed_is_counted_and_tried_again(
    tmp_path: Path, making: Making, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer, "LEAST_MAX_BYTES", 1)
    path = tmp_path / "pool.parquet"
    remove = disk.remove
    held: set[Path] = set()

    def refusing(name: Path) -> None:
        if name not in held:
            remove(name)

    monkeypatch.setattr(disk, "remove", refusing)
    samples = making.course(600, tags=100)
    with RecordingWriter(path, HOST, max_bytes=30_000) as recorder:
        for place, sample in enumerate(samples):
            held.update(older_parts(path)[:1] if place < 400 and not held else ())
            if place == 400:
                assert recorder.bytes_on_disk == sum(file.stat().st_size for file in tmp_path.iterdir())
                assert any("cannot be removed just now" in note for note in recorder.notes)
                (kept,) = held
                held.clear()
            recorder.add(sample, making.index)
        assert recorder.bytes_on_disk < 40_000
    assert not kept.exists()


def test_a_journal_that_could_not_be_merged_for_days_fills_several_parts(
    tmp_path: Path, making: Making, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "pool.parquet"
    samples = making.course(500)
    rename = disk.replace

    def refusing(old: Path, new: Path) -> None:
        if new == path and held:
            raise PermissionError(errno.EACCES, "Permission denied")
        rename(old, new)

    held = False
    monkeypatch.setattr(disk, "replace", refusing)
    monkeypatch.setattr(store, "SEAL_ROWS", 300)
    monkeypatch.setattr(store, "PART_ROWS", 400)
    with RecordingWriter(path, HOST) as recorder:
        held = True
        for sample in samples:
            recorder.add(sample, making.index)
        assert "could not be merged and is kept: Permission denied" in recorder.notes[0]
        held = False
    assert len(older_parts(path)) > 2
    assert _whole(path, samples, making)
    for older in older_parts(path):
        assert Recording.open([older]).keys[0]


def test_a_journal_that_is_full_loses_samples_and_says_so(
    tmp_path: Path, making: Making, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "pool.parquet"
    samples = making.course(200)
    rename = disk.replace

    def refusing(old: Path, new: Path) -> None:
        if held:
            raise PermissionError(errno.EACCES, "Permission denied")
        rename(old, new)

    held = False
    monkeypatch.setattr(disk, "replace", refusing)
    monkeypatch.setattr(writer, "MAX_JOURNAL_ROWS", 900)
    with RecordingWriter(path, HOST) as recorder:
        held = True
        for sample in samples[:150]:
            recorder.add(sample, making.index)
        kept = recorder.samples
        assert 64 < kept < 150
        assert recorder.notes[-1].endswith("samples were lost: the journal is full and cannot be merged")
        assert len(Recording.open([path])) == kept
        held = False
        for sample in samples[150:]:
            recorder.add(sample, making.index)
    assert _whole(path, samples[:kept] + samples[150:], making)


@pytest.mark.parametrize("error", [MemoryError(), OSError(errno.EIO, "Input/output error")])
def test_what_cannot_be_read_just_now_is_not_damaged(
    tmp_path: Path, making: Making, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    path = tmp_path / "pool.parquet"
    samples = making.course(3 * KEY_EVERY)
    scanned = part._scanned

    def failing(source: Path | bytes, where: str) -> object:
        if fails:
            raise error
        return scanned(source, where)

    fails = False
    monkeypatch.setattr(part, "_scanned", failing)
    with RecordingWriter(path, HOST) as recorder:
        for place, sample in enumerate(samples):
            fails = KEY_EVERY < place < 2 * KEY_EVERY + 10
            recorder.add(sample, making.index)
        assert len(recorder.notes) == 1
        assert "could not be merged and is kept: " in recorder.notes[0]
        assert recorder.notes[0].count(str(path)) == 1
    assert [file.name for file in tmp_path.iterdir()] == ["pool.parquet"]
    assert _whole(path, samples, making)


def test_a_removed_journal_is_written_anew_as_soon_as_that_works(
    tmp_path: Path, making: Making, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "pool.parquet"
    samples = making.course(10)
    append = disk.append

    def refusing(file: object, at: int, data: bytes) -> None:
        if full:
            raise OSError(errno.ENOSPC, "No space left on device")
        append(file, at, data)  # type: ignore[arg-type]

    full = False
    monkeypatch.setattr(disk, "append", refusing)
    with RecordingWriter(path, HOST) as recorder:
        for sample in samples[:5]:
            recorder.add(sample, making.index)
        journal_of(path).unlink()
        full = True
        for _ in range(2):
            with pytest.raises(InputError, match=r"No space left on device\): 5 samples in it"):
                recorder.add(samples[5], making.index)
            assert not journal_of(path).exists()
        full = False
        for sample in samples[5:]:
            recorder.add(sample, making.index)
        assert len(Recording.open([path])) == 10
    assert _whole(path, samples, making)


def test_a_name_that_cannot_be_asked_for_is_not_gone(
    tmp_path: Path, making: Making, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "pool.parquet"
    with RecordingWriter(path, HOST) as recorder, monkeypatch.context() as patch:
        stat = Path.stat

        def failing(self: Path, *, follow_symlinks: bool = True) -> object:
            if self == journal_of(path):
                raise OSError(errno.EIO, "Input/output error")
            return stat(self, follow_symlinks=follow_symlinks)

        patch.setattr(Path, "stat", failing)
        recorder.add(making.course(1)[0], making.index)
        assert not recorder.notes
        assert recorder.samples == 1


def test_a_journal_damaged_at_its_beginning_is_kept_and_told(tmp_path: Path, making: Making) -> None:
    path = tmp_path / "pool.parquet"
    recorder = RecordingWriter(path, HOST)
    for sample in making.course(5):
        recorder.add(sample, making.index)
    recorder._release()
    data = bytearray(journal_of(path).read_bytes())
    data[60:64] = b"\0\0\0\0"
    journal_of(path).write_bytes(data)
    assert "what is in it cannot be read" in Recording.open([path]).notes[0]
    notes = _record(path, making.course(1), making)
    assert notes[0].endswith("it is kept as pool.parquet.damaged.tail")
    assert (tmp_path / "pool.parquet.damaged.tail").read_bytes() == data


def test_a_journal_that_is_damaged_while_recording(tmp_path: Path, making: Making) -> None:
    path = tmp_path / "pool.parquet"
    with RecordingWriter(path, HOST) as recorder:
        for sample in making.course(5):
            recorder.add(sample, making.index)
        with journal_of(path).open("r+b") as file:
            file.seek(1000)
            file.write(b"\0\0\0\0")
    assert recorder.notes[0].endswith("it is kept as pool.parquet.damaged.tail")


def test_damage_set_aside_is_told_by_readers(tmp_path: Path, making: Making) -> None:
    path = tmp_path / "pool.parquet"
    _record(path, making.course(5), making)
    (tmp_path / "pool.damaged.parquet").write_bytes(b"PAR1")
    assert Recording.open([path]).notes == (
        f"{tmp_path / 'pool.damaged.parquet'}: was damaged and set aside while recording; its samples are left out",
    )


def test_without_a_damaged_older_part_the_others_are_read(tmp_path: Path, making: Making) -> None:
    path = tmp_path / "pool.parquet"
    samples = making.course(600, every=600.0)
    _record(path, samples, making)
    broken = older_parts(path)[1]
    lost = len(Recording.open([broken]))
    data = bytearray(broken.read_bytes())
    data[100:200] = bytes(100)
    broken.write_bytes(data)
    recording = Recording.open([path])
    assert len(recording) == 600
    sound = recording.sound()
    assert len(list(sound.samples())) == 600 - lost
    assert any(str(broken) in note and f"its {lost:,} samples are left out" in note for note in sound.notes)
    assert sound.sound() is sound


def test_whether_every_session_is_shown_comes_back(tmp_path: Path, making: Making) -> None:
    path = tmp_path / "pool.parquet"
    samples = [replace(sample, sessions_complete=bool(n % 3)) for n, sample in enumerate(making.course(70))]
    with RecordingWriter(path, HOST) as recorder:
        for sample in samples:
            recorder.add(sample, making.index)
        assert _whole(path, samples, making)  # most of it out of the part, the end out of the journal
    assert _whole(path, samples, making)
    rows = pl.read_parquet(path).filter(pl.col("kind") == "sample").sort("sample")
    assert rows["count"].to_list() == [2.0 if n % 3 else 1.0 for n in range(70)]


def test_a_machine_that_cannot_be_is_not_believed() -> None:
    text = Description("0" * 32, Host("SRV01", build=10**30, physical_bytes=10**400)).text()
    assert described(text, "x").host == Host("SRV01")
    text = Description("0" * 32, Host("SRV01", build=20348, physical_bytes=-10)).text()
    assert described(text, "x").host == Host("SRV01", build=20348)


def test_a_disk_full_while_merging_leaves_nothing_behind(
    tmp_path: Path, making: Making, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "pool.parquet"
    register = register_io_source

    class Full:
        def sink_parquet(self, out: object, **_: object) -> None:
            raise pl.exceptions.ComputeError("parquet: File out of specification: underlying IO error")

    full = False
    monkeypatch.setattr(part, "register_io_source", lambda *a, **k: Full() if full else register(*a, **k))
    with RecordingWriter(path, HOST) as recorder:
        full = True
        for sample in making.course(KEY_EVERY + 1):
            recorder.add(sample, making.index)
        assert recorder.notes[0].endswith("is kept: it could not be written; is the disk full?")
        assert sorted(file.name for file in tmp_path.iterdir()) == ["pool.parquet", "pool.parquet.tail"]
        full = False
    assert len(Recording.open([path])) == KEY_EVERY + 1


def test_a_main_file_without_its_older_parts_says_what_is_missing(tmp_path: Path, making: Making) -> None:
    path = tmp_path / "pool.parquet"
    _record(path, making.course(400, every=600.0), making)
    older = older_parts(path)
    assert Recording.open([older[1]]).notes == ()
    missing = sum(len(Recording.open([one])) for one in older)
    for one in older:
        one.unlink()
    assert Recording.open([path]).notes == (f"{path}: {missing:,} samples before it are missing",)


def test_older_files_of_another_recording_are_named(tmp_path: Path, making: Making) -> None:
    path = tmp_path / "pool.parquet"
    _record(path, making.course(400, every=600.0), making)
    path.unlink()
    notes = _record(path, making.course(2), making)
    (said,) = [note for note in notes if "another recording" in note]
    assert said == f"{path}: 2 older files beside it belong to another recording ({older_parts(path)[0].name} ...)"
    assert said in Recording.open([path]).notes
    assert len(Recording.open([path])) == 2
