"""One question to many drivers: folders are walked, all processors used, what was scanned before remembered."""

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice
from multiprocessing import get_context
from pathlib import Path, PureWindowsPath
from typing import TypeVar

from poolsleuth.drivers.cache import driver_key, keep_summary, kept_summary
from poolsleuth.drivers.code import Code
from poolsleuth.drivers.image import loaded_driver, read_driver, read_file
from poolsleuth.drivers.image_bytes import of_file, of_memory
from poolsleuth.drivers.imports import Import
from poolsleuth.drivers.summary import KEPT_IMPORTS, DriverSummary, summarise
from poolsleuth.drivers.tag_bytes import may_hold, tag_places
from poolsleuth.drivers.tag_functions import bare_name
from poolsleuth.drivers.tag_scan import TagUse, loaded_slots, scan_loaded_image
from poolsleuth.drivers.tags import alike, turned
from poolsleuth.model.errors import InputError

MAX_FILES = 200_000  # of all folders: a whole driver store has some 5,000 drivers among 50,000 files
MAX_DEPTH = 40  # folders within folders
MAX_WORKERS = 8  # more would wait for the disk
ALONE = 24  # files up to which no further process is worth its start
BATCH = 16  # files that a process gets in one go
HEAD = 0x1000  # bytes in which the headers of a driver lie
_NATIVE = 1  # the subsystem of drivers; programs and their libraries have others
SKIPPED = frozenset({".git", "$RECYCLE.BIN", "System Volume Information"})

T = TypeVar("T")
Progress = Callable[[int, int], None]
"""Called with the files that are done and all of them."""


@dataclass(frozen=True, slots=True)
class Question:
    """A tag, and functions whose importers are wanted too (for memory that bears no tag of its own).

    ``names`` are files (in small letters, without ending) that are looked at although the tag is not in them;
    ``thorough``: all files are, for a driver may work a tag out of other numbers, as compilers
    do to choose between two.
    """

    tag: int
    functions: frozenset[str] = frozenset()
    names: frozenset[str] = frozenset()
    thorough: bool = False


@dataclass(frozen=True, slots=True)
class Looked:
    """One file. ``summary`` is None when nothing in it bears on the question; ``problem`` is one sentence.

    ``places`` are where the tag's bytes lie that are not at a call. ``driver`` is False for a file that is none.
    ``timestamp`` is the raw field of its header, None when that is not known.

    ``loaded`` says where the image lies in a dump, None when it is not known to be loaded. Of one that was read from
    memory, ``unread_code`` and ``unread_pageable`` are bytes of code that are not in the dump.
    """

    name: str
    summary: DriverSummary | None = None
    places: tuple[TagUse, ...] = ()
    problem: str | None = None
    driver: bool = True
    timestamp: int | None = None
    loaded: str | None = None
    unread_code: int = 0
    unread_pageable: int = 0


def driver_files(paths: Iterable[Path]) -> Iterator[tuple[Path, bool]]:
    """The files to look at, and whether each was named itself. Raises InputError for a path that does not exist.

    Links to folders are not followed. A folder that cannot be listed is passed over.
    """
    for path in paths:
        if not path.exists():
            raise InputError(f"{path} does not exist: give drivers (.sys, .dll, .exe) or folders of them")
        if not path.is_dir():
            yield path, True
            continue
        depth = len(path.parts)
        for folder, folders, files in os.walk(path):
            here = Path(folder)
            folders[:] = sorted(name for name in folders if name not in SKIPPED)
            if len(here.parts) - depth >= MAX_DEPTH:
                folders.clear()
            for name in sorted(files):
                yield here / name, False


def survey(
    files: Iterable[tuple[Path, bool]], question: Question, cache: Path | None, progress: Progress | None = None
) -> Iterator[Looked]:
    """What each file says, in their order. Files of a folder that are no drivers come with ``driver`` False."""
    yield from each_file(files, partial(look, question=question, cache=cache), progress)


def each_file(
    files: Iterable[tuple[Path, bool]], one: Callable[[tuple[Path, bool]], T], progress: Progress | None = None
) -> Iterator[T]:
    """``one`` of each file, in their order, on all processors where that is worth it. It must not raise."""
    todo = list(islice(files, MAX_FILES))
    workers = min(MAX_WORKERS, os.cpu_count() or 1)
    if len(todo) <= ALONE or workers == 1:
        yield from _counted(map(one, todo), len(todo), progress)
        return
    done = 0
    try:
        # Fresh processes: a fork of one that has threads may hang
        with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
            for looked in _counted(pool.map(one, todo, chunksize=BATCH), len(todo), progress):
                done += 1
                yield looked
    except BrokenProcessPool:  # one was ended from outside, as when memory is short: go on alone
        yield from _counted(map(one, todo[done:]), len(todo) - done, progress)


def _counted(results: Iterator[T], total: int, progress: Progress | None) -> Iterator[T]:
    for n, looked in enumerate(results, start=1):
        if progress is not None:
            progress(n, total)
        yield looked


def look(file: tuple[Path, bool], question: Question, cache: Path | None) -> Looked:
    """One file. Nothing is raised: what is wrong with it is said in ``problem``."""
    path, named = file
    name = str(path)
    try:
        if not named and not is_driver(path):
            return Looked(name, driver=False)
        data = read_file(path)
        arm64 = data[:HEAD].find(b"PE\0\0\x64\xaa") > 0
        said = path.stem.lower() in question.names or alike(question.tag, path.stem) is not None
        wanted = (
            question.thorough
            or said
            or may_hold(data, question.tag, arm64=arm64)
            or any(function.encode() + b"\0" in data for function in question.functions)
        )
        if not wanted:
            image = of_file(data, name)  # says what is wrong with a file that is no driver
            return Looked(name, timestamp=image.timestamp)
        key = driver_key(data)
        kept = None if cache is None else kept_summary(cache, key)
        driver = read_driver(data, name)
        summary = kept if kept is not None else summarise(driver)
        if cache is not None and kept is None:
            keep_summary(cache, key, summary)
        told = {use.source for use in summary.uses}
        places = tag_places(driver.image, Code(driver.image), question.tag)
        bears = any(use.tag in (question.tag, turned(question.tag)) for use in summary.uses)
        if not (bears or said or places or question.functions & set(summary.imports)):
            return Looked(name, timestamp=summary.timestamp)
        rest = tuple(place for place in places if place.rva not in told)
        return Looked(name, summary, rest, timestamp=summary.timestamp)
    except InputError as error:
        return Looked(name, problem=str(error), driver=False)


def look_in_memory(
    read: Callable[[int, int], bytes | None],
    base: int,
    size: int,
    functions: Mapping[int, str],
    question: Question,
    name: str,
    *,
    machine: str | None = None,
    loaded: str | None = None,
) -> Looked:
    """One image that lies in memory, in the same terms as a file, so that both can be judged together.

    ``read(address, size)`` gives all of the bytes or None; ``functions`` are the virtual addresses of what Windows
    exports, and the names. No import table is needed: a driver that wiped its headers' tables, or has no file, is seen.
    With ``machine`` (``x86``, ``x64``, ``arm64``) it may have no headers at all. ``loaded`` says where it lies.
    """
    try:
        image = of_memory(read, base, size, name, machine)
        rest = Looked(
            name,
            timestamp=image.timestamp or None,
            loaded=loaded,
            unread_code=image.unread_code,
            unread_pageable=image.unread_pageable,
        )
        wanted = {address: text for address, text in functions.items() if bare_name(text) in KEPT_IMPORTS}
        slots = loaded_slots(image, wanted)
        stem = PureWindowsPath(name).stem.lower()
        said = stem in question.names or alike(question.tag, stem) is not None
        arm64 = image.machine == "arm64"
        held = any(may_hold(part.data, question.tag, arm64=arm64) for part in image.sections[1:])
        asks = bool(question.functions & {bare_name(text) for text in slots.values()})
        if not (question.thorough or said or held or asks):
            return rest
        imports = tuple(Import("", text, slot) for slot, text in sorted(slots.items()))
        code = Code(image)
        summary = summarise(loaded_driver(image, imports, name), scan_loaded_image(image, functions, None, code))
        places = tag_places(image, code, question.tag)
        bears = any(use.tag in (question.tag, turned(question.tag)) for use in summary.uses)
        if not (bears or said or places or asks):
            return rest
        told = {use.source for use in summary.uses}
        return replace(rest, summary=summary, places=tuple(place for place in places if place.rva not in told))
    except InputError as error:
        return Looked(name, problem=str(error), driver=False, loaded=loaded)


def one_of_each(files: Sequence[Looked], memory: Sequence[Looked]) -> list[Looked]:
    """Files and images in memory together, each driver once: same name, same time stamp (or none in memory).

    Of a driver that is both, its file says more (all pages, its signature), and its memory that it is loaded. Only when
    nothing in the file bears on the question, what is in memory counts: it may have been unpacked there.
    """
    loaded: dict[str, Looked] = {}
    for one in memory:
        loaded.setdefault(PureWindowsPath(one.name).stem.lower(), one)
    found: list[Looked] = []
    gone: set[int] = set()
    for file in files:
        twin = loaded.get(PureWindowsPath(file.name.replace("/", "\\")).stem.lower())
        if twin is None or not file.driver or twin.timestamp not in (None, file.timestamp):
            found.append(file)
        elif file.summary is not None or twin.summary is None:
            found.append(replace(file, loaded=twin.loaded))
            gone.add(id(twin))
        # else: the one in memory stands for both
    return found + [one for one in memory if id(one) not in gone]


def is_driver(path: Path) -> bool:
    """Whether a file of a folder is an image of the kernel's subsystem, by its headers."""
    try:
        if not path.is_file():  # a pipe would wait for ever
            return False
        with path.open("rb") as file:
            head = file.read(HEAD)
    except OSError:
        return False
    at = int.from_bytes(head[0x3C:0x40], "little")
    return head[:2] == b"MZ" and head[at : at + 4] == b"PE\0\0" and head[at + 0x5C : at + 0x5E] == bytes((_NATIVE, 0))
