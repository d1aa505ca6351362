"""Which parameter of a bug check names the block."""

import pytest

from poolsleuth.windows.bugcheck_blocks import Names, named_block


@pytest.mark.parametrize(
    ("code", "first", "build", "names", "parameter"),
    [
        # "0x20 | The pool entry that should have been found | The next pool entry | Reserved"
        (0x19, 0x20, 19041, Names.HEADER, 1),
        # "0x07 | Reserved | Pool header contents | Address of the block of pool being freed"
        (0xC2, 0x7, 7601, Names.BLOCK, 3),
        # before Vista: "Reserved | Memory contents of the pool block | Pointer to pool header"
        (0xC2, 0x7, 3790, Names.HEADER, 3),
        # "0x0A | Address of pool | Allocator's tag | Tag being used in the attempted free"
        (0xC2, 0xA, 3790, Names.TAG, 2),
    ],
)
def test_the_parameter(code: int, first: int, build: int, names: Names, parameter: int) -> None:
    found = named_block(code, first, build)
    assert found is not None
    assert (found.names, found.parameter) == (names, parameter)


@pytest.mark.parametrize(("code", "first"), [(0xD1, 0x20), (0xC2, 0x42), (0x19, 0xD)])
def test_others_name_none(code: int, first: int) -> None:
    assert named_block(code, first, 7601) is None
