"""``poolsleuth record``: the pools of this machine into a file, sample by sample; or evidence into a recording."""

import shutil
import sys
import time
from contextlib import closing
from dataclasses import dataclass
from math import isfinite, nan
from pathlib import Path
from typing import TextIO

import click
import numpy as np

from poolsleuth.cli.dump_options import gather, symbol_options
from poolsleuth.cli.machine_options import machine_options, read_size
from poolsleuth.cli.output import UNUSABLE, progress_on_terminal
from poolsleuth.cli.recorder import STEP, Outcome, Recorder
from poolsleuth.cli.sizes import format_size
from poolsleuth.cli.stopping import Stop, listening
from poolsleuth.collect.request import DAY, HOUR, MINUTE, read_span, span_text
from poolsleuth.evidence.dump.options import DumpOptions
from poolsleuth.model.errors import InputError
from poolsleuth.pipeline import Assumed
from poolsleuth.report.wording import clean
from poolsleuth.sampling.recording.frugal import keep_small
from poolsleuth.sampling.recording.layout import JOURNAL_SUFFIX, LEAST_MAX_BYTES, journal_of, older_parts, recorded_into
from poolsleuth.sampling.sample import Sample, Sampler, Series
from poolsleuth.windows.builds import WindowsVersionMatch

USUAL_EVERY = MINUTE
LONGEST_EVERY = DAY  # seconds between samples: more is no course any more
# Of one tag in one sample, as measured: a minute's change of a usual server with 3,000 tags, 6.9 MB a day
BYTES_PER_TAG = 1.6
GAVE_UP = 1


def _span(_context: click.Context, _parameter: click.Parameter, value: str | None) -> int | None:
    try:
        return None if value is None else read_span(value)
    except ValueError as error:
        raise click.BadParameter(str(error)) from error


@click.command()
@click.argument("file", metavar="FILE")
@click.argument("more", nargs=-1, metavar="[EVIDENCE...]")
@click.option("--every", callback=_span, metavar="TIME", help="Time between samples: 10s, 1min ...  [default: 60s]")
@click.option("--for", "lasts", callback=_span, metavar="TIME", help="How long: 30min, 8h, 7d. Left out: until Ctrl-C.")
@click.option(
    "--max-size",
    "max_size",
    callback=read_size,
    metavar="SIZE",
    help="Bound of all its files together, such as 2GB: the oldest samples go.",
)
@click.option(
    "--from", "evidence", multiple=True, metavar="EVIDENCE", help="Make a recording of evidence, on any system."
)
@click.option("--machine", type=click.IntRange(min=1), metavar="N", help="Which, where evidence speaks of several.")
@machine_options
@symbol_options
@click.pass_context
def record(
    context: click.Context,
    file: str,
    more: tuple[str, ...],
    every: int | None,
    lasts: int | None,
    max_size: int | None,
    evidence: tuple[str, ...],
    machine: int | None,
    windows: WindowsVersionMatch | None,
    ram_bytes: int | None,
    symbols: tuple[str, ...],
    offline: bool,
) -> int:
    """Record the pools of this machine in FILE, for `poolsleuth top`, `diagnose`, `trend` and `diff`.

    FILE is a Parquet file (pool.parquet). A recording of this machine is continued, anything else is never
    overwritten. A kill or a power loss costs the last sample at most. As a task that starts with Windows:

    \b
    schtasks /create /tn pool /sc onstart /ru SYSTEM ^
      /tr "C:\\...\\poolsleuth.exe record C:\\p.parquet"

    \b
    Exit status: 0, 1 when it ended early, 2 when nothing could be recorded.
    """
    target = _target(file)
    if max_size is not None and max_size < LEAST_MAX_BYTES:
        raise click.UsageError(f"--max-size must be {format_size(LEAST_MAX_BYTES)} or more")
    if evidence:
        if every is not None or lasts is not None:
            raise click.UsageError("--every and --for are of a live recording: evidence has its own times")
        asked = _Asked((*evidence, *more), machine, Assumed(windows, ram_bytes), gather(symbols, offline))
        status = _convert(asked, target, max_size)
    elif more:
        raise click.UsageError(f"{more[0]}: evidence is given with --from")
    else:
        if every is not None and every > LONGEST_EVERY:
            raise click.UsageError(f"--every must be {span_text(LONGEST_EVERY)} or less")
        status = _live(target, every or USUAL_EVERY, lasts, max_size)
    context.exit(status)


def _target(file: str) -> Path:
    path = Path(file)
    if path.is_dir():
        raise click.UsageError(f"{file} is a directory; give a file name in it, such as {path / 'pool.parquet'}")
    if not path.parent.exists():
        raise click.UsageError(f"{file}: the folder {path.parent} does not exist")
    if recorded_into(path) != path:
        raise click.UsageError(
            f"{file} has the name of one of the files that belong to a recording; record into {recorded_into(path)}"
        )
    return path


def _last_line(target: Path, outcome: Outcome, size: int) -> None:
    count = "1 sample" if outcome.samples == 1 else f"{outcome.samples:,} samples"
    how_long = _how_long(outcome.seconds)
    name = f'"{target}"' if " " in str(target) else str(target)
    files = 1 + len(older_parts(target))
    several = f" in {files:,} files ({target.stem}*{target.suffix})" if files > 1 else ""
    click.echo(f"{count}{how_long}, {format_size(size)}{several}: poolsleuth diagnose {name}")


def _how_long(seconds: float) -> str:
    if seconds < 1:
        return ""
    for unit, name in ((DAY, "days"), (HOUR, "h"), (MINUTE, "min")):
        if seconds >= 2 * unit:
            return f" in {seconds / unit:.1f}".removesuffix(".0") + f" {name}"
    return f" in {seconds:.0f} s"


# ---- live ------------------------------------------------------------------------------------------------------


class _Clock:
    """The steady clock of this machine, that a signal wakes."""

    def __init__(self, stop: Stop) -> None:
        self._stop = stop

    def now(self) -> float:
        return time.monotonic()

    def wait(self, seconds: float) -> None:
        self._stop.wait(seconds)

    @property
    def stopped(self) -> bool:
        return self._stop.asked


class Screen:
    """Where it says how it goes: one line that is written over at a terminal, nothing but notes elsewhere."""

    def __init__(self, target: Path, every: float, stream: TextIO) -> None:
        self._stream = stream
        self._terminal = stream.isatty()
        self._target = target
        self._every = every
        self._shown = 0

    def note(self, says: str) -> None:
        """A sentence, on a line of its own."""
        self.end()
        click.echo(f"poolsleuth: {clean(says)}", file=self._stream)

    def status(self, samples: int, size: int, last: Sample) -> None:
        """The line of the state."""
        if not self._terminal:
            return
        if samples == 1:
            a_day = format_size(size_per_day(len(last.tags), self._every))
            self.note(
                f"recording to {self._target}: {len(last.tags):,} tags, a sample every {span_text(round(self._every))},"
                f" about {a_day} a day; Ctrl-C ends it"
            )
        parts = [f"{samples:,} sample{'s' if samples > 1 else ''}", format_size(size)]
        for name, figure in (("nonpaged", "nonpaged_used"), ("paged", "paged_used")):
            value = last.memory.get(figure)
            if value is not None and isfinite(value):
                parts.append(f"{name} {format_size(round(value))}")
        line = ", ".join(parts)[: shutil.get_terminal_size().columns - 1]
        self._stream.write("\r" + line.ljust(self._shown))
        self._stream.flush()
        self._shown = len(line)

    def end(self) -> None:
        """The next output begins on a line of its own."""
        if self._shown:
            self._stream.write("\n")
            self._stream.flush()
            self._shown = 0


def size_per_day(tags: int, every: float) -> int:
    """About how many bytes a day of samples takes (see ``BYTES_PER_TAG``)."""
    return round(tags * BYTES_PER_TAG * DAY / every)


def _open_sampler() -> Sampler:
    if sys.platform != "win32":
        raise InputError(
            "live pool figures come from Windows: run this on the server, or give evidence with --from to make a"
            " recording of it"
        )
    from poolsleuth.sampling.live.source import open_live  # noqa: PLC0415 - of Windows alone

    return open_live()


def _end_of(target: Path) -> float | None:
    """When the recording that is continued ends; None for a new one, and for what is none: its writer refuses that."""
    if not target.exists() and not journal_of(target).exists():
        return None
    from poolsleuth.sampling.recording import part  # noqa: PLC0415 - polars takes its time
    from poolsleuth.sampling.recording.reader import Recording  # noqa: PLC0415

    # The end alone: a recording of years has hundreds of older parts
    last: list[float] = []
    for path in (journal_of(target), target, *older_parts(target)[-1:]):
        try:
            read = Recording.open([path]) if path.name.endswith(JOURNAL_SUFFIX) else part.of_file(path)
        except InputError:
            continue
        times = read.times if isinstance(read, Recording) else read.samples.times if read is not None else np.empty(0)
        last += times[np.isfinite(times)][-1:].tolist()
    return max(last, default=None)


def _live(target: Path, every: float, lasts: float | None, max_size: int | None) -> int:
    keep_small()
    from poolsleuth.sampling.recording.writer import RecordingWriter  # noqa: PLC0415 - polars takes its time

    # Listening first: what is asked for while the first sample is taken is heard too
    with listening() as stop:
        sampler = _open_sampler()
        screen = Screen(target, every, sys.stderr)
        after = _end_of(target)
        with closing(RecordingWriter(target, sampler.host, every=every, max_bytes=max_size)) as writer:
            recorder = Recorder(sampler, writer, _Clock(stop), screen, every=every, lasts=lasts, after=after)
            outcome = recorder.run()
            screen.end()
        recorder.tell(writer.notes)  # of the last step, which merges the journal
        size = writer.bytes_on_disk
    if outcome.gave_up is not None:
        screen.note(f"the recording ends: {outcome.gave_up}")
    if not outcome.samples:
        if outcome.gave_up is None:
            screen.note("it was ended before the first sample: nothing was recorded")
        return UNUSABLE
    _last_line(target, outcome, size)
    return 0 if outcome.gave_up is None else GAVE_UP


# ---- out of evidence -------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Asked:
    """The evidence that a recording is made of, and how it is read."""

    files: tuple[str, ...]
    machine: int | None
    assumed: Assumed
    dumps: DumpOptions


def _convert(asked: _Asked, target: Path, max_size: int | None) -> int:
    if target.exists() or journal_of(target).exists():
        raise click.UsageError(f"{target} exists already; give another name")
    from poolsleuth.top.replay import open_series  # noqa: PLC0415 - all readers, which a refusal needs not

    with progress_on_terminal() as progress:
        opened = open_series(
            asked.files, machine=asked.machine, assumed=asked.assumed, dumps=asked.dumps, progress=progress
        )
    for problem in (*opened.problems, *opened.series.notes):
        click.echo(f"poolsleuth: {clean(problem)}", err=True)
    outcome, size = write_series(opened.series, target, max_size)
    if not outcome.samples:
        click.echo("poolsleuth: these inputs do not say when their tables were taken: nothing is recorded", err=True)
        return UNUSABLE
    _last_line(target, outcome, size)
    return 0


def write_series(series: Series, target: Path, max_size: int | None = None) -> tuple[Outcome, int]:
    """Make a recording of the samples of a series whose times are known; and its bytes on disk.

    Raises InputError and OSError when it cannot be written.
    """
    from poolsleuth.sampling.recording.writer import RecordingWriter  # noqa: PLC0415 - polars takes its time

    dated = np.flatnonzero(np.isfinite(series.times))
    if not len(dated):
        return Outcome(0, 0.0), 0
    steps = np.diff(series.times[dated])
    every = float(np.median(steps)) if len(steps) and np.median(steps) > 0 else None
    samples, first, last = 0, nan, nan
    with closing(RecordingWriter(target, series.host, every=every, max_bytes=max_size, durable=False)) as writer:
        for place in dated.tolist():
            sample = series.at(place)
            if samples and sample.time < last + STEP:
                continue  # two tables of one moment
            writer.add(sample, series.index)
            first, last, samples = (sample.time if not samples else first), sample.time, samples + 1
            if writer.samples < samples:
                raise InputError(
                    f"{target}: the recording is not whole: {'; '.join(writer.notes) or 'samples were lost'}"
                )
    return Outcome(samples, last - first), writer.bytes_on_disk
