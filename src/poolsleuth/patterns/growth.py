"""Which tags grew through all tables of a machine: the little that a few captures can say about time."""

from collections.abc import Mapping, Sequence
from itertools import pairwise

from poolsleuth.model.tags import PoolKind, TagRow, TagTable
from poolsleuth.patterns.thresholds import GROWTH_BYTES, GROWTH_SHARE

Growth = Mapping[tuple[str, PoolKind], tuple[TagRow, TagRow]]
"""The first and the last row of each tag and pool that grew."""

MIN_TABLES = 2


def growing_tags(tables: Sequence[TagTable]) -> Growth:
    """The tags of the system pools that grew from table to table, never fell, and grew by a lot in all.

    Tables of the same place or with the same figures are one capture. A tag that a table does not show is not known
    there: it is judged over the tables that show it, of which there must be ``MIN_TABLES``.
    """
    rows: dict[tuple[str, PoolKind], list[TagRow]] = {}
    for table in tables:
        if table.session is not None:
            continue
        for row in table.rows:
            if row.bytes is not None:
                rows.setdefault((row.tag, row.pool), []).append(row)
    return {key: (seen[0], seen[-1]) for key, seen in rows.items() if len(seen) >= MIN_TABLES and _grew(seen)}


def _grew(seen: Sequence[TagRow]) -> bool:
    if any((later.bytes or 0) < (earlier.bytes or 0) for earlier, later in pairwise(seen)):
        return False
    first, last = seen[0].bytes or 0, seen[-1].bytes or 0
    return last - first >= max(GROWTH_BYTES.value, GROWTH_SHARE.value * first)
