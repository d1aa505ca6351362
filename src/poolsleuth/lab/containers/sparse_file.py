"""Files with holes: what is zero is never written, so that an image of a large machine needs little room."""

import os
import secrets
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from poolsleuth.lab.physical import PAGE, PhysicalImage, Run

_ZEROS = bytes(PAGE)


@contextmanager
def new_file(path: Path) -> Iterator[BinaryIO]:
    """A file that gets its name when it is complete, and leaves nothing behind when it fails.

    Raises FileExistsError where there is one of that name already: nothing is overwritten.
    """
    if path.exists():
        raise FileExistsError(f"{path} exists already")
    part = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    try:
        with part.open("xb") as file:
            yield file
        _give_name(part, path)
    finally:
        part.unlink(missing_ok=True)


def _give_name(part: Path, path: Path) -> None:
    """Unlike renaming, a link never replaces a file that came meanwhile; not every file system has links."""
    try:
        os.link(part, path)
    except FileExistsError:
        raise
    except OSError:
        if path.exists():
            raise FileExistsError(f"{path} exists already") from None
        part.rename(path)


def without(runs: Sequence[Run], left_out: Collection[int]) -> list[Run]:
    """The runs without single pages."""
    kept: list[Run] = []
    missing = sorted(set(left_out))
    at = 0
    for base, count in runs:
        begin, end = base, base + count
        while at < len(missing) and missing[at] < begin:
            at += 1
        while at < len(missing) and missing[at] < end:
            if missing[at] > begin:
                kept.append((begin, missing[at] - begin))
            begin = missing[at] + 1
            at += 1
        if begin < end:
            kept.append((begin, end - begin))
    return kept


def page_count(runs: Sequence[Run]) -> int:
    """How many pages the runs have."""
    return sum(count for _, count in runs)


def page_aligned(size: int) -> int:
    """The next multiple of a page."""
    return -(-size // PAGE) * PAGE


def write_run(file: BinaryIO, offset: int, physical: PhysicalImage, run: Run, written: Sequence[int]) -> None:
    """Write those pages of a run that are not zero; ``offset`` is that of its first page.

    ``written`` are the numbers of the pages of this run that were ever written.
    """
    for number in written:
        page = physical.peek(number)
        if page is not None and page != _ZEROS:
            file.seek(offset + (number - run[0]) * PAGE)
            file.write(page)


def write_pages(file: BinaryIO, first: int, physical: PhysicalImage, runs: Sequence[Run]) -> None:
    """Write the pages of all runs one behind the other from file offset ``first`` on, and end the file behind them."""
    offset = first
    for run, written in written_in(physical, runs):
        write_run(file, offset, physical, run, written)
        offset += run[1] * PAGE
    file.truncate(offset)


def written_in(physical: PhysicalImage, runs: Sequence[Run]) -> Iterator[tuple[Run, list[int]]]:
    """Each run with those of its pages that were ever written. The runs must be sorted."""
    written = physical.written()
    at = 0
    for base, count in runs:
        while at < len(written) and written[at] < base:
            at += 1
        begin = at
        while at < len(written) and written[at] < base + count:
            at += 1
        yield (base, count), written[begin:at]
