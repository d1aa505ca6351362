from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from poolsleuth.windows.builds import Era, WindowsVersion, parse_os_name
from poolsleuth.windows.pool_limits import PoolLimits, effective_limit, infers_3gb, pool_limits

MB, GB, TB = 1 << 20, 1 << 30, 1 << 40
SENTINEL = 4294967296 * 4096  # "NonPagedPool Max (4294967296 pages = 16 TB)"


def windows(name: str) -> WindowsVersion:
    match = parse_os_name(name)
    assert match is not None
    return match.version


def limits(
    name: str,
    bits: Literal[32, 64],
    ram: int | None = None,
    three_gb: bool | None = None,
    commit: int | None = None,
) -> PoolLimits:
    return pool_limits(windows(name), bits=bits, ram_bytes=ram, three_gb=three_gb, commit_limit_bytes=commit)


@pytest.mark.parametrize(
    ("ram", "three_gb", "low", "high"),
    [
        # The article: "starts at 128MB on a system with 512MB"
        (512 * MB, False, 128 * MB, 128 * MB),
        # The article: "and goes up to 256MB for a system with a little over 1GB or more"
        (2 * GB, False, 256 * MB, 256 * MB),
        (GB, False, 128 * MB, 256 * MB),
        # The article: "On a system booted with the /3GB option [...] the maximum nonpaged pool is 128MB"
        (4 * GB, True, 128 * MB, 128 * MB),
        (4 * GB, None, 128 * MB, 256 * MB),
        # The article's table, XP and Server 2003: "up to 1.2GB RAM: 32-256 MB"
        (256 * MB, False, 32 * MB, 128 * MB),
        (None, None, 32 * MB, 256 * MB),
        (16 * MB, None, 16 * MB, 16 * MB),
    ],
)
@pytest.mark.parametrize("name", ["xp", "2003"])
def test_nonpaged_of_32_bit_xp_and_2003(name: str, ram: int | None, three_gb: bool | None, low: int, high: int) -> None:
    limit = limits(name, 32, ram, three_gb).nonpaged
    assert (limit.low_bytes, limit.high_bytes) == (low, high)


@pytest.mark.parametrize(
    ("name", "bits", "ram", "low", "high"),
    [
        ("xp", 64, 2 * GB, 800 * MB, 800 * MB),  # "a little over 400K per MB of RAM or 128GB"
        ("2003", 64, 512 * GB, 128 * GB, 128 * GB),
        ("vista", 32, 2 * GB, 1536 * MB, 1536 * MB),  # "slightly more than 75% of physical memory or 2GB"
        ("2008", 32, 16 * GB, 2 * GB, 2 * GB),
        ("7", 64, 8 * GB, 6 * GB, 6 * GB),  # "approximately 75% of RAM, but they cap the maximum at 128GB"
        ("2008r2", 64, 256 * GB, 128 * GB, 128 * GB),
        ("8", 32, 2 * GB, 1536 * MB, 1536 * MB),
        ("2012", 64, 16 * GB, 16 * GB, 32 * GB),  # article "min( 2x RAM, 128GB)"; Microsoft: RAM or 128 GB
        ("2012", 64, 100 * GB, 100 * GB, 128 * GB),
        ("8.1", 64, 16 * GB, 16 * GB, 16 * GB),  # "RAM (VA <= 2 x RAM)", printed 16 TB
        ("2022", 64, 24 * TB, 16 * TB, 16 * TB),
        ("10", 32, 4 * GB, 2 * GB, 2 * GB),
        ("7", 64, None, None, 128 * GB),
        ("2019", 64, None, None, None),
    ],
)
def test_nonpaged_of_the_others(
    name: str, bits: Literal[32, 64], ram: int | None, low: int | None, high: int | None
) -> None:
    limit = limits(name, bits, ram).nonpaged
    assert (limit.low_bytes, limit.high_bytes) == (low, high)


@pytest.mark.parametrize(
    ("name", "bits", "ram", "commit", "low", "high"),
    [
        ("2000", 32, GB, None, None, 350 * MB),  # "Windows 2000: 350 MB"
        ("xp", 32, 2 * GB, None, None, 491 * MB),  # "with an upper limit of 491MB"
        ("2003", 32, 2 * GB, None, None, 650 * MB),  # "so its upper limit is 650MB"
        ("xp", 64, 2 * GB, None, 3200 * MB, 3200 * MB),  # "exactly four times that of nonpaged pool"
        ("vista", 32, 2 * GB, 4 * GB, 2 * GB, 2 * GB),  # "min( system commit limit, 2GB)"
        ("2008", 32, GB, 1500 * MB, 1500 * MB, 1500 * MB),
        ("7", 64, 8 * GB, 16 * GB, 16 * GB, 16 * GB),  # "min( system commit limit, 128GB)"
        ("7", 64, 8 * GB, None, None, 128 * GB),
        ("2012", 64, 8 * GB, TB, 384 * GB, 384 * GB),  # "min( system commit limit, 384GB)"
        ("2012r2", 64, 8 * GB, 16 * GB, 16 * GB, 16 * GB),
        ("2012r2", 64, 8 * GB, 20 * TB, 31 * TB // 2, 31 * TB // 2),  # "15.5 TB or system commit limit"
        ("10", 64, 8 * GB, None, None, None),
        ("10", 32, 4 * GB, 8 * GB, 2 * GB, 2 * GB),
    ],
)
def test_paged(
    *,
    name: str,
    bits: Literal[32, 64],
    ram: int | None,
    commit: int | None,
    low: int | None,
    high: int | None,
) -> None:
    limit = limits(name, bits, ram, commit=commit).paged
    assert (limit.low_bytes, limit.high_bytes) == (low, high)


@pytest.mark.parametrize(
    ("name", "bits", "pool", "words"),
    [
        ("2003", 32, "paged", "530 MB"),
        ("xp", 32, "paged", "490 MB"),
        ("vista", 64, "nonpaged", "40 %"),
        ("2012", 64, "nonpaged", "2 x RAM"),
        ("8", 32, "paged", "384 GB"),
        ("8.1", 32, "paged", "15.5 TB"),
        ("2000", 32, "nonpaged", "280580 Kb"),
    ],
)
def test_a_contradiction_between_sources_is_named(name: str, bits: Literal[32, 64], pool: str, words: str) -> None:
    result = limits(name, bits, 2 * GB)
    limit = result.nonpaged if pool == "nonpaged" else result.paged
    assert limit.contradiction is not None
    assert words in limit.contradiction


def test_sources_that_agree_have_no_contradiction() -> None:
    assert limits("2008r2", 64, 8 * GB).nonpaged.contradiction is None
    assert limits("2003", 32, 4 * GB).nonpaged.contradiction is None
    assert limits("2019", 64, 8 * GB).paged.contradiction is None


def test_an_era_alone_gives_the_wider_rule() -> None:
    result = pool_limits(Era.XP_2003, bits=32, ram_bytes=2 * GB, three_gb=False, commit_limit_bytes=None)

    assert result.nonpaged.high_bytes == 256 * MB
    assert result.paged.high_bytes == 650 * MB
    assert "491 MB" in result.paged.rule
    assert result.session is None


def test_there_is_no_64_bit_windows_2000() -> None:
    result = limits("2000", 64, GB)
    assert (result.nonpaged.high_bytes, result.paged.high_bytes) == (None, None)
    assert "no 64-bit" in result.nonpaged.rule


def test_what_was_not_given_is_noted() -> None:
    assert any("/3GB" in line for line in limits("2003", 32, 4 * GB).notes)
    assert not any("was not given" in line for line in limits("2003", 32, 4 * GB, three_gb=True).notes)
    assert any("NonPagedPoolLimit" in line for line in limits("7", 32, 4 * GB).notes)
    assert any("commit limit was not given" in line for line in limits("2019", 64, 4 * GB).notes)


def test_a_size_of_zero_is_not_known() -> None:
    assert limits("7", 64, 0) == limits("7", 64, None)


@given(
    name=st.sampled_from(["2000", "xp", "2003", "vista", "7", "8", "2012", "8.1", "10", "2022"]),
    bits=st.sampled_from([32, 64]),
    three_gb=st.sampled_from([None, True, False]),
    commit=st.none() | st.integers(1, 64 * TB),
    rams=st.tuples(st.integers(1, 64 * TB), st.integers(1, 64 * TB)).map(sorted),
)
def test_more_memory_never_lowers_a_limit(
    name: str, bits: Literal[32, 64], three_gb: bool | None, commit: int | None, rams: list[int]
) -> None:
    little, much = (limits(name, bits, ram, three_gb, commit) for ram in rams)
    for less, more in ((little.nonpaged, much.nonpaged), (little.paged, much.paged)):
        for bound, greater in ((less.low_bytes, more.low_bytes), (less.high_bytes, more.high_bytes)):
            assert (bound is None) == (greater is None)
            assert bound is None or greater is None or bound <= greater
        assert less.low_bytes is None or less.high_bytes is None or less.low_bytes <= less.high_bytes


@pytest.mark.parametrize(
    ("kind", "printed", "era", "bits", "ram", "commit", "limit", "words"),
    [
        # Windows XP and Server 2003: the printed maximum is the limit itself
        ("nonpaged", 130588 * 1024, Era.XP_2003, 32, 3669472 * 1024, None, 130588 * 1024, "!vm prints"),
        ("paged", 241664 * 1024, Era.XP_2003, 32, 3669472 * 1024, GB // 8, 241664 * 1024, "!vm prints"),
        ("paged", 128 * GB, Era.XP_2003, 64, 96 * GB, 8 * GB, 128 * GB, "!vm prints"),
        ("nonpaged", 274148 * 1024, None, 32, 2047524 * 1024, None, 274148 * 1024, "!vm prints"),
        # A real Windows 7 x64 with 8 GB: 1561080 pages nonpaged, 33554432 pages paged, commit 17081608 Kb
        ("nonpaged", 1561080 * 4096, Era.VISTA_7, 64, 8388152 * 1024, None, 1561080 * 4096, "!vm prints"),
        ("paged", 33554432 * 4096, Era.VISTA_7, 64, 8388152 * 1024, 17081608 * 1024, 17081608 * 1024, "address"),
        ("paged", 33554432 * 4096, Era.VISTA_7, 64, 8388152 * 1024, None, None, "not given"),
        ("paged", 128 * GB, Era.VISTA_7, 64, 128 * GB, 200 * GB, 128 * GB, "128 GB of address space"),
        ("paged", 128 * GB, None, None, None, None, None, "not given"),
        ("paged", 2 * GB, Era.VISTA_7, 32, 2 * GB, 1536 * MB, 1536 * MB, "commit limit"),
        # Windows 8: 2 x RAM printed, RAM is what there is
        ("nonpaged", 16 * GB, Era.W8, 64, 8 * GB, None, 8 * GB, "physical memory"),
        ("paged", 384 * GB, Era.W8, 64, None, 12 * GB, 12 * GB, "commit limit"),
        # Windows 10: "reported max 16 TB (4294967296 pages)"
        ("nonpaged", SENTINEL, Era.W81_AND_LATER, 64, 16 * GB, None, 16 * GB, "physical memory: the printed 16 TB"),
        ("paged", SENTINEL, Era.W81_AND_LATER, 64, 16 * GB, 20 * GB, 20 * GB, "commit limit: the printed 16 TB"),
        ("nonpaged", SENTINEL, None, None, None, None, None, "not known"),
        ("nonpaged", 100 * GB, None, None, 8 * GB, None, 8 * GB, "address space"),
        # Nothing printed
        ("nonpaged", None, Era.W81_AND_LATER, 64, 16 * GB, None, 16 * GB, "physical memory"),
        ("nonpaged", None, Era.XP_2003, 32, 4 * GB, None, None, "!vm prints it"),
        ("paged", None, None, None, None, None, None, "not known"),
        ("paged", 0, None, None, None, None, None, "not known"),
    ],
)
def test_the_limit_to_judge_against(
    *,
    kind: Literal["nonpaged", "paged"],
    printed: int | None,
    era: Era | None,
    bits: int | None,
    ram: int | None,
    commit: int | None,
    limit: int | None,
    words: str,
) -> None:
    found, source = effective_limit(
        kind, printed_max_bytes=printed, era=era, bits=bits, ram_bytes=ram, commit_limit_bytes=commit
    )
    assert found == limit
    assert words in source


@given(
    printed=st.none() | st.integers(-1, 32 * TB),
    era=st.none() | st.sampled_from(Era),
    bits=st.sampled_from([None, 32, 64]),
    ram=st.integers(1, 24 * TB),
)
def test_a_nonpaged_limit_never_exceeds_memory(
    printed: int | None, era: Era | None, bits: int | None, ram: int
) -> None:
    limit, source = effective_limit(
        "nonpaged", printed_max_bytes=printed, era=era, bits=bits, ram_bytes=ram, commit_limit_bytes=None
    )
    assert limit is None or limit <= ram
    assert source


@pytest.mark.parametrize(
    ("maximum_kb", "ram_kb", "expected"),
    [
        # NonPagedPool Max and Physical Memory of the articles' own outputs
        (130588, 3669472, True),
        (127944, 3405680, True),  # "the server is using the /3GB switch which limits NPP to 128MB by default"
        (260860, 6290548, False),
        (260860, 16774784, False),
        (258560, 3407100, False),
        (274148, 2047524, False),
        (280580, 3145196, False),
        (25008, 65072, None),
        (131072, 524288, None),  # 128 MB is what 512 MB of memory gives without /3GB
        (200000, 3407100, None),
        (0, 3407100, None),
    ],
)
@pytest.mark.parametrize("era", [None, Era.XP_2003])
@pytest.mark.parametrize("bits", [None, 32])
def test_3gb_shows_in_the_nonpaged_maximum(
    maximum_kb: int, ram_kb: int, expected: bool | None, era: Era | None, bits: int | None
) -> None:
    found = infers_3gb(nonpaged_max_bytes=maximum_kb * 1024, bits=bits, era=era, ram_bytes=ram_kb * 1024)
    assert found is expected


def test_3gb_is_not_inferred_elsewhere() -> None:
    assert infers_3gb(nonpaged_max_bytes=128 * MB, bits=64, era=Era.XP_2003, ram_bytes=4 * GB) is None
    assert infers_3gb(nonpaged_max_bytes=128 * MB, bits=32, era=Era.VISTA_7, ram_bytes=4 * GB) is None
    assert infers_3gb(nonpaged_max_bytes=128 * MB, bits=32, era=Era.XP_2003, ram_bytes=None) is None
    assert infers_3gb(nonpaged_max_bytes=256 * MB, bits=None, era=None, ram_bytes=None) is None
    assert infers_3gb(nonpaged_max_bytes=256 * MB, bits=32, era=Era.XP_2003, ram_bytes=None) is False
