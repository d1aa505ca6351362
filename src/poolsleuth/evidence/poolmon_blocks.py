"""Bytes of poolmon text in blocks of whole lines, whatever its encoding, in bounded memory."""

import codecs
from collections.abc import Iterator

from poolsleuth.evidence.debugger_log.decode import MAX_LINE, SAMPLE_BYTES, encoding_of
from poolsleuth.evidence.poolmon import HEADER_CHARS
from poolsleuth.evidence.source import Readable

BLOCK_BYTES = 1 << 20  # read at a time: the tables made of it are some ten times as large
MEMORY = b"Memory:"
_FEED = b"\n"
_BLANKS = b" \t\r\n\xef\xbb\xbf"


def memory_lines(block: bytes, start: int = 0) -> Iterator[int]:
    """Where the lines begin that begin a snapshot: ``Memory:`` and a number."""
    place = block.find(MEMORY, start)
    while place >= 0:
        line = block.rfind(_FEED, 0, place) + 1
        number = block[place + len(MEMORY) : place + len(MEMORY) + 20].lstrip(b" \t")
        if number[:1].isdigit() and place - line < HEADER_CHARS and not block[line:place].strip(_BLANKS):
            yield line
        place = block.find(MEMORY, place + 1)


def line_blocks(stream: Readable) -> Iterator[tuple[bytes, bool]]:
    """The text in UTF-8 (or cp1252, as it is) in blocks of whole lines, and whether the last line was ended by the
    file itself; the line feed that is missing there is added.

    A line longer than ``MAX_LINE`` is cut there. No block ends within the header lines of a snapshot. Raises InputError
    when it is no text.
    """
    rest = b""
    for block, last in _lines(stream):
        text = rest + block
        rest = b""
        if last:
            whole = text.endswith(_FEED)
            if text:
                yield (text if whole else text + _FEED), whole
            return
        # The second line of a header may be in the next block
        marks = list(memory_lines(text, max(0, len(text) - HEADER_CHARS)))
        if marks and len(text) - marks[0] < HEADER_CHARS:
            text, rest = text[: marks[0]], text[marks[0] :]
        if text:
            yield text, True


def _lines(stream: Readable) -> Iterator[tuple[bytes, bool]]:
    """Blocks that end at a line's end, and whether it is the last one, which may not."""
    rest = b""
    skipping = False
    for data, last in _decoded(stream):
        text = rest + data
        if skipping:
            end = text.find(_FEED)
            if end < 0:
                rest = b""
                if last:
                    yield _FEED, True
                continue
            text, skipping = text[end:], False
        cut = len(text) if last else text.rfind(_FEED) + 1
        block, rest = text[:cut], text[cut:]
        if len(rest) > MAX_LINE:
            # The beginning of a giant line is given once, the rest of it is dropped
            block += rest[:MAX_LINE]
            rest, skipping = b"", True
            if last:
                block += _FEED
        yield block, last


def _decoded(stream: Readable) -> Iterator[tuple[bytes, bool]]:
    data = b""
    while len(data) < SAMPLE_BYTES and (more := stream.read(SAMPLE_BYTES - len(data))):
        data += more
    encoding = encoding_of(data)
    decoder = None
    if encoding.startswith(("utf-16", "utf-32")):
        decoder = codecs.getincrementaldecoder(encoding)(errors="replace")
    while True:
        last = not data
        text = data if decoder is None else decoder.decode(data, final=last).encode("utf-8", errors="replace")
        yield text, last
        if last:
            return
        data = stream.read(BLOCK_BYTES)
