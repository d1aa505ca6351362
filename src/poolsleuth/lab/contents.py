"""What is to lie in the blocks of a tag, as truth: pointers to drivers, lists, objects, addresses of other blocks."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Place:
    """A pointer at an offset of a block (behind its header) to a place of a driver: bytes behind its image's start.

    The driver may be one that was unloaded; then it is where it lay when it was unloaded last.
    """

    offset: int
    driver: str
    relative: int


@dataclass(frozen=True, slots=True, kw_only=True)
class BlockContents:
    """The contents of all blocks of one tag that are in memory; what is not named is noise.

    ``code`` and ``data`` are pointers into drivers; one block of ``but_one_of`` holds noise instead. ``links``: at that
    offset lies a LIST_ENTRY that ties the blocks of the tag to a ring. ``object_type``: the blocks are objects of that
    type, with a real header; ``closed`` is the share of them without an open handle. ``table_in`` names a driver whose
    data section holds the address of every block; ``held_by`` a tag whose blocks hold ``held_each`` of them each.
    """

    tag: str
    code: Place | None = None
    data: Place | None = None
    links: int | None = None
    but_one_of: int = 500
    object_type: str | None = None
    closed: float = 0.0
    table_in: str | None = None
    held_by: str | None = None
    held_each: int = 16
