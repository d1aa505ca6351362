"""What lies where: values at addresses that were computed by hand from public symbol tables, without our reader."""

import struct
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from poolsleuth.lab.catalogue import CATALOGUE, windows_named
from poolsleuth.lab.machine import Hidden, Machine, SimulatedWindows
from poolsleuth.lab.simulate import SimulatedMachine, simulate
from poolsleuth.lab.stories import make_machine, small_size

Read = Callable[[SimulatedMachine, int, int], bytes]
Small = Callable[[str, str], SimulatedMachine]


def number(raw: bytes) -> int:
    return int.from_bytes(raw, "little")


@pytest.mark.parametrize("windows", CATALOGUE, ids=lambda windows: windows.name)
def test_every_windows_is_simulated_quickly(windows: SimulatedWindows) -> None:
    simulate(make_machine(windows, "leak", size=small_size()))  # the layouts are read once
    began = time.process_time()
    machine = simulate(make_machine(windows, "leak", seed=1, size=small_size()))
    assert time.process_time() - began < 1.5  # 0.05 to 0.1 s on an idle machine
    assert machine.truth.modules[0].base is not None
    if machine.truth.processes or windows.symbols:
        assert machine.truth.processes[0].pid == 4
        assert all(process.address for process in machine.truth.processes)
    assert machine.truth.memory.committed


def test_large_machines_map_their_kernel_with_large_pages() -> None:
    machine = simulate(make_machine(windows_named("19041-x64"), size=replace(small_size(), ram_bytes=1 << 30)))
    base = machine.truth.modules[0].base or 0
    assert base % (2 << 20) == 0
    table = machine.header.directory_table_base
    for shift in (39, 30, 21):
        entry = number(machine.physical.read(table + (base >> shift & 0x1FF) * 8, 8))
        table = entry & 0x000F_FFFF_FFFF_F000
    assert entry & 0x81 == 0x81  # present, and the page size bit
    assert table % (2 << 20) == 0
    assert machine.physical.read(table, 2) == b"MZ"


def test_same_seed_same_bytes(tmp_path: Path) -> None:
    files = []
    for number_of_try in range(2):
        machine = simulate(make_machine(windows_named("19041-x64"), "leak", seed=3, size=small_size()))
        path = tmp_path / f"{number_of_try}.dmp"
        machine.write(path, "bitmap-kernel")
        files.append(path.read_bytes())
    assert files[0] == files[1]
    other = simulate(make_machine(windows_named("19041-x64"), "leak", seed=4, size=small_size()))
    other.write(tmp_path / "other.dmp", "bitmap-kernel")
    assert (tmp_path / "other.dmp").read_bytes() != files[0]


def test_counters_of_19041(small: Small, read: Read) -> None:
    # ntkrnlmp 5278AFF86C341677D7D7835C85B7B844-1: MiState C4C740, MiSystemPartition C50BC0, ExPoolFailures C190F8
    machine = small("19041-x64", "leak")
    base, memory = machine.truth.modules[0].base or 0, machine.truth.memory
    state, partition = base + 0xC4C740, base + 0xC50BC0
    # row 19041.804: 8 | 2630 | 2628 / 2620 | 2698; partition 1B10 1BC0 1C00 1D28 1DA8 1840
    assert number(read(machine, state + 0x8, 8)) == memory.nonpaged_used
    assert number(read(machine, state + 0x2630, 8)) == memory.nonpaged_max == 4294967296
    assert number(read(machine, state + 0x2628, 8)) == memory.paged_used
    assert number(read(machine, state + 0x2620, 8)) == memory.paged_max
    assert number(read(machine, state + 0x2698, 8)) == memory.free_system_ptes
    assert number(read(machine, partition + 0x1B10, 8)) == memory.physical == 16384
    assert number(read(machine, partition + 0x1BC0, 8)) == memory.available
    assert number(read(machine, partition + 0x1D28, 8)) == memory.committed
    assert number(read(machine, partition + 0x1DA8, 8)) == memory.commit_limit
    assert number(read(machine, base + 0xC190F8, 4)) == memory.pool_failures == 37
    assert memory.failure_reasons is None
    assert memory.failures_by_pool is None
    assert memory.paged_commit is None


def test_failures_of_14393(small: Small, read: Read) -> None:
    machine = small("14393-x64", "pool-failures")
    state = (machine.truth.modules[0].base or 0) + 0x323280
    # PoolFailures 30 and PoolFailureReasons 54; the eighth reason is PagedNoCommit
    assert struct.unpack("<9I", read(machine, state + 0x30, 36)) == (200, 10, 1, 4000, 390, 10, 100, 0, 0)
    reasons = struct.unpack("<11I", read(machine, state + 0x54, 44))
    assert reasons[7] == 4400
    assert machine.truth.memory.failure_reasons is not None
    assert machine.truth.memory.failure_reasons["PagedNoCommit"] == 4400


def test_variables_of_7601(small: Small, read: Read) -> None:
    machine = small("7601-x64", "leak")
    base, memory = machine.truth.modules[0].base or 0, machine.truth.memory
    # ntkrnlmp 339E74133576439CBCDF7E0229DA3773-1: PoolTrackTable 210F88, its size eight bytes before, tables behind
    table, size = number(read(machine, base + 0x210F88, 8)), number(read(machine, base + 0x210F80, 8))
    assert size == machine.truth.table_size == 1025
    first, second, third = struct.unpack("<QQQ", read(machine, base + 0x210FA0, 24))
    assert first == table
    assert second
    assert third == 0
    assert memory.paged_commit is not None


def test_tags_of_all_processors_add_up(small: Small, read: Read) -> None:
    machine = small("19041-x64", "leak")
    base = machine.truth.modules[0].base or 0
    # PoolTrackTable C168A8, ExPoolTagTables C168C0, PoolTrackTableSize C19128; entries of 38 bytes
    size = number(read(machine, base + 0xC19128, 8))
    tables = [number(read(machine, base + 0xC168C0 + 8 * i, 8)) for i in range(machine.truth.processors + 1)]
    assert tables[-1] == 0
    assert tables[0] == number(read(machine, base + 0xC168A8, 8))
    key = number(b"Leak")
    # The hash of NT 5.2 and later; the tag is the only one whose search begins there, or it lies behind
    slot = (40543 * key ^ (40543 * key >> 32)) & (size - 2)
    rows = [read(machine, tables[0] + 0x38 * i, 0x38) for i in range(slot, slot + 4)]
    at = slot + [row[:4] for row in rows].index(b"Leak")
    values = [struct.unpack("<I4xQQQQQQ", read(machine, table + 0x38 * at, 0x38)) for table in tables[:-1]]
    assert {value[0] for value in values} == {key}
    (truth,) = [use for use in machine.truth.tags if use.tag == "Leak"]
    held, allocs, frees = (sum(value[i] for value in values) % (1 << 64) for i in (1, 2, 3))
    assert (allocs, frees, held) == (truth.nonpaged.allocs, truth.nonpaged.frees, truth.nonpaged.bytes)
    assert held == (allocs - frees) * 1024


def test_single_tables_wrap(small: Small, read: Read) -> None:
    """Some processor freed more than it allocated: its bytes are below zero, as 64-bit numbers nearly 2^64."""
    machine = small("19041-x64", "leak")
    base = machine.truth.modules[0].base or 0
    second = number(read(machine, base + 0xC168C8, 8))
    rows = read(machine, second, 0x38 * machine.truth.table_size)
    held = [struct.unpack_from("<Q", rows, i + 8)[0] for i in range(0, len(rows), 0x38)]
    assert any(value >> 63 for value in held)


def test_modules_are_linked_both_ways(small: Small, read: Read) -> None:
    machine = small("22000-x64", "untagged")
    head = (machine.truth.modules[0].base or 0) + 0xC296B0  # PsLoadedModuleList
    names, at, before = [], number(read(machine, head, 8)), head
    while at != head:
        assert number(read(machine, at + 8, 8)) == before
        length, buffer = number(read(machine, at + 0x58, 2)), number(read(machine, at + 0x60, 8))
        names.append((number(read(machine, at + 0x30, 8)), read(machine, buffer, length).decode("utf-16-le")))
        before, at = at, number(read(machine, at, 8))
    assert names == [(module.base, module.name) for module in machine.truth.modules]
    assert "oldcard.sys" in [name for _, name in names]


def test_session_is_seen_at_its_own_and_at_the_common_address(small: Small, read: Read) -> None:
    machine = small("19041-x64", "session-full")
    first, second = machine.truth.sessions
    assert first.address != second.address
    # _MM_SESSION_SPACE of 19041.804: SessionId 8, PagedPoolInfo A8 with AllocatedPagedPool at 10
    assert number(read(machine, (second.address or 0) + 8, 4)) == 1
    assert number(read(machine, (second.address or 0) + 0xB8, 8)) == second.used_pages
    process = next(p for p in machine.truth.processes if p.session == 1)
    own = machine.spaces[process.pid]
    table = number(read(machine, (machine.truth.modules[0].base or 0) + 0xC190D0, 8))  # ExpSessionPoolTrackTable
    assert machine.system.state(table) is None
    assert b"Gh05" in own.read(table, 0x4000)


def test_registry_lock(small: Small, read: Read) -> None:
    machine = small("19041-x64", "lock-contention")
    lock = (machine.truth.modules[0].base or 0) + 0xD23580
    data = read(machine, lock, 0x68)
    active, flag = struct.unpack_from("<HH", data, 0x18)
    entries, contention, shared, exclusive = struct.unpack_from("<IIII", data, 0x40)
    assert (active, flag & 0x80, entries) == (10, 0, 10)
    assert (contention, shared, exclusive) == (9149810, 718, 21)
    table = number(data[0x10:0x18])
    rows = read(machine, table, 16 * 16)
    assert struct.unpack_from("<I", rows, 8)[0] == 16  # the first entry says how many there are
    threads = [struct.unpack_from("<Q", rows, 16 * i)[0] for i in range(1, 10)]
    assert [struct.unpack_from("<Q", data, 0x30)[0], *threads] == [
        owner.thread for owner in machine.truth.resources[0].owners
    ]
    assert struct.unpack_from("<I", rows, 16 + 8)[0] >> 3 == 1  # the count stands behind three flags
    # _ETHREAD of 19041.804: Cid 478 with UniqueThread at 8, Tcb.Process 220
    owner = machine.truth.resources[0].owners[3]
    thread = read(machine, owner.thread or 0, 0x600)
    assert struct.unpack_from("<QQ", thread, 0x478) == (owner.process_id, owner.thread_id)
    process = next(process for process in machine.truth.processes if process.pid == owner.process_id)
    assert struct.unpack_from("<Q", thread, 0x220)[0] == process.address


def test_processes_have_their_own_page_tables(small: Small, read: Read) -> None:
    machine = small("19041-x64", "handle-leak")
    # _EPROCESS of 19041: DirectoryTableBase 28, UniqueProcessId 440, ObjectTable 570, ImageFileName 5A8
    seen = set()
    for process in machine.truth.processes:
        data = read(machine, process.address or 0, 0x600)
        assert struct.unpack_from("<Q", data, 0x440)[0] == process.pid
        assert data[0x5A8:0x5B7].rstrip(b"\0").decode() == process.name[:15]
        base = struct.unpack_from("<Q", data, 0x28)[0]
        assert base & ~0xFFF == process.directory_table_base
        seen.add(base)
        # _HANDLE_TABLE: FreeLists 40, HandleCount 18 in it
        table = struct.unpack_from("<Q", data, 0x570)[0]
        assert number(read(machine, table + 0x58, 4)) == process.handles
    assert len(seen) == len(machine.truth.processes)
    assert machine.truth.processes[-1].handles == 20_000


def hidden_machine(hidden: Hidden) -> SimulatedMachine:
    made: Machine = make_machine(windows_named("19041-x64"), "leak", size=small_size(), hidden=hidden)
    return simulate(made)


def test_paged_out_pages_are_named() -> None:
    machine = hidden_machine(Hidden(paged_out=1.0))
    assert machine.truth.absent_pages
    assert {machine.system.state(page) for page in machine.truth.absent_pages} == {"paged-out"}


def test_pages_left_out_are_in_memory_but_not_in_the_dump(tmp_path: Path) -> None:
    machine = hidden_machine(Hidden(left_out=1.0))
    assert {machine.system.state(page) for page in machine.truth.absent_pages} == {"valid"}
    assert len(machine.left_out) == len(machine.truth.absent_pages)
    less = machine.write(tmp_path / "less.dmp", "bitmap-kernel")
    all_pages = simulate(replace(machine_truth(machine), hidden=Hidden()))
    assert all_pages.write(tmp_path / "all.dmp", "bitmap-kernel") == less + len(machine.left_out)


def machine_truth(machine: SimulatedMachine) -> Machine:
    return make_machine(machine.truth.windows, machine.truth.story, size=small_size())
