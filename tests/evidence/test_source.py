"""Opening: files and what is packed in them, counted, hashed, bounded."""

import gzip
import hashlib
import io
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from poolsleuth.evidence import source as source_module
from poolsleuth.evidence.source import EvidenceStream, open_source, random_access, sources
from poolsleuth.model.errors import InputError

DATA = b"0: kd> !vm\n" * 5000


def content(path: Path) -> list[bytes]:
    found = []
    for source in sources(str(path)):
        with open_source(source) as stream:
            found.append(stream.read())
            assert stream.stopped is None
    return found


@pytest.mark.parametrize(
    "packed",
    [
        DATA,
        gzip.compress(DATA),
        gzip.compress(DATA[:99]) + gzip.compress(DATA[99:]),
        zstandard.compress(DATA),
        zstandard.compress(DATA[:99]) + zstandard.compress(DATA[99:]),
    ],
    ids=["plain", "gzip", "gzip members", "zstd", "zstd frames"],
)
def test_files(packed: bytes, tmp_path: Path) -> None:
    path = tmp_path / "kd.log"
    path.write_bytes(packed)
    assert content(path) == [DATA]
    assert sources(str(path))[0].size == len(packed)


def test_zip(tmp_path: Path) -> None:
    path = tmp_path / "logs.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("folder/", b"")
        archive.writestr("folder/a.log", DATA)
        archive.writestr("b.log", b"b")
    assert [source.name for source in sources(str(path))] == [f"{path}!folder/a.log", f"{path}!b.log"]
    assert content(path) == [DATA, b"b"]


@pytest.mark.parametrize("kind", ["missing", "directory", "empty", "zip of nothing"])
def test_refused(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "input"
    if kind == "directory":
        path.mkdir()
    elif kind != "missing":
        path.write_bytes({"empty": b"", "zip of nothing": b"PK\x05\x06" + bytes(18)}[kind])
    with pytest.raises(InputError, match=str(path)):
        sources(str(path))


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=3000), st.lists(st.integers(0, 700), max_size=12), st.booleans())
def test_any_reading_gives_every_byte_once(data: bytes, counts: list[int], packed: bool) -> None:
    stream = EvidenceStream(io.BytesIO(data), packed=packed)
    given_out = b""
    for number, count in enumerate(counts):
        if number % 2:
            assert stream.peek(count) == data[len(given_out) : len(given_out) + count]
        else:
            given_out += stream.read(count)
        assert stream.position == len(given_out)
    given_out += stream.read()
    assert given_out == data
    assert stream.sha256() == hashlib.sha256(data).hexdigest()


def test_the_digest_is_of_all_even_when_little_was_read() -> None:
    stream = EvidenceStream(io.BytesIO(DATA), packed=False)
    stream.peek(10)
    assert stream.sha256() == hashlib.sha256(DATA).hexdigest()


def test_bound(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source_module, "MAX_UNPACKED", 10_000)
    path = tmp_path / "bomb.gz"
    path.write_bytes(gzip.compress(bytes(10_000_000)))
    with open_source(sources(str(path))[0]) as stream:
        while stream.read(5000):
            pass
        assert stream.position < 20_000
        assert stream.stopped is not None
        assert "unpacks to more than" in stream.stopped


@pytest.mark.parametrize("name", ["gzip", "zip"])
def test_what_came_before_the_damage_is_kept(name: str, tmp_path: Path) -> None:
    noise = hashlib.shake_256(b"x").digest(200_000)
    path = tmp_path / "packed"
    if name == "gzip":
        path.write_bytes(gzip.compress(noise)[:150_000])
    else:
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("a.log", noise)
        data = bytearray(path.read_bytes())
        data[150_000:150_200] = bytes(200)
        path.write_bytes(data)
    with open_source(sources(str(path))[0]) as stream:
        kept = stream.read()
        assert stream.stopped is not None
    assert noise[:100_000] == kept[:100_000]


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(["gzip", "zstd", "zip"]), st.data())
def test_damaged_archives_never_raise_anything_else(kind: str, data: st.DataObject) -> None:
    raw = io.BytesIO()
    if kind == "zip":
        with zipfile.ZipFile(raw, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("a.log", DATA)
    packed = bytearray({"gzip": gzip.compress(DATA), "zstd": zstandard.compress(DATA), "zip": raw.getvalue()}[kind])
    for _ in range(data.draw(st.integers(0, 4))):
        packed[data.draw(st.integers(0, len(packed) - 1))] = data.draw(st.integers(0, 255))
    del packed[data.draw(st.integers(1, len(packed))) :]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "damaged")
        path.write_bytes(packed or b"x")
        try:
            for source in sources(str(path)):
                with open_source(source) as stream:
                    stream.read()
        except InputError:
            pass


@pytest.mark.parametrize("packer", [gzip.compress, zstandard.compress], ids=["gzip", "zstd"])
def test_a_packed_dump_is_unpacked_as_it_was(packer: Callable[[bytes], bytes], tmp_path: Path) -> None:
    content = b"PAGEDU64" + bytes(5 << 20) + b"end" + bytes(3 << 20)
    path = tmp_path / "MEMORY.DMP.packed"
    path.write_bytes(packer(content))
    source = sources(str(path))[0]
    told: list[int] = []
    with open_source(source) as stream, random_access(source, stream, 1 << 30, told.append) as file:
        assert file.read() == content
        assert stream.stopped is None
    assert told[-1] == len(content)
    assert told == sorted(told)


def test_unpacking_stops_before_the_disk_is_full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "MEMORY.DMP.gz"
    path.write_bytes(gzip.compress(b"PAGEDU64" + bytes(5 << 20)))
    source = sources(str(path))[0]
    # A disk of its own: what is free on the real one changes while other tests run
    free = source_module.MIN_FREE_DISK + (2 << 20)
    usage = SimpleNamespace(total=2 * free, used=free, free=free)
    monkeypatch.setattr("poolsleuth.evidence.source.shutil.disk_usage", lambda _folder: usage)
    with open_source(source) as stream:
        with pytest.raises(InputError, match="has room for"), random_access(source, stream, 1 << 30):
            pass
        assert stream.stopped is not None
        assert "has room for" in stream.stopped
