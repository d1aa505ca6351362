import pytest
from hypothesis import given
from hypothesis import strategies as st

from poolsleuth.windows.builds import Era, WindowsVersion, known_versions, parse_os_name, version_of_build


@pytest.mark.parametrize(
    ("build", "name", "era"),
    [
        (2195, "Windows 2000", Era.W2K),
        (2600, "Windows XP", Era.XP_2003),
        (3790, "Windows Server 2003 or XP x64", Era.XP_2003),
        (6000, "Windows Vista", Era.VISTA_7),
        (6002, "Windows Vista SP2 or Server 2008 SP2", Era.VISTA_7),
        (7601, "Windows 7 SP1 or Server 2008 R2 SP1", Era.VISTA_7),
        (9200, "Windows 8 or Server 2012", Era.W8),
        (9600, "Windows 8.1 or Server 2012 R2", Era.W81_AND_LATER),
        (14393, "Windows 10 1607 or Server 2016", Era.W81_AND_LATER),
        (17763, "Windows 10 1809 or Server 2019", Era.W81_AND_LATER),
        (19045, "Windows 10 22H2", Era.W81_AND_LATER),
        (20348, "Windows Server 2022", Era.W81_AND_LATER),
        (22631, "Windows 11 23H2", Era.W81_AND_LATER),
        (26100, "Windows 11 24H2 or Server 2025", Era.W81_AND_LATER),
    ],
)
def test_a_build_is_named_for_everything_that_has_it(build: int, name: str, era: Era) -> None:
    version = version_of_build(build)

    assert version is not None
    assert (version.name, version.build, version.era) == (name, build, era)


@pytest.mark.parametrize(
    ("build", "server", "name"),
    [
        (9600, True, "Windows Server 2012 R2"),
        (9600, False, "Windows 8.1"),
        (26100, True, "Windows Server 2025"),
        (26100, False, "Windows 11 24H2"),
        (3790, True, "Windows Server 2003"),
        (3790, False, "Windows XP x64"),
        (2195, True, "Windows 2000 Server"),
    ],
)
def test_the_product_type_tells_client_from_server(build: int, server: bool, name: str) -> None:
    era = Era.W2K if build == 2195 else Era.XP_2003 if build == 3790 else Era.W81_AND_LATER
    assert version_of_build(build, server=server) == WindowsVersion(name, build, era, server)


def test_a_32_bit_3790_is_a_server_and_a_64_bit_one_may_be_either() -> None:
    narrow, wide = version_of_build(3790, bits=32), version_of_build(3790, bits=64)

    assert narrow is not None
    assert wide is not None
    assert (narrow.name, narrow.server) == ("Windows Server 2003", True)
    assert (wide.name, wide.server) == ("Windows XP x64 / Server 2003 x64", None)


@pytest.mark.parametrize(
    ("build", "server", "name", "era"),
    [
        (19500, None, "Windows 10 (build 19500)", Era.W81_AND_LATER),
        (14500, True, "Windows Server (build 14500)", Era.W81_AND_LATER),
        (22500, None, "Windows 11 (build 22500)", Era.W81_AND_LATER),
        (27842, None, "Windows 11 (build 27842)", Era.W81_AND_LATER),
        (6801, None, "Windows 7 (build 6801)", Era.VISTA_7),
        (20348, False, "Windows 10 (build 20348)", Era.W81_AND_LATER),
        (6000, True, "Windows Server (build 6000)", Era.VISTA_7),
    ],
)
def test_a_build_that_was_never_released_keeps_its_family(build: int, server: bool | None, name: str, era: Era) -> None:
    assert version_of_build(build, server=server) == WindowsVersion(name, build, era, server)


@pytest.mark.parametrize("build", [-1, 0, 95, 1381, 2194, 32_768, 61_441, 10**12])
def test_nonsense_is_no_build(build: int) -> None:
    assert version_of_build(build) is None


@pytest.mark.parametrize("build", [5384, 8250, 9400])
def test_a_preview_between_two_eras_is_not_guessed(build: int) -> None:
    assert version_of_build(build) is None


@pytest.mark.parametrize(
    ("text", "name", "build", "bits"),
    [
        ("2003", "Windows Server 2003", 3790, None),
        ("server 2003", "Windows Server 2003", 3790, None),
        ("ws2003", "Windows Server 2003", 3790, None),
        ("2003 R2", "Windows Server 2003 R2", 3790, None),
        ("Microsoft(R) Windows(R) Server 2003, Standard x64 Edition", "Windows Server 2003", 3790, 64),
        ("Windows Small Business Server 2003", "Windows Server 2003", 3790, None),
        ("xp", "Windows XP", 2600, None),
        ("WinXP SP3", "Windows XP", 2600, None),
        ("xp64", "Windows XP x64", 3790, 64),
        ("vista", "Windows Vista", 6002, None),
        ("2008", "Windows Server 2008", 6002, None),
        ("2008r2", "Windows Server 2008 R2", 7601, 64),
        ("2008 R2", "Windows Server 2008 R2", 7601, 64),
        ("W2K8R2", "Windows Server 2008 R2", 7601, 64),
        ("Windows Server 2008 R2 Enterprise", "Windows Server 2008 R2", 7601, 64),
        ("win7", "Windows 7", 7601, None),
        ("7", "Windows 7", 7601, None),
        ("Windows 7 Service Pack 1 32-bit", "Windows 7", 7601, 32),
        ("2012", "Windows Server 2012", 9200, 64),
        ("8", "Windows 8", 9200, None),
        ("8.1", "Windows 8.1", 9600, None),
        ("2012r2", "Windows Server 2012 R2", 9600, 64),
        ("10", "Windows 10", 19045, None),
        ("Windows 10 1809", "Windows 10 1809", 17763, None),
        ("Windows 10 Enterprise 2016 LTSB", "Windows 10", 19045, None),
        ("11", "Windows 11", 26200, 64),
        ("Windows 11 24H2", "Windows 11 24H2", 26100, 64),
        ("2016", "Windows Server 2016", 14393, 64),
        ("2019 Datacenter", "Windows Server 2019", 17763, 64),
        ("2022", "Windows Server 2022", 20348, 64),
        ("2025", "Windows Server 2025", 26100, 64),
        ("2000", "Windows 2000", 2195, 32),
        ("Windows 2000 Advanced Server", "Windows 2000 Server", 2195, 32),
        ("NT 5.2", "Windows Server 2003", 3790, None),
        ("6.1.7601", "Windows 7 SP1 or Server 2008 R2 SP1", 7601, None),
        ("10.0.17763.1", "Windows 10 1809 or Server 2019", 17763, None),
        ("19045", "Windows 10 22H2", 19045, None),
        ("20348", "Windows Server 2022", 20348, 64),
    ],
)
def test_names_as_people_type_them(text: str, name: str, build: int, bits: int | None) -> None:
    match = parse_os_name(text)

    assert match is not None
    assert (match.version.name, match.version.build, match.bits) == (name, build, bits)


@pytest.mark.parametrize(
    "text", ["", " ", "windows", "server", "95", "98", "me", "nt4", "linux", "8 GB", "2016 R2", "server 10", "9999999"]
)
def test_what_names_no_windows_is_not_guessed(text: str) -> None:
    assert parse_os_name(text) is None


@given(st.text(max_size=60))
def test_any_text_is_understood_or_not_but_never_an_error(text: str) -> None:
    match = parse_os_name(text)
    assert match is None or match.bits in {None, 32, 64}


@given(st.integers(-10, 70_000))
def test_later_builds_never_fall_back_to_an_earlier_era(build: int) -> None:
    version = version_of_build(build)
    if version is not None:
        assert version.build == build
        assert all(known.era <= version.era for known in known_versions() if known.build <= build)
