"""``!analyze``, ``.bugcheck`` and the other ways in which a debugger prints a bug check.

The same bug check is printed several times (star box, ``BUGCHECK_CODE``, "BugCheck C4, {..}"): one fact holds what all
of them say.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from poolsleuth.evidence.debugger_log.output import Block, BufferedOutput, Context, Output
from poolsleuth.model.facts import Fact
from poolsleuth.model.system import BugCheck

MAX_CHARS = 4 * 1024 * 1024  # of one output: an analysis with its stacks has some ten KB
MAX_BUGCHECKS = 1_000
_TEXT = 500  # characters of one argument's text
_PROTECTED = 0x8000_0000  # of a tag: the block may only be freed with the same tag
_ARGUMENTS_WITHIN = 6_000  # characters behind a bug check's name in which its arguments begin

_HEX = r"(?:0x)?[0-9a-fA-F]{1,16}"
_NAME = r"(?!STATUS_)[A-Z][A-Z0-9]{1,40}(?:_[A-Z0-9]{1,40}){1,12}"
_BOX = re.compile(r"Bugcheck\s{1,8}Analysis", re.IGNORECASE)
_NAMED = re.compile(
    rf"^[ *]*(?:(?P<name>{_NAME})|Unknown\s{{1,8}}bugcheck\s{{1,8}}code)\s{{1,8}}"
    r"\((?P<code>(?:0x)?[0-9a-fA-F]{1,8})\)",
    re.MULTILINE,
)
_SHORT = re.compile(r"\bBugCheck\s{1,8}(?P<code>[0-9a-fA-F]{1,8}),\s{0,8}\{(?P<args>[0-9a-fA-Fx,\s]{1,200})\}")
_DOT = re.compile(
    rf"Bugcheck\s{{1,8}}code\s{{1,8}}(?P<code>{_HEX})\s{{1,20}}Arguments\s{{1,8}}(?P<args>{_HEX}(?:[,\s]{{1,8}}{_HEX}){{0,3}})",
    re.IGNORECASE,
)
# The live debugger's "*** Fatal System Error: 0x000000c4", WhoCrashed's "Bugcheck code: 0xD1 (0x0, ..)", and the
# event that says "The bugcheck was: 0x000000d1 (0x0, ..)"
_FATAL = re.compile(
    r"(?:Fatal\s{1,8}System\s{1,8}Error|bugcheck\s{1,8}(?:code|was))\s{0,8}:\s{0,8}(?P<code>0x[0-9a-fA-F]{1,8})\b"
    r"(?:\s{0,80}\((?P<args>[0-9a-fA-Fx,\s]{1,200})\))?",
    re.IGNORECASE,
)
_CODE_KEY = re.compile(rf"\bBUGCHECK_CODE:\s{{0,8}}(?P<code>{_HEX})\b")
_PARAMETER_KEY = re.compile(rf"\bBUGCHECK_P(?P<number>[1-4]):\s{{0,8}}(?P<value>{_HEX})\b")
_ARGUMENT = re.compile(rf"\bArg(?P<number>[1-4])\s{{0,4}}:\s{{0,8}}(?P<value>{_HEX})\b[ ]{{0,4}}(?P<comma>,?)")
_TEXT_END = re.compile(
    r"\bArg[1-4]\s{0,4}:|\n[ \x1f]*\n|Debugging\s{1,4}Details|\n[ ]*[A-Z][A-Z0-9_]{4,40}:|\n[ ]*-{4,}|\n[ ]*BugCheck\s"
)
_KEYS = ("PROCESS_NAME", "MODULE_NAME", "IMAGE_NAME", "SYMBOL_NAME", "FAILURE_BUCKET_ID", "BUCKET_ID", "FREED_POOL_TAG")
_KEY = re.compile(
    r"(?<![A-Z_])(?P<key>"
    + "|".join(_KEYS)
    + r"):[ ]{0,20}(?:\n[ ]{0,20})?(?P<value>(?![A-Z][A-Z0-9_]{4,40}:)\S[^\n]{0,300})"
)
_NEXT_KEY = re.compile(r"\s{1,40}[A-Z][A-Z0-9_]{4,40}:")
_CAUSED_BY = re.compile(
    r"Probably\s{1,8}caused\s{1,8}by\s{0,8}:\s{0,8}(?P<image>[^\s()]{1,120})"
    r"(?:\s{1,8}\(\s{0,8}(?P<symbol>[^()\n]{1,200}?)\s{0,8}\))?"
)
# A text that says: this number is a tag
_SAYS_TAG = re.compile(r"\b(?:pool\s{1,4}tag|allocat\w{0,8}'?s?\s{1,4}tag|tag\s{1,4}being\s{1,4}used)\b", re.IGNORECASE)
_NOT_KNOWN = frozenset({"unknown_image", "unknown_module", "analysis_inconclusive", "unknown", "(null)"})


@dataclass(slots=True)
class _Case:
    """One bug check while its printings are brought together."""

    code: int
    start: int
    end: int
    name: str | None = None
    parameters: tuple[int, ...] = ()
    bits: int | None = None
    texts: list[str] = field(default_factory=list)


class _Analyze(BufferedOutput):
    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self._left = MAX_CHARS

    def feed(self, text: str, line: int) -> None:
        """Keep the beginning only."""
        if self._left > 0:
            super().feed(text[: self._left], line)
            self._left -= len(text)

    def parse(self, block: Block) -> Iterable[Fact]:
        """One fact for each bug check; a new code or other parameters begin the next one."""
        cases: list[_Case] = []
        for start, code, name, parameters, bits in _printings(block.text):
            last = cases[-1] if cases else None
            if last is None or last.code != code or not _same(last.parameters, parameters):
                if len(cases) >= MAX_BUGCHECKS:
                    break
                cases.append(_Case(code, start, len(block.text), name, parameters, bits))
                if last is not None:
                    last.end = start
            else:
                last.name = last.name or name
                last.parameters = last.parameters or parameters
                last.bits = last.bits or bits
        for case in cases:
            yield _fact(block, case)


def _printings(text: str) -> list[tuple[int, int, str | None, tuple[int, ...], int | None]]:
    """Each place that prints a code: offset, code, name, parameters, address bits."""
    found: list[tuple[int, int, str | None, tuple[int, ...], int | None]] = []
    box = _BOX.search(text)
    named = list(_NAMED.finditer(text))
    for number, match in enumerate(named):
        limit = named[number + 1].start() if number + 1 < len(named) else len(text)
        limit = min(limit, match.start() + _ARGUMENTS_WITHIN)
        first = _ARGUMENT.search(text, match.end(), limit)
        # Other lines print a capital name with a number in brackets: arguments or the box make it a bug check
        if first is None and (box is None or box.start() > match.start()):
            continue
        arguments = _arguments(text, first.start(), limit) if first else {}
        widths = {len(value.removeprefix("0x")) for value, _ in arguments.values()}
        found.append(
            (
                match.start(),
                int(match["code"], 16),
                match["name"],
                _row_of(arguments),
                64 if 16 in widths else 32 if widths == {8} else None,
            )
        )
    for expression in (_SHORT, _DOT, _FATAL):
        for match in expression.finditer(text):
            values = re.findall(r"[0-9a-fA-F]{1,16}", (match["args"] or "").replace("0x", " "))[:4]
            parameters = tuple(int(value, 16) for value in values)
            found.append((match.start(), int(match["code"], 16), None, parameters, _bits_of(values)))
    for match in _CODE_KEY.finditer(text):
        keys: dict[int, int] = {}
        for key in _PARAMETER_KEY.finditer(text, match.end(), match.end() + 600):
            keys.setdefault(int(key["number"]), int(key["value"], 16))
        parameters = tuple(keys[number] for number in range(1, 5)) if len(keys) == 4 else ()
        found.append((match.start(), int(match["code"], 16), None, parameters, None))
    return sorted(found, key=lambda printing: printing[0])


def _arguments(text: str, start: int, limit: int) -> dict[int, tuple[str, str]]:
    """Number -> value and text of "Arg1: 00000062, A driver has forgotten..."."""
    arguments: dict[int, tuple[str, str]] = {}
    for match in _ARGUMENT.finditer(text, start, limit):
        number = int(match["number"])
        if number in arguments:
            break
        end = match.end()
        stop = _TEXT_END.search(text, end, end + _TEXT)
        says = text[end : stop.start() if stop else min(len(text), end + _TEXT)]
        arguments[number] = (match["value"], " ".join(says.split()) if match["comma"] else "")
    return arguments


def _row_of(arguments: dict[int, tuple[str, str]]) -> tuple[int, ...]:
    # A lost line must not move the others to a wrong place
    count = next((number for number in range(4) if number + 1 not in arguments), 4)
    return tuple(int(arguments[number + 1][0], 16) for number in range(count))


def _bits_of(values: list[str]) -> int | None:
    widths = {len(value) for value in values}
    if widths in ({8}, {16}):
        return 32 if widths == {8} else 64
    # Unpadded values: newer debuggers print 32-bit ones with their sign extended
    return 64 if any(len(value) > 8 and not value.lower().startswith("ffffffff") for value in values) else None


def _same(one: tuple[int, ...], other: tuple[int, ...]) -> bool:
    # The low halves: the sign of a 32-bit value is extended in one printing and not in the other
    return all((a ^ b) & 0xFFFF_FFFF == 0 for a, b in zip(one, other, strict=False))


def _fact(block: Block, case: _Case) -> BugCheck:
    text = block.text
    keys: dict[str, str] = {}
    for match in _KEY.finditer(text, case.start, case.end):
        keys.setdefault(match["key"], _NEXT_KEY.split(match["value"], maxsplit=1)[0].strip(" \x1f"))
    caused = _CAUSED_BY.search(text, case.start, case.end)
    first = _ARGUMENT.search(text, case.start, case.end)
    arguments = _arguments(text, first.start(), case.end) if first else {}
    texts = tuple(arguments[number][1] if number in arguments else "" for number in range(1, 5)) if arguments else ()
    return BugCheck(
        where=block.where(case.start),
        live=block.context.live,
        command=block.context.command,
        address_bits=case.bits,
        code=case.code,
        name=case.name,
        parameters=tuple(p & 0xFFFF_FFFF for p in case.parameters) if case.bits == 32 else case.parameters,
        module=_known(keys.get("MODULE_NAME")),
        image=_known(keys.get("IMAGE_NAME")) or _known(caused["image"] if caused else None),
        symbol=_known(keys.get("SYMBOL_NAME")) or _known(caused["symbol"] if caused else None),
        process=_known(keys.get("PROCESS_NAME")),
        bucket=_known(keys.get("FAILURE_BUCKET_ID")) or _known(keys.get("BUCKET_ID")),
        tag=_tag(keys.get("FREED_POOL_TAG"), arguments),
        argument_texts=texts if any(texts) else (),
    )


def _known(value: str | None) -> str | None:
    return None if value is None or value.lower() in _NOT_KNOWN else value


def _tag(freed: str | None, arguments: dict[int, tuple[str, str]]) -> str | None:
    if freed and len(freed) <= 4:
        return freed
    for candidate in _tags(arguments):
        return candidate
    return None


def _tags(arguments: dict[int, tuple[str, str]]) -> Iterator[str]:
    for number in sorted(arguments):
        value, says = arguments[number]
        if not _SAYS_TAG.search(says):
            continue
        # The number is printed most significant byte first; in memory, and on screen, a tag begins with the lowest
        tag = (int(value, 16) & 0xFFFF_FFFF & ~_PROTECTED).to_bytes(4, "little")
        if all(0x20 <= byte < 0x7F for byte in tag) and tag.strip():
            yield tag.decode("ascii").rstrip()


class _Reader:
    name = "!analyze"
    banners = ()
    # All of them are rows: one bug check is printed in several ways, one below the other
    rows = (
        r"Bugcheck\s+Analysis\b",
        r"(?:Fatal\s+System\s+Error|(?:The\s+)?[Bb]ugcheck\s+(?:code|was))\s*:\s*0x[0-9a-fA-F]",
        r"Bugcheck\s+code\s+(?:0x)?[0-9a-fA-F]{1,16}[ \x1f]*\n",
        r"BugCheck\s+[0-9a-fA-F]{1,8},\s*\{",
        r"BUGCHECK_CODE:\s",
        rf"(?:{_NAME}|Unknown\s+bugcheck\s+code)[ ]+\((?:0x)?[0-9a-fA-F]{{1,8}}\)(?:\s|\Z)",
    )

    def open(self, context: Context) -> Output:
        """Begin a bug check."""
        return _Analyze(context)


READER = _Reader()
