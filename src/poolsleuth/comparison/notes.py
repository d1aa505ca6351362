"""What limits a comparison, in sentences: other machine, wrong order, restart, tables that may not be complete."""

from collections.abc import Iterator, Sequence

from poolsleuth.comparison.pairing import tells_apart
from poolsleuth.comparison.side import Side
from poolsleuth.model.comparison import Span, Status, TagChange
from poolsleuth.report.wording import bytes_short

_FIELDS = {
    "name": "another name",
    "physical_bytes": "other memory",
    "architecture": "another architecture",
    "build": "another Windows build",
}
_POOLS = {"nonpaged": "nonpaged pool", "paged": "paged pool", "session": "session pool"}


def notes_on(before: Side, after: Side, span: Span, tags: Sequence[TagChange], *, over_time: bool) -> tuple[str, ...]:
    """The sentences for one pair, the most important first."""
    return (*_time(before, after, span, over_time=over_time), *_tables(before, after, tags))


def _time(before: Side, after: Side, span: Span, *, over_time: bool) -> Iterator[str]:
    if not over_time:
        told = " and ".join(_FIELDS[name] for name in tells_apart(before.machine, after.machine))
        yield f"These are two machines ({told}): the difference is between them, it is not growth over time."
        return
    if span.seconds is None:
        yield "The time between the captures is not known, so there are no rates."
    elif span.seconds < 0:
        yield "AFTER was captured before BEFORE: if they are swapped, what shrank here grew. Rates are left out."
    elif span.seconds == 0 and span.rebooted is None and span.reboot_basis:
        yield (
            f"Both captures give the same moment, which cannot be: {span.reboot_basis}. One of the two dates is wrong,"
            " or they are of two machines; what changed between them is no growth over a known time."
        )
    elif span.seconds == 0:
        yield "Both captures are of the same moment."
    if span.rebooted:
        yield (
            f"The machine was restarted in between: {span.reboot_basis}. Its pools began anew, and counts of"
            " allocations are not compared."
        )


def _tables(before: Side, after: Side, tags: Sequence[TagChange]) -> Iterator[str]:
    absent: list[str] = []
    cut: list[str] = []
    for status, side, own in ((Status.NOT_SHOWN_BEFORE, before, "BEFORE"), (Status.NOT_SHOWN_AFTER, after, "AFTER")):
        pools = {tag.pool for tag in tags if tag.status is status}
        for pool, name in _POOLS.items():
            if pool in pools:
                if not side.shows_tags(pool):
                    absent.append(f"{name} in {own}")
                    continue
                rest = side.not_shown(pool)
                but = f" but {bytes_short(rest)}" if rest else ""
                room = "" if rest is None else f" (the tags shown add up to all of it{but})"
                cut.append(f"{name} in {own}{room}")
    if absent:
        yield f"There is no table of tags of {_listed(absent)}."
    if cut:
        yield f"Not known to be complete: the tags of {_listed(cut)}. A tag that is not shown there may still exist."


def _listed(words: Sequence[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"
