"""Bytes of a dump: nothing is read beyond the end, and counts are cut to what is there."""

import io

import numpy as np
import pytest

from poolsleuth.kernel.crash_dump.content import DumpContent, open_content

ROW = np.dtype([("a", "<u4"), ("b", "<u4")])


@pytest.mark.parametrize(("offset", "count"), [(-1, 2), (0, -1), (7, 3), (1 << 64, 1), (10, 0xFFFFFFFF)])
def test_beyond_the_end_is_none(offset: int, count: int) -> None:
    assert DumpContent(b"0123456789"[:9]).take(offset, count) is None


def test_numbers_and_rows() -> None:
    content = DumpContent(bytes(range(20)))
    assert content.number(2, 4) == 0x05040302
    assert content.number(18, 4) is None
    assert content.rows(4, ROW, 1 << 32)["b"].tolist() == [0x0B0A0908, 0x13121110]
    assert len(content.rows(13, ROW, 5)) == 0
    assert content.octets(18, 1 << 40).tolist() == [18, 19]
    assert [content.held(at, 8, 9) for at in (-1, 0, 4, 5, 20, 1 << 70)] == [0, 2, 2, 1, 0, 0]


def test_a_file_without_a_number_is_read() -> None:
    with open_content(io.BytesIO(b"abcdef")) as content:
        assert (content.size, content.take(1, 2)) == (6, b"bc")
