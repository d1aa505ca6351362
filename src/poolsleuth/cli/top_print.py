"""``poolsleuth top`` without a screen of its own: one poolmon screen after the other on standard output."""

import os
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from math import isfinite, isinf
from typing import Protocol, runtime_checkable

import click
import numpy as np

from poolsleuth.cli.stopping import Stop
from poolsleuth.model.errors import InputError
from poolsleuth.report.wording import clean, plural
from poolsleuth.sampling.sample import Sample, Sampler, Series
from poolsleuth.top.plain import Printed, screen_of
from poolsleuth.top.tracker import RATE_WINDOW, Tracker
from poolsleuth.top.view import View, ViewOptions

LONGEST_WAIT = 60.0  # seconds between two screens of a replay, however long the machine was not watched
MAX_FAILURES = 10  # samples in a row that a running machine may not give


@dataclass(slots=True)
class Printer:
    """Prints the moment that a tracker is at. What must be said beside it is said on standard error, once."""

    tracker: Tracker
    view: View
    options: ViewOptions
    lines: int | None = None
    drivers: bool = False
    told: set[str] = field(default_factory=set)

    def screen(self) -> bool:
        """One screen. Whether it has a row, or there was none to print."""
        printed = screen_of(self.tracker, self.view, self.options, self.lines, drivers=self.drivers)
        write_text(printed.text)
        if printed.unknown:
            self.say(_of_unknown(printed), "unknown")
        elif not printed.rows and not len(self.view.rows(self.options)):
            self.say(self._why_empty(), "empty")
        return bool(printed.rows) or not printed.unknown

    def _why_empty(self) -> str:
        if self.options.session is None and not len(self.tracker.places.pools):
            return "there is no pool tag in this sample"
        sessions = self.view.sessions()
        if self.options.session is None and sessions:
            return "no tag matches; there are pools of sessions: --session all shows them"
        return "no tag matches what was asked for"

    def say(self, sentence: str, once: str | None = None) -> None:
        """A sentence on standard error; those of one kind once."""
        kind = once or sentence
        if kind not in self.told:
            self.told.add(kind)
            click.echo(f"poolsleuth: {clean(sentence)}", err=True)


def _of_unknown(printed: Printed) -> str:
    """Poolmon has no sign for a figure that is not known, and its readers take any other for a damaged line."""
    missing = ", ".join(printed.lacking)
    rows = plural(printed.unknown, "row")
    of = "no row can be printed" if not printed.rows else f"{rows} of the first such screen left out"
    return (
        f"{of}: the evidence does not say their {missing}, and poolmon's layout has no sign for that; what is known of"
        " them: poolsleuth tags FILE, or the full screen"
    )


def write_text(text: str) -> None:
    """Text to standard output: as the terminal can show it, or as UTF-8 to a file or a pipe. Flushed."""
    stream = sys.stdout
    if stream.isatty():
        encoding = stream.encoding or "ascii"
        stream.write(text.encode(encoding, errors="replace").decode(encoding))
    else:
        stream.flush()
        stream.buffer.write(text.encode("utf-8", errors="replace"))
    stream.flush()


@contextmanager
def until_unread() -> Iterator[None]:
    """Screens go on until nobody reads them any more (``| head``): that is an end as good as any."""
    try:
        yield
    except BrokenPipeError:
        # What is left in the buffer must not fail again at Python's exit
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, sys.stdout.fileno())
        os.close(null)


def print_once_live(sampler: Sampler, printer: Printer) -> None:
    """One sample of a running machine, as ``poolmon -n`` takes it."""
    printer.tracker.feed(sampler.take())
    _notes(sampler.notes, printer)
    printer.screen()


def print_live(sampler: Sampler, printer: Printer, every: float, stop: Stop) -> None:
    """A screen at every sample until the end is asked for.

    Raises InputError when the first sample, or ``MAX_FAILURES`` in a row, cannot be taken.
    """
    failures = 0
    due = time.monotonic()
    while not stop.asked:
        try:
            printer.tracker.feed(sampler.take())
        except InputError as error:
            failures += 1
            if printer.tracker.count == 0 or failures >= MAX_FAILURES:
                raise
            printer.say(f"a sample failed: {error}")
        else:
            failures = 0
            _notes(sampler.notes, printer)
            printer.screen()
        now = time.monotonic()
        due = max(due + every, now)  # beats that were missed are not made up for
        stop.wait(due - now)


def print_replay_once(series: Series, printer: Printer, place: int) -> bool:
    """The screen of one sample, with what changed since the one before it. False when no row of it can be printed."""
    _reach(series, printer.tracker, place)
    return printer.screen()


def print_replay(series: Series, printer: Printer, place: int, speed: float | None, stop: Stop) -> None:
    """A screen at every sample from a place on, as fast as can be or at a speed (seconds of the series in a second)."""
    before: float | None = None
    if place > 0:
        _reach(series, printer.tracker, place - 1)
        before = float(series.times[place - 1])
    for sample in _from(series, place):
        if speed is not None and not isinf(speed) and before is not None:
            passed = sample.time - before if isfinite(sample.time - before) else 60.0
            stop.wait(min(max(passed, 0.0) / speed, LONGEST_WAIT))
        if stop.asked:
            return
        before = sample.time
        printer.tracker.feed(sample)
        printer.screen()


def _reach(series: Series, tracker: Tracker, place: int) -> None:
    """Feed what the figures of a place need: the first sample, the last of an hour ago, the one before, and itself.

    A recording of a year has half a million samples.
    """
    times = series.times
    hour = np.flatnonzero(times[: place + 1] <= times[place] - RATE_WINDOW)
    for needed in sorted({0, int(hour[-1]) if len(hour) else 0, max(place - 1, 0), place}):
        tracker.feed(series.at(needed))


@runtime_checkable
class _Streaming(Protocol):
    """A series that gives many samples faster than one by one."""

    def samples(self, places: Iterable[int]) -> Iterator[Sample]:
        """The samples of ascending places."""


def _from(series: Series, place: int) -> Iterator[Sample]:
    places = range(place, len(series.times))
    if isinstance(series, _Streaming):
        return series.samples(list(places))
    return (series.at(number) for number in places)


def _notes(notes: Iterable[str], printer: Printer) -> None:
    for note in notes:
        printer.say(note)
