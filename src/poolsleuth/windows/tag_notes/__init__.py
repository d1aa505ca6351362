"""Our own notes on common pool tags and tag families: what the memory is, what growth means, what to do next."""

from functools import cache, lru_cache

from poolsleuth.windows.tag_notes import (
    address_space,
    cache_manager,
    display,
    file_services,
    file_sharing,
    file_systems,
    generic,
    input_output,
    memory_manager,
    network,
    network_drivers,
    object_parts,
    objects,
    other_file_systems,
    power_and_devices,
    redirectors,
    registry,
    security,
    session,
    sockets_and_filtering,
    storage,
    tracing,
    verifier,
    window_manager,
)
from poolsleuth.windows.tag_notes.note import Role, TagNote
from poolsleuth.windows.tag_patterns import TagPatterns

__all__ = ["Role", "TagNote", "all_notes", "find"]

_MODULES = (
    address_space,
    cache_manager,
    display,
    file_services,
    file_sharing,
    file_systems,
    generic,
    input_output,
    memory_manager,
    network,
    network_drivers,
    object_parts,
    objects,
    other_file_systems,
    power_and_devices,
    redirectors,
    registry,
    security,
    session,
    sockets_and_filtering,
    storage,
    tracing,
    verifier,
    window_manager,
)


# A hostile table may hold any number of different tags; real ones have some thousands
_REMEMBERED = 20_000


@lru_cache(maxsize=_REMEMBERED)
def find(tag: str) -> TagNote | None:
    """The note that says most about ``tag``, or None: no note covers it.

    An exact tag comes before ``?``, and ``?`` before ``*``; among equals the pattern with most literal
    characters. Case counts (Ntfr, NtFs and Ntff differ). Trailing blanks do not: a tag is always four
    characters, so ``?`` also stands for a blank at its end.
    """
    return _index().find(tag)


@cache
def all_notes() -> tuple[TagNote, ...]:
    """Every note, in the order of the files that hold them."""
    return tuple(note for module in _MODULES for note in module.NOTES)


@cache
def _index() -> TagPatterns[TagNote]:
    return TagPatterns((note.pattern, note) for note in all_notes())
