"""A stream cut into lines of bytes: UTF-16 becomes UTF-8 on the way, no line is longer than a bound."""

import codecs
from collections.abc import Callable, Iterator

from poolsleuth.evidence.debugger_log.decode import encoding_of
from poolsleuth.evidence.source import Readable

BLOCK_BYTES = 1 << 20
MAX_LINE_BYTES = 64 << 20  # one line: the header of a million counters has 60 MB
_SAMPLE_BYTES = 64 << 10  # enough to see the encoding

_MARKS = (codecs.BOM_UTF8, codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE, codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


class Lines:
    """The lines of a text, without their line ends (LF, CRLF, or CR alone).

    ``number`` is the number of the line that was given last, from 1. ``ended`` is False for a last line without a
    line end: it may be cut. ``overlong`` counts lines above ``MAX_LINE_BYTES``; they are left out.
    """

    def __init__(self, stream: Readable, progress: Callable[[], None] | None = None) -> None:
        self._stream = stream
        self._progress = progress
        self.number = 0
        self.ended = True
        self.overlong = 0

    def __iter__(self) -> Iterator[bytes]:
        """The lines. Raises InputError when the stream is no text."""
        parts: list[bytes] = []
        size = 0
        end = b""
        for block in self._blocks():
            if not end:
                end = b"\r" if b"\n" not in block and b"\r" in block[:-1] else b"\n"
            first, *rest = block.split(end)
            size += len(first)
            if size <= MAX_LINE_BYTES:
                parts.append(first)
            if not rest:
                continue
            last = rest.pop()
            if size <= MAX_LINE_BYTES:
                self.number += 1
                yield b"".join(parts).rstrip(b"\r")
            else:
                self._skip()
            for line in rest:
                self.number += 1
                yield line[:-1] if line.endswith(b"\r") else line
            parts, size = [last], len(last)
        if size > MAX_LINE_BYTES:
            self._skip()
        elif size:
            self.number += 1
            self.ended = False
            yield b"".join(parts).rstrip(b"\r")

    def _skip(self) -> None:
        self.number += 1
        self.overlong += 1

    def _blocks(self) -> Iterator[bytes]:
        block = self._stream.read(_SAMPLE_BYTES)
        encoding = encoding_of(block)
        mark = next((mark for mark in _MARKS if block.startswith(mark)), b"")
        block = block[len(mark) :]
        if encoding == "utf-8":
            while block or mark:
                mark = b""
                yield block
                self._advance()
                block = self._stream.read(BLOCK_BYTES)
            return
        decoder = codecs.getincrementaldecoder(encoding)(errors="replace")
        while block or mark:
            mark = b""
            yield decoder.decode(block).encode()
            self._advance()
            block = self._stream.read(BLOCK_BYTES)
        yield decoder.decode(b"", final=True).encode()

    def _advance(self) -> None:
        if self._progress is not None:
            self._progress()
