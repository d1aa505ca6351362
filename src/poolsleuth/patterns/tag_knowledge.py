"""Our notes on a row's tag, as far as they may be trusted: an exact tag is known, a family's pattern only hints."""

from poolsleuth.model.tags import PoolKind, TagRow
from poolsleuth.windows import tag_notes
from poolsleuth.windows.tag_notes import Role, TagNote


def sure_note(row: TagRow) -> TagNote | None:
    """The note on exactly this tag, or on its family where the log's own description names the same binary.

    None for a tag that merely looks like a family's: ``Usbs`` is not win32k's because ``Us??`` is.
    """
    note = tag_notes.find(row.tag)
    if note is None or note.pattern.rstrip() == row.tag:
        return note
    return note if row.binary is not None and note.binary is not None and _same(row.binary, note.binary) else None


def family_hint(row: TagRow) -> TagNote | None:
    """The note on a family that the tag looks like, for a hint that is called one. None where it cannot be meant."""
    note = tag_notes.find(row.tag)
    if note is None or sure_note(row) is not None:
        return None
    if note.role is Role.SESSION and row.pool is not PoolKind.SESSION:
        return None  # win32k and GDI allocate from their session's pool
    return note


def _same(printed: str, known: str) -> bool:
    first, second = printed.casefold(), known.casefold()
    return first.split("!")[0] == second.split("!")[0] if "!" in first and "!" in second else first == second
