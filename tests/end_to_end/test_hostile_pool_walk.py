"""Pool pages, lookaside lists and sessions whose bytes are anything: the walk ends, and nothing raises."""

import time
from pathlib import Path
from random import Random

import pytest

from poolsleuth.evidence.dump.block_facts import block_facts
from poolsleuth.evidence.dump.context import DumpContext
from poolsleuth.evidence.dump.opening import open_kernel
from poolsleuth.evidence.dump.options import DumpOptions
from poolsleuth.kernel.crash_dump.content import open_content
from poolsleuth.lab.catalogue import windows_named
from poolsleuth.lab.machine import PAGE, Hidden
from poolsleuth.lab.session_blocks import with_session_pools
from poolsleuth.lab.simulate import simulate
from poolsleuth.lab.stories import make_machine, small_size
from poolsleuth.model.facts import Problem, Where
from poolsleuth.model.system import BugCheck

CRASH = BugCheck(where=Where(0), code=0x19, parameters=(), name=None)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("name", ["3790-x86", "7601-x64", "14393-x64"])
def test_damaged_everywhere(name: str, seed: int, tmp_path: Path) -> None:
    random = Random(f"{name} {seed}")
    machine = make_machine(windows_named(name), "leak", seed=2, size=small_size(), hidden=Hidden())
    simulated = simulate(with_session_pools(machine, Random(3)))
    space, width = simulated.system, machine.windows.pointer
    blocks = simulated.truth.places["KiProcessorBlock"]
    prcbs = [int.from_bytes(space.read(blocks + i * width, width), "little") for i in range(machine.processors)]
    for _ in range(60):  # heads and counts of lookaside lists
        space.write(random.choice(prcbs) + random.randrange(0x500, 0x2000), random.randbytes(random.choice((2, 8, 64))))
    pages = [page for part in simulated.truth.pool_pages if part.pool != "session" for page in part.addresses.tolist()]
    for page in random.sample(pages, 80):
        kind = random.randrange(3)
        if kind == 0:  # one header or link
            space.write(page + random.randrange(0, PAGE, 8), random.randbytes(8))
        elif kind == 1:  # a page of noise that begins like one of the pool
            space.write(page + 8, random.randbytes(PAGE - 8))
        else:  # sizes that lead everywhere
            space.write(page + 64, bytes(random.choice((0, 1, 2, 255)) for _ in range(PAGE - 64)))
    path = tmp_path / "MEMORY.DMP"
    simulated.write(path, "bitmap-full")
    problems: list[Problem] = []
    began = time.process_time()
    with path.open("rb") as file, open_content(file) as content:
        kernel = open_kernel(content, DumpOptions()).kernel
        assert kernel is not None
        facts = list(block_facts(kernel, [CRASH], DumpContext(0, 8 * width, None, problems)))
    assert time.process_time() - began < 10
    assert facts
