"""The tag of the block that a bug check is about, out of the dump's own memory."""

from dataclasses import replace
from pathlib import Path

import pytest

from poolsleuth.evidence.dump.reader import read_dump
from poolsleuth.lab.catalogue import windows_named
from poolsleuth.lab.containers.kinds import DumpKind
from poolsleuth.lab.machine import BugCheck as LabBugCheck
from poolsleuth.lab.simulate import simulate
from poolsleuth.lab.stories import make_machine, small_size
from poolsleuth.model.facts import Problem
from poolsleuth.model.system import BugCheck


def tag_of(
    windows: str, code: int, parameters: tuple[int, int, int, int], folder: Path, block: bytes = b""
) -> str | None:
    """Write ``block`` where 1 stands in the parameters (2: behind its header), and read the bug check back."""
    machine = make_machine(windows_named(windows), size=small_size())
    at = 0xFFFFC00000123450 if windows.endswith("x64") else 0x8A123450
    behind = at + (16 if windows.endswith("x64") else 8)  # what the driver has: the header lies in front of it
    given = tuple({1: at, 2: behind}.get(value, value) for value in parameters)
    simulated = simulate(replace(machine, bug_check=LabBugCheck(code, (given[0], given[1], given[2], given[3]))))
    if block:
        simulated.system.map(at & ~0xFFF, 1)
        simulated.system.write(at, block)
    path = folder / "MEMORY.DMP"
    simulated.write(path, DumpKind.BITMAP_FULL)
    problems: list[Problem] = []
    with path.open("rb") as file:
        (check,) = [fact for fact in read_dump(file, 0, problems) if isinstance(fact, BugCheck)]
    assert check.code == code
    return check.tag


@pytest.mark.parametrize("windows", ["3790-x86", "19041-x64"])
def test_the_header_in_memory(windows: str, tmp_path: Path) -> None:
    header = bytes(4) + b"Ntfx"
    assert tag_of(windows, 0x19, (0x20, 1, 0, 0), tmp_path, header) == "Ntfx"


def test_a_protected_tag_is_shown_without_its_mark(tmp_path: Path) -> None:
    assert tag_of("19041-x64", 0x19, (0x20, 1, 0, 0), tmp_path, bytes(4) + b"Evt\xa0") == "Evt"


def test_the_tag_in_a_parameter(tmp_path: Path) -> None:
    tag = int.from_bytes(b"Proc", "little")
    assert tag_of("3790-x86", 0xC2, (0xA, 0x1000, tag, 0), tmp_path) == "Proc"


@pytest.mark.parametrize("block", [b"", bytes(8), bytes(4) + b"\x01\xff\x02\x03"])
def test_no_tag_is_made_up(block: bytes, tmp_path: Path) -> None:
    assert tag_of("19041-x64", 0x19, (0x20, 1, 0, 0), tmp_path, block) is None


@pytest.mark.parametrize("windows", ["7601-x86", "19041-x64"])
def test_the_header_lies_in_front_of_the_block_that_is_freed(windows: str, tmp_path: Path) -> None:
    """0xC2 (7): "Reserved | Pool header contents | Address of the block of pool being freed"."""
    assert tag_of(windows, 0xC2, (0x7, 0, 0, 2), tmp_path, bytes(4) + b"Twic" + bytes(4) + b"Xxxx") == "Twic"
