"""Why bytes of memory cannot be read. The answers differ: only some of them say anything about the machine."""

from enum import IntEnum


class Absence(IntEnum):
    """Why a page cannot be read: the values are negative, so that they can stand in place of file offsets.

    The first two are a matter of the dump, the others of the machine that it was taken from.
    """

    NOT_IN_DUMP = -1  # the dump was written without it (or without a page table that leads to it)
    CUT_OFF = -2  # the dump was written with it, but the file ends before it
    NOT_MAPPED = -3  # nothing lies at this address
    PAGED_OUT = -4  # it lies in a page file, or in the file it was mapped from
    DEMAND_ZERO = -5  # it was never touched: it would read as zeros
    UNKNOWN = -6  # its page table entry cannot be decoded (damaged, or of a kind that is not known)

    @property
    def says(self) -> str:
        """A few words for a report."""
        return _WORDS[self]


_WORDS = {
    Absence.NOT_IN_DUMP: "not in this dump",
    Absence.CUT_OFF: "cut off with the end of the file",
    Absence.NOT_MAPPED: "not mapped",
    Absence.PAGED_OUT: "paged out",
    Absence.DEMAND_ZERO: "never touched",
    Absence.UNKNOWN: "not readable: its page table entry cannot be decoded",
}
