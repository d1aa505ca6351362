import struct

import pytest

from poolsleuth.lab.containers.context import ARM64, X64, X86, ExceptionFields, context_record


def test_registers_lie_where_winnt_says() -> None:
    x64 = context_record(X64, {"rip": 0xFFFFF80001234567, "rsp": -8, "r15": 15, "cs": 0x33})
    assert len(x64) == 1232
    assert struct.unpack_from("<Q", x64, 0xF8) == (0xFFFFF80001234567,)
    assert struct.unpack_from("<Q", x64, 0x98) == (0xFFFFFFFFFFFFFFF8,)
    assert struct.unpack_from("<Q", x64, 0xF0) == (15,)
    assert struct.unpack_from("<H", x64, 0x38) == (0x33,)
    assert x64[0x34:0x38] == x64[0x118:0x11C] == struct.pack("<I", 0x1F80)
    x86 = context_record(X86, {"eip": 0x80501234, "esp": 0x80551000})
    assert len(x86) == 716
    assert struct.unpack_from("<I", x86, 0xB8) == (0x80501234,)
    assert struct.unpack_from("<I", x86, 0xC4) == (0x80551000,)
    arm64 = context_record(ARM64, {"pc": 5, "sp": 6, "x28": 7})
    assert len(arm64) == 912
    assert struct.unpack_from("<QQ", arm64, 0x100) == (6, 5)
    assert struct.unpack_from("<Q", arm64, 0xE8) == (7,)


def test_what_is_not_known_is_refused() -> None:
    with pytest.raises(ValueError, match="0x1c4"):
        context_record(0x1C4)
    with pytest.raises(ValueError, match="no register eip"):
        context_record(X64, {"eip": 1})


def test_exception_records_have_their_sizes() -> None:
    record = ExceptionFields(code=0xC0000005, address=0xFFFFF80000001000, flags=1, information=(0, 0x10))
    assert record.packed(8)[:0x30] == struct.pack("<IIQQI4xQQ", 0xC0000005, 1, 0, 0xFFFFF80000001000, 2, 0, 0x10)
    assert len(record.packed(8)) == 0x98
    assert record.packed(4)[:0x1C] == struct.pack("<7I", 0xC0000005, 1, 0, 0x1000, 2, 0, 0x10)
    assert len(record.packed(4)) == 0x50
