"""The answer to one question: where does this virtual address lie?"""

from dataclasses import dataclass

from poolsleuth.kernel.absence import Absence
from poolsleuth.kernel.paging.layout import VALID
from poolsleuth.kernel.paging.software import State
from poolsleuth.kernel.paging.walk import Step, Walk


@dataclass(frozen=True, slots=True, kw_only=True)
class Translation:
    """Where a virtual address lies. Nothing is said here about whether the dump holds that page.

    ``state`` is that of the entry which decided; for a prototype entry that of the one it leads to, whose value and
    virtual address are ``prototype_entry`` and ``prototype_address``. ``physical`` is a physical address; None with an
    ``absence``. ``page_size`` is in bytes: that of the entry which maps the page, or would. ``entry`` is the value of
    the last entry on the way (None when the table could not be read), ``entry_at`` its physical address, ``level`` 1
    for a page table, 2 for a page directory and so on; None for an address that no table could have. The page file's
    number and ``page_file_offset`` (in pages) are None for a page that is in none. ``guessed``: see
    ``software.Decoded``.
    """

    address: int
    state: State
    absence: Absence | None
    physical: int | None
    page_size: int
    level: int | None = None
    entry: int | None = None
    entry_at: int | None = None
    prototype_address: int | None = None
    prototype_entry: int | None = None
    page_file_number: int | None = None
    page_file_offset: int | None = None
    guessed: bool = False


def translation_of(walk: Walk, address: int) -> Translation:
    """Walk to ``address`` and tell what was found."""
    step = walk.one(address >> 12) if address >= 0 else None
    if step is None or step.entry_at is None:
        return Translation(
            address=address, state=State.NOT_MAPPED, absence=Absence.NOT_MAPPED, physical=None, page_size=0x1000
        )
    there = step.place >= 0
    file = step.target or step.software
    return Translation(
        address=address,
        state=_state(step),
        absence=None if there else Absence(step.place),
        physical=step.place << 12 | address & 0xFFF if there else None,
        page_size=1 << walk.levels[step.depth].shift if step.large else 0x1000,
        level=len(walk.levels) - step.depth,
        entry=step.entry,
        entry_at=step.entry_at,
        prototype_address=None if step.software is None else step.software.prototype,
        prototype_entry=step.target_entry,
        page_file_number=None if file is None else file.page_file_number,
        page_file_offset=None if file is None else file.page_file_offset,
        guessed=any(part.guessed for part in (step.software, step.target) if part is not None),
    )


def _state(step: Step) -> State:
    if step.target is not None:
        return step.target.state
    if step.target_entry is not None:
        return State.VALID if step.place >= 0 else State.UNKNOWN
    if step.software is not None:
        return State.UNREADABLE if step.software.state is State.PROTOTYPE else step.software.state
    if step.entry is None:
        return State.UNREADABLE
    return State.VALID if step.entry & VALID and step.place >= 0 else State.UNKNOWN
