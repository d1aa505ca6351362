"""The root of all facts: what one input says, and where it says it.

Sizes are bytes, times are UTC, ``None`` means "the input does not say" and is never replaced by 0.
"""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Where:
    """A place in an input: the input's index on the command line and a line (from 1), byte offset, or virtual address.

    In the memory of a crash dump a thing is found again by its address; a debugger shows it there.
    """

    input: int
    line: int | None = None
    offset: int | None = None
    address: int | None = None

    @property
    def at(self) -> str:
        """The place as a report prints it; an empty string when only the input is known."""
        if self.line is not None:
            return f"line {self.line}"
        if self.offset is not None:
            return f"offset 0x{self.offset:x}"
        if self.address is not None:
            return f"address 0x{self.address:x}"
        return ""


@dataclass(frozen=True, slots=True)
class Figure:
    """One number (bytes or a count, as its field says) and the place that prints it."""

    value: int
    where: Where


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """What one output of one input says.

    ``live`` tells a local kernel debugger (``lkd>``) from one on a dump or a remote target (``kd>``);
    ``command`` is the command as typed, where the log still shows it; ``address_bits`` is 32 or 64 where the
    output prints kernel addresses; ``at`` is the time of the capture in UTC. All are None when the input does not
    show them.
    """

    where: Where
    live: bool | None = None
    command: str | None = None
    address_bits: int | None = None
    at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Problem:
    """Input that could not be used, with its place. ``where`` is None when no input is concerned."""

    says: str
    where: Where | None = None


@dataclass(frozen=True, slots=True)
class Reason:
    """One sentence of evidence and where it stands; ``where`` is None for a rule or an inference."""

    says: str
    where: Where | None = None
