"""``!poolfind``: all blocks in use of a tag, from a walk of the whole pool and the table of large allocations."""

import re
from collections.abc import Iterator
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from poolsleuth.debugger.command import Command, Lines
from poolsleuth.debugger.commands.poolused import tag_pattern
from poolsleuth.debugger.pool_names import REGIONS
from poolsleuth.debugger.target import Target
from poolsleuth.debugger.text import missing, printable
from poolsleuth.kernel.address_space import PAGE
from poolsleuth.kernel.distinct import distinct
from poolsleuth.kernel.pool.big_pages import PAGED, read_big_pages
from poolsleuth.kernel.pool.blocks import Blocks, Pool, State
from poolsleuth.kernel.pool.classic_walk import has_classic_pool
from poolsleuth.kernel.pool.tags import Keys, tag_text
from poolsleuth.kernel.pool.walk import walk_pool
from poolsleuth.model.errors import InputError

MAX_FOUND = 20_000  # blocks printed: their number says more than a longer list
_KINDS = {
    0: ("nonpaged", (Pool.NONPAGED, Pool.NONPAGED_NX)),
    1: ("paged", (Pool.PAGED,)),
    4: ("session paged", (Pool.SESSION,)),
}
_SESSION = 4
_OLD_NAMES = {0: "NonPaged", 1: "Paged", 4: "SessionPaged"}
_WINDOWS_8 = 9200  # debuggers of Windows before that print the rows of !pool
_RANGES = {4: (0x8000_0000, 0xFFFF_FFFF), 8: (0xFFFF_8000_0000_0000, 0xFFFF_FFFF_FFFF_FFFF)}
_USAGE = "!poolfind TAG [0 nonpaged, 1 paged, 4 session]"


def _run(target: Target, _match: re.Match[str], rest: str) -> Lines:
    match = re.fullmatch(r"(?P<tag>\"[^\"]{1,20}\"|\S+)(?:\s+(?P<kind>\S+))?", rest)
    if match is None:
        raise InputError(f"!poolfind wants a tag: {_USAGE}")
    kind = match["kind"] or "0"
    if kind not in ("0", "1", "4"):
        raise InputError(f"'{printable(kind, 40)}' is no kind of pool: {_USAGE}")
    tag = match["tag"].strip('"')
    return _lines(target, tag, tag_pattern(tag), int(kind))


def _lines(target: Target, tag: str, pattern: re.Pattern[str], kind: int) -> Lines:
    name, pools = _KINDS[kind]
    old = target.kernel.build < _WINDOWS_8 and bool(has_classic_pool(target.kernel))
    raw = int.from_bytes(tag[:4].ljust(4).encode("latin-1", "replace"), "little")
    wanted = f"for Tag: {printable(tag)}" if old else f"for tag 0x{raw:08x} ({printable(tag)})"
    first, last = (target.plain(end) for end in _RANGES[target.kernel.pointer_size])
    found = _small(target, pattern, pools, old=old)
    if has_classic_pool(target.kernel) and kind != _SESSION:
        yield f"Scanning large pool allocation table {wanted} ({first} : {last})"
        yield ""
        yield from islice(_large(target, pattern, kind), MAX_FOUND)
        yield ""
    if kind == _SESSION and target.session is None and has_classic_pool(target.kernel):
        yield "*** no session is chosen: pool of sessions is seen after !session -s N only"
    yield f"Searching {name if not old else _OLD_NAMES[kind]} pool ({first} : {last}) {wanted}"
    yield ""
    yield from islice(found, MAX_FOUND)
    if next(found, None) is not None:
        yield from missing(f"only {MAX_FOUND:,} blocks are printed: !poolused 0 {tag} says how many there are")


def _chosen(keys: Keys, pattern: re.Pattern[str]) -> NDArray[np.bool_]:
    every = distinct(keys)
    good = [key for key in every.tolist() if pattern.fullmatch(tag_text(key)) is not None]
    return np.isin(keys, np.array(good, np.uint32))


def _small(target: Target, pattern: re.Pattern[str], pools: tuple[Pool, ...], *, old: bool) -> Iterator[str]:
    unreadable = 0
    for part in walk_pool(target.kernel, target.progressed("pool pages")):
        unreadable += part.unreadable
        if part.stopped is not None:
            yield from missing(part.stopped)
        blocks = part.blocks
        chosen = _chosen(blocks["tag"], pattern) & np.isin(blocks["pool"], [int(pool) for pool in pools])
        for at in np.flatnonzero(chosen & (blocks["state"] != State.FREE)).tolist():
            block = blocks[at]
            place, key, size = int(block["address"]), int(block["tag"]), int(block["size"])
            if old:
                yield _old_row(target, place, key, size, _previous(blocks, at))
            else:
                yield _row(target, place, key, size, REGIONS[Pool(int(block["pool"]))])
    if unreadable:
        yield from missing(f"{unreadable:,} mapped pages are not in this dump: blocks in them are not listed")


def _previous(blocks: Blocks, at: int) -> int:
    """The size of the block before this one in its page."""
    if not int(blocks["address"][at]) % PAGE or not at:
        return 0
    return int(blocks["size"][at - 1])


def _old_row(target: Target, place: int, key: int, size: int, previous: int) -> str:
    return f"{target.plain(place)} size: {size:4x} previous size: {previous:4x}  (Allocated) {tag_text(key)}"


def _large(target: Target, pattern: re.Pattern[str], kind: int) -> Iterator[str]:
    table = read_big_pages(target.kernel).table
    for part in table.parts() if table is not None else ():
        # Where the table does not tell the pool, the entry is printed for both
        for at in np.flatnonzero(_chosen(part.keys, pattern) & (part.pools != 1 - kind)).tolist():
            region = "Paged pool" if part.pools[at] == PAGED else "Nonpaged pool" if part.pools[at] == 0 else "Unknown"
            yield _row(target, int(part.addresses[at]), int(part.keys[at]), int(part.sizes[at]), region)


def _row(target: Target, place: int, key: int, size: int, region: str) -> str:
    return f"{target.plain(place)} : tag {tag_text(key)}, size {f'0x{size:x}':>9}, {region}"


COMMANDS = (
    Command(
        re.compile(r"!poolfind\b"),
        ("!poolfind",),
        _USAGE,
        "all blocks in use of a tag (the whole pool is walked)",
        _run,
    ),
)
