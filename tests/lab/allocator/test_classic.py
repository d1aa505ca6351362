"""The allocator: what its pages look like after every call, by the rules of the public descriptions."""

import time
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from poolsleuth.lab.allocator.classic import ClassicPool
from poolsleuth.lab.allocator.figures import figures_of, pages_of, totals_of
from poolsleuth.lab.allocator.headers import form_of, read_header, tag_number
from poolsleuth.lab.machine import FREE, IN_LOOKASIDE, PAGE, PoolPages

XP, SERVER_2003, WINDOWS_7 = 2600, 3790, 7601
BASE = 0x8000_0000


def chain(pages: PoolPages, pointer: int, number: int = 0) -> list[tuple[int, int, int, bytes]]:
    """Size and previous size in bytes, pool type and tag of every block of a page: the page is walked by hand."""
    form, row, found, at, before = form_of(pointer), bytes(pages.rows[number]), [], 0, 0
    while at < PAGE:
        previous, _index, size, kind, tag = read_header(row, at, form)
        assert previous == before
        assert size > 0
        found.append((size * form.unit, previous * form.unit, kind, tag.to_bytes(4, "little")))
        at, before = at + size * form.unit, size
    assert at == PAGE
    return found


def test_the_article_step_by_step() -> None:
    """Blocks of F18 bytes at the top of their pages, a block of 18 bytes in the rest: the page cannot go back."""
    pool = ClassicPool("nonpaged", 4, SERVER_2003, base=BASE)
    driver = pool.allocate(0xF10, "MmCm")
    # The article: block fe592000 has the size f18, the previous size 0, is allocated and called MmCm
    assert driver == BASE + 8
    assert chain(pages_of(pool), 4) == [(0xF18, 0, 1, b"MmCm"), (0xE8, 0xF18, 0, bytes(4))]
    small = pool.allocate(0x10, "ReEv")
    assert small == BASE + 0xFF0  # from the right end of what is free
    pool.free(driver)
    assert chain(pages_of(pool), 4) == [(0xFE8, 0, 0, b"MmCm"), (0x18, 0xFE8, 1, b"ReEv")]
    # Others take the top and the end, one more small block the middle; when they are gone nothing of F18 bytes fits
    first, second = pool.allocate(0xA18, "MFE0"), pool.allocate(0x5A8, "NtFs")
    middle = pool.allocate(0x10, "ReEv")
    assert (first, second, middle) == (BASE + 8, BASE + 0xA40, BASE + 0xA28)
    for gone in (first, second, small):
        pool.free(gone)
    # The article's page fa808000: a20 bytes are free (MFE0), 18 are ReEv, 5c8 are free (NtFs)
    assert chain(pages_of(pool), 4) == [
        (0xA20, 0, 0, b"MFE0"),
        (0x18, 0xA20, 1, b"ReEv"),
        (0x5C8, 0x18, 0, b"NtFs"),
    ]
    assert pool.allocate(0xF10, "MmCm") == BASE + PAGE + 8
    pool.free(middle)
    assert sorted(pool.rows) == [BASE + PAGE]


@pytest.mark.parametrize(
    ("pool", "build", "kind"),
    [
        ("nonpaged", XP, 1),
        ("paged", XP, 2),
        ("session", SERVER_2003, 0x22),
        ("nonpaged", WINDOWS_7, 2),
        ("paged", WINDOWS_7, 3),
        ("session", WINDOWS_7, 0x23),
    ],
)
@pytest.mark.parametrize("pointer", [4, 8])
def test_pool_types(pool: str, build: int, kind: int, pointer: int) -> None:
    made = ClassicPool(pool, pointer, build, index=3)  # type: ignore[arg-type]
    made.allocate(100, "Some", protected=True)
    page = made.rows[0]
    _previous, index, _size, stored, tag = read_header(page, 0, made.form)
    assert (index, stored, tag) == (3, kind, tag_number("Some") | 0x8000_0000)
    assert list(made.uses()) == ["Some"]
    made.allocate(1, "Paid", quota_process=7)
    last = max(made.processes)
    assert read_header(page, last % PAGE, made.form)[3] == (kind - 1 | 8) + 1 if build < 6000 else kind | 8


@pytest.mark.parametrize(("pointer", "largest"), [(4, 0xFF0), (8, 0xFE0)])
def test_what_takes_whole_pages(pointer: int, largest: int) -> None:
    pool = ClassicPool("paged", pointer, WINDOWS_7, base=BASE)
    pool.allocate(largest, "Smal")
    assert not pool.big
    assert [size for size, *_ in chain(pages_of(pool), pointer)] == [PAGE - pool.form.unit, pool.form.unit]
    assert pool.free_lists.ordered() == ()  # a block of one unit has no room for links
    big = pool.allocate(largest + 1, "Big ")
    other = pool.allocate(3 * PAGE, "Big ")
    assert (big, other) == (BASE + PAGE, BASE + 2 * PAGE)
    assert [(b.pages, b.bytes) for b in pool.big.values()] == [(1, largest + 1), (3, 3 * PAGE)]
    assert pool.uses()["Big "].bytes == largest + 1 + 3 * PAGE
    pool.free(other)
    assert pool.uses()["Big "].bytes == largest + 1


def test_lookaside_blocks_look_allocated_but_are_counted_as_freed() -> None:
    pool = ClassicPool("nonpaged", 8, WINDOWS_7, lookaside_depth=2)
    blocks = [pool.allocate(100, "Look") for _ in range(5)]
    for address in blocks[:3]:
        pool.free(address)
    pages = pages_of(pool)
    assert [kind for _, _, kind, _ in chain(pages, 8)].count(2) == 4
    assert pool.uses()["Look"].outstanding == 2
    assert totals_of(pages) == {tag_number("Look"): (2, 2 * 128)}
    assert (pages.blocks["state"] == IN_LOOKASIDE).sum() == 2
    assert figures_of(pages).lookaside_bytes == 2 * 128
    assert pages.lookaside == ((8, (blocks[1] - 16, blocks[0] - 16)),)
    assert pool.allocate(97, "Next") == blocks[1]  # the last one that came
    pool.allocate(200, "None")  # another size goes to the page


def test_what_cannot_be_freed() -> None:
    pool = ClassicPool("nonpaged", 4, XP)
    address = pool.allocate(10, "Once")
    pool.free(address)
    for wrong in (address, address + 8, 0x1234):
        with pytest.raises(ValueError, match="nothing is allocated"):
            pool.free(wrong)
    with pytest.raises(ValueError, match="four characters"):
        pool.allocate(1, "Fives")
    with pytest.raises(ValueError, match="less than 0"):
        pool.allocate(-1, "Tag ")


@settings(max_examples=40, deadline=None)
@given(
    st.sampled_from([4, 8]),
    st.integers(0, 4),
    st.lists(st.tuples(st.integers(0, 5000), st.integers(0, 1 << 16), st.booleans()), max_size=120),
)
def test_any_order_of_calls(pointer: int, depth: int, calls: list[tuple[int, int, bool]]) -> None:
    pool = ClassicPool("paged", pointer, WINDOWS_7, lookaside_depth=depth, base=BASE)
    living: dict[int, tuple[int, str]] = {}
    for size, choice, keep in calls:
        tag = f"T{choice % 7:03}"
        living[pool.allocate(size, tag, quota_process=5 if choice % 11 == 0 else None)] = (size, tag)
        if not keep:
            address = sorted(living)[choice % len(living)]
            del living[address]
            pool.free(address)
    pages = pages_of(pool)
    listed = {address: units for units, addresses in pages.free_lists for address in addresses}
    free = {}
    for number in range(len(pages.addresses)):
        before_free, at = False, int(pages.addresses[number])
        for size, _previous, kind, _tag in chain(pages, pointer, number):
            assert not (before_free and kind == 0)  # free neighbours have joined
            before_free = kind == 0
            assert size != PAGE
            if kind == 0 and size > pool.form.unit:
                free[at] = size // pool.form.unit
            at += size
    assert listed == free
    small = {at - pool.form.unit: tag for at, (_size, tag) in living.items() if at not in pool.big}
    blocks = pages.blocks[(pages.blocks["state"] != FREE) & (pages.blocks["state"] != IN_LOOKASIDE)]
    assert {int(b["address"]): int(b["tag"]) for b in blocks} == {at: tag_number(tag) for at, tag in small.items()}
    room = dict(zip(blocks["address"].tolist(), blocks["size"].tolist(), strict=True))
    assert all(
        room[at - pool.form.unit] - pool.form.unit >= size for at, (size, _) in living.items() if at not in pool.big
    )
    figures = figures_of(pages)
    assert figures.used_bytes + figures.free_bytes + figures.lookaside_bytes == figures.pages * PAGE
    assert pool.bytes_cut == figures.used_bytes + figures.lookaside_bytes
    totals = totals_of(pages)
    for tag, use in pool.uses().items():
        big = [b for b in pool.big.values() if b.tag == tag]
        count, held = totals.get(tag_number(tag), (0, 0))
        assert (use.outstanding, use.bytes) == (count + len(big), held + sum(b.bytes for b in big))
    for address in list(living):
        pool.free(address)
    pool.lookaside_depth = 0
    assert all(not use.outstanding and not use.bytes for use in pool.uses().values())


def test_twenty_thousand_blocks_in_a_second() -> None:
    pool, random = ClassicPool("nonpaged", 8, WINDOWS_7), Random(1)
    began = time.process_time()
    living = [pool.allocate(random.randrange(1, 1500), "Fast") for _ in range(20_000)]
    for address in living[::2]:
        pool.free(address)
    assert time.process_time() - began < 1  # about 0.2 s on an idle machine
