"""Opens what ``poolsleuth top`` plays again, and says why it cannot, what it left out, and where it ends oddly."""

import os
from collections.abc import Iterable, Sequence
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING

import click

from poolsleuth.cli.output import progress_on_terminal
from poolsleuth.evidence.dump.options import DumpOptions
from poolsleuth.model.errors import InputError
from poolsleuth.model.series import moment
from poolsleuth.pipeline import Assumed
from poolsleuth.reading import EVERYTHING, Selection
from poolsleuth.report.wording import clean, count_text
from poolsleuth.sampling.sample import Series

if TYPE_CHECKING:
    from poolsleuth.top.replay import Opened

FEWER = 0.5  # of the tags of the sample before: a last sample with less is said to be cut
ENOUGH_TAGS = 20  # of the sample before: a filtered log has few, and these come and go


def open_files(
    files: Sequence[str],
    pooltags: str | None,
    machine: int | None,
    assumed: Assumed,
    dumps: DumpOptions,
    selection: Selection,
) -> "Opened":
    """What is to be played; what must be known of it is said on standard error. Raises InputError."""
    from poolsleuth.top.replay import open_series  # noqa: PLC0415 - all readers, which a live screen needs not
    from poolsleuth.top.replay_series import EvidenceSeries  # noqa: PLC0415

    folders = [name for name in files if Path(name).is_dir()]
    if len(folders) == len(files):
        raise InputError(f"{folders[0]} is a directory: give the evidence in it file by file ({_inside(folders[0])})")
    inputs = [*files, *([pooltags] if pooltags is not None else [])]

    def opened(of: Selection) -> "Opened":
        with progress_on_terminal() as progress:
            return open_series(inputs, machine=machine, assumed=assumed, dumps=dumps, selection=of, progress=progress)

    try:
        found = opened(selection)
    except InputError as error:
        if selection.since is None and selection.until is None:
            raise
        raise _outside(opened(EVERYTHING).series, error) from None
    short = short_end(found.series)
    if short is not None and isinstance(found.series, EvidenceSeries):
        found.series.note(short)  # the bottom line of the screen says it, too
    says = [f"{name} is a directory: give the evidence in it file by file ({_inside(name)})" for name in folders]
    say_each_once([*says, *found.problems, *found.series.notes, *([short] if short is not None else [])], files)
    return found


def _inside(folder: str) -> str:
    return str(Path(folder) / "*")


def _outside(series: Series, error: InputError) -> InputError:
    """Why a part of the time holds nothing, where the files do hold samples."""
    times = [float(series.times[0]), float(series.times[-1])]
    first, last = (moment(time) if isfinite(time) else None for time in times)
    if first is None or last is None:
        return InputError(f"the times of these samples are not known: leave out --since and --until ({error})")
    zone = "UTC" if series.host.utc else "local time of the machine"
    return InputError(
        f"no sample lies between --since and --until: the samples reach from {first:%Y-%m-%dT%H:%M:%S} to"
        f" {last:%Y-%m-%dT%H:%M:%S} ({zone})"
    )


def short_end(series: Series) -> str | None:
    """A sentence when the last sample shows far fewer tags than the one before, and does not say that it is whole."""
    count = len(series.times)
    if count < 2:
        return None
    try:
        last, before = series.at(count - 1), series.at(count - 2)
    except InputError:
        return None  # said when it is played
    shown, expected = len(last.tags.ids), len(before.tags.ids)
    if last.complete or expected < ENOUGH_TAGS or not 0 < shown < FEWER * expected:
        return None
    return (
        f"the last sample has {count_text(shown)} tags, the one before {count_text(expected)}: it was probably cut"
        " off while it was written; the tags that are missing need not be gone"
    )


def say_each_once(sentences: Iterable[str], files: Sequence[str] = ()) -> None:
    """Sentences on standard error; two that differ only in how they write the path of a file are one."""
    said: set[str] = set()
    for sentence in sentences:
        key = _without_folders(sentence, files)
        if key not in said:
            said.add(key)
            click.echo(f"poolsleuth: {clean(sentence)}", err=True)


def _without_folders(sentence: str, files: Sequence[str]) -> str:
    folders = {form for name in files for form in _forms(Path(name).parent)}
    for folder in sorted(folders, key=len, reverse=True):
        sentence = sentence.replace(folder, "")
    return sentence


def _forms(folder: Path) -> Iterable[str]:
    for form in (folder, folder.absolute(), folder.resolve()):
        if str(form) != ".":
            yield f"{form}{os.sep}"


__all__ = ["open_files", "say_each_once", "short_end"]
