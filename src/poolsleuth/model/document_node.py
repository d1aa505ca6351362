"""A checked view of a JSON document that is read back: every wrong value is named by its place."""

import math
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import TypeVar

from poolsleuth.model.errors import InputError

T = TypeVar("T")

MAX_LIST = 1_000_000  # entries read of any one list: more is no report of ours
_ADDRESS = re.compile("0x[0-9a-f]{1,16}")


class Node:
    """A checked view of a part of the document, which knows its place for the error message."""

    def __init__(self, value: object, place: str) -> None:
        self.value = value
        self.place = place

    def fail(self, wanted: str) -> InputError:
        """The error for a value that is none of what was ``wanted``."""
        return InputError(f"the report is damaged at {self.place}: {wanted} expected, not {self.value!r:.60}")

    def __getitem__(self, key: str) -> "Node":
        if not isinstance(self.value, Mapping):
            raise self.fail("an object")
        return Node(self.value.get(key), f"{self.place}.{key}")

    def list(self, read: Callable[["Node"], T]) -> tuple[T, ...]:
        """A list, each entry read by ``read``; a list that is absent is an empty one."""
        if self.value is None:
            return ()
        if not isinstance(self.value, list) or len(self.value) > MAX_LIST:
            raise self.fail(f"a list of at most {MAX_LIST} entries")
        return tuple(read(Node(item, f"{self.place}[{i}]")) for i, item in enumerate(self.value))

    def optional(self, read: Callable[["Node"], T]) -> T | None:
        """The value as ``read`` reads it; None when it is absent or null."""
        return None if self.value is None else read(self)

    def text(self) -> str:
        """Text."""
        if not isinstance(self.value, str):
            raise self.fail("text")
        return self.value

    def integer(self) -> int:
        """A whole number."""
        if not isinstance(self.value, int) or isinstance(self.value, bool):
            raise self.fail("a whole number")
        return self.value

    def number(self) -> float:
        """A finite number."""
        if isinstance(self.value, bool) or not isinstance(self.value, int | float):
            raise self.fail("a number")
        try:
            finite = math.isfinite(self.value)
        except OverflowError:  # a whole number that no float can hold
            finite = False
        if not finite:
            raise self.fail("a finite number")
        return self.value

    def address(self) -> str:
        """An address in the form in which reports write one: ``0xfffff80000000000``."""
        if not _ADDRESS.fullmatch(self.text()):
            raise self.fail("an address such as 0xfffff80000000000")
        return self.text()

    def boolean(self) -> bool:
        """True or false."""
        if not isinstance(self.value, bool):
            raise self.fail("true or false")
        return self.value

    def time(self) -> datetime:
        """An ISO 8601 time, in UTC; one without a zone is UTC."""
        try:
            value = datetime.fromisoformat(self.text())
            return value.astimezone(UTC) if value.tzinfo else value.replace(tzinfo=UTC)
        except (ValueError, OverflowError) as error:  # at both ends of time a zone leads beyond it
            raise self.fail("an ISO 8601 time") from error

    def one_of(self, kind: Callable[[str], T]) -> T:
        """One of the words that ``kind`` knows."""
        try:
            return kind(self.text())
        except ValueError as error:
            raise self.fail("a known word") from error
