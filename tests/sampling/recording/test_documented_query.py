"""The query that docs/recording.md shows gives what our own reader gives."""

import re
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from poolsleuth.model.series import TagKey
from poolsleuth.model.tags import PoolKind
from poolsleuth.sampling.recording.reader import Recording

from .conftest import START, Made, Making, write_series

PAGE = Path(__file__).parents[3] / "docs" / "recording.md"


def test_the_documented_query(tmp_path: Path, making: Making, monkeypatch: pytest.MonkeyPatch) -> None:
    key, other = TagKey("MmSt", PoolKind.PAGED), TagKey("MmSt", PoolKind.PAGED, 3)
    samples = [
        making.sample(START + 1200 * n, {other: (1, 1, 1)} | ({} if n // 7 % 3 == 1 else {key: (n // 4, n, n)}))
        for n in range(200)
    ]
    write_series(tmp_path / "pool.parquet", Made(samples, making.index))
    assert len(list(tmp_path.iterdir())) > 1
    monkeypatch.chdir(tmp_path)
    query = re.search(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    assert query is not None
    names: dict[str, object] = {}
    exec(query[1], names)
    course = names["course"]
    assert isinstance(course, pl.DataFrame)
    ours = Recording.open([tmp_path / "pool.parquet"]).tag([key])
    np.testing.assert_array_equal(course["bytes"].fill_null(np.nan).to_numpy(), ours.courses[key].bytes)
    np.testing.assert_array_equal(course["count"].fill_null(np.nan).to_numpy(), ours.courses[key].outstanding)
    assert np.isnan(ours.courses[key].bytes).sum() > 20
    np.testing.assert_array_equal(course["time"].dt.timestamp("ms").to_numpy() / 1000, ours.times)
