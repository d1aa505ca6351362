"""Files of recordings among other inputs: what belongs together, what is refused, and what damage costs."""

import gzip
import io
import shutil
import zipfile
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import zstandard
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from poolsleuth.evidence import recording_files
from poolsleuth.evidence.recognise import Content, content_of
from poolsleuth.evidence.recording_files import identity, needed
from poolsleuth.model.report import InputKind
from poolsleuth.model.series import CounterSeries, TagHistory
from poolsleuth.reading import Read, Selection, read_all
from poolsleuth.sampling.recording.layout import JOURNAL_MAGIC, journal_of
from poolsleuth.sampling.recording.writer import RecordingWriter
from poolsleuth.sampling.sample import Host, ProcessRow, Sample, TagFigures, TagIndex, packed_keys

START = 1_774_569_600.0
TAGS = packed_keys(np.arange(0x41414141, 0x41414141 + 40, dtype=np.uint32), 0)


def sample(index: TagIndex, number: int) -> Sample:
    ids = index.numbers(TAGS)
    figures = np.arange(1.0, len(ids) + 1) * (1000 + number)
    return Sample(
        START + 60.0 * number,
        TagFigures(ids, figures, figures, figures),
        {"nonpaged_used": 1e8 + 4096 * number, "physical": 8.0 * (1 << 30)},
        (ProcessRow(4, "System", 1000 + number, 1, 2),),
        complete=True,
        booted=START - 86_400.0,
    )


def write(path: Path, count: int, first: int = 0, computer: str = "SRV01") -> Path:
    index = TagIndex()
    with RecordingWriter(path, Host(computer, utc=True), every=60.0) as writer:
        for number in range(first, first + count):
            writer.add(sample(index, number), index)
    return path


def histories(read: Read) -> list[TagHistory]:
    return [fact for facts in read.facts for fact in facts if isinstance(fact, TagHistory)]


def says(read: Read) -> list[str]:
    return [problem.says for problem in read.problems]


@pytest.fixture(name="made", scope="module")
def _made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("made")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("poolsleuth.sampling.recording.store.PART_SECONDS", 3600.0)
        write(folder / "pool.parquet", 200)
    assert len(list(folder.iterdir())) >= 3
    return folder


@pytest.fixture(name="parts")
def _parts(made: Path, tmp_path: Path) -> list[Path]:
    """The files of a recording of 200 samples: two full parts of an hour and more, and what came after."""
    return sorted(Path(shutil.copytree(made, tmp_path / "logs")).iterdir())


def test_by_the_first_bytes() -> None:
    assert content_of(b"PAR1" + bytes(100)) is Content.RECORDING
    assert content_of(JOURNAL_MAGIC + bytes(100)) is Content.RECORDING
    assert content_of(b"PARTS of a log\nMemory:") is not Content.RECORDING


def test_all_parts_are_one_input_of_facts(parts: list[Path]) -> None:
    read = read_all(parts, None)
    assert says(read) == []
    assert [one.kind for one in read.inputs] == [InputKind.RECORDING] * len(parts)
    assert [bool(facts) for facts in read.facts] == [True] + [False] * (len(parts) - 1)
    (history,) = histories(read)
    assert history.times.tolist() == [START + 60.0 * number for number in range(200)]


def test_the_recording_alone_finds_the_others(parts: list[Path]) -> None:
    (history,) = histories(read_all([parts[0].parent / "pool.parquet"], None))
    assert len(history.times) == 200


def test_parts_in_another_order_and_other_names(parts: list[Path], tmp_path: Path) -> None:
    moved = []
    for number, path in enumerate(reversed(parts)):
        moved.append(tmp_path / f"{number}.bin")
        moved[-1].write_bytes(path.read_bytes())
    read = read_all(moved, None)
    assert says(read) == []
    assert len(histories(read)[0].times) == 200


def test_memory_is_told_over_all_parts(parts: list[Path]) -> None:
    (facts, *_) = read_all(parts, None).facts
    series = {one.path.text: one for one in facts if isinstance(one, CounterSeries)}
    pool = series[r"\\SRV01\Memory\Pool Nonpaged Bytes"]
    assert pool.values.tolist() == [1e8 + 4096 * number for number in range(200)]
    assert series[r"\\SRV01\System\System Up Time"].values[199] == 86_400.0 + 60 * 199
    assert series[r"\\SRV01\Process V2(System:4)\Handle Count"].values[150] == 1150.0


def test_a_window_over_two_parts(parts: list[Path]) -> None:
    window = Selection(since=START + 60 * 50, until=START + 60 * 140)
    (facts, *_) = read_all(parts, None, window).facts
    (history,) = [one for one in facts if isinstance(one, TagHistory)]
    assert history.times.tolist() == [START + 60.0 * number for number in range(50, 141)]
    (pool,) = [one for one in facts if isinstance(one, CounterSeries) and one.path.counter == "Pool Nonpaged Bytes"][:1]
    assert pool.times.tolist() == history.times.tolist()


def test_a_part_that_is_missing_is_said(parts: list[Path]) -> None:
    older = [path for path in parts if path.name != "pool.parquet"]
    older[1].unlink()
    read = read_all([path for path in parts if path.exists()], None)
    assert len(histories(read)[0].times) < 200
    (problem,) = says(read)
    assert "samples before it are missing" in problem


def test_different_recordings_stay_apart(tmp_path: Path) -> None:
    first, second = write(tmp_path / "a.parquet", 5, computer="A"), write(tmp_path / "b.parquet", 7, computer="B")
    read = read_all([first, second, first], None)
    assert says(read) == []
    assert [len(history.times) for history in histories(read)] == [5, 7]
    assert [bool(facts) for facts in read.facts] == [True, True]


@pytest.mark.parametrize("ending", ["gz", "zst"])
def test_packed_parts(ending: str, parts: list[Path], tmp_path: Path) -> None:
    pack = gzip.compress if ending == "gz" else zstandard.compress
    packed = []
    for path in parts:
        packed.append(tmp_path / f"{path.name}.{ending}")
        packed[-1].write_bytes(pack(path.read_bytes()))
    read = read_all(packed, None)
    assert says(read) == []
    assert len(histories(read)[0].times) == 200
    assert read.inputs[0].sha256 is not None


def test_names_in_an_archive_cannot_lead_out_of_it(parts: list[Path], tmp_path: Path) -> None:
    archive = tmp_path / "evil.zip"
    with zipfile.ZipFile(archive, "w") as file:
        for number, path in enumerate(parts):
            file.writestr(f"../../../tmp/\x1b{number}/{'x' * 300}.parquet", path.read_bytes())
            file.writestr(f"C:\\windows\\{number}\\..\\pool.parquet", path.read_bytes())
    before = sorted(tmp_path.rglob("*"))
    read = read_all([archive], None)
    assert says(read) == []
    assert len(histories(read)[0].times) == 200
    assert sorted(tmp_path.rglob("*")) == before


def test_other_parquet_files_and_damage_do_not_touch_the_others(tmp_path: Path) -> None:
    good = write(tmp_path / "pool.parquet", 10)
    other = tmp_path / "other.parquet"
    pl.DataFrame({"sample": [1]}).write_parquet(other)
    cut = tmp_path / "cut.parquet"
    cut.write_bytes(good.read_bytes()[:-9])
    (tmp_path / "magic.parquet").write_bytes(b"PAR1")
    read = read_all([other, cut, tmp_path / "magic.parquet", good], None)
    assert len(histories(read)[0].times) == 10
    assert [one.kind for one in read.inputs] == [None, None, None, InputKind.RECORDING]
    assert [problem.where.input for problem in read.problems if problem.where is not None] == [0, 1, 2]
    assert [problem.split(":")[0] for problem in says(read)] == [str(other), str(cut), str(tmp_path / "magic.parquet")]


def test_a_journal_that_was_torn_gives_what_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "pool.parquet"
    index = TagIndex()
    writer = RecordingWriter(path, Host("SRV01"), every=60.0)
    for number in range(20):
        writer.add(sample(index, number), index)
    elsewhere = tmp_path / "copy"
    elsewhere.mkdir()
    copy = elsewhere / "pool.parquet.tail"
    copy.write_bytes(journal_of(path).read_bytes()[:-5])
    writer.close()
    read = read_all([copy], None)
    assert len(histories(read)[0].times) == 19
    (problem,) = says(read)
    assert problem.startswith(f"{copy}: the last sample was being written")


def test_an_empty_recording_has_nothing_to_say(tmp_path: Path) -> None:
    path = tmp_path / "pool.parquet"
    RecordingWriter(path, Host("SRV01")).close()
    read = read_all([path], None)
    assert read.facts == [()]
    assert says(read) == [f"{path}: the recording has no sample yet"]


def test_progress_is_told_in_bytes(parts: list[Path]) -> None:
    told: list[tuple[str, int, int | None]] = []
    read_all([parts[0].parent / "pool.parquet"], lambda *said: told.append(said))
    name, done, total = told[-1]
    assert name.endswith("pool.parquet")
    assert done == total


@pytest.fixture(name="whole", scope="module")
def _whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, bytes, bytes]:
    folder = tmp_path_factory.mktemp("damage")
    path = folder / "pool.parquet"
    index = TagIndex()
    writer = RecordingWriter(path, Host("SRV01"), every=60.0)
    for number in range(70):
        writer.add(sample(index, number), index)
    sealed, journal = path.read_bytes(), journal_of(path).read_bytes()
    writer.close()
    return folder, sealed, journal


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    tail=st.booleans(),
    cut=st.integers(0, 100_000),
    places=st.lists(st.tuples(st.integers(0, 100_000), st.integers(0, 255)), max_size=5),
)
def test_any_damage_gives_facts_or_a_sentence(
    whole: tuple[Path, bytes, bytes], tail: bool, cut: int, places: list[tuple[int, int]]
) -> None:
    folder, sealed, journal = whole
    data = bytearray(journal if tail else sealed)
    for place, value in places:
        data[place % len(data)] = value
    if cut % 3 == 0:
        del data[cut % len(data) :]
    path = folder / ("broken.parquet.tail" if tail else "broken.parquet")
    path.write_bytes(bytes(data))
    read = read_all([path], None)
    assert len(read.facts) == len(read.inputs) == 1
    assert not any("internal error" in problem for problem in says(read))
    assert read.facts[0] or read.problems


def test_a_damaged_part_is_left_out_and_the_others_are_read(parts: list[Path]) -> None:
    broken = next(path for path in parts if path.name != "pool.parquet")
    data = bytearray(broken.read_bytes())
    data[200:400] = bytes(200)
    broken.write_bytes(data)
    read = read_all([parts[0].parent / "pool.parquet"], None)
    (history,) = histories(read)
    assert 50 < len(history.times) < 200
    assert any(f"{broken}: " in problem and "samples are left out" in problem for problem in says(read))


def test_a_damaged_journal_is_not_an_empty_recording(tmp_path: Path) -> None:
    path = tmp_path / "pool.parquet"
    index = TagIndex()
    recorder = RecordingWriter(path, Host("SRV01"))
    for number in range(20):
        recorder.add(sample(index, number), index)
    recorder._release()
    journal = Path(f"{path}.tail")
    data = bytearray(journal.read_bytes())
    data[700:704] = bytes(4)  # in the first sample, which the others need
    journal.write_bytes(data)
    (problem,) = says(read_all([path], None))
    assert "the journal is damaged in 1 places" in problem
    assert problem.count(f"{path}: ") == 1


def test_parts_of_one_recording_are_known_by_what_they_say(parts: list[Path], tmp_path: Path) -> None:
    stranger = write(tmp_path / "other.parquet", 3)
    assert len({identity(path) for path in parts}) == 1
    assert identity(stranger) != identity(parts[0])
    assert needed([*parts, stranger]) == [parts[0].parent / "pool.parquet", stranger]


def test_packed_files_are_bounded_together_and_refused_ones_take_no_room(
    parts: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    refused = tmp_path / "refused.zip"
    other = io.BytesIO()
    pl.DataFrame({"a": [1, 2]}).write_parquet(other)
    with zipfile.ZipFile(refused, "w") as archive:
        for number in range(20):
            archive.writestr(f"{number}.parquet", other.getvalue())
        for path in parts:
            archive.writestr(path.name, path.read_bytes())
    size = sum(path.stat().st_size for path in parts)
    monkeypatch.setattr(recording_files, "MAX_UNPACKED", size + len(other.getvalue()))
    assert len(histories(read_all([refused], None))[0].times) == 200
    monkeypatch.setattr(recording_files, "MAX_UNPACKED", size - 1)
    assert any("packed files are larger than" in problem for problem in says(read_all([refused], None)))
