"""Damage to pool headers, one of each kind that bug check 0x19 (BAD_POOL_HEADER) tells apart; it is known where.

The cases are those of the public documentation of the bug check.
"""

from dataclasses import dataclass
from enum import IntEnum
from random import Random

import numpy as np
from numpy.typing import NDArray

from poolsleuth.lab.allocator.headers import HeaderForm, form_of, read_header, write_header
from poolsleuth.lab.machine import FREE, PAGE, PoolPages
from poolsleuth.lab.simulate import SimulatedMachine

_BLOCKS_BEFORE = 3  # good blocks in front of the damage, so that the page is still known for one of the pool
_OVERRUN = 0x41


class Damage(IntEnum):
    """What is done to a header, or to the links behind that of a free block. The numbers are the cases of 0x19."""

    FREE_LIST = 0x3  # a link of a free block leads elsewhere
    CONTRADICTION = 0x5  # the previous size is not that of the block in front, but leads to a place in the page
    PREVIOUS_TOO_LARGE = 0x6  # the previous size leads in front of the page
    SIZE_WRONG = 0x7  # the size ends in the middle of the next block
    SIZE_ZERO = 0x8
    SIZE_TOO_LARGE = 0x9  # the size ends behind the page
    OVERRUN = 0x20  # the block in front was written beyond its end: the whole header is its data


@dataclass(frozen=True, slots=True)
class DamagedHeader:
    """Where the damage is: the address of the header, and its bytes (16 or 8; of FREE_LIST the links) before and after.

    ``victim`` is the number of the block in the ``blocks`` of its pool's pages; those say what was there before.
    """

    damage: Damage
    address: int
    pool: str
    victim: int
    before: bytes
    after: bytes


def corrupt(machine: SimulatedMachine, damage: Damage, random: Random, *, pool: str = "nonpaged") -> DamagedHeader:
    """Damage one header in the memory of a machine. Raises ValueError when it has no block that such damage can hit."""
    pages = [pages for pages in machine.truth.pool_pages if pages.pool == pool]
    form = form_of(machine.truth.windows.pointer)
    absent = np.array(machine.truth.absent_pages, np.uint64)
    for part in pages:
        victims = _victims(part, damage, form, absent)
        if len(victims):
            victim = int(random.choice(victims.tolist()))
            return _hit(machine, part, victim, damage, form)
    raise ValueError(f"the machine has no block of {pool} pool that this damage can hit")


def damaged_header(header: bytes, offset: int, next_size: int, damage: Damage, form: HeaderForm) -> bytes:
    """A header at ``offset`` of its page after the damage; ``next_size`` is the size of the next block, in units.

    Raises ValueError for the links of a free block, which are not in the header.
    """
    raw = bytearray(header)
    previous, index, size, kind, tag = read_header(raw, 0, form)
    at = offset // form.unit
    most = (1 << form.bits) - 1
    if damage is Damage.CONTRADICTION:
        previous = previous - 1 if previous > 1 else previous + 1
    elif damage is Damage.PREVIOUS_TOO_LARGE:
        previous = min(at + 1 + at // 2, most)
    elif damage is Damage.SIZE_WRONG:
        size += max(1, next_size // 2)
    elif damage is Damage.SIZE_ZERO:
        size = 0
    elif damage is Damage.SIZE_TOO_LARGE:
        size = min(form.units - at + 1 + at // 2, most)
    elif damage is Damage.OVERRUN:
        return bytes([_OVERRUN]) * form.unit
    else:
        raise ValueError("links are not in the header")
    write_header(raw, 0, form, (previous, index, size, kind, tag))
    return bytes(raw)


def _victims(pages: PoolPages, damage: Damage, form: HeaderForm, absent: NDArray[np.uint64]) -> NDArray[np.int64]:
    """Numbers of blocks with enough good ones in front and another behind them in the same page, which is present."""
    blocks = pages.blocks
    page = blocks["address"] // np.uint64(PAGE)
    first = np.searchsorted(page, page)
    place = np.arange(len(blocks)) - first
    last = np.append(page[1:] != page[:-1], True)
    fits = (place >= _BLOCKS_BEFORE) & ~last & ~np.isin(page * np.uint64(PAGE), absent)
    if damage is Damage.FREE_LIST:
        fits &= (blocks["state"] == FREE) & (blocks["size"] >= 2 * form.unit)
    elif damage is Damage.PREVIOUS_TOO_LARGE:
        offset = blocks["address"] % np.uint64(PAGE) // np.uint64(form.unit)
        fits &= offset + 1 < 1 << form.bits
    elif damage is Damage.SIZE_WRONG:
        fits &= np.append(blocks["size"][1:], 0) >= 2 * form.unit
    return np.flatnonzero(fits)


def _hit(machine: SimulatedMachine, pages: PoolPages, victim: int, damage: Damage, form: HeaderForm) -> DamagedHeader:
    address = int(pages.blocks["address"][victim])
    if damage is Damage.FREE_LIST:
        at, size = address + form.unit, 2 * form.pointer
        before = machine.system.read(at, size)
        after = before[: form.pointer] + bytes([_OVERRUN]) * form.pointer
    else:
        at, size = address, form.unit
        before = machine.system.read(at, size)
        next_size = int(pages.blocks["size"][victim + 1]) // form.unit
        after = damaged_header(before, address % PAGE, next_size, damage, form)
    machine.system.write(at, after)
    return DamagedHeader(damage, address, pages.pool, victim, before, after)
