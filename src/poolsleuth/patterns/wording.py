"""Numbers as findings write them: bytes in the model, MB in a sentence, the exact figure where it matters."""

from poolsleuth.windows.counters import Unit

_MB = 1 << 20
GROWTH_OF_TAG = "the growth of tag "  # what a finding about one tag explains of another
MAY_KEEP = "keeps references to the objects"  # what is said of a tag that may be the cause of the objects it follows
_GB = 1 << 30


def size(count: int) -> str:
    """Bytes for a reader: "24 bytes", "416 KB", "99.5 MB", "3.5 GB" (powers of 1024)."""
    if count < 1024:
        return f"{count} bytes"
    if count < _MB:
        return f"{count / 1024:.0f} KB"
    if count < _GB:
        return f"{count / _MB:.1f} MB"
    return f"{count / _GB:.1f} GB"


def exact(count: int) -> str:
    """Bytes for a reader, with the exact figure: "99.5 MB (104,296,448 bytes)"."""
    return f"{size(count)} ({count:,} bytes)" if count >= 1024 else size(count)


def percent(share: float) -> str:
    """A share of 1 with the digits that distinguish "98.1 %" from "99.7 %"."""
    return f"{share * 100:.1f} %"


def plural(count: int, noun: str) -> str:
    """ "1 failure", "7,837 failures"."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def amount(value: float, unit: Unit) -> str:
    """A figure in its unit: "99.5 MB", "12,345"."""
    sign = "-" if value < 0 else ""
    return sign + (size(round(abs(value))) if unit is Unit.BYTES else f"{round(abs(value)):,}")
