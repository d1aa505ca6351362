"""What the evidence shows over time, on a terminal: one line per series, and what was concluded from it."""

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from poolsleuth.model.report import Report, ReportFinding, ReportMachine, ReportSeries
from poolsleuth.report.arrange import machine_name
from poolsleuth.report.sparkline import ASCII, BLOCKS, sparkline
from poolsleuth.report.wording import bytes_short, clean, count_text, short, time_text, trend_text, verdict_word

OVER_TIME = ("pool-leak", "handle-leak", "tags-growing-together", "pool-load")
_GROUPS = (("pool", "Pools"), ("tag", "Tags"), ("process", "Processes"), ("load", "Load"), ("counter", "Counters"))
_LONG = 1_000_000  # from which a rate is shown in millions
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
    for number, machine in enumerate(report.machines, start=1):
        if number > 1:
            console.print()
        _machine(machine, number, console)


def _machine(machine: ReportMachine, number: int, console: Console) -> None:
    console.print(Text(clean(machine_name(machine, number)), style="bold"))
    if not machine.series:
        console.print("Nothing in this evidence was captured at two times.")
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
    findings = [f for f in machine.findings if f.pattern in OVER_TIME]
    holding = [f for f in findings if f.holds]
    for finding in holding or findings[:4]:
        console.print()
        _finding(finding, console)


def _span(hours: float) -> str:
    if hours < 2:
        return f"{hours * 60:.0f} minutes"
    return f"{hours:.0f} hours" if hours < 72 else f"{hours / 24:.1f} days"


def _table(title: str, chosen: Sequence[ReportSeries], console: Console) -> Table:
    wide = console.width >= _WIDE
    width = 40 if wide else 16
    blocks = BLOCKS if console.encoding.lower().startswith("utf") else ASCII
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold", pad_edge=False)
    table.add_column(title, overflow="ellipsis", no_wrap=True, ratio=1)
    table.add_column("", no_wrap=True, min_width=width)
    table.add_column("first", justify="right", no_wrap=True)
    table.add_column("last", justify="right", no_wrap=True)
    if wide:
        table.add_column("peak", justify="right", no_wrap=True)
        table.add_column("an hour", justify="right", no_wrap=True)
    table.add_column("it is", no_wrap=True)
    for series in chosen:
        known = [value for value in series.values if value is not None]
        row = [
            Text(short(series.name, 120)),
            Text(sparkline(series.seconds, series.values, width, blocks)),
            _value(known[0] if known else None, series.unit),
            _value(known[-1] if known else None, series.unit),
        ]
        if wide:
            row.append(_value(max(known) if known else None, series.unit))
            row.append(_value(series.trend.bytes_per_hour if series.trend else None, series.unit))
        word = _SHORT_WORDS.get(series.course or "", clean(series.course or ""))
        row.append(Text(word, style=_STYLES.get(series.course or "", "")))
        table.add_row(*row)
    return table


def _value(value: float | None, unit: str) -> Text:
    if value is None:
        return Text("")
    if unit == "bytes":
        return Text(bytes_short(round(value)))
    digits = f"{value:,.1f}" if abs(value) < 100 and not float(value).is_integer() else count_text(round(value))
    if unit == "per second" and abs(value) >= _LONG:
        digits = f"{value / 1e6:,.1f} M"
    return Text(digits + (" %" if unit == "percent" else "/s" if unit == "per second" else ""))


def _finding(finding: ReportFinding, console: Console) -> None:
    word = verdict_word(finding.verdict)
    head = Text.assemble((f"{word}: ", "bold" if finding.holds else "dim"), clean(finding.headline))
    head.append(f"  [{finding.pattern}, {finding.confidence.value} confidence]", style="dim")
    console.print(head)
    if finding.trend is not None:
        console.print(Text("  " + trend_text(finding.trend)))
    for reason in finding.because[1:4]:
        console.print(Text("  - " + short(reason.says, 400), style="dim"))
    for step in finding.next_steps[:2] if finding.holds else ():
        console.print(Text("  next: " + short(step, 400)))
