"""Bytes to text: every encoding a log is saved in, in pieces of any size, within a bound."""

import io

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from poolsleuth.evidence.debugger_log import decode
from poolsleuth.evidence.debugger_log.decode import MAX_LINE, decoded_chunks, encoding_of
from poolsleuth.model.errors import InputError

TEXT = "0: kd> !vm\nNonPagedPool Usage: 31369 ( 125476 Kb) high\n" * 3


def decoded(data: bytes) -> str:
    return "".join(decoded_chunks(io.BytesIO(data), encoding_of(data[:65536])))


@pytest.mark.parametrize(
    ("codec", "mark"),
    [
        ("utf-8", b""),
        ("utf-8-sig", b""),
        ("utf-16-le", b""),
        ("utf-16-be", b""),
        ("utf-16-le", b"\xff\xfe"),
        ("utf-16-be", b"\xfe\xff"),
        ("utf-32-le", b"\xff\xfe\0\0"),
        ("utf-32-be", b"\0\0\xfe\xff"),
    ],
)
def test_encodings(codec: str, mark: bytes) -> None:
    assert decoded(mark + TEXT.encode(codec)) == TEXT


def test_cp1252_where_a_line_is_no_utf_8() -> None:
    data = "curly \u2019\n".encode() + "\u00df Very high \u2026\n".encode("cp1252") + b"\x81\n"
    assert decoded(data) == "curly \u2019\n\u00df Very high \u2026\n\ufffd\n"


@pytest.mark.parametrize("data", [bytes(range(256)) * 40, b"\0" * 5000, b"\x01\x02\x03\x04" * 100, b"\0\1" * 500])
def test_binary_is_refused(data: bytes) -> None:
    with pytest.raises(InputError, match="binary data"):
        encoding_of(data)


def test_a_few_control_characters_are_text() -> None:
    assert encoding_of(b"text\x00with\x01some\x02" * 5) == "utf-8"
    assert encoding_of(b"") == "utf-8"
    assert encoding_of(b"a") == "utf-8"


@settings(max_examples=60, deadline=None)
@given(
    text=st.text(
        st.characters(codec="utf-8", exclude_characters="\ufeff\r", exclude_categories=("Cs", "Cc")) | st.just("\n"),
        max_size=200,
    ),
    codec=st.sampled_from(["utf-8", "utf-16", "utf-8-sig"]),
    chunk=st.integers(1, 40),
)
def test_pieces_of_any_size(text: str, codec: str, chunk: int) -> None:
    data = text.encode(codec)
    encoding = {"utf-8": "utf-8", "utf-8-sig": "utf-8", "utf-16": "utf-16-le"}[codec]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(decode, "CHUNK_BYTES", chunk)
        pieces = list(decoded_chunks(io.BytesIO(data), encoding))
    assert "".join(pieces) == text
    assert all(piece.endswith("\n") for piece in pieces[:-1])


@pytest.mark.parametrize("codec", ["utf-8", "utf-16-le"])
@pytest.mark.parametrize("length", [MAX_LINE - 1, MAX_LINE, MAX_LINE + 1, 4 * MAX_LINE + 1, 3_000_000])
def test_a_giant_line_is_cut_and_what_follows_is_read(codec: str, length: int) -> None:
    data = ("before\n" + "x" * length + "\nafter\n").encode(codec)
    text = "".join(decoded_chunks(io.BytesIO(data), codec))
    assert text.startswith("before\n")
    assert text.endswith("\nafter\n")
    lines = text.split("\n")
    assert max(len(line) for line in lines) <= MAX_LINE
    assert len(lines) == 4
    if length <= MAX_LINE:
        assert lines[1] == "x" * length


def test_a_giant_line_at_the_end() -> None:
    for data in (b"x" * 3_000_000, b"a\n" + b"x" * 3_000_000):
        assert len("".join(decoded_chunks(io.BytesIO(data), "utf-8"))) <= MAX_LINE + 2


def test_bytes_read_ahead_come_first() -> None:
    assert "".join(decoded_chunks(io.BytesIO(b" world\n"), "utf-8", b"hello")) == "hello world\n"
