"""The comparison as Markdown for a ticket: text of a file is text there, never markup, link or mention."""

from collections.abc import Sequence

from poolsleuth.model.comparison import Comparison, MachinePair, Status, TagChange
from poolsleuth.report.arrange import tag_text
from poolsleuth.report.comparison.view import (
    COUNTERS,
    FINDINGS,
    ONE_SIDED,
    PROBLEMS,
    SESSIONS,
    UNPAIRED,
    Selection,
    findings_shown,
)
from poolsleuth.report.comparison.words import (
    CAVEAT,
    anything_more,
    counter_text,
    finding_text,
    finding_title,
    headline,
    machine_text,
    one_sided_text,
    pair_title,
    per_hour,
    pool_details,
    pool_text,
    share_text,
    side_text,
    signed_bytes,
    signed_count,
    system_text,
    times_text,
)
from poolsleuth.report.markdown import cell, text_of
from poolsleuth.report.wording import bytes_text, count_text, percent_text, place_text, plural, short

PAIRS = 40
_INPUTS = 20


def render_markdown(comparison: Comparison, selection: Selection = Selection()) -> str:  # noqa: B008 - frozen
    """The whole document, ending in a line feed."""
    lines = ["# Kernel pools compared", ""]
    for title, inputs in (("Before", comparison.before.inputs), ("After", comparison.after.inputs)):
        more = f" and {plural(len(inputs) - _INPUTS, 'other')}" if len(inputs) > _INPUTS else ""
        lines.append(f"- **{title}:** {', '.join(text_of(i.name, 200) for i in inputs[:_INPUTS])}{more}")
    lines.append("")
    for pair in comparison.pairs[:PAIRS]:
        lines += _pair(pair, selection)
    if len(comparison.pairs) > PAIRS:
        lines += [f"*{plural(len(comparison.pairs) - PAIRS, 'machine')} more: the JSON document holds them.*", ""]
    for title, machines in (("BEFORE", comparison.before.unpaired), ("AFTER", comparison.after.unpaired)):
        if machines:
            more = f" and {plural(len(machines) - UNPAIRED, 'other')}" if len(machines) > UNPAIRED else ""
            names = ", ".join(text_of(machine_text(machine)) for machine in machines[:UNPAIRED])
            lines += [f"**Only in {title}:** {names}{more}", ""]
    lines += _problems(comparison)
    lines.append(f"*Written by poolsleuth {text_of(comparison.tool_version, 60)}.*")
    return "\n".join(lines) + "\n"


def _pair(pair: MachinePair, selection: Selection) -> list[str]:
    lines = [f"## {text_of(pair_title(pair))}", "", f"> {text_of(headline(pair))}", ""]
    lines += [f"- {text_of(text)}" for text in (f"Paired: {pair.paired_by}", *times_text(pair))]
    lines += [f"- {text_of(system_text(change))}" for change in pair.system]
    lines += [f"- **{text_of(note)}**" for note in pair.notes]
    lines += ["", *_pools(pair, selection), *_tags(pair, selection)]
    changes = findings_shown(pair)
    if changes:
        lines += ["### Findings", ""]
        lines += [f"- **{finding_title(c, pair)}:** {text_of(finding_text(c))}" for c in changes[:FINDINGS]]
        lines += [f"- and {count_text(len(changes) - FINDINGS)} more"] if len(changes) > FINDINGS else []
        lines.append("")
    counters = [counter for counter in pair.counters if counter.before != counter.after]
    if counters:
        lines += ["### Counters, the last sample of each side", ""]
        lines += [f"- {text_of(counter_text(counter))}" for counter in counters[:COUNTERS]]
        lines += [f"- and {count_text(len(counters) - COUNTERS)} more"] if len(counters) > COUNTERS else []
        lines.append("")
    if anything_more(pair) and pair.over_time:
        lines += [f"*{text_of(CAVEAT)}*", ""]
    return lines


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cell or ' ' for cell in cells)} |"


def _pools(pair: MachinePair, selection: Selection) -> list[str]:
    pools = selection.pools(pair)
    shown = [p for p in pools if p.pool != "session"] + [p for p in pools if p.pool == "session"][:SESSIONS]
    if not shown:
        return []
    lines = [
        "### Pools",
        "",
        "| Pool | Before | After | Change | Of limit | Per hour |",
        "|---|---:|---:|---:|---:|---:|",
    ]
    for pool in shown:
        ends = [
            percent_text(used, limit) or "?"
            for used, limit in ((pool.used.before, pool.limit.before), (pool.used.after, pool.limit.after))
        ]
        of_limit = " to ".join(ends) if ends != ["?", "?"] else ""
        amount = pool.amount
        sides = [bytes_text(n) if n is not None else "?" for n in (amount.before, amount.after)]
        lines.append(
            _row(
                (
                    cell(pool_text(pool), 60),
                    *sides,
                    signed_bytes(amount.change),
                    of_limit,
                    per_hour(pool.bytes_per_hour),
                )
            )
        )
    lines.append("")
    details = [f"- {text_of(pool_text(pool), 60)}: {text_of(text)}" for pool in shown for text in pool_details(pool)]
    return [*lines, *details, ""] if details else lines


def _tags(pair: MachinePair, selection: Selection) -> list[str]:
    moved = selection.moved(pair)
    shown = moved[: selection.top]
    lines: list[str] = []
    if shown:
        lines += ["### Tags that changed", ""]
        lines += ["| Tag | Pool | Before | After | Change | Blocks | Allocations | Of pool | Per hour | Owner |"]
        lines += ["|---|---|---:|---:|---:|---:|---:|---:|---:|---|"]
        lines += [_tag(tag) for tag in shown]
        left = len(moved) - len(shown)
        lines += ["", *([f"*{plural(left, 'smaller change')} left out.*", ""] if left else [])]
    for status, own in ((Status.NOT_SHOWN_BEFORE, "AFTER"), (Status.NOT_SHOWN_AFTER, "BEFORE")):
        tags = selection.one_sided(pair, status)
        if tags:
            named = ", ".join(text_of(one_sided_text(tag)) for tag in tags[:ONE_SIDED])
            more = f" and {count_text(len(tags) - ONE_SIDED)} more" if len(tags) > ONE_SIDED else ""
            lines += [f"**Shown in {own} only** (the other table is not known to be complete): {named}{more}", ""]
    return lines


def _tag(tag: TagChange) -> str:
    owner = " - ".join(short(words, 200) for words in (tag.driver, tag.description) if words)
    return _row(
        (
            cell(tag_text(tag.tag, 40)),
            cell(tag.pool if tag.session is None else pool_text(tag), 20),
            side_text(tag.bytes.before, tag.status, before=True),
            side_text(tag.bytes.after, tag.status, before=False),
            "?" if tag.bytes.change is None else signed_bytes(tag.bytes.change),
            "?" if tag.outstanding.change is None else signed_count(tag.outstanding.change),
            "" if tag.allocations is None else count_text(tag.allocations),
            share_text(tag.share),
            per_hour(tag.bytes_per_hour),
            cell(owner),
        )
    )


def _problems(comparison: Comparison) -> list[str]:
    lines = []
    for title, side in (("BEFORE", comparison.before), ("AFTER", comparison.after)):
        for problem in side.problems[:PROBLEMS]:
            place = place_text(problem, side.inputs)
            at = f"{text_of(place)}: " if place else ""
            lines.append(f"- {title}: {at}{text_of(problem.says)}")
        if len(side.problems) > PROBLEMS:
            lines.append(f"- {title}: and {count_text(len(side.problems) - PROBLEMS)} more")
    return ["## Problems with the input", "", *lines, ""] if lines else []
