"""Packed input: what is whole is read, what is damaged is said, what unpacks without end is bounded."""

import gzip
import random
import resource
import zipfile
from pathlib import Path

import pytest
import zstandard

from poolsleuth.evidence import source
from poolsleuth.model.report import Report
from poolsleuth.pipeline import diagnose

GOOD = Path(__file__).parent / "data" / "logs" / "untagged.txt"


def run(path: Path) -> Report:
    report = diagnose([str(path)])
    assert not [problem for problem in report.problems if "internal error" in problem.says]
    return report


def refused(path: Path, word: str) -> None:
    report = run(path)
    assert report.machines == ()
    (problem,) = report.problems
    assert str(path) in problem.says
    assert word in problem.says


def test_gzip_and_zstd(tmp_path: Path) -> None:
    data = GOOD.read_bytes()
    for name, packed in (
        ("log.gz", gzip.compress(data, mtime=0)),
        ("members.gz", gzip.compress(data[:1000], mtime=0) + gzip.compress(data[1000:])),
        ("log.zst", zstandard.compress(data)),
    ):
        path = tmp_path / name
        path.write_bytes(packed)
        report = run(path)
        assert (len(report.machines), report.problems) == (1, ())


@pytest.mark.parametrize("kind", ["gzip", "zstd"])
def test_truncated_archive_says_so_and_uses_what_there_is(kind: str, tmp_path: Path) -> None:
    data = GOOD.read_bytes() + random.Random(1).randbytes(20_000).hex().encode()
    packed = gzip.compress(data, mtime=0) if kind == "gzip" else zstandard.compress(data)
    path = tmp_path / "cut"
    path.write_bytes(packed[: len(packed) * 3 // 4])
    if kind == "gzip":
        report = run(path)
        assert len(report.machines) == 1
        assert any("damaged or cut off" in problem.says for problem in report.problems)
    else:  # zstd holds back the last block: nothing may have come out of it
        assert run(path).problems


@pytest.mark.parametrize("share", [0.5, 0.9, 0.99])
def test_a_zstd_file_that_ends_at_a_block_is_not_taken_for_a_whole_one(share: float, tmp_path: Path) -> None:
    data = GOOD.read_bytes() + random.Random(1).randbytes(400_000).hex().encode()
    packed = zstandard.compress(data)
    path = tmp_path / "cut.zst"
    path.write_bytes(packed[: int(len(packed) * share)])
    report = run(path)
    assert len(report.machines) == 1
    assert any("damaged or cut off" in problem.says for problem in report.problems)


@pytest.mark.parametrize(
    "content",
    [
        b"\x1f\x8b",
        b"\x1f\x8b\x08\0\0\0\0\0\0\xff",
        gzip.compress(b"", mtime=0),
        b"\x28\xb5\x2f\xfd",
        b"PK\x03\x04",
        b"PK\x05\x06",
    ],
)
def test_archives_of_nothing(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "archive"
    path.write_bytes(content)
    report = run(path)
    assert report.machines == ()
    assert report.problems


def archive(path: Path, members: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for name, content in members.items():
            file.writestr(name, content)
    return path


def test_zip(tmp_path: Path) -> None:
    path = archive(
        tmp_path / "logs.zip", {"a/b/../c/kd.log": GOOD.read_bytes(), "a/": b"", "notes.txt": b"nothing here\n"}
    )
    report = run(path)
    assert len(report.machines) == 1
    (problem,) = report.problems
    assert "logs.zip!notes.txt" in problem.says
    assert [i.name.rsplit("!")[-1] for i in report.inputs] == ["a/b/../c/kd.log", "notes.txt"]


def test_zip_empty(tmp_path: Path) -> None:
    refused(archive(tmp_path / "empty.zip", {}), "empty")


def test_zip_encrypted(tmp_path: Path) -> None:
    data = bytearray(archive(tmp_path / "plain.zip", {"kd.log": GOOD.read_bytes()}).read_bytes())
    data[6] |= 1  # the flag in the local header, and in the directory
    data[data.index(b"PK\x01\x02") + 8] |= 1
    path = tmp_path / "secret.zip"
    path.write_bytes(data)
    refused(path, "encrypted")


def test_zip_of_too_many(tmp_path: Path) -> None:
    refused(archive(tmp_path / "many.zip", {f"{n}.log": b"x" for n in range(300)}), "300 files")


def test_zip_damaged_anywhere(tmp_path: Path) -> None:
    data = archive(tmp_path / "good.zip", {"kd.log": GOOD.read_bytes(), "b.log": b"x"}).read_bytes()
    path = tmp_path / "bad.zip"
    source_of_chance = random.Random(7)
    for _ in range(60):
        damaged = bytearray(data)
        for _ in range(4):
            damaged[source_of_chance.randrange(4, len(data))] = source_of_chance.randrange(256)
        path.write_bytes(damaged[: source_of_chance.randrange(len(data) // 2, len(data))] if _ % 2 else damaged)
        report = diagnose([str(path)])
        assert not [problem for problem in report.problems if "internal error" in problem.says]
        assert report.machines or report.problems


def test_bombs_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source, "MAX_UNPACKED", 8 << 20)
    content = GOOD.read_bytes() + b"\n" * (64 << 20)
    gz = tmp_path / "bomb.gz"
    gz.write_bytes(gzip.compress(content, 1, mtime=0))
    zst = tmp_path / "bomb.zst"
    zst.write_bytes(zstandard.compress(content))
    for path in (gz, zst, archive(tmp_path / "bomb.zip", {"kd.log": content})):
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        report = diagnose([str(path)])
        assert len(report.machines) == 1
        assert any("unpacks to more than" in problem.says for problem in report.problems)
        assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100 << 10  # KB
