"""Machines and courses for the writers: the lab's own machines, changed a little from one moment to the next."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from functools import cache
from pathlib import Path

import pytest

from poolsleuth.lab.catalogue import windows_named
from poolsleuth.lab.course.moment import Moment
from poolsleuth.lab.machine import Machine, PoolUse, TagUse
from poolsleuth.lab.simulate import SimulatedMachine, simulate
from poolsleuth.lab.stories import make_machine, small_size

SHARED = Path(__file__).parents[5] / "shared" / "data"

Course = Callable[..., Iterator[Moment]]


@cache
def _machine(windows: str, story: str) -> Machine:
    return make_machine(windows_named(windows), story, seed=3, size=small_size())


@cache
def _simulated(windows: str, story: str) -> SimulatedMachine:
    return simulate(_machine(windows, story))


def _grown(machine: Machine, step: int) -> Machine:
    """A leak of a tag of its own, one process that comes at step 3 and goes at step 6, and figures that go on."""
    tag = TagUse("Zq1 ", nonpaged=PoolUse(5000 + 10 * step, 40 + 3 * step, (4960 + 7 * step) * 96))
    processes = machine.processes
    if 3 <= step < 6:
        processes = (*processes, replace(processes[-1], pid=processes[-1].pid + 4, handles=100 + step))
    memory = replace(
        machine.memory,
        nonpaged_used=(machine.memory.nonpaged_used or 0) + step,
        available=(machine.memory.available or 0) - step,
        free_system_ptes=None if machine.memory.free_system_ptes is None else machine.memory.free_system_ptes - step,
    )
    return replace(machine, tags=(*machine.tags, tag), processes=processes, memory=memory)


@pytest.fixture
def machine() -> Callable[[str, str], Machine]:
    """``machine(windows, story)``: a machine that is not simulated."""
    return _machine


@pytest.fixture
def simulated() -> Callable[[str, str], SimulatedMachine]:
    """``simulated(windows, story)``: the same with all addresses."""
    return _simulated


@pytest.fixture
def course() -> Course:
    """``course(windows, story, steps)``: moments a minute apart, from an hour after the start on."""

    def make(windows: str = "19041-x64", story: str = "healthy", steps: int = 8) -> Iterator[Moment]:
        first = _machine(windows, story)
        for step in range(steps):
            at = first.booted_at + timedelta(hours=1, minutes=step, milliseconds=7 * step)
            yield Moment(at, _grown(first, step), min(1.0, step / 10))

    return make


@pytest.fixture
def shared() -> Callable[[str], Path]:
    """``shared(name)``: a published file, skipped by name where it is absent."""

    def find(name: str) -> Path:
        path = SHARED / name
        if not path.is_file():
            pytest.skip(f"{name} is not there")
        return path

    return find
