"""Blocks of the sessions' own pools, of lookaside lists and of processes that pay: from a dump, against the truth."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from random import Random

import numpy as np
import pytest

from poolsleuth.evidence.dump.opening import open_kernel
from poolsleuth.evidence.dump.options import DumpOptions
from poolsleuth.kernel.crash_dump.content import open_content
from poolsleuth.kernel.pool.blocks import Pool, State
from poolsleuth.kernel.pool.classic_walk import ClassicPart
from poolsleuth.kernel.pool.lookasides import read_lookasides
from poolsleuth.kernel.pool.quota import QuotaSums
from poolsleuth.kernel.pool.session_spaces import session_spaces
from poolsleuth.kernel.pool.session_walk import walk_session_pools
from poolsleuth.kernel.pool.walk import walk_pool
from poolsleuth.kernel.sessions import MAX_NUMBER
from poolsleuth.kernel.target import Kernel
from poolsleuth.lab.catalogue import windows_named
from poolsleuth.lab.machine import ALLOCATED, FREE, IN_LOOKASIDE, Hidden
from poolsleuth.lab.session_blocks import with_session_pools
from poolsleuth.lab.simulate import SimulatedMachine, simulate
from poolsleuth.lab.stories import make_machine, small_size

NAMES = ("2600-x86", "3790-x86", "3790-x64", "6002-x64", "7601-x64", "9600-x64", "14393-x64")
STATES = {ALLOCATED: State.ALLOCATED, FREE: State.FREE, IN_LOOKASIDE: State.IN_LOOKASIDE}


def made(name: str) -> SimulatedMachine:
    machine = make_machine(windows_named(name), "leak", seed=2, size=small_size(), hidden=Hidden())
    return simulate(with_session_pools(machine, Random(4)))


@contextmanager
def kernel_of(machine: SimulatedMachine, path: Path) -> Iterator[Kernel]:
    machine.write(path, "bitmap-full")
    with path.open("rb") as file, open_content(file) as content:
        kernel = open_kernel(content, DumpOptions()).kernel
        assert kernel is not None
        yield kernel


@pytest.mark.parametrize("name", NAMES)
def test_every_block_of_every_session_once(name: str, tmp_path: Path) -> None:
    machine = made(name)
    found: dict[int | None, list[tuple[int, ...]]] = {}
    sums = QuotaSums()
    with kernel_of(machine, tmp_path / "MEMORY.DMP") as kernel:
        for part in walk_pool(kernel, lookasides=read_lookasides(kernel)):
            assert isinstance(part, ClassicPart)
            assert part.says == ()
            rows = zip(*(part.blocks[field].tolist() for field in ("address", "size", "tag", "state")), strict=True)
            found.setdefault(part.session, []).extend(rows)
            if part.session is not None:
                assert set(part.blocks["pool"].tolist()) <= {int(Pool.SESSION)}
            sums.add(part.charges)
    wanted: dict[int | None, list[tuple[int, ...]]] = {}
    paid: Counter[int] = Counter()
    for pages in machine.truth.pool_pages:
        session = pages.index if pages.pool == "session" else None
        for address, size, tag, state, _protected, process in pages.blocks.tolist():
            wanted.setdefault(session, []).append((address, size, tag, int(STATES[state])))
            paid[process] += size
    assert set(wanted) == {None, 0, 1}
    assert {session: sorted(rows) for session, rows in found.items()} == {
        session: sorted(rows) for session, rows in wanted.items()
    }
    del paid[0]
    charged: Counter[int] = Counter()
    for (process, _pool, _tag), size in sums.bytes.items():
        charged[process] += size
    assert charged == paid
    assert sums.unknown == 0


@pytest.mark.parametrize("name", ["3790-x86", "3790-x64", "7601-x64"])
def test_sessions_without_symbols_are_found_by_their_page_tables(name: str, tmp_path: Path) -> None:
    machine = made(name)
    with kernel_of(machine, tmp_path / "MEMORY.DMP") as kernel:
        known = {**kernel.layouts, **(kernel.table.structures if kernel.table is not None else {})}
        del known["_MM_SESSION_SPACE"]
        symbols = kernel.table.symbols if kernel.table is not None else {}
        places = {**kernel.addresses, **{symbol: kernel.base + at for symbol, at in symbols.items()}}
        blind = replace(kernel, table=None, layouts=known, addresses=places)
        spaces = session_spaces(blind).spaces
        assert [space.session for space in spaces] == [None, None]
        # From Vista on the session's number lies where it always did; before, it is not known
        assert [space.number for space in spaces] == ([0, 1] if kernel.build >= 6000 else [MAX_NUMBER, MAX_NUMBER + 1])
        counted = sum(len(part.blocks) for part in walk_session_pools(blind))
    assert counted == sum(len(pages.blocks) for pages in machine.truth.pool_pages if pages.pool == "session")


def test_without_lookasides_what_waits_looks_allocated(tmp_path: Path) -> None:
    with kernel_of(made("7601-x64"), tmp_path / "MEMORY.DMP") as kernel:
        states = np.concatenate([part.blocks["state"] for part in walk_pool(kernel)])
    assert set(states.tolist()) == {int(State.ALLOCATED), int(State.FREE)}
