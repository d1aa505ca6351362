"""What happened to the machine: each story changes a usual machine into one whose trouble is known."""

from collections.abc import Callable
from dataclasses import replace

from poolsleuth.lab.contents import BlockContents, Place
from poolsleuth.lab.draft import (
    ARTICLE_BYTES,
    LEAKED_PAIRS,
    MOST_FRAGMENTED,
    USUALLY_HIDDEN,
    Draft,
    Size,
    check_hidden,
    finish,
    make_draft,
    small_size,
)
from poolsleuth.lab.machine import (
    PAGE,
    Hidden,
    Machine,
    SimulatedWindows,
)
from poolsleuth.lab.segment_heap.usual import fragment_heap
from poolsleuth.lab.usual_blocks import fragment
from poolsleuth.lab.usual_figures import (
    GB,
    MB,
    Failures,
    bytes_of,
)
from poolsleuth.model.errors import InputError

__all__ = ["LEAKED_PAIRS", "STORIES", "Draft", "Size", "make_machine", "small_size", "usual_size"]


def _healthy(_draft: Draft) -> None:
    """Nothing is wrong."""


def _leak(draft: Draft) -> None:
    draft.drivers["leaky.sys"] = ("ExAllocatePoolWithTag",)
    draft.leak("Leak", "nonpaged", size=draft.room("nonpaged"), each=1024)
    draft.contents.append(
        BlockContents(tag="Leak", links=0, code=Place(0x18, "leaky.sys", 0x1A40), data=Place(0x28, "leaky.sys", 0x2050))
    )
    draft.failures = Failures(
        count=37,
        by_pool=((20, 10, 7), (0, 0, 0), (0, 0, 0)),
        reasons=(("NonPagedNoPagesAvailable", 30), ("NonPagedNoPtes", 7)),
    )


def _paged_leak(draft: Draft) -> None:
    draft.drivers["pagehog.sys"] = ("ExAllocatePoolWithTag",)
    draft.leak("HogP", "paged", size=draft.room("paged"), each=2064)
    draft.contents.append(BlockContents(tag="HogP", code=Place(0x10, "pagehog.sys", 0x1B10)))
    draft.failures = Failures(
        count=818,
        by_pool=((0, 0, 0), (800, 11, 7), (0, 0, 0)),
        reasons=(("PagedNoPagesAvailable", 11), ("PagedNoPtes", 800), ("PagedNoCommit", 7)),
    )


def _untagged(draft: Draft) -> None:
    draft.drivers["oldcard.sys"] = ("ExAllocatePool", "ExFreePool", "MmAllocateContiguousMemory")
    draft.leak("None", "nonpaged", size=draft.room("nonpaged"), each=272)
    draft.contents.append(BlockContents(tag="None", code=Place(0x20, "oldcard.sys", 0x18C8)))
    draft.failures = Failures(count=4, by_pool=((4, 0, 0), (0, 0, 0), (0, 0, 0)), reasons=(("NonPagedNoPtes", 4),))


def _session_full(draft: Draft) -> None:
    draft.full_sessions[1] = 0.994
    draft.failures = Failures(
        count=212, by_pool=((0, 0, 0), (0, 0, 0), (0, 12, 200)), reasons=(("SessionPagedNoPtes", 212),)
    )


def _handle_leak(draft: Draft) -> None:
    count = 400_000 if draft.size.ram_bytes >= GB else 20_000
    draft.leak("Even", "nonpaged", size=count * 128, each=128)
    draft.leak("Thre", "nonpaged", size=count // 40 * 1216, each=1216)
    draft.leak("Sema", "nonpaged", size=count // 40 * 112, each=112)
    draft.leak("Toke", "paged", size=count // 60 * 1536, each=1536)
    draft.leak("Obtb", "paged", size=count // 256 * PAGE, each=PAGE)
    for tag, kind in (("Even", "Event"), ("Thre", "Thread"), ("Sema", "Semaphore"), ("Toke", "Token")):
        draft.contents.append(BlockContents(tag=tag, object_type=kind, closed=0.003))

    def give(machine: Machine) -> Machine:
        *others, last = machine.processes
        return replace(machine, processes=(*others, replace(last, name="handlehog.exe", handles=count)))

    draft.changes.append(give)


def _unloaded(draft: Draft) -> None:
    """The driver is gone, and no tag is named like it: only its addresses in the blocks tell."""
    draft.leak("Tq7x", "nonpaged", size=min(6 * MB, draft.room("nonpaged") // 2), each=512)
    draft.leak_pages("Tq7x", "nonpaged", count=LEAKED_PAIRS)
    draft.contents.append(BlockContents(tag="Tq7x", code=Place(0x18, "acmetmp.sys", 0x1A40)))


def _retainer(draft: Draft) -> None:
    """reqsrv.sys makes the blocks; keeper.sys keeps the address of every one, so that they are never freed."""
    draft.drivers["reqsrv.sys"] = ("ExAllocatePoolWithTag",)
    draft.drivers["keeper.sys"] = ("ExAllocatePoolWithTag",)
    draft.leak("Kpr2", "nonpaged", size=256 * 1024, each=256)
    draft.leak("Rqst", "nonpaged", size=draft.room("nonpaged") // 2, each=1024)
    draft.leak_pages("Rqst", "nonpaged", count=LEAKED_PAIRS)
    draft.failures = Failures(
        count=12, by_pool=((12, 0, 0), (0, 0, 0), (0, 0, 0)), reasons=(("NonPagedNoPagesAvailable", 12),)
    )
    draft.contents += [
        BlockContents(tag="Kpr2", code=Place(0x8, "keeper.sys", 0x1C20)),
        BlockContents(tag="Rqst", code=Place(0x20, "reqsrv.sys", 0x1990), table_in="keeper.sys", held_by="Kpr2"),
    ]


def _lock(draft: Draft) -> None:
    draft.leak("CM31", "paged", size=min(64 * MB, draft.room("paged") // 4), each=4096)

    def give(machine: Machine) -> Machine:
        first, *others = machine.resources
        held = replace(
            first,
            owners=first.owners[:1] * 10,
            contention=9_149_810,
            shared_waiters=718,
            exclusive_waiters=21,
            table_size=16,
        )
        return replace(machine, resources=(held, *others))

    draft.changes.append(give)


def _failures(draft: Draft) -> None:
    draft.failures = Failures(
        count=4711,
        by_pool=((200, 10, 1), (4000, 390, 10), (100, 0, 0)),
        reasons=(("NonPagedNoCommit", 211), ("PagedNoCommit", 4400), ("SessionPagedNoCommit", 100)),
    )
    draft.commit_full = True


def _fragmentation(draft: Draft) -> None:
    """As on the article's machine, pages in use are about one and a half times what the tags hold."""
    draft.drivers["churner.sys"] = ("ExAllocatePoolWithTag", "ExFreePoolWithTag", "MmAllocateContiguousMemory")
    pool = draft.pools.get("nonpaged")
    held = bytes_of(list(draft.tags.values()), "nonpaged") // PAGE
    peak = min(held, MOST_FRAGMENTED, draft.room("nonpaged") // PAGE)
    if pool is not None:
        fragment(pool, peak, draft.random)
    for heap in draft.heaps.of("nonpaged")[1:2]:
        # Twice the load: this allocator gives back each page that comes free
        fragment_heap(heap, 2 * peak, draft.random)


STORIES: dict[str, tuple[str, Callable[[Draft], None]]] = {
    "healthy": ("nothing is wrong", _healthy),
    "leak": ("leaky.sys leaks nonpaged pool with the tag Leak, until allocations fail", _leak),
    "paged-leak": ("pagehog.sys leaks paged pool with the tag HogP", _paged_leak),
    "untagged": ("oldcard.sys leaks nonpaged pool without a tag (None)", _untagged),
    "session-full": ("the pool of session 1 is full, the system's pools are fine", _session_full),
    "handle-leak": ("handlehog.exe leaks handles, mostly of events", _handle_leak),
    "unloaded": ("acmetmp.sys was unloaded and left nonpaged pool with the tag Tq7x behind", _unloaded),
    "retainer": ("reqsrv.sys makes blocks with the tag Rqst, and keeper.sys never lets them go", _retainer),
    "lock-contention": ("the registry lock has hundreds of waiters", _lock),
    "pool-failures": ("allocations fail because the commit limit was reached", _failures),
    "fragmentation": (
        "churner.sys takes and gives back blocks of 0xF18 bytes: small blocks pin the pages (not on Windows 10 1809)",
        _fragmentation,
    ),
    "huge": ("64 GB, 64 processors, 20,000 tags, a million big allocations; nothing is wrong", _healthy),
}
"""Name to what happened, in words, and the function that makes it happen."""


def usual_size(windows: SimulatedWindows, story: str) -> Size:
    """The size of a machine when the user asks for none. Raises InputError for a huge 32-bit machine."""
    if story == "huge":
        if windows.architecture == "x86":
            raise InputError("the story 'huge' needs a 64-bit Windows")
        return Size(ram_bytes=64 * GB, processors=64, tags=20_000, big_allocations=1_000_000, processes=60)
    if windows.architecture == "x86":
        return Size(ram_bytes=2 * GB, processors=2, tags=400, big_allocations=600)
    return Size(ram_bytes=4 * GB, processors=4, tags=800, big_allocations=1500)


def make_machine(
    windows: SimulatedWindows,
    story: str = "healthy",
    *,
    seed: int = 0,
    size: Size | None = None,
    kdbg_encoded: bool = False,
    hidden: Hidden = USUALLY_HIDDEN,
) -> Machine:
    """The truth about a machine to which that happened; the same for the same arguments.

    Raises InputError for what no such machine can be.
    """
    if story not in STORIES:
        raise InputError(f"the lab knows no story {story!r}: it has {', '.join(STORIES)}")
    chosen = size or usual_size(windows, story)
    check_hidden(windows, hidden, kdbg_encoded=kdbg_encoded)
    most = ARTICLE_BYTES if story == "fragmentation" else None
    draft = make_draft(windows, story, STORIES[story][1], seed=seed, size=chosen, most_nonpaged=most)
    draft.count_blocks()
    return finish(draft, kdbg_encoded=kdbg_encoded, hidden=hidden)
