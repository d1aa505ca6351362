"""What a walk of all blocks of a lab dump says: pages, tags against the tables, who pays, and what is damaged."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import TypeVar

import pytest

from poolsleuth.evidence.dump.block_facts import block_facts
from poolsleuth.evidence.dump.context import DumpContext
from poolsleuth.evidence.dump.opening import open_kernel
from poolsleuth.evidence.dump.options import DumpOptions
from poolsleuth.kernel.crash_dump.content import open_content
from poolsleuth.lab.allocator.corruption import Damage, corrupt
from poolsleuth.lab.allocator.headers import tag_text
from poolsleuth.lab.catalogue import windows_named
from poolsleuth.lab.machine import ALLOCATED, FREE, IN_LOOKASIDE, IN_USE, PAGE, Hidden, Machine, PoolUse, TagUse
from poolsleuth.lab.session_blocks import with_session_pools
from poolsleuth.lab.simulate import SimulatedMachine, simulate
from poolsleuth.lab.stories import make_machine, small_size
from poolsleuth.model.facts import Fact, Problem, Where
from poolsleuth.model.pool import PoolPages, PoolReconciliation, PoolValidation, QuotaCharges
from poolsleuth.model.system import BugCheck
from poolsleuth.model.tags import PoolKind

F = TypeVar("F", bound=Fact)
NOTHING_HIDDEN = Hidden()
CRASH = BugCheck(where=Where(0), code=0x19, parameters=(), name=None)  # a bug check of the pool: worth a walk


def made(name: str, hidden: Hidden = NOTHING_HIDDEN) -> Machine:
    machine = make_machine(windows_named(name), "leak", seed=2, size=small_size(), hidden=hidden)
    return with_session_pools(counted_by_blocks(machine), Random(3))


def counted_by_blocks(machine: Machine) -> Machine:
    """The machine with tags that count what really lies in its pages and big allocations, and nothing else."""
    counts: dict[str, dict[bool, list[int]]] = {}

    def add(tag: str, paged: bool, size: int) -> None:
        use = counts.setdefault(tag, {}).setdefault(paged, [0, 0])
        use[0] += 1
        use[1] += size

    for pages in machine.pool_pages:
        for block in pages.blocks[pages.blocks["state"] == ALLOCATED].tolist():
            add(tag_text(block[2]), pages.pool == "paged", block[1])
    for row in machine.big_pages.rows[machine.big_pages.rows["state"] == IN_USE].tolist():
        add(row[1].decode("latin-1").ljust(4), bool(row[3] & 1), row[2])

    def use(tag: str, paged: bool) -> PoolUse:
        count, size = counts[tag].get(paged, (0, 0))
        return PoolUse(5 + count, 5, size)

    uses = tuple(TagUse(tag, use(tag, False), use(tag, True)) for tag in sorted(counts))
    return replace(machine, tags=uses)


def facts_of(
    machine: SimulatedMachine, path: Path, told: Sequence[Fact] = (CRASH,)
) -> tuple[list[Fact], list[Problem]]:
    machine.write(path, "bitmap-full")
    problems: list[Problem] = []
    with path.open("rb") as file, open_content(file) as content:
        kernel = open_kernel(content, DumpOptions()).kernel
        assert kernel is not None
        return list(block_facts(kernel, list(told), DumpContext(0, 64, None, problems))), problems


def only(facts: list[Fact], kind: type[F]) -> list[F]:
    return [fact for fact in facts if isinstance(fact, kind)]


@pytest.mark.parametrize("name", ["3790-x86", "7601-x64", "14393-x64"])
def test_blocks_and_tables_agree_when_everything_is_there(name: str, tmp_path: Path) -> None:
    machine = simulate(made(name))
    facts, problems = facts_of(machine, tmp_path / "MEMORY.DMP")
    assert problems == []
    balances = {(one.pool, one.session): one for one in only(facts, PoolReconciliation)}
    assert {key for key in balances if key[1] is None} == {(PoolKind.NONPAGED, None), (PoolKind.PAGED, None)}
    for kind in (PoolKind.NONPAGED, PoolKind.PAGED):
        one = balances[kind, None]
        assert one.counted == one.found > 500_000
        assert (one.different, one.unknown, one.absent, one.certain) == (0, 0, 0, True)
        (pages,) = [p for p in machine.truth.pool_pages if p.pool == str(kind)]
        assert one.waiting == int(pages.blocks["size"][pages.blocks["state"] == IN_LOOKASIDE].sum())
    if name != "3790-x86":  # the lab knows no tag tables of sessions there
        assert {key[1] for key in balances} == {None, 0, 1}


def test_pages_are_summed_up_for_each_pool_and_session(tmp_path: Path) -> None:
    machine = simulate(made("7601-x64"))
    facts, _problems = facts_of(machine, tmp_path / "MEMORY.DMP")
    summaries = {(one.pool, one.session): one for one in only(facts, PoolPages)}
    assert set(summaries) == {
        (PoolKind.NONPAGED, None),
        (PoolKind.PAGED, None),
        (PoolKind.SESSION, 0),
        (PoolKind.SESSION, 1),
    }
    for pages in machine.truth.pool_pages:
        key = (PoolKind(pages.pool), pages.index if pages.pool == "session" else None)
        one, blocks = summaries[key], pages.blocks
        free = blocks["size"][blocks["state"] == FREE]
        assert (one.pages, one.blocks, one.allocator) == (len(pages.addresses), len(blocks), "classic")
        assert one.live_bytes == int(blocks["size"][blocks["state"] == ALLOCATED].sum())
        assert one.waiting_bytes == int(blocks["size"][blocks["state"] == IN_LOOKASIDE].sum())
        assert dict(one.free_runs) == Counter(free.tolist())
        assert (one.free_bytes, one.runs_complete, one.largest_free) == (int(free.sum()), True, int(free.max()))
        held = blocks["size"][blocks["state"] != FREE]
        alone = int((held > PAGE // 2).sum())
        assert one.packed_pages == max(alone, -(-int(held.sum()) // PAGE))


def test_pages_that_are_not_there_are_counted_by_why(tmp_path: Path) -> None:
    machine = simulate(made("7601-x64", Hidden(transition=0.2, paged_out=0.3, left_out=0.1)))
    facts, _problems = facts_of(machine, tmp_path / "MEMORY.DMP")
    (paged,) = [one for one in only(facts, PoolPages) if one.pool is PoolKind.PAGED]
    (pages,) = [p for p in machine.truth.pool_pages if p.pool == "paged"]
    mine = set(pages.addresses.tolist())
    out = {page for page in mine if machine.system.state(page) == "paged-out"}
    assert (paged.paged_out, paged.never_touched) == (len(out), 0)
    assert paged.not_in_dump == len(mine & set(machine.truth.absent_pages) - out) > 0
    (balance,) = [one for one in only(facts, PoolReconciliation) if (one.pool, one.session) == (PoolKind.PAGED, None)]
    assert balance.absent == ((paged.paged_out or 0) + (paged.not_in_dump or 0)) * PAGE
    assert 0 < balance.found < balance.counted
    assert all(row.explained and not row.more for row in balance.differences)


def test_processes_that_pay(tmp_path: Path) -> None:
    machine = simulate(made("9600-x64"))
    facts, _problems = facts_of(machine, tmp_path / "MEMORY.DMP")
    (charges,) = only(facts, QuotaCharges)
    wanted: Counter[tuple[int, str]] = Counter()
    for pages in machine.truth.pool_pages:
        for block in pages.blocks[pages.blocks["process"] != 0].tolist():
            wanted[block[-1], pages.pool] += block[1]
    assert {(row.process, str(row.pool)): row.bytes for row in charges.rows} == dict(wanted)
    names = {process.address: (process.pid, process.name) for process in machine.truth.processes}
    assert all((row.pid, row.name) == names[row.process] for row in charges.rows)
    assert [row.bytes for row in charges.rows] == sorted((row.bytes for row in charges.rows), reverse=True)
    assert (charges.unknown_blocks, charges.bytes) == (0, sum(wanted.values()))


@pytest.mark.parametrize("damage", list(Damage))
@pytest.mark.parametrize("name", ["3790-x86", "7601-x64"])
def test_every_damage_is_named_with_its_case(name: str, damage: Damage, tmp_path: Path) -> None:
    machine = simulate(make_machine(windows_named(name), "leak", seed=2, size=small_size()))
    told = corrupt(machine, damage, Random(7))
    facts, _problems = facts_of(machine, tmp_path / "MEMORY.DMP")
    (found,) = only(facts, PoolValidation)
    assert (found.valid, found.page) == (False, told.address // PAGE * PAGE)
    case = f"0x19, {'0x20' if damage is Damage.OVERRUN else int(damage)})"
    assert case in found.errors[0]
    # The links of a free block lie behind its header
    place = told.address + (2 * machine.truth.windows.pointer if damage is Damage.FREE_LIST else 0)
    assert found.errors[0].startswith(f"0x{place:x}: ")


def test_nothing_is_walked_without_a_reason(tmp_path: Path) -> None:
    machine = simulate(make_machine(windows_named("7601-x64"), "healthy", seed=2, size=small_size()))
    assert facts_of(machine, tmp_path / "MEMORY.DMP", ()) == ([], [])


def test_segment_heaps_are_walked_as_well(tmp_path: Path) -> None:
    machine = simulate(make_machine(windows_named("19041-x64"), "healthy", seed=2, size=small_size()))
    facts, _problems = facts_of(machine, tmp_path / "MEMORY.DMP")
    summaries = [one for one in only(facts, PoolPages) if one.session is None]
    assert {one.pool for one in summaries} == {PoolKind.NONPAGED, PoolKind.PAGED}
    for one in summaries:
        assert one.allocator == "segment heap"
        assert 0 < one.live_bytes < one.pages * PAGE
        assert one.paged_out is None
