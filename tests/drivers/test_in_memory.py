"""A few tags in many images: what is looked for first loses nothing, and no memory breaks it."""

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from poolsleuth.drivers.image import open_driver
from poolsleuth.drivers.image_bytes import ImageBytes
from poolsleuth.drivers.imports import read_imports
from poolsleuth.drivers.in_memory import code_of_files, code_of_image
from poolsleuth.drivers.tag_bytes import held_tags
from poolsleuth.drivers.tag_functions import TAG_FUNCTIONS, Use
from poolsleuth.drivers.tag_scan import Scan, scan_file_image
from poolsleuth.drivers.tags import tag_key, tag_text
from poolsleuth.model.errors import InputError
from poolsleuth.model.tag_code import CodeUse, ImageCode

Drivers = Callable[[str, str], Path]
PAGE, BASE = 0x1000, 0xFFFFF80012340000
MACHINES = ("x64", "x86", "arm64")
ALLOCATES = (Use.ALLOCATION, Use.LOOKASIDE)


def mapped(image: ImageBytes) -> tuple[bytearray, dict[int, str]]:
    """The image as the loader maps it: slots hold addresses of functions, given with their names."""
    memory = bytearray(-(-image.size // PAGE) * PAGE)
    for section in image.sections:
        memory[section.rva : section.rva + len(section.data)] = section.data
    functions = {}
    width = image.bits // 8
    for number, found in enumerate(read_imports(image)):
        address = (0x80501000 if image.bits == 32 else 0xFFFFF80055501000) + 0x140 * number
        memory[found.slot : found.slot + width] = address.to_bytes(width, "little")
        functions[address] = found.name
    return memory, functions


def reader(
    memory: bytes | bytearray, base: int, gone: frozenset[int] = frozenset()
) -> Callable[[int, int], bytes | None]:
    def read(address: int, size: int) -> bytes | None:
        at = address - base
        if (
            at < 0
            or at + size > len(memory)
            or any(page in gone for page in range(at // PAGE, (at + size - 1) // PAGE + 1))
        ):
            return None
        return bytes(memory[at : at + size])

    return read


def at_calls(scan: Scan, key: int) -> set[int]:
    return {use.rva for use in scan.uses if use.tag == key and use.use in ALLOCATES and use.certain}


def found(code: ImageCode, tag: str) -> set[int]:
    return {place for use in code.uses if use.tag == tag and use.use is CodeUse.ALLOCATES for place in use.places}


@pytest.mark.parametrize("level", ["O0", "O2"])
@pytest.mark.parametrize("machine", MACHINES)
def test_the_look_around_a_tag_s_bytes_finds_what_a_look_at_all_calls_finds(
    machine: str, level: str, every_call: Drivers
) -> None:
    path = every_call(machine, level)
    image = open_driver(path).image
    whole = scan_file_image(image)
    keys = sorted({use.tag for use in whole.uses if use.use in ALLOCATES})
    assert len(keys) > 20
    held = [key for key in keys if any(held_tags(s.data, [key], arm64=machine == "arm64") for s in image.sections[1:])]
    assert len(held) > 20
    for key in held:
        (one,) = code_of_files([path], [tag_text(key)])
        assert one.code is not None
        assert found(one.code, tag_text(key)) == at_calls(whole, key), tag_text(key)


@pytest.mark.parametrize("machine", MACHINES)
def test_letters_that_are_no_tags_are_never_at_a_call(machine: str, no_tags: Drivers) -> None:
    path = no_tags(machine, "O2")
    tags = [letter * 4 for letter in "ABCDEFGHIJKLMNOPQRSTUVWXYZ"]
    (one,) = code_of_files([path], tags)
    assert one.code is not None
    assert {use.use for use in one.code.uses} <= {CodeUse.CONSTANT, CodeUse.DATA}
    assert one.code.uses


@pytest.mark.parametrize("headers", [True, False])
@pytest.mark.parametrize("machine", MACHINES)
def test_in_memory_with_and_without_headers(machine: str, headers: bool, every_call: Drivers) -> None:
    image = open_driver(every_call(machine, "O2")).image
    base = image.base if machine == "x86" else BASE  # without relocation
    memory, functions = mapped(image)
    if not headers:
        memory[:PAGE] = bytes(PAGE)
    names = frozenset(TAG_FUNCTIONS)
    known = {address: name for address, name in functions.items() if name.lstrip("_").partition("@")[0] in names}
    code = code_of_image(reader(memory, base), base, len(memory), machine, known, ["File", "Wrap", "Loop"])
    assert code.headless is not headers
    whole = scan_file_image(image)
    for tag in ("File", "Wrap", "Loop"):
        assert found(code, tag) == at_calls(whole, tag_key(tag)) != set()


def test_missing_pages_are_counted(every_call: Drivers) -> None:
    image = open_driver(every_call("x64", "O2")).image
    memory, functions = mapped(image)
    (text,) = [section for section in image.sections if section.name == ".text"]
    gone = frozenset({text.rva // PAGE})
    code = code_of_image(reader(memory, BASE, gone), BASE, len(memory), "x64", functions, ["File"])
    assert 0 < code.unread_code <= min(PAGE, len(text.data))
    assert code.unread_pageable == 0
    assert not found(code, "File")
    everything = frozenset(range(len(memory) // PAGE))
    with pytest.raises(InputError):
        code_of_image(reader(memory, BASE, everything), BASE, len(memory), "x64", functions, ["File"])


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_no_memory_breaks_it(every_call: Drivers, data: st.DataObject) -> None:
    machine = data.draw(st.sampled_from(MACHINES))
    image = open_driver(every_call(machine, "O2")).image
    memory, functions = mapped(image)
    for _ in range(data.draw(st.integers(1, 8))):
        at = data.draw(st.integers(0, min(len(memory), 3 * PAGE) - 1))
        raw = data.draw(st.binary(min_size=1, max_size=8))
        memory[at : at + len(raw)] = raw
    gone = frozenset(data.draw(st.lists(st.integers(0, len(memory) // PAGE), max_size=3)))
    tags = ["File", "Wrap", data.draw(st.text(max_size=4))]
    try:
        code = code_of_image(reader(memory, BASE, gone), BASE, len(memory), machine, functions, tags)
    except InputError:
        return
    assert {use.tag for use in code.uses} <= {"File", "Wrap", tags[-1].rstrip(" \0")}


@given(st.binary(max_size=64), st.lists(st.sampled_from(["Leak", "Irp", "Ab", "zzzz"]), max_size=4))
def test_many_tags_in_one_pass(noise: bytes, put: list[str]) -> None:
    data = noise + b"".join(noise[:3] + tag.encode().ljust(4) for tag in put)
    keys = {tag: tag_key(tag) for tag in ("Leak", "Irp", "Ab", "zzzz", "None")}
    held = held_tags(data, list(keys.values()), arm64=False)
    assert {keys[tag] for tag in put} <= held
    for key in held:
        plain = key.to_bytes(4, "little")
        forms = {plain, plain.rstrip(b" ").ljust(4, b"\0")}
        forms |= {form[:3] + bytes((form[3] | 0x80,)) for form in forms}
        assert any(form in data for form in forms)
