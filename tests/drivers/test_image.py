"""What a driver's file says about itself, beside what pefile reads; damage; signatures."""

import random
import struct
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pefile  # type: ignore[import-untyped]
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from poolsleuth.drivers import call_sites, tag_scan
from poolsleuth.drivers.code import Code
from poolsleuth.drivers.image import open_driver, read_driver
from poolsleuth.drivers.image_bytes import MAX_IMAGE
from poolsleuth.drivers.signer import signer_of
from poolsleuth.drivers.summary import summarise
from poolsleuth.drivers.tag_bytes import tag_places
from poolsleuth.drivers.tags import tag_key
from poolsleuth.model.errors import InputError

Drivers = Callable[[str, str], Path]

# The longest that a damaged driver of a few KB may take, in seconds of processor time; a sound one takes 0.02
LONGEST = 5.0


@pytest.mark.parametrize("machine", ["x64", "x86", "arm64"])
def test_imports_and_headers_as_pefile_reads_them(every_call: Drivers, machine: str) -> None:
    path = every_call(machine, "O2")
    driver, other = open_driver(path), pefile.PE(str(path))

    listed = [
        (library.dll.decode().lower(), found.name.decode(), found.address - other.OPTIONAL_HEADER.ImageBase)
        for library in other.DIRECTORY_ENTRY_IMPORT
        for found in library.imports
    ]
    assert [(found.library, found.name, found.slot) for found in driver.imports] == listed
    assert {found.library for found in driver.imports} == {"ntoskrnl.exe", "ndis.sys", "fltmgr.sys", "storport.sys"}
    assert driver.timestamp == other.FILE_HEADER.TimeDateStamp
    assert [s.rva for s in driver.image.sections[1:]] == [s.VirtualAddress for s in other.sections]
    assert (driver.image.machine, driver.packed, driver.signer, driver.version) == (machine, False, None, None)


def test_version_symbols_and_delay_imports(toolchain: Any, header: str) -> None:
    source = header + (
        "void* __stdcall __delayLoadHelper2(void* a, void** b) { return a; }\n"
        "int __stdcall DriverEntry(void* d, void* p) {"
        " return NdisAllocateMemoryWithTag((void**)p, 88, 'leDx'); }\n"
    )
    extra = [toolchain.resource(), "/delayload:ndis.sys", "/debug", "/pdbaltpath:C:\\build\\obj\\mine.pdb"]
    driver = open_driver(toolchain.build("version", source, "x64", "O2", extra))

    assert driver.version is not None
    assert driver.version.company == "Example Company"
    assert driver.version.product == "Example Product"
    assert driver.version.version == "1.2.3.4 (built)"
    assert driver.version.description == "A driver for tests"
    assert driver.version.original_name == "origin.sys"
    assert driver.pdb == "mine.pdb"
    assert [(found.name, found.delayed) for found in driver.imports if found.library == "ndis.sys"] == [
        ("NdisAllocateMemoryWithTag", True)
    ]
    assert [use.tag for use in summarise(driver).uses] == [tag_key("xDel")]


# ---- signatures, written by hand: RFC 5652 and RFC 5280 ----


def der(kind: int, *parts: bytes) -> bytes:
    body = b"".join(parts)
    size = bytes([len(body)]) if len(body) < 128 else b"\x82" + len(body).to_bytes(2, "big")
    return bytes([kind]) + size + body


COMMON_NAME, COUNTRY = bytes.fromhex("0603550403"), bytes.fromhex("0603550406")


def name_of(text: str) -> bytes:
    return der(
        0x30,
        der(0x31, der(0x30, COUNTRY, der(0x13, b"XX"))),
        der(0x31, der(0x30, COMMON_NAME, der(0x0C, text.encode()))),
    )


def certificate(subject: str, issuer: str, serial: int) -> bytes:
    fields = (
        der(0xA0, der(2, b"\2")),
        der(2, bytes([serial])),
        der(0x30),
        name_of(issuer),
        der(0x30),
        name_of(subject),
    )
    return der(0x30, der(0x30, *fields, der(0x30)), der(0x30), der(3, b"\0"))


def signature(issuer: str, serial: int) -> bytes:
    certificates = der(0xA0, certificate("Root", "Root", 1), certificate("Example Müller Ltd", "Root", 7))
    signer = der(0x30, der(2, b"\1"), der(0x30, name_of(issuer), der(2, bytes([serial]))), der(0x30))
    signed = der(0x30, der(2, b"\1"), der(0x31), der(0x30), certificates, der(0x31, signer))
    return der(0x30, bytes.fromhex("06092a864886f70d010702"), der(0xA0, signed))


def test_the_signer_is_the_one_whose_serial_number_is_named(every_call: Drivers) -> None:
    assert signer_of(signature("Root", 7)) == "Example Müller Ltd"
    assert signer_of(signature("Root", 1)) == "Root"
    assert signer_of(signature("Root", 9)) is None

    data = bytearray(every_call("x64", "O2").read_bytes())
    blob = signature("Root", 7)
    entry = struct.pack("<IHH", len(blob) + 8, 0x200, 2) + blob
    at = int.from_bytes(data[0x3C:0x40], "little") + 24 + 112 + 8 * 4
    data[at : at + 8] = struct.pack("<II", len(data), len(entry))
    assert read_driver(bytes(data) + entry, "signed.sys").signer == "Example Müller Ltd"
    assert read_driver(bytes(data), "cut.sys").signer is None


@given(st.integers(0, 2**32), st.integers(1, 6))
@settings(max_examples=200, deadline=None)
def test_a_damaged_signature_names_somebody_or_nobody(seed: int, changes: int) -> None:
    source = random.Random(seed)
    blob = bytearray(signature("Root", 7))
    for _ in range(changes):
        blob[source.randrange(len(blob))] = source.randrange(256)
    found = signer_of(bytes(blob[: source.randrange(len(blob)) + 1] if seed % 2 else blob))
    assert found is None or isinstance(found, str)


# ---- what is no driver ----


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "is empty"),
        (b"hello, world", "does not begin as a Windows image"),
        (b"MZ" + bytes(200), "no PE header"),
        (b"MZ".ljust(0x3C, b"\0") + b"\x40\0\0\0PE\0\0\x00\x02" + bytes(300), "processor that is not supported"),
        (b"MZ".ljust(0x3C, b"\0") + b"\x40\0\0\0PE\0\0\x64\x86" + bytes(300), "damaged headers"),
    ],
)
def test_one_sentence_for_what_is_no_driver(tmp_path: Path, content: bytes, says: str) -> None:
    path = tmp_path / "x.sys"
    path.write_bytes(content)
    with pytest.raises(InputError, match=says):
        open_driver(path)


def test_folders_and_huge_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is no file"):
        open_driver(tmp_path)
    with pytest.raises(InputError, match="could not be read"):
        open_driver(tmp_path / "absent.sys")
    huge = tmp_path / "huge.sys"
    with huge.open("wb") as file:
        file.truncate(MAX_IMAGE + 1)
    with pytest.raises(InputError, match="larger"):
        open_driver(huge)


def test_noise_instead_of_code_looks_packed(every_call: Drivers) -> None:
    path = every_call("x64", "O0")
    data = path.read_bytes()
    pe = pefile.PE(data=data)
    section = pe.sections[0]
    noise = random.Random(1).randbytes(0x8000)
    grown = bytearray(data[: section.PointerToRawData] + noise + data[section.PointerToRawData :])
    at = section.get_file_offset()
    struct.pack_into("<II", grown, at + 8, len(noise), section.VirtualAddress)
    struct.pack_into("<I", grown, at + 16, len(noise))
    assert read_driver(bytes(grown), "noise.sys").packed


@pytest.fixture(scope="session")
def originals(every_call: Drivers, no_tags: Drivers) -> list[bytes]:
    return [every_call(machine, "O2").read_bytes() for machine in ("x64", "x86", "arm64")]


@given(
    which=st.integers(0, 2),
    seed=st.integers(0, 2**32),
    changes=st.integers(0, 60),
    where=st.sampled_from(["all", "head", "imports"]),
)
@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_damage_gives_a_result_or_one_sentence(
    originals: list[bytes], which: int, seed: int, changes: int, where: str
) -> None:
    source = random.Random(seed)
    data = bytearray(originals[which])
    begin, end = {"all": (0, len(data)), "head": (0x40, 0x400), "imports": (len(data) // 2, len(data))}[where]
    for _ in range(changes):
        at = source.randrange(begin, end - 4)
        choice = source.randrange(4)
        if choice == 0:
            data[at] = source.randrange(256)
        elif choice == 1:
            data[at : at + 4] = source.choice((b"\xff\xff\xff\xff", b"\0\0\0\x80", b"\xff\xff\xff\x7f", bytes(4)))
        elif choice == 2:
            length = source.randrange(1, 64)
            other = source.randrange(begin, end)
            data[at : at + length] = data[other : other + length]
        else:
            data[at : at + 4] = struct.pack("<I", source.randrange(0x6000))
    if seed % 5 == 0:
        del data[source.randrange(len(data)) :]
    started = time.process_time()
    try:
        driver = read_driver(bytes(data), "damaged.sys")
        summarise(driver)
        tag_places(driver.image, Code(driver.image), tag_key("File"))
    except InputError as error:
        said = str(error)
    else:
        said = "damaged.sys is read"
    assert said.startswith("damaged.sys ")
    assert time.process_time() - started < LONGEST


@pytest.mark.parametrize("machine", ["x64", "x86", "arm64"])
def test_code_that_calls_everywhere_ends_in_time(
    every_call: Drivers, machine: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The bounds hold, here with a tenth of their numbers.

    Much code of nothing but calls through one slot, or loads of it, or calls of the first byte.
    """
    for module, name, value in (
        (tag_scan, "MAX_SITES", 2000),
        (tag_scan, "MAX_WORK", 40_000),
        (tag_scan, "MAX_WIDE", 50),
        (tag_scan, "MAX_WIDER", 400),
        (tag_scan, "MAX_KEPT", 200),
        (call_sites, "MAX_LOADS", 500),
    ):
        monkeypatch.setattr(module, name, value)
    data = every_call(machine, "O2").read_bytes()
    pe = pefile.PE(data=data)
    section = pe.sections[0]
    slot = open_driver(every_call(machine, "O2")).imports[1].slot
    size = 1 << 18
    for kind in range(3):
        code = bytearray()
        rva = 0x100000
        while len(code) < size:
            at = rva + len(code)
            if machine == "x64":
                head, tail = ((b"\xff\x15", 6), (b"\x48\x8b\x05", 7), (b"\xe8", 5))[kind]
                target = slot if kind < 2 else rva
                code += head + struct.pack("<i", target - at - tail)
            elif machine == "x86":
                head = (b"\xff\x15", b"\x8b\x35", b"\xe8")[kind]
                number = pe.OPTIONAL_HEADER.ImageBase + slot if kind < 2 else rva - at - 5
                code += head + struct.pack("<i", number)
            else:
                page = ((slot & ~0xFFF) - (at & ~0xFFF)) >> 12
                adrp = 0x90000008 | (page & 3) << 29 | (page >> 2 & 0x7FFFF) << 5
                load = 0xF9400108 | (slot & 0xFFF) // 8 << 10
                word = 0x94000000 | ((rva - at) >> 2 & 0x3FFFFFF)
                code += struct.pack("<III", adrp, load, 0xD63F0100) if kind < 2 else struct.pack("<I", word)
        grown = bytearray(data)
        begin = -(-len(grown) // 512) * 512
        grown = grown.ljust(begin, b"\0") + code
        at = section.get_file_offset()
        struct.pack_into("<IIII", grown, at + 40 * (len(pe.sections) - 1) + 8, size, rva, size, begin)
        struct.pack_into("<I", grown, at + 40 * (len(pe.sections) - 1) + 36, 0x60000020)
        struct.pack_into("<I", grown, pe.OPTIONAL_HEADER.get_file_offset() + 56, rva + size)
        started = time.process_time()
        summarise(read_driver(bytes(grown), "everywhere.sys"))
        assert time.process_time() - started < LONGEST
