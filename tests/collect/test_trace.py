"""The trace of one tag: xperf's words, and a profile for wpr that is XML with the elements of its schema."""

import xml.etree.ElementTree as ET
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from poolsleuth.collect.request import DAY, Request
from poolsleuth.collect.trace import filters, wpr_profile, wpr_start, wpr_stop, xperf_start, xperf_stop

MMST = Request(windows=None, duration=DAY, interval=300, max_mb=300, folder="C:\\PoolLogs", tags=("MmSt",))


def test_xperf() -> None:
    command = xperf_start(replace(MMST, tags=("MmSt", "Irp ", "MmSt")))
    assert command.startswith(
        "xperf -on PROC_THREAD+LOADER+POOL -stackwalk PoolAlloc+PoolFree+PoolAllocSession+PoolFreeSession "
        "-PoolTag MmSt+Irp? "
    )
    assert command.endswith(" -MaxFile 300 -FileMode Circular")
    assert xperf_stop(MMST) == r'xperf -stop -d "C:\PoolLogs\%COMPUTERNAME%_pool.etl"'


def test_wpr() -> None:
    assert wpr_start("%~dp0") == 'wpr -start "%~dp0pool-tag.wprp!PoolTag"'
    assert wpr_stop(MMST) == r'wpr -stop "C:\PoolLogs\%COMPUTERNAME%_pool.etl"'


@given(
    st.lists(
        st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=4), min_size=1, max_size=4
    )
)
def test_profile_holds_the_filters_whatever_the_tags(tags: list[str]) -> None:
    request = replace(MMST, tags=tuple(tags))
    profiles = ET.fromstring(wpr_profile(request)).find("Profiles")
    assert profiles is not None
    provider = profiles.find("SystemProvider")
    assert provider is not None
    assert [child.tag for child in provider] == ["Keywords", "Stacks", "PoolTags"]  # the order of the schema
    assert tuple(tag.get("Value") for tag in provider.iter("PoolTag")) == filters(request)
    profile = profiles.find("Profile")
    assert profile is not None
    # The id of a profile is its name, its detail and where it logs
    assert profile.get("Id") == ".".join(profile.get(key, "") for key in ("Name", "DetailLevel", "LoggingMode"))
