"""A dump among what was searched for a tag: what is loaded there, what is gone, and what could not be seen."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PureWindowsPath

from poolsleuth.drivers.survey import Looked
from poolsleuth.drivers.tags import alike

MAX_NAMED = 4  # modules that a sentence names


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """A dump among what was searched. ``loaded`` are file names in small letters, ``whole``: none is missing there.

    ``unseen`` are modules of which nothing could be read, ``unloaded`` the drivers that are gone and how often each
    was unloaded; ``notes`` are sentences about the dump.
    """

    dump: str
    loaded: frozenset[str]
    whole: bool
    unseen: tuple[str, ...] = ()
    unloaded: tuple[tuple[str, int], ...] = ()
    notes: tuple[str, ...] = ()


def times_text(count: int) -> str:
    """ "once", "3 times"."""
    return "once" if count == 1 else f"{count:,} times"


def kilobytes(count: int) -> str:
    """A number of bytes, in KB."""
    return f"{-(-count // 1024):,} KB"


def gone(tag: int, scope: Scope) -> list[str]:
    """Unloaded drivers that are named like the tag: their code is gone, their memory may be left."""
    return [
        f"{name}, which was unloaded {times_text(times)} in {scope.dump}, is named like the tag: its code is no longer"
        " there, the memory may be what it left"
        for name, times in scope.unloaded
        if name.lower() not in scope.loaded and alike(tag, PureWindowsPath(name.lower()).stem) is not None
    ]


def doubts(scope: Scope, looked: Sequence[Looked]) -> list[str]:
    """What of a dump was not seen although it should be there: a page that is not there proves nothing."""
    said: list[str] = []
    if not scope.whole:
        said.append(f"{scope.dump}: its list of loaded modules is not whole: others may use the tag")
    if scope.unseen:
        said.append(f"{scope.dump}: nothing is there of {_names(scope.unseen)}: an absent page proves nothing")
    partial = [one for one in _of(scope, looked) if one.unread_code]
    if partial:
        missing = kilobytes(sum(one.unread_code for one in partial))
        names = _names([PureWindowsPath(one.name).name for one in partial])
        said.append(f"{scope.dump}: {missing} of resident code are not there ({names}): an absent page proves nothing")
    return said


def paged_out(scope: Scope, looked: Sequence[Looked]) -> list[str]:
    """Pageable code that is not there, as in every dump: said, and no reason for doubt."""
    paged = [one for one in _of(scope, looked) if one.unread_pageable]
    if not paged:
        return []
    missing = kilobytes(sum(one.unread_pageable for one in paged))
    count = "1 module" if len(paged) == 1 else f"{len(paged):,} modules"
    return [f"{scope.dump}: {missing} of pageable code of {count} are not there: a use of the tag may lie there"]


def _of(scope: Scope, looked: Sequence[Looked]) -> list[Looked]:
    return [one for one in looked if one.loaded is not None and one.loaded.startswith(f"{scope.dump} at ")]


def _names(names: Sequence[str]) -> str:
    more = len(names) - MAX_NAMED
    return ", ".join(names[:MAX_NAMED]) + (f" and {more:,} more" if more > 0 else "")
