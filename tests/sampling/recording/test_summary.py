"""The list of samples in a part's metadata: it comes back, and damage makes it no list."""

import base64
import random
import struct
import zlib
from dataclasses import replace

import numpy as np
import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from poolsleuth.sampling.recording import summary
from poolsleuth.sampling.recording.summary import Samples, joined, nothing, packed, unpacked


def _samples(count: int, seed: int = 1, *, labels: bool = False) -> Samples:
    chance = np.random.default_rng(seed)
    times = 1_763_700_000 + np.cumsum(chance.integers(-500, 60_000, count)) / 1000
    times[chance.random(count) < 0.1] = np.nan
    booted = np.where(chance.random(count) < 0.5, np.nan, 1_763_000_000.25)
    return Samples(
        np.cumsum(chance.integers(1, 5, count)).astype(np.uint32),
        times.round(3),
        chance.random(count) < 0.1,
        chance.random(count) < 0.8,
        booted,
        [f"snapshot {n}" if labels and n % 3 else "" for n in range(count)],
        chance.random(count) < 0.5,
    )


def _text(samples: Samples) -> bytes:
    text = packed(samples)
    assert text is not None
    return text.encode()


def _same(one: Samples, other: Samples | None) -> bool:
    return other is not None and all(
        np.array_equal(getattr(one, name), getattr(other, name), equal_nan=name in {"times", "booted"})
        for name in ("numbers", "times", "keys", "complete", "booted", "labels", "sessions")
    )


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 200), st.integers(0, 2**32 - 1), st.booleans())
def test_it_comes_back(count: int, seed: int, labels: bool) -> None:
    samples = _samples(count, seed, labels=labels)
    assert _same(samples, unpacked(_text(samples)))


def test_a_day_is_small() -> None:
    chance = np.random.default_rng(6)
    whole = np.ones(1440, np.bool_)
    times = 1_763_700_000 + 60.0 * np.arange(1440) + chance.integers(0, 15, 1440) / 1000
    boots, labels = np.full(1440, 1_763_000_000.0), [""] * 1440
    day = Samples(np.arange(1440, dtype=np.uint32), times, whole, whole, boots, labels, whole)
    assert len(_text(day)) < 4_000


def test_span_and_joining() -> None:
    assert nothing().span is None
    one = _samples(10)
    known = one.times[np.isfinite(one.times)]
    assert one.span == (known.min(), known.max())
    later = replace(one, numbers=one.numbers + np.uint32(1000))
    both = joined(joined(nothing(), one), later)
    assert len(both) == 20
    assert _same(both, unpacked(_text(both)))


@settings(max_examples=200, deadline=None)
@given(st.integers(0))
def test_damage_is_seen(seed: int) -> None:
    chance = random.Random(seed)
    text = bytearray(_text(_samples(50)))
    at = chance.randrange(len(text))
    text[at] ^= 1 << chance.randrange(8)
    assert unpacked(bytes(text)) is None or base64.b64decode(text) == base64.b64decode(_text(_samples(50)))
    assert unpacked(bytes(text[:at])) is None


def _lying(content: bytes) -> bytes:
    small = zstandard.ZstdCompressor().compress(content)
    return base64.b64encode(struct.pack("<I", zlib.crc32(small)) + small)


def _column(numbers: list[int], times: list[int], labels: bytes = b"") -> bytes:
    count = len(numbers)
    return b"".join(
        (
            struct.pack("<II", count, len(labels)),
            np.array(numbers, "<u4").tobytes(),
            np.array(times, "<i8").tobytes(),
            bytes(count),
            np.zeros(count, "<f8").tobytes(),
            labels,
        )
    )


@pytest.mark.parametrize(
    "content",
    [
        b"",
        struct.pack("<II", 2**32 - 1, 0),
        struct.pack("<II", 1, 2**32 - 1) + bytes(21),
        _column([5, 0], [0, 0]),  # twice the same number
        _column([2**32 - 1, 1], [0, 0]),
        _column([1, 1], [-5, 0]),
        _column([1, 1], [2**62, 0]),
        _column([1, 1], [0, 0], b"[1, 2]"),
        _column([1, 1], [0, 0], b'["a"]'),
        _column([1, 1], [0, 0], b"[" * 10_000),
    ],
)
def test_what_its_crc_covers_may_lie(content: bytes) -> None:
    assert unpacked(_lying(content)) is None


def test_what_lies_but_little_is_taken() -> None:
    found = unpacked(_lying(_column([1, 1], [1000, 60_000])))
    assert found is not None
    assert found.times.tolist() == [1.0, 61.0]


def test_gigabytes_are_not_unpacked() -> None:
    assert unpacked(_lying(bytes(1 << 28))) is None


def test_too_many_samples_are_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(summary, "MAX_SUMMARY_SAMPLES", 9)
    assert packed(_samples(9)) is not None
    assert packed(_samples(10)) is None
    monkeypatch.setattr(summary, "MAX_SUMMARY", 100)
    assert packed(_samples(9)) is None
