from datetime import UTC, datetime

import pytest

from poolsleuth.kernel.filetime import utc


def test_a_time() -> None:
    # 0x1D707F23DBB3399: the time of a real dump, 2021-02-21 01:38:22 UTC
    found = utc(0x1D707F23DBB3399)
    assert found is not None
    assert found.replace(microsecond=0) == datetime(2021, 2, 21, 1, 38, 22, tzinfo=UTC)


@pytest.mark.parametrize("number", [None, 0, -1, 1, 1 << 62, (1 << 63) - 1, (1 << 64) - 1, 1 << 70])
def test_what_cannot_be_a_time(number: int | None) -> None:
    assert utc(number) is None
