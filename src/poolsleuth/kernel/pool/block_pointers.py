"""Pointers in the blocks of a tag, and pointers to them: what tells owner, retainer and victim apart.

The blocks of a tag are sampled, and the words in them that can be addresses are looked up. One word proves nothing:
memory holds what was there before, and on x86 one number of fourteen lies in some driver. What counts is one offset at
which most blocks hold a pointer to the same module, type or tag. That the blocks of a tag point at each other is how
lists are made, and is told apart.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from poolsleuth.kernel.address_space import PAGE, AddressSpace
from poolsleuth.kernel.addresses import kernel_start
from poolsleuth.kernel.distinct import distinct
from poolsleuth.kernel.modules import LoadedModule
from poolsleuth.kernel.object_types import HEAD_BYTES, Objects, ObjectTypes, read_object_types
from poolsleuth.kernel.pool.big_pages import read_big_pages
from poolsleuth.kernel.pool.block_sample import PoolSample, Sampler, Wanted, data_starts, others_like
from poolsleuth.kernel.pool.blocks import Blocks, State
from poolsleuth.kernel.pool.classic_walk import WalkPart, has_classic_pool
from poolsleuth.kernel.pool.pointer_holders import Holders, find_holders
from poolsleuth.kernel.pool.pointer_places import (
    Gone,
    Image,
    Ranged,
    blocks_around,
    find_blocks,
    gone_of,
    images_of,
)
from poolsleuth.kernel.pool.segment_heap.big import BigIndex
from poolsleuth.kernel.pool.segment_heap.parts import Teller
from poolsleuth.kernel.pool.tags import tag_text
from poolsleuth.kernel.pool.walk import walk_pool
from poolsleuth.kernel.target import Kernel
from poolsleuth.kernel.unloaded_modules import UnloadedDriver
from poolsleuth.model.block_pointers import ObjectCount, PointerHolder, PointerSign, PointsTo

MAX_LOOKED = 1024  # bytes of a block that are looked at: headers and links of structures stand at their start
MAX_WANTED = 8  # tags of one run
MAX_SIGNS = 24  # of one tag, those of most blocks first
MAX_OFFSETS = 4  # at which the same thing is told: a table of pointers has hundreds
MAX_WALKED = 1 << 25  # mapped pages (128 GB); damaged page tables can map a terabyte of nothing
MAX_SECOND_WALK = 1 << 20  # pages of pool (4 GB): what larger pools hold of targets elsewhere is not looked up
MAX_TARGETS = 1 << 16  # blocks that are pointed at and may be objects: with more none is looked at
MIN_SHARE = 0.25  # of the blocks: less than a quarter at one offset is what was left there by others
MIN_BLOCKS = 16  # blocks with the same sign: fewer may be chance
_AT_ONCE = 4096  # blocks that are read together: 32 MB

Words = NDArray[np.uint64]


@dataclass(frozen=True, slots=True)
class TagPointers:
    """What was found for one tag (see ``poolsleuth.model.block_pointers.BlockPointers``, whose figures these are).

    ``address`` is that of one of its blocks, None when there is none.
    """

    wanted: Wanted
    address: int | None
    seen: int
    sampled: int
    read: int
    signs: tuple[PointerSign, ...]
    holders: tuple[PointerHolder, ...]
    objects: tuple[ObjectCount, ...]
    linked: int
    compared: int = 0


@dataclass(frozen=True, slots=True)
class PointerSurvey:
    """The tags of a run. ``searched_pages`` of ``all_pages`` pages of the pool were searched for pointers to them."""

    tags: tuple[TagPointers, ...]
    searched_pages: int
    all_pages: int
    says: tuple[str, ...]


def survey_pointers(
    kernel: Kernel,
    wanted: Sequence[Wanted],
    modules: Iterable[LoadedModule],
    unloaded: Iterable[UnloadedDriver],
    progress: Callable[[int], None] | None = None,
    met: Callable[[WalkPart], None] | None = None,
) -> PointerSurvey:
    """Sample the blocks of ``wanted`` (``MAX_WANTED`` tags at most), and resolve what they point at and who holds them.

    ``progress`` is told the pages of the pool that were walked so far, ``met`` each part of that walk once.
    """
    sampler = Sampler(wanted[:MAX_WANTED])
    for blocks in _walked(kernel, sampler, progress, met):
        sampler.add(blocks)
    sample = sampler.result()
    images = images_of(kernel.memory, modules)
    outward = _Outward(kernel, images, gone_of(unloaded), read_object_types(kernel), sample)
    looks = [outward.look(each, sample.tags[each]) for each in wanted[:MAX_WANTED]]
    outward.resolve(looks, lambda: _walked(kernel, sampler, None))
    found = find_holders(kernel, sample, images, [look.blocks for look in looks])
    return PointerSurvey(
        tuple(_result(look, sample, outward, found.of(number)) for number, look in enumerate(looks)),
        found.pages,
        sample.all_pages,
        tuple(said for said in (sample.stopped, *found.says) if said is not None),
    )


def _walked(
    kernel: Kernel,
    sampler: Sampler,
    progress: Callable[[int], None] | None,
    met: Callable[[WalkPart], None] | None = None,
) -> Iterator[Blocks]:
    """All blocks of the pool: those of the walk, and whole pages where the walk does not have them."""
    walked = 0
    for part in walk_pool(kernel, progress):
        if part.stopped is not None:
            sampler.stopped = part.stopped
        if met is not None:
            met(part)
        yield part.blocks
        walked += part.mapped
        if walked > MAX_WALKED:
            sampler.stopped = (
                f"more than {MAX_WALKED:,} pages of kernel memory are mapped: the blocks behind were not met"
            )
            break
    if has_classic_pool(kernel):
        yield from BigIndex(read_big_pages(kernel), Teller()).rest()


@dataclass(slots=True, eq=False)
class _Look:
    """The words of a tag's sampled blocks: a row for each block, zero where there is no block or no memory."""

    wanted: Wanted
    blocks: Blocks
    words: Words
    read: int
    module: NDArray[np.int64]
    gone: NDArray[np.int64]
    other: NDArray[np.bool_]
    objects: Objects | None
    target: NDArray[np.int64] | None = None


class _Outward:
    """Looks up what the words of blocks lead to."""

    def __init__(
        self, kernel: Kernel, images: Sequence[Image], gone: Gone, types: ObjectTypes | None, sample: PoolSample
    ) -> None:
        self.kernel, self.images, self.gone, self.types, self.sample = kernel, images, gone, types, sample
        self._modules = Ranged([(image.base, image.end) for image in images])
        self._gone = Ranged(gone.ranges)
        self.blocks: Blocks = sample.around[:0]
        self.bodies: NDArray[np.uint64] = np.empty(0, np.uint64)
        self.types_of: list[str | None] = []

    def before(self, addresses: Words, name: str) -> tuple[str, ...]:
        """The unloaded drivers, other than ``name``, that lay at addresses where a driver is loaded now."""
        ranges = np.unique(self._gone.find(addresses)).tolist()
        names = (gone for number in ranges if number >= 0 for gone in self.gone.names[number])
        return tuple(dict.fromkeys(other for other in names if other.casefold() != name.casefold()))

    def look(self, wanted: Wanted, blocks: Blocks) -> _Look:
        """Read the blocks of a tag, and find the modules that their words lead to."""
        width = self.kernel.pointer_size
        starts = data_starts(blocks, width)
        ends = blocks["address"] + blocks["size"]
        words, read = read_words(self.kernel.memory.space, starts, ends, MAX_LOOKED // width, width)
        can_be = _addresses(words, width)
        flat = np.where(can_be, words, np.uint64(0)).reshape(-1)
        module = self._modules.find(flat).reshape(words.shape)
        gone = np.where(module < 0, self._gone.find(flat).reshape(words.shape), -1)
        other = can_be & (module < 0) & (gone < 0)
        # Only where many blocks hold some address it is worth to know which block that is in
        other &= (other.sum(axis=0) >= max(MIN_BLOCKS, MIN_SHARE * read))[None, :]
        objects = None
        if self.types is not None and len(blocks):
            objects = self.types.in_blocks(_octets(words, width), starts)
        return _Look(wanted, blocks, words, read, module, gone, other, objects)

    def resolve(self, looks: Sequence[_Look], again: Callable[[], Iterator[Blocks]]) -> None:
        """Find the blocks of the pool that the other words lead to; ``again`` walks the pool once more."""
        wanted = distinct(np.concatenate([look.words[look.other] for look in looks] or [np.empty(0, np.uint64)]))
        if not len(wanted):
            return
        parts: Iterable[Blocks] = (self.sample.around, self.sample.big)
        if not self.sample.whole and self.sample.all_pages <= MAX_SECOND_WALK:
            parts = again()
        self.blocks = blocks_around(parts, wanted)
        for look in looks:
            look.target = np.full(look.words.shape, -1, np.int64)
            look.target[look.other] = find_blocks(self.blocks, look.words[look.other])
        self._find_objects()

    def _find_objects(self) -> None:
        """Find out which of the blocks that are pointed at are objects, and where their bodies begin."""
        count = len(self.blocks)
        if self.types is None or not count or count > MAX_TARGETS:
            return
        width = self.kernel.pointer_size
        starts = data_starts(self.blocks, width)
        ends = self.blocks["address"] + self.blocks["size"]
        bodies: list[NDArray[np.uint64]] = []
        for begin in range(0, count, _AT_ONCE):
            some = slice(begin, begin + _AT_ONCE)
            words, _read = read_words(self.kernel.memory.space, starts[some], ends[some], HEAD_BYTES // width, width)
            found = self.types.in_blocks(_octets(words, width), starts[some])
            bodies.append(starts[some] + found.bodies.astype(np.uint64))
            self.types_of += [found.names[kind] if kind >= 0 else None for kind in found.kinds.tolist()]
        self.bodies = np.concatenate(bodies)


def read_words(
    space: AddressSpace, starts: Words, ends: Words, count: int, width: int
) -> tuple[NDArray[np.uint64], int]:
    """The first ``count`` words of each block, zero behind its end and where memory is missing.

    The second value is the number of blocks whose first word could be read.
    """
    if not len(starts):
        return np.zeros((0, count), np.uint64), 0
    every = starts[:, None] + (np.arange(count, dtype=np.uint64) * np.uint64(width))[None, :]
    inside = every + np.uint64(width) <= ends[:, None]
    numbers = every >> np.uint64(12)
    pages = distinct(numbers[inside])
    if not len(pages):
        return np.zeros(every.shape, np.uint64), 0
    data, places = space.gather(pages)
    row = np.searchsorted(pages, numbers)
    row[~inside] = 0
    words = data.reshape(len(pages), -1).view(f"<u{width}")
    found = words[row, (every % np.uint64(PAGE) // np.uint64(width)).astype(np.intp)].astype(np.uint64)
    known = inside & (places >= 0)[row]
    found[~known] = 0
    return found, int(known[:, 0].sum())


def _addresses(words: Words, width: int) -> NDArray[np.bool_]:
    """Which words can be addresses of the kernel: not a byte that is repeated, and not of the last pages."""
    top = np.uint64((1 << 8 * width) - (1 << 16))
    ones = np.uint64(0x0101010101010101 if width == 8 else 0x01010101)
    filled = words == (words & np.uint64(0xFF)) * ones
    can_be: NDArray[np.bool_] = (words >= np.uint64(kernel_start(width))) & (words < top) & ~filled
    return can_be


def _octets(words: Words, width: int) -> NDArray[np.uint8]:
    narrow = np.ascontiguousarray(words.astype(f"<u{width}"))
    return narrow.view(np.uint8).reshape(len(words), -1)


def _result(look: _Look, sample: PoolSample, outward: _Outward, holders: Holders) -> TagPointers:
    signs: list[PointerSign] = []
    least = max(MIN_BLOCKS, MIN_SHARE * look.read)
    width = outward.kernel.pointer_size
    linked = np.zeros(len(look.blocks), np.bool_)
    for column in range(look.words.shape[1] if len(look.blocks) else 0):
        offset = column * width
        signs += _to_modules(look, column, offset, outward, least)
        signs += _to_gone(look, column, offset, outward.gone, least)
        signs += _to_blocks(look, column, offset, outward, least, linked)
    signs, compared = _compared(signs, look, sample, outward)
    signs.sort(key=lambda sign: (-sign.blocks, sign.offset))
    key = look.wanted
    return TagPointers(
        wanted=key,
        address=int(look.blocks["address"][0]) if len(look.blocks) else None,
        seen=sample.seen[key],
        sampled=len(look.blocks),
        read=look.read,
        signs=tuple(_few_of_each(signs)),
        holders=holders.others(tag_text(key[0])),
        objects=_objects(look),
        compared=compared,
        linked=int((linked | holders.linked(tag_text(key[0]), look.blocks)).sum()),
    )


def _compared(
    signs: list[PointerSign], look: _Look, sample: PoolSample, outward: _Outward
) -> tuple[list[PointerSign], int]:
    """The signs that are modules, loaded or not, with how many blocks of other tags hold the same at that offset."""
    others = others_like(sample, look.blocks, look.wanted[0]) if signs else look.blocks[:0]
    if not len(others):
        return signs, 0
    compared = outward.look(look.wanted, others)
    found: list[PointerSign] = []
    for sign in signs:
        column = sign.offset // outward.kernel.pointer_size
        count = 0
        if sign.to is PointsTo.MODULE:
            numbers = [n for n, image in enumerate(outward.images) if image.name == sign.name]
            count = int(np.isin(compared.module[:, column], numbers).sum())
        elif sign.to is PointsTo.UNLOADED:
            numbers = [n for n, names in enumerate(outward.gone.names) if names == (sign.name, *sign.others)]
            count = int(np.isin(compared.gone[:, column], numbers).sum())
        found.append(replace(sign, elsewhere=count))
    return found, compared.read


def _few_of_each(signs: Sequence[PointerSign]) -> Iterator[PointerSign]:
    told: Counter[tuple[PointsTo, str]] = Counter()
    for sign in signs:
        told[sign.to, sign.name] += 1
        if told[sign.to, sign.name] <= MAX_OFFSETS and len(told) <= MAX_SIGNS:
            yield sign


def _to_modules(look: _Look, column: int, offset: int, outward: _Outward, least: float) -> Iterator[PointerSign]:
    places = look.module[:, column]
    for number, count in Counter(places[places >= 0].tolist()).items():
        if count < least:
            continue
        image = outward.images[number]
        address, same = Counter(look.words[places == number, column].tolist()).most_common(1)[0]
        yield PointerSign(
            offset=offset,
            to=PointsTo.MODULE,
            name=image.name,
            blocks=count,
            same=same,
            relative=address - image.base,
            code=image.is_code(address),
            others=outward.before(look.words[places == number, column], image.name),
        )


def _to_gone(look: _Look, column: int, offset: int, gone: Gone, least: float) -> Iterator[PointerSign]:
    places = look.gone[:, column]
    groups: dict[tuple[str, ...], list[int]] = {}
    for number in np.unique(places[places >= 0]).tolist():
        groups.setdefault(gone.names[number], []).append(number)
    for names, numbers in groups.items():
        mine = np.flatnonzero(np.isin(places, numbers))
        if len(mine) < least:
            continue
        starts = np.array([gone.starts[number] for number in places[mine].tolist()], np.uint64)
        relative, same = Counter((look.words[mine, column] - starts).tolist()).most_common(1)[0]
        yield PointerSign(
            offset=offset,
            to=PointsTo.UNLOADED,
            name=names[0],
            blocks=len(mine),
            same=same,
            relative=relative,
            others=names[1:],
        )


def _to_blocks(
    look: _Look, column: int, offset: int, outward: _Outward, least: float, linked: NDArray[np.bool_]
) -> Iterator[PointerSign]:
    if look.target is None:
        return
    rows = look.target[:, column]
    some = np.flatnonzero(rows >= 0)
    if not len(some):
        return
    blocks = outward.blocks[rows[some]]
    own = blocks["tag"] == look.wanted[0]
    linked[some[own]] = True
    living = ~own & (blocks["state"] == State.ALLOCATED)
    for tag, count in Counter(blocks["tag"][living].tolist()).items():
        if count >= least:
            yield PointerSign(offset=offset, to=PointsTo.TAG, name=tag_text(tag), blocks=count)
    if outward.types_of:
        words = look.words[some, column]
        body = outward.bodies[rows[some]] == words
        types = Counter(outward.types_of[row] for row in rows[some[body & ~own]].tolist())
        for name, count in types.items():
            if name is not None and count >= least:
                yield PointerSign(offset=offset, to=PointsTo.OBJECT, name=name, blocks=count)


def _objects(look: _Look) -> tuple[ObjectCount, ...]:
    found = look.objects
    if found is None:
        return ()
    counts = []
    for number, name in enumerate(found.names):
        mine = found.kinds == number
        if int(mine.sum()) >= MIN_BLOCKS:
            closed = int((mine & (found.handles == 0)).sum())
            counts.append(ObjectCount(type=name, blocks=int(mine.sum()), closed=closed))
    return tuple(sorted(counts, key=lambda count: -count.blocks))
