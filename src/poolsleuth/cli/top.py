"""``poolsleuth top``: poolmon's screen with memory, on a running Windows or played again from evidence."""

import sys
from collections.abc import Iterable
from dataclasses import dataclass
from math import inf
from pathlib import Path
from typing import TYPE_CHECKING

import click

from poolsleuth.cli.dump_options import gather, symbol_options
from poolsleuth.cli.machine_options import machine_options
from poolsleuth.cli.output import UNUSABLE
from poolsleuth.cli.stopping import listening
from poolsleuth.cli.times import read_time
from poolsleuth.cli.top_open import open_files, say_each_once
from poolsleuth.cli.top_print import Printer, print_live, print_once_live, print_replay, print_replay_once, until_unread
from poolsleuth.cli.top_words import MAX_SESSION, read_words
from poolsleuth.collect.request import read_span
from poolsleuth.evidence.dump.options import AS_FOUND, DumpOptions
from poolsleuth.model.errors import InputError
from poolsleuth.model.tags import PoolKind, TagDescription, TagDescriptions
from poolsleuth.pipeline import Assumed
from poolsleuth.reading import Selection, read_all
from poolsleuth.sampling.sample import Sampler
from poolsleuth.top.owners import Owners
from poolsleuth.top.tracker import Tracker
from poolsleuth.top.view import Column, View, ViewOptions
from poolsleuth.windows.builds import WindowsVersionMatch

if TYPE_CHECKING:
    from poolsleuth.top.feed import Feed
    from poolsleuth.top.replay import Opened
    from poolsleuth.top.tag_search import Whois
    from poolsleuth.top.verdict import Judge

USUAL_EVERY = 5.0  # seconds between two samples, as poolmon has them
_NO_SCREEN = "the full screen needs textual: pip install 'poolsleuth[tui]', or use --plain or --once"


def _speed(_context: click.Context, _parameter: click.Parameter, value: str | None) -> float | None:
    if value is None:
        return None
    if value.strip().lower() == "max":
        return inf
    try:
        speed = float(value.strip().lower().removesuffix("x"))
    except ValueError:
        speed = 0.0
    if not 0 < speed < 1e9:
        raise click.BadParameter(f"{value!r} is no speed: write 60 for an hour in a minute, or max.")
    return speed


def _session(_context: click.Context, _parameter: click.Parameter, value: str | None) -> int | None:
    if value is None:
        return None
    said = value.strip().lower()
    if said == "all":
        return -1
    if not (said.isascii() and said.isdigit() and int(said[:9]) <= MAX_SESSION):
        raise click.BadParameter(f"{value!r} is no session: write its number, or all.")
    return int(said)


def _every(_context: click.Context, _parameter: click.Parameter, value: str | None) -> float:
    try:
        return USUAL_EVERY if value is None else float(read_span(value))
    except ValueError as error:
        raise click.BadParameter(str(error)) from error


@click.command()
@click.argument("files", nargs=-1, metavar="[FILES...]")
@click.option("--every", callback=_every, metavar="TIME", help="Time between live samples: 1s, 30s ...  [default: 5s]")
@click.option("--once", is_flag=True, help="Print one screen as poolmon does: of now, or of the end of FILES.")
@click.option("--plain", is_flag=True, help="Print a screen as poolmon does at every sample, until Ctrl-C or the end.")
@click.option(
    "--sort",
    type=click.Choice([column.value for column in Column if column not in (Column.TREND, Column.MARKED)]),
    default=Column.BYTES.value,
    show_default=True,
    help="The column to sort by.",
)
@click.option("--change", "by_change", is_flag=True, help="Sort by what changed since the sample before.")
@click.option("--reverse", is_flag=True, help="The other way round.")
@click.option("-i", "--include", multiple=True, metavar="TAG", help="Only such tags; * is any characters, ? any one.")
@click.option("-x", "--exclude", multiple=True, metavar="TAG", help="No such tags.")
@click.option("--search", default="", metavar="TEXT", help="Only rows with this in tag, driver or note.")
@click.option("--pool", type=click.Choice(["nonpaged", "paged"]), help="Only this pool.")
@click.option("--session", callback=_session, metavar="N|all", help="The pools of a session, or of all together.")
@click.option("--totals", is_flag=True, help="Also what all rows hold together.")
@click.option("--lines", type=click.IntRange(min=1), metavar="N", help="Rows of a printed screen at most.")
@click.option("--drivers", is_flag=True, help="Print the column Mapped_Driver, too.")
@click.option("--speed", callback=_speed, metavar="X|max", help="Of a replay: 60 is an hour in a minute.")
@click.option("--at", metavar="TIME", help="Of a replay: begin there; with --once, the screen of that time.")
@click.option("--since", metavar="TIME", help="Only samples from this time on: ISO-8601, UTC unless it says otherwise.")
@click.option("--until", metavar="TIME", help="Only samples up to this time.")
@click.option("--machine", type=click.IntRange(min=1), metavar="N", help="Which machine, where FILES speak of several.")
@click.option("--pooltags", metavar="FILE", help="Microsoft's pooltag.txt (or a localtag.txt), for drivers and notes.")
@click.option(
    "--driver-files",
    "folders",
    multiple=True,
    metavar="PATH",
    help="Drivers, or a folder of them, to be searched for a tag from its page of the screen.",
)
@machine_options
@symbol_options
@click.pass_context
def top(
    context: click.Context,
    files: tuple[str, ...],
    every: float,
    once: bool,
    plain: bool,
    sort: str,
    by_change: bool,
    reverse: bool,
    include: tuple[str, ...],
    exclude: tuple[str, ...],
    search: str,
    pool: str | None,
    session: int | None,
    totals: bool,
    lines: int | None,
    drivers: bool,
    speed: float | None,
    at: str | None,
    since: str | None,
    until: str | None,
    machine: int | None,
    pooltags: str | None,
    folders: tuple[str, ...],
    windows: WindowsVersionMatch | None,
    ram_bytes: int | None,
    symbols: tuple[str, ...],
    offline: bool,
) -> int:
    """Show the pools tag by tag, as poolmon does: of this Windows, or of FILES played again.

    FILES are recordings, poolmon logs, dumps or debugger logs of one machine, in any order. Poolmon's own words work
    too: /iMm* /xFile /b /p /e /( /s1 ... Where there is no terminal, screens are printed as with --plain.

    \b
    Exit status: 0, or 2 when there is nothing to show.
    """
    view = ViewOptions(
        sort=Column(sort),
        by_change=by_change,
        reverse=reverse,
        pools=None if pool is None else PoolKind(pool),
        session=session,
        include=include,
        exclude=exclude,
        search=search,
        totals=totals,
    )
    words = read_words(files, view)
    once = once or words.once
    if words.once and (missing := [name for name in words.files if not Path(name).exists()]):
        raise click.UsageError(f"/n prints to standard output: poolsleuth top --once > {missing[0]}")
    selection = Selection(since=read_time(since, "--since"), until=read_time(until, "--until", end=True))
    if selection.since is not None and selection.until is not None and selection.since > selection.until:
        raise click.UsageError("--since is later than --until")
    plain = plain or not _has_screen(once=once or plain)
    asked = _Asked(words.view, lines, drivers or words.drivers, once, plain, folders, words.files)
    assumed = Assumed(windows, ram_bytes)
    if words.files:
        dumps = gather(symbols, offline)
        opened = open_files(words.files, pooltags, machine, assumed, dumps, selection)
        status = _replay(opened, asked, at, speed, dumps)
    else:
        only = {"--at": at, "--since": since, "--until": until, "--speed": speed, "--machine": machine}
        wrong = [name for name, value in only.items() if value is not None]
        if wrong:
            raise click.UsageError(f"{wrong[0]} is of a replay: name the files that are to be played")
        status = _live(asked, every, pooltags, assumed)
    context.exit(status)


@dataclass(frozen=True, slots=True)
class _Asked:
    """How it is to be shown. ``folders`` are files and folders of drivers, ``files`` the evidence."""

    view: ViewOptions
    lines: int | None
    drivers: bool
    once: bool
    plain: bool
    folders: tuple[str, ...]
    files: tuple[str, ...]

    def printer(self, tracker: Tracker, owners: Owners) -> Printer:
        """What prints screens."""
        return Printer(tracker, View(tracker, owners), self.view, self.lines, self.drivers)

    def whois(
        self, descriptions: Iterable[TagDescription], files: Iterable[str] = (), options: DumpOptions = AS_FOUND
    ) -> "Whois | None":
        """What searches drivers for a tag, and the modules of dumps among ``files``; None when there are neither."""
        from poolsleuth.cli.whois_dump import is_dump, search_dump  # noqa: PLC0415 - of the full screen alone
        from poolsleuth.drivers.survey import Question  # noqa: PLC0415
        from poolsleuth.top.tag_search import DriverSearch, InDump, Progress  # noqa: PLC0415

        def search(path: Path, question: Question, progress: Progress) -> InDump:
            return search_dump(path, question, options, progress=progress)

        dumps = [Path(name) for name in files if is_dump(Path(name))]
        folders = [Path(name) for name in self.folders]
        return DriverSearch(folders, descriptions, dumps, search) if folders or dumps else None


def _has_screen(*, once: bool) -> bool:
    """Whether there is a terminal for the full screen; says what happens where there is none."""
    if once:
        return False
    # Textual draws on standard error
    if sys.stdin.isatty() and sys.stdout.isatty() and sys.stderr.isatty():
        return True
    click.echo("poolsleuth: this is no terminal: screens are printed, as with --plain", err=True)
    return False


def _replay(opened: "Opened", asked: _Asked, at: str | None, speed: float | None, dumps: DumpOptions) -> int:
    series = opened.series
    place = None if at is None else _place(at, opened)
    if asked.once or asked.plain:
        printer = asked.printer(Tracker(series.index, series.host), opened.owners())
        if asked.once:
            said = print_replay_once(series, printer, len(series.times) - 1 if place is None else place)
            return 0 if said else UNUSABLE
        with listening() as stop, until_unread():
            print_replay(series, printer, place or 0, speed, stop)
        return 0
    _need_screen()
    from poolsleuth.top.feed import ReplayFeed  # noqa: PLC0415 - of the full screen alone

    player = opened.player() if speed is None else opened.player(speed)
    if place is not None:
        player.jump(place)
    feed = ReplayFeed(series, player)
    whois = asked.whois(opened.descriptions, asked.files, dumps)
    return _run(feed, opened.owners(), opened.judge(), asked.view, whois, opened.title)


def _place(at: str, opened: "Opened") -> int:
    from poolsleuth.top.asked import read_place  # noqa: PLC0415 - with the readers

    try:
        return read_place(at, opened.series.times, 0, utc=opened.series.host.utc)
    except InputError as error:
        raise click.UsageError(f"--at: {error}") from None


# ---- live ------------------------------------------------------------------------------------------------------


def _live(asked: _Asked, every: float, pooltags: str | None, assumed: Assumed) -> int:
    from poolsleuth.top.verdict import Judge, system_of  # noqa: PLC0415 - all patterns

    sampler = _open_sampler()
    descriptions = _descriptions(pooltags)
    system = assumed.completed(system_of(sampler.host))
    owners = Owners(system, descriptions)
    if asked.once or asked.plain:
        printer = asked.printer(Tracker(sampler.index, sampler.host), owners)
        if asked.once:
            print_once_live(sampler, printer)
            return 0
        with listening() as stop, until_unread():
            print_live(sampler, printer, every, stop)
        return 0
    _need_screen()
    from poolsleuth.top.feed import LiveFeed  # noqa: PLC0415 - of the full screen alone
    from poolsleuth.top.tag_search import drivers_of_this_machine  # noqa: PLC0415 - likewise

    feed = LiveFeed(sampler, every)
    whois = asked.whois(descriptions) or drivers_of_this_machine(descriptions)
    return _run(feed, owners, Judge(system, descriptions), asked.view, whois, sampler.host.computer or "")


def _open_sampler() -> Sampler:
    from poolsleuth.sampling.live.source import open_live  # noqa: PLC0415 - of a running Windows alone

    return open_live()


def _descriptions(pooltags: str | None) -> tuple[TagDescription, ...]:
    if pooltags is None:
        return ()
    read = read_all([pooltags], None)
    say_each_once([problem.says for problem in read.problems])
    found = (fact for facts in read.facts for fact in facts if isinstance(fact, TagDescriptions))
    descriptions = tuple(entry for fact in found for entry in fact.entries)
    if not descriptions and not read.problems:
        raise InputError(f"{Path(pooltags).name} holds no description of a tag: give Microsoft's pooltag.txt")
    return descriptions


# ---- the full screen -------------------------------------------------------------------------------------------


def _need_screen() -> None:
    """Raises InputError, before anything is opened, where textual is missing."""
    try:
        import textual  # noqa: F401, PLC0415 - an extra
    except ImportError:
        raise InputError(_NO_SCREEN) from None


def _run(feed: "Feed", owners: Owners, judge: "Judge", options: ViewOptions, whois: "Whois | None", title: str) -> int:
    from poolsleuth.top.screen.app import run  # noqa: PLC0415 - needs the extra

    return run(feed, feed.tracker, View(feed.tracker, owners), judge, options, whois=whois, title=title)
