"""Which loaded modules' code uses the tags that lead the pools of a dump."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from time import process_time

from poolsleuth.evidence.dump.context import DumpContext
from poolsleuth.evidence.dump.module_memory import ModuleMemory, function_addresses, module_memories
from poolsleuth.evidence.dump.options import CodeReader
from poolsleuth.kernel.modules import read_modules
from poolsleuth.kernel.target import Kernel
from poolsleuth.model.errors import InputError
from poolsleuth.model.facts import Fact
from poolsleuth.model.tag_code import TagSearch, TagUser
from poolsleuth.model.tags import PoolKind, TagRow, TagTable
from poolsleuth.windows.shared_tags import ROUTINES

MAX_TAGS = 6  # that are looked for: the findings accuse one to three tags, and each costs a pass over all modules
TAGS_OF_A_POOL = 3  # the largest; a tag behind the third is never what a pool is full of
WORTH_SHARE = 0.10  # of all tagged bytes of a pool: no pattern accuses a smaller tag for its share
WORTH_BYTES = 16 << 20  # of a tag: patterns look at it however large the pool is
NEVER_FREED = 0.10  # frees by allocations: what is used and given back is freed nearly as often
WORTH_BLOCKS = 1000  # blocks that were never freed are conspicuous from here on
MAX_CODE = 24 << 20  # bytes of the modules that use a tag: most have one or two users, and a MB takes 0.1 s at most
MAX_SECONDS = 5.0  # of the processor, should a hostile module be slow to read: all of a usual dump take 0.2 to 0.8 s


def code_facts(kernel: Kernel, told: Sequence[Fact], context: DumpContext, code: CodeReader | None) -> Iterator[Fact]:
    """Search all modules for the leading tags; nothing when none is large enough to be accused of anything."""
    tags = leading_tags(told)
    if not tags or code is None:
        return
    loaded = read_modules(kernel)
    if not loaded.modules:
        return  # why is told where the list itself is read
    addresses = function_addresses(kernel, loaded.modules, sorted(code.functions))
    search = _Search(kernel.architecture, tags, addresses, code, context)
    users = [user for memory in module_memories(kernel, loaded.modules) for user in search.module(memory)]
    yield TagSearch(
        **context.base(loaded.address),
        tags=tags,
        modules=search.modules,
        unseen=tuple(search.unseen),
        unfinished=tuple(search.unfinished),
        partial=search.counts["partial"],
        unread_code=search.counts["unread"],
        paged=search.counts["paged"],
        unread_pageable=search.counts["pageable"],
        functions=len(set(addresses.values())),
        whole_list=loaded.whole,
    )
    yield from users


def leading_tags(told: Sequence[Fact]) -> tuple[str, ...]:
    """The tags that a pattern may accuse: the largest of each pool of the system, and those that nobody freed.

    Tags that the kernel itself puts on what drivers ask for are no driver's, and left out.
    """
    every = [fact for fact in told if isinstance(fact, TagTable) and fact.session is None]
    found: list[str] = []
    for pool in (PoolKind.NONPAGED, PoolKind.PAGED):
        tables = [table for table in every if pool in table.pools]
        rows = [row for table in tables[-1:] for row in table.rows if row.pool is pool and row.bytes]
        total = sum(row.bytes or 0 for row in rows)
        large = [row for row in rows if (row.bytes or 0) >= min(WORTH_BYTES, WORTH_SHARE * total)]
        largest = sorted(large, key=lambda row: (-(row.bytes or 0), row.tag))[:TAGS_OF_A_POOL]
        kept = [row for row in rows if _never_freed(row)]
        longest = sorted(kept, key=lambda row: (-(row.outstanding or 0), row.tag))[:TAGS_OF_A_POOL]
        found += [row.tag for row in (*largest, *longest) if row.tag not in ROUTINES]
    # The largest of both pools first, whatever was cut off
    return tuple(tag for tag, _ in sorted(Counter(found).items(), key=lambda item: (-item[1], found.index(item[0]))))[
        :MAX_TAGS
    ]


def _never_freed(row: TagRow) -> bool:
    many = (row.outstanding or 0) >= WORTH_BLOCKS
    return many and row.frees is not None and row.frees <= NEVER_FREED * (row.allocs or 0)


class _Search:
    """A search through all modules: what is found, and what could not be looked at."""

    def __init__(
        self,
        machine: str,
        tags: tuple[str, ...],
        addresses: Mapping[int, str],
        code: CodeReader,
        context: DumpContext,
    ) -> None:
        self._machine, self._tags, self._addresses = machine, tags, addresses
        self._code, self._context = code, context
        self._end = process_time() + MAX_SECONDS
        self._left = MAX_CODE
        self.modules = 0
        self.unseen: list[str | None] = []
        self.unfinished: list[str | None] = []
        self.counts: Counter[str] = Counter()

    def module(self, memory: ModuleMemory) -> Iterator[TagUser]:
        """What one module says."""
        module = memory.module
        self.modules += 1
        if not memory.pages_read:
            self.unseen.append(module.name)
            return
        if (self._left < 0 or process_time() > self._end) and self._may_hold(memory.data):
            self.unfinished.append(module.name)
            return
        try:
            found = self._code.read(
                memory.read, module.base, len(memory.data), self._machine, self._addresses, self._tags
            )
        except InputError:  # its headers are damaged, or those of another processor
            self.unseen.append(module.name)
            return
        self.counts["unread"] += found.unread_code
        self.counts["partial"] += found.unread_code > 0
        self.counts["pageable"] += found.unread_pageable
        self.counts["paged"] += found.unread_pageable > 0
        self._left -= len(memory.data) if found.uses else 0
        for use in found.uses:
            yield TagUser(
                **self._context.base(module.base + use.places[0]),
                driver=module.name,
                base=module.base,
                timestamp=found.timestamp if found.timestamp is not None else module.time_stamp,
                use=use,
            )

    def _may_hold(self, data: bytes) -> bool:
        """Whether code that was not read may use one of the tags. ARM64 code holds a tag in two halves."""
        return self._machine == "arm64" or any(tag.encode("latin-1", "replace").ljust(4) in data for tag in self._tags)
