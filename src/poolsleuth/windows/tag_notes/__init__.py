"""Our own notes on common pool tags and tag families: what the memory is, what growth means, what to do next."""

from functools import cache

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

__all__ = ["Role", "TagNote", "all_notes", "find"]

TAG_LENGTH = 4

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


def find(tag: str) -> TagNote | None:
    """The note that says most about ``tag``, or None: no note covers it.

    An exact tag comes before ``?``, and ``?`` before ``*``; among equals the pattern with most literal
    characters. Case counts (Ntfr, NtFs and Ntff differ). Trailing blanks do not: a tag is always four
    characters, so ``?`` also stands for a blank at its end.
    """
    tag = tag.rstrip(" ")
    if not tag or len(tag) > TAG_LENGTH:
        return None
    exact, families = _index()
    if tag in exact:
        return exact[tag]
    return next((note for note in families if _covers(note.pattern, tag)), None)


@cache
def all_notes() -> tuple[TagNote, ...]:
    """Every note, in the order of the files that hold them."""
    return tuple(note for module in _MODULES for note in module.NOTES)


@cache
def _index() -> tuple[dict[str, TagNote], tuple[TagNote, ...]]:
    """The exact tags by name, and the families with the most telling first."""
    exact = {note.pattern: note for note in all_notes() if not _is_family(note.pattern)}
    families = sorted((note for note in all_notes() if _is_family(note.pattern)), key=_rank)
    return exact, tuple(families)


def _is_family(pattern: str) -> bool:
    return "?" in pattern or "*" in pattern


def _rank(note: TagNote) -> tuple[bool, int]:
    wildcards = note.pattern.count("?") + note.pattern.count("*")
    return "*" in note.pattern, wildcards - len(note.pattern)


def _covers(pattern: str, tag: str) -> bool:
    head, star, _ = pattern.partition("*")
    if not star:
        head = head.ljust(TAG_LENGTH)
    tag = tag.ljust(TAG_LENGTH)
    return all(wanted in ("?", found) for wanted, found in zip(head, tag, strict=False))
