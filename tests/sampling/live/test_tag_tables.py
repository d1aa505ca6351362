"""Tables of tags: every layout forth and back, and cut or damaged ones."""

import time
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from poolsleuth.model.errors import InputError
from poolsleuth.model.series import TagKey
from poolsleuth.model.tags import PoolKind
from poolsleuth.sampling.live import tag_tables
from poolsleuth.sampling.live.tag_tables import (
    Buffer,
    TagCounts,
    decode_big_pool,
    decode_pool_tags,
    decode_pool_tags_2,
    decode_session_tags,
)

if TYPE_CHECKING:
    from sampling.conftest import Writer

COUNT = st.integers(0, 2**32 - 1)
USED = st.tuples(COUNT, COUNT, st.integers(-(2**31), 2**31 - 1))
TAG = st.tuples(st.binary(min_size=4, max_size=4), USED, USED)
LONG = st.tuples(*[st.integers(0, 2**64 - 1)] * 2, st.integers(-(2**63), 2**63 - 1))
LONG_TAG = st.tuples(st.binary(min_size=4, max_size=4), LONG, LONG)
Rows = list[tuple[bytes, tuple[int, int, int], tuple[int, int, int]]]


def buffer(data: bytes) -> Buffer:
    return np.frombuffer(data, np.uint8)


def told(counts: TagCounts) -> Rows:
    """A table as rows of (tag, nonpaged, paged)."""
    columns = [
        [(int(a), int(f), int(u)) for a, f, u in zip(counts.allocs[i], counts.frees[i], counts.used[i], strict=True)]
        for i in (0, 1)
    ]
    names = [int(tag).to_bytes(4, "little") for tag in counts.tags]
    return list(zip(names, *columns, strict=True))


@pytest.fixture(params=[True, False], ids=["x64", "x86"])
def wide(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


@given(rows=st.lists(TAG, max_size=20), wide=st.booleans())
def test_pool_tags_come_back(rows: Rows, wide: bool, writer: "type[Writer]") -> None:
    write = writer(wide)
    data = write.pool_tags(write.tags(rows))
    assert len(data) == (8 + 40 * len(rows) if wide else 4 + 28 * len(rows))  # the sizes that are published
    counts = decode_pool_tags(buffer(data), wide)
    assert told(counts) == rows
    assert (counts.bits, counts.note) == (32, None)


@given(rows=st.lists(LONG_TAG, max_size=20))
def test_pool_tags_with_64_bits_come_back(rows: Rows, writer: "type[Writer]") -> None:
    write = writer(True)
    data = write.pool_tags_2(write.tags(rows))
    assert len(data) == 8 + 56 * len(rows)
    counts = decode_pool_tags_2(buffer(data), True)
    assert told(counts) == rows
    assert (counts.bits, counts.note) == (64, None)


@given(rows=st.lists(TAG, max_size=5))
def test_the_newer_class_has_32_bits_on_a_32_bit_windows(rows: Rows, writer: "type[Writer]") -> None:
    write = writer(False)
    counts = decode_pool_tags_2(buffer(write.pool_tags_2(write.tags(rows))), False)
    assert told(counts) == rows
    assert counts.bits == 32


@given(
    sessions=st.dictionaries(st.integers(0, tag_tables.MAX_SESSION_NUMBER), st.lists(TAG, max_size=5), max_size=6),
    wide=st.booleans(),
)
def test_session_tags_come_back(sessions: dict[int, Rows], wide: bool, writer: "type[Writer]") -> None:
    write = writer(wide)
    data = write.session_tags({number: write.tags(rows) for number, rows in sessions.items()})
    found, note = decode_session_tags(buffer(data), wide)
    assert {part.session: told(part.counts) for part in found} == sessions
    assert note is None


BLOCK = st.tuples(
    st.integers(1, 2**20 - 1), st.booleans(), st.integers(0, 2**31 - 1), st.sampled_from([b"A", b"Bb", b"Cccc"])
)


@given(blocks=st.lists(BLOCK, max_size=30), wide=st.booleans())
def test_big_allocations_are_summed(
    blocks: list[tuple[int, bool, int, bytes]], wide: bool, writer: "type[Writer]"
) -> None:
    data = writer(wide).big_pool([(page << 12 | nonpaged, size, tag) for page, nonpaged, size, tag in blocks])
    expected: dict[tuple[bytes, int], tuple[int, int]] = {}
    for _, nonpaged, size, tag in blocks:
        count, total = expected.get((tag.ljust(4), int(not nonpaged)), (0, 0))
        expected[tag.ljust(4), int(not nonpaged)] = count + 1, total + size
    big = decode_big_pool(buffer(data), wide)
    found = {
        (int(tag).to_bytes(4, "little"), int(pool)): (int(count), int(size))
        for tag, pool, count, size in zip(big.tags, big.pools, big.blocks, big.sizes, strict=True)
    }
    assert found == expected
    assert big.note is None
    assert list(big.sizes) == sorted(big.sizes, reverse=True)
    for (tag, pool), figures in expected.items():
        kind = (PoolKind.NONPAGED, PoolKind.PAGED)[pool]
        assert big.of(TagKey(tag.decode().rstrip(), kind)) == figures
    assert big.of(TagKey("none", PoolKind.PAGED)) is None
    assert big.of(TagKey("A", PoolKind.PAGED, 1)) is None


def test_a_protected_tag_is_the_same_tag(writer: "type[Writer]") -> None:
    data = writer(True).big_pool([(0x1001, 8192, b"Fil\xe5"), (0x5001, 4096, b"File")])
    assert decode_big_pool(buffer(data), True).of(TagKey("File", PoolKind.NONPAGED)) == (2, 12288)


def test_hidden_addresses_tell_no_pool(writer: "type[Writer]") -> None:
    big = decode_big_pool(buffer(writer(True).big_pool([(0, 8192, b"Leak"), (0, 4096, b"Leak")])), True)
    assert big.hidden
    assert list(big.pools) == [-1]
    assert big.of(TagKey("Leak", PoolKind.NONPAGED)) == big.of(TagKey("Leak", PoolKind.PAGED)) == (2, 12288)
    assert big.note is not None
    assert "SeDebugPrivilege" in big.note
    empty = decode_big_pool(buffer(writer(True).big_pool([])), True)
    assert not empty.hidden
    assert empty.note is None


# ---- figures -------------------------------------------------------------------------------------------------------


def counts_of(writer: "type[Writer]", wide: bool, *used: tuple[int, int, int], newer: bool = False) -> TagCounts:
    write = writer(wide)
    rows = write.tags([(f"T{number:03}".encode(), figures, (0, 0, 0)) for number, figures in enumerate(used)])
    if newer:
        return decode_pool_tags_2(buffer(write.pool_tags_2(rows)), wide)
    return decode_pool_tags(buffer(write.pool_tags(rows)), wide)


def test_differences_go_round_with_32_bits(writer: "type[Writer]", wide: bool) -> None:
    top = 1 << 32
    counts = counts_of(
        writer, wide, (1000, 400, 9600), (5, top - 95, 1), (10, 12, -64), (7, 7, 0), ((1 << 31) + 5, 5, 1 << 30)
    )
    # A few bytes for many blocks are shown as they are; but 2^31 blocks have no room in a gigabyte
    np.testing.assert_array_equal(counts.outstanding[0], [600, 100, np.nan, 0, np.nan])
    np.testing.assert_array_equal(counts.bytes[0], [9600, 1, np.nan, 0, 1 << 30])


def test_two_thousand_million_blocks_are_believed_where_there_is_room(writer: "type[Writer]") -> None:
    counts = counts_of(writer, True, ((1 << 31) + 5, 5, 1 << 36))
    assert counts.outstanding[0, 0] == 1 << 31


def test_differences_with_64_bits(writer: "type[Writer]") -> None:
    counts = counts_of(writer, True, (1 << 40, 1 << 39, 1 << 50), (3, 5, -32), newer=True)
    np.testing.assert_array_equal(counts.outstanding[0], [1 << 39, np.nan])
    np.testing.assert_array_equal(counts.bytes[0], [1 << 50, np.nan])


# ---- damage --------------------------------------------------------------------------------------------------------


def test_what_is_whole_of_a_cut_table_is_used(writer: "type[Writer]", wide: bool) -> None:
    write = writer(wide)
    rows: Rows = [(b"Aaaa", (3, 1, 64), (0, 0, 0)), (b"Bbbb", (9, 1, 640), (1, 0, 32))]
    data = write.pool_tags(write.tags(rows))
    counts = decode_pool_tags(buffer(data[:-1]), wide)
    assert told(counts) == rows[:1]
    assert counts.note == "The table of pool tags counts 2 rows; 1 are used: it ends before."


def test_a_count_without_bound_takes_no_memory(writer: "type[Writer]", wide: bool) -> None:
    data = b"\xff\xff\xff\xff" + writer(wide).pool_tags([])[4:]
    for decode in (decode_pool_tags, decode_pool_tags_2):
        counts = decode(buffer(data), wide)
        assert len(counts) == 0
        assert counts.note == "The table of pool tags counts 4,294,967,295 rows; 0 are used: it ends before."
    assert len(decode_big_pool(buffer(data), wide)) == 0


def test_no_more_rows_than_the_bound(writer: "type[Writer]", wide: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tag_tables, "MAX_TABLE_TAGS", 2)
    write = writer(wide)
    data = write.pool_tags(write.tags([(b"Aaaa", (1, 0, 8), (0, 0, 0))] * 3))
    counts = decode_pool_tags(buffer(data), wide)
    assert len(counts) == 2
    assert counts.note == "The table of pool tags counts 3 rows; 2 are used: no more than 2 are read."


@pytest.mark.parametrize("data", [b"", b"\x01\x00\x00"])
def test_no_count_is_said(data: bytes, wide: bool) -> None:
    for decode in (decode_pool_tags, decode_pool_tags_2, decode_big_pool):
        with pytest.raises(InputError, match="too few to hold one"):
            decode(buffer(data), wide)


def test_no_session_is_no_damage(wide: bool) -> None:
    assert decode_session_tags(buffer(b""), wide) == ((), None)


def test_a_session_list_of_links_only_ends(wide: bool) -> None:
    head = 16 if wide else 12
    pointer = head - 8
    entry = head.to_bytes(pointer, "little") + bytes(8)
    sessions, note = decode_session_tags(buffer(entry * (tag_tables.MAX_SESSIONS + 10)), wide)
    assert len(sessions) == 1  # all call themselves session 0
    assert note == "Of the sessions' pool tags, only the first 4,096 tables are read."


@pytest.mark.parametrize("link", [1, 11, 2**31, 2**32 - 16])
def test_a_link_that_leads_nowhere_is_said(link: int, writer: "type[Writer]", wide: bool) -> None:
    write = writer(wide)
    data = write.session_tags({7: write.tags([(b"Aaaa", (3, 1, 64), (0, 0, 0))])})
    sessions, note = decode_session_tags(buffer(link.to_bytes(write.pointer, "little") + data[write.pointer :]), wide)
    assert [(part.session, len(part.counts)) for part in sessions] == [(7, 1)]
    assert note is not None


def test_rows_of_all_sessions_together_are_bounded(
    writer: "type[Writer]", wide: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tag_tables, "MAX_SESSION_TAGS", 3)
    write = writer(wide)
    tags = write.tags([(b"Aaaa", (3, 1, 64), (0, 0, 0))] * 2)
    sessions, note = decode_session_tags(buffer(write.session_tags({0: tags, 1: tags, 2: tags})), wide)
    assert [len(part.counts) for part in sessions] == [2, 1, 0]
    assert note is not None


def test_an_impossible_session_is_left_out(writer: "type[Writer]", wide: bool) -> None:
    write = writer(wide)
    tags = write.tags([(b"Aaaa", (3, 1, 64), (0, 0, 0))])
    sessions, note = decode_session_tags(buffer(write.session_tags({0xFFFE: tags, 3: tags})), wide)
    assert [part.session for part in sessions] == [3]
    assert note == "One table of the sessions' pool tags is of no session that could be (65534)."


@given(data=st.data())
def test_any_damage_ends_in_a_table_or_a_sentence(data: st.DataObject, writer: "type[Writer]") -> None:
    wide = data.draw(st.booleans())
    write = writer(wide)
    rows = write.tags(data.draw(st.lists(TAG, max_size=4)))
    kind = data.draw(st.integers(0, 3))
    raw = bytearray(
        (
            lambda: write.pool_tags(rows),
            lambda: write.pool_tags_2(rows),
            lambda: write.session_tags(dict.fromkeys(range(4), rows)),
            lambda: write.big_pool([(0x1001, 4096, tag.name) for tag in rows]),
        )[kind]()
    )
    for place, value in data.draw(st.lists(st.tuples(st.integers(0, 400), st.integers(0, 255)), max_size=8)):
        if place < len(raw):
            raw[place] = value
    cut = buffer(bytes(raw[: data.draw(st.integers(0, len(raw)))]))
    decoders = (decode_pool_tags, decode_pool_tags_2, decode_session_tags, decode_big_pool)
    try:
        decoders[kind](cut, wide)
    except InputError:
        assert len(cut) < 4


def test_twenty_thousand_tags_take_little_time(writer: "type[Writer]", wide: bool) -> None:
    write = writer(wide)
    row = write.pool_tags(write.tags([(b"Aaaa", (9, 1, 64), (5, 1, 64))]))[write.pointer :]
    data = buffer(write.size_t(20_000) + row * 20_000)
    begin = time.perf_counter()
    counts = decode_pool_tags(data, wide)
    assert time.perf_counter() - begin < 0.1  # measured: under a millisecond; this shows a loop over rows
    assert len(counts) == 20_000
