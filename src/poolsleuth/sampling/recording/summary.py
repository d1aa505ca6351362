"""The samples of a part as its own metadata says them, so that opening a year reads one block of each day.

Packed as base64 of the CRC-32 of the rest and of zstd: count and length of the labels (u32 each, little-endian), then
columns: steps of the numbers (u32), steps of the times in milliseconds (i64), flags (u8: 1 key, 2 complete, 4 all
sessions), when Windows was started (f64), labels as JSON (nothing if none has one).
"""

import base64
import binascii
import json
import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import zstandard
from numpy.typing import NDArray

from poolsleuth.sampling.recording.layout import LAST_TIME, clean
from poolsleuth.sampling.sample import Floats

MAX_SUMMARY_SAMPLES = 100_000  # of a part: a day at one a second; the samples of others are read out of their rows
MAX_SUMMARY = 4 << 20  # bytes of a summary when unpacked: 100,000 samples, and labels

_HEAD = struct.Struct("<II")
_CRC = struct.Struct("<I")
_NO_TIME = np.iinfo(np.int64).min
_BYTES = 4 + 8 + 1 + 8  # of a sample, without its label


@dataclass(frozen=True, slots=True, eq=False)
class Samples:
    """The samples of a part: ascending numbers, times (NaN: not known), which are key samples, which tables complete.

    ``booted`` is when Windows was started in seconds since 1970, NaN where not known.
    """

    numbers: NDArray[np.uint32]
    times: Floats
    keys: NDArray[np.bool_]
    complete: NDArray[np.bool_]
    booted: Floats
    labels: Sequence[str]
    sessions: NDArray[np.bool_]  # which show every session

    def __len__(self) -> int:
        return len(self.numbers)

    @property
    def span(self) -> tuple[float, float] | None:
        """The first and the last time in seconds since 1970; None when no time is known."""
        known = self.times[np.isfinite(self.times)]
        return (float(known.min()), float(known.max())) if len(known) else None


def nothing() -> Samples:
    """No samples."""
    return Samples(
        np.empty(0, np.uint32),
        np.empty(0),
        np.empty(0, np.bool_),
        np.empty(0, np.bool_),
        np.empty(0),
        [],
        np.empty(0, np.bool_),
    )


def joined(one: Samples, other: Samples) -> Samples:
    """Samples, and later ones."""
    return Samples(
        np.concatenate((one.numbers, other.numbers)),
        np.concatenate((one.times, other.times)),
        np.concatenate((one.keys, other.keys)),
        np.concatenate((one.complete, other.complete)),
        np.concatenate((one.booted, other.booted)),
        [*one.labels, *other.labels],
        np.concatenate((one.sessions, other.sessions)),
    )


def packed(samples: Samples) -> str | None:
    """Samples as the metadata has them; None when they are too many."""
    labels = json.dumps(list(samples.labels)).encode() if any(samples.labels) else b""
    if len(samples) > MAX_SUMMARY_SAMPLES or _HEAD.size + len(samples) * _BYTES + len(labels) > MAX_SUMMARY:
        return None
    known = np.isfinite(samples.times)
    times = np.full(len(samples), _NO_TIME, np.int64)
    times[known] = np.rint(samples.times[known] * 1000).astype(np.int64)
    content = b"".join(
        (
            _HEAD.pack(len(samples), len(labels)),
            np.diff(samples.numbers, prepend=np.uint32(0)).astype("<u4").tobytes(),
            np.diff(times, prepend=np.int64(0)).astype("<i8").tobytes(),
            np.packbits(
                np.column_stack((samples.keys, samples.complete, samples.sessions)), axis=1, bitorder="little"
            ).tobytes(),
            samples.booted.astype("<f8").tobytes(),
            labels,
        )
    )
    small = zstandard.ZstdCompressor(level=3).compress(content)
    return base64.b64encode(_CRC.pack(zlib.crc32(small)) + small).decode()


def unpacked(text: bytes) -> Samples | None:
    """The samples of such a text; None when it is damaged, or no such text."""
    try:
        return _unpacked(text)
    except (ValueError, TypeError, struct.error, binascii.Error, zstandard.ZstdError, RecursionError):
        return None


def _unpacked(text: bytes) -> Samples | None:
    data = base64.b64decode(text, validate=True)
    small = data[_CRC.size :]
    if _CRC.unpack_from(data)[0] != zlib.crc32(small) or not 0 <= zstandard.frame_content_size(small) <= MAX_SUMMARY:
        return None
    content = zstandard.ZstdDecompressor().decompress(small, max_output_size=MAX_SUMMARY)
    count, length = _HEAD.unpack_from(content)
    if count > MAX_SUMMARY_SAMPLES or len(content) != _HEAD.size + count * _BYTES + length:
        return None
    at = _HEAD.size
    numbers = np.cumsum(np.frombuffer(content, "<u4", count, at).astype(np.int64))
    at += 4 * count
    times = np.cumsum(np.frombuffer(content, "<i8", count, at))  # wraps as it did when it was packed
    at += 8 * count
    flags = np.frombuffer(content, np.uint8, count, at)
    booted = np.frombuffer(content, "<f8", count, at + count).astype(np.float64)
    labels: object = json.loads(content[-length:]) if length else [""] * count
    if not isinstance(labels, list) or len(labels) != count or not all(isinstance(label, str) for label in labels):
        return None
    known = times != _NO_TIME
    if count and (numbers[-1] > 0xFFFF_FFFF or (np.diff(numbers) <= 0).any()):
        return None
    if ((times[known] < 0) | (times[known] > LAST_TIME * 1000)).any():
        return None
    return Samples(
        numbers.astype(np.uint32),
        np.where(known, times / 1000, np.nan),
        (flags & 1) == 1,
        (flags & 2) == 2,
        booted,
        [clean(label) for label in labels] if length else labels,
        (flags & 4) == 4,
    )
