"""Searching memory: every hit in the range and no other, across pages, and never in what is missing."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from poolsleuth.debugger.commands import search
from poolsleuth.debugger.commands.search import COMMANDS
from poolsleuth.debugger.target import Target
from poolsleuth.kernel.absence import Absence
from poolsleuth.kernel.address_space import Reader
from poolsleuth.kernel.target import Kernel

PAGE = 4096
Run = Callable[..., list[str]]


class Pages:
    """Memory of a few pages, all others missing."""

    pointer_size = 8

    def __init__(self, pages: dict[int, bytes]) -> None:
        self.pages = pages

    def read(self, address: int, size: int) -> bytes | Absence:
        parts = b""
        for page in range(address // PAGE, (address + size - 1) // PAGE + 1):
            if page not in self.pages:
                return Absence.NOT_IN_DUMP
            parts += self.pages[page]
        return parts[address % PAGE :][:size]

    def gather(self, numbers: NDArray[np.uint64]) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
        rows = np.zeros((len(numbers), PAGE), np.uint8)
        places = np.full(len(numbers), int(Absence.NOT_IN_DUMP), np.int64)
        for row, number in enumerate(numbers.tolist()):
            if number in self.pages:
                rows[row] = np.frombuffer(self.pages[number], np.uint8)
                places[row] = 0
        return rows, places


def target(pages: dict[int, bytes]) -> Target:
    kernel = Kernel(
        memory=Reader(Pages(pages)),
        build=7601,
        architecture="x64",
        pae=None,
        base=0x100000,
        size=PAGE,
        pdb=None,
        processors=1,
        table=None,
    )
    return Target(kernel=kernel)


def hits(pages: dict[int, bytes], command: str) -> list[int]:
    match = COMMANDS[0].name.match(command)
    assert match is not None
    lines = COMMANDS[0].run(target(pages), match, command[match.end() :].strip())
    return [int(line.split()[0].replace("`", ""), 16) for line in lines]


def page(*places: int, value: bytes = b"Leak") -> bytes:
    raw = bytearray(b"\xee" * PAGE)
    for place in places:
        raw[place : place + len(value)] = value
    return bytes(raw)


def test_at_whole_widths_only() -> None:
    pages = {0x10: page(0, 5, 0x100, 0xFFC)}
    assert hits(pages, "s -d 10000 L?400 6b61654c") == [0x10000, 0x10100, 0x10FFC]
    assert hits(pages, "s -d 10001 11000 6b61654c") == [0x10005]
    assert hits(pages, 's -a 10000 11000 "Leak"') == [0x10000, 0x10005, 0x10100, 0x10FFC]


def test_only_inside_of_the_range() -> None:
    pages = {0x10: page(0, 0x100, 0x200)}
    assert hits(pages, "s -d 10004 10200 6b61654c") == [0x10100]
    assert hits(pages, "s -d 10004 10203 6b61654c") == [0x10100]  # not all of it lies in the range
    assert hits(pages, "s -d 10004 10204 6b61654c") == [0x10100, 0x10200]


def test_across_pages_and_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = bytearray(page()), bytearray(page())
    first[-2:], second[:2] = b"Le", b"ak"
    pages = {0x10: bytes(first), 0x11: bytes(second)}
    assert hits(pages, 's -a 10000 12000 "Leak"') == [0x10FFE]
    monkeypatch.setattr(search, "_PAGES_AT_ONCE", 1)
    assert hits(pages, 's -a 10000 12000 "Leak"') == [0x10FFE]
    assert hits({0x10: bytes(first)}, 's -a 10000 12000 "Leak"') == []


def test_zeros_of_missing_pages_are_no_hits() -> None:
    assert hits({0x10: page()}, "s -d 10000 L?1000 0") == []
    assert hits({0x10: page(8, value=bytes(4))}, "s -d 10000 L?1000 0") == [0x10008]


def test_values_behind_each_other_and_other_widths() -> None:
    pages = {0x10: page(0x20, value=bytes(range(1, 17)))}
    assert hits(pages, "s -d 10000 L?400 04030201 08070605") == [0x10020]
    assert hits(pages, "s-q 10000 L?200 0807060504030201") == [0x10020]
    assert hits(pages, "s -w 10000 L?800 0403") == [0x10022]
    assert hits(pages, "s -b 10000 L?1000 3 4") == [0x10022]
    assert hits(pages, "s 10000 L?1000 3 4") == [0x10022]
    assert hits({0x10: page(1, value="Ab".encode("utf-16-le"))}, 's -u 10000 L?1000 "Ab"') == [0x10001]


@given(st.lists(st.integers(0, 3 * PAGE - 4), max_size=8), st.integers(0, 64), st.integers(1, 3 * PAGE))
def test_against_a_plain_search(places: list[int], start: int, size: int) -> None:
    raw = bytearray(b"\xee" * 3 * PAGE)
    for place in places:
        raw[place : place + 4] = b"Leak"
    pages = {0x10 + n: bytes(raw[n * PAGE : (n + 1) * PAGE]) for n in range(3)}
    end = min(start + size, 3 * PAGE)
    text = [at for at in range(start, end - 3) if raw[at : at + 4] == b"Leak"]
    if end <= start:
        return
    assert hits(pages, f's -a {0x10000 + start:x} {0x10000 + end:x} "Leak"') == [0x10000 + at for at in text]
    assert hits(pages, f"s -d {0x10000 + start:x} {0x10000 + end:x} 6b61654c") == [
        0x10000 + at for at in text if (at - start) % 4 == 0
    ]


def test_too_many_hits_are_cut(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search, "MAX_HITS", 3)
    lines = run("!for_each_module s-d @#Base @#End 00905a4d")
    assert len(lines) == 5
    assert lines[3] == "..."
    assert "go on from" in lines[4]


def test_too_much_memory_is_cut(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search, "MAX_PAGES", 8)
    lines = run("s -d 0 ffffffffffffffff 12345678")
    assert lines[-2] == "..."
    assert "were looked at; go on from" in lines[-1]


def test_a_kernel_as_a_whole(run: Run, target_of: Callable[..., Target]) -> None:
    base = target_of("19041-x64").kernel.base
    lines = run("s -q ffff8000`00000000 ffffffff`ffffffff nt")
    assert lines
    assert all(line.split()[1] == target_of("19041-x64").address(base) for line in lines)
