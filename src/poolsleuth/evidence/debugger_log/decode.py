"""Bytes of a log to text: byte order marks, UTF-16 without one, UTF-8, and cp1252 line by line where UTF-8 fails."""

import codecs
from collections.abc import Iterator

from poolsleuth.evidence.source import Readable
from poolsleuth.model.errors import InputError

SAMPLE_BYTES = 64 * 1024  # enough to see an encoding; a debugger log shows its padding in the first screen
CHUNK_BYTES = 1024 * 1024  # text per step: large enough for the regex engine, small beside the 300 MB bound
MAX_LINE = 64 * 1024  # characters kept of one line: longer is no debugger output, and must not fill memory

_BOMS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),  # before UTF-16: its mark begins with the same two bytes
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)

# Share of NUL bytes on one side of each byte pair that makes Latin text in UTF-16 certain
_UTF16_NUL_SHARE = 0.7
# Control characters (not tab, line feed, return, escape...) that text holds none of, beyond stray ones
_MAX_CONTROL_SHARE = 0.02
_TEXT_CONTROLS = frozenset(b"\t\n\r\x0b\x0c\x1b\x1a\x08\x07\x00")


def encoding_of(sample: bytes) -> str:
    """The encoding of a text's first bytes.

    Raises InputError when the sample is no text (too many control characters or NUL bytes).
    """
    for mark, name in _BOMS:
        if sample.startswith(mark):
            return name
    pairs = len(sample) // 2
    if pairs >= 1:
        nul_high = sample[1 : 2 * pairs : 2].count(0)
        nul_low = sample[0 : 2 * pairs : 2].count(0)
        if nul_high > _UTF16_NUL_SHARE * pairs and nul_low < pairs - nul_high + 1:
            _check_text(sample[0 : 2 * pairs : 2])
            return "utf-16-le"
        if nul_low > _UTF16_NUL_SHARE * pairs and nul_high < pairs - nul_low + 1:
            _check_text(sample[1 : 2 * pairs : 2])
            return "utf-16-be"
    _check_text(sample)
    return "utf-8"


def _check_text(sample: bytes) -> None:
    table = bytes(range(32)) + b"\x7f"
    controls = sum(sample.count(bytes([c])) for c in table if c not in _TEXT_CONTROLS)
    if controls + sample.count(0) > max(16, _MAX_CONTROL_SHARE * len(sample)):
        raise InputError("it is binary data, not text, and no kind of evidence that poolsleuth knows")


def decoded_chunks(stream: Readable, encoding: str, ahead: bytes = b"") -> Iterator[str]:
    """The stream's text in pieces of about ``CHUNK_BYTES`` that end at a line's end (but for the last).

    ``ahead`` are bytes that were already read from the stream.

    A line longer than ``MAX_LINE`` is cut there, and the rest of it is dropped.
    """
    wide = encoding.startswith(("utf-16", "utf-32"))
    decoder = codecs.getincrementaldecoder(encoding)(errors="replace") if wide else None
    rest = b""
    text_rest = ""
    skipping = False
    first = True
    while True:
        block, ahead = (ahead, b"") if ahead else (stream.read(CHUNK_BYTES), b"")
        if decoder is not None:
            text = text_rest + decoder.decode(block, final=not block)
        else:
            data = rest + block
            cut = len(data) if not block else data.rfind(b"\n") + 1
            if cut == 0 and len(data) > MAX_LINE * 4:
                cut = len(data)  # one giant line: pass on what there is, the bound below cuts it
            text = text_rest + narrow(data[:cut])
            rest = data[cut:]
        if first and text:
            text = text.removeprefix("\ufeff")
            first = False
        cut = len(text) if not block else text.rfind("\n") + 1
        if cut == 0 and len(text) > MAX_LINE:
            # Inside a giant line: its beginning is given once, then everything up to the next line feed is dropped
            if not skipping:
                yield text[:MAX_LINE]
            skipping = True
            text_rest = ""
            continue
        piece, text_rest = text[:cut], text[cut:]
        if skipping:
            end = piece.find("\n")
            if end < 0:
                piece = ""
            else:
                piece = piece[end:]
                skipping = False
        if piece:
            yield _bounded_lines(piece)
        if not block:
            return


def _bounded_lines(text: str) -> str:
    if len(text) <= MAX_LINE:
        return text
    start = 0
    for end in _line_ends(text):
        if end - start > MAX_LINE:
            return "\n".join(line[:MAX_LINE] for line in text.split("\n"))
        start = end
    return text


def _line_ends(text: str) -> Iterator[int]:
    # Jumps in MAX_LINE steps instead of visiting every line: only a gap longer than the bound matters
    position = 0
    while position < len(text):
        end = text.rfind("\n", position, position + MAX_LINE)
        if end < 0:
            end = text.find("\n", position)
            end = len(text) if end < 0 else end
        yield end
        position = end + 1


def narrow(data: bytes) -> str:
    """Bytes as UTF-8, or line by line as cp1252 where that fails."""
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return "\n".join(_narrow_line(line) for line in data.split(b"\n"))


def _narrow_line(line: bytes) -> str:
    try:
        return line.decode("utf-8")
    except UnicodeDecodeError:
        return line.decode("cp1252", errors="replace")
