"""Expressions: numbers are hexadecimal, symbols have addresses, and nonsense is one sentence."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from poolsleuth.debugger.expressions import MAX_DEPTH, address, evaluate
from poolsleuth.debugger.names import Names
from poolsleuth.debugger.target import Target
from poolsleuth.kernel.address_space import Reader
from poolsleuth.kernel.modules import LoadedModules
from poolsleuth.kernel.target import Kernel
from poolsleuth.model.errors import InputError


class Nothing:
    """Memory in which nothing can be read but one pointer."""

    pointer_size = 8

    def read(self, place: int, size: int) -> bytes:
        return place.to_bytes(8, "little")[:size]


def bare_target() -> Target:
    kernel = Kernel(
        memory=Reader(Nothing()),  # type: ignore[arg-type]
        build=7601,
        architecture="x64",
        pae=None,
        base=0xFFFFF80000000000,
        size=0x100000,
        pdb=None,
        processors=1,
        table=None,
    )
    target = Target(kernel=kernel)
    symbols = {"PoolTrackTable": 0xFFFFF80000001234, "add": 5}
    # What is read of a whole kernel is set here
    target.__dict__["names"] = Names(kernel, LoadedModules((), True, None, None), (), symbols, [], [])
    return target


TARGET = bare_target()


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("10", 0x10),
        ("0x10", 0x10),
        ("0n10", 10),
        ("fffff800`00001234", 0xFFFFF80000001234),
        ("nt!PoolTrackTable", 0xFFFFF80000001234),
        ("PoolTrackTable+8", 0xFFFFF8000000123C),
        ("1+2*3", 7),
        ("(1+2)*3", 9),
        ("10-1-1", 0xE),
        ("ff/10", 0xF),
        ("-1", 0xFFFFFFFFFFFFFFFF),
        ("poi(nt!PoolTrackTable)", 0xFFFFF80000001234),
        ("poi( 20 + 4 )", 0x24),
        ("add", 0xADD),  # a number where it can be one, as in the debugger
        ("nt!add", 5),
    ],
)
def test_values(text: str, value: int) -> None:
    assert evaluate(TARGET, text) == value


@pytest.mark.parametrize(
    "text", ["", "  ", "1+", "(1", "1)", "1 2", "nt!Nothing", "what", "1/0", "@rax", "%", "poi(", "(" * (MAX_DEPTH + 2)]
)
def test_nonsense_is_one_sentence(text: str) -> None:
    with pytest.raises(InputError) as error:
        evaluate(TARGET, text)
    assert "\n" not in str(error.value)


@given(st.text(alphabet="0123456789abcdefnt!PoolTrackTable+-*/()`x poi", max_size=60) | st.text(max_size=30))
def test_any_text_gives_a_number_or_a_sentence(text: str) -> None:
    try:
        value = evaluate(TARGET, text)
    except InputError:
        return
    assert 0 <= value < 1 << 64


def test_addresses_of_x86_have_32_bits(target_of: Callable[..., Target]) -> None:
    target = target_of("3790-x86")
    assert address(target, "ffffffff80800000") == 0x80800000
    assert address(target, "nt") == target.kernel.base
