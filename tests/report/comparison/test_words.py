"""Figures and sentences of a comparison."""

from dataclasses import replace

import pytest

from poolsleuth.model.comparison import Amount, Comparison, Status
from poolsleuth.report.comparison.words import headline, share_text, side_text, signed_bytes, unchanged


@pytest.mark.parametrize(
    ("change", "text"),
    [(None, "not known"), (0, "0"), (1, "+1 byte"), (-4096, "-4.0 KB"), (16_825_536, "+16.0 MB")],
)
def test_changes_have_their_sign(change: int | None, text: str) -> None:
    assert signed_bytes(change) == text


@pytest.mark.parametrize(
    ("share", "text"), [(None, ""), (0.93, "93 %"), (0.004, "<1 %"), (-0.5, "-50 %"), (1.2, "120 %"), (1e300, "")]
)
def test_shares(share: float | None, text: str) -> None:
    assert share_text(share) == text


def test_none_is_proven_and_not_shown_is_not() -> None:
    assert side_text(0, Status.APPEARED, before=True) == "none"
    assert side_text(None, Status.NOT_SHOWN_BEFORE, before=True) == "not shown"
    assert side_text(None, Status.UNKNOWN, before=True) == "?"
    assert side_text(4096, Status.NOT_SHOWN_BEFORE, before=False) == "4.0 KB"


def test_headlines(leak: Comparison, two_machines: Comparison) -> None:
    (pair,) = leak.pairs
    assert headline(pair) == (
        "Paged pool grew by 751.0 MB (155.8 %) in 10 h 0 min, 75.1 MB per hour: MmSt explains 93 % (+700.0 MB), "
        "Ntff 5 % (+40.0 MB)."
    )
    tags_only = replace(pair, pools=())
    assert headline(tags_only).startswith("Tag MmSt in paged pool grew by 700.0 MB (522.4 %) in 10 h 0 min")
    assert headline(replace(tags_only, tags=())).startswith("Worse: paged pool is at 95.0 %")
    assert headline(replace(tags_only, tags=(), findings=(), counters=())) == "Nothing changed."
    assert headline(replace(pair, comparable=False, pools=(), tags=(), findings=())).startswith("Nothing can be")
    shrunk = replace(pair, pools=pair.pools[:1], tags=(), findings=(), counters=())
    assert headline(shrunk) == "Nothing grew notably; nonpaged pool shrank by 2.0 MB."
    assert headline(two_machines.pairs[0]).startswith("Worse in AFTER: paged pool is at 95.0 %")


def test_a_headline_of_absurd_figures(leak: Comparison) -> None:
    (pair,) = leak.pairs
    pool = replace(pair.pools[1], used=Amount(10**400, 3 * 10**400))

    assert headline(replace(pair, pools=(pool,))).startswith("Paged pool grew by more than 1,024 EB (200.0 %)")


def test_unchanged_needs_equal_figures(leak: Comparison) -> None:
    (pair,) = leak.pairs
    same = replace(pair.pools[0], status=Status.SAME, used=Amount(1, 1))
    quiet = replace(pair, pools=(same,), tags=pair.tags[-1:], findings=(), counters=())

    assert unchanged(quiet)
    assert not unchanged(replace(quiet, tags=pair.tags[5:6]))
    assert not unchanged(replace(quiet, counters=pair.counters))
