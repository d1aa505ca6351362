"""``!pool`` and ``!poolfind``: pages of pool blocks, large allocations, and bare lists of blocks.

Read row by row, for a log may hold gigabytes of rows: pages keep their blocks up to a bound, lists become counts.
A row belongs to the page that the header names; without a header, rows of one page make a page when one of them is
the starred one or when they chain from the page's start, and else they are a list.
"""

import re
from collections.abc import Iterable
from itertools import pairwise

from poolsleuth.evidence.debugger_log.clean import SOFT
from poolsleuth.evidence.debugger_log.commands import poolfind
from poolsleuth.evidence.debugger_log.commands.poolfind import BlockCounts, Row, Search, pool_kind
from poolsleuth.evidence.debugger_log.output import ADDRESS, Context, Output, address_bits
from poolsleuth.model.facts import Fact, Problem, Where
from poolsleuth.model.pool import LargeAllocation, NotPool, PoolPage
from poolsleuth.model.tags import PoolKind

PAGE = 0x1000
MAX_PAGES = 5_000  # of one output that keep their blocks; further pages are counted
MAX_PAGE_BLOCKS = 200_000  # of all these pages together: about 60 MB
MAX_KEYS = 100_000  # distinct (tag, size, free) of one output's lists: real machines have a few thousand
MAX_LISTS = 1_000
MAX_OTHERS = 5_000  # large allocations and unreadable addresses of one output
MAX_NOTES = 8  # sentences about one address
_MIN_CHAIN = 3  # rows that must chain from a page's start to make a page without header and without star
_CARRY = 600  # characters kept for a row that a piece of text or a hard wrap cuts: no row is longer

_EVENT = re.compile(
    r"\n[ \x1f]*+(?P<star>\*?)[ ]*+(?:"
    rf"(?P<row>{poolfind.OLD_ROW})"
    r"|(?P<page>Pool\s+page\s+(?P<asked>(?:0x)?[0-9a-fA-F]{7,16})\s+region\s+is"
    r"(?:\s*(?P<region>(?:Non-?[Pp]aged|Paged|Unknown|Session|Special)[A-Za-z ()-]{0,40})"
    r"|[ ]+(?P<other>[A-Za-z][A-Za-z ()-]{0,40}))?)"
    rf"|(?P<large>(?P<big>{ADDRESS})\s*:\s*(?P<gone>[Ff]ree\s+)?large\s+page\s+allocation,\s*[Tt]ag\s+is\s"
    rf"(?P<big_tag>[^\n]{{1,4}}?)[ ]*(?:,\s*size\s+is\s+(?:0x)?(?P<big_size>[0-9a-fA-F]{{1,16}})|(?=,|\n)))"
    rf"|(?P<note>(?:Address\s+)?(?P<at>{ADDRESS})\s+(?:is\s+not\s+(?:a\s+)?valid|is\s+freed|could\s+not\s+be\s+read)"
    r"[^\n]*)"
    r"|(?P<blind>(?:Unable\s+to\s+read\s+large\s+session|Failed\s+to\s+read\s+heap\s+key)[^\n]*)"
    rf"|(?P<hit>{poolfind.NEW_ROW})|(?P<search>{poolfind.HEADER})|(?P<end>{poolfind.END})"
    r")"
)
_CONCLUSIVE = re.compile(
    r"is not valid pool|could not be read|is freed|Unable to read large session|heap key|free large page"
)


class _Page:
    """The page that a header names, while its rows come."""

    def __init__(self, asked: int, region: str | None, bits: int, line: int) -> None:
        self.asked = asked
        self.page = asked & ~(PAGE - 1)
        self.region = region
        self.bits = bits
        self.line = line
        self.rows: list[Row] = []

    def takes(self, row: Row) -> bool:
        """Whether the row lies in the page (or reaches into it) behind the rows so far."""
        if self.rows and row.address <= self.rows[-1].address:
            return False
        inside = row.address < self.page + PAGE and row.address + row.size > self.page
        return inside or (row.starred and not any(r.starred for r in self.rows))


class _Pool(Output):
    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self._facts: list[Fact] = []
        self._carry = ""
        self._carry_line = 0
        self._page: _Page | None = None
        self._run: list[Row] = []
        self._bare: BlockCounts | None = None
        self._search: Search | None = poolfind.search_of(context.command)
        self._found: dict[PoolKind | None, BlockCounts] = {}
        self._lists: list[BlockCounts] = []
        self._keys = self._pages = self._blocks = self._others = 0
        self._doubt: tuple[int, int, int] | None = None  # address, bits, line
        self._notes: list[str] = []
        self._said: set[str] = set()

    def feed(self, text: str, line: int) -> None:
        """Read the rows of the next lines; what a cut leaves unfinished waits for the rest."""
        if self._carry:
            text, line = self._carry + text, self._carry_line
        text = "\n" + text
        soft = SOFT in text
        mark = 1
        end = 1
        for event in _EVENT.finditer(text):
            start = event.start() + 1
            line += text.count("\n", mark, start) - (text.count(SOFT, mark, start) if soft else 0)
            mark = max(mark, start)
            end = event.end()
            self._take(event, text, line)
        cut = max(end, len(text) - _CARRY)
        if cut > end:
            cut = text.find("\n", cut)
            cut = len(text) if cut < 0 else cut
        if text.startswith("\n", cut):
            cut += 1
        self._carry = text[cut:]
        self._carry_line = line + text.count("\n", mark, cut) - (text.count(SOFT, mark, cut) if soft else 0)

    def _take(self, event: re.Match[str], text: str, line: int) -> None:
        kind = event.lastgroup
        if kind == "row":
            self._row(poolfind.old_row(event, text, line))
        elif kind == "page":
            self._turn()
            self._search, self._found = None, {}
            region = event.group("region") or event.group("other")
            self._page = _Page(
                int(event.group("asked"), 16),
                " ".join(region.split()) if region else None,
                address_bits(event.group("asked")),
                line,
            )
        elif kind == "hit":
            self._hit(event, line)
        elif kind == "search":
            self._searching(event, line)
        elif kind == "end" and self._search is not None:
            for found in self._found.values() or [self._list(self._search.pool, self._search.line or line)]:
                found.terminated = True
        elif kind == "large":
            self._large(event, line)
        elif kind in {"note", "blind"}:
            self._note(event, line)

    def _row(self, row: Row) -> None:
        self._notes.clear()
        if self._search is not None:
            self._count(self._list(self._search.pool, row.line), row)
            return
        page = self._page
        if page is not None:
            if page.takes(row):
                page.rows.append(row)
                return
            self._turn()
        run = self._run
        if run and (row.address // PAGE != run[-1].address // PAGE or row.address <= run[-1].address):
            self._end_run()
        self._run.append(row)

    def _hit(self, event: re.Match[str], line: int) -> None:
        pool = pool_kind(event.group("found_pool")) or (self._search.pool if self._search else None)
        row = poolfind.new_row(event, line)
        if self._search is None:
            self._turn()
            self._search, self._found = Search(None, None, line), {}
        self._count(self._list(pool, line), row)

    def _searching(self, event: re.Match[str], line: int) -> None:
        """A header of ``!poolfind``. The next region of the same search goes on with the same list."""
        self._turn()
        tag = poolfind.wanted_tag(event.group("wanted"))
        pool = pool_kind(event.group("searched"))
        before = self._search
        if before is None or event.group("searched") is None or (before.line is not None and before.tag != tag):
            self._found = {}
            before = None
        self._search = Search(tag, pool, before.line if before and before.line else line)

    def _large(self, event: re.Match[str], line: int) -> None:
        if event.group("gone"):
            self._note(event, line)
            return
        self._notes.clear()
        self._turn()
        size = event.group("big_size")
        self._other(
            LargeAllocation(
                where=Where(self.context.input, line),
                live=self.context.live,
                command=self.context.command,
                address_bits=address_bits(event.group("big")),
                address=int(event.group("big"), 16),
                tag=event.group("big_tag").strip(),
                size=int(size, 16) if size else None,
            )
        )

    def _note(self, event: re.Match[str], line: int) -> None:
        if self._page is not None and self._page.rows:
            self._turn()
        printed = event.group("at") or event.group("big")
        page = self._page
        if page is not None:
            self._doubt = page.asked, page.bits, page.line
        elif printed is not None and self._doubt is None:
            self._doubt = int(printed, 16), address_bits(printed), line
        if self._doubt is not None and len(self._notes) < MAX_NOTES:
            self._notes.append(" ".join(event.group()[:200].replace("*", "").split()))

    def _turn(self) -> None:
        """What was going on has ended: a page, rows without a header, or doubts about an address."""
        self._end_run()
        page, self._page = self._page, None
        if page is not None and page.rows:
            self._end_page(page)
        doubt, self._doubt = self._doubt, None
        if doubt is not None and any(_CONCLUSIVE.search(note) for note in self._notes):
            address, bits, line = doubt
            self._other(
                NotPool(
                    where=Where(self.context.input, line),
                    live=self.context.live,
                    command=self.context.command,
                    address_bits=bits,
                    address=address,
                    says="; ".join(self._notes),
                )
            )
        self._notes.clear()

    def _end_run(self) -> None:
        rows, self._run = self._run, []
        if not rows:
            return
        first = rows[0]
        chained = len(rows) > 1 and first.address % PAGE == 0 and _chain(rows)
        full = chained and rows[-1].address + rows[-1].size == first.address + PAGE
        if sum(row.picked for row in rows) == 1 or full or (chained and len(rows) >= _MIN_CHAIN):
            page = _Page(first.address, None, first.bits, first.line)
            page.rows = rows
            self._end_page(page)
            return
        for row in rows:
            self._count_bare(row)

    def _end_page(self, page: _Page) -> None:
        rows = page.rows
        if self._pages >= MAX_PAGES or self._blocks + len(rows) > MAX_PAGE_BLOCKS:
            self._say(
                f"an output lists more than {MAX_PAGES} pool pages ({MAX_PAGE_BLOCKS} blocks): the further ones are"
                " counted, not kept block by block",
                page.line,
            )
            for row in rows:
                self._count_bare(row)
            return
        self._pages += 1
        self._blocks += len(rows)
        self._facts.append(
            PoolPage(
                where=Where(self.context.input, page.line),
                live=self.context.live,
                command=self.context.command,
                address_bits=page.bits,
                page=page.page,
                region=page.region,
                pool=pool_kind(page.region),
                blocks=tuple(row.block(self.context.input) for row in rows),
                whole=rows[0].address == page.page
                and rows[-1].address + rows[-1].size == page.page + PAGE
                and _chain(rows),
            )
        )

    def _count_bare(self, row: Row) -> None:
        if self._bare is None:
            # No command: rows that stand alone are the pick of somebody, not what the command before them printed
            self._bare = BlockCounts(None, None, row.line, None)
            self._lists.append(self._bare)
        self._count(self._bare, row)

    def _list(self, pool: PoolKind | None, line: int) -> BlockCounts:
        """The list of the present search for one pool."""
        found = self._found.get(pool)
        if found is None:
            found = BlockCounts(self._search.tag if self._search else None, pool, line, self.context.command)
            self._found[pool] = found
            if len(self._lists) < MAX_LISTS:
                self._lists.append(found)
            else:
                self._say(f"an output holds more than {MAX_LISTS} searches: the further ones are not kept", line)
        return found

    def _count(self, found: BlockCounts, row: Row) -> None:
        if (row.tag, row.size, row.free) not in found.counts:
            if self._keys >= MAX_KEYS:
                self._say(f"a list has more than {MAX_KEYS} kinds of blocks: the further kinds are left out", row.line)
                return
            self._keys += 1
        found.add(row, self.context.input)

    def _other(self, fact: Fact) -> None:
        if self._others < MAX_OTHERS:
            self._facts.append(fact)
        else:
            says = f"an output speaks of more than {MAX_OTHERS} single addresses: the rest is left out"
            self._say(says, fact.where.line)
        self._others += 1

    def _say(self, says: str, line: int | None) -> None:
        if says not in self._said:
            self._said.add(says)
            self.context.problems.append(Problem(says, Where(self.context.input, line)))

    def close(self) -> Iterable[Fact]:
        """The pages, allocations and lists in the order of their lines."""
        self._turn()
        lists = [found.fact(self.context) for found in self._lists]
        return sorted([*self._facts, *lists], key=lambda fact: fact.where.line or 0)


def _chain(rows: list[Row]) -> bool:
    return all(a.address + a.size == b.address for a, b in pairwise(rows))


class _Reader:
    name = "!pool"
    banners = ()
    rows = (
        r"Pool\s+page\s+(?:0x)?[0-9a-fA-F]{7,16}\s+region\s+is",
        rf"(?:{ADDRESS})\s*:\s*(?:[Ff]ree\s+)?large\s+page\s+allocation",
        rf"(?:{ADDRESS})\s+is\s+not\s+(?:a\s+)?valid\s+(?:large\s+)?pool",
        *poolfind.OPENERS,
    )

    def open(self, context: Context) -> Output:
        """Begin reading pool rows."""
        return _Pool(context)


READER = _Reader()
