import json
import lzma
from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from poolsleuth.kernel.paging.layout import Bits, Mode, PrototypeForm, layout_of, usual_layout
from poolsleuth.kernel.paging.parameters import parameters_for
from poolsleuth.model.errors import InputError
from poolsleuth.windows.kernel_table import Field, KernelTable, Structure

SYMBOLS = Path(__file__).parents[4] / "shared" / "data" / "symbols"
NAMES = ("_MMPTE_HARDWARE", "_MMPTE_TRANSITION", "_MMPTE_SOFTWARE", "_MMPTE_PROTOTYPE")
KERNELS = {
    7601: "ntkrnlmp_6.1.7601.24540_339E74133576439CBCDF7E0229DA3773-1",
    9600: "ntkrnlmp_6.3.9600.19913_22597D0B40394E23936F6A24C6C52D5B-1",
    14393: "ntkrnlmp_10.0.14393.4583_517E128F7B7C4EA79491DE6B9B9CE190-1",
    17763: "ntkrnlmp_10.0.17763.379_8B11040A5928757B11390AC78F6B6925-1",
    18362: "ntkrnlmp_10.0.18362.295_11BC9A513F1140CA359ECDF50F0122C1-1",
    19041: "ntkrnlmp_10.0.19041.804_5278AFF86C341677D7D7835C85B7B844-1",
    20348: "ntkrnlmp_10.0.20348.288_C2EADB24A615E9472CE47C8ADD31F130-1",
    22000: "ntkrnlmp_10.0.22000.318_32C1A669D5FFEFD41091F636CFDB6E99-1",
}


@cache
def isf(name: str) -> KernelTable:
    path = SYMBOLS / f"{name}.json.xz"
    if not path.is_file():
        pytest.skip(f"{path.name} is not there")
    types = json.loads(lzma.decompress(path.read_bytes()))["user_types"]
    structures = {
        name: Structure(
            types[name]["size"],
            {
                key: Field(value["offset"], 8, value["type"]["bit_position"], value["type"]["bit_length"])
                for key, value in types[name]["fields"].items()
            },
        )
        for name in NAMES
    }
    return KernelTable(pdb=None, machine="x64", source="ISF", structures=structures)


@cache
def profiles() -> Mapping[str, Any]:
    path = SYMBOLS / "struct_offsets.json"
    if not path.is_file():
        pytest.skip(f"{path.name} is not there")
    found: Mapping[str, Any] = json.loads(path.read_text())["profiles"]
    return found


def table_of(structures: Mapping[str, Mapping[str, tuple[int, int]]], size: int = 8) -> KernelTable:
    made = {
        name: Structure(size, {key: Field(0, size, *bits) for key, bits in fields.items()})
        for name, fields in structures.items()
    }
    return KernelTable(pdb=None, machine=None, source="test", structures=made)


MODERN: dict[str, dict[str, tuple[int, int]]] = {
    "_MMPTE_HARDWARE": {"Valid": (0, 1), "PageFrameNumber": (12, 40)},
    "_MMPTE_TRANSITION": {"PageFrameNumber": (12, 40)},
    "_MMPTE_SOFTWARE": {
        "Valid": (0, 1), "SwizzleBit": (4, 1), "Protection": (5, 5), "Prototype": (10, 1), "Transition": (11, 1),
        "PageFileLow": (12, 4), "PageFileHigh": (32, 32),
    },
    "_MMPTE_PROTOTYPE": {"ProtoAddress": (16, 48)},
}  # fmt: skip


@pytest.mark.parametrize("build", KERNELS)
def test_the_symbols_of_eight_kernels_are_taken(build: int) -> None:
    found = layout_of(Mode.X64, build, isf(KERNELS[build]))
    assert found.exact
    # All eight, the serviced 7601, 9600 and 14393 too: SwizzleBit bit 4, PageFileLow bits 12-15, PageFileHigh 32-63
    assert (found.swizzle, found.page_file_number, found.page_file_offset) == (4, Bits(12, 4), Bits(32, 32))
    assert (found.protection, found.prototype) == (Bits(5, 5), Bits(16, 48))
    # PageFrameNumber has 36 bits to 19041 and 40 from 20348 on, in _MMPTE_HARDWARE and _MMPTE_TRANSITION
    assert found.frame == found.transition_frame == Bits(12, 40 if build >= 20348 else 36)


@pytest.mark.parametrize("build", [build for build in KERNELS if build >= 17763])
def test_without_symbols_the_layout_is_the_same_from_17763_on(build: int) -> None:
    assert usual_layout(Mode.X64, build) == replace(layout_of(Mode.X64, build, isf(KERNELS[build])), exact=False)


def test_without_symbols_every_profile_of_volatility_has_the_usual_layout() -> None:
    seen = set()
    for name, profile in profiles().items():
        structures = {
            key: {
                field: (place[2], place[3] - place[2])
                for field, place in profile["structs"][key]["fields"].items()
                if len(place) == 4
            }
            for key in NAMES
            if key in profile["structs"]
        }
        if len(structures) < len(NAMES):
            continue
        size = profile["structs"]["_MMPTE_HARDWARE"]["size"]
        mode = Mode.X64 if profile["arch"] in ("x64", "amd64") else Mode.X86 if size == 4 else Mode.X86_PAE
        found = layout_of(mode, profile["build"], table_of(structures, size))
        assert found.exact, name
        assert replace(found, exact=False) == usual_layout(mode, profile["build"]), name
        seen.add((mode, profile["build"]))
    assert {mode for mode, _ in seen} == {Mode.X86, Mode.X86_PAE, Mode.X64}
    assert len(seen) > 15


def test_made_up_symbols_are_taken() -> None:
    assert layout_of(Mode.X64, 7600, table_of(MODERN)) == replace(usual_layout(Mode.X64, 22000), exact=True)


@pytest.mark.parametrize(
    ("structure", "field", "bits"),
    [
        ("_MMPTE_HARDWARE", "PageFrameNumber", (12, 52)),
        ("_MMPTE_HARDWARE", "PageFrameNumber", (13, 36)),
        ("_MMPTE_TRANSITION", "PageFrameNumber", (12, 0)),
        ("_MMPTE_SOFTWARE", "Transition", (9, 1)),
        ("_MMPTE_SOFTWARE", "PageFileHigh", (60, 32)),
        ("_MMPTE_SOFTWARE", "PageFileLow", (-4, 4)),
        ("_MMPTE_PROTOTYPE", "ProtoAddress", (16, 49)),
    ],
)
def test_symbols_that_cannot_be_true_are_not_believed(structure: str, field: str, bits: tuple[int, int]) -> None:
    wrong = {name: dict(fields) for name, fields in MODERN.items()}
    wrong[structure][field] = bits
    assert layout_of(Mode.X64, 19041, table_of(wrong)) == usual_layout(Mode.X64, 19041)


def test_symbols_of_another_size_of_entries_are_not_believed() -> None:
    assert layout_of(Mode.X86, 7601, table_of(MODERN)) == usual_layout(Mode.X86, 7601)
    assert layout_of(Mode.X64, 7601, KernelTable(pdb=None, machine=None, source="")) == usual_layout(Mode.X64, 7601)


def test_the_two_packed_forms_of_prototype_entries_are_told_apart() -> None:
    packed = {name: dict(fields) for name, fields in MODERN.items()}
    for name in ("_MMPTE_HARDWARE", "_MMPTE_TRANSITION"):
        packed[name]["PageFrameNumber"] = (12, 20)
    packed["_MMPTE_SOFTWARE"] |= {"PageFileLow": (1, 4), "PageFileHigh": (12, 20)}
    packed["_MMPTE_PROTOTYPE"] = {"ProtoAddressLow": (1, 8), "ProtoAddressHigh": (11, 21)}
    # A kernel says itself which form it has: here against its build
    assert layout_of(Mode.X86, 2600, table_of(packed, 4)).prototype_form is PrototypeForm.PACKED
    packed["_MMPTE_PROTOTYPE"]["ProtoAddressLow"] = (1, 7)
    assert layout_of(Mode.X86, 7601, table_of(packed, 4)).prototype_form is PrototypeForm.POOL
    packed["_MMPTE_PROTOTYPE"]["ProtoAddressLow"] = (1, 6)
    assert not layout_of(Mode.X86, 7601, table_of(packed, 4)).exact


@given(
    st.sampled_from(list(Mode)),
    st.integers(0, 0xFFFF),
    st.dictionaries(
        st.sampled_from(NAMES),
        st.dictionaries(
            st.sampled_from(["Valid", "PageFrameNumber", "PageFileLow", "PageFileHigh", "ProtoAddress", "SwizzleBit"]),
            st.tuples(st.integers(-70, 70), st.integers(-70, 70)),
        ),
    ),
)
def test_no_symbols_make_a_layout_that_does_not_fit(
    mode: Mode, build: int, structures: dict[str, dict[str, tuple[int, int]]]
) -> None:
    found = layout_of(mode, build, table_of(structures, mode.entry_size))
    width = 8 * mode.entry_size
    for bits in (found.frame, found.transition_frame, found.page_file_number, found.page_file_offset):
        assert bits.first >= 0
        assert 0 < bits.count <= width - bits.first


def test_the_mode_follows_the_header_and_the_symbols() -> None:
    four, eight = table_of({"_MMPTE_HARDWARE": {}}, 4), table_of({"_MMPTE_HARDWARE": {}}, 8)
    assert parameters_for(19041, "x64", None).mode is Mode.X64
    assert parameters_for(22000, "x64", None, la57=True).mode is Mode.X64_LA57
    assert parameters_for(22000, "arm64", None).mode is Mode.ARM64
    assert parameters_for(2600, "x86", False).mode is Mode.X86
    assert parameters_for(2600, "x86", True).mode is Mode.X86_PAE
    assert parameters_for(2600, "x86", None, four).mode is Mode.X86
    assert parameters_for(2600, "x86", None, eight).mode is Mode.X86_PAE
    assert parameters_for(9200, "x86", False).mode is Mode.X86_PAE
    assert parameters_for(7601, "x86", None).mode is Mode.X86_PAE
    with pytest.raises(InputError, match="ia64"):
        parameters_for(3790, "ia64", None)
