"""What is seen, as a file: CSV for spreadsheets and programs, Markdown for a ticket. Figures are exact.

CSV is a plain table: one line of headings, then one for each tag, with the machine and the time of the sample in each.
Markdown says these above the table, with the order and the filters. A figure that is not known is an empty cell; words
stand in quotes. A spreadsheet takes a cell that begins with ``= + - @`` for a formula, and a file chooses its tags:
such words, and those that begin with an apostrophe, get one apostrophe before them. As half of the world's spreadsheets
end a cell at a semicolon, such a mark behind a semicolon gets one, too.
"""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from poolsleuth.model.errors import InputError
from poolsleuth.model.series import moment
from poolsleuth.report.markdown import cell, text_of
from poolsleuth.report.wording import UNKNOWN, clean, plural, pool_name, session_text
from poolsleuth.sampling.sample import Ids
from poolsleuth.top.plain import time_text
from poolsleuth.top.tracker import Since, Tracker
from poolsleuth.top.view import Row, View, ViewOptions

CSV, MARKDOWN = ".csv", ".md"
FIGURES = (
    "allocs",
    "frees",
    "outstanding",
    "bytes",
    "bytes_per_allocation",
    "allocs_change",
    "frees_change",
    "outstanding_change",
    "bytes_change",
    "bytes_since_start",
    "bytes_since_mark",
    "bytes_per_hour",
    "share_of_pool",
)
_WORDS_BEFORE = ("machine", "time", "tag", "pool", "session")
_WORDS_BEHIND = ("driver", "driver_sure", "note", "counted_from_first_seen")
_HEADINGS = (
    "Tag", "Pool", "Allocs", "Frees", "Diff", "Bytes", "Per alloc", "Change", "Since start", "Since mark",
    "Per hour", "Share", "Driver", "Note",
)  # fmt: skip
_FORMULA = ("=", "+", "-", "@", "'", "\t", "\r", "＝", "＋", "－", "＠")
_BEHIND_SEMICOLON = re.compile(rf";(\s*)(?=[{re.escape(''.join(_FORMULA))}])")
_STEP = 1_000  # rows that are looked at together


def export_rows(path: Path, tracker: Tracker, view: View, options: ViewOptions, numbers: Ids | None = None) -> int:
    """Write a file that does not exist yet; its name's end says whether CSV (``.csv``) or Markdown (``.md``).

    ``numbers`` are the rows that are seen; None: all that match. Returns how many rows were written. Raises InputError
    when the file exists, its name ends otherwise, or it cannot be written.
    """
    kind = path.suffix.lower()
    if kind not in (CSV, MARKDOWN):
        raise InputError(f"{path}: give a name that ends in {CSV} or {MARKDOWN}")
    numbers = view.rows(options) if numbers is None else numbers
    lines = csv_lines(tracker, view, numbers) if kind == CSV else md_lines(tracker, view, options, numbers)
    try:
        with path.open("x", encoding="utf-8", errors="replace", newline="") as file:
            file.writelines(f"{line}\n" for line in lines)
    except FileExistsError:
        raise InputError(f"{path} exists already; give another name") from None
    except OSError as error:
        raise InputError(f"{path} could not be written: {error.strerror or error}") from error
    return len(numbers)


def csv_lines(tracker: Tracker, view: View, numbers: Ids) -> Iterator[str]:
    """The lines of a CSV file, without their ends."""
    machine = tracker.host.computer or ""
    time = _time(tracker)
    yield ",".join((*_WORDS_BEFORE, *FIGURES, *_WORDS_BEHIND))
    for row in _rows(view, numbers):
        figures = ["" if value is None else repr(value) for value in _figures(row)]
        before = (machine, time, row.key.tag, row.key.pool.value, session_text(row.key.session))
        sure = "" if row.driver is None else "yes" if row.sure else "guess"
        late = (("start", row.started_late), ("mark", row.marked_late))
        behind = (row.driver or "", sure, row.note or "", " ".join(name for name, is_late in late if is_late))
        yield ",".join((*map(_quoted, before), *figures, *map(_quoted, behind)))


def md_lines(tracker: Tracker, view: View, options: ViewOptions, numbers: Ids) -> Iterator[str]:
    """The lines of a Markdown file, without their ends."""
    for words in about(tracker, view, options, len(numbers)):
        yield f"- {text_of(words)}"
    if _late(view, numbers):
        yield f"- {text_of('*: counted from the first sample that shows the tag, a later one')}"
    yield ""
    yield f"| {' | '.join(_HEADINGS)} |"
    yield f"|---|---|{'---:|' * (len(_HEADINGS) - 4)}---|---|"
    for row in _rows(view, numbers):
        counts = (row.allocs, row.frees, row.outstanding, row.bytes, row.each)
        changes = (row.last.bytes, row.started.bytes, row.marked.bytes)
        rate = None if row.rate is None else round(row.rate)
        driver = "" if row.driver is None else row.driver if row.sure else f"{row.driver} (a guess)"
        cells = [cell(row.key.tag), cell(pool_name(row.key.pool, row.key.session))]
        cells += [_number(value) for value in counts]
        late = (False, row.started_late, row.marked_late)
        cells += [_number(value, sign=True) + ("*" if of else "") for value, of in zip(changes, late, strict=True)]
        cells.append(_number(rate, sign=True))
        cells.append(" " if row.share is None else f"{row.share:.2%}")
        cells += [cell(driver), cell(row.note or "")]
        yield f"| {' | '.join(cells)} |"


def about(tracker: Tracker, view: View, options: ViewOptions, rows: int) -> Iterator[str]:
    """What was exported, in lines: machine, time, order, filters. Clean text."""
    host, now = tracker.host, tracker.now
    yield f"machine: {clean(host.computer) if host.computer else UNKNOWN}"
    at = moment(now.time) if now is not None else None
    zone = "" if host.utc else " (local time of the machine)"
    yield "time: " + (f"{time_text(at, utc=host.utc)}{zone}" if at is not None else UNKNOWN)
    if now is not None and now.label:
        yield f"sample: {clean(now.label)}"
    pools = "nonpaged and paged pool" if options.pools is None else pool_name(options.pools)
    session = options.session
    of = "" if session is None else ", all sessions" if session < 0 else f", session {session}"
    yield f"pools: {pools}{of}"
    how = ", its change since the sample before" if options.by_change else ""
    yield f"sorted by: {options.sort.value}{how}{', reversed' if options.reverse else ''}"
    filters = [f"only {pattern}" for pattern in options.include] + [f"without {p}" for p in options.exclude]
    if options.search:
        filters.append(f"found by {options.search!r}")
    if filters:
        yield f"filters: {clean(', '.join(filters))}"
    matching = len(view.rows(options))
    yield f"rows: {plural(rows, 'tag')}" + (f" of {matching:,}" if rows != matching else "")


def _time(tracker: Tracker) -> str:
    """The time of the sample, with its zone where that is known; else what the sample is called."""
    now = tracker.now
    if now is None:
        return ""
    at = moment(now.time)
    return time_text(at, utc=tracker.host.utc) if at is not None else now.label


def _late(view: View, numbers: Ids) -> bool:
    """Whether a change is counted from a later sample than it should be."""
    origins = [view.tracker.origin(since) for since in (Since.START, Since.MARK)]
    return any(bool(origin.late[numbers].any()) for origin in origins if origin is not None)


def _rows(view: View, numbers: Ids) -> Iterator[Row]:
    for start in range(0, len(numbers), _STEP):
        yield from view.look(numbers[start : start + _STEP])


def _figures(row: Row) -> Sequence[int | float | None]:
    last = row.last
    return (
        row.allocs, row.frees, row.outstanding, row.bytes, row.each,
        last.allocs, last.frees, last.outstanding, last.bytes,
        row.started.bytes, row.marked.bytes, row.rate, row.share,
    )  # fmt: skip


def _quoted(text: str) -> str:
    text = _BEHIND_SEMICOLON.sub(r";\1'", clean(text))
    if text.lstrip().startswith(_FORMULA):
        text = f"'{text}"
    return '"' + text.replace('"', '""') + '"' if text else ""


def _number(value: int | None, *, sign: bool = False) -> str:
    if value is None:
        return " "
    return f"{value:+,}" if sign and value else f"{value:,}"


__all__ = ["CSV", "FIGURES", "MARKDOWN", "about", "csv_lines", "export_rows", "md_lines"]
