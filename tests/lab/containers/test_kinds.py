"""Every kind is read back with our own reader, which shares no code with the lab: page for page, and nothing else."""

import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from poolsleuth.kernel.absence import Absence
from poolsleuth.kernel.crash_dump.content import open_content
from poolsleuth.kernel.crash_dump.dump import open_dump
from poolsleuth.kernel.crash_dump.memory import PhysicalMemory
from poolsleuth.lab.containers.header import DumpHeaderFields
from poolsleuth.lab.containers.kinds import DumpKind, write_dump
from poolsleuth.lab.physical import PAGE, PhysicalImage

Header = Callable[..., DumpHeaderFields]
Machine = Callable[..., PhysicalImage]

TYPES = {
    DumpKind.COMPLETE: 1,
    DumpKind.SUMMARY: 2,
    DumpKind.BITMAP_FULL: 5,
    DumpKind.BITMAP_KERNEL: 6,
    DumpKind.AUTOMATIC: 7,
    DumpKind.DEBUGGER_KERNEL: 8,
    DumpKind.DEBUGGER_KERNEL_USER: 9,
    DumpKind.DEBUGGER_FULL: 10,
}
WHOLE = {DumpKind.COMPLETE, DumpKind.BITMAP_FULL, DumpKind.DEBUGGER_FULL}
CASES = [(kind, bits) for kind in TYPES for bits in (32, 64) if bits == 64 or not kind.startswith("debugger")]


def check(memory: PhysicalMemory, image: PhysicalImage, held: set[int]) -> None:
    numbers = np.arange(image.end + 40, dtype=np.int64)
    rows, places = memory.gather(numbers)
    assert set(np.flatnonzero(places >= 0).tolist()) == held
    assert set(places[places < 0].tolist()) <= {int(Absence.NOT_IN_DUMP)}
    for number in held:
        assert rows[number].tobytes() == image.read(number * PAGE, PAGE)


@pytest.mark.parametrize(("kind", "bits"), CASES)
def test_pages_come_back(kind: DumpKind, bits: int, tmp_path: Path, small_machine: Machine, header_of: Header) -> None:
    image = small_machine()
    image.claim(20, 3)  # taken, and zero
    left_out = {6, 21, 64}
    count = write_dump(tmp_path / "a.dmp", image, header_of(bits), kind, leave_out=left_out)
    everything = {number for base, length in image.runs() for number in range(base, base + length)}
    held = (everything if kind in WHOLE else set(image.pages())) - left_out
    with (tmp_path / "a.dmp").open("rb") as file, open_content(file) as content:
        dump = open_dump(content)
        assert dump.flaws == ()
        assert dump.header.dump_type == TYPES[kind]
        assert dump.header.required_dump_space == content.size
        assert dump.memory is not None
        assert dump.memory.pages == count == len(held)
        assert dump.memory.pages_cut_off == 0
        check(dump.memory, image, held)


def pages_strategy() -> st.SearchStrategy[set[int]]:
    return st.sets(st.integers(1, 199), min_size=1, max_size=30)


@settings(max_examples=40, deadline=None)
@given(case=st.sampled_from(CASES), there=pages_strategy(), data=st.data())
def test_any_map_of_pages_comes_back(
    case: tuple[DumpKind, int], there: set[int], data: st.DataObject, header_of: Header
) -> None:
    kind, bits = case
    # Runs out of single pages: those that touch become one
    runs: list[tuple[int, int]] = []
    for number in sorted(there):
        if runs and sum(runs[-1]) == number:
            runs[-1] = (runs[-1][0], runs[-1][1] + 1)
        else:
            runs.append((number, 1))
    image = PhysicalImage(len(there), runs=runs)
    for number in data.draw(st.sets(st.sampled_from(sorted(there)), min_size=1)):
        image.write(number * PAGE + number, b"%d" % number)
    held = there if kind in WHOLE else set(image.pages())
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.dmp"
        write_dump(path, image, header_of(bits), kind)
        with path.open("rb") as file, open_content(file) as content:
            dump = open_dump(content)
            # The header of a summary dump does not say where its bitmap begins: one of few bits may fit two places
            assert [flaw for flaw in dump.flaws if kind is not DumpKind.SUMMARY or "places" not in flaw.says] == []
            assert dump.memory is not None
            check(dump.memory, image, held)
            del dump


def test_a_predicate_leaves_pages_out(tmp_path: Path, small_machine: Machine, header_of: Header) -> None:
    image = small_machine()
    count = write_dump(tmp_path / "a.dmp", image, header_of(64), "bitmap-kernel", leave_out=lambda number: number > 30)
    assert count == 4  # 1, 5, 6, 30


@pytest.mark.parametrize("kind", list(DumpKind))
def test_nothing_is_overwritten(kind: DumpKind, tmp_path: Path, small_machine: Machine, header_of: Header) -> None:
    path = tmp_path / "a.dmp"
    path.write_bytes(b"mine")
    with pytest.raises(FileExistsError, match=r"a\.dmp exists already"):
        write_dump(path, small_machine(), header_of(64), kind)
    assert path.read_bytes() == b"mine"
    assert list(tmp_path.iterdir()) == [path]


def test_a_kind_that_is_none_is_refused(tmp_path: Path, small_machine: Machine, header_of: Header) -> None:
    with pytest.raises(ValueError, match="triage"):
        write_dump(tmp_path / "a.dmp", small_machine(), header_of(64), "triage")
