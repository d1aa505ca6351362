"""What the sampled blocks of a tag make of findings: who owns, who keeps, who is the victim, who is not accused."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from poolsleuth.model.block_pointers import BlockPointers, ObjectCount, PointerHolder, PointerSign, PointsTo
from poolsleuth.model.facts import Where
from poolsleuth.model.finding import Confidence, Finding, Roles, Verdict
from poolsleuth.model.modules import Module, ModuleList
from poolsleuth.model.tags import PoolKind
from poolsleuth.patterns.pointers_home import Home, with_home
from poolsleuth.patterns.thresholds import POINTERS_BLOCKS, POINTERS_NAMED

MB = 1 << 20
Run = Callable[..., Finding]


def code(name: str = "leaky.sys", blocks: int = 998, **more: Any) -> PointerSign:
    known: dict[str, Any] = {"offset": 0x18, "to": PointsTo.MODULE, "same": blocks, "relative": 0x1234, "code": True}
    return PointerSign(name=name, blocks=blocks, **(known | more))


def gone(name: str = "acmetmp.sys", blocks: int = 990, **more: Any) -> PointerSign:
    return code(name, blocks, **({"to": PointsTo.UNLOADED, "code": None} | more))


def sample(*signs: PointerSign, tag: str = "Qz71", **more: Any) -> BlockPointers:
    known: dict[str, Any] = {
        "pool": PoolKind.NONPAGED,
        "seen": 100_000,
        "sampled": 1000,
        "read": 1000,
        "holders": (),
        "objects": (),
        "linked": 0,
        "searched_pages": 500,
        "all_pages": 500,
    }
    return BlockPointers(where=Where(0, address=0x1000), tag=tag, signs=signs, **(known | more))


@pytest.fixture
def leak(finding: Run, row: Callable[..., Any], table: Callable[..., Any], modules: Callable[..., Any]) -> Run:
    """The finding about one tag that is large and was never freed, with a sample of its blocks."""

    def judge(*facts: Any, tag: str = "Qz71", pattern: str = "pool-leak", outstanding: int = 110_000) -> Finding:
        rows = table(
            row(tag, bytes=300 * MB, outstanding=outstanding, allocs=outstanding + 10, frees=10), complete=True
        )
        loaded = modules(("leaky.sys", 0x1000, 0x2000), ("keeper.sys", 0x3000, 0x4000), complete=True)
        return finding(pattern, rows, loaded, *facts)

    return judge


def says(reasons: Any) -> str:
    return "\n".join(reason.says for reason in reasons)


def test_a_driver_that_nearly_all_blocks_point_at_is_the_owner(leak: Run) -> None:
    found = leak(sample(code()))
    assert found.subject.driver == "leaky.sys"
    assert "owner: leaky.sys" in found.headline
    assert "998 of 1,000 sampled blocks of Qz71 point at leaky.sys+0x1234 (code) at offset 0x18" in says(found.because)
    assert found.roles == Roles("leaky.sys")
    assert found.verdict is Verdict.SUSPECTED  # one capture shows no leak, whoever owns it


@pytest.mark.parametrize(
    "facts",
    [
        sample(code(blocks=600)),  # another structure of the same tag may be another driver's
        sample(code(code=False)),  # data is no routine
        sample(code(code=None)),
        sample(code("fltmgr.sys")),  # a framework
        sample(code("Wdf01000.sys"), code("ndis.sys", offset=0x20)),
        sample(code(), code("second.sys", offset=0x30)),  # which of them made it?
        sample(code(blocks=40), read=40, sampled=40),
        sample(code(), seen=2000),  # 2,000 of 110,000 blocks
        sample(code(blocks=20), read=20, sampled=20),
        sample(),
    ],
    ids=["share", "data", "unknown", "framework", "frameworks", "two", "few", "part", "too few", "none"],
)
def test_nobody_is_named_on_less(facts: BlockPointers, leak: Run) -> None:
    found = leak(facts)
    assert found.subject.driver is None
    assert "owner:" not in found.headline


@pytest.mark.parametrize(
    ("blocks", "told", "owner"),
    [
        (int(POINTERS_BLOCKS.value) - 1, False, None),
        (int(POINTERS_BLOCKS.value), True, None),
        (int(POINTERS_NAMED.value) - 1, True, None),
        (int(POINTERS_NAMED.value), True, "leaky.sys"),
    ],
)
def test_edges_of_a_sample(leak: Run, blocks: int, told: bool, owner: str | None) -> None:
    found = leak(sample(code(blocks=blocks), read=blocks, sampled=blocks))
    assert ("sampled blocks of Qz71 point at leaky.sys" in says(found.because)) is told
    assert found.subject.driver == owner


def test_a_driver_of_microsoft_is_a_part_of_windows_whatever_it_is_called(
    finding: Run, row: Callable[..., Any], table: Callable[..., Any]
) -> None:
    rows = table(row("Qz71", bytes=300 * MB, outstanding=110_000, allocs=110_000, frees=0), complete=True)
    listed = Module("leaky", 1, 2, Where(0, 90), image="leaky.sys", company="Microsoft Corporation")
    loaded = ModuleList(where=Where(0, 90), modules=(listed,), complete=True)
    found = finding("pool-leak", rows, loaded, sample(code()))
    assert found.subject.driver is None
    assert "a part of Windows" in says(found.because)


def test_a_tag_of_windows_is_not_given_to_the_driver_that_waits_for_it(leak: Run, vm: Callable[..., Any]) -> None:
    """A filter's routine stands in every request that it has seen: the I/O manager still owns the requests."""
    short = vm(nonpaged_used=320 * MB, nonpaged_max=330 * MB)
    found = leak(short, sample(code("acmeflt.sys"), tag="Irp"), tag="Irp")
    assert found.subject.driver is None
    assert "acmeflt.sys" not in found.headline
    assert found.roles is None
    assert "need not keep them" in says(found.against)


def test_what_other_blocks_hold_too_was_left_in_memory(leak: Run, unloaded: Callable[..., Any]) -> None:
    """A driver that freed its blocks leaves its addresses to whoever gets the memory next, and does not clear it."""
    found = leak(sample(code(elsewhere=60), compared=200))
    assert found.subject.driver is None
    assert "60 of 200 blocks of other tags, as large as these, hold the same at offset 0x18" in says(found.against)
    assert leak(sample(code(elsewhere=40), compared=200)).subject.driver == "leaky.sys"
    assert leak(sample(code(elsewhere=2), compared=3)).subject.driver == "leaky.sys"
    stale = sample(gone(elsewhere=60), compared=200)
    assert leak(stale, unloaded("acmetmp.sys"), pattern="unloaded-driver-leak").verdict is Verdict.RULED_OUT


def test_two_drivers_are_both_told_and_neither_is_named(leak: Run) -> None:
    found = leak(sample(code(), code("second.sys", offset=0x30)))
    assert "the blocks point at several drivers (leaky.sys, second.sys)" in says(found.against)


def test_who_holds_the_addresses_is_the_retainer(leak: Run) -> None:
    holders = (
        PointerHolder(by=PointsTo.MODULE, name="keeper.sys", blocks=1000, places=1000, relative=0x2100),
        PointerHolder(by=PointsTo.TAG, name="Kpr2", blocks=900, places=900, holders=60),
        PointerHolder(by=PointsTo.TAG, name="Stal", blocks=30, places=30, holders=30),
    )
    found = leak(sample(code(), holders=holders))
    assert found.subject.driver == "leaky.sys"
    assert "owner: leaky.sys (the blocks point at its code), retainer: keeper.sys" in found.headline
    assert found.roles == Roles("leaky.sys", ("keeper.sys",))
    steps = "\n".join(found.next_steps)
    assert "find the driver" not in steps  # it is known
    assert "keeper.sys keeps blocks of Qz71: update it" in steps
    assert "`dps 1000`" in steps
    told = says(found.because)
    assert (
        "the data of keeper.sys holds the addresses of 1,000 of 1,000 sampled blocks of Qz71, from +0x2100 on" in told
    )
    assert "60 blocks of tag Kpr2 hold the addresses of 900 of 1,000" in told
    assert "Stal" not in told


def test_a_driver_that_keeps_its_own_blocks_is_not_named_twice(leak: Run) -> None:
    holder = PointerHolder(by=PointsTo.MODULE, name="leaky.sys", blocks=1000, places=1000, relative=0x2100)
    assert "retainer" not in leak(sample(code(), holders=(holder,))).headline


def test_the_driver_of_the_holding_blocks_is_the_retainer_when_they_point_at_it(leak: Run) -> None:
    holder = PointerHolder(by=PointsTo.TAG, name="Kpr2", blocks=900, places=900, holders=60)
    other = sample(code("keeper.sys"), tag="Kpr2")
    assert "retainer: keeper.sys" in leak(sample(code(), holders=(holder,)), other).headline


def test_the_tables_of_the_pool_itself_hold_nothing(leak: Run) -> None:
    holder = PointerHolder(by=PointsTo.TAG, name="Pool", blocks=1000, places=1000, holders=1)
    assert "tag Pool" not in says(leak(sample(code(), holders=(holder,))).because)


def test_where_a_part_of_the_pool_was_searched_a_holder_is_weighed_by_it(leak: Run) -> None:
    holder = PointerHolder(by=PointsTo.TAG, name="Kpr2", blocks=190, places=190, holders=190)
    assert "Kpr2" in says(leak(sample(code(), holders=(holder,), searched_pages=100)).because)
    assert "Kpr2" not in says(leak(sample(code(), holders=(holder,))).because)


def test_blocks_that_nobody_holds_look_forgotten(leak: Run) -> None:
    assert "they look forgotten" in says(leak(sample(code())).because)
    assert "forgotten" not in says(leak(sample(code(), searched_pages=100)).because)
    linked = says(leak(sample(code(), linked=1000)).because)
    assert "linked with each other" in linked
    assert "forgotten" not in linked


def test_what_the_blocks_hold_is_the_victim(leak: Run) -> None:
    held = PointerSign(offset=0x30, to=PointsTo.OBJECT, name="Event", blocks=1000)
    found = leak(sample(code(), held))
    assert found.roles == Roles("leaky.sys", (), ("Event",))
    assert "the victim Event, of which each block of Qz71 holds one" in found.explains
    assert "hold the address of an object of type Event at offset 0x30" in says(found.because)


def test_an_unloaded_driver_that_the_blocks_point_at_is_found(leak: Run, unloaded: Callable[..., Any]) -> None:
    found = leak(sample(gone()), unloaded("acmetmp.sys", "acmetmp.sys"), pattern="unloaded-driver-leak")
    assert (found.verdict, found.confidence) == (Verdict.FOUND, Confidence.HIGH)
    assert (found.subject.driver, found.subject.tag) == ("acmetmp.sys", "Qz71")
    told = "990 of 1,000 sampled blocks of Qz71 point at acmetmp.sys+0x1234, which was unloaded, at offset 0x18"
    assert told in says(found.because)


@pytest.mark.parametrize(
    ("facts", "verdict"),
    [
        (sample(gone(others=("other.sys",))), Verdict.RULED_OUT),  # both lay there
        (sample(gone(blocks=600)), Verdict.RULED_OUT),
        (sample(gone(), seen=5000), Verdict.SUSPECTED),
        (
            sample(gone(), code("leaky.sys", offset=0x28)),
            Verdict.RULED_OUT,
        ),  # one that is loaded has its code there, too
    ],
    ids=["others", "share", "part", "loaded"],
)
def test_an_unloaded_driver_is_not_found_on_less(
    facts: BlockPointers, verdict: Verdict, leak: Run, unloaded: Callable[..., Any]
) -> None:
    found = leak(facts, unloaded("acmetmp.sys", "other.sys"), pattern="unloaded-driver-leak")
    assert found.verdict is verdict


def test_objects_without_handles_are_kept_by_references(leak: Run) -> None:
    closed = sample(tag="Even", objects=(ObjectCount(type="Event", blocks=990, closed=985),))
    found = leak(closed, tag="Even", pattern="handle-leak", outstanding=500_000)
    assert "no handle of them is open" in found.headline
    assert "990 of 1,000 sampled blocks of Even are objects of type Event; 5 of them have open handles" in says(
        found.because
    )
    still = sample(tag="Even", objects=(ObjectCount(type="Event", blocks=990, closed=5),))
    assert (
        "handles that are never closed" in leak(still, tag="Even", pattern="handle-leak", outstanding=500_000).headline
    )
    assert found.subject.driver is None


def test_of_tags_in_step_the_one_that_holds_the_other_is_the_cause(
    finding: Run, row: Callable[..., Any], table: Callable[..., Any]
) -> None:
    rows = table(
        row("Aaaa", bytes=300 * MB, outstanding=400_000, allocs=400_000, frees=0),
        row("Bbbb", bytes=100 * MB, outstanding=400_000, allocs=400_000, frees=0),
        complete=True,
    )
    held = PointerSign(offset=8, to=PointsTo.TAG, name="Aaaa", blocks=1000)
    found = finding("tags-growing-together", rows, sample(held, tag="Bbbb"))
    assert found.subject.tag == "Bbbb"
    assert "Bbbb is what keeps Aaaa, and Aaaa the victim" in says(found.because)


def test_a_certain_leak_is_not_pinned_on_who_is_named_by_the_blocks_alone(leak: Run) -> None:
    home = Home("Qz71", "leaky.sys", False, False, (), (), (), (), sure=True)
    suspected = leak()
    assert with_home(suspected, home).subject.driver == "leaky.sys"
    certain = with_home(replace(suspected, verdict=Verdict.FOUND), home)
    assert certain.subject.driver is None
    assert "probable owner: leaky.sys" in certain.headline
    assert certain.roles == Roles("leaky.sys")
