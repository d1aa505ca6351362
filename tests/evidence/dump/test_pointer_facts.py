"""Which tags are worth a look, and what a dump of the lab says of them."""

from collections import Counter
from pathlib import Path

import pytest

from poolsleuth.evidence.dump.pointer_facts import LEFT_BEHIND, MANY_OBJECTS, WORTH_BYTES, suspicious_tags
from poolsleuth.evidence.dump.reader import read_dump
from poolsleuth.kernel.pool.block_pointers import MAX_WANTED
from poolsleuth.lab.catalogue import windows_named
from poolsleuth.lab.containers.kinds import DumpKind
from poolsleuth.lab.simulate import simulate
from poolsleuth.lab.stories import make_machine, small_size
from poolsleuth.model.block_pointers import BlockPointers, PointsTo
from poolsleuth.model.facts import Fact, Problem, Where
from poolsleuth.model.modules import UnloadedModules
from poolsleuth.model.pool import QuotaCharges
from poolsleuth.model.tags import Completeness, PoolKind, TagRow, TagTable


def row(tag: str, size: int, blocks: int, freed: int, pool: PoolKind = PoolKind.NONPAGED) -> TagRow:
    return TagRow(
        tag=tag,
        pool=pool,
        allocs=blocks + freed,
        frees=freed,
        outstanding=blocks,
        bytes=size,
        where=Where(0, address=8),
    )


def told(*rows: TagRow, session: int | None = None) -> list[Fact]:
    return [
        TagTable(
            where=Where(0),
            rows=rows,
            pools=frozenset({PoolKind.NONPAGED, PoolKind.PAGED}),
            completeness=Completeness.COMPLETE,
            sorted_by=None,
            session=session,
        )
    ]


GONE = [UnloadedModules(where=Where(0), modules=())]


@pytest.mark.parametrize(
    ("candidate", "more", "chosen"),
    [
        (row("Leak", WORTH_BYTES, 100, 0), [], True),
        (row("Busy", WORTH_BYTES, 100, 1_000_000), [], False),  # freed, and a small part of its pool
        (row("Most", 90 * WORTH_BYTES, 100, 1_000_000), [], True),
        (row("Even", MANY_OBJECTS * 128, MANY_OBJECTS, 10**7), [], True),
        (row("MmSt", 90 * WORTH_BYTES, 100, 1_000_000), [], False),  # follows the cache: large is normal
        (row("Tiny", LEFT_BEHIND, 10, 0), [], False),
        (row("Tiny", LEFT_BEHIND, 10, 0), GONE, True),
        (row("Tiny", LEFT_BEHIND, 10, 0, PoolKind.SESSION), GONE, False),
        (row("None", 0, 0, 0), GONE, False),
    ],
)
def test_which_tags_are_worth_a_look(candidate: TagRow, more: list[Fact], chosen: bool) -> None:
    rest = row("Rest", 100 * WORTH_BYTES, 10_000, 10**9)
    found = suspicious_tags([*told(candidate, rest), *more])
    assert (candidate in found) == chosen


def test_the_largest_come_first_and_few_are_chosen() -> None:
    rows = [row(f"T{i:03}", (i + 1) * WORTH_BYTES, 100, 0) for i in range(50)]
    found = suspicious_tags(told(*rows))
    assert [each.tag for each in found] == [f"T{i:03}" for i in range(49, 49 - MAX_WANTED, -1)]
    assert suspicious_tags(told(*rows, session=1)) == []
    assert suspicious_tags([]) == []


def pointers(name: str, story: str, path: Path) -> tuple[dict[str, BlockPointers], list[Problem]]:
    simulate(make_machine(windows_named(name), story, size=small_size())).write(path, DumpKind.BITMAP_KERNEL)
    problems: list[Problem] = []
    with path.open("rb") as file:
        facts = read_dump(file, 0, problems)
    return {fact.tag: fact for fact in facts if isinstance(fact, BlockPointers)}, problems


@pytest.mark.parametrize("name", ["2600-x86", "6002-x64", "14393-x64", "22000-x64"])
def test_owner_and_retainer_of_a_lab_dump(name: str, tmp_path: Path) -> None:
    found, problems = pointers(name, "retainer", tmp_path / "x.dmp")
    assert not [p.says for p in problems if "pointers of blocks" in p.says]
    leak = found["Rqst"]
    assert leak.read == leak.sampled == 1000
    (sign,) = [sign for sign in leak.signs if sign.blocks > 900]
    assert (sign.offset, sign.name, sign.relative, sign.code) == (0x20, "reqsrv.sys", 0x1990, True)
    assert {(holder.by, holder.name) for holder in leak.holders} >= {(PointsTo.TAG, "Kpr2")}
    assert leak.holders[0].blocks == 1000
    assert leak.searched_pages == leak.all_pages


@pytest.mark.parametrize("name", ["3790-x86-pae", "7601-x64", "18362-x64"])
def test_the_objects_of_a_lab_dump(name: str, tmp_path: Path) -> None:
    found, _problems = pointers(name, "handle-leak", tmp_path / "x.dmp")
    (events,) = found["Even"].objects
    assert (events.type, events.blocks) == ("Event", found["Even"].read)
    assert 0 < events.closed < 20


def test_the_same_walk_says_which_processes_pay(tmp_path: Path) -> None:
    machine = simulate(make_machine(windows_named("9600-x64"), "retainer", size=small_size()))
    machine.write(tmp_path / "x.dmp", DumpKind.BITMAP_KERNEL)
    with (tmp_path / "x.dmp").open("rb") as file:
        facts = read_dump(file, 0, [])
    (charges,) = [fact for fact in facts if isinstance(fact, QuotaCharges)]
    wanted: Counter[int] = Counter()
    for pages in machine.truth.pool_pages:
        for block in pages.blocks[pages.blocks["process"] != 0].tolist():
            wanted[block[-1]] += block[1]
    paid: Counter[int] = Counter()
    for found in charges.rows:
        paid[found.process] += found.bytes
    assert paid == wanted
    assert paid.total() > 10_000


def test_a_healthy_machine_gives_no_sign(tmp_path: Path) -> None:
    found, problems = pointers("7601-x64", "healthy", tmp_path / "x.dmp")
    assert [(tag, fact.signs, fact.holders) for tag, fact in found.items() if fact.signs or fact.holders] == []
    assert problems == []
