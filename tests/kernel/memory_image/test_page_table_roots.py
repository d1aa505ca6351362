"""Candidates for page tables: few of them are tried, whatever an image holds."""

import struct
from collections.abc import Iterator

import pytest

from poolsleuth.kernel.crash_dump.content import DumpContent
from poolsleuth.kernel.memory_image import page_table_roots
from poolsleuth.kernel.memory_image.image import MIN_RAW, MemoryImage, open_image
from poolsleuth.kernel.memory_image.page_table_roots import MAX_CANDIDATES, RootCandidate, candidates

PAGE = 4096
PRESENT = 1


def image_of(entries: dict[int, tuple[int, ...]]) -> MemoryImage:
    """A raw image with 64-bit numbers at physical addresses."""
    raw = bytearray(MIN_RAW)
    for address, numbers in entries.items():
        struct.pack_into(f"<{len(numbers)}Q", raw, address, *numbers)
    return open_image(DumpContent(bytes(raw)))


def found_in(image: MemoryImage, architecture: str | None, cr3: tuple[int, ...] = ()) -> list[RootCandidate]:
    return list(candidates(image.memory, image.page_numbers(), architecture, cr3))


def directories(last: int) -> tuple[int, ...]:
    return (0x5000 | PRESENT, 0x6000 | PRESENT, 0x7000 | PRESENT, last | PRESENT)


def test_pae_is_known_by_the_last_page_directory() -> None:
    image = image_of({0x8000: directories(0x8000), 0x123040: directories(0x8000)})
    (found,) = found_in(image, "x86")
    assert (found.architecture, found.pae, found.directory_table_base) == ("x86", True, 0x123040)


def test_a_table_of_x64_that_maps_itself() -> None:
    image = image_of({0x1AD000 + 8 * 0x1ED: (0x1AD000 | 0x63,)})
    assert [(one.architecture, one.directory_table_base) for one in found_in(image, None)] == [
        ("x64", 0x1AD000),
        ("arm64", 0x1AD000),
    ]


def test_pages_that_look_like_directories_do_not_cost_a_search_each(monkeypatch: pytest.MonkeyPatch) -> None:
    searched: list[int] = []

    def search(_: object, four: list[int]) -> Iterator[RootCandidate]:
        searched.append(int(four[3]))
        return iter(())

    monkeypatch.setattr(page_table_roots, "_page_directory_pointers", search)
    image = image_of({number * PAGE: directories(number * PAGE) for number in range(1, 200)})
    assert found_in(image, None) == []
    assert searched == [number * PAGE for number in range(1, page_table_roots.MAX_DIRECTORIES + 1)]


def test_a_core_of_many_processors_gives_few_candidates() -> None:
    cr3 = tuple(0x1000 * number for number in range(1, 4097))
    assert len(found_in(image_of({}), "x64", cr3)) == MAX_CANDIDATES
