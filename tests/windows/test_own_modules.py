import pytest

from poolsleuth.windows.own_modules import is_windows_module


@pytest.mark.parametrize(
    "name", ["nt", "ntkrnlpa.exe", "HAL.dll", "fltmgr.sys", "NDIS.SYS", "Wdf01000.sys", "win32k.sys"]
)
def test_frameworks_and_the_kernel_are_known(name: str) -> None:
    assert is_windows_module(name)


@pytest.mark.parametrize("name", ["leaky.sys", "ndis2.sys", "hallo.sys", "nvlddmkm.sys", ""])
def test_others_are_not(name: str) -> None:
    assert not is_windows_module(name)


def test_who_names_microsoft_as_its_company_is_one_of_them() -> None:
    assert is_windows_module("newthing.sys", "Microsoft Corporation")
    assert not is_windows_module("newthing.sys", "Micro Soft Toys")
