"""Structure layouts by build, compared with the true symbol tables where they are at hand."""

import json
import lzma
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from poolsleuth.windows.kernel_table import Field
from poolsleuth.windows.structure_layouts import known_layouts, layouts_for

SYMBOLS = Path(__file__).parents[3] / "shared" / "data" / "symbols"
SERVICED = ("_EPROCESS", "_KPROCESS", "_ETHREAD", "_KTHREAD", "_MM_SESSION_SPACE", "_MMPTE_TRANSITION")
BUILDS = (7601, 9600, 14393, 17763, 20348)


@cache
def true_types(build: int) -> dict[str, Any]:
    paths = list(SYMBOLS.glob(f"ntkrnlmp_*.{build}.*.json.xz"))
    if not paths:
        pytest.skip(f"the symbol table of {build} is not there")
    types: dict[str, Any] = json.loads(lzma.decompress(paths[0].read_bytes()))["user_types"]
    return types


@pytest.mark.parametrize("build", BUILDS)
def test_agrees_with_real_symbols(build: int) -> None:
    types = true_types(build)
    compared = 0
    for name, layout in layouts_for(build, "x64").structures.items():
        true = types.get(name)
        if true is None or name in SERVICED or name == "_LDR_DATA_TABLE_ENTRY":
            continue
        assert layout.size == true["size"], name
        for path, place in layout.fields.items():
            if "." not in path:
                assert place.offset == true["fields"][path]["offset"], (name, path)
                compared += 1
    assert compared > 40


@pytest.mark.parametrize("build", BUILDS)
def test_one_of_the_process_layouts_is_right(build: int) -> None:
    true = true_types(build)["_EPROCESS"]["fields"]
    names = ("UniqueProcessId", "ActiveProcessLinks", "ImageFileName", "ObjectTable", "Session")
    wanted = [true[name]["offset"] for name in names]
    assert wanted in [
        [layout.fields[name].offset for name in names] for layout in known_layouts("_EPROCESS", "x64")
    ]  # fmt: skip


# public symbol tables: sizes of rows of the tag table and of the table of big pages
@pytest.mark.parametrize(
    ("build", "architecture", "tracker", "big"),
    [
        (2195, "x86", 0x1C, 0xC), (2600, "x86", 0x1C, 0xC), (3790, "x86", 0x1C, 0x10), (3790, "x64", 0x28, 0x18),
        (6002, "x86", 0x1C, 0x10), (7601, "x64", 0x28, 0x18), (14393, "x64", 0x28, 0x18), (16299, "x86", 0x30, 0x10),
        (17763, "x64", 0x38, 0x18), (19045, "x64", 0x38, 0x18), (20348, "x64", 0x50, 0x20), (26100, "x64", 0x50, 0x20),
        (22631, "arm64", 0x50, 0x20),
    ],
)  # fmt: skip
def test_rows_of_tables(build: int, architecture: str, tracker: int, big: int) -> None:
    structures = layouts_for(build, architecture).structures
    assert structures["_POOL_TRACKER_TABLE"].size == tracker
    assert structures["_POOL_TRACKER_BIG_PAGES"].size == big


# public symbol tables
@pytest.mark.parametrize("build", [2195, 2600, 7601, 19041])
def test_lists_of_32_bits(build: int) -> None:
    structures = layouts_for(build, "x86").structures
    module, unloaded = structures["_KLDR_DATA_TABLE_ENTRY"], structures["_UNLOADED_DRIVERS"]
    assert structures["_LDR_DATA_TABLE_ENTRY"] == module
    places = {"DllBase": 0x18, "SizeOfImage": 0x20, "BaseDllName": 0x2C, "CheckSum": 0x40}
    assert {name: module.fields[name].offset for name in places} == places
    assert (unloaded.size, unloaded.fields["CurrentTime"]) == (0x18, Field(0x10, 8))
    assert structures["_ERESOURCE"].size == 0x38


def test_module_entry_has_a_time_stamp_from_windows_10_on_only() -> None:
    for build, offset in ((9600, None), (10240, 0x9C), (22000, 0x9C)):
        place = layouts_for(build, "x64").structures["_KLDR_DATA_TABLE_ENTRY"].fields.get("TimeDateStamp")
        assert (None if place is None else place.offset) == offset


@pytest.mark.parametrize(
    ("build", "architecture", "pack", "chosen", "certain"),
    [
        (7601, "x64", None, 7601, True), (7600, "x64", None, 7601, False), (6001, "x86", None, 6000, False),
        (2195, "x86", None, 2600, False), (14393, "x64", None, 10240, False), (19045, "x64", None, 19041, False),
        (3790, "x86", 2, 3790, True), (3790, "x86", 1, 3790, False), (2600, "x86", 1, 2600, False),
        (19041, "arm64", None, 19041, False), (1381, "x86", None, None, False), (7601, "ia64", None, None, False),
        (2600, "x64", None, None, False),
    ],
)  # fmt: skip
def test_choice(build: int, architecture: str, pack: int | None, chosen: int | None, certain: bool) -> None:
    choice = layouts_for(build, architecture, service_pack=pack)
    assert (choice.build, choice.certain) == (chosen, certain)
    assert (choice.profile is None) == (chosen is None)
    assert bool(choice.structures) == (chosen is not None)


def test_service_packs_of_server_2003() -> None:
    # public symbol tables: links of processes at 88 in the first release, at 98 from SP1 on
    for pack, offset in ((0, 0x88), (1, 0x98), (2, 0x98)):
        process = layouts_for(3790, "x86", service_pack=pack).structures["_EPROCESS"]
        assert process.fields["ActiveProcessLinks"].offset == offset
    unknown = layouts_for(3790, "x86").structures
    assert "_EPROCESS" not in unknown
    assert "_POOL_TRACKER_TABLE" in unknown


def test_what_must_not_be_guessed_is_absent() -> None:
    for build in (10240, 14393, 19041, 22000):
        structures = layouts_for(build, "x64").structures
        for name in ("_MI_SYSTEM_INFORMATION", "_MI_PARTITION", "_MM_SESSION_SPACE", "_MMPTE_SOFTWARE"):
            assert name not in structures
    # Page table entries with PAE have another shape than the kernel without it that is known
    assert "_MMPTE_HARDWARE" not in layouts_for(2600, "x86", pae=True).structures
    assert "_MMPTE_HARDWARE" in layouts_for(2600, "x86", pae=False).structures


def test_bits_and_arrays() -> None:
    seven = layouts_for(7601, "x64").structures
    assert seven["_POOL_HEADER"].fields["BlockSize"] == Field(0, 4, 16, 8)
    assert seven["_POOL_DESCRIPTOR"].fields["ListHeads"] == Field(0x140, 16 * 256, count=256)
    assert seven["_OWNER_ENTRY"].fields["OwnerCount"] == Field(8, 4, 2, 30)
    assert seven["_EPROCESS"].fields["Pcb.DirectoryTableBase"] == Field(0x28, 8)
    wide = layouts_for(20348, "x64").structures["_POOL_TRACKER_TABLE"]
    assert wide.fields["AvailableLimit"] == Field(0x38, 16, count=2)
