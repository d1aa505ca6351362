import struct
from collections.abc import Callable

import pytest

from poolsleuth.kernel.crash_dump.content import DumpContent
from poolsleuth.kernel.crash_dump.header import read_header
from poolsleuth.lab.containers.context import ARM64, ExceptionFields
from poolsleuth.lab.containers.header import DumpHeaderFields, header_bytes

Header = Callable[..., DumpHeaderFields]


@pytest.mark.parametrize("bits", [32, 64])
def test_our_reader_finds_every_field(bits: int, header_of: Header) -> None:
    fields = header_of(bits)
    flaws: list[object] = []
    raw = bytes(header_bytes(fields, 1, file_size=0x123000, runs=((1, 5), (16, 2))))
    read = read_header(DumpContent(raw), flaws)  # type: ignore[arg-type]
    assert flaws == []
    for name in fields.__dataclass_fields__:
        if name not in ("context", "exception", "version_user", "pae"):
            assert getattr(read, name) == getattr(fields, name), name
    assert read.pae is (True if bits == 32 else None)
    assert [(run.base, run.pages) for run in read.runs] == [(1, 5), (16, 2)]
    assert read.pages == 7
    assert read.exception_code == 0x80000003
    assert read.exception_address == (0xFFFFF80002A05151 if bits == 64 else 0x80505151)
    assert read.required_dump_space == 0x123000
    at, room = read.context
    assert fields.context is not None
    assert raw[at : at + len(fields.context)] == fields.context
    assert set(raw[at + len(fields.context) : at + room]) == set(b"PAGE")


def test_what_is_not_known_is_the_pattern() -> None:
    fields = DumpHeaderFields(
        bits=64, build=19041, directory_table_base=0x1AD002, machine_type=ARM64, product_type=None, suite_mask=None
    )
    raw = header_bytes(fields, 6, file_size=0x3000)
    assert raw[:16] == b"PAGEDU64" + struct.pack("<II", 15, 19041)
    # PhysicalMemoryBlock, CONTEXT, and what follows the dump type up to the required space
    for begin, end in ((0x60, 0xF98), (0xFA8, 0x2000)):
        assert raw[begin:end] == b"PAGE" * ((end - begin) // 4)
    assert struct.unpack_from("<I", raw, 0xF98) == (6,)


def test_the_runs_have_the_widths_of_their_header(header_of: Header) -> None:
    narrow = header_bytes(header_of(32), 1, file_size=0, runs=((1, 0x9E), (0x100, 0xEFF)))
    assert struct.unpack_from("<6I", narrow, 0x64) == (2, 0xF9D, 1, 0x9E, 0x100, 0xEFF)
    wide = header_bytes(header_of(64), 1, file_size=0, runs=((1, 0x9E), (0x100000, 0xEFF)))
    assert struct.unpack_from("<I4xQ4Q", wide, 0x88) == (2, 0xF9D, 1, 0x9E, 0x100000, 0xEFF)


@pytest.mark.parametrize(("bits", "most"), [(32, 86), (64, 42)])
def test_runs_fill_their_block_and_no_more(bits: int, most: int, header_of: Header) -> None:
    runs = [(2 * i + 1, 1) for i in range(most)]
    raw = header_bytes(header_of(bits), 1, file_size=0, runs=runs)
    begin = 0x88 if bits == 64 else 0x64
    assert raw[begin + 700 : begin + 704] == (
        b"PAGE" if bits == 64 else header_bytes(header_of(32), 1, file_size=0)[800:804]
    )
    with pytest.raises(ValueError, match=f"room for {most} runs"):
        header_bytes(header_of(bits), 1, file_size=0, runs=[*runs, (5000, 1)])


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"machine_type": 0x14C}, "no header of 64 bits"),
        ({"comment": "x" * 128}, "127 characters"),
        ({"version_user": "x" * 32}, "31 characters"),
        ({"context": bytes(3001)}, "3000 bytes"),
        ({"exception": ExceptionFields(code=1, address=2, information=[0] * 16)}, "15 values"),
    ],
)
def test_what_does_not_fit_is_refused(change: dict[str, object], says: str) -> None:
    known: dict[str, object] = {"bits": 64, "build": 7601, "directory_table_base": 0, "machine_type": 0x8664}
    with pytest.raises(ValueError, match=says):
        header_bytes(DumpHeaderFields(**(known | change)), 1, file_size=0)  # type: ignore[arg-type]
