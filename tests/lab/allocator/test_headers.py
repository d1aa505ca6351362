"""Headers as bytes, computed by hand from the public layouts."""

import pytest

from poolsleuth.lab.allocator.headers import (
    X64,
    X86,
    form_of,
    read_header,
    request_type,
    stored_type,
    tag_number,
    tag_text,
    write_header,
    write_previous,
)


def test_bytes_of_both_forms() -> None:
    page = bytearray(32)
    # x86: 9 bits of size below 7 of index or type: 0x144 | 1 << 9 = 0x344, 0x003 | 5 << 9 = 0xA03
    write_header(page, 0, X86, (0x144, 1, 3, 5, tag_number("ReEv")))
    assert page[:8].hex() == "4403030a" + b"ReEv".hex()
    assert read_header(page, 0, X86) == (0x144, 1, 3, 5, int.from_bytes(b"ReEv", "little"))
    # x64: a byte each
    write_header(page, 16, X64, (0xF1, 2, 0x0E, 0x0B, tag_number("Irp")))
    assert page[16:24].hex() == "f1020e0b" + b"Irp ".hex()
    write_previous(page, 0, X86, 0x1FF)
    write_previous(page, 16, X64, 0x10)
    assert read_header(page, 0, X86)[:3] == (0x1FF, 1, 3)
    assert read_header(page, 16, X64)[:3] == (0x10, 2, 0x0E)


def test_forms() -> None:
    assert (X86.units, X86.largest, X64.units, X64.largest) == (512, 0xFF0, 256, 0xFE0)
    assert (form_of(4), form_of(8)) == (X86, X64)
    with pytest.raises(ValueError, match="4 or 8"):
        form_of(2)


def test_types_and_tags() -> None:
    assert [request_type(pool) for pool in ("nonpaged", "paged", "session")] == [0, 1, 0x21]
    assert stored_type(0x200, 2600) == 1  # memory without execution does not show in a header
    assert (stored_type(0x200, 9600), stored_type(0x29, 9600)) == (2, 0x2B)
    assert tag_text(tag_number("Ab\x01c") | 0x8000_0000) == "Ab\x01c"
    with pytest.raises(ValueError, match="four characters"):
        tag_number("Longer")
