"""Matching tags against lists of tags and families: exact before ``?`` before ``*``, as pooltag.txt is meant."""

from collections.abc import Iterable
from typing import Generic, TypeVar

T = TypeVar("T")

TAG_LENGTH = 4


class TagPatterns(Generic[T]):
    """An index from tag patterns to whatever describes them. Case counts: Ntfr, NtFs and Ntff differ."""

    def __init__(self, entries: Iterable[tuple[str, T]]) -> None:
        self._exact: dict[str, T] = {}
        families: list[tuple[str, T]] = []
        for pattern, entry in entries:
            bare = pattern.rstrip(" ")
            if "?" in bare or "*" in bare:
                families.append((pattern, entry))
            else:
                self._exact.setdefault(bare, entry)
        # By their first character, with those that may have any in every list, so that few are ever compared
        ranked = sorted(families, key=lambda item: _rank(item[0]))
        firsts = {pattern[0] for pattern, _ in ranked}
        self._families = {c: [f for f in ranked if f[0][0] in (c, "?", "*")] for c in firsts}
        self._open_families = [f for f in ranked if f[0][0] in "?*"]

    def find(self, tag: str) -> T | None:
        """The entry whose pattern says most about ``tag``; None when none covers it. Trailing blanks do not count."""
        bare = tag.rstrip(" ")
        if not bare or len(bare) > TAG_LENGTH:
            return None
        if bare in self._exact:
            return self._exact[bare]
        families = self._families.get(bare[0], self._open_families)
        return next((entry for pattern, entry in families if covers(pattern, bare)), None)


def _rank(pattern: str) -> tuple[bool, int]:
    wildcards = pattern.count("?") + pattern.count("*")
    return "*" in pattern, wildcards - len(pattern)


def covers(pattern: str, tag: str) -> bool:
    """Whether a pattern covers a tag: ``?`` is any one character (also a blank at the end), ``*`` the rest."""
    head, star, _ = pattern.partition("*")
    if not star:
        head = head.ljust(TAG_LENGTH)
    tag = tag.ljust(TAG_LENGTH)
    return all(wanted in ("?", found) for wanted, found in zip(head, tag, strict=False))
