"""Which modules' code uses the leading tags of a dump: what is looked for, found, and left unsaid."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest

from poolsleuth.driver_code import CODE_READER
from poolsleuth.evidence.dump import code_facts as facts_of_code
from poolsleuth.evidence.dump import module_memory
from poolsleuth.evidence.dump.code_facts import MAX_TAGS, leading_tags
from poolsleuth.evidence.dump.options import CodeReader, DumpOptions, Read
from poolsleuth.evidence.dump.reader import read_dump
from poolsleuth.lab.catalogue import windows_named
from poolsleuth.lab.containers.kinds import DumpKind
from poolsleuth.lab.simulate import SimulatedMachine, simulate
from poolsleuth.lab.stories import make_machine, small_size
from poolsleuth.model.errors import InputError
from poolsleuth.model.facts import Fact, Problem, Where
from poolsleuth.model.tag_code import CodeUse, ImageCode, TagSearch, TagUser
from poolsleuth.model.tags import Completeness, PoolKind, TagRow, TagTable

PAGE = 0x1000


@cache
def leaky(name: str = "19041-x64") -> SimulatedMachine:
    return simulate(make_machine(windows_named(name), "leak", size=small_size()))


def facts(simulated: SimulatedMachine, path: Path, code: CodeReader | None = CODE_READER) -> list[Fact]:
    simulated.write(path, DumpKind.BITMAP_KERNEL)
    problems: list[Problem] = []
    with path.open("rb") as file:
        found = read_dump(file, 0, problems, DumpOptions(code=code))
    assert not [problem.says for problem in problems if "internal error" in problem.says]
    return found


def search_of(found: Sequence[Fact]) -> TagSearch:
    (only,) = [fact for fact in found if isinstance(fact, TagSearch)]
    return only


def row(tag: str, size: int, pool: PoolKind = PoolKind.NONPAGED, *, allocs: int = 10, frees: int = 0) -> TagRow:
    return TagRow(tag, pool, allocs, frees, allocs - frees, size, Where(0))


def table(*rows: TagRow, session: int | None = None) -> TagTable:
    pools = frozenset(one.pool for one in rows)
    return TagTable(where=Where(0), rows=rows, pools=pools, completeness=Completeness.COMPLETE, session=session)


# ---- which tags ----


def test_the_largest_of_each_pool_are_looked_for() -> None:
    rows = [row("Big1", 600 << 20), row("Big2", 300 << 20), row("Tiny", 1 << 10), row("Page", 90, PoolKind.PAGED)]
    assert leading_tags([table(*rows)]) == ("Big1", "Big2", "Page")


def test_tags_of_windows_own_routines_are_left_to_the_imports() -> None:
    assert leading_tags([table(row("None", 600 << 20), row("MmCm", 300 << 20), row("Abcd", 200 << 20))]) == ("Abcd",)


def test_many_small_blocks_that_nobody_freed_are_looked_for() -> None:
    busy = row("Busy", 900 << 20, allocs=10_000_000, frees=9_999_000)
    kept, freed = row("Kept", 64_000, allocs=4000), row("Frei", 64_000, allocs=4000, frees=3990)
    assert leading_tags([table(busy, kept, freed)]) == ("Busy", "Kept")


def test_their_number_is_bounded() -> None:
    rows = [row(f"T{n:03}", 20 << 20, pool) for n in range(20) for pool in (PoolKind.NONPAGED, PoolKind.PAGED)]
    assert len(leading_tags([table(*rows)])) <= MAX_TAGS
    assert leading_tags([table(*rows, session=1)]) == ()


def test_the_last_table_of_each_pool_counts() -> None:
    """A log has one table for each pool, and several of each over time."""
    old, new = table(row("Oldt", 30 << 20)), table(row("Newt", 30 << 20))
    assert leading_tags([old, new, table(row("Page", 30 << 20, PoolKind.PAGED))]) == ("Newt", "Page")


# ---- what is found ----


@pytest.mark.parametrize("name", ["3790-x86-pae", "7601-x64", "19041-x64"])
def test_the_truth_of_the_lab_is_found(name: str, tmp_path: Path) -> None:
    simulated = leaky(name)
    found = facts(simulated, tmp_path / "x.dmp")
    search = search_of(found)
    assert "Leak" in search.tags
    assert (search.unseen, search.unfinished, search.unread_code, search.whole_list) == ((), (), 0, True)
    truth = {(m.name, m.base, CodeUse.ALLOCATES) for m in simulated.truth.modules if "Leak" in m.tags}
    truth |= {(m.name, m.base, CodeUse.DATA) for m in simulated.truth.modules if "Leak" in m.letters}
    users = [fact for fact in found if isinstance(fact, TagUser) and fact.use.tag == "Leak"]
    assert {(fact.driver, fact.base, fact.use.use) for fact in users} == truth
    assert {m.timestamp for m in simulated.truth.modules if m.name == "leaky.sys"} == {
        fact.timestamp for fact in users if fact.driver == "leaky.sys"
    }


def test_without_a_reader_of_code_nothing_is_said(tmp_path: Path) -> None:
    assert not [fact for fact in facts(leaky(), tmp_path / "x.dmp", None) if isinstance(fact, TagSearch | TagUser)]


def test_a_module_without_a_page_is_told(tmp_path: Path) -> None:
    simulated = leaky()
    (other,) = [module for module in simulated.truth.modules if module.name == "afd.sys"]
    pages = range(other.base or 0, (other.base or 0) + other.size, PAGE)
    lost = {place // PAGE for page in pages if (place := simulated.system.translate(page)) is not None}
    search = search_of(facts(replace(simulated, left_out=simulated.left_out | lost), tmp_path / "x.dmp"))
    assert search.unseen == ("afd.sys",)


def test_code_that_is_not_in_the_dump_is_counted(tmp_path: Path) -> None:
    simulated = leaky()
    (other,) = [module for module in simulated.truth.modules if module.name == "afd.sys"]
    place = simulated.system.translate((other.base or 0) + PAGE)
    assert place is not None
    search = search_of(facts(replace(simulated, left_out=simulated.left_out | {place // PAGE}), tmp_path / "x.dmp"))
    assert (search.partial, search.unread_code, search.unseen) == (1, PAGE, ())


@pytest.mark.parametrize("bound", ["MAX_SECONDS", "MAX_CODE"])
def test_beyond_the_bounds_modules_with_the_bytes_are_told(
    bound: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(facts_of_code, bound, -1)
    found = facts(leaky(), tmp_path / "x.dmp")
    assert set(search_of(found).unfinished) == {"leaky.sys", "vendorav.sys"}
    assert not [fact for fact in found if isinstance(fact, TagUser)]


def test_an_image_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    def refuse(
        read: Read, base: int, size: int, machine: str, functions: Mapping[int, str], tags: Sequence[str]
    ) -> ImageCode:
        raise InputError("no")

    search = search_of(facts(leaky(), tmp_path / "x.dmp", CodeReader(frozenset(), refuse)))
    assert len(search.unseen) == search.modules == len(leaky().truth.modules) - 1


def test_the_bytes_that_are_read_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module_memory, "MAX_TOTAL", 1 << 20)
    search = search_of(facts(leaky(), tmp_path / "x.dmp"))
    assert len(search.unseen) > 40
