"""Parquet files that are damaged, lie, or are not ours: one clear sentence, in little memory."""

import io
import random
import resource
import struct
import sys
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from poolsleuth.model.errors import InputError
from poolsleuth.sampling.recording import find, footer, state
from poolsleuth.sampling.recording.footer import checked
from poolsleuth.sampling.recording.layout import DESCRIPTION_KEY, MAX_PART_ROWS, Description
from poolsleuth.sampling.recording.reader import Recording, is_recording, open_part
from poolsleuth.sampling.recording.table import COLUMNS
from poolsleuth.sampling.sample import Host

from .conftest import Made, Making, plain, write_series

TEXT = Description("0" * 32, Host("SRV01"), 60.0, 5).text().replace(', "crc": "00000000"', "")
ROW = {
    "sample": 0, "level": 0, "kind": "tag", "name": "Aaaa", "pool": "paged", "session": None, "process": None,
    "time": None, "bytes": 1.0, "count": 2.0, "allocs": 3.0,
}  # fmt: skip
MARK = ROW | {"kind": "sample", "name": "", "pool": None}


@pytest.fixture(scope="module")
def part(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    making = Making()
    path = tmp_path_factory.mktemp("part") / "pool.parquet"
    write_series(path, Made(making.course(100), making.index))
    return path.read_bytes()


def _file(table: pl.DataFrame, text: str | None = TEXT, **options: object) -> bytes:
    out = io.BytesIO()
    metadata = {} if text is None else {DESCRIPTION_KEY: text}
    table.write_parquet(out, metadata=metadata, **options)  # type: ignore[arg-type]
    return out.getvalue()


def _table(*rows: dict[str, object]) -> pl.DataFrame:
    return pl.DataFrame(list(rows), schema=COLUMNS)


def _use(data: bytes) -> int:
    """Everything that can be asked of a recording."""
    recording = open_part(io.BytesIO(data), "x.parquet")
    count = sum(len(sample.tags) + len(sample.processes) for sample in recording.samples())
    for place in range(0, len(recording), 7):
        plain(recording.at(place), recording.index)
    recording.tag(recording.index.keys[:50])
    recording.evenly(5)
    return count


def test_the_file_is_sound(part: bytes) -> None:
    assert _use(part) > 1000
    assert is_recording(part[:32])
    assert not is_recording(b"text")
    assert checked(part, "x").columns == tuple(COLUMNS)


def test_a_table_that_another_program_wrote_in_our_layout() -> None:
    assert _use(_file(_table(MARK, ROW))) == 1
    for codec in ("uncompressed", "snappy", "gzip", "lz4"):
        assert _use(_file(_table(MARK, ROW), compression=codec)) == 1


@settings(max_examples=150, deadline=None)
@given(st.integers(0), st.sampled_from(["flip", "cut", "swap", "footer"]))
def test_random_damage(part: bytes, seed: int, how: str) -> None:
    chance, data = random.Random(seed), bytearray(part)
    if how == "cut":
        del data[chance.randrange(len(data)) :]
    elif how == "swap":
        at, other = chance.randrange(len(data) - 64), chance.randrange(len(data) - 64)
        data[at : at + 64] = data[other : other + 64]
    else:
        begin = len(data) - 8 - struct.unpack("<I", data[-8:-4])[0] if how == "footer" else 0
        for _ in range(chance.randrange(1, 6)):
            data[chance.randrange(begin, len(data))] = chance.randrange(256)
    said = "x.parquet"
    try:
        _use(bytes(data))
    except InputError as error:
        said = str(error)
    assert said.startswith("x.parquet")


def test_one_bit_is_seen_by_the_crc(part: bytes) -> None:
    """Most of a part is packed columns, in which a bit makes another figure and no error."""
    data = bytearray(part)
    data[len(data) // 3] ^= 4
    with pytest.raises(InputError, match="is damaged, or was changed by another program"):
        open_part(io.BytesIO(data), "x.parquet")


@settings(max_examples=60, deadline=None)
@given(st.integers(0))
def test_random_damage_behind_a_crc_that_is_left_out(part: bytes, seed: int) -> None:
    """Polars meets the damage: what it raises, panics included, is one sentence."""
    chance = random.Random(seed)
    data = bytearray(part.replace(b'"crc"', b'"xxx"'))
    for _ in range(chance.randrange(1, 4)):
        data[chance.randrange(4, len(data) * 3 // 4)] = chance.randrange(256)
    said = "x.parquet"
    try:
        _use(bytes(data))
    except InputError as error:
        said = str(error)
    assert said.startswith("x.parquet")


def test_cut_off_anywhere(part: bytes) -> None:
    for size in range(0, len(part), 499):
        with pytest.raises(InputError, match=r"x.parquet"):
            open_part(io.BytesIO(part[:size]), "x.parquet")


FOREIGN = {
    "other columns": _file(pl.DataFrame({"a": [1]})),
    "nobody's": _file(_table(ROW), None),
    "a list": _file(_table(ROW).with_columns(bytes=pl.concat_list("bytes"))),
    "another type": _file(_table(ROW).with_columns(pl.col("sample").cast(pl.String))),
    "a wider type": _file(_table(ROW).with_columns(pl.col("sample").cast(pl.Int64))),
    "one column more": _file(_table(ROW).with_columns(more=1)),
    "no description": _file(_table(ROW), "{}"),
    "description of a list": _file(_table(ROW), "[]"),
    "deep": _file(_table(ROW), "[" * 60_000),
    "long": _file(_table(ROW), TEXT + " " * 100_000),
    "another id": _file(_table(ROW), TEXT.replace("0" * 32, "../../etc")),
    "next": _file(_table(ROW), TEXT.replace('"next": 5', '"next": -5')),
    "every": _file(_table(ROW), TEXT.replace("60.0", "NaN")),
    "every as text": _file(_table(ROW), TEXT.replace("60.0", '"60"')),
    "host": _file(_table(ROW), TEXT.replace('"SRV01"', "7")),
    "text": b"PAR1 is how it begins",
    "nothing": b"",
}


@pytest.mark.parametrize("what", FOREIGN)
def test_what_is_not_ours_is_one_sentence(what: str) -> None:
    with pytest.raises(InputError, match=r"^x\.parquet: [^\n]*[a-z`]$"):
        open_part(io.BytesIO(FOREIGN[what]), "x.parquet")


def test_rows_that_say_odd_things() -> None:
    odd = [
        ROW | {"kind": None},
        ROW | {"kind": "other"},
        ROW | {"name": None},
        ROW | {"pool": "no pool"},
        ROW | {"pool": None},
        ROW | {"session": -7},
        ROW | {"sample": 77},
        ROW | {"level": 200},
        ROW | {"bytes": float("inf"), "count": float("-inf"), "allocs": float("nan")},
        ROW | {"kind": "memory", "name": None},
        ROW | {"kind": "memory", "name": "available", "bytes": None, "count": None},
        ROW | {"kind": "process"},
        ROW | {"kind": "process", "process": 7, "count": -1.0},
        ROW | {"kind": "process", "process": 7, "count": float("inf")},
        ROW | {"kind": "process", "process": 8, "pool": None, "count": float("nan")},
        MARK | {"level": 7, "bytes": float("inf"), "count": float("nan"), "name": None},
        MARK | {"sample": 2**32 - 1},
        MARK,
    ]
    assert _use(_file(_table(*odd))) > 0


def test_a_name_without_end() -> None:
    table = _table(MARK, ROW | {"name": "A" * 5_000_000})
    recording = open_part(io.BytesIO(_file(table)), "x.parquet")
    with pytest.raises(InputError, match="a name in it has thousands of characters"):
        recording.at(0)
    with pytest.raises(InputError, match="a name in it has thousands of characters"):
        open_part(io.BytesIO(_file(_table(MARK | {"name": "A" * 5_000_000}))), "x.parquet")


def test_rows_in_no_order(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(state, "MAX_RUNS", 10)
    rows = [ROW | {"name": f"{n % 7}"} for n in range(100)]
    with pytest.raises(InputError, match="not in the order of a recording"):
        open_part(io.BytesIO(_file(_table(MARK, *rows))), "x.parquet").at(0)


def test_thousands_of_processes_and_figures_in_one_sample() -> None:
    rows = [ROW | {"kind": "process", "process": n, "pool": None} for n in range(5000)]
    rows += [ROW | {"kind": "memory", "name": f"m{n}"} for n in range(5000)]
    sample = open_part(io.BytesIO(_file(_table(MARK, *rows))), "x.parquet").at(0)
    assert (len(sample.processes), len(sample.memory)) == (1000, 64)


# ---- a footer that lies ----


def _varint(value: int) -> bytes:
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def _replaced(data: bytes, old: bytes, new: bytes) -> bytes:
    """The file with some bytes of its footer replaced."""
    length = struct.unpack("<I", data[-8:-4])[0]
    begin = len(data) - 8 - length
    text = data[begin:-8]
    assert old in text
    text = text.replace(old, new)
    return data[:begin] + text + struct.pack("<I", len(text)) + b"PAR1"


def test_a_footer_that_promises_2_to_the_40_rows() -> None:
    rows = 77_777
    data = _file(_table(MARK).select(pl.all().repeat_by(rows).explode()), row_group_size=1 << 20)
    old = _varint(rows << 1)
    lying = _replaced(data, old, _varint((1 << 40) << 1))
    with pytest.raises(InputError, match=rf"says it has 1,099,511,627,776 rows; .* {MAX_PART_ROWS:,} at most"):
        open_part(io.BytesIO(lying), "x.parquet")


def test_too_many_rows_that_are_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(footer, "MAX_PART_ROWS", 1000)
    table = _table(MARK).select(pl.all().repeat_by(1001).explode())
    with pytest.raises(InputError, match="at most"):
        open_part(io.BytesIO(_file(table)), "x.parquet")


def test_pages_that_hold_gigabytes() -> None:
    """A name of 70 MB is 10 KB when packed."""
    table = _table(ROW | {"name": "A" * 70_000_000})
    data = _file(table, compression_level=9)
    assert len(data) < 60_000
    before = _peak()
    with pytest.raises(InputError, match="damaged"):
        open_part(io.BytesIO(data), "x.parquet")
    assert _peak() - before < 50 << 20


def _peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


@pytest.mark.parametrize(("bound", "sentence"), [("MAX_PAGE", "damaged"), ("MAX_PAGES", "damaged"),
                                                  ("MAX_PART_CONTENT", "damaged"), ("MAX_ITEMS", "damaged"),
                                                  ("MAX_FOOTER", "damaged"), ("MAX_DEPTH", "damaged")])  # fmt: skip
def test_bounds_of_the_footer(part: bytes, monkeypatch: pytest.MonkeyPatch, bound: str, sentence: str) -> None:
    monkeypatch.setattr(footer, bound, 2)
    with pytest.raises(InputError, match=sentence):
        checked(part, "x.parquet")


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=200))
def test_any_bytes_as_a_footer(text: bytes) -> None:
    data = b"PAR1" + text + struct.pack("<I", len(text)) + b"PAR1"
    with pytest.raises(InputError):
        checked(data, "x")


def test_a_file_larger_than_any_part(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, part: bytes) -> None:
    from poolsleuth.sampling.recording import part as parts  # noqa: PLC0415

    monkeypatch.setattr(parts, "MAX_PART_BYTES", 1000)
    path = tmp_path / "x.parquet"
    path.write_bytes(part)
    with pytest.raises(InputError, match="larger than any part"):
        Recording.open([path])
    with pytest.raises(InputError, match="larger than any part"):
        parts.of_file(path)


# ---- several files ----


def test_nothing_of_it_can_be_read(tmp_path: Path) -> None:
    for paths in ([], [tmp_path / "none.parquet"], [tmp_path]):
        with pytest.raises(InputError):
            Recording.open(paths)


def test_one_of_two_is_damaged(tmp_path: Path, part: bytes) -> None:
    (tmp_path / "pool.parquet").write_bytes(part)
    (tmp_path / "pool.20250101T000000Z.parquet").write_bytes(part[:1000])
    recording = Recording.open([tmp_path / "pool.parquet"])
    assert len(recording) == 100
    assert len(recording.notes) == 1
    assert "damaged or cut off" in recording.notes[0]
    both = Recording.open(sorted(tmp_path.iterdir()))
    assert (len(both), len(both.notes)) == (100, 1)


def test_different_recordings_at_once(tmp_path: Path, making: Making) -> None:
    for name in ("a.parquet", "b.parquet"):
        write_series(tmp_path / name, Made(making.course(2), making.index))
    with pytest.raises(InputError, match="is of another recording than"):
        Recording.open([tmp_path / "a.parquet", tmp_path / "b.parquet"])


def test_the_same_file_twice_and_parts_that_overlap(tmp_path: Path, part: bytes) -> None:
    for name in ("pool.parquet", "copy.parquet", "pool.20250101T000000Z.parquet"):
        (tmp_path / name).write_bytes(part)
    paths = [tmp_path / "pool.parquet", tmp_path / "pool.parquet", tmp_path / "copy.parquet"]
    recording = Recording.open(paths)
    assert len(recording) == 100
    assert recording.notes == ()


def test_more_parts_than_are_read(tmp_path: Path, part: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(find, "MAX_PARTS", 1)
    for name in ("pool.parquet", "pool.20250101T000000Z.parquet", "pool.20250102T000000Z.parquet"):
        (tmp_path / name).write_bytes(part)
    recording = Recording.open([tmp_path / "pool.parquet"])
    assert "only 1 parts are read" in recording.notes[0]
