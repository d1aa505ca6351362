"""``!dh``: where a module's import address table lies."""

import re
from collections.abc import Iterable

from poolsleuth.evidence.debugger_log.output import Block, BufferedOutput, Context, Output, address_bits
from poolsleuth.model.facts import Fact
from poolsleuth.model.modules import ImportTableRange

_HEX = r"[0-9a-fA-F]{1,8}"
_TABLE = re.compile(
    rf"^[ #*]*+(?P<rva>{_HEX})\s*\[\s*(?P<size>{_HEX})\s*\]\s*address\s*\[\s*size\s*\]\s*of\s+Import\s+Address\s+Table",
    re.MULTILINE | re.IGNORECASE,
)
# "!dh f50b3000", "!dh -f nt", "!dh nt -f"
_COMMAND = re.compile(r"^!(?:\w{1,20}\.)?dh\b(?P<arguments>[^\n]{0,200})")
_BASE = re.compile(r"(?:0x)?([0-9a-fA-F]{16}|[0-9a-fA-F]{8})")


class _Headers(BufferedOutput):
    def parse(self, block: Block) -> Iterable[Fact]:
        """One fact for each module that has such a table."""
        module, base, bits = _asked(block.context.command)
        for row in _TABLE.finditer(block.text):
            size = int(row.group("size"), 16)
            if size == 0:
                continue
            yield ImportTableRange(
                where=block.where(row.start()),
                live=block.context.live,
                command=block.context.command,
                address_bits=bits,
                module=module,
                base=base,
                rva=int(row.group("rva"), 16),
                size=size,
            )


def _asked(command: str | None) -> tuple[str | None, int | None, int | None]:
    """Module, base and address bits as the command names them. The printed image base may be the preferred one."""
    match = _COMMAND.match(command or "")
    words = [word for word in match.group("arguments").split() if not word.startswith("-")] if match else []
    if len(words) != 1:
        return None, None, None
    base = _BASE.fullmatch(words[0])
    if base:
        return None, int(base.group(1), 16), address_bits(base.group(1))
    return words[0], None, None


class _Reader:
    name = "!dh"
    banners = (r"FILE\s+HEADER\s+VALUES",)
    rows = (
        r"OPTIONAL\s+HEADER\s+VALUES",
        rf"{_HEX}[ ]{{0,8}}\[[ ]{{0,16}}{_HEX}\][ ]{{0,8}}address[ ]\[size\][ ]of[ ]",
    )

    def open(self, context: Context) -> Output:
        """Begin the headers of a module."""
        return _Headers(context)


READER = _Reader()
