import pytest

from poolsleuth.model.facts import Where
from poolsleuth.model.system import BugCheck
from poolsleuth.patterns.blame import blamed_driver


def check(image: str | None, module: str | None = None) -> BugCheck:
    return BugCheck(where=Where(0, 1), code=0x19, image=image, module=module)


@pytest.mark.parametrize("name", ["Pool_Corruption", "memory_corruption", "ntkrnlmp.exe", "Unknown_Image", "nt"])
def test_buckets_and_the_kernel_are_no_drivers(name: str) -> None:
    assert blamed_driver(check(name)) is None


def test_a_driver_is_named_as_printed() -> None:
    assert blamed_driver(check("MyAVDrv.sys")) == "MyAVDrv.sys"
    assert blamed_driver(check(None, "piggy")) == "piggy"
    assert blamed_driver(check(None)) is None
