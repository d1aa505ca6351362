"""The way from a dump file: heaps that were written into a simulated machine's memory are walked through its paging."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from poolsleuth.evidence.dump.opening import open_kernel
from poolsleuth.evidence.dump.options import DumpOptions
from poolsleuth.kernel.crash_dump.content import open_content
from poolsleuth.kernel.pool.classic_walk import has_classic_pool
from poolsleuth.kernel.pool.segment_heap.walk import walk_segment_pool
from poolsleuth.lab.catalogue import windows_named
from poolsleuth.lab.simulate import simulate
from poolsleuth.lab.stories import make_machine, small_size


@pytest.mark.parametrize("kind", ["bitmap-full"])
def test_heaps_in_a_dump(kind: str, tmp_path: Path, fill_system: Any, rows: Any) -> None:
    machine = simulate(make_machine(windows_named("19041-x64"), "leak", size=small_size()))
    heaps = fill_system(machine.system)
    made = heaps.finish()
    path = tmp_path / "MEMORY.DMP"
    machine.write(path, kind)
    with path.open("rb") as file, open_content(file) as content:
        kernel = open_kernel(content, DumpOptions()).kernel
        assert kernel is not None
        assert has_classic_pool(kernel) is False
        # The heaps have a kernel of their own beside the simulated one, with another base
        parts = list(walk_segment_pool(replace(made, memory=kernel.memory)))
    blocks = np.concatenate([part.blocks for part in parts])
    assert [says for part in parts for says in part.says] == []
    assert sorted(rows(blocks)) == heaps.expected()
