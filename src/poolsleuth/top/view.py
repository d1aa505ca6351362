"""What of a tracker is shown, in which order: all over arrays; only the rows that are seen become objects.

Nothing here keeps its own copy of figures: what a view says is of the moment that its tracker is at.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from poolsleuth.model.series import TagKey
from poolsleuth.model.tags import PoolKind
from poolsleuth.sampling.sample import Floats, Ids
from poolsleuth.top.filters import Mask, PatternMask, SearchMask
from poolsleuth.top.tracker import Since, Tracker
from poolsleuth.top.view_columns import WITH_CHANGE, WORDS, Column, Columns
from poolsleuth.top.view_sessions import ALL, SYSTEM
from poolsleuth.top.view_spark import sparks

_SUMMED = WITH_CHANGE[:4]  # the columns whose sum says something
_PRINTED = (Column.ALLOCS, Column.DIFF, Column.BYTES)
_PRINTED_CHANGES = (Column.ALLOCS, Column.FREES, Column.BYTES)
_LAST = 1 << 62  # the rank of a word that is not known


@dataclass(frozen=True, slots=True)
class ViewOptions:
    """What is shown. ``session``: None the system's pools, -1 all sessions together, else the session of that number.

    ``by_change`` sorts allocations, frees, difference, bytes and bytes per allocation by their change since the sample
    before. Numbers are sorted from the most down, words from a to z; ``reverse`` turns that round. What is not known
    stands at the end either way. ``include`` and ``exclude`` are patterns as poolmon's /i and /x take them; ``search``
    is looked for in tag, driver and note. ``totals`` and ``highlight`` are for what draws.
    """

    sort: Column = Column.BYTES
    by_change: bool = False
    reverse: bool = False
    pools: PoolKind | None = None
    session: int | None = None
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    search: str = ""
    totals: bool = False
    highlight: bool = True


@dataclass(frozen=True, slots=True)
class Change:
    """What changed of a tag: counts and bytes; None is not known."""

    allocs: int | None
    frees: int | None
    outstanding: int | None
    bytes: int | None
    each: int | None


UNCHANGED = Change(None, None, None, None, None)


@dataclass(frozen=True, slots=True)
class Row:
    """One tag as it is shown. Counts and bytes; None is not known.

    ``each`` is bytes per allocation, ``last``, ``started`` and ``marked`` what changed since the sample before, since
    the first, since the mark; ``started_late`` and ``marked_late``: that moment did not show the tag, the change is
    counted from the first sample behind it that did. ``rate`` is bytes per hour, ``share`` the part of its pool between
    0 and 1. ``driver`` is a guess unless ``sure``. ``key.tag`` is as it was found, not cleaned.
    """

    number: int
    key: TagKey
    allocs: int | None
    frees: int | None
    outstanding: int | None
    bytes: int | None
    each: int | None
    last: Change
    started: Change
    marked: Change
    rate: float | None
    share: float | None
    driver: str | None
    note: str | None
    sure: bool
    started_late: bool = False
    marked_late: bool = False

    @property
    def paged(self) -> bool:
        """Whether poolmon calls it Paged."""
        return self.key.pool is not PoolKind.NONPAGED

    @property
    def changed(self) -> bool:
        """Whether poolmon's ``l`` marks it: allocations, frees or bytes are not what they were in the sample before."""
        return any((self.last.allocs, self.last.frees, self.last.bytes))


class Counts(NamedTuple):
    """What poolmon prints of one tag: counts, bytes, and what changed since the sample before; None is not known."""

    key: TagKey
    allocs: int | None
    outstanding: int | None
    bytes: int | None
    allocs_change: int | None
    frees_change: int | None
    bytes_change: int | None


@dataclass(frozen=True, slots=True)
class Total:
    """What all rows of one pool hold together. ``rows`` counts them; a figure that one of them lacks is None."""

    pool: PoolKind
    rows: int
    allocs: int | None
    frees: int | None
    outstanding: int | None
    bytes: int | None
    last: Change


class Owner(Protocol):
    """Who writes a tag, as ``owners.TagOwner`` says it."""

    @property
    def driver(self) -> str | None:
        """A file, or a part of the kernel."""

    @property
    def note(self) -> str | None:
        """What the memory is."""

    @property
    def sure(self) -> bool:
        """False for a guess."""


class OwnerSource(Protocol):
    """What knows the owners of tags, such as ``owners.Owners``."""

    def of(self, key: TagKey) -> Owner:
        """The owner of a tag."""


class View:
    """What is shown of a tracker. Without ``owners``, drivers and notes are not known."""

    def __init__(self, tracker: Tracker, owners: OwnerSource | None = None) -> None:
        self.tracker = tracker
        self.owners = owners
        self._columns = Columns(tracker)
        self._patterns = PatternMask()
        self._search = SearchMask(self._words)
        self._codes: NDArray[np.uint64] = np.empty(0, np.uint64)  # tags as numbers of the same order
        self._names: Ids = np.empty(0, np.int64)  # numbers of tags, by tag, pool and session
        self._ranks: dict[Column, Ids] = {}
        self._answer: tuple[ViewOptions, int, Ids] | None = None

    # ---- which rows ------------------------------------------------------------------------------------------------

    def rows(self, options: ViewOptions) -> Ids:
        """The numbers of all tags that are shown, in their order. Not to be written to."""
        fresh = self._columns.fresh()
        width = self._grow()
        answer = self._answer
        if answer is not None and not fresh and answer[0] == options and answer[1] == width:
            return answer[2]
        mask = self._shown(width)
        mask &= self._filtered(options, width)
        numbers = self._names[mask[self._names]]
        numbers = self._sorted(numbers, options)
        self._answer = (options, width, numbers)
        return numbers

    def _grow(self) -> int:
        """How many tags there are, after a look at those that came since."""
        width = len(self.tracker.places.pools)
        done = len(self._codes)
        if done < width:
            new = np.array([key.tag[:4] for key in self.tracker.index.keys[done:width]], "<U4")
            letters = new.view(np.uint32).reshape(-1, 4)
            codes = np.zeros(len(new), np.uint64)
            for letter in letters.T:
                codes <<= np.uint64(16)
                codes |= np.minimum(letter, 0xFFFF).astype(np.uint64)
            self._codes = np.concatenate((self._codes, codes))
            places = self.tracker.places
            self._names = np.lexsort((places.sessions[:width], places.pools[:width], self._codes))
            self._ranks = {}
        return width

    def _shown(self, width: int) -> Mask:
        """Tags that hold or held anything, as far as is known. Poolmon has no row for others."""
        now = self.tracker.now
        if now is None:
            return np.zeros(width, np.bool_)
        known = ~np.isnan(now.bytes) | ~np.isnan(now.outstanding) | ~np.isnan(now.allocs)
        empty = (now.bytes == 0) & (now.outstanding == 0) & (now.allocs == 0)
        for since in Since:  # gone, but what went is a change that is shown
            origin = self.tracker.origin(since)
            if origin is not None:
                empty &= ~((origin.bytes > 0) | (origin.allocs > 0))
        mask: Mask = known & ~empty
        if len(mask) < width:
            mask = np.concatenate((mask, np.zeros(width - len(mask), np.bool_)))
        return mask

    def _filtered(self, options: ViewOptions, width: int) -> Mask:
        places = self.tracker.places
        session = SYSTEM if options.session is None else ALL if options.session < 0 else options.session
        mask: Mask = places.sessions[:width] == session
        if options.pools is not None:
            mask &= places.pools[:width] == (options.pools is not PoolKind.NONPAGED)
        keys = self.tracker.index.keys
        if options.include or options.exclude:
            mask &= self._patterns.mask(options.include, options.exclude, keys, width)
        if options.search:
            mask &= self._search.mask(options.search, keys, width)
        return mask

    def _words(self, key: TagKey) -> str:
        if self.owners is None:
            return key.tag
        owner = self.owners.of(key)
        return "\n".join((key.tag, owner.driver or "", owner.note or ""))

    # ---- their order -----------------------------------------------------------------------------------------------

    def _sorted(self, numbers: Ids, options: ViewOptions) -> Ids:
        """Stable: ties stay in the order of their tags."""
        column = options.sort
        if column is Column.TAG:
            return numbers[::-1] if options.reverse else numbers
        if column in WORDS:
            ranks = self._rank(column)[numbers]
            if options.reverse:
                ranks = np.where(ranks == _LAST, _LAST, -ranks)
            return numbers[np.argsort(ranks, kind="stable")]
        changed = options.by_change and column in WITH_CHANGE
        values = self._columns.change(column, Since.LAST) if changed else self._columns.value(column)
        values = values[numbers]
        # NaN, what is not known, stands last whatever the sign
        return numbers[np.argsort(values if options.reverse else -values, kind="stable")]

    def _rank(self, column: Column) -> Ids:
        """The rank of each tag's type, driver or note among all of these; ``_LAST`` where not known."""
        known = self._ranks.get(column)
        if known is not None:
            return known
        places = self.tracker.places
        if column is Column.TYPE:
            ranks = places.pools.astype(np.int64)
        else:
            keys = self.tracker.index.keys[: len(places.pools)]
            owners = self.owners
            found = [None if owners is None else owners.of(key) for key in keys]
            words = [None if o is None else o.driver if column is Column.DRIVER else o.note for o in found]
            folded = [None if word is None else word.casefold() for word in words]
            order = {word: rank for rank, word in enumerate(sorted({word for word in folded if word is not None}))}
            ranks = np.array([_LAST if word is None else order[word] for word in folded], np.int64)
        self._ranks[column] = ranks
        return ranks

    # ---- what they hold --------------------------------------------------------------------------------------------

    def row(self, number: int) -> Row:
        """One tag as it is now."""
        return self.look([number])[0]

    def look(self, numbers: "Ids | list[int]") -> list[Row]:
        """Some tags as they are now, in the order given: ask for those that are seen only."""
        self._columns.fresh()
        ids = np.asarray(numbers, np.int64)
        changes = [self._changes(ids, since) for since in (Since.LAST, Since.START, Since.MARK)]
        figures = zip(*(_whole(self._columns.value(column)[ids]) for column in WITH_CHANGE), strict=True)
        rates = _some(self._columns.value(Column.RATE)[ids])
        shares = _some(self._columns.value(Column.SHARE)[ids])
        keys = self.tracker.index.keys
        late = zip(self._late(ids, Since.START), self._late(ids, Since.MARK), strict=True)
        rows: list[Row] = []
        for number, (allocs, freed, diff, size, by_one), last, started, marked, rate, share, lates in zip(
            ids.tolist(), figures, *changes, rates, shares, late, strict=True
        ):
            key = keys[number]
            owner = self.owners.of(key) if self.owners is not None else None
            # Whole numbers are exact where doubles are not
            frees = allocs - diff if allocs is not None and diff is not None else freed
            each = size // diff if size is not None and diff else by_one
            figures_of = (allocs, frees, diff, size, each)
            rows.append(_row(number, key, figures_of, (last, started, marked), (rate, share), owner, lates))
        return rows

    def counts(self, ids: Ids) -> Iterator[Counts]:
        """What poolmon prints of some tags, in the order given: for many rows at once."""
        self._columns.fresh()
        values = [self._columns.value(column)[ids] for column in _PRINTED]
        values += [self._columns.change(column, Since.LAST)[ids] for column in _PRINTED_CHANGES]
        keys = self.tracker.index.keys
        return map(Counts, (keys[number] for number in ids.tolist()), *map(_whole, values))

    def _late(self, ids: Ids, since: Since) -> list[bool]:
        origin = self.tracker.origin(since)
        late: list[bool] = [False] * len(ids) if origin is None else origin.late[ids].tolist()
        return late

    def _changes(self, ids: Ids, since: Since) -> list[Change]:
        if self.tracker.origin(since) is None:
            return [UNCHANGED] * len(ids)
        columns = [_whole(self._columns.change(column, since)[ids]) for column in WITH_CHANGE]
        return [Change(*values) for values in zip(*columns, strict=True)]

    def spark(self, number: int, width: int) -> list[float | None]:
        """The bytes of a tag over the time watched, in ``width`` steps evenly in time: see ``sparks``."""
        return self.sparks([number], width)[0]

    def sparks(self, numbers: "Ids | list[int]", width: int) -> list[list[float | None]]:
        """The bytes of some tags over the time watched, by tag, in ``width`` steps evenly in time.

        Each step is the mean of its samples; None where there is no figure. Where there are fewer samples than steps, a
        value lasts until the next.
        """
        found = sparks(self.tracker.history, np.asarray(numbers, np.int64), width)
        return [_some(line) for line in found]

    def totals(self, options: ViewOptions) -> tuple[Total, ...]:
        """What the rows of each pool hold together: nonpaged, then paged; a pool without rows is left out."""
        numbers = self.rows(options)
        pools = self.tracker.places.pools[numbers]
        totals: list[Total] = []
        for place, pool in enumerate((PoolKind.NONPAGED, PoolKind.PAGED)):
            of = numbers[pools == place]
            if not len(of):
                continue
            allocs, frees, diff, size = _whole(np.array([self._columns.value(c)[of].sum() for c in _SUMMED]))
            last = _whole(np.array([self._columns.change(c, Since.LAST)[of].sum() for c in _SUMMED]))
            change = Change(last[0], last[1], last[2], last[3], None)
            totals.append(Total(pool, len(of), allocs, frees, diff, size, change))
        return tuple(totals)

    def sessions(self) -> list[int]:
        """The sessions whose tags are known, without "all sessions"."""
        found = np.unique(self.tracker.places.sessions)
        return [int(session) for session in found if session >= 0]


def _row(
    number: int,
    key: TagKey,
    figures: tuple[int | None, int | None, int | None, int | None, int | None],
    changes: tuple[Change, Change, Change],
    shares: tuple[float | None, float | None],
    owner: Owner | None,
    late: tuple[bool, bool],
) -> Row:
    if owner is None:
        return Row(number, key, *figures, *changes, *shares, None, None, False, *late)
    return Row(number, key, *figures, *changes, *shares, owner.driver, owner.note, owner.sure, *late)


def _some(values: Floats) -> list[float | None]:
    return [None if value != value else value for value in values.tolist()]  # noqa: PLR0124 - NaN


def _whole(values: Floats) -> list[int | None]:
    """Whole numbers; what is no number (and what is damage) is None."""
    return [int(value) if -1e300 < value < 1e300 else None for value in values.tolist()]


__all__ = ["Change", "Column", "Counts", "Owner", "OwnerSource", "Row", "Total", "View", "ViewOptions"]
