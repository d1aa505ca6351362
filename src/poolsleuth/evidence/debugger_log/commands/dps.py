"""``dps``, ``dds``, ``dqs``: memory as pointers with their symbols; import address tables are recognised."""

import re
from collections.abc import Iterable

from poolsleuth.evidence.debugger_log.output import ADDRESS, Block, BufferedOutput, Context, Output, address_bits
from poolsleuth.model.facts import Fact, Problem
from poolsleuth.model.modules import PointerRow, PointerTable

MAX_ROWS = 100_000
_STEPS = (4, 8)
_MIN_IMPORTS = 2  # exact functions that make a table of imports

_MODULE = r"[A-Za-z_{][^\s!+(]{0,63}"
_FUNCTION = r"[A-Za-z_?@$~`<][^\s+(]{0,255}+"
_ROW = re.compile(
    rf"^[ ]*+(?P<address>{ADDRESS})[ ]{{1,8}}(?P<value>{ADDRESS})(?![^ \x1f\n])"
    rf"(?:\s{{1,12}}(?P<symbol>{_MODULE}!{_FUNCTION}(?P<offset>\+0x[0-9a-fA-F]{{1,16}})?))?(?P<rest>[^\n]*)",
    re.MULTILINE,
)
_MORE_NUMBERS = re.compile(r"[ ]*(?:[0-9a-fA-F]{8}|:)")  # what follows in memory dumps and in call stacks
_OWN_SYMBOL = re.compile(rf"^d[dpq]s[ ]+(?:poi\()?(?P<module>{_MODULE})!")


class _Pointers(BufferedOutput):
    def parse(self, block: Block) -> Iterable[Fact]:
        """One table for each run of rows that follow one another in memory."""
        if block.context.user_mode:
            return
        run: list[tuple[PointerRow, bool, int]] = []
        step = 0
        for count, match in enumerate(_ROW.finditer(block.text)):
            if count >= MAX_ROWS:
                self.context.problems.append(
                    Problem(f"a table of pointers with more than {MAX_ROWS} rows is cut", block.where(match.start()))
                )
                break
            if match.group("symbol") is None and _MORE_NUMBERS.match(match.group("rest")):
                continue
            row = PointerRow(
                address=int(match.group("address"), 16),
                value=int(match.group("value"), 16),
                symbol=match.group("symbol"),
                where=block.where(match.start()),
            )
            distance = row.address - run[-1][0].address if run else 0
            if run and (distance not in _STEPS or (len(run) > 1 and distance != step)):
                yield from _table(block, run)
                run = []
            step = distance
            exact = match.group("symbol") is not None and match.group("offset") is None
            run.append((row, exact, address_bits(match.group("address"))))
        yield from _table(block, run)


def _table(block: Block, run: list[tuple[PointerRow, bool, int]]) -> Iterable[Fact]:
    # A single row has no step that would tell it from the frame of a call stack
    if len(run) < 2 or all(row.symbol is None for row, _, _ in run):
        return
    exact = {row.symbol for row, is_exact, _ in run if is_exact and row.symbol}
    with_offset = sum(row.symbol is not None and not is_exact for row, is_exact, _ in run)
    own = _OWN_SYMBOL.match(block.context.command or "")
    # The kernel's own tables of services ("dps nt!KiServiceTable") hold functions too, but import nothing
    of_its_own = own is not None and all(symbol.split("!")[0] == own.group("module") for symbol in exact)
    yield PointerTable(
        where=run[0][0].where,
        live=block.context.live,
        command=block.context.command,
        address_bits=run[0][2],
        rows=tuple(row for row, _, _ in run),
        is_import_table=len(exact) >= _MIN_IMPORTS and len(exact) > with_offset and not of_its_own,
    )


_EXACT = rf"(?:{ADDRESS})[ ]{{1,8}}(?:{ADDRESS})[ ]{{1,8}}{_MODULE}!{_FUNCTION}(?!\+0x)"


class _Reader:
    name = "dps"
    banners = ()
    # Two rows without offset: one alone is also what the top of a call stack looks like
    rows = (rf"{_EXACT}[^\n]{{0,80}}(?:\n[ \x1f]*){{1,3}}{_EXACT}",)

    def open(self, context: Context) -> Output:
        """Begin a table of pointers."""
        return _Pointers(context)


READER = _Reader()
