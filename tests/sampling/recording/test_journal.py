"""A journal that is cut off or damaged anywhere: what is whole is read, and nothing that is wrong."""

import io
import json
import random
import struct
import zlib
from pathlib import Path

import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from poolsleuth.model.errors import InputError
from poolsleuth.sampling.recording import journal
from poolsleuth.sampling.recording.journal import Journal
from poolsleuth.sampling.recording.layout import JOURNAL_MAGIC, Description, journal_of
from poolsleuth.sampling.recording.reader import Recording
from poolsleuth.sampling.recording.writer import RecordingWriter
from poolsleuth.sampling.sample import Host

from .conftest import Making, plain

HOST = Host("SRV01")


@pytest.fixture
def recorded(tmp_path: Path, making: Making) -> Path:
    """A recording with 10 samples in its journal and none in its part."""
    path = tmp_path / "pool.parquet"
    recorder = RecordingWriter(path, HOST)
    for sample in making.course(10, tags=5):
        recorder.add(sample, making.index)
    recorder._release()
    return path


def _frames(data: bytes) -> list[int]:
    """Where the frames of a journal end."""
    at, ends = len(JOURNAL_MAGIC), []
    while at < len(data):
        at += 16 + struct.unpack_from("<I", data, at + 4)[0]
        ends.append(at)
    return ends


def test_cut_off_at_every_byte(recorded: Path, making: Making) -> None:
    data = journal_of(recorded).read_bytes()
    ends = _frames(data)
    assert len(ends) == 11
    assert ends[-1] == len(data)
    for size in range(len(data) + 1):
        book = Journal(io.BytesIO(data[:size]), "journal")
        count = sum(1 for _ in book.opened())
        assert count == max(0, sum(end <= size for end in ends) - 1)
        assert book.torn == (size not in ends and size > ends[0])
        assert (book.broken, book.lost, book.cut) == (0, 0, False)


def test_recording_goes_on_behind_the_torn_frame(recorded: Path, making: Making) -> None:
    samples = [plain(sample, making.index) for sample in making.course(10, tags=5)]
    data = journal_of(recorded).read_bytes()
    ends = _frames(data)
    for size in range(0, len(data), 53):
        journal_of(recorded).write_bytes(data[:size])
        kept = max(0, sum(end <= size for end in ends) - 1)
        recorder = RecordingWriter(recorded, HOST)
        recorder.add(making.course(10, tags=5)[9], making.index)
        recorder._release()
        recording = Recording.open([recorded])
        assert recording.notes == ()
        assert [plain(s, recording.index) for s in recording.samples()] == [*samples[:kept], samples[9]]


def test_a_torn_end_is_said_once(recorded: Path) -> None:
    name = journal_of(recorded)
    name.write_bytes(name.read_bytes()[:-1])
    recording = Recording.open([recorded])
    assert recording.notes == (
        f"{name.resolve()}: the last sample was being written when recording ended; it is left out",
    )
    assert len(recording) == 9


def test_a_damaged_frame_costs_the_samples_up_to_the_next_whole_one(tmp_path: Path, making: Making) -> None:
    path = tmp_path / "pool.parquet"
    samples = making.course(10, tags=5)
    for part in (samples[:5], samples[5:]):  # the second begins with all rows
        recorder = RecordingWriter(path, HOST)
        for sample in part:
            recorder.add(sample, making.index)
        recorder._release()
    name = journal_of(path)
    data = bytearray(name.read_bytes())
    data[_frames(bytes(data))[2] + 40] ^= 1  # in the third sample
    name.write_bytes(data)
    recording = Recording.open([path])
    assert [plain(s, recording.index) for s in recording.samples()] == [
        plain(sample, making.index) for place, sample in enumerate(samples) if place not in {2, 3, 4}
    ]
    assert recording.notes == (
        f"{name.resolve()}: the journal is damaged in 1 places, and 2 samples after it cannot be used",
    )
    with RecordingWriter(path, HOST) as recorder:
        assert recorder.notes == [
            f"{name}: the journal was damaged; what could not be read of it is left out, and it is kept as"
            " pool.parquet.damaged.tail"
        ]
        assert (tmp_path / "pool.parquet.damaged.tail").read_bytes() == data
    again = Recording.open([path])
    assert len(again) == 7


@settings(max_examples=150, deadline=None)
@given(st.integers(0), st.integers(0, 30))
def test_random_damage_never_gives_a_wrong_sample(seed: int, flips: int) -> None:
    making, chance = Making(), random.Random(seed)
    data = bytearray(_journal(making))
    for _ in range(flips):
        if chance.random() < 0.5:
            data[chance.randrange(len(data))] = chance.randrange(256)
        else:
            at = chance.randrange(len(data))
            del data[at : at + chance.randrange(40)]
    right = {sample.time for sample in making.course(10, tags=5)}
    for entry, names in Journal(io.BytesIO(bytes(data)), "journal").opened():
        assert entry.time in right
        assert not len(entry.codes) or entry.codes.max() < len(names) + len(entry.names)


_KEPT: dict[str, bytes] = {}


def _journal(making: Making) -> bytes:
    if "journal" not in _KEPT:
        compare = journal.packed
        from poolsleuth.sampling.recording.changes import Changes  # noqa: PLC0415

        between = Changes()
        data = journal.start(Description("0" * 32, HOST))
        for number, sample in enumerate(making.course(10, tags=5)):
            data += compare(between.entry(sample, making.index, number))
            between.keep()
        _KEPT["journal"] = data
    return _KEPT["journal"]


def _raw(content: bytes, magic: bytes = b"\xf5PSj") -> bytes:
    head = struct.pack("<4sII", magic, len(content), zlib.crc32(content))
    return head + struct.pack("<I", zlib.crc32(head)) + content


def _lying(**changed: object) -> bytes:
    """A frame that is whole, of a sample that is not."""
    said: dict[str, object] = {
        "n": 0, "key": True, "time": 1.0, "booted": None, "complete": True, "label": "", "names": [], "memory": {},
        "left": [], "processes": [], "ended": [],
    }  # fmt: skip
    text = json.dumps(said | changed).encode()
    return journal.frame(struct.pack("<IIII", len(text), 0, 0, 0) + text)


START = journal.start(Description("0" * 32, HOST))
HOSTILE = {
    "number": _lying(n=2**40),
    "number as text": _lying(n="0"),
    "time": _lying(time="noon"),
    "label": _lying(label=7),
    "names": _lying(names=[["Aaaa", "no pool", None]]),
    "name too long": _lying(names=[["A" * 10_000, "paged", None]]),
    "session": _lying(names=[["Aaaa", "paged", 2**40]]),
    "memory": _lying(memory=[]),
    "figures": _lying(memory={f"f{n}": 1 for n in range(100)}),
    "a figure": _lying(memory={"available": [1]}),
    "processes": _lying(processes=[[1, "x"]] * 10),
    "too many processes": _lying(processes=[[n, "x", None, 1, 1, 1] for n in range(2000)]),
    "handles": _lying(processes=[[1, "x", None, 2**70, 1, 1]]),
    "deep": journal.frame(struct.pack("<IIII", 200_000, 0, 0, 0) + b"[" * 200_000),
    "counts": journal.frame(struct.pack("<IIII", 2, 2**32 - 1, 2**32 - 1, 0) + b"{}"),
    "codes": journal.frame(struct.pack("<IIII", 2, 1, 0, 0) + b"{}" + bytes(28)),
    "short": journal.frame(b"x"),
    "no zstd": _raw(b"nothing that was compressed"),
    "no size": _raw(zstandard.ZstdCompressor(write_content_size=False).compress(b"x" * 100)),
    "bomb": _raw(zstandard.ZstdCompressor().compress(bytes(200 << 20))),
    "length": struct.pack("<4sII", b"\xf5PSj", 2**32 - 1, 0)
    + struct.pack("<I", zlib.crc32(struct.pack("<4sII", b"\xf5PSj", 2**32 - 1, 0))),
}


@pytest.mark.parametrize("what", HOSTILE)
def test_a_frame_that_lies_is_stepped_over(what: str) -> None:
    book = Journal(io.BytesIO(START + HOSTILE[what] + _lying(n=3)), "journal")
    assert [entry.number for entry, _ in book.opened()] == [3]
    assert book.broken == 1


def test_numbers_that_do_not_ascend_are_left_out() -> None:
    book = Journal(io.BytesIO(START + _lying(n=5) + _lying(n=5) + _lying(n=2) + _lying(n=6)), "journal")
    assert [entry.number for entry, _ in book.opened()] == [5, 6]
    assert book.lost == 2


def test_nonsense_without_end_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    good = _raw(b"nothing that was compressed")
    book = Journal(io.BytesIO(START + good * 500 + _lying(n=3)), "journal")
    assert list(book.opened()) == []
    assert book.broken == journal.MAX_BROKEN
    monkeypatch.setattr(journal, "MAX_JOURNAL_BYTES", 2000)
    book = Journal(io.BytesIO(START + b"".join(_lying(n=n) for n in range(100))), "journal")
    assert 3 < len(list(book.opened())) < 100
    assert book.cut
    zeros = Journal(io.BytesIO(START + bytes(5 << 20)), "journal")
    assert list(zeros.opened()) == []


@pytest.mark.parametrize(
    "text", [b"", b"{}", b"[" * 50_000, b'{"id": "x", "host": {}, "every": 1, "next": 0}', b"\xff"]
)
def test_a_journal_of_nobody(tmp_path: Path, text: bytes) -> None:
    name = tmp_path / "pool.parquet.tail"
    name.write_bytes(JOURNAL_MAGIC + journal.frame(text) + _lying())
    with pytest.raises(InputError, match="the journal has no beginning"):
        Recording.open([name])
