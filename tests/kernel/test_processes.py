"""Processes at the offsets of public symbol tables, and of true symbols."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from poolsleuth.kernel.absence import Absence
from poolsleuth.kernel.address_space import Reader
from poolsleuth.kernel.processes import read_processes
from poolsleuth.kernel.target import Kernel
from poolsleuth.windows.bundled_tables import bundled_table
from poolsleuth.windows.kernel_table import Field, PdbId, Structure
from poolsleuth.windows.structure_layouts import layouts_for

HEAD, FIRST, SESSION = 0x80560000, 0x8A000000, 0xFFFFF90000000000
TIME = 0x1D707F23DBB3399  # 2021-02-21 01:38:22 UTC
NAMES = ((4, 0, "System"), (368, 4, "smss.exe"), (2084, 368, "leaky_service_"))


def kernel_of(memory: Any, build: int, **known: Any) -> Kernel:
    return Kernel(
        memory=Reader(memory),
        build=build,
        architecture="x86" if memory.pointer_size == 4 else "x64",
        pae=None,
        size=None,
        pdb=None,
        processors=2,
        **({"base": 0, "table": None, "addresses": {"PsActiveProcessHead": HEAD}} | known),
    )


def write(memory: Any, pid_at: int, links_at: int, name_at: int) -> list[int]:
    processes = [FIRST + 0x2000 * i for i in range(len(NAMES))]
    ring = [HEAD, *(process + links_at for process in processes), HEAD]
    memory.put(HEAD, ring[1], ring[-2])
    for i, (process, (pid, _, name)) in enumerate(zip(processes, NAMES, strict=True)):
        memory.write(process, bytes(0xC00))
        memory.put(process + links_at, ring[i + 2], ring[i])
        memory.put(process + pid_at, pid)
        memory.write(process + name_at, name.encode()[:15] + b"\0")
    return processes


@pytest.mark.parametrize(
    ("width", "build", "service_pack", "pid_at", "links_at", "name_at"),
    [
        (4, 2600, 2, 0x84, 0x88, 0x174),
        (4, 3790, 2, 0x94, 0x98, 0x164),
        (8, 3790, 2, 0xD8, 0xE0, 0x268),
        (8, 6002, 2, 0xE0, 0xE8, 0x238),
        (8, 7601, 1, 0x180, 0x188, 0x2E0),
        (8, 9600, None, 0x2E0, 0x2E8, 0x438),
        (8, 19041, None, 0x440, 0x448, 0x5A8),
    ],
)
def test_identity_without_symbols(
    width: int,
    build: int,
    service_pack: int | None,
    pid_at: int,
    links_at: int,
    name_at: int,
    fake_memory: Callable[[int], Any],
) -> None:
    memory = fake_memory(width)
    addresses = write(memory, pid_at, links_at, name_at)
    choice = layouts_for(build, "x86" if width == 4 else "x64", service_pack=service_pack)
    found = read_processes(kernel_of(memory, build, layouts=choice.structures))
    assert (found.whole, found.says, found.address) == (True, None, HEAD)
    assert [(one.address, one.pid, one.image) for one in found.processes] == [
        (address, pid, name) for address, (pid, _, name) in zip(addresses, NAMES, strict=True)
    ]


def test_a_layout_that_does_not_fit_is_refused(fake_memory: Callable[[int], Any]) -> None:
    memory = fake_memory(8)
    write(memory, 0x440, 0x448, 0x5B0)  # the name lies 8 bytes further than this build usually has it
    found = read_processes(kernel_of(memory, 19041, layouts=layouts_for(19041, "x64").structures))
    assert found.processes == ()
    assert found.says == "the layout of processes that this build usually has does not fit this kernel"


# Offsets of EPROCESS in each kernel's symbols: pid, links, created, exited, parent, session, image, handles, quota,
# commit
SYMBOLS = {
    7601: ("339E74133576439CBCDF7E0229DA3773", 0x180, 0x188, 0x168, 0x170, 0x290, 0x2D8, 0x2E0, 0x200, 0x198, 0x1B8),
    9600: ("22597D0B40394E23936F6A24C6C52D5B", 0x2E0, 0x2E8, 0x2D0, 0x640, 0x3D0, 0x3F0, 0x438, 0x408, 0x300, 0x4D0),
    14393: ("517E128F7B7C4EA79491DE6B9B9CE190", 0x2E8, 0x2F0, 0x308, 0x690, 0x3E0, 0x400, 0x450, 0x418, 0x310, 0x4F0),
    19041: ("5278AFF86C341677D7D7835C85B7B844", 0x440, 0x448, 0x468, 0x840, 0x540, 0x558, 0x5A8, 0x570, 0x470, 0x648),
    22000: ("32C1A669D5FFEFD41091F636CFDB6E99", 0x440, 0x448, 0x468, 0x840, 0x540, 0x558, 0x5A8, 0x570, 0x470, 0x648),
}


@pytest.mark.parametrize("build", SYMBOLS)
def test_everything_with_symbols(build: int, fake_memory: Callable[[int], Any]) -> None:
    guid, pid_at, links_at, created, exited, parent, session, image, _, quota, commit = SYMBOLS[build]
    memory, inside = fake_memory(8), fake_memory(8)
    _, smss, leaky = write(memory, pid_at, links_at, image)
    table = bundled_table(PdbId("ntkrnlmp.pdb", guid, 1))
    assert table is not None
    memory.put(leaky + created, TIME, width=8)
    memory.put(leaky + parent, 368)
    memory.put(leaky + session, SESSION)
    memory.put(leaky + 0x28, 0x1AD002)  # the directory table base, with the bits of a process context
    memory.put(leaky + quota, 21_000, 340_000)
    memory.put(leaky + commit, 1500)
    memory.put(smss + exited, TIME, width=8)
    inside.put(SESSION + 8, 3, width=4)
    opened: list[int] = []

    def process_memory(base: int) -> Reader:
        opened.append(base)
        return Reader(inside)

    base = HEAD - table.symbols["PsActiveProcessHead"]
    kernel = kernel_of(memory, build, table=table, base=base, addresses={}, process_memory=process_memory)
    system, ended, found = read_processes(kernel).processes
    assert (found.pid, found.parent, found.image) == (2084, 368, "leaky_service_")
    assert found.created is not None
    assert found.created.replace(microsecond=0) == datetime(2021, 2, 21, 1, 38, 22, tzinfo=UTC)
    assert found.exited is None
    assert (found.session, found.session_space, found.directory_table_base) == (3, SESSION, 0x1AD002)
    assert opened == [0x1AD002]
    assert (found.nonpaged_quota, found.paged_quota, found.commit) == (21_000, 340_000, 1500 * 4096)
    assert ended.exited == found.created
    assert (system.session, system.session_space, system.handles) == (None, None, 0)


def test_a_session_is_never_read_in_the_memory_of_another_process(fake_memory: Callable[[int], Any]) -> None:
    """The dump's own page tables may be those of a process of any session: its session space tells another number."""
    memory = fake_memory(8)
    table = bundled_table(PdbId("ntkrnlmp.pdb", SYMBOLS[7601][0], 1))
    assert table is not None
    _, pid_at, links_at, _, _, _, session, image, *_ = SYMBOLS[7601]
    _, smss, leaky = write(memory, pid_at, links_at, image)
    memory.put(SESSION + 8, 1, width=4)
    memory.put(smss + session, SESSION)
    memory.put(leaky + session, SESSION)
    base = HEAD - table.symbols["PsActiveProcessHead"]
    known = {"table": table, "base": base, "addresses": {}}
    found = read_processes(kernel_of(memory, 7601, **known)).processes
    assert [(one.session, one.session_space) for one in found] == [(None, None), (None, SESSION), (None, SESSION)]
    # A process whose page tables are not known cannot be asked, either
    memory.put(smss + 0x28, 0x1AD000)
    found = read_processes(kernel_of(memory, 7601, **known, process_memory=lambda _: Reader(memory))).processes
    assert [one.session for one in found] == [None, 1, None]


def test_handles_and_path(fake_memory: Callable[[int], Any]) -> None:
    """7601: ObjectTable 200, HandleCount 58 of the table, SeAuditProcessCreationInfo 390 (a pointer to a name)."""
    memory = fake_memory(8)
    _, _, leaky = write(memory, 0x180, 0x188, 0x2E0)
    table = bundled_table(PdbId("ntkrnlmp.pdb", "339E74133576439CBCDF7E0229DA3773", 1))
    assert table is not None
    name = table.place("_EPROCESS", "SeAuditProcessCreationInfo.ImageFileName")
    assert name is not None
    memory.put(leaky + 0x200, 0x8B000000)
    memory.put(0x8B000058, 70_123, width=4)
    memory.put(leaky + name.offset, 0x8B001000)
    path = r"\Device\HarddiskVolume2\apps\leaky_service_host.exe"
    memory.write(0x8B001000, (len(path) * 2).to_bytes(2, "little") * 2)
    memory.put(0x8B001008, 0x8B001010)
    memory.write(0x8B001010, path.encode("utf-16-le"))
    base = HEAD - table.symbols["PsActiveProcessHead"]
    found = read_processes(kernel_of(memory, 7601, table=table, base=base)).processes[2]
    assert (found.handles, found.handles_guessed, found.path) == (70_123, False, path)


def test_numbers_that_cannot_be_true(fake_memory: Callable[[int], Any]) -> None:
    memory, inside = fake_memory(8), fake_memory(8)
    _, _, leaky = write(memory, 0x180, 0x188, 0x2E0)
    table = bundled_table(PdbId("ntkrnlmp.pdb", "339E74133576439CBCDF7E0229DA3773", 1))
    assert table is not None
    memory.put(leaky + 0x180, 1 << 40)
    memory.put(leaky + 0x28, 0x1AD000)
    memory.put(leaky + 0x2D8, SESSION)
    memory.put(leaky + 0x198, -1, 1 << 60)
    memory.put(leaky + 0x1B8, -1)
    memory.write(leaky + 0x2E0, bytes(15))
    inside.put(SESSION + 8, 0x10000, width=4)
    kernel = kernel_of(memory, 7601, table=table, base=HEAD - table.symbols["PsActiveProcessHead"])
    found = read_processes(replace(kernel, process_memory=lambda base: Reader(inside))).processes[2]
    assert (found.pid, found.image, found.session) == (None, None, None)
    assert (found.nonpaged_quota, found.paged_quota, found.commit) == (None, None, None)


def test_the_quota_of_xp_has_three_numbers(fake_memory: Callable[[int], Any]) -> None:
    memory = fake_memory(4)
    system, _, _ = write(memory, 0x84, 0x88, 0x174)
    memory.put(system + 0x90, 1111, 2222, 3333)
    fields = {
        "UniqueProcessId": Field(0x84, 4),
        "ActiveProcessLinks": Field(0x88, 8),
        "QuotaUsage": Field(0x90, 12, count=3),
        "ImageFileName": Field(0x174, 16, count=16),
        "Pcb.DirectoryTableBase": Field(0x18, 8, count=2),
    }
    memory.put(system + 0x18, 0x39000, 0x3A000)
    found = read_processes(kernel_of(memory, 2600, layouts={"_EPROCESS": Structure(0x260, fields)})).processes[0]
    assert (found.nonpaged_quota, found.paged_quota) == (1111, 2222)
    assert (found.image, found.directory_table_base) == ("System", 0x39000)


@pytest.mark.parametrize("build", [7601, 19041])
def test_no_list_or_no_layout(build: int, fake_memory: Callable[[int], Any]) -> None:
    memory = fake_memory(8)
    assert read_processes(kernel_of(memory, build, addresses={})).says == (
        "where the list of processes begins is not known"
    )
    assert read_processes(kernel_of(memory, build)).says == "the layout of processes in this version is not known"
    found = read_processes(kernel_of(memory, build, layouts=layouts_for(build, "x64").structures))
    assert (found.processes, found.whole) == ((), False)
    assert found.says is not None
    assert "not mapped" in found.says


@settings(max_examples=60)
@given(st.integers(0, 0x7FFF), st.binary(min_size=1, max_size=600), st.booleans())
def test_any_damage_ends_in_a_result(at: int, damage: bytes, symbols: bool) -> None:
    image = bytearray(0x8000)

    class Memory:
        """Addresses that lie 8000 apart are the same: every pointer leads to some memory."""

        pointer_size = 8

        def write(self, address: int, data: bytes) -> None:
            for i, octet in enumerate(data):
                image[(address + i) & 0x7FFF] = octet

        def put(self, address: int, *values: int) -> None:
            self.write(address, b"".join(value.to_bytes(8, "little") for value in values))

        def read(self, address: int, size: int) -> bytes | Absence:
            begin = address & 0x7FFF
            return bytes((image + image)[begin : begin + size]) if size <= 0x8000 else Absence.NOT_MAPPED

        def gather(self, pages: Any) -> Any:
            raise AssertionError

    memory = Memory()
    memory.write(0, bytes(0x8000))
    write(memory, 0x2E0, 0x2E8, 0x438)
    memory.write(at, damage)
    table = bundled_table(PdbId("ntkrnlmp.pdb", "22597D0B40394E23936F6A24C6C52D5B", 1)) if symbols else None
    assert table is not None or not symbols
    known: dict[str, Any] = {"layouts": layouts_for(9600, "x64").structures}
    if table is not None:
        known = {"table": table, "base": HEAD - table.symbols["PsActiveProcessHead"]}
    found = read_processes(kernel_of(memory, 9600, process_memory=lambda base: Reader(memory), **known))
    assert found.whole or found.says is not None
    assert len(found.processes) <= 0x8000 // 8
