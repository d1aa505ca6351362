"""``poolsleuth diagnose`` on dumps: its exit status, and that a dump which tells nothing is never taken for health."""

from dataclasses import replace
from pathlib import Path

import pytest

from poolsleuth.cli.main import main
from poolsleuth.lab.catalogue import windows_named
from poolsleuth.lab.containers.kinds import DumpKind
from poolsleuth.lab.machine import BugCheck
from poolsleuth.lab.simulate import simulate
from poolsleuth.lab.stories import make_machine


def status(path: Path) -> int:
    with pytest.raises(SystemExit) as left:
        main(["diagnose", str(path)])
    assert isinstance(left.value.code, int)
    return left.value.code


@pytest.mark.parametrize(("story", "code"), [("healthy", 0), ("leak", 1)])
def test_what_was_found_is_the_status(
    story: str, code: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "MEMORY.DMP"
    simulate(make_machine(windows_named("19041-x64"), story)).write(path, DumpKind.BITMAP_KERNEL)
    assert status(path) == code
    assert "nothing could be judged" not in capsys.readouterr().err


@pytest.mark.parametrize(
    "keep", [None, 0x2000, 0x3000], ids=["header only", "cut behind the header", "cut in the bitmap"]
)
def test_a_dump_that_tells_nothing_is_not_health(
    keep: int | None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "MEMORY.DMP"
    machine = simulate(make_machine(windows_named("19041-x64"), "leak"))
    machine.write(path, DumpKind.HEADER if keep is None else DumpKind.BITMAP_KERNEL)
    if keep is not None:
        path.write_bytes(path.read_bytes()[:keep])
    assert status(path) == 2
    assert "nothing could be judged: what was given tells nothing of the pools" in capsys.readouterr().err


def test_what_could_not_be_judged_is_not_called_nothing_found(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "MEMORY.DMP"
    machine = replace(make_machine(windows_named("19041-x64"), "leak"), bug_check=BugCheck(0x7E, (0, 0, 0, 0)))
    simulate(machine).write(path, DumpKind.HEADER)
    status(path)
    shown = capsys.readouterr().out
    assert "NOT JUDGED" in shown
    assert "NOTHING FOUND" not in shown
