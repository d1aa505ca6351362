"""What the blocks of suspicious tags point at, who holds them, and which process pays for them."""

from collections.abc import Callable, Iterator

from poolsleuth.evidence.dump.block_reports import charge_facts
from poolsleuth.evidence.dump.context import DumpContext
from poolsleuth.kernel.modules import read_modules
from poolsleuth.kernel.pool.block_pointers import MAX_WANTED, TagPointers, survey_pointers
from poolsleuth.kernel.pool.block_sample import Wanted
from poolsleuth.kernel.pool.blocks import Pool
from poolsleuth.kernel.pool.classic_walk import ClassicPart, WalkPart
from poolsleuth.kernel.pool.quota import QuotaSums
from poolsleuth.kernel.target import Kernel
from poolsleuth.kernel.unloaded_modules import read_unloaded_modules
from poolsleuth.model.block_pointers import BlockPointers
from poolsleuth.model.facts import Fact
from poolsleuth.model.modules import UnloadedModules
from poolsleuth.model.tags import PoolKind, TagRow, TagTable
from poolsleuth.windows import tag_notes
from poolsleuth.windows.tag_notes import Role

WORTH_BYTES = 8 << 20  # of a tag: less fills no pool, on any machine
WORTH_SHARE = 0.25  # of all tagged bytes of its pool: no pattern speaks of a smaller part, but for tags never freed
NEVER_FREED = 0.10  # of the blocks: with so few frees a tag is looked at whatever its share is
LEFT_BEHIND = 64 << 10  # bytes of a tag that was hardly ever freed, where drivers were unloaded
MANY_OBJECTS = 20_000  # blocks of one tag: few bytes each, as objects are
_OBJECT_BYTES = 4096  # of one object at most, with its headers

# Large is normal for them; no pattern suspects them in a single capture
_FOLLOWS_LOAD = frozenset({Role.CACHE, Role.REGISTRY, Role.POOL, Role.CONTIGUOUS, Role.VERIFIER})

_POOLS = {
    PoolKind.NONPAGED: frozenset((int(Pool.NONPAGED), int(Pool.NONPAGED_NX), int(Pool.UNKNOWN))),
    PoolKind.PAGED: frozenset((int(Pool.PAGED), int(Pool.UNKNOWN))),
}


def pointer_facts(
    kernel: Kernel, told: list[Fact], context: DumpContext, progress: Callable[[int], None] | None = None
) -> Iterator[Fact]:
    """Sample the blocks of the tags that look like leaks by what is ``told``; nothing where there is none."""
    wanted = suspicious_tags(told)
    if not wanted:
        return
    keys: dict[Wanted, PoolKind] = {}
    for row in wanted:
        keys[_key(row.tag), _POOLS[row.pool]] = row.pool
    quota = QuotaSums()

    def met(part: WalkPart) -> None:
        if isinstance(part, ClassicPart):
            quota.add(part.charges)

    survey = survey_pointers(
        kernel, list(keys), read_modules(kernel).modules, read_unloaded_modules(kernel).drivers, progress, met
    )
    for sentence in survey.says:
        context.problem(f"pointers of blocks: {sentence}")
    names = {(_key(row.tag), row.pool): row.tag for row in wanted}
    for tag in survey.tags:
        pool = keys[tag.wanted]
        if tag.read:
            yield _fact(tag, names[tag.wanted[0], pool], pool, survey.searched_pages, survey.all_pages, context)
    yield from charge_facts(kernel, quota, context)


def suspicious_tags(told: list[Fact]) -> list[TagRow]:
    """The rows that are worth the time, those of most bytes first, ``MAX_WANTED`` at most."""
    gone = any(isinstance(fact, UnloadedModules) for fact in told)
    rows: dict[tuple[str, PoolKind], tuple[int, TagRow]] = {}
    for table in told:
        if not isinstance(table, TagTable) or table.session is not None:
            continue
        sums = {kind: sum(row.bytes or 0 for row in table.rows if row.pool is kind) for kind in _POOLS}
        for row in table.rows:
            if row.pool in _POOLS and len(row.tag) <= 4 and row.bytes and row.outstanding:
                rank = _rank(row, sums[row.pool], gone=gone)
                if rank is not None:
                    rows[row.tag, row.pool] = (rank, row)
    ranked = sorted(rows.values(), key=lambda each: (each[0], -(each[1].bytes or 0)))
    return [row for _rank, row in ranked[:MAX_WANTED]]


def _rank(row: TagRow, pool_bytes: int, *, gone: bool) -> int | None:
    """How much a row deserves a look (0 most), None when it does not."""
    assert row.bytes is not None
    assert row.outstanding is not None
    note = tag_notes.find(row.tag)
    if note is not None and note.pattern.rstrip() == row.tag and note.role in _FOLLOWS_LOAD:
        return None
    kept = row.allocs is not None and row.frees is not None and row.frees <= NEVER_FREED * row.allocs
    if row.bytes >= WORTH_BYTES and (kept or row.bytes >= WORTH_SHARE * pool_bytes):
        return 0
    if row.outstanding >= MANY_OBJECTS and row.bytes <= _OBJECT_BYTES * row.outstanding:
        return 1
    return 2 if gone and kept and row.bytes >= LEFT_BEHIND else None


def _key(tag: str) -> int:
    return int.from_bytes(tag.encode("latin-1", "replace").ljust(4, b" ")[:4], "little") & 0x7FFF_FFFF


def _fact(
    tag: TagPointers, name: str, pool: PoolKind, searched: int, pages: int, context: DumpContext
) -> BlockPointers:
    return BlockPointers(
        **context.base(tag.address),
        tag=name,
        pool=pool,
        seen=tag.seen,
        sampled=tag.sampled,
        read=tag.read,
        signs=tag.signs,
        holders=tag.holders,
        objects=tag.objects,
        linked=tag.linked,
        compared=tag.compared,
        searched_pages=searched,
        all_pages=pages,
    )
