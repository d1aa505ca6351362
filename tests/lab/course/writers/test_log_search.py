"""Who imports the routine without a tag: the addresses of the log stand so in the simulated memory."""

import io
from collections.abc import Callable

import pytest

from poolsleuth.evidence.debugger_log.reader import LogReader
from poolsleuth.lab.course.writers.debugger_log import debugger_log
from poolsleuth.lab.course.writers.log_search import asks_who, hits, routines
from poolsleuth.lab.simulate import SimulatedMachine
from poolsleuth.model.modules import MemoryHit, ModuleList, PointerTable, SymbolAddress

Simulated = Callable[[str, str], SimulatedMachine]
EACH = ["2600-x86", "3790-x86-pae", "6002-x64", "7601-x64", "17763-x64", "22000-x64"]


def memory(machine: SimulatedMachine, address: int, size: int) -> bytes:
    physical = machine.system.translate(address)
    assert physical is not None
    return machine.physical.read(physical, size)


@pytest.mark.parametrize("windows", EACH)
def test_the_hit_stands_in_memory(simulated: Simulated, windows: str) -> None:
    machine = simulated(windows, "untagged")
    truth, width = machine.truth, machine.truth.windows.pointer
    assert asks_who(truth)
    found = hits(truth)
    assert [hit.module.name for hit in found] == ["oldcard.sys"]
    for hit in found:
        for number, word in enumerate(hit.words):
            data = memory(machine, hit.address + number * width, width)
            assert int.from_bytes(data, "little") == word
    assert found[0].words[0] == routines(truth)["ExAllocatePool"]


@pytest.mark.parametrize("windows", EACH)
def test_the_log_says_it(simulated: Simulated, windows: str) -> None:
    truth = simulated(windows, "untagged").truth
    reader = LogReader(0)
    facts = list(reader.read(io.BytesIO(debugger_log(truth).encode("cp1252"))))
    assert not reader.problems
    address = routines(truth)["ExAllocatePool"]
    (symbol,) = (fact for fact in facts if isinstance(fact, SymbolAddress))
    assert (symbol.symbol, symbol.address) == ("nt!ExAllocatePool", address)
    (hit,) = (fact for fact in facts if isinstance(fact, MemoryHit))
    (own,) = hits(truth)
    assert (hit.address, hit.values[0]) == (own.address, address)
    (table,) = (fact for fact in facts if isinstance(fact, PointerTable))
    assert [(row.address, row.value) for row in table.rows][: len(own.words)] == [
        (own.address + number * truth.windows.pointer, word) for number, word in enumerate(own.words[:5])
    ]
    assert table.rows[0].symbol == "nt!ExAllocatePool"
    told = [one for fact in facts if isinstance(fact, ModuleList) for one in fact.modules if one.name == "oldcard"]
    assert {one.start for one in told} == {own.module.base}


def test_nobody_asks_where_everything_has_a_tag(simulated: Simulated) -> None:
    truth = simulated("22000-x64", "leak").truth
    assert not asks_who(truth)
    assert "!for_each_module" not in debugger_log(truth)
