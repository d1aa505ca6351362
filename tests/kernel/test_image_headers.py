"""Headers, imports and exports of images in memory: those that were built, and any damage to them."""

from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from poolsleuth.kernel.absence import Absence
from poolsleuth.kernel.address_space import Reader
from poolsleuth.kernel.export_names import read_export_names
from poolsleuth.kernel.image import read_exports, read_image
from poolsleuth.kernel.image_headers import read_headers, read_import_names
from poolsleuth.lab.pe_image import CODE, DATA, Section, build_image

PAGE = 4096
BASE = 0xFFFFF80000100000
IMPORTS = {"ExAllocatePool": BASE + 0x1010, "ExFreePool": BASE + 0x1020, "_wcsnicmp": BASE + 0x1030}
EXPORTS = {f"Routine{number:03}": BASE + 0x2000 + 16 * number for number in range(200)}


class Flat:
    """One piece of memory at ``BASE``, some pages of it missing."""

    pointer_size = 8

    def __init__(self, raw: bytes, lost: frozenset[int] = frozenset()) -> None:
        self.raw, self.lost = raw, lost

    def read(self, address: int, size: int) -> bytes | Absence:
        at = address - BASE
        if (
            at < 0
            or at + size > len(self.raw)
            or any(p in self.lost for p in range(at // PAGE, (at + size) // PAGE + 1))
        ):
            return Absence.NOT_IN_DUMP
        return self.raw[at : at + size]

    def gather(self, pages: NDArray[np.uint64]) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
        rows = np.zeros((len(pages), PAGE), np.uint8)
        places = np.full(len(pages), int(Absence.NOT_IN_DUMP), np.int64)
        for row, page in enumerate(pages.tolist()):
            found = self.read(page * PAGE, PAGE)
            if isinstance(found, bytes):
                rows[row], places[row] = np.frombuffer(found, np.uint8), 0
        return rows, places


@cache
def image(wide: bool) -> bytes:
    raw = bytearray(16 * PAGE)
    pieces = build_image(
        wide=wide,
        base=BASE if wide else BASE & 0xFFFFFFFF,
        size=len(raw),
        timestamp=0x4CE7B8F0,
        checksum=0x4984C,
        sections=(Section(".text", 0x1000, 0x2000, CODE), Section(".data", 0x3000, 0x800, DATA)),
        version=(6, 1, 7601),
        imports=IMPORTS,
        imports_at=0x4000,
        exports={name: place if wide else place & 0xFFFFFFFF for name, place in EXPORTS.items()},
        exports_at=0x6000,
    )
    for at, data in pieces:
        raw[at : at + len(data)] = data
    return bytes(raw)


@pytest.mark.parametrize("wide", [True, False])
def test_what_was_built(wide: bool) -> None:
    memory = Reader(Flat(image(wide)))
    headers = read_headers(memory, BASE)
    assert headers is not None
    assert headers.wide is wide
    assert (headers.timestamp, headers.optional["CheckSum"]) == (0x4CE7B8F0, 0x4984C)
    assert headers.optional["ImageBase"] == (BASE if wide else BASE & 0xFFFFFFFF)
    assert [(s.name, s.virtual_address, s.virtual_size, s.flags) for s in headers.sections] == [
        (".text", 0x1000, 0x2000, CODE),
        (".data", 0x3000, 0x800, DATA),
    ]
    found = list(read_import_names(memory, headers) or ())
    assert [(one.library, one.name) for one in found] == [("ntoskrnl.exe", name) for name in IMPORTS]
    mask = (1 << (64 if wide else 32)) - 1
    assert [one.value for one in found] == [value & mask for value in IMPORTS.values()]


@pytest.mark.parametrize("wide", [True, False])
def test_all_exports_are_those_that_are_found_by_name(wide: bool) -> None:
    memory = Reader(Flat(image(wide)))
    headers = read_image(memory, BASE)
    assert headers is not None
    found = read_export_names(memory, headers)
    assert found == EXPORTS
    assert found == read_exports(memory, headers, EXPORTS)


def test_exports_in_missing_pages_are_left_out() -> None:
    whole = Reader(Flat(image(True)))
    headers = read_image(whole, BASE)
    assert headers is not None
    found = read_export_names(Reader(Flat(image(True), frozenset({7}))), headers)
    assert found.items() < EXPORTS.items()
    assert read_export_names(Reader(Flat(image(True), frozenset({6}))), headers) == {}


@settings(deadline=None, max_examples=150)
@given(
    st.booleans(),
    st.lists(st.tuples(st.integers(0, 8 * PAGE), st.binary(min_size=1, max_size=8)), max_size=6),
    st.frozensets(st.integers(0, 15), max_size=3),
    st.integers(0x40, 16 * PAGE),
)
def test_any_damage_gives_something_or_nothing(
    wide: bool, changes: list[tuple[int, bytes]], lost: frozenset[int], end: int
) -> None:
    raw = bytearray(image(wide))
    for at, data in changes:
        raw[at : at + len(data)] = data
    memory = Reader(Flat(bytes(raw[:end]), lost))
    headers = read_headers(memory, BASE)
    if headers is not None:
        for one in read_import_names(memory, headers) or ():
            assert one.name.isprintable()
    found = read_image(memory, BASE)
    if found is not None:
        assert all(name.isprintable() for name in read_export_names(memory, found))
