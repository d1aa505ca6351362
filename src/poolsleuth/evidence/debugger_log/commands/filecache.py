"""``!filecache``: the size of the system file cache, and the files that hold most of it."""

import re
from collections.abc import Iterable

from poolsleuth.evidence.debugger_log.output import (
    NUMBER,
    Block,
    BufferedOutput,
    Context,
    Output,
    address_bits,
    integer,
)
from poolsleuth.model.facts import Fact, Figure
from poolsleuth.model.memory import FileCache, FileUse

MAX_FILES = 50

_SIZE = {
    "current": re.compile(rf"Current\s{{1,20}}size\s{{1,20}}({NUMBER})\s{{0,8}}kb", re.IGNORECASE),
    "peak": re.compile(rf"Peak\s{{1,20}}size\s{{1,20}}({NUMBER})\s{{0,8}}kb", re.IGNORECASE),
}
# Control, valid, standby or dirty, shared, locked, name
_FILE = re.compile(
    rf"^[ ]*(?P<control>(?:0x)?[0-9a-fA-F]{{8}}(?:[0-9a-fA-F]{{8}})?)\s{{1,40}}(?P<valid>{NUMBER})"
    rf"\s{{1,40}}(?P<standby>{NUMBER})\s{{1,40}}{NUMBER}\s{{1,40}}{NUMBER}\s{{1,40}}"
    # A name that was lost is not made up from the row below
    r"(?P<name>No\s{1,8}Name\s{1,8}for\s{1,8}File"
    r"|(?!(?:0x)?[0-9a-fA-F]{8,16}[ ]+\d+[ ]+\d)[^\s.][^\n]{0,300}|\.[^\s.][^\n]{0,300})",
    re.MULTILINE,
)


class _FileCache(BufferedOutput):
    def parse(self, block: Block) -> Iterable[Fact]:
        """One fact, when a size or a file was printed."""
        sizes: dict[str, Figure | None] = {}
        starts: list[int] = []
        for name, expression in _SIZE.items():
            found = expression.search(block.text)
            sizes[name] = Figure(integer(found[1]) * 1024, block.where(found.start())) if found else None
            starts += [found.start()] if found else []
        files: list[FileUse] = []
        bits: int | None = None
        for row in _FILE.finditer(block.text):
            bits = bits or address_bits(row["control"])
            if len(files) == 0:
                starts.append(row.start())
            kilobytes = integer(row["valid"]) + integer(row["standby"])
            files.append(FileUse(" ".join(row["name"].split()), kilobytes * 1024))
        if not starts:
            return
        files.sort(key=lambda use: -use.bytes)
        yield FileCache(
            where=block.where(min(starts)),
            live=block.context.live,
            command=block.context.command,
            address_bits=bits,
            current=sizes["current"],
            peak=sizes["peak"],
            files=tuple(files[:MAX_FILES]),
        )


class _Reader:
    name = "!filecache"
    banners = (r"Dump\s+file\s+cache",)
    rows = (
        r"File\s+Cache\s+Information",
        r"(?:Current|Peak)\s+size\s+\d[\d,]*\s+kb",
        r"Control\s+Valid\s+Standby/Dirty",
    )

    def open(self, context: Context) -> Output:
        """Begin a list of cached files."""
        return _FileCache(context)


READER = _Reader()
