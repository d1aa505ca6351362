"""Which processes pay for a tag's blocks: the kernel charged them to the quota of the process that had them made."""

from collections.abc import Iterable, Iterator
from dataclasses import replace

from poolsleuth.model.facts import Reason
from poolsleuth.model.finding import Finding
from poolsleuth.model.pool import QuotaCharge, QuotaCharges
from poolsleuth.model.tags import TagRow
from poolsleuth.patterns.thresholds import QUOTA_PAID
from poolsleuth.patterns.wording import percent, size


def with_payers(finding: Finding, row: TagRow, charges: Iterable[QuotaCharges]) -> Finding:
    """The finding about a row's tag with the processes that pay for a good part of its bytes, most first.

    It says for whom blocks were made, and accuses nobody: a driver makes them, and may be the one that keeps them.
    """
    paying = sorted(_paying(row, charges), key=lambda found: -found[1])
    if not paying:
        return finding
    return replace(
        finding,
        because=(*finding.because, *(reason for _charge, _bytes, reason in paying)),
        next_steps=(
            *finding.next_steps,
            *(f"`!process 0x{charge.process:x} 0` shows the process that pays" for charge, _bytes, _ in paying[:1]),
        ),
    )


def _paying(row: TagRow, charges: Iterable[QuotaCharges]) -> Iterator[tuple[QuotaCharge, int, Reason]]:
    last = next(reversed(tuple(charges)), None)
    for charge in last.rows if last is not None else ():
        paid = dict(charge.tags).get(row.tag, 0) if charge.pool is row.pool else 0
        if last is not None and row.bytes and paid >= QUOTA_PAID.value * row.bytes:
            says = f"{percent(min(paid / row.bytes, 1))} of the bytes of tag {row.tag} ({size(paid)}) are charged to"
            yield charge, paid, Reason(f"{says} the quota of {_name(charge)}: made at its request", last.where)


def _name(charge: QuotaCharge) -> str:
    if charge.name is None:
        return f"the process at 0x{charge.process:x}, which is in no list of processes any more"
    return charge.name if charge.pid is None else f"{charge.name} (pid {charge.pid})"
