"""What the evidence shows over time, on a terminal: one line per series, and what was concluded from it."""

from collections.abc import Sequence
from math import isfinite

from rich.cells import cell_len, set_cell_size
from rich.console import Console
from rich.table import Table
from rich.text import Text

from poolsleuth.model.report import Report, ReportFinding, ReportMachine, ReportSeries
from poolsleuth.report.arrange import machine_name
from poolsleuth.report.sparkline import ASCII, BLOCKS, sparkline
from poolsleuth.report.wording import bytes_short, count_text, short, time_text, trend_text, verdict_word

OVER_TIME = ("pool-leak", "handle-leak", "tags-growing-together", "pool-load")
_GROUPS = (("pool", "Pools"), ("tag", "Tags"), ("process", "Processes"), ("load", "Load"), ("counter", "Counters"))
_ABSURD = 1e24
MAX_NAMED = 30  # machines named before the figures
_LONG = 1_000_000  # from which a rate is shown in millions
_LONGEST_HOURS = 100 * 366 * 24.0
_GAP = 2  # blanks between columns
_NAME, _WORD = 120, 20  # characters of a series' name, of a word that is not ours
_HEADLINE = 2000  # characters of a headline
_SHORTEST_NAME = 12
_WIDE = 110  # columns from which a sparkline may be long
_STYLES = {"leak": "bold red", "steps": "bold red", "unclear": "yellow", "load": "cyan", "too-short": "dim"}
_SHORT_WORDS = {
    "leak": "leak",
    "steps": "leak in steps",
    "load": "load",
    "filled": "filled, stopped",
    "jump": "one jump",
    "steady": "steady",
    "falling": "falling",
    "unclear": "not clear",
    "too-short": "too short",
}


def render_trend(report: Report, console: Console) -> None:
    """Every machine's series with sparklines, then the findings that rest on time."""
    if len(report.machines) > 1:
        _overview(report, console)
    for number, machine in enumerate(report.machines, start=1):
        if number > 1:
            console.print()
        _machine(machine, number, console)


def _overview(report: Report, console: Console) -> None:
    """Which of several machines have a leak, before all the figures."""
    ill = [
        (machine_name(machine, number), list(dict.fromkeys(f.pattern for f in machine.findings if _is_ill(f))))
        for number, machine in enumerate(report.machines, start=1)
    ]
    ill = [(name, patterns) for name, patterns in ill if patterns]
    console.print(f"{len(ill)} of {len(report.machines)} machines have something that grows", style="bold")
    for name, patterns in ill[:MAX_NAMED]:
        console.print(Text(f"  {short(name, 80)}: {', '.join(patterns)}"))
    if len(ill) > MAX_NAMED:
        console.print(f"  and {len(ill) - MAX_NAMED} more")
    console.print()


def _is_ill(finding: ReportFinding) -> bool:
    return finding.holds and finding.pattern in OVER_TIME and finding.pattern != "pool-load"


def _machine(machine: ReportMachine, number: int, console: Console) -> None:
    console.print(Text(_said(machine_name(machine, number), console, _NAME), style="bold"))
    if not machine.series:
        console.print("Nothing in this evidence was captured at two known times.")
        return
    first = min(series.start for series in machine.series)
    longest = max(machine.series, key=lambda s: s.seconds[-1] if s.seconds else 0.0)
    hours = (longest.seconds[-1] if longest.seconds else 0.0) / 3600
    zone = "" if all(series.utc for series in machine.series) else " (local time of the server, zone not known)"
    console.print(f"from {time_text(first)} over {_span(hours)}{zone}", style="dim")
    for kind, title in _GROUPS:
        chosen = [series for series in machine.series if series.kind == kind]
        if chosen:
            console.print()
            console.print(_table(title, chosen, console))
    findings = sorted((f for f in machine.findings if f.pattern in OVER_TIME), key=lambda f: OVER_TIME.index(f.pattern))
    holding = [f for f in findings if f.holds]
    for finding in holding or findings[:4]:
        console.print()
        _finding(finding, console)


def _span(hours: float) -> str:
    if not 0 <= hours < _LONGEST_HOURS:
        return "a time that cannot be true"
    if hours < 2:
        return f"{hours * 60:.0f} minutes"
    return f"{hours:.0f} hours" if hours < 72 else f"{hours / 24:.1f} days"


def _table(title: str, chosen: Sequence[ReportSeries], console: Console) -> Table:
    wide = console.width >= _WIDE
    width = 40 if wide else 16
    blocks = BLOCKS if console.encoding.lower().startswith("utf") else ASCII
    heads = ["first", "last", *(("peak", "an hour") if wide else ()), "it is"]
    rows: list[list[Text]] = []
    for series in chosen:
        known = [value for value in series.values if value is not None]
        row = [
            Text(sparkline(series.seconds, series.values, width, blocks)),
            _value(known[0] if known else None, series.unit),
            _value(known[-1] if known else None, series.unit),
        ]
        if wide:
            row.append(_value(max(known) if known else None, series.unit))
            row.append(_value(series.trend.bytes_per_hour if series.trend else None, series.unit))
        word = _SHORT_WORDS.get(series.course or "") or _said(series.course or "", console, _WORD)
        rows.append([*row, Text(word, style=_STYLES.get(series.course or "", ""))])
    widths = [max(cell.cell_len for cell in column) for column in zip(*rows, strict=True)]
    taken = sum(max(n, len(head)) + _GAP for n, head in zip(widths, ["", *heads], strict=True))
    # The names give way, never the figures: a figure that is cut is another figure
    names = max(_SHORTEST_NAME, console.width - taken - _GAP)
    table = Table(box=None, padding=(0, _GAP, 0, 0), header_style="bold", pad_edge=False)
    table.add_column(title, no_wrap=True, overflow="crop")
    table.add_column("", no_wrap=True, overflow="crop", min_width=width)
    for head in heads:  # absurd figures go on in a second line
        table.add_column(head, justify="left" if head == heads[-1] else "right", overflow="fold")
    for series, row in zip(chosen, rows, strict=True):
        table.add_row(Text(_cut(_said(series.name, console, _NAME), names)), *row)
    return table


def _cut(text: str, width: int) -> str:
    """The text in so many cells; rich's own ellipsis cannot be shown on every console."""
    return text if cell_len(text) <= width else set_cell_size(text, max(0, width - 3)).rstrip() + "..."


def _said(text: str, console: Console, limit: int) -> str:
    """Text from a file as this console can show it."""
    try:
        return short(text, limit).encode(console.encoding, "backslashreplace").decode(console.encoding)
    except LookupError:
        return short(text, limit).encode("ascii", "backslashreplace").decode("ascii")


def _value(value: float | None, unit: str) -> Text:
    if value is None:
        return Text("")
    if unit == "bytes" and isfinite(value):
        return Text(bytes_short(round(value)))
    if not abs(value) < _ABSURD:
        return Text("not believable")
    digits = f"{value:,.1f}" if abs(value) < 100 and not float(value).is_integer() else count_text(round(value))
    if unit == "per second" and abs(value) >= _LONG:
        digits = f"{value / 1e6:,.1f} M"
    return Text(digits + (" %" if unit == "percent" else "/s" if unit == "per second" else ""))


def _finding(finding: ReportFinding, console: Console) -> None:
    word = verdict_word(finding.verdict)
    head = Text.assemble((f"{word}: ", "bold" if finding.holds else "dim"), _said(finding.headline, console, _HEADLINE))
    head.append(f"  [{finding.pattern}, {finding.confidence.value} confidence]", style="dim")
    console.print(head)
    if finding.trend is not None:
        console.print(Text("  " + trend_text(finding.trend)))
    for reason in finding.because[1:4]:
        console.print(Text("  - " + _said(reason.says, console, 400), style="dim"))
    for step in finding.next_steps[:2] if finding.holds else ():
        console.print(Text("  next: " + _said(step, console, 400)))
