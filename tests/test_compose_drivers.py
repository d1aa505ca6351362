"""Which drivers and which failed allocations of a machine stand in its report."""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from poolsleuth import diagnose
from poolsleuth.compose import compose_machine
from poolsleuth.model.facts import Figure, Where
from poolsleuth.model.machine import Machine, System
from poolsleuth.model.memory import FailureReason, MemoryCounters
from poolsleuth.model.modules import Module, ModuleList, UnloadedModule, UnloadedModules
from poolsleuth.model.report import ReportMachine
from poolsleuth.patterns.pattern import Evidence
from poolsleuth.windows.pool_failures import REASONS, failure_note

TRIAGE = Path(__file__).parents[2] / "shared" / "data" / "dumps" / "triage_x64.dmp"
MB = 1 << 20
NOON = datetime(2021, 1, 5, 12, 0, 0, 654_321, tzinfo=UTC)

Compose = Callable[..., ReportMachine]


def module(name: str, start: int | None = 0x1000, end: int | None = 0x3000, **known: Any) -> Module:
    return Module(name.partition(".")[0], start, end, Where(0, 5), image=name if "." in name else None, **known)


def listed(*modules: Module, complete: bool = True, input: int = 0) -> ModuleList:  # noqa: A002
    return ModuleList(where=Where(input, 4), modules=modules, complete=complete)


def unloaded(*names: str, input: int = 0, at: datetime | None = None) -> UnloadedModules:  # noqa: A002
    rows = tuple(UnloadedModule(name, None, None, Where(input, 9), at) for name in names)
    return UnloadedModules(where=Where(input, 8), modules=rows)


@pytest.fixture
def compose() -> Compose:
    def build(*facts: Any) -> ReportMachine:
        machine = Machine(system=System(), inputs=(0,), facts=facts)
        return compose_machine(machine, Evidence(machine), [])

    return build


def names(machine: ReportMachine) -> list[str]:
    return [driver.name for driver in machine.drivers.loaded]


def test_without_a_list_nothing_is_said(compose: Compose) -> None:
    drivers = compose().drivers
    assert (drivers.loaded, drivers.complete, drivers.unloaded) == ((), None, ())


def test_a_driver_with_all_that_is_known(compose: Compose) -> None:
    row = module(
        "acme.sys", 0xFFFFF80479C50000, 0xFFFFF80479D1C000, company="Acme", version="1.2", timestamp="5A066D55"
    )
    (driver,) = compose(listed(row)).drivers.loaded
    assert (driver.name, driver.base, driver.size) == ("acme.sys", "0xfffff80479c50000", 0xCC000)
    assert (driver.company, driver.version, driver.timestamp, driver.path) == ("Acme", "1.2", "5A066D55", None)


@pytest.mark.parametrize(("start", "end"), [(None, None), (0x1000, None), (None, 0x1000), (0x1000, 0xFFF)])
def test_a_size_that_is_not_known(compose: Compose, start: int | None, end: int | None) -> None:
    (driver,) = compose(listed(module("a.sys", start, end))).drivers.loaded
    assert driver.size is None
    assert driver.base == (None if start is None else f"0x{start:x}")


def test_the_last_complete_list_counts(compose: Compose) -> None:
    machine = compose(
        listed(module("old.sys")), listed(module("a.sys"), module("b.sys")), listed(module("b.sys"), complete=False)
    )
    assert (names(machine), machine.drivers.complete) == (["a.sys", "b.sys"], True)


def test_look_ups_alone_are_gathered(compose: Compose) -> None:
    machine = compose(*(listed(module(name), complete=False) for name in ("a.sys", "b.sys", "A.SYS")))
    assert (names(machine), machine.drivers.complete) == (["A.SYS", "b.sys"], False)


def test_details_of_a_look_up_fill_the_list(compose: Compose) -> None:
    machine = compose(
        listed(module("nt", 0x8000), module("a.sys")),
        listed(module("a.sys", company="Acme"), complete=False),
        listed(Module("nt", 0x8000, None, Where(0, 7), image="ntkrnlmp.exe"), complete=False),
        listed(module("b.sys", company="Other"), complete=False),
        listed(module("a.sys", version="9"), complete=False, input=1),
    )
    assert [(d.name, d.company, d.version) for d in machine.drivers.loaded] == [
        ("ntkrnlmp.exe", None, None),
        ("a.sys", "Acme", None),  # another input may be of another boot, with another version
    ]


def test_unloadings_are_counted_by_name(compose: Compose) -> None:
    fact = unloaded("usbstor.sys", "dam.sys", "usbstor.sys", at=NOON)
    assert [(d.name, d.times, d.last_at) for d in compose(fact).drivers.unloaded] == [
        ("usbstor.sys", 2, NOON.replace(microsecond=0)),
        ("dam.sys", 1, NOON.replace(microsecond=0)),
    ]


def test_the_unloaded_drivers_of_the_last_input_count(compose: Compose) -> None:
    machine = compose(
        unloaded("a.sys", "b.sys", "c.sys"), unloaded("d.sys", "e.sys", input=1), unloaded("e.sys", input=1)
    )
    assert [(d.name, d.last_at) for d in machine.drivers.unloaded] == [("d.sys", None), ("e.sys", None)]


def vm(paged_used: int, *reasons: FailureReason, failures: int = 818) -> MemoryCounters:
    figures = {
        "nonpaged_used": 10 * MB, "nonpaged_max": 100 * MB, "paged_used": paged_used, "paged_max": 100 * MB,
        "pool_failures": failures,
    }  # fmt: skip
    known: Any = {name: Figure(value, Where(0, 2)) for name, value in figures.items()}
    return MemoryCounters(where=Where(0, 1), failure_reasons=reasons, **known)


@pytest.mark.parametrize(("used", "of_paged"), [(20 * MB, None), (95 * MB, 818)])
def test_failures_with_and_without_a_pool(compose: Compose, used: int, of_paged: int | None) -> None:
    pools = compose(vm(used)).pools
    assert (pools.failures, pools.nonpaged.failures, pools.paged.failures) == (818, None, of_paged)


def test_no_failures_are_told(compose: Compose) -> None:
    assert compose().pools.failures is None


def test_failures_that_the_kernel_counts_by_pool_stay_with_a_pool_that_has_room(compose: Compose) -> None:
    name = next(n for n in REASONS if (note := failure_note(n)) is not None and note.pool == "paged")
    pools = compose(vm(20 * MB, FailureReason(name, Figure(7, Where(0, 3))))).pools
    assert (pools.failures, pools.nonpaged.failures, pools.paged.failures) == (818, None, 7)


@pytest.mark.skipif(not TRIAGE.exists(), reason="the published dumps are not here")
def test_the_drivers_of_a_real_triage_dump() -> None:
    (machine,) = diagnose([TRIAGE]).machines
    assert len(machine.drivers.loaded) == 151
    assert machine.drivers.complete
    assert [d.name for d in machine.drivers.unloaded] == ["dam.sys", "WdBoot.sys", "hwpolicy.sys", "mcupdate.dll"]
