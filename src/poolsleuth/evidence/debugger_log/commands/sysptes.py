"""``!sysptes`` with flags 0, 1, 3 and 4: free system PTEs, and who mapped locked pages."""

import re
from collections import Counter
from collections.abc import Iterable
from itertools import zip_longest

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
from poolsleuth.model.memory import PteOwner, SystemPtes

MAX_ROWS = 200_000  # of flag 4: one for each mapping, of which a system has at most as many as it has system PTEs
MAX_OWNERS = 200

_SECTION = re.compile(r"(?P<kind>[A-Z][A-Za-z]{2,12}(?:\s{1,8}[A-Za-z]{2,12}){0,2})\s{1,8}PTE\s{1,8}Information")
_TOTAL = re.compile(rf"Total\s{{1,20}}System\s{{1,20}}Ptes\s{{1,20}}({NUMBER})", re.IGNORECASE)
_BLOCKS = re.compile(
    rf"free\s{{1,20}}blocks:\s{{0,20}}(?P<blocks>{NUMBER})\s{{1,80}}total\s{{1,20}}free:\s{{0,20}}(?P<free>{NUMBER})"
    rf"(?:\s{{1,80}}largest\s{{1,20}}free\s{{1,20}}block:\s{{0,20}}(?P<largest>{NUMBER}))?",
    re.IGNORECASE,
)
_MDLS = re.compile(r"0x([0-9a-f]{1,12})\s{1,20}System\s{1,20}PTEs\s{1,20}allocated", re.IGNORECASE)
_OWNER = re.compile(
    r"^[ ]*(?P<va>(?:0x)?[0-9a-f]{8}(?:[0-9a-f]{8})?)\s{1,40}(?:0x)?[0-9a-f]{1,16}\s{1,40}"
    r"(?P<pages>[0-9a-f]{1,8})\s{1,40}(?P<caller>[^\s/!]{1,64}!?[^\s/]{0,200}?)(?:\+0x[0-9a-f]{1,16})?/[^\s/]",
    re.MULTILINE | re.IGNORECASE,
)
_PTE_ADDRESS = re.compile(r"(?:starting|ending)\s{1,20}PTE:\s{0,20}((?:0x)?[0-9a-f]{8,16})\b", re.IGNORECASE)


class _SysPtes(BufferedOutput):
    def parse(self, block: Block) -> Iterable[Fact]:
        """One fact: the section of system PTEs and the mappings; the sections of other PTEs are left out."""
        text = block.text
        starts = _system_sections(text)
        total = blocks = None
        for start, end in starts:
            total = total or _TOTAL.search(text, start, end)
            blocks = blocks or _BLOCKS.search(text, start, end)
        mdls = _MDLS.search(text)
        pages: Counter[str] = Counter()
        first_row: re.Match[str] | None = None
        for count, row in enumerate(_OWNER.finditer(text)):
            if count >= MAX_ROWS:
                break
            first_row = first_row or row
            pages[row["caller"]] += int(row["pages"], 16)
        found = [match for match in (total, blocks, mdls, first_row) if match is not None]
        if not found:
            return
        address = _PTE_ADDRESS.search(text)
        shown = address[1] if address else first_row["va"] if first_row else None

        def figure(match: re.Match[str] | None, group: int | str, base: int = 10) -> Figure | None:
            if match is None or match[group] is None:
                return None
            value = integer(match[group]) if base == 10 else int(match[group], base)
            return Figure(value, block.where(match.start()))

        yield SystemPtes(
            where=block.where(min(match.start() for match in found)),
            live=block.context.live,
            command=block.context.command,
            address_bits=address_bits(shown) if shown else None,
            total=figure(total, 1),
            free=figure(blocks, "free"),
            largest_free_block=figure(blocks, "largest"),
            free_blocks=figure(blocks, "blocks"),
            allocated_to_mdls=figure(mdls, 1, base=16),
            owners=tuple(PteOwner(caller, count) for caller, count in pages.most_common(MAX_OWNERS)),
        )


def _system_sections(text: str) -> list[tuple[int, int]]:
    """Where the text speaks of system PTEs: under that heading, and before the first heading (it may be lost)."""
    headings = list(_SECTION.finditer(text))
    if not headings:
        return [(0, len(text))]
    parts = [(0, headings[0].start())]
    for heading, following in zip_longest(headings, headings[1:]):
        if " ".join(heading["kind"].split()).lower().endswith("system"):
            parts.append((heading.end(), following.start() if following else len(text)))
    return parts


class _Reader:
    name = "!sysptes"
    banners = (r"System\s+PTE\s+Information",)
    rows = (
        r"Total\s+System\s+Ptes\s+\d",
        r"Kernel\s+Stack\s+PTE\s+Information",
        r"SysPtes\s+list\s+of\s+size\s+\d",
        r"(?:starting|ending)\s+PTE:\s",
        r"free\s+(?:blocks|ptes):\s",
        r"0x[0-9a-fA-F]{1,12}\s+System\s+PTEs\s+allocated",
        r"VA\s+MDL\s+PageCount",
        r"[0-9a-f]{8,16}[ ]+[0-9a-f]{1,16}[ ]+[0-9a-f]{1,8}[ ]+\w{1,64}!\w{1,200}\+0x[0-9a-f]{1,8}/\w",
    )

    def open(self, context: Context) -> Output:
        """Begin a list of system PTEs."""
        return _SysPtes(context)


READER = _Reader()
