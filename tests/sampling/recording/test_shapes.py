"""What is taken in at one match is what the general reader of footers finds, damage included."""

import random
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from poolsleuth.model.errors import InputError
from poolsleuth.sampling.recording import footer, shapes
from poolsleuth.sampling.recording.footer import Footer, checked

from .conftest import Made, Making, write_series


@pytest.fixture(scope="module")
def part(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    making = Making()
    path = tmp_path_factory.mktemp("part") / "pool.parquet"
    write_series(path, Made(making.course(10), making.index))
    return path.read_bytes()


def _in_general(data: bytes) -> Footer | str:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(shapes, "chunk", lambda _text, _at: None)
        patch.setattr(shapes, "page", lambda _text: None)
        return _checked(data)


def _checked(data: bytes) -> Footer | str:
    try:
        return checked(data, "x")
    except InputError as error:
        return str(error)


def test_all_of_a_part_has_these_shapes(part: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*_: object) -> None:
        raise AssertionError

    wanted = _in_general(part)
    monkeypatch.setattr(footer._Pages, "_page", never)
    found = checked(part, "x")
    assert found.rows > 100
    assert found == wanted


@settings(max_examples=60, deadline=None)
@given(st.integers(0), st.booleans())
def test_any_damage_is_judged_alike(part: bytes, seed: int, in_footer: bool) -> None:
    chance, data = random.Random(seed), bytearray(part)
    begin = len(data) - 8 - int.from_bytes(data[-8:-4], "little")
    for _ in range(chance.randrange(1, 3)):
        data[chance.randrange(begin if in_footer else 4, len(data) if in_footer else begin)] = chance.randrange(256)
    assert _checked(bytes(data)) == _in_general(bytes(data))


def test_long_texts_and_other_codecs(tmp_path: Path) -> None:
    table = pl.DataFrame({"a": ["x" * 300, "y" * 63, None], "b": [1.5, None, 3.0], "c": [None, None, None]})
    for name, codec in enumerate(("zstd", "snappy", "uncompressed")):
        path = tmp_path / str(name)
        table.with_columns(pl.col("c").cast(pl.Int32)).write_parquet(path, compression=codec)  # type: ignore[arg-type]
        data = path.read_bytes()
        assert _checked(data) == _in_general(data)
        assert checked(data, "x").rows == 3
