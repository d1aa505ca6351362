"""What the detail view says of a tag: its facts in words and units, section by section, without a screen."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from poolsleuth.model.finding import Severity, Verdict
from poolsleuth.model.report import ReportFinding
from poolsleuth.report.chart_scale import moment_text
from poolsleuth.report.wording import (
    UNKNOWN,
    bytes_short,
    bytes_text,
    clean,
    count_text,
    duration_text,
    percent_text,
    plural,
    pool_name,
    short,
    subject_text,
    trend_text,
    verdict_word,
)
from poolsleuth.top.detail_facts import Change, DetailFacts, TagWriter, Watched
from poolsleuth.top.tag_search import Found, Searched
from poolsleuth.top.tracker import Since

MAX_TEXT = 4_000  # characters of one sentence of a finding
MAX_NAME = 120  # characters of a driver's name
_MAX_REASONS = 12  # of one finding, for and against
_MAX_ELSEWHERE = 12
_BEYOND = 1e300
_LONG = 900.0  # seconds of a watch from which nobody asks for seconds
_MAX_PATTERN = 40  # characters of a pattern's name
_TONES = {Severity.CRITICAL: "bad", Severity.WARNING: "warn", Severity.INFO: "dim"}
_SINCE = {Since.LAST: "last sample", Since.START: "start", Since.MARK: "mark"}


@dataclass(frozen=True, slots=True)
class Pair:
    """A figure with its name. ``tone`` is "", "good", "bad" or "dim"."""

    name: str
    value: str
    tone: str = ""


@dataclass(frozen=True, slots=True)
class Says:
    """A paragraph. ``lead`` stands in front of it and its other lines go under it.

    ``tone`` is "", "strong", "dim", "good", "bad" or "warn"; ``step`` has commands in backticks.
    """

    text: str
    lead: str = ""
    tone: str = ""
    step: bool = False


def tag_name(tag: str) -> str:
    """A tag as it is shown: what could steer a terminal is made visible; blanks at its end do not count."""
    return clean(tag) or "(empty)"


def title(facts: DetailFacts) -> str:
    """``MmSt  paged pool  nt!mm``."""
    words = [tag_name(facts.key.tag), pool_name(facts.key.pool, facts.key.session)]
    writer = facts.writer
    if writer.driver is not None:
        words.append(short(writer.driver, MAX_NAME) + ("" if writer.sure else " (a guess)"))
    return "   ".join(words)


def standing(facts: DetailFacts) -> tuple[str, str]:
    """What the heaviest finding is and how sure, in a few words, and its tone: ``pool leak suspected, low confidence``.

    Of a finding that accuses nobody, such as load that comes and goes, the tone is "dim".
    """
    held = next((finding for finding in facts.findings if finding.holds), None)
    if held is None:
        return ("not accused", "dim") if facts.findings else ("", "")
    name = short(held.pattern.replace("-", " "), _MAX_PATTERN)
    return f"{name} {held.verdict.value}, {held.confidence.value} confidence", _TONES[held.severity]


# ---- figures ----


def pairs(facts: DetailFacts) -> list[Pair]:
    """The figures of now, and what the watch says of them."""
    watched = facts.watched
    share = UNKNOWN if facts.share is None else percent_text(round(facts.share * 1e6), 1_000_000) or UNKNOWN
    most = "at most " if facts.limit_guessed else ""
    limit = [Pair("Pool's limit", most + _size(facts.limit))] if facts.limit is not None else []
    return [
        Pair("Bytes", _size(facts.bytes, long=True)),
        Pair("Allocations", _count(facts.allocs)),
        Pair("Frees", _count(facts.frees)),
        Pair("Not freed (diff)", _count(facts.outstanding)),
        Pair("Bytes per alloc", _size(facts.each)),
        Pair("Allocs per second", _pace(facts.allocs_per_second)),
        Pair("Frees per second", _pace(facts.frees_per_second)),
        Pair("Share of its pool", share),
        *limit,
        Pair("Per hour, now", _signed_size(facts.rate), _tone(facts.rate)),
        Pair("Per hour, overall", _signed_size(watched.rate), _tone(watched.rate)),
        Pair("Watched for", UNKNOWN if watched.seconds is None else duration_text(watched.seconds)),
        Pair("Peak", _peak(facts)),
        Pair("Last came down", _fell(facts), "" if watched.fell is not None or not watched.moved else "bad"),
    ]


def change_rows(facts: DetailFacts) -> list[tuple[str, ...]]:
    """A table: since when, how long ago, and how bytes, blocks, allocations and frees changed. The first are titles."""
    rows: list[tuple[str, ...]] = [("Change since", "", "Bytes", "Diff", "Allocs", "Frees")]
    rows += [_change(change, facts) for change in facts.changes if change.seconds != 0]
    return rows if len(rows) > 1 else []


def _change(change: Change, facts: DetailFacts) -> tuple[str, ...]:
    ago = "" if change.seconds is None else f"{duration_text(change.seconds)} ago"
    counts = (_signed(change.outstanding), _signed(change.allocs), _signed(change.frees))
    since = _SINCE[change.since]
    if change.late:
        # That moment does not show the tag: what came before is not known
        since = "first seen" + ("" if change.seen is None else f" {_clock(change.seen, facts)}")
    return (since, ago, _signed_size(change.bytes), *counts)


def remarks(facts: DetailFacts) -> Iterator[Says]:
    """What must be known to read the figures."""
    watched = facts.watched
    if not facts.shown:
        yield Says("the last sample does not show this tag: it is freed, or the table was cut", tone="dim")
    if watched.restarted is not None:
        yield Says(f"Windows was started again: counted from {moment_text(watched.restarted, facts.utc)}", tone="dim")
    if watched.samples > watched.kept > 0:
        kept = f"{count_text(watched.kept)} of {plural(watched.samples, 'sample')}"
        yield Says(f"peak, fall and chart as far as {kept} say, spread evenly over the watch", tone="dim")
    others = [f"{pool_name(key.pool, key.session)} {_size(size)}" for key, size in facts.elsewhere[:_MAX_ELSEWHERE]]
    if others:
        left = len(facts.elsewhere) + facts.more - len(others)
        yield Says(", ".join(others) + (f" and {count_text(left)} more" if left else ""), lead="The same tag in: ")


def _peak(facts: DetailFacts) -> str:
    watched = facts.watched
    if watched.peak is None:
        return UNKNOWN
    if not watched.moved:
        return _size(watched.peak)
    if facts.bytes is not None and watched.peak <= facts.bytes:
        return f"{_size(facts.bytes)}, now"
    return _size(watched.peak) + ("" if watched.peak_time is None else f" ({_clock(watched.peak_time, facts)})")


def _fell(facts: DetailFacts) -> str:
    watched: Watched = facts.watched
    if watched.peak is None:
        return UNKNOWN
    if watched.fell is None:
        if not watched.moved:
            return "it has not changed"
        return "never" if watched.seconds is None else f"never in {duration_text(watched.seconds)}"
    if facts.time is None:
        return _clock(watched.fell, facts)
    return f"{duration_text(max(0.0, facts.time - watched.fell))} ago ({_clock(watched.fell, facts)})"


def _clock(time: float, facts: DetailFacts) -> str:
    """The time of day, with the date where it is not that of now. The chart says whose clock it is."""
    date, clock = moment_text(time, utc=False).split(" ")
    today = "" if facts.time is None else moment_text(facts.time, utc=False)[:10]
    if date == today:
        long = facts.watched.seconds is not None and facts.watched.seconds >= _LONG
        return clock[:5] if long else clock
    return f"{date[5:] if date[:4] == today[:4] else date} {clock[:5]}"


# ---- owner ----


def writer_says(writer: TagWriter) -> Iterator[Says]:
    """Who writes the tag, how that is known, and what our notes say."""
    if writer.driver is not None:
        sure = "" if writer.sure or writer.how.startswith("a guess") else ", not certain"
        yield Says(f"{short(writer.driver, MAX_NAME)} ({writer.how}{sure})", tone="strong")
    elif writer.shared:
        yield Says("many drivers share this tag, so it names none", tone="strong")
    elif writer.says is None and writer.note is None:
        yield Says("not known: no description names it", tone="strong")
    if writer.says is not None:
        yield Says(short(writer.says, MAX_TEXT))
    if writer.note is not None:
        yield Says(f"{writer.note.component}: {writer.note.holds}")
        yield Says(writer.note.growth, lead="When it grows: ")
    elif writer.family is not None:
        family = writer.family
        yield Says(
            f"tags like {family.pattern} are also used by {family.component}: no more than a hint", lead="Family: "
        )


def search_says(searched: Searched) -> Iterator[Says]:
    """What driver files say, each with how sure it is."""
    drivers = plural(searched.drivers, "driver")
    if not searched.candidates:
        yield Says(f"nobody among {drivers} uses it in a way that can be seen", tone="strong")
    for number, found in enumerate(searched.candidates, start=1):
        yield from _candidate(found, number)
    if searched.more:
        yield Says(f"{plural(searched.more, 'weaker candidate')} more: `poolsleuth whois` lists them", tone="dim")
    for remark in searched.remarks:
        yield Says(short(remark, MAX_TEXT), tone="dim")
    unread = f", {plural(searched.unread, 'file')} could not be read" if searched.unread else ""
    yield Says(f"{drivers} searched{unread}", tone="dim")


def _candidate(found: Found, number: int) -> Iterator[Says]:
    name = short(found.name, MAX_NAME)
    yield Says(f"{name} (confidence: {found.confidence.value})", lead=f"{number}. ", tone="strong")
    for reason in found.because[:_MAX_REASONS]:
        yield Says(short(reason, MAX_TEXT), lead="   + ")
    for reason in found.against[:_MAX_REASONS]:
        yield Says(short(reason, MAX_TEXT), lead="   - ")


# ---- findings ----


def headline(facts: DetailFacts) -> Says | None:
    """The heaviest finding that holds, in its own sentence; None when there is none."""
    held = next((finding for finding in facts.findings if finding.holds), None)
    return None if held is None else _headline(held)


def findings_say(facts: DetailFacts, *, told: bool = False) -> Iterator[Says]:
    """What was judged about the tag, with the reasons; what holds first. ``told``: its headline was said above."""
    for finding in facts.findings:
        if not told:
            yield _headline(finding)
        told = False
        yield from _reasons(finding, named=False)
    for finding in facts.beside:
        yield _headline(finding)
        yield from _reasons(finding, named=True)
    if not facts.findings and not facts.beside:
        yield Says("nobody accuses this tag so far", tone="dim")


def _headline(finding: ReportFinding) -> Says:
    tone = _TONES[finding.severity] if finding.holds else "strong"
    return Says(short(finding.headline, MAX_TEXT), tone="strong" if tone == "dim" else tone)


def _reasons(finding: ReportFinding, *, named: bool) -> Iterator[Says]:
    judged = f"{verdict_word(finding.verdict)}, {finding.confidence.value} confidence [{short(finding.pattern, 60)}]"
    if finding.verdict is Verdict.NOT_ASSESSED:
        judged = f"{verdict_word(finding.verdict)} [{short(finding.pattern, 60)}]"
    about = subject_text(finding.subject) if named else ""
    yield Says(judged + (f", about {about}" if about else ""), tone="dim")
    if finding.trend is not None and finding.holds:
        yield Says(trend_text(finding.trend), lead="Growth: ")
    for lead, reasons in (("+ ", finding.because), ("- ", finding.against)):
        for reason in reasons[:_MAX_REASONS]:
            yield Says(short(reason.says, MAX_TEXT), lead=lead)


def steps_say(steps: Sequence[str]) -> list[Says]:
    """What to do next."""
    return [Says(short(step, MAX_TEXT), lead=f"{number}. ", step=True) for number, step in enumerate(steps, start=1)]


# ---- numbers ----


def _whole(value: float) -> int:
    return round(max(-_BEYOND, min(value, _BEYOND)))


def _size(value: float | None, *, long: bool = False) -> str:
    if value is None:
        return UNKNOWN
    return bytes_text(_whole(value)) if long else bytes_short(_whole(value))


def _signed_size(value: float | None) -> str:
    return UNKNOWN if value is None else ("+" if value > 0 and _whole(value) else "") + bytes_short(_whole(value))


def _count(value: float | None) -> str:
    return UNKNOWN if value is None else count_text(_whole(value))


def _signed(value: float | None) -> str:
    return UNKNOWN if value is None else ("+" if value > 0 else "") + count_text(_whole(value))


def _pace(value: float | None) -> str:
    if value is None:
        return UNKNOWN
    return f"{value:.2f}" if 0 < value < 10 else count_text(_whole(value))


def _tone(value: float | None) -> str:
    return "" if value is None or abs(value) < 0.5 else "bad" if value > 0 else "good"
