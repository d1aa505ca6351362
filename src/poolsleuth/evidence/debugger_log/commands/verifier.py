"""``!verifier`` with flags 0-3 and 0xf, in the layout up to Windows 7 and in the one of Windows 8 and later."""

import re
from collections.abc import Iterable
from itertools import zip_longest
from typing import Any

from poolsleuth.evidence.debugger_log.output import ADDRESS, Block, BufferedOutput, Context, Output, address_bits
from poolsleuth.model.facts import Fact, Figure
from poolsleuth.model.system import VerifiedAllocation, VerifiedDriver, VerifierState

MAX_OPTIONS = 64
MAX_DRIVERS = 1_000
MAX_ALLOCATIONS = 20_000  # of one driver
SPECIAL_POOL = 1  # bit of the level

_HEX = r"(?:0x)?[0-9a-fA-F]{1,16}"
_LEVEL = re.compile(rf"Verify\s{{1,8}}(?:Flags\s{{1,8}})?Level\s{{1,8}}(?P<level>{_HEX})\b", re.IGNORECASE)
_OLD_OPTIONS = re.compile(r"enabled\s{1,8}options\s{1,8}are\s{0,8}:", re.IGNORECASE)
_OPTION_LINE = re.compile(r"^[ *-]*(?P<text>[A-Za-z][A-Za-z /()&,-]{1,80})[ \x1f]*$", re.MULTILINE)
_CHECKED = re.compile(r"\[\s?[Xx]\s?\]\s{1,8}\(\s?0x[0-9a-fA-F]{1,16}\s?\)\s{1,8}(?P<text>[^\n\[]{1,80})")
_OPTIONS_END = re.compile(r"Summary\s{1,8}of\s{1,8}All|RaiseIrqls|Driver\s{1,8}Verification\s{1,8}List", re.IGNORECASE)
_COUNTS = {
    "injected_failures": r"(?:Pool|Resource)\s{1,8}Allocations\s{1,8}Failed\s{1,8}Deliberately",
    "failed": r"Pool\s{1,8}Allocations\s{1,8}Failed",
    "untagged": r"Pool\s{1,8}Allocations\s{1,8}With\s{1,8}NO\s{1,8}TAG",
}
_COUNT = {
    name: re.compile(rf"{words}\s{{1,80}}(0x[0-9a-fA-F]{{1,16}})\b", re.IGNORECASE) for name, words in _COUNTS.items()
}
_FILE = r"[^\s\\/:*?\"<>|()]{1,64}"
_DRIVER = re.compile(
    rf"^[ ]*(?:(?P<entry>{ADDRESS})\s{{1,40}}(?P<state>(?:Un)?[Ll]oaded(?:\s?(?:&|and)\s?Unloaded)?)"
    rf"\s{{1,40}}(?P<nonpaged>[0-9a-fA-F]{{8,16}})\s{{1,40}}(?P<paged>[0-9a-fA-F]{{8,16}})\s{{1,40}}(?P<old>{_FILE})"
    rf"|MODULE:\s{{0,8}}(?:{ADDRESS})\s{{1,40}}(?P<new>{_FILE})(?:\s{{1,40}}\((?P<newstate>[A-Za-z &]{{1,40}})\))?)",
    re.MULTILINE,
)
_PAIR = rf"\s{{0,8}}:?\s{{0,40}}\(?\s{{0,8}}({_HEX})\s{{0,40}}/?\s{{1,40}}({_HEX})\b"
_ALLOCATIONS = re.compile(rf"Current\s{{1,8}}Pool\s{{1,8}}Allocations{_PAIR}", re.IGNORECASE)
_BYTES = re.compile(rf"Current\s{{1,8}}Pool\s{{1,8}}Bytes{_PAIR}", re.IGNORECASE)
# Address, size, tag (which may hold blanks), caller's address, and in newer debuggers its symbol
_ALLOCATION = re.compile(
    rf"^[ *]*(?P<address>{ADDRESS})\s{{1,40}}(?P<size>(?:0x)?[0-9a-fA-F]{{8}})[ ]{{1,40}}(?P<tag>\S[^\n]{{0,3}}?)"
    rf"\s{{1,40}}(?P<caller>{ADDRESS})\b(?:\s{{1,40}}(?P<symbol>[A-Za-z_]\w{{0,63}}!\S{{1,200}}))?",
    re.MULTILINE,
)


class _Verifier(BufferedOutput):
    def parse(self, block: Block) -> Iterable[Fact]:
        """One fact, when anything of the state was printed."""
        text = block.text
        level = _LEVEL.search(text)
        counts: dict[str, Any] = {}
        starts = [level.start()] if level else []
        for name, expression in _COUNT.items():
            found = expression.search(text)
            counts[name] = Figure(int(found[1], 16), block.where(found.start())) if found else None
            starts += [found.start()] if found else []
        drivers, bits = _drivers(block)
        options = _options(text, level)
        if not starts and not drivers and not options:
            return
        yield VerifierState(
            where=drivers[0].where if drivers and not starts else block.where(min(starts, default=0)),
            live=block.context.live,
            command=block.context.command,
            address_bits=bits,
            level=int(level["level"], 16) if level else None,
            options=options,
            special_pool=_special_pool(level, options),
            drivers=drivers,
            **counts,
        )


def _options(text: str, level: re.Match[str] | None) -> tuple[str, ...]:
    checked = [" ".join(match["text"].split()) for match in _CHECKED.finditer(text)]
    if checked:
        return tuple(checked[:MAX_OPTIONS])
    begin = _OLD_OPTIONS.search(text, level.end() if level else 0)
    if begin is None:
        return ()
    stop = _OPTIONS_END.search(text, begin.end())
    if stop is None:
        return ()
    options: list[str] = []
    for line in _OPTION_LINE.finditer(text, begin.end(), stop.start()):
        words = " ".join(line["text"].split())
        if words[0].islower() and options:
            options[-1] += f" {words}"  # the rest of an option that a hard wrap broke
        else:
            options.append(words)
    return tuple(options[:MAX_OPTIONS])


def _special_pool(level: re.Match[str] | None, options: tuple[str, ...]) -> bool | None:
    if level:
        return bool(int(level["level"], 16) & SPECIAL_POOL)
    # Without the level, a list of options may have lost rows: it proves presence only
    return True if any(option.lower() == "special pool" for option in options) else None


def _drivers(block: Block) -> tuple[tuple[VerifiedDriver, ...], int | None]:
    text = block.text
    heads = list(_DRIVER.finditer(text))[:MAX_DRIVERS]
    drivers: list[VerifiedDriver] = []
    bits: int | None = None
    for head, following in zip_longest(heads, heads[1:]):
        end = following.start() if following else len(text)
        allocations: list[VerifiedAllocation] = []
        for row in _ALLOCATION.finditer(text, head.end(), end):
            if len(allocations) >= MAX_ALLOCATIONS:
                break
            bits = bits or address_bits(row["address"])
            allocations.append(
                VerifiedAllocation(
                    address=int(row["address"], 16),
                    size=int(row["size"], 16),
                    tag=row["tag"].strip(" \x1f"),
                    caller=row["symbol"] or row["caller"],
                )
            )
        counts = _ALLOCATIONS.search(text, head.end(), end)
        sizes = _BYTES.search(text, head.end(), end)
        bits = bits or (address_bits(head["entry"]) if head["entry"] else None)
        nonpaged, paged = (sizes[1], sizes[2]) if sizes else (head["nonpaged"], head["paged"])
        drivers.append(
            VerifiedDriver(
                name=head["old"] or head["new"],
                state=head["state"] or head["newstate"],
                nonpaged_allocations=int(counts[1], 16) if counts else None,
                paged_allocations=int(counts[2], 16) if counts else None,
                nonpaged_bytes=int(nonpaged, 16) if nonpaged else None,
                paged_bytes=int(paged, 16) if paged else None,
                allocations=tuple(allocations),
                where=block.where(head.start()),
            )
        )
    return tuple(drivers), bits


class _Reader:
    name = "!verifier"
    banners = (r"Verify\s+(?:Flags\s+)?Level\s+(?:0x)?[0-9a-fA-F]",)
    rows = (
        r"Summary\s+of\s+All\s+Verifier\s+Statistics",
        r"(?:#+ *)?Driver\s+Verification\s+List",
        r"Pool\s+Allocations\s+(?:Attempted|Succeeded|Failed|With\s+NO\s+TAG)\s",
        r"Entry\s+State\s+NonPagedPool\s+PagedPool\s+Module",
        r"PoolAddress\s+SizeInBytes\s+Tag",
        r"MODULE:\s+(?:0x)?[0-9a-fA-F]{8,16}\s+\S",
        r"Pool\s+Allocation\s+Statistics:",
    )

    def open(self, context: Context) -> Output:
        """Begin a verifier state."""
        return _Verifier(context)


READER = _Reader()
