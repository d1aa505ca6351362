import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from poolsleuth.cli.sizes import format_size, parse_size


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("4GB", 4 << 30),
        ("512MB", 512 << 20),
        ("3.5 GB", 3758096384),
        ("17179869184", 17179869184),
        ("3405680 Kb", 3487416320),  # "Physical Memory: 851420 ( 3405680 Kb)" is 851420 pages of 4096 bytes
        ("1,024K", 1 << 20),
        (" 16 tib ", 1 << 44),
        ("2g", 2 << 30),
        ("100 bytes", 100),
        ("0.3KB", 307),
    ],
)
def test_sizes_as_people_type_them(text: str, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize(
    "text",
    ["", "GB", "four GB", "-4GB", "4 XB", "3,5 GB", "4GB RAM", "nan", "inf", "1e9", "0", "0.0 MB", "٤GB", "9" * 99],
)
def test_what_is_no_size_is_refused_with_a_remedy(text: str) -> None:
    with pytest.raises(ValueError, match=r"such as 512MB"):
        parse_size(text)


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "0 bytes"),
        (1, "1 byte"),
        (1023, "1023 bytes"),
        (1024, "1 KB"),
        (130588 * 1024, "127.5 MB"),
        (3 << 29, "1.5 GB"),
        (4294967296 * 4096, "16 TB"),
        ((1 << 30) - 1, "1 GB"),
        (-(4 << 30), "-4 GB"),
        (1 << 70, "1048576 PB"),
    ],
)
def test_sizes_as_people_read_them(size: int, text: str) -> None:
    assert format_size(size) == text


@given(st.integers(1, 10**20 - 1))
def test_bytes_round_trip_exactly(size: int) -> None:
    assert parse_size(str(size)) == size
    assert parse_size(f"{size} bytes") == size


@given(st.integers(1, 9999), st.sampled_from(["KB", "MB", "GB", "TB"]))
def test_a_formatted_size_is_read_back_within_its_rounding(count: int, unit: str) -> None:
    size = parse_size(f"{count}{unit}")
    assert parse_size(format_size(size)) == pytest.approx(size, rel=0.05)


@given(st.integers(0, 1 << 62), st.integers(0, 1 << 62))
def test_a_larger_size_is_never_written_smaller(one: int, other: int) -> None:
    low, high = sorted((one, other))
    if low > 0:
        assert parse_size(format_size(low)) <= parse_size(format_size(high))


@given(st.text(max_size=40))
def test_any_text_is_read_or_refused(text: str) -> None:
    size = None
    with contextlib.suppress(ValueError):
        size = parse_size(text)
    assert size is None or size > 0
