"""Our own document, read back as evidence."""

import io
from pathlib import Path

import pytest

from poolsleuth.evidence import report
from poolsleuth.evidence.report import read_report
from poolsleuth.evidence.source import EvidenceStream
from poolsleuth.model.document import to_json
from poolsleuth.model.errors import InputError
from poolsleuth.pipeline import diagnose

LOGS = sorted((Path(__file__).parents[1] / "data" / "logs").glob("*.txt"))


def stream(data: bytes) -> EvidenceStream:
    return EvidenceStream(io.BytesIO(data), packed=False)


@pytest.mark.parametrize("path", LOGS, ids=lambda path: path.stem)
@pytest.mark.parametrize("codec", ["utf-8", "utf-8-sig"])
def test_round_trip(path: Path, codec: str) -> None:
    written = diagnose([str(path)])
    assert read_report(stream(to_json(written).encode(codec))) == written


@pytest.mark.parametrize(
    "data", [b"\xff\xfe{}", b"{}", b"[]", b"null", b"{", b'{"schema": "poolsleuth.report/9"}', b"[" * 100_000]
)
def test_none_of_ours(data: bytes) -> None:
    with pytest.raises(InputError):
        read_report(stream(data))


def test_too_large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(report, "MAX_REPORT", 1000)
    with pytest.raises(InputError, match="larger than"):
        read_report(stream(b"{" + b" " * 1000 + b"}"))
