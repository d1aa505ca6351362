"""Which header of a pool page is damaged, and how: the cases of bug check 0x19 that a chain of headers can show.

A chain is followed from the start of its page to the first header that contradicts what is in front of it. Then the
rest tells more: where the headers behind agree with each other up to the end of the page, their first one says where
the damaged block ends, and how large it was.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from poolsleuth.kernel.pool.blocks import Rule

MAX_EXAMINED = 64  # pages of a walk that are examined so: some hundred more would tell nothing else


@dataclass(frozen=True, slots=True)
class Damage:
    """``unit`` is the place of the damaged header in its page (in units of a header), ``rule`` what is wrong there."""

    unit: int
    rule: Rule


def examine(headers: Sequence[tuple[int, int]], bad: int, before: int) -> Damage:
    """``headers`` are previous size and size (units) of what lies in each unit of the page, whatever it is.

    The chain came to ``bad`` from a block of ``before`` units, and what is there is no header behind that block.
    """
    units = len(headers)
    previous, size = headers[bad]
    if previous == before:
        # What is in front agrees: then the size itself is impossible, or it leads to the end of the page and further
        return Damage(bad, Rule.SIZE_ZERO if size == 0 else Rule.SIZE_TOO_LARGE)
    if size > 0 and _closes(headers, bad + size, size):
        return Damage(bad, Rule.PREVIOUS_TOO_LARGE if previous > bad else Rule.PREVIOUS_SIZE)
    front = bad - before
    for place in range(front + 1, units):
        if place != bad and headers[place][0] == place - front and _closes(headers, place, place - front):
            return Damage(front, Rule.SIZE_WRONG)
    for place in range(bad + 1, units):
        if headers[place][0] == place - bad and _closes(headers, place, place - bad):
            return Damage(bad, Rule.OVERRUN)
    return Damage(bad, Rule.PREVIOUS_TOO_LARGE if previous > bad and size > 0 else Rule.PREVIOUS_SIZE)


def _closes(headers: Sequence[tuple[int, int]], place: int, before: int) -> bool:
    """Whether the chain goes on at ``place`` behind a block of ``before`` units, and ends with the page."""
    units = len(headers)
    while place < units:
        previous, size = headers[place]
        if previous != before or size == 0:
            return False
        place, before = place + size, size
    return place == units
