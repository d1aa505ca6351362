"""Lines of a stream."""

import io

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from poolsleuth.evidence.counters.pdh_text import lines as module
from poolsleuth.evidence.counters.pdh_text.lines import Lines
from poolsleuth.model.errors import InputError


class Small(io.BytesIO):
    """Gives a few bytes at a time, as a pipe does."""

    def __init__(self, data: bytes, most: int) -> None:
        super().__init__(data)
        self._most = most

    def read(self, count: int | None = -1, /) -> bytes:
        return super().read(self._most)


@settings(deadline=None)
@given(
    st.lists(st.text(alphabet="abc,\u00e9", max_size=5), max_size=8), st.integers(2, 9), st.sampled_from(["\n", "\r\n"])
)
def test_lines(texts: list[str], most: int, end: str) -> None:
    data = "".join(text + end for text in texts).encode()
    reader = Lines(Small(data, most))
    assert [line.decode() for line in reader] == texts
    assert reader.number == len(texts)
    assert reader.ended


def test_last_line_without_an_end() -> None:
    reader = Lines(io.BytesIO(b"a\nb"))
    assert list(reader) == [b"a", b"b"]
    assert not reader.ended


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-8-sig", "utf-8"])
def test_encodings(encoding: str) -> None:
    assert list(Lines(io.BytesIO("tähti,x\r\nb\r\n".encode(encoding)))) == ["tähti,x".encode(), b"b"]


def test_overlong_lines_are_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_LINE_BYTES", 10)
    reader = Lines(Small(b"a\n" + b"x" * 50 + b"\nb\n" + b"y" * 50, 4))
    assert list(reader) == [b"a", b"b"]
    assert (reader.overlong, reader.number) == (2, 4)


def test_binary_data() -> None:
    with pytest.raises(InputError):
        list(Lines(io.BytesIO(bytes(range(256)) * 20)))
