"""What the target ``pools`` of ``fuzz_dumps.py`` runs: everything that looks at the blocks of a dump, and at code.

``diagnose`` looks at blocks, pointers and code only where the tables make that worth the time. Here each of them is
made to look, whatever the tables say: a damaged dump must not get away because its counters were damaged as well.
"""

import contextlib
import json
import os
import random
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from fuzz_seeds import POOL, Seed, Target, noted
from poolsleuth.debugger.shell import Shell
from poolsleuth.debugger.target import Target as Debugged
from poolsleuth.driver_code import CODE_READER
from poolsleuth.evidence.dump import block_facts, code_facts, pointer_facts
from poolsleuth.evidence.dump.opening import open_kernel
from poolsleuth.evidence.dump.options import DumpOptions
from poolsleuth.evidence.dump.pool_picture import read_dump_picture
from poolsleuth.evidence.dump.reader import read_dump
from poolsleuth.kernel.crash_dump.content import PAGE, open_content
from poolsleuth.lab.catalogue import windows_named
from poolsleuth.lab.containers.kinds import DumpKind
from poolsleuth.lab.machine import Hidden
from poolsleuth.lab.segment_heap.contents import HeapContents
from poolsleuth.lab.session_blocks import with_session_pools
from poolsleuth.lab.simulate import SimulatedMachine, simulate
from poolsleuth.lab.stories import make_machine, small_size
from poolsleuth.model.document import to_json
from poolsleuth.model.errors import InputError
from poolsleuth.model.facts import Problem
from poolsleuth.model.tags import PoolKind, TagRow, TagTable

OFFLINE = DumpOptions(offline=True, code=CODE_READER)
HEADERS_OF_A_PAGE = 12  # of one pool page that are known as targets
PAGES = 200  # of a seed whose headers are
CONTROL_BLOCK = 0x2000  # bytes of a processor's control block that are targets
_SEEDS = (
    ("3790-x86-pae", "fragmentation"),
    ("2600-x86", "leak"),
    ("7601-x64", "fragmentation"),
    ("7601-x64", "unloaded"),
    ("9600-x64", "retainer"),
    ("14393-x64", "untagged"),
    ("18362-x64", "leak"),
    ("19041-x64", "unloaded"),
    ("22000-x64", "fragmentation"),
)
_EXAMPLES = (
    "!vm 5", "!poolused /t3 1", "!poolused 8", "!poolused f L*", "!pool {pool}", "!pool {pool} 3", "!poolfind {tag}",
    "!poolfind * 1", "!poolfind * 4", "!poolval {pool}", "!xpool -map", "!lookaside", "!lookaside {pool}", "!sysptes",
    "!sysptes 5", "lm", "lmv m nt", "!lmi nt", "!lmi {module}", "!dh nt", "!dh -f -s -i {module}", "!dh {module}",
    "!locks -v", "!process 0 0", "!process -1 0", ".process /r /p 4", "!session", "!session -s 1", "!sprocess 0",
    "vertarget", ".time", ".bugcheck", "!analyze -v", "db {pool}", "dps {pool}", "!pte {pool}", "!vtop 0 {pool}",
    "u {module} L20", "u nt L3", "dt nt!*", "dt _POOL_HEADER {pool}", "dt _EPROCESS @$proc", "x *!Ex*", "ln {module}",
    "? nt+1", ".formats nt", "s -d {module} L?10000 0", 's -a {module} L?1000 "MZ"', "s -q {pool} L?4000 0",
    "!for_each_module s-d @#Base @#End 12345678", "!for_each_module !lmi @#Base", ".sympath", ".reload",
)  # fmt: skip


def force_looks() -> None:
    """Blocks, pointers and code are looked at in every dump from here on."""
    block_facts._worth_it = lambda *_told: True
    suspicious, leading = pointer_facts.suspicious_tags, code_facts.leading_tags

    def rows(told: list[object]) -> list[TagRow]:
        found = suspicious(told)  # type: ignore[arg-type]
        tables = [fact for fact in told if isinstance(fact, TagTable) and fact.session is None]
        every = [row for table in tables for row in table.rows if row.pool in (PoolKind.NONPAGED, PoolKind.PAGED)]
        every = [row for row in every if len(row.tag) <= 4]
        return found or sorted(every, key=lambda row: -(row.bytes or 0))[:2]

    def tags(told: object) -> tuple[str, ...]:
        return leading(told) or tuple(dict.fromkeys(row.tag for row in rows(list(told))))  # type: ignore[call-overload, arg-type]

    pointer_facts.suspicious_tags = rows  # type: ignore[assignment]
    code_facts.leading_tags = tags


def pool_seeds(only: str = "") -> list[Seed]:
    """Dumps with pages of pool, lookaside lists, sessions and segment heaps. ``only`` is a part of the name."""
    seeds: list[Seed] = []
    with tempfile.TemporaryDirectory() as folder:
        for number, (windows, story) in enumerate(_SEEDS):
            name = f"{windows} {story}"
            if only not in name:
                continue
            machine = make_machine(windows_named(windows), story, seed=number, size=small_size())
            if machine.pool_pages:
                machine = replace(with_session_pools(machine, random.Random(number)), hidden=Hidden())
            simulated = simulate(machine)
            path = Path(folder) / str(number)
            simulated.write(path, DumpKind.BITMAP_FULL)
            seed = noted(name, path.read_bytes(), simulated)
            seed.targets[POOL] = list(_targets(simulated, seed))
            seed.words = _words(simulated)
            seeds.append(seed)
            path.unlink()
    return seeds


@dataclass(frozen=True, slots=True)
class Opener:
    """Opens the file, and knows the words of its machine."""

    open: Callable[[], object]
    words: dict[str, list[str]]

    def __call__(self) -> object:
        return self.open()


def everything(file: Callable[[], object], source: random.Random, part: int | None) -> None:
    """Go one of the roads (``part``, else all). An InputError is an answer, too."""
    roads = (_facts, _map, _commands, _facts)
    for number, road in enumerate(roads):
        if part is None or part % len(roads) == number:
            with contextlib.suppress(InputError):
                road(file, source)


def _facts(file: Callable[[], object], _source: random.Random) -> None:
    problems: list[Problem] = []
    read_dump(file(), 0, problems, OFFLINE)  # type: ignore[arg-type]
    for problem in problems:
        if "internal error" in problem.says:
            raise RuntimeError(problem.says)


def _map(file: Callable[[], object], source: random.Random) -> None:
    from rich.console import Console  # noqa: PLC0415

    from poolsleuth.report.pool_map.classes import BY  # noqa: PLC0415
    from poolsleuth.report.pool_map.document import document  # noqa: PLC0415
    from poolsleuth.report.pool_map.html import render_html  # noqa: PLC0415
    from poolsleuth.report.pool_map.plain import render_plain  # noqa: PLC0415
    from poolsleuth.report.pool_map.terminal import render_terminal  # noqa: PLC0415

    picture = read_dump_picture(file(), "MEMORY.DMP", OFFLINE, tag=0x6B61654C, tag_text="Leak", keep_blocks=True)  # type: ignore[arg-type]
    with Path(os.devnull).open("w", encoding="utf-8") as nowhere:
        render_terminal(picture, Console(file=nowhere, width=100), source.choice(BY))
    for text in (render_plain(picture), render_html(picture, source.choice(BY), "0"), json.dumps(document(picture))):
        "".join(text).encode("utf-8")


def _commands(file: Callable[[], object], source: random.Random) -> None:
    words = file.words if isinstance(file, Opener) else {}
    with open_content(file()) as content:  # type: ignore[arg-type]
        opened = open_kernel(content, OFFLINE)
        if opened.kernel is None:
            return
        target = Debugged(kernel=opened.kernel, header=opened.dump.header if opened.dump is not None else None)
        with Shell(target) as shell:
            for text in source.sample(_EXAMPLES, 8):
                for line in shell.run(text.format_map(_Words(words, source))):
                    if "internal error" in line:
                        raise RuntimeError(f"{text}: {line}")


class _Words(dict[str, str]):
    def __init__(self, words: dict[str, list[str]], source: random.Random) -> None:
        super().__init__()
        self._known, self._source = words, source

    def __missing__(self, key: str) -> str:
        return self._source.choice(self._known.get(key) or ["nt"])


def whole_road(path: str) -> None:
    """From the file to the report, and ``whois``."""
    from poolsleuth.cli.whois import whois  # noqa: PLC0415
    from poolsleuth.pipeline import diagnose  # noqa: PLC0415

    report = diagnose(path, dumps=OFFLINE)
    for problem in report.problems:
        if "internal error" in problem.says:
            raise RuntimeError(problem.says)
    to_json(report)
    with contextlib.ExitStack() as quiet:
        nowhere = quiet.enter_context(Path(os.devnull).open("w", encoding="utf-8"))
        quiet.enter_context(contextlib.redirect_stdout(nowhere))
        quiet.enter_context(contextlib.redirect_stderr(nowhere))
        quiet.enter_context(contextlib.suppress(InputError, SystemExit))
        whois.main(args=["Leak", path, "--offline", "--no-cache"], standalone_mode=False)


def _words(simulated: SimulatedMachine) -> dict[str, list[str]]:
    truth = simulated.truth
    pages = [part for part in truth.pool_pages if part.pool != "session" and len(part.addresses)]
    found = [f"{page:x}" for part in pages for page in part.addresses[:3].tolist()]
    found += [f"{heap.base + part.at:x}" for heap in truth.heaps for part in heap.segments[:3]]
    bases = [f"{module.base:x}" for module in truth.modules[:8] if module.base is not None]
    return {"pool": found or bases, "module": bases, "tag": ["Leak", "Irp ", "Frag", "L*"]}


def _targets(simulated: SimulatedMachine, seed: Seed) -> Iterator[Target]:
    """Block headers and links, lists of processors, and what segment heaps begin with."""
    width = simulated.truth.windows.pointer
    data = bytes(seed.data)
    places: dict[int, int] = {}
    # Pages lie behind each other in these dumps, and their header is a multiple of a page
    known = {data[at : at + PAGE]: at for at in range(0, len(data) - PAGE + 1, PAGE)}

    def target(address: int, size: int) -> Iterator[Target]:
        page = address & -PAGE
        if page not in places:
            raw = b""
            with contextlib.suppress(ValueError):
                raw = simulated.system.read(page, PAGE)
            # A page that has nothing of its own cannot be told from others like it
            places[page] = known.get(raw, -1) if len(set(raw)) > 8 else -1
        if places[page] >= 0:
            yield Target(places[page] + address - page, address, size)

    source = random.Random(seed.name)
    for part in simulated.truth.pool_pages:
        blocks = part.blocks["address"]
        pages = part.addresses.tolist() if part.pool != "session" else []
        for page in source.sample(pages, min(PAGES, len(pages))):
            inside = blocks[(blocks >= np.uint64(page)) & (blocks < np.uint64(page + PAGE))].tolist()
            for block in inside[:HEADERS_OF_A_PAGE]:
                for at, size in ((0, 2), (2, 2), (4, 4), (2 * width, width), (3 * width, width)):
                    if (block + at) % PAGE + size <= PAGE and (block + at) & -PAGE == page:
                        yield from target(block + at, size)
    start = simulated.truth.places.get("KiProcessorBlock")
    for i in range(simulated.truth.processors if start is not None else 0):
        yield from target((start or 0) + i * width, width)
        block = int.from_bytes(simulated.system.read((start or 0) + i * width, width), "little")
        for at in range(0, CONTROL_BLOCK, width):
            yield from target(block + at, width)
    for heap in simulated.truth.heaps:
        if heap.session is None:
            yield from _of_heap(heap, width, target)


def _of_heap(heap: HeapContents, width: int, target: Callable[[int, int], Iterator[Target]]) -> Iterator[Target]:
    for at in range(0, 0x400 if heap.address is not None else 0, width):
        yield from target((heap.address or 0) + at, width)
    for segment in heap.segments[:6]:
        start = heap.base + segment.at
        for at in (0, 8, 16, *range(0x40, 0x2000, 0x20)):
            yield from target(start + at, 8)
            yield from target(start + at + 0x18, 1)  # flags and units of a descriptor
            yield from target(start + at + 0x1F, 1)
    for place in [part.at for part in heap.lfh[:40]] + [part.at for part in heap.vs[:40]]:
        start = heap.base + place
        for at in range(0, 0x100, 8):
            yield from target(start + at, 8)
