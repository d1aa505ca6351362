"""``pooltag.txt`` and ``localtag.txt``: tag, binary, description - with the odd lines of the real file."""

import re

from poolsleuth.model.facts import Where
from poolsleuth.model.tags import TagDescription, TagDescriptions

MAX_ENTRIES = 200_000  # Microsoft's file has about 4,000
MAX_TEXT = 500  # characters of a description
_COMMENT = re.compile(r"^\s*(?:rem\b|//|;|#)", re.IGNORECASE)
# "<Tag> - <binary> - <description>"; the blank before or after a dash is missing in some lines, the binary in others
_LINE = re.compile(r"^(?P<tag>[ ]?\S.{0,3}?)[ \t]*-[ \t]+(?P<rest>.*)$|^(?P<tag2>\S.{0,3}?)[ \t]+-(?P<rest2>\S.*)$")
_BINARY = re.compile(r"^(?:<unknown>|[\w.+-]+(?:![\w]+)?|[\w]+\.(?:sys|dll|exe))$", re.IGNORECASE)
_UNKNOWN = "<unknown>"


def parse_pool_tags(text: str, input_index: int) -> TagDescriptions:
    """The entries of a tag list; lines that are no entry are skipped (comments, wrapped rests, a final Ctrl-Z)."""
    entries: list[TagDescription] = []
    for line in text.splitlines():
        if len(entries) >= MAX_ENTRIES:
            break
        entry = _entry(line.strip("\x1a\ufeff\r\n"))
        if entry is not None:
            entries.append(entry)
    return TagDescriptions(where=Where(input_index, 1), entries=tuple(entries))


def _entry(line: str) -> TagDescription | None:
    if not line.strip() or _COMMENT.match(line):
        return None
    match = _LINE.match(line[: MAX_TEXT * 2])
    if match is None:
        return None
    tag = (match.group("tag") or match.group("tag2")).strip()
    rest = (match.group("rest") or match.group("rest2") or "").strip()
    first, dash, following = rest.partition(" - ")
    if not dash:
        first, dash, following = rest.partition(" -")
    first = first.strip()
    if dash and (_BINARY.match(first) or " " not in first):
        binary = None if first.lower() in (_UNKNOWN, "unknown") else first
        return TagDescription(tag, binary, following.strip(" -")[:MAX_TEXT])
    if _BINARY.match(rest) and "." in rest:
        return TagDescription(tag, rest, "")
    return TagDescription(tag, None, rest[:MAX_TEXT])
