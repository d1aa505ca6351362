"""What a symbol path says: ``--symbols`` and ``_NT_SYMBOL_PATH``, in the notation of Microsoft's debuggers.

The notation is that of "Symbol path for Windows debuggers" (learn.microsoft.com): elements separated by ``;``, each a
file, a folder, ``cache*FOLDER``, ``srv*STORE*STORE*...`` or ``symsrv*symsrv.dll*STORE*...``; a store is a folder or a
URL, and what is found in one of them is copied to those on its left.
"""

import os
import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

MAX_PATH_CHARACTERS = 32_767  # the longest environment variable of Windows
MAX_ENTRIES = 64  # each entry may cost a look at every kind of folder; real paths have a handful
MAX_LEVELS = 10  # stores of one entry: symsrv itself reads ten

_FOREIGN = "it is a path of Windows, and this is another system"
_URL = re.compile(r"https?://", re.IGNORECASE)
_OTHER_SCHEME = re.compile(r"[a-z][a-z0-9+.-]+://", re.IGNORECASE)
_DRIVE = re.compile(r"[A-Za-z]:[\\/]")


@dataclass(frozen=True, slots=True)
class Place:
    """A file or a folder that a path names: a symbol file, a folder with such files, or a store."""

    path: Path


@dataclass(frozen=True, slots=True)
class Chain:
    """Stores in the order in which they are asked: folders, or URLs of symbol servers.

    What is found in one is copied to the folders before it. An entry None is the default store: our own cache.
    """

    stores: tuple[Path | str | None, ...]

    @property
    def asks_a_server(self) -> bool:
        """Whether one of its stores is a URL."""
        return any(isinstance(store, str) for store in self.stores)


@dataclass(frozen=True, slots=True)
class SearchPath:
    """A symbol path: its elements in order, and a sentence for each that cannot be used."""

    entries: tuple[Place | Chain, ...] = ()
    problems: tuple[str, ...] = ()


def parse_search_path(text: str) -> SearchPath:
    """Read a symbol path. Never raises: what cannot be used stands in ``problems``."""
    entries: list[Place | Chain] = []
    problems: list[str] = []
    if len(text) > MAX_PATH_CHARACTERS or "\0" in text:
        return SearchPath((), (f"the symbol path is not used: it is longer than {MAX_PATH_CHARACTERS:,} characters",))
    elements = [element for element in (part.strip().strip('"').strip() for part in text.split(";")) if element]
    if len(elements) > MAX_ENTRIES:
        problems.append(f"only the first {MAX_ENTRIES} elements of the symbol path are used, not all {len(elements)}")
    caches: list[Path | str | None] = []  # cache* holds for all elements to its right
    for element in elements[:MAX_ENTRIES]:
        try:
            said = _add(element, entries, caches)
            problems += [f"{store} in the symbol path is not used: {_FOREIGN}" for store in said]
        except ValueError as error:
            problems.append(f"{element} in the symbol path is not used: {error}")
    return SearchPath(tuple(entries), tuple(problems))


def _add(element: str, entries: list[Place | Chain], caches: list[Path | str | None]) -> list[str]:
    """Read one element. Gives the stores of it that cannot be used; raises ValueError when all of it cannot."""
    keyword, star, rest = element.partition("*")
    keyword = keyword.strip().lower()
    if not star:
        # A bare URL means what srv*URL means; what is downloaded is always kept somewhere
        entries.append(_chain(caches, [_url(element)]) if _URL.match(element) else Place(_folder(element)))
        return []
    unusable: list[str] = []
    if keyword == "symsrv":
        _, _, rest = rest.partition("*")  # the name of the library that reads the stores: we are that
    elif keyword == "cache":
        store = _store(rest.split("*")[0], unusable)
        if isinstance(store, str):
            raise ValueError("a cache is a folder, not a URL")
        caches.append(store)
        entries.append(Chain((store,)))
        return unusable
    elif keyword != "srv":
        raise ValueError(f"{keyword}* is not known: srv*, symsrv* and cache* are")
    parts = rest.split("*")
    if len(parts) > MAX_LEVELS:
        raise ValueError(f"it names more than {MAX_LEVELS} stores")
    if not any(part.strip() for part in parts):
        raise ValueError("it names no store: write srv*FOLDER or srv*FOLDER*URL")
    stores = [_store(part, unusable) for part in parts]
    if any(isinstance(store, str) for store in stores[:-1]):
        raise ValueError("a URL can only be the last store: nothing can be copied to it")
    entries.append(_chain(caches, stores))
    return unusable


def _chain(caches: list[Path | str | None], stores: list[Path | str | None]) -> Chain:
    every = [*caches, *stores]
    return Chain((None, *every) if isinstance(every[0], str) else tuple(every))


def _store(text: str, unusable: list[str]) -> Path | str | None:
    """One store; None for the default store, which also stands in for a folder that cannot be one of this system."""
    text = text.strip()
    if not text:
        return None
    if _URL.match(text):
        return _url(text)
    if _is_foreign(text):
        unusable.append(text)
        return None
    return _folder(text)


def _url(text: str) -> str:
    if not text.isprintable() or " " in text or urlsplit(text).hostname is None:
        raise ValueError("it is no address of a server")
    return text.rstrip("/")


def _folder(text: str) -> Path:
    """A path as it is written for this system, or with the separators of Windows. Raises ValueError for others."""
    if _OTHER_SCHEME.match(text):
        raise ValueError("only http and https can be asked")
    if _is_foreign(text):
        raise ValueError(_FOREIGN)
    if os.name != "nt" and "\\" in text and not Path(text).exists():
        text = text.replace("\\", "/")
    try:
        return Path(text).expanduser()
    except RuntimeError as error:
        raise ValueError("there is no home folder of that user") from error


def _is_foreign(text: str) -> bool:
    return os.name != "nt" and (_DRIVE.match(text) is not None or text.startswith("\\\\"))
