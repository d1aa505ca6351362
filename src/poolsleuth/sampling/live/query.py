"""Asks a running Windows for one class of information, in a buffer that grows and is kept.

Status values: [MS-ERREF] 2.3.1. That too small a buffer is told by STATUS_INFO_LENGTH_MISMATCH or
STATUS_BUFFER_TOO_SMALL, with the length that would do: Geoff Chappell's page on NtQuerySystemInformation.
"""

from dataclasses import dataclass
from enum import IntEnum

import numpy as np

from poolsleuth.model.errors import InputError
from poolsleuth.sampling.live import figures
from poolsleuth.sampling.live.system import LiveSystem
from poolsleuth.sampling.live.tag_tables import Buffer

MAX_BUFFER_BYTES = 256 << 20  # 8 million big allocations are 192 MB
MAX_TRIES = 12  # each doubles the buffer at least, unless Windows says what it needs
MAX_FIXED_BYTES = 4_096  # of a structure without a table: the largest has some hundred
_SLACK = 4_096  # bytes more than Windows needs now: tables grow between two calls


class Status(IntEnum):
    """NTSTATUS values that are told apart."""

    SUCCESS = 0
    BUFFER_OVERFLOW = 0x8000_0005
    NOT_IMPLEMENTED = 0xC000_0002
    INVALID_INFO_CLASS = 0xC000_0003
    INFO_LENGTH_MISMATCH = 0xC000_0004
    NO_MEMORY = 0xC000_0017
    ACCESS_DENIED = 0xC000_0022
    BUFFER_TOO_SMALL = 0xC000_0023
    PRIVILEGE_NOT_HELD = 0xC000_0061
    INSUFFICIENT_RESOURCES = 0xC000_009A
    NOT_SUPPORTED = 0xC000_00BB
    COMMITMENT_LIMIT = 0xC000_012D


_TOO_SMALL = frozenset({Status.INFO_LENGTH_MISMATCH, Status.BUFFER_TOO_SMALL, Status.BUFFER_OVERFLOW})
_NOT_THERE = frozenset({Status.INVALID_INFO_CLASS, Status.NOT_IMPLEMENTED, Status.NOT_SUPPORTED})
_NOT_ALLOWED = frozenset({Status.ACCESS_DENIED, Status.PRIVILEGE_NOT_HELD})
_NO_ROOM = frozenset({Status.NO_MEMORY, Status.INSUFFICIENT_RESOURCES, Status.COMMITMENT_LIMIT})
_FAILED = 0x8000_0000  # statuses from here on are warnings and errors


@dataclass(frozen=True, slots=True)
class Question:
    """A class of information: its number, what it is in words (plural), and the length of the first buffer in bytes.

    ``fixed``: the answer is one structure, and Windows may insist on its exact length: these are tried in turn.
    """

    number: int
    what: str
    length: int
    fixed: tuple[int, ...] = ()


PERFORMANCE = Question(2, "the figures of memory", figures.PERFORMANCE_SIZES[0], figures.PERFORMANCE_SIZES)
CLOCK = Question(3, "the time and the time of the start", figures.TIME_SIZES[0], figures.TIME_SIZES)
PROCESSES = Question(5, "the processes", 512 << 10)
POOL_TAGS = Question(22, "the pool tags", 256 << 10)
BIG_POOL = Question(66, "the big allocations", 1 << 20)
SESSION_TAGS = Question(67, "the pool tags of sessions", 64 << 10)
POOL_TAGS_2 = Question(255, "the pool tags with 64-bit counts", 256 << 10)


def basic_question(wide: bool) -> Question:
    """Class 0; its length depends on the width."""
    return Question(0, "the size of memory", figures.BASIC_SIZES[wide], (figures.BASIC_SIZES[wide],))


class RefusedError(InputError):
    """Windows did not answer. ``missing``: it does not have this class at all, and never will while it runs."""

    def __init__(self, question: Question, why: str, *, status: int = 0) -> None:
        super().__init__(f"Windows does not give {question.what} (class {question.number}): {why}.")
        self.missing = status in _NOT_THERE
        self.status = status


class Asker:
    """Asks, and keeps one buffer for each class. SeDebugPrivilege is enabled when something is refused, not before."""

    def __init__(self, system: LiveSystem) -> None:
        self._system = system
        self._buffers: dict[int, Buffer] = {}
        self._privileged: bool | None = None  # None: not tried

    def gain_privilege(self) -> bool:
        """Whether something may be answered now that was not: SeDebugPrivilege has just been enabled."""
        if self._privileged is None:
            self._privileged = self._system.allow_debugging()
            return self._privileged
        return False

    def ask(self, question: Question, *, keep: bool = True) -> Buffer:
        """The answer: a view of a buffer that the next question of the same class fills anew.

        ``keep`` False gives the buffer away instead. Raises RefusedError with the reason.
        """
        kept = self._buffers.pop(question.number, None)
        size = question.length if kept is None else len(kept)
        tried: set[int] = set()
        for _ in range(MAX_TRIES):
            buffer = kept if kept is not None and len(kept) == size else _room(question, size)
            kept = buffer
            buffer[:16] = 0  # what an earlier answer left there is no question
            status, needed = self._system.query(question.number, buffer)
            if status < _FAILED:
                if keep:
                    self._buffers[question.number] = buffer
                return buffer[:needed] if 0 < needed <= size else buffer
            if status in _NOT_ALLOWED and self.gain_privilege():
                continue
            if status not in _TOO_SMALL:
                raise RefusedError(question, _why(status, privileged=bool(self._privileged)), status=status)
            tried.add(size)
            size = _fitting(question, tried, needed) if question.fixed else _longer(question, size, needed)
        raise RefusedError(question, f"no buffer was long enough in {MAX_TRIES} attempts")


def _room(question: Question, size: int) -> Buffer:
    try:
        return np.zeros(size, np.uint8)
    except MemoryError:
        raise RefusedError(question, f"there is no memory for {size:,} bytes of answer") from None


def _fitting(question: Question, tried: set[int], needed: int) -> int:
    """The length that a structure should have, or another that it had in some Windows."""
    for size in (needed, *question.fixed):
        if 0 < size <= MAX_FIXED_BYTES and size not in tried:
            return size
    raise RefusedError(question, f"it takes no buffer of {', '.join(str(size) for size in sorted(tried))} bytes")


def _longer(question: Question, size: int, needed: int) -> int:
    """The length of the next buffer for a table."""
    if size >= MAX_BUFFER_BYTES:
        raise RefusedError(question, f"the answer takes more than {MAX_BUFFER_BYTES >> 20} MB")
    wanted = needed + needed // 8 + _SLACK if needed > size else size * 2
    return min(MAX_BUFFER_BYTES, wanted)


def _why(status: int, *, privileged: bool) -> str:
    code = f"status 0x{status:08X}"
    if status in _NOT_ALLOWED:
        said = "access is denied" if status == Status.ACCESS_DENIED else "a privilege is missing"
        if privileged:
            return f"{said} although SeDebugPrivilege is enabled ({code})"
        return f"{said} ({code}), and SeDebugPrivilege is not held: run it in a console started as administrator"
    if status in _NOT_THERE:
        return f"this Windows does not have them ({code})"
    if status in _NO_ROOM:
        return f"it has no memory left for the answer ({code})"
    return code
