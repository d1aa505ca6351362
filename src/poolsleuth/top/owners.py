"""Who writes a tag, in a word beside its figures: from the evidence's own rows, a pooltag.txt, and our notes."""

from collections.abc import Iterable
from dataclasses import dataclass

from poolsleuth.model.facts import Fact, Where
from poolsleuth.model.finding import Confidence
from poolsleuth.model.machine import Machine, System
from poolsleuth.model.series import TagKey
from poolsleuth.model.tags import PoolKind, TagDescription, TagRow, TagTable
from poolsleuth.patterns.attribution import THIRD_PARTY, Attribution, Owner
from poolsleuth.patterns.tag_knowledge import family_hint, sure_note
from poolsleuth.windows.shared_tags import ROUTINES
from poolsleuth.windows.tag_notes import Role, TagNote

MAX_REMEMBERED = 50_000  # answers kept: a screen asks for the same tags at every refresh
_NOWHERE = Where(0)
_SHARED = (Role.GENERIC, Role.UNTAGGED)


@dataclass(frozen=True, slots=True)
class TagOwner:
    """Who writes a tag. None is not known.

    ``driver`` is a file ("ntfs.sys"), or a part of the kernel ("nt!mm"); ``note`` says what the memory is. ``sure`` is
    False for a guess, such as a family that the tag only looks like: then ``driver`` must be shown as one. A tag that
    many drivers share never names one for sure.
    """

    driver: str | None = None
    note: str | None = None
    sure: bool = False


NOBODY = TagOwner()


class Owners:
    """The owners of the tags of one machine.

    ``descriptions`` are the lines of the user's pooltag.txt. ``facts`` are what else is known of the machine: of its
    tag tables the rows that print a binary or a description are used.
    """

    def __init__(self, system: System, descriptions: Iterable[TagDescription] = (), facts: Iterable[Fact] = ()) -> None:
        self._attribution = Attribution(Machine(system=system, inputs=(), facts=()), descriptions)
        self._known: dict[TagKey, TagOwner] = {}
        self._printed: dict[TagKey, TagRow] = {}
        for table in facts:
            if isinstance(table, TagTable):
                for row in table.rows:
                    if row.binary is not None or row.description is not None:
                        self._printed[TagKey(row.tag, row.pool, table.session)] = row

    def of(self, key: TagKey) -> TagOwner:
        """Who writes a tag of a pool; ``NOBODY`` when nothing says."""
        known = self._known.get(key)
        if known is None:
            if len(self._known) >= MAX_REMEMBERED:
                self._known.clear()
            known = self._known[key] = self._found(key)
        return known

    def row(self, key: TagKey) -> tuple[str | None, str | None]:
        """Description and binary that the evidence itself prints behind a tag's figures."""
        row = self._printed.get(key)
        return (row.description, row.binary) if row is not None else (None, None)

    def _found(self, key: TagKey) -> TagOwner:
        description, binary = self.row(key)
        # What lies in a session is of the session's pool, as far as families of tags go
        pool = key.pool if key.session is None else PoolKind.SESSION
        row = TagRow(key.tag, pool, None, None, None, None, _NOWHERE, description, binary)
        owner = self._attribution.owner(row)
        note = sure_note(row)
        if key.tag in ROUTINES or (note is not None and note.role in _SHARED):
            note_text = _sentence(note.holds) if note is not None else _text(owner, None)
            return TagOwner(_listed_driver(owner, note), note_text, False)
        if owner is not None:
            driver = owner.binary or (note.binary if note is not None else None)
            return TagOwner(driver, _text(owner, note), owner.confidence is Confidence.HIGH)
        hint = family_hint(row)
        if hint is not None:
            return TagOwner(hint.binary, f"looks like {hint.pattern}: {_sentence(hint.holds)}", False)
        return NOBODY


def _listed_driver(owner: Owner | None, note: TagNote | None) -> str | None:
    """The driver of a shared tag: only what the evidence or the user's list names, never the part of Windows that puts
    the tag on what others ask for."""
    if owner is None or owner.binary is None or (note is not None and owner.binary == note.binary):
        return None
    return owner.binary


def _text(owner: Owner | None, note: TagNote | None) -> str | None:
    if note is None:
        return owner.description if owner is not None else None
    if note.component == THIRD_PARTY or owner is None or owner.description in (None, note.component):
        return _sentence(note.holds)
    return owner.description


def _sentence(text: str) -> str:
    return text.removesuffix(".")
