"""``x``: addresses of symbols, with or without types and parameters."""

import re
from collections.abc import Iterable

from poolsleuth.evidence.debugger_log.output import ADDRESS, Block, BufferedOutput, Context, Output, address_bits
from poolsleuth.model.facts import Fact, Problem
from poolsleuth.model.modules import SymbolAddress

MAX_SYMBOLS = 20_000  # of one output: "x nt!*" prints about that many

# Not behind a second address (dps, stacks), and never with an offset: x prints exact addresses
_SYMBOL = r"[A-Za-z_{][^\s!+(=]{0,63}![A-Za-z_?@$~`<][^\s+(]{0,255}+(?!\+0x)"
_TYPE = r"(?:struct|union|enum|class|unsigned|signed|int|long|short|char|void|wchar_t|<function>)[^\n!]{0,80}[ *]"
_ROW = re.compile(rf"^[ ]*+(?P<address>{ADDRESS})[ ]{{1,40}}(?:{_TYPE})?(?P<symbol>{_SYMBOL})", re.MULTILINE)


class _Symbols(BufferedOutput):
    def parse(self, block: Block) -> Iterable[Fact]:
        """One fact for each row."""
        if block.context.user_mode:
            return
        for count, row in enumerate(_ROW.finditer(block.text)):
            if count >= MAX_SYMBOLS:
                self.context.problems.append(
                    Problem(f"an output of x with more than {MAX_SYMBOLS} symbols is cut", block.where(row.start()))
                )
                return
            yield SymbolAddress(
                where=block.where(row.start()),
                live=block.context.live,
                command=block.context.command,
                address_bits=address_bits(row.group("address")),
                symbol=row.group("symbol"),
                address=int(row.group("address"), 16),
            )


class _Reader:
    name = "x"
    banners = ()
    rows = (rf"(?:{ADDRESS})[ ]{{1,40}}(?:{_TYPE})?{_SYMBOL}",)

    def open(self, context: Context) -> Output:
        """Begin a list of symbols."""
        return _Symbols(context)


READER = _Reader()
