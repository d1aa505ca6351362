"""What a report says of a pool's blocks, beside its bar."""

from dataclasses import dataclass

from poolsleuth.model.report_blocks import FreeRuns, PoolBlocks
from poolsleuth.report.wording import bytes_short, percent_text

_HEIGHT, _STEP = 40, 14  # of the small chart, in its own units
_STEPS = 14  # of the histogram: free blocks of a page have ten, those of subsegments some more
_KINDS = {"classic": "pages", "segment heap": "subsegment pages", "scan": "pages (found by a search for headers)"}


@dataclass(frozen=True, slots=True)
class Bar:
    """A bar of the small chart of free blocks: its place and size, and what it stands for."""

    x: int
    y: str
    height: str
    label: str


def bars(runs: tuple[FreeRuns, ...]) -> tuple[Bar, ...]:
    """The chart of free bytes by size of the free block; the largest share fills the height."""
    steps = histogram(runs)
    most = max((width for _label, _share, width in steps), default=0)
    found: list[Bar] = []
    for number, (label, share, width) in enumerate(steps):
        height = max(width / most * _HEIGHT, 0.5)
        found.append(Bar(number * _STEP, f"{_HEIGHT - height:.1f}", f"{height:.1f}", f"{label}: {share}"))
    return tuple(found)


def block_notes(blocks: PoolBlocks) -> list[str]:
    """Sentences for the lines below a pool: pages, free runs, what packing would save, and how much was found."""
    kind = _KINDS.get(blocks.allocator, "pages")
    notes = [
        f"blocks: {blocks.pages:,} {kind} hold {bytes_short(blocks.live_bytes)} in use,"
        f" {bytes_short(blocks.free_bytes)} free; held by less than a tenth of live bytes: {blocks.pinned_pages:,}"
        + (f"; pages if packed: {blocks.packed_pages:,}" if blocks.packed_pages is not None else "")
    ]
    steps_of = histogram(blocks.free_runs)
    if steps_of:
        steps = ", ".join(f"{label} {share}" for label, share, _width in steps_of)
        notes.append(f"free bytes by size of the free block: {steps}")
    share = percent_text(blocks.found_bytes, blocks.counted_bytes)
    if share:
        notes.append(f"blocks account for {share} of what tags count")
    return notes


def histogram(runs: tuple[FreeRuns, ...]) -> list[tuple[str, str, float]]:
    """Label, share in words and share of each step, of all free bytes: the largest blocks in one last step."""
    total = sum(run.bytes for run in runs)
    if total <= 0:
        return []
    shown = list(runs[:_STEPS])
    rest = sum(run.bytes for run in runs[_STEPS:])
    found = [(f"{_label(run.at_least)}+", percent_text(run.bytes, total) or "", run.bytes / total) for run in shown]
    if rest:
        found.append(("larger", percent_text(rest, total) or "", rest / total))
    return found


def _label(size: int) -> str:
    return f"{size // 1024} KB" if size >= 1024 else f"{size} B"
