import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from poolsleuth.lab.physical import PAGE, PhysicalImage, usual_runs

RUNS = ((1, 30), (64, 20), (1000, 14))
ADDRESSES = st.sampled_from([number for base, count in RUNS for number in range(base, base + count)])


def test_the_usual_memory_map_has_the_holes_of_a_pc() -> None:
    # 16 GB: 0x9E pages below 0x9F000, up to 3 GB, and the rest above 4 GB
    runs = usual_runs(0x400000)
    assert runs == ((1, 0x9E), (0x100, 0xBFF00), (0x100000, 0x400000 - 0xBFF00 - 0x9E))
    assert usual_runs(10) == ((1, 10),)


@pytest.mark.parametrize("runs", [((1, 10),), ((1, 30), (20, 34)), ((-1, 64),), ((1, 64), (70, 0)), ()])
def test_a_memory_map_that_is_none_is_refused(runs: tuple[tuple[int, int], ...]) -> None:
    with pytest.raises(ValueError, match="runs of a machine"):
        PhysicalImage(64, runs=runs)


@given(st.lists(st.tuples(ADDRESSES, st.integers(0, PAGE - 1), st.binary(max_size=64)), max_size=20))
def test_what_was_written_is_read_and_all_else_is_zero(writes: list[tuple[int, int, bytes]]) -> None:
    image = PhysicalImage(64, runs=RUNS)
    truth = {number: bytearray(PAGE) for base, count in RUNS for number in range(base, base + count)}
    for number, at, data in writes:
        inside = data[: PAGE - at]
        image.write(number * PAGE + at, inside)
        truth[number][at : at + len(inside)] = inside
    assert all(image.read(number * PAGE, PAGE) == page for number, page in truth.items())
    assert set(image.pages()) == {number for number, at, data in writes if data[: PAGE - at]}


def test_a_write_goes_over_the_end_of_a_page_but_not_of_a_run() -> None:
    image = PhysicalImage(64, runs=RUNS)
    image.write(2 * PAGE - 2, b"abcd")
    assert image.read(2 * PAGE - 2, 4) == b"abcd"
    assert image.page(1)[-2:] == b"ab"
    assert image.page(2)[:2] == b"cd"
    for call in (
        lambda: image.write(31 * PAGE - 1, b"xy"),
        lambda: image.read(31 * PAGE - 1, 2),
        lambda: image.page(0),
    ):
        with pytest.raises(ValueError, match="no memory at page"):
            call()


def test_every_page_is_handed_out_once_and_then_there_is_none_left() -> None:
    image = PhysicalImage(64, runs=RUNS)
    taken = [image.take() for _ in range(64)]
    assert sorted(taken) == [number for base, count in RUNS for number in range(base, base + count)]
    assert taken != sorted(taken)
    with pytest.raises(ValueError, match="no 1 pages"):
        image.take()


def test_the_order_is_that_of_the_seed() -> None:
    first, again, other = (PhysicalImage(1 << 20, seed=seed).take(20, contiguous=False) for seed in (1, 1, 2))
    assert first == again != other
    assert max(first) - min(first) > 1 << 16  # scattered over the machine


@given(st.lists(st.tuples(st.integers(1, 6), st.sampled_from([1, 2, 4]), st.sampled_from([0, 20, 70])), max_size=12))
def test_runs_are_free_aligned_and_in_their_bounds(wanted: list[tuple[int, int, int]]) -> None:
    image = PhysicalImage(64, runs=RUNS)
    used: set[int] = set()
    for count, align, above in wanted:
        try:
            number = image.take(count, above=above, below=1010, align=align)
        except ValueError:
            # Then there really is no such place
            for base, length in RUNS:
                for start in range(base, base + length - count + 1):
                    pages = set(range(start, start + count))
                    assert start % align or start < above or start + count > 1010 or pages & used
            continue
        pages = set(range(number, number + count))
        assert number % align == 0
        assert number >= above
        assert number + count <= 1010
        assert image.holds(number, count)
        assert not pages & used
        used |= pages
    assert image.pages() == sorted(used)
    assert all(a + b < c for (a, b), (c, _) in zip(image.in_use(), image.in_use()[1:], strict=False))


def test_pages_that_were_claimed_twice_are_there_once() -> None:
    image = PhysicalImage(64, runs=RUNS)
    for number, count in ((5, 2), (8, 1), (6, 3), (3, 1), (4, 1), (64, 20), (70, 2)):
        image.claim(number, count)
    assert image.in_use() == ((3, 6), (64, 20))
    assert image.written() == []


def test_single_pages_leave_room_for_large_ones() -> None:
    image = PhysicalImage(1 << 14)
    image.take(6000, contiguous=False)
    assert image.take(1024, align=1024) % 1024 == 0


def test_a_machine_of_64_gb_costs_what_is_written() -> None:
    tracemalloc.start()
    try:
        image = PhysicalImage(1 << 24)
        for number in image.take(100, contiguous=False):
            image.write(number * PAGE, b"x")
        used = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
    assert len(image.pages()) == 100
    assert used < 100 * PAGE + (1 << 18)
