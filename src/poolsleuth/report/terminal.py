"""The report on a terminal: the verdict first, then the pools, then what to do; ``-v`` and ``-vv`` show more of it."""

from collections.abc import Sequence
from typing import NamedTuple

from rich import box
from rich.cells import cell_len
from rich.console import Console
from rich.panel import Panel
from rich.text import Text

from poolsleuth.model.finding import Severity, Verdict
from poolsleuth.model.report import Report, ReportFinding, ReportMachine, ReportReason
from poolsleuth.report.arrange import (
    MachineVerdict,
    PoolRow,
    bugcheck_text,
    failures_text,
    findings_in_order,
    largest_tags,
    machine_name,
    pattern_counts,
    pool_rows,
    system_words,
    tag_notes,
    tag_text,
    unassigned_failures,
    verdict_of,
)
from poolsleuth.report.drivers import UNLOADED_ROWS, drivers_in_order, drivers_line, unloaded_texts, version_text
from poolsleuth.report.page import Column, Page
from poolsleuth.report.wording import (
    bytes_short,
    count_text,
    place_text,
    plural,
    session_text,
    step_parts,
    subject_text,
    trend_text,
    verdict_word,
)

TAG_ROWS = 40
DRIVER_ROWS = 300  # a server has 150 to 250; what is cut are Windows' own
SESSIONS = 8  # bars at the usual verbosity; a terminal server has hundreds of sessions
PROBLEMS = 50

_COLOURS = {Severity.CRITICAL: "bold red", Severity.WARNING: "yellow", Severity.INFO: "cyan"}


def render(report: Report, console: Console, *, verbosity: int = 0, problems: bool = True) -> None:
    """Print the report. ``verbosity`` 1 adds the evidence, 2 adds everything else the report knows.

    ``problems`` False leaves out the problems with the input, for a caller that has shown them already.

    Text of the report is never read as markup, and a character that the console cannot encode is escaped.
    """
    page = _Page(console, report, verbosity)
    if not report.machines:
        page.line("Nothing can be said: no evidence of any machine was found in the input.", style="bold")
    for number, machine in enumerate(report.machines, start=1):
        if number > 1:
            page.blank()
        page.machine(machine, number)
    if problems:
        page.problems()


class _Run(NamedTuple):
    """Words in one style; a ``whole`` run is never broken, so that a command stays in one piece."""

    text: str
    style: str = ""
    whole: bool = False


class _Page(Page):
    """One printing of one report: the console, and the words that it can show."""

    def __init__(self, console: Console, report: Report, verbosity: int) -> None:
        super().__init__(console)
        self.report = report
        self.verbosity = verbosity

    # ---- the small parts ----

    def line(self, text: str, *, style: str = "", indent: int = 0, lead: str = "", lead_style: str = "") -> None:
        """A paragraph, broken at blanks only, with ``lead`` in front and the other lines under its text."""
        self.words([_Run(self.said(text), style)], indent=indent, lead=lead, lead_style=lead_style)

    def words(self, runs: Sequence[_Run], *, indent: int = 0, lead: str = "", lead_style: str = "") -> None:
        """A paragraph of several styles."""
        row = Text(" " * indent).append(lead, lead_style)
        hang = cell_len(row.plain)
        if hang > self.console.width // 3:  # a long lead takes no room from the lines below it
            hang = indent + 2
        begin = len(row.plain)
        for run in runs:
            for number, piece in enumerate([run.text] if run.whole else run.text.split(" ")):
                if number and len(row.plain) > begin:
                    row.append(" ")
                full = cell_len(row.plain) + cell_len(piece) > self.console.width
                # A word that is too long for any line is left to the terminal, which loses nothing when it wraps.
                if full and len(row.plain) > begin and row.plain.endswith(" "):
                    self.print(row)
                    row = Text(" " * hang)
                    begin = hang
                row.append(piece, run.style)
        self.print(row)

    # ---- one machine ----

    def machine(self, machine: ReportMachine, number: int) -> None:
        name = self.said(machine_name(machine, number))
        rest = self.console.width - cell_len(name) - 1
        if len(self.report.machines) > 1 and rest > 0:
            self.print(Text(name + " ", style="bold").append(("─" if self.fancy else "-") * rest, "dim"))
        else:
            self.line(name, style="bold")
        self.line(", ".join(system_words(machine)), style="dim", indent=2)
        check = bugcheck_text(machine)
        if check:
            self.line(f"Bug check {check}", indent=2)
        self.verdict(verdict_of(machine))
        self.pools(machine)
        drivers = drivers_line(machine.drivers)
        if drivers:
            self.line(drivers, indent=2)
        findings = findings_in_order(machine)
        holding = [finding for finding in findings if finding.holds]
        for place, finding in enumerate(holding, start=1):
            self.blank()
            self.finding(finding, place)
        self.the_rest(findings)
        if self.verbosity >= 2:
            self.tags(machine)
            self.drivers(machine)
            self.basis(machine)

    def verdict(self, verdict: MachineVerdict) -> None:
        # What could not be judged must not look like health, neither by its word nor by its colour
        style = _COLOURS[verdict.severity] if verdict.severity else "green" if verdict.judged else "yellow"
        title = "nothing found" if verdict.judged else "not judged"
        if verdict.verdict is not None:
            title = verdict_word(verdict.verdict)
            title += f", {verdict.severity.value}" if verdict.severity else ""
            title += f", {verdict.confidence.value} confidence" if verdict.confidence else ""
        self.console.print(
            Panel(
                Text(self.said(verdict.says), style="bold"),
                title=Text(f" {title.upper()} ", style=style),
                title_align="left",
                border_style=style,
                box=box.ROUNDED if self.fancy else box.ASCII,
                padding=(0, 1),
            )
        )

    def pools(self, machine: ReportMachine) -> None:
        rows = pool_rows(machine)
        shown = rows if self.verbosity >= 2 else rows[: 2 + SESSIONS]
        name_room = max(len(row.name) for row in shown)
        longest = max(len(row.figures) for row in shown)
        bar_room = min(40, max(10, self.console.width - name_room - longest - 15))
        for row in shown:
            self.pool(row, name_room, bar_room)
            for note in row.notes if self.verbosity >= 1 else ():
                self.line(note, style="dim", indent=name_room + 4)
        if len(rows) > len(shown):
            self.line(f"and {plural(len(rows) - len(shown), 'session')} less full (-vv lists them)", indent=2)
        failed = unassigned_failures(machine)
        if failed:
            self.line(failed, style="red", indent=2)

    def pool(self, row: PoolRow, name_room: int, bar_room: int) -> None:
        colour = _COLOURS[row.severity] if row.severity else "blue"
        full, empty = ("█", "░") if self.fancy else ("#", "-")
        text = Text("  " + row.name.ljust(name_room + 2))
        if row.share is not None:
            # Any use shows one cell, and only a full pool fills the bar.
            cells = 0 if row.share == 0 else max(1, int(row.share * bar_room))
            text.append(full * cells, colour)
            text.append(empty * (bar_room - cells), "dim")
            text.append(row.percent.rjust(9) + "  ", "bold" if row.severity else "")
        text.append(row.figures)
        failures = failures_text(row.failures)
        fits = cell_len(text.plain) + len(failures) + 2 <= self.console.width
        if failures and fits:
            text.append(", ").append(failures, "red")
        self.print(text)
        if failures and not fits:
            self.line(failures, style="red", indent=name_room + 4)

    def finding(self, finding: ReportFinding, place: int) -> None:
        lead = f"{place}. "
        indent = len(lead)
        self.line(finding.headline, style="bold", lead=lead, lead_style="bold")
        judged = f", {finding.severity.value}, {finding.confidence.value} confidence [{self.said(finding.pattern)}]"
        runs = [_Run(verdict_word(finding.verdict), _COLOURS[finding.severity]), _Run(judged, "dim")]
        self.words(runs, indent=indent)
        if finding.trend is not None:
            self.line(trend_text(finding.trend), indent=indent, lead="Growth: ", lead_style="bold")
        for number, text in enumerate(finding.explains):
            self.line(text, indent=indent, lead=" " * 10 if number else "Explains: ", lead_style="bold")
        if self.verbosity >= 1:
            about = subject_text(finding.subject)
            if about:
                self.line(about, indent=indent, lead="About: ", lead_style="bold")
            self.reasons("Because", finding.because, indent)
            self.reasons("Against", finding.against, indent)
        self.steps(finding.next_steps, indent)

    def reasons(self, title: str, reasons: Sequence[ReportReason], indent: int) -> None:
        if not reasons:
            return
        self.line(f"{title}:", style="bold", indent=indent)
        for reason in reasons:
            runs = [_Run(self.said(reason.says))]
            place = place_text(reason, self.report.inputs)
            if place:
                runs.append(_Run(f" ({self.said(place)})", "dim"))
            self.words(runs, indent=indent, lead="- ")

    def steps(self, steps: Sequence[str], indent: int) -> None:
        if steps:
            self.line("Next:", style="bold", indent=indent)
        for step in steps:
            quote = "`" if "`" in step else ""
            runs = []
            for part in step_parts(step):
                text = part.text.encode(self.encoding, "backslashreplace").decode(self.encoding)
                runs.append(_Run(quote + text + quote, "bold cyan", whole=True) if part.command else _Run(text))
            self.words(runs, indent=indent, lead="> ", lead_style="cyan")

    def the_rest(self, findings: Sequence[ReportFinding]) -> None:
        """What was ruled out and what the evidence cannot answer: names, headlines or everything."""
        if any(not finding.holds for finding in findings):
            self.blank()
        for title, verdict, level in (
            ("Ruled out", Verdict.RULED_OUT, 1),
            ("Not assessed", Verdict.NOT_ASSESSED, 2),
        ):
            here = [finding for finding in findings if finding.verdict is verdict]
            if not here:
                continue
            if self.verbosity < level:
                names = ", ".join(pattern_counts(findings, verdict))
                hint = f" (run with -{'v' * level} for the reasons)"
                self.line(f"{names}{hint}", indent=0, lead=f"{title}: ", lead_style="bold")
                continue
            self.line(f"{title}:", style="bold")
            for finding in here:
                self.line(finding.headline, indent=2, lead=f"{self.said(finding.pattern)}: ", lead_style="dim")
                if self.verbosity >= 2:
                    self.reasons("Because", finding.because, 4)
                    self.reasons("Against", finding.against, 4)
                    self.steps(finding.next_steps, 4)

    def tags(self, machine: ReportMachine) -> None:
        if not machine.tags:
            return
        shown = largest_tags(machine.tags, TAG_ROWS)
        self.blank()
        self.line("Largest tags:", style="bold")
        columns = [Column("Tag", [self.said(tag_text(tag.tag, 12)) for tag in shown])]
        columns.append(Column("Pool", [self.said(tag.pool, 12) for tag in shown]))
        if any(tag.session is not None for tag in shown):
            columns.append(Column("Session", [session_text(tag.session) for tag in shown], right=True))
        columns += [
            Column(title, ["?" if n is None else count_text(n) for n in numbers], right=True)
            for title, numbers in (
                ("Allocs", [tag.allocs for tag in shown]),
                # A narrow screen has no room for a figure that the two beside it give.
                ("Frees", [tag.frees if self.console.width >= 100 else None for tag in shown]),
                ("Diff", [tag.outstanding for tag in shown]),
                ("Bytes", [tag.bytes for tag in shown]),
            )
            if any(n is not None for n in numbers)
        ]
        room = max(19, self.console.width - 2 - sum(column.width + 2 for column in columns))
        columns.append(Column("Driver, description", [self.said(tag_notes(tag), room) for tag in shown]))
        self.table(columns, [""] * len(shown))
        left = len(machine.tags) - len(shown)
        if left:
            self.line(f"and {plural(left, 'more row')}: `poolsleuth tags` lists them all", indent=2)

    def drivers(self, machine: ReportMachine) -> None:
        """The loaded drivers, third-party ones first, and the unloaded ones."""
        shown = drivers_in_order(machine.drivers.loaded, DRIVER_ROWS)
        if shown:
            self.blank()
            ordered = ", those of third parties first" if any(driver.company for driver in shown) else ""
            self.line(f"Loaded drivers{ordered}:", style="bold")
            columns = [
                Column("Driver", [self.said(driver.name, 28) for driver in shown]),
                Column("Base", [self.said(driver.base or "?", 18) for driver in shown]),
            ]
            if self.console.width >= 100:  # a narrow screen has no room for company and version otherwise
                sizes = ["?" if driver.size is None else bytes_short(driver.size) for driver in shown]
                columns.append(Column("Size", sizes, right=True))
            room = max(19, self.console.width - 2 - sum(column.width + 2 for column in columns))
            words = [" - ".join(filter(None, (d.company, version_text(d, room, remarks=False)))) for d in shown]
            columns.append(Column("Company, version", [self.said(text, room) for text in words]))
            self.table(columns, [""] * len(shown))
        left = len(machine.drivers.loaded) - len(shown)
        if left:
            self.line(f"and {plural(left, 'more driver')}: the JSON report holds them", indent=2)
        gone = unloaded_texts(machine.drivers.unloaded, UNLOADED_ROWS)
        if gone:
            self.blank()
            self.line("Unloaded drivers:", style="bold")
        for text in gone:
            self.line(text, indent=2, lead="- ")
        left = len(machine.drivers.unloaded) - len(gone)
        if left:
            self.line(f"and {plural(left, 'more driver')}: the JSON report holds them", indent=2)

    def basis(self, machine: ReportMachine) -> None:
        if not machine.system.basis:
            return
        self.blank()
        self.line("How the machine was identified:", style="bold")
        for text in machine.system.basis:
            self.line(text, indent=2, lead="- ")

    def problems(self) -> None:
        problems = self.report.problems
        if not problems:
            return
        self.blank()
        self.line(f"{plural(len(problems), 'problem')} with the input:", style="bold yellow")
        shown = problems if self.verbosity >= 2 else problems[:PROBLEMS]
        for problem in shown:
            place = place_text(problem, self.report.inputs)
            runs = [_Run(f"{self.said(place)}: ", "dim")] if place else []
            self.words([*runs, _Run(self.said(problem.says))], indent=2, lead="- ")
        if len(shown) < len(problems):
            self.line(f"and {count_text(len(problems) - len(shown))} more (-vv lists them)", indent=2)
