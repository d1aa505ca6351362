"""What keys and clicks change of what is shown."""

from poolsleuth.model.tags import PoolKind
from poolsleuth.top.screen.choices import beside, chosen, clicked, filter_words, order_words
from poolsleuth.top.screen.keys import Action
from poolsleuth.top.view import Column, ViewOptions

N, P = PoolKind.NONPAGED, PoolKind.PAGED


def test_keys_that_change_what_is_shown() -> None:
    start = ViewOptions(reverse=True)
    sorted_ = chosen(start, Action.SORT_DIFF, "d")
    assert sorted_ == ViewOptions(sort=Column.DIFF)
    assert chosen(start, Action.SESSION, "7") == ViewOptions(reverse=True, session=7)
    assert chosen(start, Action.HELP, "h") is None
    filtered = ViewOptions(Column.TAG, pools=N, session=2, include=("a",), exclude=("b",), search="c", totals=True)
    assert chosen(filtered, Action.CLEAR, "c") == ViewOptions(Column.TAG, totals=True)


def test_clicks_on_headings() -> None:
    once = clicked(ViewOptions(), Column.BYTES, by_change=True)
    assert once == ViewOptions(by_change=True)
    assert clicked(once, Column.BYTES, by_change=True) == ViewOptions(by_change=True, reverse=True)
    assert clicked(once, Column.BYTES, by_change=False) == ViewOptions()
    assert clicked(once, Column.DRIVER, by_change=True) == ViewOptions(sort=Column.DRIVER)


def test_the_column_beside() -> None:
    columns = (Column.TAG, Column.DIFF, Column.BYTES)
    assert beside(ViewOptions(), columns, -1).sort is Column.DIFF
    assert beside(ViewOptions(), columns, 1).sort is Column.BYTES
    assert beside(ViewOptions(sort=Column.NOTE), columns, 1).sort is Column.DIFF
    assert beside(ViewOptions(), (), 1) == ViewOptions()


def test_words_for_order_and_filters() -> None:
    options = ViewOptions(
        sort=Column.DIFF,
        by_change=True,
        reverse=True,
        pools=P,
        session=-1,
        include=("Mm*",),
        exclude=("Fi\x1b",),
        search="x",
    )
    assert order_words(options) == "by change of difference, reversed"
    assert filter_words(options) == 'paged only, all sessions, only Mm*, without Fi\\x1b, "x"'
    assert filter_words(ViewOptions(session=3)) == "session 3"
    assert (order_words(ViewOptions()), filter_words(ViewOptions())) == ("by bytes", "")
    # By change means nothing for words
    assert order_words(ViewOptions(sort=Column.TAG, by_change=True)) == "by tag"
