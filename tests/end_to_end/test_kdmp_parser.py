"""kdmp-parser, a reader by others (MIT), opens the lab's whole machines: header, every page, every kernel address.

It reads 64-bit dumps of types 1, 5, 6, 8, 9 and 10. The walk of the page tables below is the third one, beside the
lab's own book-keeping and kdmp-parser's: it only lists the addresses that are asked for.
"""

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from poolsleuth.lab.catalogue import CATALOGUE, windows_named
from poolsleuth.lab.containers.kinds import DumpKind
from poolsleuth.lab.machine import Hidden
from poolsleuth.lab.simulate import SimulatedMachine, simulate
from poolsleuth.lab.stories import make_machine, small_size

PAGE = 4096
NAMES = [windows.name for windows in CATALOGUE if windows.architecture == "x64"]
KINDS = {
    DumpKind.COMPLETE: 1,
    DumpKind.BITMAP_FULL: 5,
    DumpKind.BITMAP_KERNEL: 6,
    DumpKind.DEBUGGER_KERNEL: 8,
    DumpKind.DEBUGGER_KERNEL_USER: 9,
    DumpKind.DEBUGGER_FULL: 10,
}
# Every Windows in two containers, every container at least three times
CASES = [(name, list(KINDS)[(2 * i + j) % len(KINDS)]) for i, name in enumerate(NAMES) for j in range(2)]
HIDDEN = Hidden(transition=0.2, paged_out=0.2, left_out=0.1)
SIZE = replace(small_size(), ram_bytes=1 << 30)  # so much memory that kernels since Windows 10 lie in large pages
FRAME = 0x000F_FFFF_FFFF_F000
LARGE = 0x80
PARTS = 16  # addresses asked for in each large page


@pytest.fixture(scope="module")
def parser() -> Callable[[Path], Any]:
    found = pytest.importorskip("kdmp_parser", reason="kdmp-parser is not installed: nobody else reads the lab's dumps")
    opened: Callable[[Path], Any] = found.KernelDumpParser
    return opened


@cache
def machine(name: str, kind: DumpKind) -> SimulatedMachine:
    # The header of a complete dump has room for 42 runs of memory: few pages can be missing
    hidden = replace(HIDDEN, left_out=0.004) if kind is DumpKind.COMPLETE else HIDDEN
    return simulate(make_machine(windows_named(name), "leak", size=SIZE, hidden=hidden))


def kernel_addresses(simulated: SimulatedMachine) -> Iterator[int]:
    """Each page of the kernel's half whose entry is not zero; several addresses of a large page."""
    own_map = simulated.system.self_map

    def walk(table: int, shift: int, virtual: int) -> Iterator[int]:
        slots = np.frombuffer(simulated.physical.read(table, PAGE), "<u8")
        for slot in np.flatnonzero(slots).tolist():
            entry, address = int(slots[slot]), virtual | slot << shift
            if shift == 39:
                if slot < 256 or slot == own_map:
                    continue
                address |= 0xFFFF << 48
            if shift == 12:
                yield address
            elif entry & LARGE and shift < 39:
                yield from range(address, address + (1 << shift), (1 << shift) // PARTS)
            elif entry & 1:
                yield from walk(entry & FRAME, shift - 9, address)

    return walk(simulated.system.dtb, 39, 0)


@pytest.mark.parametrize(("name", "kind"), CASES)
def test_it_agrees_with_the_truth(name: str, kind: DumpKind, tmp_path: Path, parser: Callable[[Path], Any]) -> None:
    simulated = machine(name, kind)
    truth, memory, system = simulated.truth, simulated.physical, simulated.system
    simulated.write(tmp_path / "a.dmp", kind)
    dump = parser(tmp_path / "a.dmp")
    header = dump.header

    assert int(dump.type) == KINDS[kind]
    assert (header.BugCheckCode, tuple(header.BugCheckCodeParameter)) == (
        truth.bug_check.code,
        truth.bug_check.parameters,
    )
    assert dump.directory_table_base == system.dtb == truth.processes[0].directory_table_base
    assert (header.MachineImageType, header.MinorVersion) == (0x8664, truth.windows.build)
    assert header.NumberProcessors == truth.processors
    assert header.PsLoadedModuleList == truth.places["PsLoadedModuleList"]
    assert header.PsActiveProcessHead == truth.places["PsActiveProcessHead"]
    assert header.KdDebuggerDataBlock == truth.places["KdDebuggerDataBlock"]
    assert header.SystemUpTime == round((truth.crashed_at - truth.booted_at).total_seconds() * 10_000_000)

    for number in memory.pages():
        read = dump.read_physical_page(number * PAGE)
        assert read == (None if number in simulated.left_out else memory.read(number * PAGE, PAGE)), hex(number)

    valid = 0
    for address in kernel_addresses(simulated):
        state = system.state(address)
        # As a processor: a page in transition has memory, but no valid entry
        expected = system.translate(address) if state == "valid" else None
        assert dump.translate_virtual(address) == expected, (hex(address), state)
        valid += state == "valid"
    assert valid > 100
