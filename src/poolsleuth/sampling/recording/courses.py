"""Courses out of rows: a row holds until the next one of its tag or figure, or until a key sample that lacks it."""

from collections.abc import Mapping, Sequence
from itertools import pairwise

import numpy as np
import polars as pl
from numpy.typing import NDArray

from poolsleuth.sampling.recording.layout import COUNTS, MAX_RUNS, MEMORY, TAG
from poolsleuth.sampling.recording.summary import Samples
from poolsleuth.sampling.recording.table import FIGURES, run_starts
from poolsleuth.sampling.sample import Floats, Ids

UPTIME = "uptime"  # a figure of memory that is not recorded as such: seconds since Windows was started
TAG_COLUMNS: tuple[str | pl.Expr, ...] = (
    *("name", "pool", "session", "sample"),
    *(pl.col(name).fill_null(np.nan) for name in FIGURES),
)
MEMORY_COLUMNS = ("name", "sample", "bytes", "count")
Asked = Mapping[tuple[str, str, int | None], int]
"""Tag, pool and session of the tags that are asked for, and the place of each."""


def tag_rows(asked: Asked) -> pl.Expr:
    """The rows of some tags, and of others of the same names."""
    names = sorted({tag for tag, _, _ in asked})
    named = pl.col("name") == names[0] if len(names) == 1 else pl.col("name").is_in(names)
    return (pl.col("kind") == TAG) & named


def memory_rows(names: Sequence[str]) -> pl.Expr:
    """The rows of some figures of memory."""
    return (pl.col("kind") == MEMORY) & pl.col("name").is_in([name for name in names if name != UPTIME])


def tags_of(samples: Samples, table: pl.DataFrame, asked: Asked, figures: NDArray[np.float64], within: Ids) -> None:
    """Fill in the courses of one part: ``figures`` by figure, place of the tag, and place in ``within``."""
    if not len(table):
        return
    keys = np.flatnonzero(samples.keys)
    starts = run_starts(table.select("name", "pool", "session"))
    places = np.searchsorted(samples.numbers, table["sample"].to_numpy())
    values = [table[column].to_numpy() for column in FIGURES]
    found: dict[int, list[slice]] = {}
    for begin, end in pairwise([*starts.tolist()[:MAX_RUNS], len(table)]):
        at = asked.get(table.row(begin)[:3])
        if at is not None:
            found.setdefault(at, []).append(slice(begin, end))
    for at, slices in found.items():
        order, source, blanks = _held(np.concatenate([places[run] for run in slices]), keys, within)
        for what, column in enumerate(values):
            filled = np.concatenate([*(column[run] for run in slices), np.full(blanks, np.nan)])[order]
            figures[what, at] = np.where(source >= 0, filled[source], np.nan)


def memory_of(samples: Samples, table: pl.DataFrame, within: Ids) -> dict[str, Floats]:
    """The figures of one part by name, at the places in ``within``."""
    keys = np.flatnonzero(samples.keys)
    found: dict[str, Floats] = {}
    for (name, *_), rows in table.partition_by("name", as_dict=True).items():
        values = rows["count" if name in COUNTS else "bytes"].to_numpy()
        places = np.searchsorted(samples.numbers, rows["sample"].to_numpy())
        order, source, blanks = _held(places, keys, within)
        filled = np.concatenate((values, np.full(blanks, np.nan)))[order]
        found[str(name)] = np.where(source >= 0, filled[source], np.nan)
    return found


def _held(places: Ids, keys: Ids, within: Ids) -> tuple[Ids, Ids, int]:
    """The order of rows and blanks behind them, which of them holds at each place (-1: none), and how many blanks."""
    there = np.zeros(max(places.max(initial=0), keys.max(initial=0)) + 1, np.bool_)
    there[places] = True
    blanks = keys[~there[keys]]
    together = np.concatenate((places, blanks))
    order = np.argsort(together, kind="stable")
    return order, np.searchsorted(together[order], within, side="right") - 1, len(blanks)
