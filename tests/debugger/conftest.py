"""Dumps of the simulated machine, for the commands of the shell."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest

from poolsleuth.cli.shell import opened
from poolsleuth.debugger.shell import Shell
from poolsleuth.debugger.target import Target
from poolsleuth.evidence.dump.options import DumpOptions
from poolsleuth.lab.catalogue import windows_named
from poolsleuth.lab.containers.kinds import DumpKind
from poolsleuth.lab.machine import Hidden
from poolsleuth.lab.simulate import SimulatedMachine, simulate
from poolsleuth.lab.stories import make_machine, small_size


@cache
def _machine(name: str, story: str, left_out: float) -> SimulatedMachine:
    hidden = Hidden(transition=0.2, paged_out=left_out, left_out=left_out)
    size = replace(small_size(), ram_bytes=1 << 30)
    return simulate(make_machine(windows_named(name), story, size=size, hidden=hidden))


@pytest.fixture(scope="session")
def lab_dump(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., tuple[Path, SimulatedMachine]]:
    """Writes a dump of a simulated machine, once for each."""
    folder = tmp_path_factory.mktemp("dumps")

    def write(name: str, story: str = "leak", left_out: float = 0.0) -> tuple[Path, SimulatedMachine]:
        machine = _machine(name, story, left_out)
        path = folder / f"{name}-{story}-{left_out}.dmp"
        if not path.exists():
            machine.write(path, DumpKind.BITMAP_FULL)
        return path, machine

    return write


@pytest.fixture(scope="session")
def target_of(lab_dump: Callable[..., tuple[Path, SimulatedMachine]]) -> Iterator[Callable[..., Target]]:
    """Opens a dump of a simulated machine for the commands, once for each: no test may change a target."""
    with ExitStack() as stack:

        @cache
        def open_it(name: str, story: str = "leak", left_out: float = 0.0) -> Target:
            path, _ = lab_dump(name, story, left_out)
            return stack.enter_context(opened(str(path), DumpOptions(offline=True)))

        yield open_it


@pytest.fixture
def run(target_of: Callable[..., Target]) -> Callable[..., list[str]]:
    """Runs one command line on a machine: the lines of output, without the prompt and the blank line at the end."""

    def lines(command: str, name: str = "19041-x64", **more: object) -> list[str]:
        with Shell(target_of(name, **more)) as shell:
            printed = list(shell.run(command))
        return printed[1:-1]

    return lines
