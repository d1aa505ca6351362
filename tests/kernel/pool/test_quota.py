"""The process that pays for a block: plain, disguised with a cookie, or not to be told."""

import numpy as np

from poolsleuth.kernel.pool.quota import CHARGE, PayerCode, QuotaSums

PROCESS, HEADER, COOKIE = 0xFFFFFA80_0315A040, 0xFFFFFA80_01234560, 0x9E3779B97F4A7C15


def words(*values: int) -> np.ndarray[tuple[int], np.dtype[np.uint64]]:
    return np.array(values, np.uint64)


def test_plain_and_disguised() -> None:
    plain = PayerCode(8, False, None)
    assert plain.processes(words(PROCESS, 0, 0x1000, PROCESS + 1), words(*[HEADER] * 4)).tolist() == [PROCESS, 0, 0, 0]
    disguised = PayerCode(8, True, COOKIE)
    assert disguised.processes(words(PROCESS ^ COOKIE ^ HEADER), words(HEADER)).tolist() == [PROCESS]
    # The same value at another header is no process
    assert disguised.processes(words(PROCESS ^ COOKIE ^ HEADER), words(HEADER + 0x13)).tolist() == [0]


def test_without_the_cookie_nothing_is_said() -> None:
    assert PayerCode(8, True, None).processes(words(PROCESS), words(HEADER)).tolist() == [0]


def test_on_x86_a_pointer_is_taken_as_it_stands() -> None:
    assert PayerCode(4, False, None).processes(words(0x85A00020, 0x123), words(1, 2)).tolist() == [0x85A00020, 0]
    assert PayerCode(4, True, 0x11223344).processes(words(0x85A00020), words(0x81000008)).tolist() == [0x85A00020]


def test_sums() -> None:
    rows = np.array(
        [
            (HEADER, 0x40, 7, 0, PROCESS),
            (HEADER + 0x100, 0x60, 7, 0, PROCESS),
            (HEADER + 0x200, 0x20, 8, 2, PROCESS),
            (HEADER + 0x300, 0x80, 8, 2, 0),
        ],
        CHARGE,
    )
    sums = QuotaSums()
    for part in (rows[:1], rows[1:]):
        sums.add(part)
    assert dict(sums.blocks) == {(PROCESS, 0, 7): 2, (PROCESS, 2, 8): 1}
    assert dict(sums.bytes) == {(PROCESS, 0, 7): 0xA0, (PROCESS, 2, 8): 0x20}
    assert (sums.unknown, sums.unknown_bytes, sums.complete) == (1, 0x80, True)
