"""The report as Markdown for a ticket: whatever stands in a file is text there, never markup, link or mention."""

import re
from collections.abc import Sequence

from poolsleuth.model.finding import Verdict
from poolsleuth.model.report import Report, ReportFinding, ReportMachine, ReportReason
from poolsleuth.report.arrange import (
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
from poolsleuth.report.drivers import drivers_line
from poolsleuth.report.wording import (
    bytes_short,
    bytes_text,
    count_text,
    place_text,
    plural,
    session_text,
    short,
    step_parts,
    subject_text,
    trend_text,
    verdict_word,
)

TAG_ROWS = 20
TEXT = 1_500  # characters of one sentence
MACHINES = 40
FINDINGS = 40
SESSIONS = 20
PROBLEMS = 50

# A word that a ticket system would make a link, a mention or a reference to another ticket.
_LIVE_WORD = re.compile(r"@|://|\bwww\.|\bmailto:|(?:#|\bGH-)\d", re.IGNORECASE)
_LIST_BEGINNING = re.compile(r"^(\d*)([-+=.)])(?=[\s=-]|$)")
_MARKS = re.compile(r"[\\`*\[\]{}|~#$^]|(?<![^\W_])_|_(?![^\W_])")
_ENTITIES = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}


def render_markdown(report: Report) -> str:
    """The whole document, ending in a line feed."""
    lines = ["# Kernel pool diagnosis", ""]
    if not report.machines:
        lines += ["Nothing can be said: no evidence of any machine was found in the input.", ""]
    for number, machine in enumerate(report.machines[:MACHINES], start=1):
        lines += _machine(report, machine, number)
    if len(report.machines) > MACHINES:
        left = plural(len(report.machines) - MACHINES, "machine")
        lines += [f"*{left} more: the JSON report holds them.*", ""]
    lines += _problems(report)
    lines += [f"*Written by poolsleuth {text_of(report.tool_version, 60)}.*"]
    return "\n".join(lines) + "\n"


# ---- text that cannot act --------------------------------------------------------------------------------------


def text_of(text: str, limit: int = TEXT) -> str:
    """Text from a file as text: every mark that Markdown or HTML would read is escaped, on one line."""
    words = short(text, limit).split()
    return _LIST_BEGINNING.sub(r"\1\\\2", " ".join(map(_word, words)))


def _word(word: str) -> str:
    # Backslashes do not stop a mention or a bare address from coming alive, a code span does.
    if not _LIVE_WORD.search(word):
        return _escape(word)
    # A pipe ends a table's cell even inside a code span, so it never stands in one.
    return "\\|".join(code(part) if part else "" for part in word.split("|"))


def _escape(text: str) -> str:
    text = "".join(_ENTITIES.get(c, c) for c in text)
    return _MARKS.sub(lambda mark: "\\" + mark.group(), text)


def code(text: str) -> str:
    """A code span that holds exactly this text, whatever backticks are in it."""
    longest = max((len(run) for run in re.findall("`+", text)), default=0)
    fence = "`" * (longest + 1)
    # A reader takes one blank away at both ends, unless there is nothing else; a backtick must not touch the fence.
    stripped = text.startswith(" ") and text.endswith(" ") and text.strip(" ")
    blank = " " if stripped or text.startswith("`") or text.endswith("`") else ""
    return f"{fence}{blank}{text}{blank}{fence}"


def cell(text: str, limit: int = 200) -> str:
    """Text in a table."""
    return text_of(text, limit) or " "


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


# ---- the parts -------------------------------------------------------------------------------------------------


def _machine(report: Report, machine: ReportMachine, number: int) -> list[str]:
    verdict = verdict_of(machine)
    judged = []
    if verdict.verdict:
        judged = [verdict_word(verdict.verdict), verdict.severity.value if verdict.severity else ""]
        judged.append(f"{verdict.confidence.value} confidence" if verdict.confidence else "")
    label = f"**{', '.join(word for word in judged if word).capitalize()}.** " if judged else ""
    lines = [f"## {text_of(machine_name(machine, number))}", "", f"> {label}{text_of(verdict.says)}", ""]
    lines += [text_of(", ".join(system_words(machine))) + ".", ""]
    check = bugcheck_text(machine)
    if check:
        lines += [f"Bug check: {text_of(check)}.", ""]
    lines += _pools(machine)
    drivers = drivers_line(machine.drivers)
    if drivers:
        lines += [f"{text_of(drivers)}.", ""]
    findings = findings_in_order(machine)
    holding = [finding for finding in findings if finding.holds]
    if holding:
        lines += ["### Findings", ""]
    for place, finding in enumerate(holding[:FINDINGS], start=1):
        lines += _finding(report, finding, place)
    if len(holding) > FINDINGS:
        lines += [f"*{plural(len(holding) - FINDINGS, 'finding')} more: the JSON report holds them.*", ""]
    for title, kind in (("Ruled out", Verdict.RULED_OUT), ("Not assessed", Verdict.NOT_ASSESSED)):
        names = pattern_counts(findings, kind)
        if names:
            lines += [f"**{title}:** {text_of(', '.join(names))}.", ""]
    return lines + _tags(machine)


def _pools(machine: ReportMachine) -> list[str]:
    rows = pool_rows(machine)
    lines = ["### Pools", "", "| Pool | Used | Limit | In use | Failed allocations |", "|---|---:|---:|---:|---:|"]
    for row in rows[: 2 + SESSIONS]:
        failures = failures_text(row.failures).partition(" failed")[0]
        lines.append(_row((row.name, bytes_text(row.used), bytes_text(row.limit), row.percent or " ", failures or " ")))
    left = len(rows) - 2 - SESSIONS
    if left > 0:
        lines += ["", f"*{plural(left, 'session')} less full: the JSON report holds them.*"]
    failed = unassigned_failures(machine)
    if failed:
        lines += ["", f"**{text_of(failed)}.**"]
    notes = [f"- {row.name}: {text_of('; '.join(row.notes))}" for row in rows if row.notes]
    return [*lines, "", *notes, *([""] if notes else [])]


def _finding(report: Report, finding: ReportFinding, place: int) -> list[str]:
    judged = f"{verdict_word(finding.verdict)}, {finding.severity.value}, {finding.confidence.value} confidence"
    lines = [f"#### {place}\\. {text_of(finding.headline)}", "", f"{judged} ({text_of(finding.pattern)})", ""]
    about = subject_text(finding.subject)
    if about:
        lines += [f"**About:** {text_of(about)}", ""]
    if finding.trend:
        lines += [f"**Growth:** {text_of(trend_text(finding.trend))}", ""]
    lines += _reasons(report, "Because", finding.because)
    lines += _reasons(report, "Against", finding.against)
    if finding.explains:
        lines += ["**Explains:**", "", *(f"- {text_of(text)}" for text in finding.explains), ""]
    if finding.next_steps:
        lines += ["**Next steps:**", "", *map(_step, finding.next_steps), ""]
    return lines


def _reasons(report: Report, title: str, reasons: Sequence[ReportReason]) -> list[str]:
    if not reasons:
        return []
    lines = [f"**{title}:**", ""]
    for reason in reasons:
        place = place_text(reason, report.inputs)
        lines.append(f"- {text_of(reason.says)}" + (f" ({text_of(place)})" if place else ""))
    return [*lines, ""]


def _step(step: str) -> str:
    line = "-"
    blank = True
    for part in step_parts(short(step, TEXT)):
        said = code(part.text) if part.command else text_of(part.text)
        # Two code spans that touch would be read as one.
        touching = line.endswith("`") and said.startswith("`")
        line += (" " if blank or touching or part.text.startswith(" ") else "") + said
        blank = part.text.endswith(" ")
    return line


def _tags(machine: ReportMachine) -> list[str]:
    if not machine.tags:
        return []
    shown = largest_tags(machine.tags, TAG_ROWS)
    lines = ["### Largest tags", ""]
    lines += ["| Tag | Pool | Session | Bytes | Size | Allocs | Frees | Diff | Driver and description |"]
    lines += ["|---|---|---:|---:|---:|---:|---:|---:|---|"]
    for tag in shown:
        numbers = [tag.bytes, None, tag.allocs, tag.frees, tag.outstanding]
        words = ["?" if n is None else count_text(n) for n in numbers]
        words[1] = "?" if tag.bytes is None else bytes_short(tag.bytes)
        session = session_text(tag.session) or " "
        lines.append(_row((cell(tag_text(tag.tag)), cell(tag.pool, 20), session, *words, cell(tag_notes(tag)))))
    left = len(machine.tags) - len(shown)
    if left:
        lines += ["", f"*{plural(left, 'smaller row')} left out.*"]
    return [*lines, ""]


def _problems(report: Report) -> list[str]:
    if not report.problems:
        return []
    lines = ["## Problems with the input", ""]
    for problem in report.problems[:PROBLEMS]:
        place = place_text(problem, report.inputs)
        lines.append(f"- {text_of(place)}: {text_of(problem.says)}" if place else f"- {text_of(problem.says)}")
    if len(report.problems) > PROBLEMS:
        lines.append(f"- and {count_text(len(report.problems) - PROBLEMS)} more")
    return [*lines, ""]
