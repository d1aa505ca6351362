"""Memory as numbers and pointers; what is missing is printed as question marks."""

from collections.abc import Callable
from pathlib import Path

import pytest

from poolsleuth.debugger.commands import memory
from poolsleuth.debugger.target import Target
from poolsleuth.lab.simulate import SimulatedMachine
from poolsleuth.model.modules import MemoryHit, SymbolAddress
from poolsleuth.reading import read_all

Run = Callable[..., list[str]]


def test_bytes(run: Run) -> None:
    assert run("db nt L12", "3790-x86") == [
        "80800000  4d 5a 90 00 03 00 00 00-04 00 00 00 ff ff 00 00  MZ..............",
        "80800010  b8 00                                            ..",
    ]


def test_double_and_quad_words(run: Run, target_of: Callable[..., Target]) -> None:
    base = target_of("19041-x64").address(target_of("19041-x64").kernel.base)
    assert run("dd nt L3") == [f"{base}  00905a4d 00000003 00000004"]
    assert run("dq nt L1") == run("dp nt L1") == [f"{base}  00000003`00905a4d"]
    assert len(run("dq nt")) == 8
    assert len(run("dqs nt")) == 16
    assert len(run("dds nt")) == 32


def test_what_is_missing(run: Run) -> None:
    assert run("dd 1000 L2") == ["00000000`00001000  ???????? ????????"]
    assert run("dq 1000 L1") == ["00000000`00001000  ????????`????????"]
    assert run("dps 1000 L1") == ["00000000`00001000  ????????`????????"]
    assert run("db 1000 L2")[0].split() == ["00000000`00001000", "??", "??", "??"]
    assert run("dd ffff0000 L1", "3790-x86") == ["ffff0000  ????????"]


def test_a_row_at_the_edge_of_a_page_that_is_missing(target_of: Callable[..., Target], run: Run) -> None:
    kernel = target_of("3790-x86").kernel
    page = next(p for p in range(kernel.base, kernel.base + (1 << 24), 0x1000) if kernel.memory.read(p, 1) is None)
    (row,) = run(f"dd {page - 8:x} L4", "3790-x86")
    words = row.split()[1:]
    assert words[2:] == ["????????", "????????"]
    assert "?" not in "".join(words[:2])


def test_the_last_addresses(run: Run) -> None:
    assert run("dd ffffffff`fffffff8 L100") == ["ffffffff`fffffff8  ???????? ????????"]


def test_a_large_dump_is_cut_and_says_how_to_go_on(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "MAX_BYTES", 32)
    lines = run("dd 80800000 L?ffffffff", "3790-x86")
    assert len(lines) == 4
    assert lines[2:] == ["...", "*** one command prints 0 KB; the next begins at 80800020"]


def test_pointers_are_named(run: Run, target_of: Callable[..., Target]) -> None:
    target = target_of("19041-x64")
    head = target.kernel.address("PsLoadedModuleList")
    assert head is not None
    first, second = run("dqs poi(nt!PsLoadedModuleList) L2")
    assert len(first.split()) == 2
    # The entry of the first module points back to the head of the list
    assert second.split()[1:] == [target.address(head), "nt!PsLoadedModuleList"]
    assert run("dds nt L1")[0].split()[1] == "00905a4d"


def test_symbols_are_read_back(run: Run, tmp_path: Path, target_of: Callable[..., Target]) -> None:
    lines = run("x nt!PoolTrack*")
    log = tmp_path / "log.txt"
    log.write_text("\n".join(["0: kd> x nt!PoolTrack*", *lines, ""]), encoding="utf-8")
    kernel = target_of("19041-x64").kernel
    found = {fact.symbol: fact.address for fact in read_all([log], None).facts[0] if isinstance(fact, SymbolAddress)}
    assert found["nt!PoolTrackTable"] == kernel.address("PoolTrackTable")
    assert all(symbol.startswith("nt!PoolTrack") for symbol in found)
    assert "not all there are" in lines[-1]


def test_near_an_address(run: Run) -> None:
    lines = run("ln nt!PoolTrackTable")
    assert "   nt!PoolTrackTable   |  " in lines[0]
    assert lines[1:3] == ["Exact matches:", "    nt!PoolTrackTable"]
    assert run("ln nt!PoolTrackTable+2")[0].split()[1] == "nt!PoolTrackTable+0x2"
    assert run("ln tcpip+5")[0].endswith("   tcpip+0x5")
    assert run("ln 1000") == ["*** no module lies at 00000000`00001000"]
    assert run("x tcpip!*") == ["*** of tcpip no symbols are known: it exports none, or they are not in this dump"]
    assert run("x nosuch!*") == ["*** there is no module nosuch"]


def test_values(run: Run) -> None:
    assert run("? 0n16") == ["Evaluate expression: 16 = 00000000`00000010"]
    assert run("? -1") == ["Evaluate expression: -1 = ffffffff`ffffffff"]
    assert run("? -1", "3790-x86") == ["Evaluate expression: -1 = ffffffff"]
    assert run("? 80800000", "3790-x86") == ["Evaluate expression: -2139095040 = 80800000"]


def test_the_search_of_article_001(
    run: Run, lab_dump: Callable[..., tuple[Path, SimulatedMachine]], tmp_path: Path
) -> None:
    """A pointer is looked for in the memory of every module."""
    _, machine = lab_dump("19041-x64")
    command = "!for_each_module s-d @#Base @#End 00905a4d"
    lines = run(command)
    log = tmp_path / "log.txt"
    log.write_text("\n".join([f"0: kd> {command}", *lines, ""]), encoding="utf-8")
    hits = {fact.address for fact in read_all([log], None).facts[0] if isinstance(fact, MemoryHit)}
    present = {module.base for module in machine.truth.modules if module.present}
    assert present
    assert present <= hits
