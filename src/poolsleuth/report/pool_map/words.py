"""What is said about a pool above its map: the same sentences in every output."""

from collections.abc import Iterator

from poolsleuth.model.pool_picture import PAGE, PicturedPool, PoolPicture
from poolsleuth.report.wording import bytes_short, percent_text, plural, pool_name, short

MAX_HOLDERS = 5  # tags named that hold pinned pages
_ENDLESS = 1 << 32  # pages: 16 TB is what newer Windows prints for "no limit"


def title_of(pool: PicturedPool) -> str:
    """``nonpaged pool``; ``session paged pool, session 1``."""
    return "pool of an unknown kind" if pool.pool is None else pool_name(pool.pool.value, pool.session)


def maximum_of(pool: PicturedPool) -> int | None:
    """Pages that the pool may have; None where that is not known or no limit at all."""
    maximum = pool.figures.maximum
    return maximum if maximum is not None and 0 < maximum < _ENDLESS else None


def headlines(pool: PicturedPool) -> Iterator[str]:
    """The pool in a few sentences."""
    f = pool.figures
    maximum = maximum_of(pool)
    text = f"{plural(f.in_use, 'page')} in use ({bytes_short(f.in_use * PAGE)})"
    if maximum is not None:
        text += f" of at most {maximum:,} ({percent_text(f.in_use, maximum)})"
    yield text
    if f.live_bytes is not None:
        known = (f.in_use - f.paged_out - f.damaged - f.unknown) * PAGE
        text = f"{bytes_short(f.live_bytes)} of that is live ({percent_text(f.live_bytes, known)})"
        if f.waiting_bytes:
            text += f", of which {bytes_short(f.waiting_bytes)} wait in lookaside lists"
        if f.whole:
            text += f"; {plural(f.whole, 'page')} of allocations of whole pages"
        yield text
    if f.pinned is not None and f.pinned:
        text = (
            f"{plural(f.pinned, 'page')} ({bytes_short(f.pinned * PAGE)}) pinned by {bytes_short(f.pinned_bytes)} of"
            " live blocks, a tenth of the page or less"
        )
        if f.pinned_by:
            holders = ", ".join(f"{short(tag, 16)} {count:,}" for tag, count in f.pinned_by[:MAX_HOLDERS])
            text += f"; held by {holders}"
        yield text
    elif f.pinned == 0:
        yield "no page is pinned by small blocks" if f.pinned_bytes == 0 else ""
    gaps = []
    if f.largest_free is not None:
        gaps.append(f"largest free block {bytes_short(f.largest_free)}")
    if f.largest_gap:
        gaps.append(f"largest run of unused pages on the map {f.largest_gap:,} ({bytes_short(f.largest_gap * PAGE)})")
    if gaps:
        yield "; ".join(gaps)
    odd = [
        plural(count, "page") + words
        for count, words in (
            (f.paged_out, " paged out"),
            (f.missing, " not in the dump"),
            (f.damaged, " with damaged headers"),
            (f.unknown, " of which it is not known what is in use"),
        )
        if count
    ]
    if odd:
        yield ", ".join(odd)


def heading(picture: PoolPicture) -> str:
    """The input and its machine."""
    return ": ".join(part for part in (short(picture.name, 200), short(picture.machine, 200)) if part)


def address_text(address: int, bits: int) -> str:
    """An address as the map prints it."""
    return f"{address:08x}" if bits == 32 else f"{address:016x}"
