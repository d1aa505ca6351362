"""Keys of tags and their numbers."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from poolsleuth.model.series import TagKey
from poolsleuth.model.tags import PoolKind
from poolsleuth.sampling import sample
from poolsleuth.sampling.sample import ALL_SESSIONS, SYSTEM_POOLS, TagIndex, packed_keys, unpacked

TAG = st.binary(min_size=4, max_size=4)
KEY = st.tuples(TAG, st.integers(0, 1), st.sampled_from([0, 1, 77, SYSTEM_POOLS - 1, SYSTEM_POOLS, ALL_SESSIONS]))
Given = tuple[bytes, int, int]


def packed(*keys: Given) -> "np.ndarray[tuple[int], np.dtype[np.uint64]]":
    parts = [packed_keys(np.frombuffer(tag, "<u4").astype(np.uint32), pool, session) for tag, pool, session in keys]
    return np.concatenate([np.empty(0, np.uint64), *parts])


def key_of(tag: bytes, pool: int, session: int) -> TagKey:
    number = {SYSTEM_POOLS: None, ALL_SESSIONS: -1}.get(session, session)
    return TagKey(tag.decode("latin-1").rstrip(" \0"), (PoolKind.NONPAGED, PoolKind.PAGED)[pool], number)


@given(key=KEY)
def test_a_key_comes_back(key: Given) -> None:
    assert unpacked(int(packed(key)[0])) == key_of(*key)


@given(batches=st.lists(st.lists(KEY, max_size=12), max_size=5))
def test_numbers_are_those_of_the_keys_and_never_change(batches: list[list[Given]]) -> None:
    index = TagIndex()
    known: dict[TagKey, int] = {}
    for batch in batches:
        numbers = index.numbers(packed(*batch))
        assert len(numbers) == len(batch)
        for key, number in zip(batch, numbers, strict=True):
            assert index.keys[number] == key_of(*key)
            assert known.setdefault(key_of(*key), int(number)) == number
        assert len(index) == len(known)
    assert [index.number(key) for key in known] == list(known.values())
    assert index.lost == 0


def test_tags_that_differ_in_their_end_have_one_number() -> None:
    index = TagIndex()
    numbers = index.numbers(
        packed((b"Ab\0\0", 0, SYSTEM_POOLS), (b"Ab  ", 0, SYSTEM_POOLS), (b"Ab \0", 0, SYSTEM_POOLS))
    )
    assert list(numbers) == [0, 0, 0]
    assert index.keys == [TagKey("Ab", PoolKind.NONPAGED)]
    assert list(index.numbers(packed((b" Ab ", 0, SYSTEM_POOLS)))) == [1]


def test_nothing_has_no_numbers() -> None:
    index = TagIndex()
    assert len(index.numbers(packed())) == 0
    index.number(TagKey("Ab", PoolKind.PAGED))
    assert len(index.numbers(packed())) == 0


def test_a_key_known_by_name_keeps_its_number() -> None:
    index = TagIndex()
    assert index.number(TagKey("Ab", PoolKind.PAGED, 3)) == 0
    assert list(index.numbers(packed((b"Zz  ", 1, 3), (b"Ab  ", 1, 3)))) == [1, 0]


def test_too_many_tags_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sample, "MAX_TAGS", 2)
    index = TagIndex()
    three = packed((b"A   ", 0, 1), (b"B   ", 0, 1), (b"C   ", 0, 1))
    assert list(index.numbers(three)) == [0, 1, -1]
    assert (len(index), index.lost) == (2, 1)
    assert list(index.numbers(three)) == [0, 1, -1]
    assert index.lost == 1
    assert index.number(TagKey("D", PoolKind.PAGED)) == -1
    assert index.lost == 2


def test_what_is_remembered_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sample, "MAX_TAGS", 2)
    monkeypatch.setattr(sample, "MAX_REMEMBERED", 4)
    index = TagIndex()
    for turn in range(50):
        numbers = index.numbers(packed(*((b"%03d%c" % (turn, letter), 0, 1) for letter in b"abc")))
        assert list(numbers) == ([0, 1, -1] if turn == 0 else [-1] * 3)
    assert len(index) == 2
    assert index.lost == 148
    assert list(index.numbers(packed((b"000b", 0, 1), (b"049a", 0, 1)))) == [1, -1]
