"""Poolmon's own startup words (``/iMm*``, ``/p``, ``/b``, ``/(`` ...), taken where no file has that name."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

import click

from poolsleuth.model.tags import PoolKind
from poolsleuth.top.filters import TAG_LENGTH
from poolsleuth.top.view import Column, ViewOptions

MAX_SESSION = 65_533
_SORTS = {
    "t": Column.TAG,
    "a": Column.ALLOCS,
    "f": Column.FREES,
    "d": Column.DIFF,
    "b": Column.BYTES,
    "m": Column.EACH,
}
_POOLS = (None, PoolKind.NONPAGED, PoolKind.PAGED)  # what /p shows, by how often it stands there
_PLAIN = {"e", "l", "g", "n", "p", "s", "(", ")", *_SORTS}


@dataclass(frozen=True, slots=True)
class Words:
    """What was said in poolmon's words: the view, and what else. ``files`` are the other arguments."""

    files: tuple[str, ...]
    view: ViewOptions
    drivers: bool = False
    once: bool = False


def read_words(arguments: Iterable[str], view: ViewOptions) -> Words:
    """Tell poolmon's words from names of files, and apply them to a view. Raises click.UsageError."""
    said = Words((), view)
    presses = 0
    for argument in arguments:
        if not _is_word(argument):
            said = replace(said, files=(*said.files, argument))
            continue
        if argument[1:].lower() == "p":
            presses += 1
            said = replace(said, view=replace(said.view, pools=_POOLS[presses % len(_POOLS)]))
        else:
            said = _applied(said, argument)
    return said


def _is_word(argument: str) -> bool:
    if not argument.startswith("/") or len(argument) < 2 or Path(argument).exists():
        return False
    letter, rest = argument[1].lower(), argument[2:]
    if not rest:
        return letter in _PLAIN or letter in "ix?cr"
    if letter == "s":
        return rest.isascii() and rest.isdigit()
    # A tag has four characters: what is longer is the name of a file
    return letter in "ix" and len(rest.replace("*", "")) <= TAG_LENGTH


def _applied(said: Words, word: str) -> Words:
    letter, rest = word[1].lower(), word[2:]
    view = said.view
    if letter in "ix":
        if not rest:
            raise click.UsageError(f"{word} needs a tag behind it, such as {word}Mm* (* and ? are wildcards)")
        if letter == "i":
            return replace(said, view=replace(view, include=(*view.include, rest)))
        return replace(said, view=replace(view, exclude=(*view.exclude, rest)))
    if letter == "s":
        if rest and int(rest) > MAX_SESSION:
            raise click.UsageError(f"{word}: there is no such session")
        return replace(said, view=replace(view, session=int(rest) if rest else -1))
    if letter in _SORTS:
        return replace(said, view=replace(view, sort=_SORTS[letter]))
    if letter in "()":
        return replace(said, view=replace(view, by_change=True))
    if letter == "e":
        return replace(said, view=replace(view, totals=True))
    if letter == "l":
        return replace(said, view=replace(view, highlight=True))
    if letter == "g":
        return replace(said, drivers=True)
    if letter == "n":
        return replace(said, once=True)
    if letter == "c":
        raise click.UsageError(
            f"{word}: give a localtag.txt with --pooltags and {word[0]}g for the column Mapped_Driver; --driver-files"
            " FOLDER searches drivers for a tag"
        )
    if letter == "r":
        raise click.UsageError(f"{word} is no word of poolmon's that is documented; --reverse turns the order round")
    raise click.UsageError("--help tells the options and keys")
