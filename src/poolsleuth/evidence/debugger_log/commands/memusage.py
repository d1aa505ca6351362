"""``!memusage``: the page lists, and the mapped files that hold most memory (32- and 64-bit control areas)."""

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
from poolsleuth.model.memory import FileUse, MemoryUsage

MAX_FILES = 50

_LIST = re.compile(
    r"(?P<name>(?:Dangling\s{1,8}(?:Yes|No)\s{1,8}Commit|SLIST/(?:Temp|Bad)|ModifiedNoWrite|Modified(?:\s{1,8}No\s?Write)?"
    r"|Zeroed|Free|Standby|Active/Valid|Transition|Bad|Unknown|TOTAL))\s{0,20}:"
    rf"\s{{0,40}}{NUMBER}\s{{0,40}}\(\s{{0,40}}(?P<kb>{NUMBER})\s{{0,8}}kb\s{{0,8}}\)",
    re.IGNORECASE,
)
# Control, valid, standby, dirty, shared, locked, page tables, name. Rows with dashes for an address are processes
# and drivers: they are no files, and their columns differ.
_FILE = re.compile(
    rf"^[ ]*(?P<control>(?:0x)?[0-9a-fA-F]{{8}}(?:[0-9a-fA-F]{{8}})?)\s{{1,40}}(?P<valid>{NUMBER})"
    rf"\s{{1,40}}(?P<standby>{NUMBER})\s{{1,40}}(?P<dirty>{NUMBER})(?:\s{{1,40}}(?:{NUMBER}|-{{1,8}})){{3}}\s{{1,40}}"
    r"(?:mapped_file\s{0,8}\(\s{0,8}(?P<file>[^\n]{1,300}?)\s{0,8}(?:\)[ \x1f]*$|$)"
    r"|(?P<other>No\s{1,8}Name\s{1,8}for\s{1,8}File|[A-Za-z$][^\n]{0,300}))",
    re.MULTILINE,
)


class _MemUsage(BufferedOutput):
    def parse(self, block: Block) -> Iterable[Fact]:
        """One fact, when a page list or a file was printed."""
        lists: dict[str, Figure] = {}
        for row in _LIST.finditer(block.text):
            name = " ".join(row["name"].split())
            lists.setdefault(name, Figure(integer(row["kb"]) * 1024, block.where(row.start())))
        files: list[FileUse] = []
        first: re.Match[str] | None = None
        for row in _FILE.finditer(block.text):
            first = first or row
            kilobytes = integer(row["valid"]) + integer(row["standby"]) + integer(row["dirty"])
            files.append(FileUse(" ".join((row["file"] or row["other"]).split()), kilobytes * 1024))
        if not lists and first is None:
            return
        files.sort(key=lambda use: -use.bytes)
        lines = [figure.where.line for figure in lists.values() if figure.where.line is not None]
        where = block.where(first.start() if first else 0)
        yield MemoryUsage(
            where=type(where)(where.input, min(lines)) if lines else where,
            live=block.context.live,
            command=block.context.command,
            address_bits=address_bits(first["control"]) if first else None,
            lists=lists,
            files=tuple(files[:MAX_FILES]),
        )


class _Reader:
    name = "!memusage"
    banners = ()
    rows = (
        r"loading\s+PFN\s+database",
        r"Compiling\s+memory\s+usage\s+data",
        r"(?:Zeroed|ModifiedNoWrite|Active/Valid|SLIST/(?:Temp|Bad)|Dangling\s+(?:Yes|No)\s+Commit)\s*:\s*\d",
        r"(?:Free|Standby|Modified|Transition|Unknown|TOTAL)\s*:\s*\d[\d,]*\s*\(\s*\d[\d,]*\s*kb",
        r"Control\s+Valid\s+Standby\s+Dirty",
        r"[0-9a-f]{8,16}(?:[ ]+\d{1,12}){6}[ ]+mapped_file\s*\(",
    )

    def open(self, context: Context) -> Output:
        """Begin a summary of physical memory."""
        return _MemUsage(context)


READER = _Reader()
