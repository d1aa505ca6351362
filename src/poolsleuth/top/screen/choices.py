"""What the keys change of what is shown: options in, options out."""

from collections.abc import Mapping
from dataclasses import replace

from poolsleuth.model.tags import PoolKind
from poolsleuth.report.wording import clean, session_text
from poolsleuth.top.screen.keys import Action
from poolsleuth.top.view import Column, ViewOptions
from poolsleuth.top.view_columns import WITH_CHANGE

SORTS: Mapping[Action, Column] = {
    Action.SORT_TAG: Column.TAG,
    Action.SORT_ALLOCS: Column.ALLOCS,
    Action.SORT_FREES: Column.FREES,
    Action.SORT_DIFF: Column.DIFF,
    Action.SORT_BYTES: Column.BYTES,
    Action.SORT_EACH: Column.EACH,
}
_NEXT_POOL = {None: PoolKind.NONPAGED, PoolKind.NONPAGED: PoolKind.PAGED, PoolKind.PAGED: None}
_NAMES = {
    Column.DIFF: "difference",
    Column.EACH: "bytes per allocation",
    Column.STARTED: "bytes since the start",
    Column.MARKED: "bytes since the mark",
    Column.RATE: "bytes per hour",
    Column.SHARE: "share of the pool",
    Column.TREND: "trend",
}
ALL_SESSIONS = -1


def chosen(options: ViewOptions, action: Action, character: str | None) -> ViewOptions | None:
    """The options after a key; None when the key changes none."""
    if action in SORTS:
        return sorted_by(options, SORTS[action])
    if action is Action.BY_CHANGE:
        return replace(options, by_change=not options.by_change)
    if action is Action.POOLS:
        return replace(options, pools=_NEXT_POOL.get(options.pools))
    if action is Action.SESSIONS:
        return replace(options, session=ALL_SESSIONS if options.session is None else None)
    if action is Action.SESSION and character is not None and character.isdecimal():
        return replace(options, session=int(character))
    if action is Action.HIGHLIGHT:
        return replace(options, highlight=not options.highlight)
    if action is Action.TOTALS:
        return replace(options, totals=not options.totals)
    if action is Action.REVERSE:
        return replace(options, reverse=not options.reverse)
    if action is Action.CLEAR:
        return replace(options, pools=None, session=None, include=(), exclude=(), search="")
    return None


def sorted_by(options: ViewOptions, column: Column) -> ViewOptions:
    """Sorted by a column, from its own end. Whether by change stays."""
    return replace(options, sort=column, reverse=False)


def clicked(options: ViewOptions, column: Column, *, by_change: bool) -> ViewOptions:
    """A heading was clicked: sort by it; a second click turns the order round."""
    by_change = by_change and column in WITH_CHANGE
    now = options.by_change and options.sort in WITH_CHANGE
    if options.sort is column and now == by_change:
        return replace(options, reverse=not options.reverse)
    return replace(options, sort=column, by_change=by_change, reverse=False)


def beside(options: ViewOptions, columns: tuple[Column, ...], step: int) -> ViewOptions:
    """Sorted by the column to the left (-1) or to the right (1) of those on the screen; at the end it stays."""
    place = columns.index(options.sort) if options.sort in columns else 0
    place = min(max(place + step, 0), len(columns) - 1)
    return sorted_by(options, columns[place]) if columns and columns[place] is not options.sort else options


def order_words(options: ViewOptions) -> str:
    """``by change of bytes, reversed``."""
    name = _NAMES.get(options.sort, str(options.sort))
    by_change = options.by_change and options.sort in WITH_CHANGE
    return f"by {'change of ' if by_change else ''}{name}{', reversed' if options.reverse else ''}"


def filter_words(options: ViewOptions) -> str:
    """What is left out of all tags, in words made harmless; empty when nothing is."""
    parts = []
    if options.pools is not None:
        parts.append(f"{options.pools} only")
    if options.session is not None:
        sessions = "all sessions" if options.session < 0 else f"session {session_text(options.session)}"
        parts.append(sessions)
    parts += [f"only {clean(' '.join(options.include)[:60])}"] if options.include else []
    parts += [f"without {clean(' '.join(options.exclude)[:60])}"] if options.exclude else []
    parts += [f'"{clean(options.search[:40])}"'] if options.search else []
    return ", ".join(parts)
