"""Sentences about all blocks of a pool: what holds its pages, what would fit if they were packed, what is missing."""

from poolsleuth.model.facts import Reason
from poolsleuth.model.pool import PAGE, PoolPages, PoolReconciliation
from poolsleuth.patterns.wording import exact, percent, plural, size

_NAMED = 3  # tags
_RUNS = 4  # sizes of free blocks


def blocks_say(summary: PoolPages, request: int | None) -> list[Reason]:
    """What the blocks say for fragmentation. ``request`` is the block size (bytes) that keeps missing, if any."""
    found = [_pinned(summary)]
    if summary.free_runs:
        found.append(_runs(summary))
    packed = _packed(summary, request)
    return found if packed is None else [*found, packed]


def _pinned(summary: PoolPages) -> Reason:
    held = ", ".join(f"{tag} ({count:,})" for tag, count in summary.pinned_by[:_NAMED])
    single = ""
    if summary.single:
        which = f"{summary.single:,} of them" if summary.single < summary.pinned else "each of them"
        single = f"; {which} by one block alone"
    return Reason(
        f"{summary.pinned:,} of {summary.pages:,} pages with blocks are held by less than a tenth of live bytes each"
        f" ({exact(summary.pinned_bytes)} in all)"
        + (f", by blocks of {held}" if held else "")
        + single
        + (f"; the largest free block of all is 0x{summary.largest_free:X}" if summary.largest_free else ""),
        summary.where,
    )


def _runs(summary: PoolPages) -> Reason:
    """Which sizes of free blocks hold most of the free bytes, and how much lies in runs of a quarter page and more."""
    total = sum(length * count for length, count in summary.free_runs)
    large = sum(length * count for length, count in summary.free_runs if length >= PAGE // 4)
    usual = sorted(summary.free_runs, key=lambda run: -run[0] * run[1])[:_RUNS]
    listed = ", ".join(f"0x{length:X} ({count:,})" for length, count in usual)
    count = sum(count for _, count in summary.free_runs)
    sizes = f"{len(summary.free_runs):,} sizes" if summary.runs_complete else "the largest sizes"
    says = f"{exact(total)} lie in {count:,} free blocks of {sizes}"
    if summary.runs_complete:
        says += f", {percent(large / total if total else 0)} of it in runs of 0x400 bytes and more"
    return Reason(f"{says}; most in runs of {listed}", summary.where)


def _packed(summary: PoolPages, request: int | None) -> Reason | None:
    """What the same blocks would take without gaps, and what the article's remedy can give back at most."""
    if summary.packed_pages is None or summary.packed_pages >= summary.pages:
        return None
    says = f"packed, these blocks would take {summary.packed_pages:,} pages instead of {summary.pages:,}"
    fitting = summary.fitting_if_packed(request) if request is not None else None
    if fitting and request is not None:
        says += f": {fitting:,} more blocks of 0x{request:X} bytes would have fitted"
    gained = summary.pinned_to_gain
    if request is not None and gained and summary.allocator == "classic":
        says += (
            f"; had these requests taken whole pages, at most {size(gained * PAGE)} of the pages that small blocks hold"
            " would be free, less where other load made these pages"
        )
    return Reason(says, summary.where)


def doubts(summaries: list[PoolPages]) -> list[Reason]:
    """Why what the blocks say may be wrong."""
    found: list[Reason] = []
    for summary in summaries:
        if summary.allocator == "scan":
            found.append(
                Reason(
                    "blocks were found by a search for headers, since the heaps' own structures could not be followed:"
                    " a heuristic, that misses and mistakes some",
                    summary.where,
                )
            )
        elif summary.allocator == "segment heap":
            found.append(
                Reason(
                    "the reading of segment heaps was verified on constructed heaps only, on no dump of a real machine",
                    summary.where,
                )
            )
        missing = [
            (summary.paged_out, "paged out"),
            (summary.not_in_dump, "not in the dump"),
            (summary.never_touched, "never touched"),
        ]
        absent = [f"{count:,} {why}" for count, why in missing if count]
        if (summary.paged_out or 0) + (summary.not_in_dump or 0) > 0.1 * summary.pages:
            found.append(Reason(f"of this pool's pages {', '.join(absent)}: nothing is known of them", summary.where))
    return found


def accounted(balance: PoolReconciliation) -> Reason:
    """How much of what the tags count was found in blocks, and why there is a difference."""
    share = balance.share
    says = (
        f"the blocks that were found account for {percent(share)} of the bytes that tags count ({exact(balance.found)}"
        f" of {exact(balance.counted)})"
        if share is not None
        else "the tag tables count nothing in this pool"
    )
    more = []
    if balance.waiting:
        more.append(f"{size(balance.waiting)} of freed blocks wait in lookaside lists, and are not among them")
    if balance.absent:
        more.append(f"pages that cannot be read hold at most {size(balance.absent)}")
    if balance.unknown:
        more.append(f"{size(balance.unknown)} lie in blocks whose pool is not known")
    odd = [row for row in balance.differences if not row.explained]
    if odd:
        named = ", ".join(f"{row.tag} ({'more' if row.more else 'less'})" for row in odd[:_NAMED])
        more.append(f"no such reason explains the difference of {plural(len(odd), 'tag')}, most: {named}")
    return Reason("; ".join([says, *more]), balance.where)
