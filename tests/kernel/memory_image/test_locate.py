"""The kernel of a raw image is found without being told where its page tables are, and read in its own mode only."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from poolsleuth.kernel.crash_dump.content import open_content
from poolsleuth.kernel.memory_image.image import MemoryImage, open_image
from poolsleuth.kernel.memory_image.locate import locate_kernel
from poolsleuth.kernel.paging.layout import Mode
from poolsleuth.lab.catalogue import windows_named
from poolsleuth.lab.containers.kinds import DumpKind
from poolsleuth.lab.machine import Hidden, SimulatedWindows
from poolsleuth.lab.simulate import simulate
from poolsleuth.lab.stories import make_machine, small_size
from poolsleuth.windows.kernel_table import PdbId


def no_symbols(_: PdbId) -> tuple[None, tuple[str, ...]]:
    return None, ()


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MemoryImage]:
    path = tmp_path_factory.mktemp("image") / "memory.raw"
    machine = make_machine(windows_named("19041-x64"), "healthy", size=small_size(), hidden=Hidden())
    simulate(machine).write(path, DumpKind.RAW)
    with path.open("rb") as file, open_content(file) as content:
        yield open_image(content)


def test_the_kernel_of_a_raw_image(image: MemoryImage) -> None:
    found = locate_kernel(image, no_symbols)
    assert found is not None
    assert (found.kernel.build, found.kernel.architecture, found.parameters.mode) == (19041, "x64", Mode.X64)


def test_an_x64_kernel_is_not_read_as_arm64(image: MemoryImage) -> None:
    """Valid entries of the two are so alike that the walk for the one leads through the tables of the other."""
    found = locate_kernel(image, no_symbols)
    assert found is not None
    other = replace(image, architecture="arm64")
    assert locate_kernel(other, no_symbols) is None
    assert locate_kernel(other, no_symbols, directory_table_base=found.directory_table_base) is None


def test_page_tables_of_five_levels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    machine = make_machine(windows_named("20348-x64"), "healthy", size=small_size(), hidden=Hidden())
    monkeypatch.setattr(SimulatedWindows, "mode", property(lambda _: "la57"))
    path = tmp_path / "memory.raw"
    simulate(machine).write(path, DumpKind.RAW)
    with path.open("rb") as file, open_content(file) as content:
        found = locate_kernel(open_image(content), no_symbols)
        assert found is not None
        assert (found.kernel.build, found.parameters.mode) == (20348, Mode.X64_LA57)
