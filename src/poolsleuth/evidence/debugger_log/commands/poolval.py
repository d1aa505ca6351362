"""``!poolval``: whether the headers of a pool page make sense, and what is wrong with them."""

import re
from collections.abc import Iterable

from poolsleuth.evidence.debugger_log.output import Block, BufferedOutput, Context, Output, address_bits
from poolsleuth.model.facts import Fact
from poolsleuth.model.pool import PoolValidation

MAX_PAGES = 1_000
MAX_ERRORS = 100  # sentences kept for one page
_PAGE = 0x1000

# The typed address may have lost a digit, and is printed like that
_ADDRESS = r"(?:0x)?[0-9a-fA-F]{7,16}"
_START = re.compile(rf"Validating\s+Pool\s+headers\s+for\s+pool\s+page\s*:\s*(?P<page>{_ADDRESS})", re.IGNORECASE)
_VERDICT = re.compile(
    rf"Pool\s+page\s+\[\s*(?P<page>{_ADDRESS})\s*\]\s+is\s+_{{0,4}}(?P<bad>in)?valid\b", re.IGNORECASE
)
_ERROR = re.compile(
    rf"^[ ]*+(?P<error>\[\s*{_ADDRESS}\s*\]\s*:\s*[^\n]{{1,200}}"
    r"(?:\x1f?\n[ ]*(?:should\s+be|previous\s+size|size|\[)[^\n]{0,80})?)",
    re.MULTILINE,
)
_BIT_ERROR = re.compile(r"^[ ]*+(?P<error>[^\n]{0,120}single\s+bit\s+error(?!s\.\.\.)[^\n]{0,120})", re.MULTILINE)
_EVENT = re.compile(f"{_START.pattern.replace('page>', 'start>')}|{_VERDICT.pattern}", re.IGNORECASE)


class _PoolValidation(BufferedOutput):
    def parse(self, block: Block) -> Iterable[Fact]:
        """One fact for each page that is validated."""
        pages: list[tuple[int, str, bool | None]] = []  # offset, address as printed, verdict
        for event in _EVENT.finditer(block.text):
            if event.group("start"):
                pages.append((event.start(), event.group("start"), None))
                continue
            # The verdict follows the announcement, but either may be lost
            if pages and pages[-1][2] is None:
                pages[-1] = (pages[-1][0], event.group("page"), event.group("bad") is None)
            else:
                pages.append((event.start(), event.group("page"), event.group("bad") is None))
        ends = [offset for offset, _, _ in pages[1:]] + [len(block.text)]
        for (offset, printed, valid), end in list(zip(pages, ends, strict=False))[:MAX_PAGES]:
            found = [*_ERROR.finditer(block.text, offset, end), *_BIT_ERROR.finditer(block.text, offset, end)]
            yield PoolValidation(
                where=block.where(offset),
                live=block.context.live,
                command=block.context.command,
                address_bits=address_bits(printed),
                page=int(printed, 16) & ~(_PAGE - 1),
                valid=valid,
                errors=tuple(" ".join(match.group("error").split()) for match in found[:MAX_ERRORS]),
            )


class _Reader:
    name = "!poolval"
    banners = ()
    rows = (
        r"Validating\s+Pool\s+headers",
        rf"Pool\s+page\s+\[\s*{_ADDRESS}\s*\]\s+is\s",
    )

    def open(self, context: Context) -> Output:
        """Begin a validation."""
        return _PoolValidation(context)


READER = _Reader()
