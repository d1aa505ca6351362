"""Poolmon screens inside a log: the adapter to the parser of poolmon text."""

from collections.abc import Iterable

from poolsleuth.evidence.debugger_log.output import Block, BufferedOutput, Context, Output
from poolsleuth.evidence.poolmon import read_screens
from poolsleuth.model.facts import Fact


class _Poolmon(BufferedOutput):
    def parse(self, block: Block) -> Iterable[Fact]:
        """The header lines and the table of each screen."""
        return read_screens(block.text, block.where)


class _Reader:
    name = "poolmon"
    # Each "Memory:" line begins a new snapshot, so that a log of many days is read one snapshot at a time
    banners = (r"Memory:\s*\d[\d,]*\s*K\s+Avail:",)
    rows = (
        r"Commit:\s*\d[\d,]*\s*K\s+Limit:",
        r"(?:All\s+sessions|System|Session\s+\d+)\s+pool\s+information",
        r"(?:#+ *)?Tag\s+Type\s+Allocs",
        r"\S[^\n]{0,3}?[ ]+(?:Nonp|Paged)[ ]+\d[\d,]*(?:[ ]{0,20}\([^()\n]{1,20}\))?[ ]+\d",
    )

    def open(self, context: Context) -> Output:
        """Begin a screen."""
        return _Poolmon(context)


READER = _Reader()
