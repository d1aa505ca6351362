"""Allocations that failed on a simulated machine, and its drivers, from its dump to the text of the report."""

import io
from pathlib import Path

import pytest
from rich.console import Console

from poolsleuth import diagnose
from poolsleuth.lab.catalogue import windows_named
from poolsleuth.lab.containers.kinds import DumpKind
from poolsleuth.lab.simulate import simulate
from poolsleuth.lab.stories import make_machine
from poolsleuth.model.document import from_json, to_json
from poolsleuth.model.finding import Confidence, Severity, Verdict
from poolsleuth.model.report import Report
from poolsleuth.report.terminal import render


@pytest.fixture
def leaking(tmp_path: Path) -> Report:
    """A leak of paged pool on a Windows whose paged pool is nowhere near its limit."""
    path = tmp_path / "MEMORY.DMP"
    simulate(make_machine(windows_named("19041-x64"), "paged-leak")).write(path, DumpKind.BITMAP_KERNEL)
    return diagnose([path])


def test_failures_of_no_known_pool_are_told_and_weigh(leaking: Report) -> None:
    (machine,) = leaking.machines
    truth = make_machine(windows_named("19041-x64"), "paged-leak")
    failed = truth.memory.pool_failures
    assert failed
    assert machine.pools.failures == failed
    (leak,) = [f for f in machine.findings if f.pattern == "pool-leak" and f.subject.tag == "HogP"]
    assert (leak.verdict, leak.severity, leak.confidence) == (
        Verdict.SUSPECTED,
        Severity.WARNING,
        Confidence.MEDIUM,
    )
    sentence = f"{failed:,} pool allocations failed since boot; which pool is not known"
    assert sentence in [reason.says for reason in leak.because]
    out = io.StringIO()
    render(leaking, Console(file=out, width=120))
    assert f"\n  {sentence}\n" in out.getvalue()
    (again,) = from_json(to_json(leaking)).machines
    assert (again.pools, again.drivers) == (machine.pools, machine.drivers)


def test_the_drivers_of_the_machine_are_in_its_report(leaking: Report) -> None:
    (machine,) = leaking.machines
    truth = make_machine(windows_named("19041-x64"), "paged-leak")
    assert [d.name for d in machine.drivers.loaded] == [m.name for m in truth.modules]
    assert machine.drivers.complete
    assert {d.name for d in machine.drivers.unloaded} == {d.name for d in truth.unloaded}
