"""What every part of reading a dump needs to make facts: the input, the time, and where to say what is missing."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import TypedDict

from poolsleuth.model.facts import Figure, Problem, Where

MAX_PROBLEMS = 40  # sentences about one dump: more of them help nobody


class FactBase(TypedDict):
    """The fields that all facts share."""

    where: Where
    live: bool | None
    address_bits: int | None
    at: datetime | None


@dataclass(slots=True)
class DumpContext:
    """One dump while it is read. ``problems`` is the list of the whole run, to which sentences about it are added.

    ``symbols`` is False when the kernel's symbols are not known: what cannot be found for want of them is told at the
    end, in one sentence.
    """

    index: int
    bits: int
    captured_at: datetime | None
    problems: list[Problem]
    symbols: bool = True
    _wanting: list[str] = field(default_factory=list)
    _told: set[str] = field(default_factory=set)

    def base(self, address: int | None = None, offset: int | None = None) -> FactBase:
        """The shared fields of a fact that lies at a virtual address, or at an offset of the file."""
        return FactBase(where=self.where(address, offset), live=False, address_bits=self.bits, at=self.captured_at)

    def where(self, address: int | None = None, offset: int | None = None) -> Where:
        """A place in this dump."""
        return Where(self.index, offset=offset, address=address)

    def figure(self, value: int | None, address: int | None, unit: int = 1) -> Figure | None:
        """A figure read at a virtual address, times ``unit`` (bytes of a page, for one counted in pages)."""
        return None if value is None else Figure(value * unit, self.where(address))

    def problem(self, says: str, address: int | None = None, offset: int | None = None) -> None:
        """Add one sentence, once, and no more than ``MAX_PROBLEMS`` of them."""
        if says in self._told or len(self._told) > MAX_PROBLEMS:
            return
        if not self.symbols and says.endswith(" is not known"):
            self._wanting.append(says)
            return
        self._told.add(says)
        if len(self._told) > MAX_PROBLEMS:
            says, address, offset = "there is more in this dump that could not be read", None, None
        self.problems.append(Problem(says, self.where(address, offset)))

    def end(self) -> None:
        """Tell what was not read for want of symbols."""
        if self._wanting:
            self.symbols = True
            self.problem(
                "without the symbols of its kernel this was not read: "
                + "; ".join(dict.fromkeys(self._wanting))
                + " (`poolsleuth symbols fetch` gets them where there is a network, docs/symbols.md says how without)"
            )
