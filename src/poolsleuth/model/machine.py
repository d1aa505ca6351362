"""A machine: the facts that belong to one computer, at one or more times."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

from poolsleuth.model.facts import Fact, Reason
from poolsleuth.model.system import BugCheck

F = TypeVar("F", bound=Fact)


@dataclass(frozen=True, slots=True, kw_only=True)
class System:
    """What is known of the computer. ``os`` may be a family ("Windows XP or Server 2003") when only that shows.

    ``pae`` is None except on x86; ``three_gb`` is True when /3GB (4GT) is inferred; ``basis`` says what each
    identification rests on. ``era`` orders Windows generations (see ``windows.builds.Era``), None when unknown.
    """

    name: str | None = None
    os: str | None = None
    build: int | None = None
    era: int | None = None
    architecture: str | None = None
    pae: bool | None = None
    three_gb: bool | None = None
    physical_bytes: int | None = None
    captured_at: datetime | None = None
    uptime_seconds: float | None = None
    bugcheck: BugCheck | None = None
    basis: tuple[Reason, ...] = ()

    @property
    def bits(self) -> int | None:
        """32 or 64, None when the architecture is not known."""
        if self.architecture is None:
            return None
        return 32 if self.architecture == "x86" else 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """One computer: its system, the inputs that speak of it (indexes), and all its facts in order."""

    system: System
    inputs: tuple[int, ...]
    facts: tuple[Fact, ...]

    def all(self, kind: type[F]) -> Iterator[F]:
        """Every fact of a kind, in the order of the inputs."""
        return (fact for fact in self.facts if isinstance(fact, kind))

    def latest(self, kind: type[F]) -> F | None:
        """The last fact of a kind, None when there is none."""
        last: F | None = None
        for fact in self.all(kind):
            last = fact
        return last
