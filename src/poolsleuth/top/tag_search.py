"""Who owns a tag by the code of driver files, asked from the screen: with progress, and ended at any time."""

import os
import sys
from collections.abc import Callable, Iterable, Sequence
from contextlib import redirect_stderr
from dataclasses import dataclass
from pathlib import Path, PureWindowsPath
from threading import Event, Thread
from typing import TYPE_CHECKING, Protocol

from poolsleuth.model.errors import InputError
from poolsleuth.model.finding import Confidence
from poolsleuth.model.tags import TagDescription
from poolsleuth.windows.tag_patterns import covers

if TYPE_CHECKING:
    from poolsleuth.drivers.scope import Scope
    from poolsleuth.drivers.survey import Looked, Question

MAX_TOLD = 5  # candidates: the first is the likeliest, and `poolsleuth whois` lists all

Progress = Callable[[int, int], None]
"""Called with the drivers that are done and all of them, in the thread of the search."""


@dataclass(frozen=True, slots=True)
class Found:
    """A driver that may own the tag: its file's name and path, how sure that is, what speaks for and against it."""

    name: str
    path: str
    confidence: Confidence
    because: tuple[str, ...]
    against: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Searched:
    """The answer: candidates, the likeliest first, ``more`` of them left out, among ``drivers`` that were read.

    ``unread`` counts the files that could not be used. ``remarks`` hold for all candidates.
    """

    tag: str
    candidates: tuple[Found, ...]
    more: int
    drivers: int
    unread: int
    remarks: tuple[str, ...]


Whois = Callable[[str, Progress, Event], Searched | None]
"""Searches for a tag until it is done or the event is set, then None. Raises InputError with one clear sentence."""


class Searching:
    """A search in a thread of its own, which a screen looks at now and then; ``stop`` ends it.

    ``done`` of ``total`` files are read. When it has ``ended``, there is an ``answer`` or an ``error``, or it was
    stopped.
    """

    def __init__(self, whois: Whois, tag: str) -> None:
        self.tag = tag
        self.done = self.total = 0
        self.answer: Searched | None = None
        self.error: str | None = None
        self.ended = False
        self.stop = Event()
        self._whois = whois
        Thread(target=self._run, name="whois", daemon=True).start()

    def _run(self) -> None:
        try:
            self.answer = self._whois(self.tag, self._progress, self.stop)
        except InputError as error:
            self.error = str(error)
        except Exception as error:  # the screen stays, and says what it was
            self.error = f"the search failed: {error!r}"
        finally:
            self.ended = True

    def _progress(self, done: int, total: int) -> None:
        self.done, self.total = done, total


class InDump(Protocol):
    """What the loaded modules of a dump say, as ``cli.whois_dump.search_dump`` finds it."""

    @property
    def looked(self) -> "Sequence[Looked]":
        """Module by module."""

    @property
    def scope(self) -> "Scope":
        """How far the dump could be searched."""


SearchDump = Callable[[Path, "Question", Progress], InDump]
"""Looks at the modules of a dump. Raises InputError, and whatever the progress raises."""


class _StoppedError(Exception):
    """The user has gone elsewhere."""


class DriverSearch:
    """``poolsleuth whois`` over files and folders of drivers. ``descriptions`` are lines of the user's pooltag.txt.

    ``dumps`` are searched by ``search_dump``, before the files.
    """

    def __init__(
        self,
        paths: Sequence[Path],
        descriptions: Iterable[TagDescription] = (),
        dumps: Sequence[Path] = (),
        search_dump: SearchDump | None = None,
    ) -> None:
        self.paths = tuple(paths)
        self.dumps = tuple(dumps) if search_dump is not None else ()
        self._descriptions = tuple(descriptions)
        self._search_dump = search_dump

    def __call__(self, tag: str, progress: Progress, stop: Event) -> Searched | None:
        """Raises InputError for a tag that no driver can hold, and for paths that do not exist."""
        # Loading the disassembler takes longer than most screens do
        from poolsleuth.drivers.cache import cache_folder  # noqa: PLC0415
        from poolsleuth.drivers.score import Line, functions_for, judge, names_for  # noqa: PLC0415
        from poolsleuth.drivers.survey import Looked, Question, driver_files, one_of_each, survey  # noqa: PLC0415
        from poolsleuth.drivers.tags import tag_key, tag_text  # noqa: PLC0415

        key = tag_key(tag)
        text = tag_text(key)
        lines = [
            Line("pooltag.txt", entry.binary, entry.description)
            for entry in self._descriptions
            if covers(entry.pattern, text)
        ]
        question = Question(key, functions_for(text), names_for(text, lines))
        _start_tracker()
        try:
            searched, failed = self._in_dumps(question, progress, stop)
        except _StoppedError:
            return None
        looked: list[Looked] = []
        files = survey(driver_files(self.paths), question, cache_folder(), progress) if self.paths else iter(())
        for one in files:
            looked.append(one)
            if stop.is_set():
                return None  # what is left of the generator ends its processes
        for dump in searched:
            looked = one_of_each(looked, dump.looked)
        looked += [Looked(str(path), problem=says, driver=False) for path, says in failed]
        answer = judge(key, looked, lines, [dump.scope for dump in searched])
        told = tuple(
            Found(
                PureWindowsPath(candidate.name.replace("/", "\\")).name,
                candidate.name,
                candidate.confidence,
                candidate.because,
                candidate.against,
            )
            for candidate in answer.candidates[:MAX_TOLD]
        )
        more = len(answer.candidates) - len(told)
        remarks = (*answer.remarks, *(says for _, says in failed))
        return Searched(answer.tag, told, more, answer.drivers, len(answer.problems), remarks)

    def _in_dumps(
        self, question: "Question", progress: Progress, stop: Event
    ) -> tuple[list[InDump], list[tuple[Path, str]]]:
        """What the dumps say, and why some say nothing. Raises InputError when nothing else is to be searched."""

        def go_on(done: int, total: int) -> None:
            if stop.is_set():
                raise _StoppedError
            progress(done, total)

        searched: list[InDump] = []
        failed: list[tuple[Path, str]] = []
        for path in self.dumps:
            if self._search_dump is None or stop.is_set():
                raise _StoppedError
            try:
                searched.append(self._search_dump(path, question, go_on))
            except InputError as error:
                if len(self.dumps) == 1 and not self.paths:
                    raise
                failed.append((path, str(error)))
        return searched, failed


def drivers_of_this_machine(descriptions: Iterable[TagDescription] = ()) -> DriverSearch | None:
    """The search over the drivers of the Windows that this runs on; None elsewhere."""
    if sys.platform != "win32":
        return None
    folder = Path(os.environ.get("SYSTEMROOT", "C:\\Windows"), "System32", "drivers")
    return DriverSearch([folder], descriptions) if folder.is_dir() else None


def _start_tracker() -> None:
    """On Unix, what looks after the processes of a search must be started while there is a standard error.

    A screen stands in its place with something that is no file, which cannot be handed on.
    """
    if sys.platform == "win32" or sys.__stderr__ is None:
        return
    from multiprocessing import resource_tracker  # noqa: PLC0415

    with redirect_stderr(sys.__stderr__):
        resource_tracker.ensure_running()
