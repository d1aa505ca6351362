"""Local time and FILETIMEs."""

from datetime import UTC, datetime

import pytest

from poolsleuth.lab.course.writers.zone import ZONE, Zone, filetime, stamp


@pytest.mark.parametrize(("bias", "offset"), [(420, "-07:00"), (0, "+00:00"), (-345, "+05:45"), (210, "-03:30")])
def test_the_offset_is_told_as_iso_8601_tells_it(bias: int, offset: str) -> None:
    assert Zone("any", bias, "").offset == offset


def test_filetimes_count_from_1601() -> None:
    # The time of a sample in a published log: a0 9b 48 7e eb 47 d2 01 is 11/26/2016 13:46:30.874, local time
    at = datetime(2016, 11, 26, 13, 46, 30, 874_000, tzinfo=UTC)
    assert filetime(at) == int.from_bytes(bytes.fromhex("a09b487eeb47d201"), "little")
    assert filetime(datetime(1970, 1, 1, tzinfo=UTC)) == 116_444_736_000_000_000


def test_a_stamp_is_local_and_of_whole_milliseconds() -> None:
    at = datetime(2016, 11, 26, 20, 46, 30, 874_999, tzinfo=UTC)
    assert stamp(at, ZONE) == int.from_bytes(bytes.fromhex("a09b487eeb47d201"), "little")
