"""Small valid dumps and symbol files with the places in them that a reader looks at: what ``fuzz_dumps.py`` damages.

Each dump is read once while every read is noted. So the fuzzer knows the fields, links, counts and page table entries
that matter among megabytes that do not.
"""

import importlib.util
import io
import json
import struct
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from poolsleuth.evidence.dump.reader import read_dump
from poolsleuth.kernel.crash_dump.content import PAGE, DumpContent
from poolsleuth.kernel.paging.cache import TableCache
from poolsleuth.kernel.paging.space import VirtualMemory
from poolsleuth.lab.catalogue import windows_named
from poolsleuth.lab.containers.kinds import DumpKind
from poolsleuth.lab.simulate import SimulatedMachine, simulate
from poolsleuth.lab.stories import make_machine, small_size
from poolsleuth.model.facts import Problem

HEADER, ENTRY, MEMORY, TABLE, VARIABLE, POOL = range(6)
CLASSES = 6
MAX_FIELD = 0x200  # bytes of a read whose words are noted one by one; of longer ones the words that are not zero
MAX_WORDS = 20_000  # of one class of one seed

_TESTS = Path(__file__).parents[1] / "tests" / "kernel"
_DUMPS = (
    ("2600-x86", "leak", DumpKind.BITMAP_KERNEL),
    ("3790-x86-pae", "session-full", DumpKind.SUMMARY),
    ("3790-x64", "paged-leak", DumpKind.SUMMARY),
    ("6002-x86", "lock-contention", DumpKind.AUTOMATIC),
    ("6002-x64", "pool-failures", DumpKind.BITMAP_KERNEL),
    ("7601-x86-pae", "untagged", DumpKind.BITMAP_KERNEL),
    ("7601-x64", "session-full", DumpKind.BITMAP_KERNEL),
    ("9600-x64", "leak", DumpKind.DEBUGGER_KERNEL),
    ("14393-x64", "lock-contention", DumpKind.BITMAP_KERNEL),
    ("17763-x64", "paged-leak", DumpKind.SUMMARY),
    ("19041-x64", "handle-leak", DumpKind.AUTOMATIC),
    ("22000-x64", "pool-failures", DumpKind.BITMAP_KERNEL),
    ("7601-x86", "leak", DumpKind.COMPLETE),
    ("3790-x86", "leak", DumpKind.RAW),
    ("6002-x86-pae", "leak", DumpKind.LIME),
    ("20348-x64", "leak", DumpKind.ELF_CORE),
)


@dataclass(frozen=True, slots=True)
class Target:
    """A word of a file. ``address`` is the virtual one it lies at (of a page table entry: the physical one)."""

    offset: int
    address: int
    width: int


@dataclass(slots=True)
class Seed:
    """A valid file. ``data`` is changed in place, and restored by whoever changes it."""

    name: str
    data: bytearray
    targets: list[list[Target]] = field(default_factory=lambda: [[] for _ in range(CLASSES)])
    words: dict[str, list[str]] = field(default_factory=dict)
    """What stands in the commands of the shell: addresses and names of this machine."""

    def target(self, kind: int, index: int) -> Target:
        """A target by numbers that may be anything: a class that is empty gives way to the next one."""
        for step in range(CLASSES):
            found = self.targets[(kind + step) % CLASSES]
            if found:
                return found[index % len(found)]
        return Target(index % max(1, len(self.data) - 8), 0, 8)


class PatchedFile(io.RawIOBase):
    """A file in memory without a copy: what ``read`` gives is a view."""

    def __init__(self, data: "bytearray | memoryview") -> None:
        super().__init__()
        self._view = memoryview(data)

    def seek(self, *_: int) -> int:
        return 0

    def read(self, size: int = -1) -> Any:
        return self._view if size < 0 else bytes(self._view[:size])


class _Notes:
    """The words that were read, by class, each once, in the order of the first read."""

    def __init__(self) -> None:
        self.words: list[dict[int, Target]] = [{} for _ in range(CLASSES)]

    def add(self, kind: int, offset: int, address: int, width: int) -> None:
        mine = self.words[kind]
        if offset >= 0 and len(mine) < MAX_WORDS:
            mine.setdefault(offset, Target(offset, address, width))


@contextmanager
def _noting(notes: _Notes) -> Iterator[None]:
    take, entry, rows = DumpContent.take, TableCache.entry, TableCache.rows
    read, gather = VirtualMemory.read, VirtualMemory.gather

    def place(physical: Any, frame: int) -> int:
        return int(physical.offsets(np.array([frame], np.int64))[0])

    def noted_take(self: DumpContent, offset: int, count: int) -> bytes | None:
        if 0 < count <= MAX_FIELD:
            for at in range(offset, offset + count, min(count, 4)):
                notes.add(HEADER, at, at, min(count, 4))
        return take(self, offset, count)

    def noted_entry(self: TableCache, frame: int, index: int) -> int:
        at = place(self._physical, frame)
        size = self._entry_size
        if at >= 0:
            notes.add(ENTRY, at + index * size, frame * PAGE + index * size, size)
        return entry(self, frame, index)

    def noted_rows(self: TableCache, frames: Any) -> Any:
        found = rows(self, frames)
        size = self._entry_size
        for frame, words in zip(frames.tolist()[:8], found[0], strict=False):
            at = place(self._physical, frame)
            for index in np.flatnonzero(words).tolist()[:64] if at >= 0 else []:
                notes.add(ENTRY, at + index * size, frame * PAGE + index * size, size)
        return found

    def note_words(space: VirtualMemory, kind: int, address: int, size: int, only: bytes | None) -> None:
        width = space.pointer_size
        for page in range(address // PAGE, (address + size - 1) // PAGE + 1):
            frame = int(space.translate_pages(np.array([page], np.uint64))[0])
            at = place(space._physical, frame) if frame >= 0 else -1
            if at < 0:
                continue
            first, last = max(address, page * PAGE), min(address + size, page * PAGE + PAGE)
            for word in range(first - first % min(width, size or 1), last, width):
                if only is None or any(only[max(0, word - address) : word - address + width]):
                    notes.add(kind, at + word % PAGE, word, width)

    def noted_read(self: VirtualMemory, address: int, size: int) -> Any:
        found = read(self, address, size)
        if isinstance(found, bytes) and found:
            note_words(self, MEMORY, address, size, None if size <= MAX_FIELD else found)
        return found

    def noted_gather(self: VirtualMemory, pages: Any) -> Any:
        found = gather(self, pages)
        for page, row in zip(pages.tolist()[:4], found[0], strict=False):
            note_words(self, TABLE, page * PAGE, PAGE, row.tobytes())
        return found

    DumpContent.take, TableCache.entry, TableCache.rows = noted_take, noted_entry, noted_rows  # type: ignore[method-assign]
    VirtualMemory.read, VirtualMemory.gather = noted_read, noted_gather  # type: ignore[method-assign]
    try:
        yield
    finally:
        DumpContent.take, TableCache.entry, TableCache.rows = take, entry, rows  # type: ignore[method-assign]
        VirtualMemory.read, VirtualMemory.gather = read, gather  # type: ignore[method-assign]


def _facts(file: Callable[[], Any]) -> None:
    problems: list[Problem] = []
    read_dump(file(), 0, problems)


def noted(
    name: str, data: bytes, machine: SimulatedMachine | None, read: Callable[[Callable[[], Any]], None] = _facts
) -> Seed:
    """A seed with the words that ``read`` looks at; it is given what opens the file."""
    seed = Seed(name, bytearray(data))
    notes = _Notes()
    with _noting(notes):
        read(lambda: PatchedFile(seed.data))
    seed.targets = [list(found.values()) for found in notes.words]
    if machine is not None:
        at_address = {t.address: t for kind in (MEMORY, TABLE) for t in seed.targets[kind]}
        places = set(machine.truth.places.values())
        seed.targets[VARIABLE] = [at_address[address] for address in sorted(places & at_address.keys())]
    return seed


def dump_seeds(only: str = "") -> list[Seed]:
    """A dump of every container and of every kind of page tables, and triage dumps. ``only`` is a part of the name."""
    seeds: list[Seed] = []
    with tempfile.TemporaryDirectory() as folder:
        for number, (windows, story, kind) in enumerate(_DUMPS):
            name = f"{windows} {story} {kind}"
            if only in name:
                machine = simulate(make_machine(windows_named(windows), story, size=small_size()))
                path = Path(folder) / str(number)
                machine.write(path, kind)
                seeds.append(noted(name, path.read_bytes(), machine))
                path.unlink()
    triage = _module("conftest.py").triage
    drivers = [
        ("\\ntoskrnl.exe", 0xFFFFF80000000000, 0x800000, 1, 2),
        ("\\leaky.sys", 0xFFFFF88000000000, 0x9000, 3, 4),
    ]
    small = [("\\ntoskrnl.exe", 0x80400000, 0x200000, 1, 2), ("\\leaky.sys", 0xF8000000, 0x9000, 3, 4)]
    for wide, listed in ((True, drivers), (False, small)):
        name = f"triage {64 if wide else 32}"
        if only in name:
            blocks = [(listed[0][1], b"block of memory" * 9)]
            seeds.append(noted(name, triage(wide, listed, [("gone.sys", 0x1000, 0x2000)], blocks=blocks), None))
    return seeds


def pdb_seeds() -> list[Seed]:
    """Constructed PDBs: the smallest with symbols, and one with types, OMAP and shuffled pages."""
    small = _module("symbols/conftest.py")
    writer = _module("symbols/pdb/conftest.py")
    wanted = small.PdbId("ntkrnlmp.pdb", "12345678" * 4, 2)
    record, symbol = writer.record, writer.symbol
    fields = b"".join(
        struct.pack("<HHIH", 0x150D, 3, kind, at) + text + bytes(-len(text) % 4)
        for kind, at, text in ((0x1000, 0, b"Flink\0\xf2\xf1"), (0x75, 8, b"Depth\0"), (0x1003, 16, b"Inner\0"))
    )
    types = [
        record(0x1002, struct.pack("<II", 0x1003, 0x1000C)),
        record(0x1203, fields),
        record(0x1503, struct.pack("<IIH", 0x75, 0x23, 64) + b"\0"),
        record(0x1505, struct.pack("<HHIIIH", 3, 0, 0x1001, 0, 0, 96) + b"_LIST_ENTRY\0"),
        record(0x1505, struct.pack("<HHIIIH", 3, 0, 0x1001, 0, 0, 96) + b"_EPROCESS\0"),
        record(0x1205, struct.pack("<IBB", 0x75, 3, 2)),
    ]
    symbols = [symbol(0x110E, f"{name}", 2, 0x10 * at) for at, name in enumerate(_NAMES)]
    rich = writer.Recipe(
        symbols=symbols, types=types, original=writer.SECTIONS, omap=[(0x1000, 0x2000), (0x8000, 0x9000)], shuffled=1
    )
    found = [("small", small._pdb(wanted, {"PsLoadedModuleList": 0x2000}, 512)), ("rich", rich.build())]
    return [_words(name, data, 4) for name, data in found]


def isf_seeds() -> list[Seed]:
    """A symbol table as JSON; its targets are the bytes of its values."""
    member = {"offset": 8, "type": {"kind": "base", "name": "unsigned long"}}
    inner = {"offset": 16, "type": {"kind": "struct", "name": "_LIST_ENTRY"}, "anonymous": True}
    rows = {"kind": "array", "count": 4, "subtype": {"kind": "pointer", "subtype": {"kind": "base", "name": "char"}}}
    bits = {"kind": "bitfield", "bit_position": 3, "bit_length": 2, "type": {"kind": "base", "name": "unsigned long"}}
    identity = {"GUID": "12345678" * 4, "age": 2, "database": "nt.pdb", "machine_type": 34404}
    document = {
        "metadata": {"windows": {"pdb": identity}},
        "base_types": {"unsigned long": {"size": 4}, "char": {"size": 1}, "pointer": {"size": 8}},
        "enums": {"_KIND": {"size": 4}},
        "user_types": {
            name: {
                "kind": "struct",
                "size": 64,
                "fields": {
                    "Flink": member,
                    "u": inner,
                    "Table": {"offset": 24, "type": rows},
                    "Bit": {"offset": 56, "type": bits},
                },
            }
            for name in ("_LIST_ENTRY", "_EPROCESS", "_ERESOURCE")
        },
        "symbols": {name: {"address": 0x1000 + at} for at, name in enumerate(_NAMES)},
    }
    data = json.dumps(document).encode()
    seed = Seed("isf", bytearray(data))
    seed.targets[0] = [Target(at, at, 1) for at, byte in enumerate(data) if chr(byte).isalnum()]
    seed.targets[1] = [Target(at, at, 1) for at, byte in enumerate(data) if chr(byte) in '{}[]":,']
    return [seed]


_NAMES = ("PsLoadedModuleList", "PoolTrackTable", "PoolBigPageTable", "MmPagedPoolStart", "KdDebuggerDataBlock")


def _words(name: str, data: bytes, width: int) -> Seed:
    seed = Seed(name, bytearray(data))
    for at in range(0, len(data) - width, width):
        if any(data[at : at + width]):
            seed.targets[0].append(Target(at, at, width))
            seed.targets[1].append(Target(at + 2, at, 2))
    return seed


def _module(path: str) -> ModuleType:
    """A conftest.py of the tests: its writers of small files serve here, too."""
    spec = importlib.util.spec_from_file_location(path.replace("/", "_").removesuffix(".py"), _TESTS / path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    # Their dataclasses look up the module that they stand in
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module
