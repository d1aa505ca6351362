"""Pages of the classic pool written here block by block, of both widths and generations; damage; any bytes at all."""

import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from poolsleuth.kernel.pool.blocks import Pool, Rule, State
from poolsleuth.kernel.pool.classic_pages import X64, X86, HeaderForm, decode_pages, form_of, may_begin_page

BASE = 0xFFFFFA8000000000
Block = tuple[int, bool, bytes]
"""Units, whether it is in use, tag."""

FORMS = {4: X86, 8: X64}


def page(blocks: list[Block], form: HeaderForm, kind: int) -> bytearray:
    """A page with these blocks; ``kind`` is the pool type of those in use."""
    out = bytearray(4096)
    unit = 4096 // form.units
    at = before = 0
    for units, used, tag in blocks:
        first, second = before, units | (kind if used else 0) << form.bits
        struct.pack_into("<HH4s", out, at * unit, first, second, tag)
        at, before = at + units, units
    assert at == form.units
    return out


def decode(
    data: bytes, pointer: int, build: int = 7601
) -> tuple[list[tuple[int, int, bytes, int, int]], list[bool], object]:
    rows = np.frombuffer(bytes(data), np.uint8).reshape(-1, 4096)
    addresses = BASE + np.arange(len(rows), dtype=np.uint64) * np.uint64(4096)
    found = decode_pages(rows, addresses, FORMS[pointer], build)
    blocks = [
        (int(b["address"]) - BASE, int(b["size"]), int(b["tag"]).to_bytes(4, "little"), int(b["pool"]), int(b["state"]))
        for b in found.blocks
    ]
    return blocks, found.closed.tolist(), found.broken


def test_the_page_of_the_article() -> None:
    """fa808000 size: a20 previous size: 0 (Free) *MFE0 / fa808a20 size: 18 (Allocated) ReEv / fa808a38 size: 5c8
    (Free) NtFs"""
    data = page([(0xA20 // 8, False, b"MFE0"), (3, True, b"ReEv"), (0x5C8 // 8, False, b"NtFs")], X86, 1)
    blocks, closed, broken = decode(bytes(data), 4, 3790)
    assert blocks == [
        (0x000, 0xA20, b"MFE0", Pool.NONPAGED, State.FREE),
        (0xA20, 0x18, b"ReEv", Pool.NONPAGED, State.ALLOCATED),
        (0xA38, 0x5C8, b"NtFs", Pool.NONPAGED, State.FREE),
    ]
    assert (closed, broken) == ([True], ())


@pytest.mark.parametrize(
    ("build", "kind", "pool"),
    [
        (3790, 1, Pool.NONPAGED),  # before Vista: the type of the request and one
        (3790, 2, Pool.PAGED),
        (2600, 0x22, Pool.SESSION),
        (7601, 2, Pool.NONPAGED),  # from Vista on: the type of the request, and 2 for in use
        (7601, 3, Pool.PAGED),
        (7601, 0x23, Pool.SESSION),
        (14393, 10, Pool.NONPAGED),  # with quota
    ],
)
def test_pools(build: int, kind: int, pool: Pool) -> None:
    data = page([(10, True, b"Aaaa"), (6, False, b"Bbbb"), (240, True, b"Cccc")], X64, kind)
    blocks, _, _ = decode(bytes(data), 8, build)
    assert [block[3:] for block in blocks] == [(pool, 0), (pool, 1), (pool, 0)]


def test_a_page_with_nothing_in_use_is_of_no_known_pool() -> None:
    data = page([(100, False, b"Aaaa"), (156, False, b"Bbbb")], X64, 2)
    assert {block[3] for block in decode(bytes(data), 8)[0]} == {Pool.UNKNOWN}


def test_a_protected_tag() -> None:
    data = page([(100, True, b"Evt\xa0"), (156, True, b"Bbbb")], X64, 2)
    rows = np.frombuffer(bytes(data), np.uint8).reshape(1, 4096)
    found = decode_pages(rows, np.array([BASE], np.uint64), X64, 7601)
    assert found.blocks["protected"].tolist() == [1, 0]
    assert int(found.blocks["tag"][0]).to_bytes(4, "little") == b"Evt "


@pytest.mark.parametrize(
    ("at", "change", "rule"),
    [
        (0, b"\x07\x00", Rule.PREVIOUS_SIZE),
        (2, b"\x00\x02", Rule.SIZE_ZERO),
        (2, b"\xff\x02", Rule.SIZE_TOO_LARGE),
    ],
)
def test_the_rule_that_a_chain_breaks(at: int, change: bytes, rule: Rule) -> None:
    data = page([(10, True, b"Aaaa")] * 5 + [(206, False, b"Bbbb")], X64, 2)
    fourth = 4 * 10 * 16
    data[fourth + at : fourth + at + 2] = change
    blocks, closed, broken = decode(bytes(data), 8)
    assert (blocks, closed) == ([], [False])
    assert isinstance(broken, tuple)
    ((address, found, good),) = [(b.address - BASE, b.rule, b.blocks) for b in broken]
    assert (address, found, good) == (fourth, rule, 4)


def test_what_breaks_at_once_is_no_page_of_the_pool() -> None:
    data = page([(10, True, b"Aaaa")] * 5 + [(206, False, b"Bbbb")], X64, 2)
    data[160:164] = b"\xff\xff\xff\xff"  # after one header: any page of memory may look so
    assert decode(bytes(data), 8) == ([], [False], ())


@st.composite
def pages(draw: st.DrawFn) -> tuple[int, list[list[Block]]]:
    pointer = draw(st.sampled_from([4, 8]))
    units = FORMS[pointer].units
    found = []
    for _ in range(draw(st.integers(1, 4))):
        blocks: list[Block] = []
        left = units
        while left:
            most = min(left, units - 1)
            size = draw(st.integers(1, most)) if len(blocks) < 12 else most
            if left - size == 0 and not blocks:
                size -= 1
            blocks.append((size, draw(st.booleans()), draw(st.binary(min_size=4, max_size=4))))
            left -= size
        found.append(blocks)
    return pointer, found


@given(pages())
def test_every_block_is_given_back(drawn: tuple[int, list[list[Block]]]) -> None:
    pointer, wanted = drawn
    form = form_of(pointer)
    data = b"".join(bytes(page(blocks, form, 2)) for blocks in wanted)
    blocks, closed, broken = decode(data, pointer)
    assert (all(closed), broken) == (True, ())
    unit = 4096 // form.units
    expected = []
    for number, chain in enumerate(wanted):
        at = number * 4096
        for units, used, tag in chain:
            plain = (int.from_bytes(tag, "little") & 0x7FFFFFFF).to_bytes(4, "little")
            expected.append((at, units * unit, plain, 0 if used else 1))
            at += units * unit
    assert [(b[0], b[1], b[2], b[4]) for b in blocks] == expected
    words = np.frombuffer(data, np.uint64)[::512]
    assert may_begin_page(words, form).all()


@given(
    st.binary(max_size=256), st.sampled_from([4, 8]), st.sampled_from([2600, 3790, 7601, 14393]), st.integers(0, 4000)
)
def test_any_bytes_give_an_answer(data: bytes, pointer: int, build: int, at: int) -> None:
    whole = page([(10, True, b"Aaaa")] * 5 + [(FORMS[pointer].units - 50, False, b"Bbbb")], FORMS[pointer], 2)
    whole[at : at + len(data)] = data
    blocks, closed, _ = decode(bytes(whole[:4096]), pointer, build)
    assert bool(blocks) == closed[0]
    assert sum(block[1] for block in blocks) in (0, 4096)
