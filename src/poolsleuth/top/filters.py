"""Which tags are shown: poolmon's patterns, one pool, one session, and a search. Each tag is looked at once."""

import re
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from poolsleuth.model.series import TagKey

Mask = NDArray[np.bool_]

TAG_LENGTH = 4  # characters; blanks at the end of a shorter tag belong to it
MAX_PATTERN = 64  # characters of a pattern that count: a tag has four
_KEPT = 8  # answers that are remembered: a search is typed letter by letter, and taken back


class TagPattern:
    """A tag as poolmon's /i and /x take it: ``*`` is any characters, ``?`` any one (a blank at the end, too).

    Case counts.
    """

    def __init__(self, pattern: str) -> None:
        stars = re.sub(r"\*+", "*", pattern[:MAX_PATTERN])
        stars = stars if "*" in stars else stars.ljust(TAG_LENGTH)
        expression = "".join(".*" if c == "*" else "." if c == "?" else re.escape(c) for c in stars)
        self._expression = re.compile(expression, re.DOTALL)

    def covers(self, tag: str) -> bool:
        """Whether a tag is meant."""
        return self._expression.fullmatch(tag) is not None or (
            len(tag) < TAG_LENGTH and self._expression.fullmatch(tag.ljust(TAG_LENGTH)) is not None
        )


class PatternMask:
    """Which tags some patterns leave, by number of tag."""

    def __init__(self) -> None:
        self._known: dict[tuple[tuple[str, ...], tuple[str, ...]], Mask] = {}

    def mask(self, include: tuple[str, ...], exclude: tuple[str, ...], keys: Sequence[TagKey], width: int) -> Mask:
        """True where a tag is included (or nothing is) and not excluded; for the first ``width`` keys."""
        name = (include, exclude)
        known = self._known.pop(name, None)
        done = 0 if known is None else len(known)
        if known is None or done < width:
            wanted, unwanted = ([TagPattern(p) for p in patterns] for patterns in name)
            new = np.fromiter(
                (
                    (not wanted or any(p.covers(key.tag) for p in wanted))
                    and not any(p.covers(key.tag) for p in unwanted)
                    for key in keys[done:width]
                ),
                np.bool_,
                width - done,
            )
            known = new if known is None else np.concatenate((known, new))
        return _remember(self._known, name, known)


class SearchMask:
    """Which tags hold what is searched for in their tag, driver or note. Case does not count.

    ``words`` gives the text of a tag that is searched in.
    """

    def __init__(self, words: Callable[[TagKey], str]) -> None:
        self._words = words
        self._texts: list[str] = []
        self._known: dict[str, Mask] = {}

    def mask(self, search: str, keys: Sequence[TagKey], width: int) -> Mask:
        """True where a tag is found; for the first ``width`` keys."""
        wanted = search.casefold()
        self._texts.extend(self._words(key).casefold() for key in keys[len(self._texts) : width])
        known = self._known.pop(wanted, None)
        done = 0 if known is None else len(known)
        if known is None or done < width:
            new = np.fromiter((wanted in text for text in self._texts[done:width]), np.bool_, width - done)
            known = new if known is None else np.concatenate((known, new))
        return _remember(self._known, wanted, known)


def _remember(known: dict, name: object, mask: Mask) -> Mask:  # type: ignore[type-arg]
    """The answer used last stands at the end; the one used longest ago goes."""
    known[name] = mask
    if len(known) > _KEPT:
        del known[next(iter(known))]
    return mask
