"""The comparison on a terminal: what changed most first, then the pools, the tags, the findings."""

from collections.abc import Sequence

from rich import box
from rich.console import Console
from rich.panel import Panel
from rich.text import Text

from poolsleuth.model.comparison import Comparison, MachinePair, PoolChange, Status, TagChange
from poolsleuth.model.report import ReportInput
from poolsleuth.report.arrange import tag_text
from poolsleuth.report.comparison.view import (
    COUNTERS,
    FINDINGS,
    ONE_SIDED,
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
from poolsleuth.report.page import Column, Page
from poolsleuth.report.wording import count_text, percent_text, plural, short

_WIDE = 110  # columns from which rates and the drivers have room
_MEANS = 3  # tags whose growth is explained below the table
_INPUTS = 3


def render(comparison: Comparison, console: Console, selection: Selection = Selection()) -> None:  # noqa: B008 - frozen
    """Print the comparison. Text of the evidence is never read as markup."""
    page = Page(console)
    for side, inputs in (("Before", comparison.before.inputs), ("After", comparison.after.inputs)):
        page.line(_inputs(inputs), lead=f"{side}: ".ljust(8), style="dim")
    for pair in comparison.pairs:
        page.blank()
        _pair(page, pair, selection, several=len(comparison.pairs) > 1)
    for side, machines in (("BEFORE", comparison.before.unpaired), ("AFTER", comparison.after.unpaired)):
        if machines:
            page.blank()
            names = ", ".join(machine_text(machine) for machine in machines[:UNPAIRED])
            more = f" and {plural(len(machines) - UNPAIRED, 'other')}" if len(machines) > UNPAIRED else ""
            page.line(
                f"{names}{more} (compare it with a machine of your choice by --pair BEFORE=AFTER)",
                lead=f"Only in {side}: ",
            )


def _inputs(inputs: Sequence[ReportInput]) -> str:
    names = ", ".join(short(i.name, 200) for i in inputs[:_INPUTS])
    return names + (f" and {plural(len(inputs) - _INPUTS, 'other')}" if len(inputs) > _INPUTS else "")


def _pair(page: Page, pair: MachinePair, selection: Selection, *, several: bool) -> None:
    if several or pair.before.name or not pair.over_time:
        page.line(f"{pair_title(pair)} (paired: {pair.paired_by})", style="bold")
    for text in times_text(pair):
        page.line(text, style="dim", indent=2)
    _verdict(page, pair)
    for note in pair.notes:
        page.line(note, style="yellow", lead="! ", lead_style="yellow", indent=2)
    for change in pair.system:
        page.line(system_text(change), indent=2)
    _pools(page, pair, selection)
    _tags(page, pair, selection)
    _one_sided(page, pair, selection)
    _findings(page, pair)
    _counters(page, pair)
    if anything_more(pair) and pair.over_time:
        page.blank()
        page.line(CAVEAT, style="italic")


def _verdict(page: Page, pair: MachinePair) -> None:
    style = "yellow" if pair.notable else "green" if pair.comparable else "cyan"
    title = "CHANGED NOTABLY" if pair.notable else "NOTHING NOTABLE" if pair.comparable else "NOT COMPARABLE"
    page.console.print(
        Panel(
            Text(page.said(headline(pair)), style="bold"),
            title=Text(f" {title} ", style=style),
            title_align="left",
            border_style=style,
            box=box.ROUNDED if page.fancy else box.ASCII,
            padding=(0, 1),
        )
    )


# ---- pools -----------------------------------------------------------------------------------------------------


def _pools(page: Page, pair: MachinePair, selection: Selection) -> None:
    pools = selection.pools(pair)
    shown = [p for p in pools if p.pool != "session"] + [p for p in pools if p.pool == "session"][:SESSIONS]
    if not shown:
        return
    page.blank()
    columns = [
        Column("Pool", [pool_text(pool) for pool in shown]),
        Column("Before", [_end(pool, before=True) for pool in shown], right=True),
        Column("After", [_end(pool, before=False) for pool in shown], right=True),
        Column("Change", [signed_bytes(pool.amount.change) for pool in shown], right=True),
    ]
    if any(pool.limit.after or pool.limit.before for pool in shown):
        columns.append(Column("Of limit", [_of_limit(pool) for pool in shown], right=True))
    if any(pool.bytes_per_hour is not None for pool in shown):
        columns.append(Column("Per hour", [per_hour(pool.bytes_per_hour) for pool in shown], right=True))
    page.table(columns, [_style(pool) for pool in shown])
    if len(pools) > len(shown):
        page.line(f"and {plural(len(pools) - len(shown), 'session')} that changed less", indent=2)
    for pool in shown:
        for text in pool_details(pool):
            page.line(text, indent=2, lead=f"{pool_text(pool)}: ", lead_style="dim")


def _end(pool: PoolChange, *, before: bool) -> str:
    return side_text(pool.amount.before if before else pool.amount.after, pool.status, before=before)


def _of_limit(pool: PoolChange) -> str:
    ends = [
        percent_text(used, limit)
        for used, limit in ((pool.used.before, pool.limit.before), (pool.used.after, pool.limit.after))
    ]
    return " -> ".join(end or "?" for end in ends) if any(ends) else ""


def _style(change: PoolChange | TagChange) -> str:
    return "bold red" if change.notable else "green" if change.status.less else ""


# ---- tags ------------------------------------------------------------------------------------------------------


def _tags(page: Page, pair: MachinePair, selection: Selection) -> None:
    moved = selection.moved(pair)
    shown = moved[: selection.top]
    if not shown:
        if any(tag.status is Status.SAME for tag in pair.tags if selection.keeps(tag)):
            page.blank()
            page.line("No tag changed." if selection.least is None else "No tag changed by so much.", indent=2)
        return
    page.blank()
    page.line(f"Tags that changed ({count_text(len(moved))}), the largest change first:", style="bold")
    wide = page.width >= _WIDE
    columns = [
        Column("Tag", [page.said(tag_text(tag.tag, 12)) for tag in shown]),
        Column("Pool", [page.said(tag.pool if tag.session is None else pool_text(tag), 14) for tag in shown]),
        Column("Before", [side_text(tag.bytes.before, tag.status, before=True) for tag in shown], right=True),
        Column("After", [side_text(tag.bytes.after, tag.status, before=False) for tag in shown], right=True),
        Column("Change", [_change(tag) for tag in shown], right=True),
    ]
    blocks = [("" if tag.outstanding.change is None else signed_count(tag.outstanding.change)) for tag in shown]
    shares = [share_text(tag.share) for tag in shown]
    columns += [Column("Blocks", blocks, right=True)] if any(blocks) else []
    columns += [Column("Of pool", shares, right=True)] if any(shares) else []
    if wide:
        rates = [per_hour(tag.bytes_per_hour) for tag in shown]
        times = ["" if tag.allocations is None else count_text(tag.allocations) for tag in shown]
        columns += [Column("Per hour", rates, right=True)] if any(rates) else []
        columns += [Column("Allocations", times, right=True)] if any(times) else []
        room = page.width - 2 - sum(column.width + 2 for column in columns)
        texts = [page.said(_owner(tag), max(20, room)) for tag in shown]
        columns += [Column("Driver, description", texts)] if any(texts) and room >= 20 else []
    page.table(columns, [_style(tag) for tag in shown])
    if len(moved) > len(shown):
        page.line(f"and {plural(len(moved) - len(shown), 'tag')} more (--top shows them)", indent=2)
    for tag in [tag for tag in shown if tag.notable and tag.means][:_MEANS]:
        page.line(f"{tag.means}", indent=2, lead=f"{page.said(tag_text(tag.tag, 12))}: ")


def _change(tag: TagChange) -> str:
    return "?" if tag.bytes.change is None else signed_bytes(tag.bytes.change)


def _owner(tag: TagChange) -> str:
    return " - ".join(short(words, 200) for words in (tag.driver, tag.description) if words)


def _one_sided(page: Page, pair: MachinePair, selection: Selection) -> None:
    for status, own, other in (
        (Status.NOT_SHOWN_BEFORE, "AFTER", "BEFORE"),
        (Status.NOT_SHOWN_AFTER, "BEFORE", "AFTER"),
    ):
        tags = selection.one_sided(pair, status)
        if not tags:
            continue
        named = ", ".join(one_sided_text(tag) for tag in tags[:ONE_SIDED])
        more = f" and {count_text(len(tags) - ONE_SIDED)} more" if len(tags) > ONE_SIDED else ""
        page.line(f"{named}{more}", indent=2, lead=f"Shown in {own} only, not known in {other}: ")


# ---- the rest --------------------------------------------------------------------------------------------------


def _findings(page: Page, pair: MachinePair) -> None:
    changes = findings_shown(pair)
    if not changes:
        return
    page.blank()
    page.line("Findings:", style="bold")
    for change in changes[:FINDINGS]:
        style = "red" if change.notable else ""
        page.line(finding_text(change), indent=2, lead=f"{finding_title(change, pair)}: ", style=style)
    if len(changes) > FINDINGS:
        page.line(f"and {count_text(len(changes) - FINDINGS)} more (--json holds them)", indent=2)


def _counters(page: Page, pair: MachinePair) -> None:
    changed = [counter for counter in pair.counters if counter.before != counter.after]
    if not changed:
        return
    page.blank()
    page.line("Counters, the last sample of each side:", style="bold")
    for counter in changed[:COUNTERS]:
        page.line(counter_text(counter), indent=2)
    if len(changed) > COUNTERS:
        page.line(f"and {count_text(len(changed) - COUNTERS)} more (--json holds them)", indent=2)
