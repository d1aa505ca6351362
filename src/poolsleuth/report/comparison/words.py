"""The sentences and figures that every output of a comparison shares."""

from poolsleuth.model.comparison import (
    Amount,
    ComparedMachine,
    CounterChange,
    FindingChange,
    FindingStatus,
    MachinePair,
    PoolChange,
    Status,
    SystemChange,
    TagChange,
)
from poolsleuth.report.arrange import tag_text
from poolsleuth.report.wording import (
    UNKNOWN,
    bytes_short,
    count_text,
    duration_text,
    percent_text,
    pool_name,
    session_text,
    short,
    time_text,
    verdict_word,
)

TEXT = 400  # longest name shown of anything
CAVEAT = (
    "Two captures cannot tell a leak from load: a leak never comes down, load does. Take a third hours later, or record"
    " the pools for a day (`poolsleuth collect` writes the commands)."
)

_FINDING_TITLES = {
    FindingStatus.NEW: "New",
    FindingStatus.WORSE: "Worse",
    FindingStatus.MILDER: "Milder",
    FindingStatus.GONE: "Gone",
    FindingStatus.SAME: "As before",
    FindingStatus.ONLY_BEFORE: "In BEFORE (not judged in AFTER)",
    FindingStatus.ONLY_AFTER: "In AFTER (not judged in BEFORE)",
}
_BETWEEN_MACHINES = {
    FindingStatus.NEW: "In AFTER only",
    FindingStatus.WORSE: "Worse in AFTER",
    FindingStatus.MILDER: "Milder in AFTER",
    FindingStatus.GONE: "In BEFORE only",
}

_SYSTEM_NAMES = {
    "name": "Name",
    "os": "Windows",
    "build": "Build",
    "architecture": "Architecture",
    "pae": "PAE",
    "three_gb": "/3GB",
    "physical_bytes": "Memory",
    "bugcheck": "Bug check",
}
_LARGEST_SHARE = 10  # more than ten times the pool's change says nothing


# ---- figures ---------------------------------------------------------------------------------------------------


def signed_bytes(change: int | None) -> str:
    """``+16.0 MB``, ``-4.0 KB``, ``0``, ``not known``."""
    if change is None:
        return UNKNOWN
    return "0" if change == 0 else ("+" if change > 0 else "") + bytes_short(change)


def signed_count(change: int | None) -> str:
    """``+26,972``."""
    if change is None:
        return UNKNOWN
    return ("+" if change > 0 else "") + count_text(change)


def share_text(share: float | None) -> str:
    """``93 %`` of the pool's change; empty when there is none to speak of."""
    if share is None or abs(share) > _LARGEST_SHARE:
        return ""
    percent = round(share * 100)
    return "<1 %" if percent == 0 and share > 0 else f"{percent} %"


def per_hour(rate: float | None) -> str:
    """``+228.2 KB/h``; empty when there is no rate."""
    return "" if rate is None else f"{signed_bytes(round(rate))}/h"


def side_text(value: int | None, status: Status, *, before: bool) -> str:
    """A figure of one side of a tag or session: ``none`` where it is proven that there is nothing."""
    if status is (Status.NOT_SHOWN_BEFORE if before else Status.NOT_SHOWN_AFTER):
        return "not shown"
    return "?" if value is None else "none" if value == 0 else bytes_short(value)


def machine_text(machine: ComparedMachine) -> str:
    """The name, or the number of a machine without one."""
    return short(machine.name, TEXT) if machine.name else f"machine {machine.number}"


def pool_text(pool: PoolChange | TagChange) -> str:
    """``nonpaged pool``, ``session 9``."""
    return f"session {session_text(pool.session)}" if pool.session is not None else pool_name(pool.pool)


# ---- the verdict -----------------------------------------------------------------------------------------------


def headline(pair: MachinePair) -> str:
    """One sentence: what grew most of what is notable, else that nothing did."""
    finding = next((finding for finding in pair.findings if finding.notable), None)
    if finding is not None and not pair.over_time:
        # Between two machines the sizes differ anyway: what one of them suffers from says more
        return f"{finding_title(finding, pair)}: {finding_text(finding)}"
    notable_pools = [pool for pool in pair.pools if pool.notable]
    if notable_pools:
        return _pool_headline(max(notable_pools, key=lambda p: p.amount.change or 0), pair)
    tag = next((tag for tag in pair.tags if tag.notable), None)
    if tag is not None:
        return _tag_headline(tag, pair)
    if finding is not None:
        return f"{finding_title(finding, pair)}: {finding_text(finding)}"
    if not pair.comparable:
        return "Nothing can be compared: the two sides have no figure in common."
    least = min(pair.pools, key=lambda p: p.amount.change or 0, default=None)
    if unchanged(pair):
        return "Nothing changed."
    if least is not None and (least.amount.change or 0) < 0:
        verb = "shrank by" if pair.over_time else "is smaller by"
        return f"Nothing grew notably; {pool_text(least)} {verb} {bytes_short(-(least.amount.change or 0))}."
    return "Nothing grew notably." if pair.over_time else "Nothing is notably larger in AFTER."


def _pool_headline(pool: PoolChange, pair: MachinePair) -> str:
    name = pool_text(pool)
    text = f"{name[0].upper()}{name[1:]} {_grew(pool.amount, pair)}"
    if pool.explained_by:
        text += f": {explained_text(pool)}"
    return f"{text}."


def _tag_headline(tag: TagChange, pair: MachinePair) -> str:
    blocks = tag.outstanding.change
    more = f" ({signed_count(blocks)} blocks)" if blocks else ""
    if tag.bytes.change:
        return f"Tag {short(tag.tag, 12)} in {pool_text(tag)} {_grew(tag.bytes, pair)}{more}."
    verb = "grew" if pair.over_time else "is larger in AFTER"
    return f"Tag {short(tag.tag, 12)} in {pool_text(tag)} {verb}{more}."


def _grew(amount: Amount, pair: MachinePair) -> str:
    change = amount.change or 0
    text = f"grew by {bytes_short(change)}" if pair.over_time else f"is {bytes_short(change)} larger in AFTER"
    part = percent_text(change, amount.before)
    text += f" ({part})" if part and change <= _LARGEST_SHARE * (amount.before or 0) else ""
    if pair.over_time and pair.span.seconds is not None and pair.span.seconds > 0:
        text += f" in {duration_text(pair.span.seconds)}"
        if pair.span.hours is not None:
            text += f", {bytes_short(round(change / pair.span.hours))} per hour" if _sane(change) else ""
    return text


def _sane(change: int) -> bool:
    return abs(change) < 1 << 100


def explained_text(pool: PoolChange) -> str:
    """``MmSt explains 93 % (+700.0 MB), Ntff 4 % (+30.0 MB)``."""
    parts = []
    for number, part in enumerate(pool.explained_by):
        said = share_text(part.share) if part.share <= 1 else "more than all of it"
        verb = "explains " if number == 0 else ""
        parts.append(f"{short(part.tag, 12)} {verb}{said or 'more than all of it'} ({signed_bytes(part.bytes)})")
    return ", ".join(parts)


def pool_details(pool: PoolChange) -> list[str]:
    """What explains the change of one pool, one sentence each."""
    change = pool.amount.change
    lines = []
    if pool.explained_by:
        lines.append(f"{explained_text(pool)} of the change")
    rest = pool.unexplained_bytes
    if rest and change and pool.explained_by:
        whose = "no tag accounts for" if pool.unexplained_exact else "tags shown on both sides do not account for"
        lines.append(f"{whose} {signed_bytes(rest)}")
    if pool.basis == "tagged":
        lines.append("the usage is not known on both sides: this is what tags account for")
    if pool.failures.change:
        lines.append(f"failed allocations: {signed_count(pool.failures.change)}")
    if pool.limit.change:
        lines.append(f"limit: {bytes_short(pool.limit.before)} before, {bytes_short(pool.limit.after)} after")
    return lines


def unchanged(pair: MachinePair) -> bool:
    """True when every figure that both sides have is the same, and neither shows more than the other."""
    return (
        pair.comparable
        and all(p.status is Status.SAME or (p.used == Amount() and p.tagged == Amount()) for p in pair.pools)
        and all(tag.status in (Status.SAME, Status.UNKNOWN) for tag in pair.tags)
        and all(f.status is FindingStatus.SAME for f in pair.findings)
        and all(c.before == c.after for c in pair.counters)
    )


def anything_more(pair: MachinePair) -> bool:
    """True when any figure is larger than before: then two captures need their caveat."""
    return any(pool.status.more for pool in pair.pools) or any(tag.status.more for tag in pair.tags)


# ---- the rest --------------------------------------------------------------------------------------------------


def times_text(pair: MachinePair) -> list[str]:
    """When each side was captured, and the time between."""
    span = pair.span
    lines = []
    for title, at, up in (
        ("Before", span.before_at, span.before_uptime),
        ("After", span.after_at, span.after_uptime),
    ):
        known = [f"captured {time_text(at)}" if at else "", f"up {duration_text(up)}" if up is not None else ""]
        said = ", ".join(word for word in known if word)
        if said:
            lines.append(f"{title}: {said}")
    if span.seconds is not None and span.seconds > 0:
        restarted = {True: ", restarted in between", False: ", not restarted", None: ""}[span.rebooted]
        lines.append(f"Between: {duration_text(span.seconds)}{restarted}")
    return lines


def system_text(change: SystemChange) -> str:
    """``Memory: 4.0 GB before, 8.0 GB after``."""
    return f"{_SYSTEM_NAMES.get(change.what, change.what)}: {_value(change.what, change.before)} before, " + (
        f"{_value(change.what, change.after)} after"
    )


def _value(what: str, value: str | int | bool | None) -> str:
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return bytes_short(value) if what == "physical_bytes" else short(str(value)[:40], 40)
    return short(value, TEXT)


def finding_title(change: FindingChange, pair: MachinePair) -> str:
    """``New``, ``Gone``, ...; between two machines nothing is new, it is on one of them only."""
    title = _FINDING_TITLES[change.status]
    return title if pair.over_time else _BETWEEN_MACHINES.get(change.status, title)


def pair_title(pair: MachinePair) -> str:
    """The machines' names, or what stands for them."""
    first, second = machine_text(pair.before), machine_text(pair.after)
    if first != second:
        return f"{first} against {second}"
    return first if pair.before.name or pair.over_time else f"{first} of each side"


def one_sided_text(tag: TagChange) -> str:
    """``Abc (paged, 12.3 MB)``; blocks where the bytes are not known."""
    size = tag.bytes.before if tag.bytes.before is not None else tag.bytes.after
    blocks = tag.outstanding.before if tag.outstanding.before is not None else tag.outstanding.after
    said = bytes_short(size) if size is not None or blocks is None else f"{count_text(blocks)} blocks"
    return f"{tag_text(tag.tag, 12)} ({short(pool_text(tag) if tag.session is not None else tag.pool, 14)}, {said})"


def finding_text(change: FindingChange, limit: int = TEXT) -> str:
    """The headline and verdict of the side that has the finding, and the other side's verdict where it differs."""
    shown = change.after if change.after is not None and change.after.holds else change.before
    if shown is None:
        return UNKNOWN
    text = f"{short(shown.headline, limit)} [{short(change.pattern, 60)}: {verdict_word(shown.verdict)}"
    text += f", {shown.severity.value}"
    if change.status in (FindingStatus.WORSE, FindingStatus.MILDER) and change.before is not None:
        text += f"; before: {verdict_word(change.before.verdict)}, {change.before.severity.value}"
    return text + "]"


def counter_text(counter: CounterChange) -> str:
    """``\\Process(agent)\\Handle Count: 1,200 -> 431,906``."""
    ends = " -> ".join(_number(value, counter.unit) for value in (counter.before, counter.after))
    return f"{short(counter.name, TEXT)}: {ends}"


def _number(value: float, unit: str) -> str:
    if unit == "bytes":
        return bytes_short(round(value))
    return count_text(round(value)) if value == round(value) or abs(value) >= 1000 else f"{value:.2f}"
