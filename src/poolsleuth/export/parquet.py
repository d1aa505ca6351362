"""The table of all series as a Parquet file: the CSV is written aside first, so that memory does not grow with it."""

from collections.abc import Iterable
from pathlib import Path
from tempfile import TemporaryDirectory

from poolsleuth.export.table import Table, write_csv
from poolsleuth.reading import EVERYTHING, Progress, Selection


def write_parquet(
    paths: Iterable[str], target: Path, *, selection: Selection = EVERYTHING, progress: Progress | None = None
) -> Table:
    """Write all series of some inputs as Parquet: ``time`` (UTC, milliseconds) and one column of doubles per counter.

    Nothing is written when no input holds a series. Raises OSError when a file cannot be written.
    """
    if target.exists() and not target.is_file():  # a device would be replaced by a file of its name
        raise OSError(f"{target} is not a file")
    import polars as pl  # noqa: PLC0415 - takes a tenth of a second, which the other commands need not wait for

    with TemporaryDirectory(prefix=".poolsleuth-", dir=target.parent) as folder:
        aside = Path(folder) / "table.csv"
        with aside.open("w", encoding="utf-8", errors="replace", newline="") as out:
            table = write_csv(paths, out, selection=selection, progress=progress)
        if not table.columns:
            return table
        # The header is not read back: a name may hold quotes, and is one line always
        schema = {"time": pl.String, **dict.fromkeys(table.columns, pl.Float64)}
        whole = Path(folder) / "table.parquet"
        frame = pl.scan_csv(aside, schema=schema, has_header=False, skip_lines=1, raise_if_empty=False)
        frame = frame.with_columns(pl.col("time").str.to_datetime("%Y-%m-%dT%H:%M:%S%.3fZ", time_zone="UTC"))
        frame.sink_parquet(whole)
        whole.replace(target)
    return table
