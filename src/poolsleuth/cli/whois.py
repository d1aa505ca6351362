"""``poolsleuth whois``: which driver owns a tag, by what the drivers themselves say."""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path, PureWindowsPath

import click
from rich.console import Console
from rich.progress import MofNCompleteColumn
from rich.text import Text

from poolsleuth.cli.dump_options import dump_options, gather
from poolsleuth.cli.output import bar_on_terminal, check_target, progress_on_terminal, write_target
from poolsleuth.cli.whois_dump import SearchedDump, is_dump, search_dump
from poolsleuth.drivers.cache import cache_folder
from poolsleuth.drivers.score import Candidate, Line, Ownership, functions_for, judge, names_for
from poolsleuth.drivers.survey import Looked, Question, driver_files, one_of_each, survey
from poolsleuth.drivers.survey import Progress as ProgressCall
from poolsleuth.drivers.tag_functions import Use
from poolsleuth.drivers.tag_scan import TagUse
from poolsleuth.drivers.tags import tag_key, tag_text
from poolsleuth.evidence.dump.options import DumpOptions
from poolsleuth.evidence.pooltags import parse_pool_tags
from poolsleuth.model.errors import InputError
from poolsleuth.report.wording import clean, plural, short
from poolsleuth.windows.tag_patterns import covers

SCHEMA = "poolsleuth.whois/1"
NOBODY = 1
MAX_POOLTAGS = 16 << 20  # bytes: Microsoft's file has 300 KB
MAX_SHOWN = 20  # candidates on the terminal; --json has all of them
MAX_PROBLEMS = 20  # sentences about files that could not be used
_WIDEST = 300  # characters of a text from a file


@click.command()
@click.argument("tag", metavar="TAG")
@click.argument("paths", nargs=-1, required=True, metavar="DUMP|DRIVERS|FOLDERS...", type=click.Path(path_type=Path))
@click.option("--pooltags", multiple=True, metavar="FILE", help="pooltag.txt or localtag.txt; may be given twice.")
@click.option("--json", "json_file", metavar="FILE|-", help="Write JSON.")
@click.option("--force", is_flag=True, help="Overwrite an output file that exists.")
@click.option("--no-cache", is_flag=True, help="Neither use nor keep what was found in drivers scanned before.")
@click.option(
    "--thorough", is_flag=True, help="Read the code of every driver, also where the tag's bytes are not in it."
)
@click.option("-v", "--verbose", is_flag=True, help="Show each place of the tag, with its bytes and disassembly.")
@dump_options
@click.pass_context
def whois(
    context: click.Context,
    tag: str,
    paths: tuple[Path, ...],
    pooltags: tuple[str, ...],
    json_file: str | None,
    force: bool,
    no_cache: bool,
    thorough: bool,
    verbose: bool,
    symbols: tuple[str, ...],
    offline: bool,
    dtb: int | None,
    kernel_base: int | None,
) -> int:
    """Say which driver owns a pool tag, by the code of drivers: calls that allocate with it, and weaker signs.

    Give driver files, folders of them, and crash dumps (or images of memory), whose loaded modules are searched in
    memory: also those that have no file.

    \b
    Exit status: 0 somebody was found; 1 nobody in what was given; 2 no usable input.
    """
    key = tag_key(tag)
    text = tag_text(key)
    check_target(json_file, [*map(str, paths), *pooltags], force=force, option="--json")
    lines = [line for name in pooltags for line in _lines(Path(name), text)]
    question = Question(key, functions_for(text), names_for(text, lines), thorough)
    dumps = [path for path in paths if is_dump(path)]
    options = gather(symbols, offline, dtb, kernel_base)
    searched: list[SearchedDump] = []
    failed: list[Looked] = []
    for path in dumps:
        try:
            searched.append(_in_dump(path, question, options))
        except InputError as error:
            if len(paths) == 1:
                raise
            failed.append(Looked(str(path), problem=str(error), driver=False))
    with _progress() as progress:
        files = driver_files(path for path in paths if path not in dumps)
        looked = list(survey(files, question, None if no_cache else cache_folder(), progress))
    for one in searched:
        looked = one_of_each(looked, one.looked)
    looked += failed
    answer = judge(key, looked, lines, [one.scope for one in searched])
    for problem in answer.problems[:MAX_PROBLEMS]:
        click.echo(f"poolsleuth: {short(problem, _WIDEST)}", err=True)
    if len(answer.problems) > MAX_PROBLEMS:
        more = plural(len(answer.problems) - MAX_PROBLEMS, "more file")
        click.echo(f"poolsleuth: {more} could not be used (--json names them)", err=True)
    if json_file is not None:
        write_target(json_file, json.dumps(_document(answer), indent=1) + "\n")
    if not answer.drivers:
        raise InputError(
            "none of what was given is a driver: give driver files (.sys, .dll, .exe), folders of them, or a crash dump"
        )
    if json_file != "-":
        _print(answer, verbose=verbose)
    if not answer.candidates:
        context.exit(NOBODY)
    return 0


def _in_dump(path: Path, question: Question, options: DumpOptions) -> SearchedDump:
    with progress_on_terminal() as opening, _progress() as progress:
        return search_dump(path, question, options, opening, progress)


def _lines(path: Path, tag: str) -> Iterator[Line]:
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_POOLTAGS)
    except OSError as error:
        raise InputError(f"{path} could not be read: {error.strerror or error}") from error
    for entry in parse_pool_tags(raw.decode("utf-8", errors="replace"), 0).entries:
        if covers(entry.pattern, tag):
            yield Line(path.name, entry.binary, entry.description)


@contextmanager
def _progress() -> Iterator[ProgressCall | None]:
    with bar_on_terminal(MofNCompleteColumn()) as bar:
        if bar is None:
            yield None
            return
        task = bar.add_task("drivers", total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


# ---- for the eye ----


def _print(answer: Ownership, *, verbose: bool) -> None:
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = 10_000  # a file or a pipe has no edge

    def say(text: str, style: str = "") -> None:
        console.print(Text(text, style=style), soft_wrap=True)

    drivers = plural(answer.drivers, "driver")
    if answer.candidates:
        say(f"{clean(answer.tag)}: {plural(len(answer.candidates), 'candidate')} among {drivers}", "bold")
    else:
        say(f"{clean(answer.tag)}: nobody in what was given ({drivers})", "bold")
    for remark in answer.remarks:
        say(f"  {short(remark, _WIDEST)}")
    for number, candidate in enumerate(answer.candidates[:MAX_SHOWN], start=1):
        say("")
        name = clean(PureWindowsPath(candidate.name.replace("/", "\\")).name)
        say(f"{number}. {name}  (confidence: {candidate.confidence.value})", "bold")
        say(f"   {clean(candidate.name)}")
        for line in _identity(candidate):
            say(f"   {short(line, _WIDEST)}")
        for reason in candidate.because:
            say(f"   + {short(reason, _WIDEST)}")
        for reason in candidate.against:
            say(f"   - {short(reason, _WIDEST)}")
        for place in candidate.places if verbose else ():
            say(f"     {_place(place)}")
    more = len(answer.candidates) - MAX_SHOWN
    if more > 0:
        say(f"\n{plural(more, 'weaker candidate')} not shown (--json has all)")
    if not answer.candidates:
        say("  Give the folder of all drivers (C:\\Windows\\System32\\drivers, and the driver store).")
        say("  With --thorough a tag is also found that the code works out of other numbers.")
        say("  A driver that exists only in memory is found in a crash dump, not in files.")


def _identity(candidate: Candidate) -> Iterator[str]:
    summary = candidate.summary
    version = summary.version
    if version is not None:
        words = (version.company, version.product, version.version, version.description)
        yield "; ".join(word for word in words if word)
    made = datetime.fromtimestamp(summary.timestamp, UTC)
    said = [summary.machine, f"time stamp 0x{summary.timestamp:08x} ({made:%Y-%m-%d}, if it is a time)"]
    if summary.signer:
        said.append(f"its signature (not verified) names {summary.signer}")
    if summary.pdb:
        said.append(f"symbols {summary.pdb}")
    if version is not None and version.original_name:
        said.append(f"original name {version.original_name}")
    yield "; ".join(said)


_WORDS = {
    Use.ALLOCATION: "allocates",
    Use.LOOKASIDE: "lookaside list",
    Use.FREE: "frees",
    Use.REFERENCE: "object reference",
    Use.IMMEDIATE: "constant",
    Use.CODE_BYTES: "bytes in code",
    Use.DATA: "bytes in data",
}


def _place(place: TagUse) -> str:
    offset = "" if place.offset is None else f", file offset 0x{place.offset:x}"
    through = "" if place.wrapper is None else f" through 0x{place.wrapper:x}"
    source = "" if place.source is None else f"; the tag is set at 0x{place.source:x}"
    function = "" if place.function is None else f" {clean(place.function)}{through}"
    text = clean(place.text) or "-"
    return f"{_WORDS[place.use]}{function}: 0x{place.rva:x}{offset}: {place.raw.hex(' ')}  {text}{source}"


# ---- for programs ----


def _document(answer: Ownership) -> dict[str, object]:
    return {
        "schema": SCHEMA,
        "tag": answer.tag,
        "drivers": answer.drivers,
        "remarks": list(answer.remarks),
        "candidates": [_candidate(candidate) for candidate in answer.candidates],
        "problems": list(answer.problems),
    }


def _candidate(candidate: Candidate) -> dict[str, object]:
    summary = candidate.summary
    version = summary.version
    return {
        "file": candidate.name,
        "loaded": candidate.loaded,
        "confidence": candidate.confidence.value,
        "score": candidate.score,
        "because": list(candidate.because),
        "against": list(candidate.against),
        "machine": summary.machine,
        "bytes": summary.size,
        "timestamp": summary.timestamp,
        "pdb": summary.pdb,
        "company": None if version is None else version.company,
        "product": None if version is None else version.product,
        "version": None if version is None else version.version,
        "description": None if version is None else version.description,
        "original_name": None if version is None else version.original_name,
        "signer": summary.signer,
        "packed": summary.packed,
        "places": _places(candidate.places),
    }


def _places(places: Sequence[TagUse]) -> list[dict[str, object]]:
    return [
        {
            "use": place.use.value,
            "function": place.function,
            "tag": tag_text(place.tag),
            "rva": place.rva,
            "file_offset": place.offset,
            "bytes": place.raw.hex(),
            "disassembly": place.text,
            "certain": place.certain,
            "through": place.wrapper,
            "set_at": place.source,
        }
        for place in places
    ]
