"""``!lookaside``: the lists of small blocks that stay allocated for the next request."""

import re
from collections.abc import Iterable
from typing import Any

from poolsleuth.evidence.debugger_log.output import ADDRESS, NUMBER, Block, BufferedOutput, Context, Output, integer
from poolsleuth.evidence.debugger_log.output import address_bits as bits_of
from poolsleuth.model.facts import Fact, Figure
from poolsleuth.model.pool import Lookaside, Lookasides

MAX_LISTS = 10_000

_HEAD = re.compile(
    rf"Lookaside\s+\"(?P<name>[^\"\n]{{0,200}})\"\s+@\s*(?P<address>{ADDRESS})"
    r"(?:\s+Tag\(hex\):\s*(?P<number>0x[0-9a-fA-F]{1,8}))?(?:\s*\"(?P<tag>[^\n]{0,4}?)\")?",
    re.IGNORECASE,
)
_FIELDS = {
    "size": re.compile(rf"(?<![A-Za-z])Size\s*=\s*({NUMBER})", re.IGNORECASE),
    "depth": re.compile(rf"Current\s+Depth\s*=\s*({NUMBER})", re.IGNORECASE),
    "max_depth": re.compile(rf"Max\s+Depth\s*=\s*({NUMBER})", re.IGNORECASE),
    "allocates": re.compile(rf"Total\s?Allocates\s*=\s*({NUMBER})", re.IGNORECASE),
    "misses": re.compile(rf"Allocate\s?Misses\s*=\s*({NUMBER})", re.IGNORECASE),
}
_TOTALS = {
    "nonpaged_total": re.compile(rf"Total\s+Non-?Paged\s+currently\s+allocated[^\n=]{{0,60}}=\s*({NUMBER})"),
    "paged_total": re.compile(rf"Total\s+Paged\s+currently\s+allocated[^\n=]{{0,60}}=\s*({NUMBER})"),
}


class _Lookasides(BufferedOutput):
    def parse(self, block: Block) -> Iterable[Fact]:
        """All lists of one output."""
        text = block.text
        heads = list(_HEAD.finditer(text))[:MAX_LISTS]
        lists = []
        for head, following in zip(heads, [*heads[1:], None], strict=False):
            end = following.start() if following else len(text)
            numbers = {name: _number(field.search(text, head.end(), end)) for name, field in _FIELDS.items()}
            lists.append(Lookaside(name=head.group("name").strip(), tag=_tag(head), **numbers))
        totals: dict[str, Any] = {
            name: Figure(integer(found.group(1)), block.where(found.start()))
            for name, found in ((name, total.search(text)) for name, total in _TOTALS.items())
            if found
        }
        if lists or totals:
            yield Lookasides(
                where=block.where(0),
                live=block.context.live,
                command=block.context.command,
                address_bits=bits_of(heads[0].group("address")) if heads else None,
                lists=tuple(lists),
                **totals,
            )


def _number(found: re.Match[str] | None) -> int | None:
    return integer(found.group(1)) if found else None


def _tag(head: re.Match[str]) -> str:
    """The tag between quotes; where it is lost, from its number, whose lowest byte is the first character."""
    if head.group("tag") is not None or head.group("number") is None:
        return (head.group("tag") or "").rstrip()
    raw = int(head.group("number"), 16).to_bytes(4, "little")
    return "".join(chr(byte) if 0x20 <= byte < 0x7F else "." for byte in raw).rstrip(" .")


class _Reader:
    name = "!lookaside"
    banners = ()
    rows = (
        r"Lookaside\s+\"[^\"\n]{0,200}\"\s+@",
        r"Total\s+(?:Non-?)?Paged\s+(?:currently|potential)\s",
    )

    def open(self, context: Context) -> Output:
        """Begin a listing."""
        return _Lookasides(context)


READER = _Reader()
