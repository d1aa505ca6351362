"""A recording is begun, continued, refused, divided into parts, and goes on when the disk does not."""

import errno
from pathlib import Path

import pytest

from poolsleuth.model.errors import InputError
from poolsleuth.sampling.recording import disk, store, writer
from poolsleuth.sampling.recording.layout import KEY_EVERY, journal_of
from poolsleuth.sampling.recording.reader import Recording
from poolsleuth.sampling.recording.writer import RecordingWriter
from poolsleuth.sampling.sample import Host

from .conftest import Making, plain

HOST = Host("SRV01")


def _names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_files_while_recording_and_after(tmp_path: Path, making: Making) -> None:
    path = tmp_path / "pool.parquet"
    samples = making.course(KEY_EVERY + 1)
    with RecordingWriter(path, HOST) as recorder:
        assert path.read_bytes()[:4] == b"PAR1"  # whole from the beginning
        assert len(Recording.open([path])) == 0
        assert Recording.open([path]).notes == (f"{path}: the recording has no sample yet",)
        for place, sample in enumerate(samples):
            recorder.add(sample, making.index)
            assert len(Recording.open([path])) == place + 1
        assert recorder.samples == len(samples)
        assert recorder.bytes_on_disk == sum(file.stat().st_size for file in tmp_path.iterdir())
        assert _names(tmp_path) == ["pool.parquet", "pool.parquet.tail"]
    assert _names(tmp_path) == ["pool.parquet"]
    recorder.close()
    with pytest.raises(InputError, match="closed"):
        recorder.add(samples[0], making.index)


def test_every_64th_sample_holds_all_rows(tmp_path: Path, making: Making) -> None:
    path = tmp_path / "pool.parquet"
    with RecordingWriter(path, HOST) as recorder:
        for sample in making.course(200):
            recorder.add(sample, making.index)
    assert Recording.open([path]).keys.nonzero()[0].tolist() == [0, 64, 128, 192]


def test_continued(tmp_path: Path, making: Making) -> None:
    path = tmp_path / "pool.parquet"
    samples = making.course(150)
    for begin in range(0, 150, 50):
        with RecordingWriter(path, HOST, every=60) as recorder:
            for sample in samples[begin : begin + 50]:
                recorder.add(sample, making.index)
            assert recorder.samples == 50
            identifier = recorder.id
    recording = Recording.open([path])
    assert recording.id == identifier
    assert [plain(s, recording.index) for s in recording.samples()] == [plain(s, making.index) for s in samples]


def test_recorders_that_never_live_to_merge_their_journal(tmp_path: Path, making: Making) -> None:
    path = tmp_path / "pool.parquet"
    samples = making.course(300)
    sizes = []
    for begin in range(0, 300, 10):
        recorder = RecordingWriter(path, HOST)
        for sample in samples[begin : begin + 10]:
            recorder.add(sample, making.index)
        sizes.append(journal_of(path).stat().st_size)
        recorder._release()
    assert max(sizes) < 3 * sizes[3]
    recording = Recording.open([path])
    assert [plain(s, recording.index) for s in recording.samples()] == [plain(s, making.index) for s in samples]


def test_another_computer_is_refused(tmp_path: Path, making: Making) -> None:
    path = tmp_path / "pool.parquet"
    with RecordingWriter(path, HOST) as recorder:
        recorder.add(making.course(1)[0], making.index)
    before = path.read_bytes()
    with pytest.raises(InputError, match=r"is a recording of SRV01, and this is SRV02; give another name"):
        RecordingWriter(path, Host("SRV02"))
    RecordingWriter(path, Host("srv01")).close()
    assert path.read_bytes() == before


@pytest.mark.parametrize("content", [b"", b"notes of last week", b"PAR1" + bytes(100) + b"PAR1"])
def test_what_is_no_recording_is_never_overwritten(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "pool.parquet"
    path.write_bytes(content)
    with pytest.raises(InputError, match="damaged"):
        RecordingWriter(path, HOST)
    assert path.read_bytes() == content
    assert _names(tmp_path) == ["pool.parquet"]


def test_a_directory_and_a_missing_folder(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is a directory"):
        RecordingWriter(tmp_path, HOST)
    with pytest.raises(InputError, match="cannot be recorded into: No such file"):
        RecordingWriter(tmp_path / "none" / "pool.parquet", HOST)
    with pytest.raises(InputError, match="at least 1 MB"):
        RecordingWriter(tmp_path / "pool.parquet", HOST, max_bytes=1000)


def test_a_second_recorder_is_refused_and_a_dead_one_is_not_waited_for(tmp_path: Path, making: Making) -> None:
    path = tmp_path / "pool.parquet"
    sample = making.course(1)[0]
    first = RecordingWriter(path, HOST)
    with pytest.raises(InputError, match="is being recorded into by another program"):
        RecordingWriter(path, HOST)
    first.add(sample, making.index)
    first._release()  # what the system does when a process ends
    second = RecordingWriter(path, HOST)
    second.add(sample, making.index)
    second.close()
    assert len(Recording.open([path])) == 2


def test_the_journal_of_another_recording(tmp_path: Path, making: Making) -> None:
    for folder in ("one", "other"):
        (tmp_path / folder).mkdir()
        recorder = RecordingWriter(tmp_path / folder / "pool.parquet", HOST)
        recorder.add(making.course(1)[0], making.index)
        recorder._release()
    path = tmp_path / "one" / "pool.parquet"
    journal_of(tmp_path / "other" / "pool.parquet").replace(journal_of(path))
    with pytest.raises(InputError, match="is the journal of another recording; move it away"):
        RecordingWriter(path, HOST)
    recording = Recording.open([path])
    assert recording.notes[0].endswith("is the journal of another recording and is not read")
    assert len(recording) == 0


def test_only_the_journal_is_left(tmp_path: Path, making: Making) -> None:
    """The part was removed: what the journal has is kept, and recording goes on."""
    path = tmp_path / "pool.parquet"
    samples = making.course(6)
    recorder = RecordingWriter(path, HOST)
    for sample in samples[:5]:
        recorder.add(sample, making.index)
    recorder._release()
    path.unlink()
    assert len(Recording.open([path])) == len(Recording.open([journal_of(path)])) == 5
    with RecordingWriter(path, HOST) as again:
        again.add(samples[5], making.index)
    recording = Recording.open([path])
    assert [plain(s, recording.index) for s in recording.samples()] == [plain(s, making.index) for s in samples]


def test_a_journal_that_is_removed_while_recording(tmp_path: Path, making: Making) -> None:
    path = tmp_path / "pool.parquet"
    samples = making.course(10)
    with RecordingWriter(path, HOST) as recorder:
        for place, sample in enumerate(samples):
            if place == 6:
                journal_of(path).unlink()
            recorder.add(sample, making.index)
            assert len(Recording.open([path])) == place + 1
        assert recorder.notes == [f"{journal_of(path)} was removed or renamed while recording; a new one was begun"]
    recording = Recording.open([path])
    assert [plain(s, recording.index) for s in recording.samples()] == [plain(s, making.index) for s in samples]


# ---- parts ----


def test_a_part_for_each_day(tmp_path: Path, making: Making) -> None:
    path = tmp_path / "pool.parquet"
    samples = making.course(400, every=600.0)
    with RecordingWriter(path, HOST) as recorder:
        for sample in samples:
            recorder.add(sample, making.index)
            assert path.exists()
    assert _names(tmp_path) == ["pool.20251121T044000Z.parquet", "pool.20251122T124000Z.parquet", "pool.parquet"]
    recording = Recording.open([path])
    assert [plain(s, recording.index) for s in recording.samples()] == [plain(s, making.index) for s in samples]
    assert recording.notes == ()
    oldest = Recording.open([tmp_path / "pool.20251121T044000Z.parquet"])
    assert len(oldest) == 192
    everything = Recording.open(list(tmp_path.iterdir()))
    assert len(everything) == 400
    (tmp_path / "pool.20251122T124000Z.parquet").unlink()
    some = Recording.open([path])
    assert len(some) < 400
    assert "samples before it are missing" in some.notes[0]


def test_rows_bound_a_part_and_times_that_are_not_known_name_it_by_number(
    tmp_path: Path, making: Making, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "PART_ROWS", 500)
    path = tmp_path / "pool.parquet"
    samples = [making.sample(float("nan"), {making.index.keys[n % 3]: (n, n, n)}) for n in _seeded(making, 200)]
    with RecordingWriter(path, HOST) as recorder:
        for sample in samples:
            recorder.add(sample, making.index)
    assert _names(tmp_path)[:1] == ["pool.n0000000000.parquet"]
    recording = Recording.open([path])
    assert [plain(s, recording.index) for s in recording.samples()] == [plain(s, making.index) for s in samples]


def _seeded(making: Making, count: int) -> range:
    making.course(1)
    return range(count)


def test_the_oldest_part_goes_when_all_are_too_large(
    tmp_path: Path, making: Making, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer, "LEAST_MAX_BYTES", 1)
    path = tmp_path / "pool.parquet"
    (tmp_path / "pool.20250101T000000Z.parquet").write_bytes(b"not ours")
    most = 40_000
    with RecordingWriter(path, HOST, max_bytes=most) as recorder:
        for sample in making.course(500, tags=100):
            recorder.add(sample, making.index)
            assert recorder.bytes_on_disk <= most * 1.25
    assert (tmp_path / "pool.20250101T000000Z.parquet").read_bytes() == b"not ours"
    recording = Recording.open([path])
    assert 100 < len(recording) < 500
    assert recording.times[-1] == making.course(500, tags=1)[-1].time
    last = making.course(500, tags=100)[-1]
    assert plain(recording.at(len(recording) - 1), recording.index) == plain(last, making.index)


# ---- a disk that refuses ----


def test_a_full_disk_loses_samples_and_nothing_else(
    tmp_path: Path, making: Making, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "pool.parquet"
    samples = making.course(200)
    append = disk.append
    full = False

    def refusing(file: object, at: int, data: bytes) -> None:
        if full:
            append(file, at, data[: len(data) // 2])  # type: ignore[arg-type]
            raise OSError(errno.ENOSPC, "No space left on device")
        append(file, at, data)  # type: ignore[arg-type]

    monkeypatch.setattr(disk, "append", refusing)
    lost = set(range(30, 40)) | set(range(63, 67)) | {150}
    with RecordingWriter(path, HOST) as recorder:
        for place, sample in enumerate(samples):
            full = place in lost
            recorder.add(sample, making.index)
            assert place % 23 or len(Recording.open([path])) == recorder.samples
        assert recorder.notes == [f"{journal_of(path)}: samples were lost: No space left on device"]
    recording = Recording.open([path])
    kept = [sample for place, sample in enumerate(samples) if place not in lost]
    assert [plain(s, recording.index) for s in recording.samples()] == [plain(s, making.index) for s in kept]


@pytest.mark.parametrize("step", ["replace", "truncate"])
def test_sealing_that_fails_is_tried_again(
    tmp_path: Path, making: Making, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    """On Windows a part that somebody has open cannot be replaced."""
    path = tmp_path / "pool.parquet"
    samples = making.course(300)
    original = getattr(disk, step)
    refuse = True

    def refusing(one: object, other: object) -> None:
        if refuse:
            raise PermissionError(errno.EACCES, "in use")
        original(one, other)

    with RecordingWriter(path, HOST) as recorder:
        monkeypatch.setattr(disk, step, refusing)
        for place, sample in enumerate(samples):
            refuse = place < 200
            recorder.add(sample, making.index)
            assert place % 23 or len(Recording.open([path])) == place + 1
        assert recorder.notes == [f"{path}: the journal could not be merged and is kept: in use"]
        assert journal_of(path).stat().st_size < 20_000
    recording = Recording.open([path])
    assert [plain(s, recording.index) for s in recording.samples()] == [plain(s, making.index) for s in samples]
    assert recording.notes == ()


# ---- a part that is damaged while it is recorded into ----


def _spoil(path: Path, where: str) -> bytes:
    data = bytearray(path.read_bytes())
    if where == "rows":
        data[20] ^= 1
    elif where == "footer":
        data[-60:-20] = bytes(40)
    else:
        del data[len(data) // 2 :]
    path.write_bytes(data)
    return bytes(data)


@pytest.mark.parametrize("where", ["rows", "footer", "half"])
def test_a_part_that_is_damaged_while_recording_is_set_aside(tmp_path: Path, making: Making, where: str) -> None:
    path, aside = tmp_path / "pool.parquet", tmp_path / "pool.damaged.parquet"
    samples = making.course(3 * KEY_EVERY)
    with RecordingWriter(path, HOST) as recorder:
        for place, sample in enumerate(samples):
            if place == KEY_EVERY + 5:
                spoilt = _spoil(path, where)
            recorder.add(sample, making.index)
        assert recorder.notes == [f"{path}: the file was damaged; it is kept as {aside.name}, and a new one was begun"]
        assert recorder.samples == len(samples)
    assert aside.read_bytes() == spoilt
    assert _names(tmp_path) == ["pool.damaged.parquet", "pool.parquet"]
    recording = Recording.open([path])
    wanted = [plain(sample, making.index) for sample in samples[KEY_EVERY:]]
    assert [plain(sample, recording.index) for sample in recording.samples()] == wanted


def test_damage_is_set_aside_under_a_name_of_its_own_each_time(tmp_path: Path, making: Making) -> None:
    path = tmp_path / "pool.parquet"
    with RecordingWriter(path, HOST) as recorder:
        for place, sample in enumerate(making.course(3 * KEY_EVERY)):  # the empty part of the beginning is not missed
            if place % KEY_EVERY == 5:
                _spoil(path, "rows")
            recorder.add(sample, making.index)
    assert _names(tmp_path) == ["pool.damaged-2.parquet", "pool.damaged.parquet", "pool.parquet"]


def test_a_part_that_was_damaged_while_nobody_recorded(tmp_path: Path, making: Making) -> None:
    """Its journal says that it is ours: a recorder that starts with the machine goes on."""
    path = tmp_path / "pool.parquet"
    samples = making.course(8)
    first = RecordingWriter(path, HOST)
    for sample in samples[:4]:
        first.add(sample, making.index)
    first._release()
    _spoil(path, "half")
    spoilt = path.read_bytes()
    with pytest.raises(InputError, match="damaged"):
        RecordingWriter(path, Host("SRV02"))
    assert path.read_bytes() == spoilt
    with RecordingWriter(path, HOST) as again:
        assert [note.split("; ")[1] for note in again.notes] == [
            "it is kept as pool.damaged.parquet, and a new one was begun"
        ]
        for sample in samples[4:]:
            again.add(sample, making.index)
    assert (tmp_path / "pool.damaged.parquet").read_bytes() == spoilt
    recording = Recording.open([path])
    assert [plain(s, recording.index) for s in recording.samples()] == [plain(s, making.index) for s in samples]


# ---- many samples at once ----


def test_what_is_converted_waits_for_the_disk_once_a_day(
    tmp_path: Path, making: Making, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits = 0

    def counted(_: object) -> None:
        nonlocal waits
        waits += 1

    monkeypatch.setattr(disk, "sync", counted)
    samples = making.course(400, every=600.0)
    counts = {}
    for durable in (True, False):
        waits = 0
        path = tmp_path / f"{durable}.parquet"
        with RecordingWriter(path, HOST, durable=durable) as recorder:
            for place, sample in enumerate(samples):
                recorder.add(sample, making.index)
                assert durable or place % 60 or len(Recording.open([path])) == place + 1
        counts[durable] = waits
        recording = Recording.open([path])
        assert [plain(s, recording.index) for s in recording.samples()] == [plain(s, making.index) for s in samples]
    assert counts[True] > 400
    assert counts[False] < 20
    older = {durable: [name for name in _names(tmp_path) if name.startswith(f"{durable}.")] for durable in counts}
    assert len(older[True]) == len(older[False]) == 3


def test_bytes_on_disk_after_the_end(tmp_path: Path, making: Making) -> None:
    with RecordingWriter(tmp_path / "pool.parquet", HOST) as recorder:
        recorder.add(making.course(1)[0], making.index)
    assert recorder.bytes_on_disk == (tmp_path / "pool.parquet").stat().st_size
