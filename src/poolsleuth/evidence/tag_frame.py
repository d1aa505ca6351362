"""Many rows of a CSV tag table at once, by polars. Whatever is not plain is left to the reader of single lines."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

_KEY = ("tag", "pool", "session", "host")
_TIME = ("date", "time")
_FIGURES = ("bytes", "outstanding", "allocs", "frees")
_BETWEEN = "\x1f"

Floats = npt.NDArray[np.float64]
Codes = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Frame:
    """Rows as columns of equal length. ``keys`` and ``times`` are the different cells of their columns, which
    ``key_of`` and ``time_of`` number by row; a key is tag, pool, session and host, a time is date and time. Figures
    are NaN where a cell is empty. ``lines`` are the lines of the rows, counted from 0.
    """

    keys: Sequence[tuple[str, ...]]
    key_of: Codes
    times: Sequence[tuple[str, ...]]
    time_of: Codes
    bytes: Floats
    outstanding: Floats
    allocs: Floats
    lines: Codes


def frame_of(lines: Sequence[str], delimiter: str, places: Mapping[str, int], width: int) -> Frame | None:
    """The rows of lines; None when a line is not as plain as a fast reading needs: a quoted line end, a number in
    another form, a figure below zero."""
    filled = [number for number, line in enumerate(lines) if line.strip()]
    text = "\n".join(lines[number] for number in filled)
    try:
        table = pl.read_csv(
            text.encode("utf-8", errors="replace"),
            has_header=False,
            schema={str(number): pl.String for number in range(width)},
            separator=delimiter,
            quote_char='"' if '"' in text else None,
            truncate_ragged_lines=True,
        )
    except (pl.exceptions.PolarsError, ValueError):
        return None
    if table.height != len(filled):
        return None
    keys, key_of = _codes(table, [places.get(name) for name in _KEY])
    times, time_of = _codes(table, [places.get(name) for name in _TIME])
    columns: dict[str, Floats] = {}
    for name in _FIGURES:
        column = _figure(table, places.get(name))
        if column is None:
            return None
        columns[name] = column
    outstanding = columns["outstanding"]
    counted = np.isnan(outstanding)
    outstanding[counted] = (columns["allocs"] - columns["frees"])[counted]
    if any((column < 0).any() for column in columns.values()):
        return None
    return Frame(
        keys, key_of, times, time_of, columns["bytes"], outstanding, columns["allocs"], np.array(filled, np.int64)
    )


def _codes(table: pl.DataFrame, places: Sequence[int | None]) -> tuple[list[tuple[str, ...]], Codes]:
    """The different rows of some columns, and which of them each row is. A column that is not there is empty."""
    cells = [pl.lit("") if place is None else pl.col(str(place)).fill_null("") for place in places]
    joined = table.with_columns(pl.concat_str(cells, separator=_BETWEEN).alias("joined"))["joined"]
    ranks = joined.rank("dense").to_numpy().astype(np.int64) - 1
    return [tuple(text.split(_BETWEEN)) for text in joined.unique().sort().to_list()], ranks


def _figure(table: pl.DataFrame, place: int | None) -> Floats | None:
    """A column of numbers, NaN for an empty cell; None when a cell holds anything else."""
    if place is None:
        return np.full(table.height, np.nan)
    text = table[str(place)].str.strip_chars()
    numbers = text.cast(pl.Int64, strict=False)
    if (numbers.is_null() & text.is_not_null() & (text != "")).any():
        return None
    column: Floats = numbers.cast(pl.Float64).fill_null(float("nan")).to_numpy(writable=True)
    return column
