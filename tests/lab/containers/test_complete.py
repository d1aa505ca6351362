from collections.abc import Callable
from pathlib import Path

import pytest

from poolsleuth.kernel.crash_dump.content import open_content
from poolsleuth.kernel.crash_dump.dump import Container, open_dump
from poolsleuth.lab.containers.complete import write_complete, write_header_only
from poolsleuth.lab.containers.header import DumpHeaderFields
from poolsleuth.lab.physical import PAGE, PhysicalImage

Header = Callable[..., DumpHeaderFields]
Machine = Callable[..., PhysicalImage]


def test_pages_lie_behind_the_header_run_by_run(
    tmp_path: Path, small_machine: Machine, header_of: Header, page_bytes: Callable[[int], bytes]
) -> None:
    write_complete(tmp_path / "a.dmp", small_machine(), header_of(64))
    raw = (tmp_path / "a.dmp").read_bytes()
    assert len(raw) == 0x2000 + 64 * PAGE
    # 64 is the first page of the second run, behind the 30 of the first
    for number, place in ((1, 0), (30, 29), (64, 30), (1013, 63)):
        assert raw[0x2000 + place * PAGE : 0x2000 + (place + 1) * PAGE] == page_bytes(number)


def test_too_many_runs_are_refused_and_leave_no_file(tmp_path: Path, small_machine: Machine, header_of: Header) -> None:
    image = PhysicalImage(1000)
    with pytest.raises(ValueError, match="42 runs"):
        write_complete(tmp_path / "a.dmp", image, header_of(64), left_out=range(300, 400, 2))
    assert list(tmp_path.iterdir()) == []


def test_a_machine_of_64_gb_needs_little_room(tmp_path: Path, header_of: Header) -> None:
    image = PhysicalImage(1 << 24)
    image.write((image.end - 1) * PAGE, b"the last page")
    path = tmp_path / "a.dmp"
    write_complete(path, image, header_of(64))
    found = path.stat()
    assert found.st_size == 0x2000 + (64 << 30)
    if not hasattr(found, "st_blocks") or found.st_blocks * 512 > 1 << 30:
        pytest.skip("the file system has no sparse files")
    assert found.st_blocks * 512 < 1 << 20
    with path.open("rb") as file, open_content(file) as content:
        dump = open_dump(content)
        assert dump.memory is not None
        assert dump.memory.read_physical((image.end - 1) * PAGE, 13) == b"the last page"
        del dump


def test_a_header_alone_holds_no_page(tmp_path: Path, small_machine: Machine, header_of: Header) -> None:
    assert write_header_only(tmp_path / "a.dmp", small_machine(), header_of(32)) == 0
    with (tmp_path / "a.dmp").open("rb") as file, open_content(file) as content:
        dump = open_dump(content)
        assert (dump.container, dump.memory, dump.header.pages) == (Container.HEADER_ONLY, None, 64)
        assert content.size == PAGE
