"""``!pool`` and ``!poolfind``, against the blocks that the lab laid down."""

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from poolsleuth.debugger.shell import Shell
from poolsleuth.debugger.target import Target
from poolsleuth.kernel.pool.blocks import BLOCK, Kind, Pool, State
from poolsleuth.kernel.pool.segment_heap.parts import SegmentPart
from poolsleuth.kernel.pool.tags import tag_text
from poolsleuth.lab.machine import IN_USE
from poolsleuth.lab.simulate import SimulatedMachine
from poolsleuth.model.pool import LargeAllocation, NotPool, PoolBlockList, PoolPage
from poolsleuth.reading import read_all

Lab = Callable[..., tuple[Path, SimulatedMachine]]
Run = Callable[..., list[str]]
CLASSIC = ["2600-x86", "3790-x86-pae", "3790-x64", "7601-x64", "14393-x64"]


@pytest.mark.parametrize("name", CLASSIC)
def test_the_blocks_of_a_page_are_read_back(
    name: str, lab_dump: Lab, target_of: Callable[..., Target], tmp_path: Path
) -> None:
    _, machine = lab_dump(name)
    pages = machine.truth.pool_pages
    assert pages
    asked = []
    for part in pages:
        for page in part.addresses[:3]:
            inside = part.blocks[(part.blocks["address"] // 4096) == int(page) // 4096]
            asked.append((int(page), int(inside["address"][-1]), inside))
    log = tmp_path / "log.txt"
    with Shell(target_of(name)) as shell:
        log.write_text("\n".join(line for _, at, _ in asked for line in shell.run(f"!pool {at:x}")), encoding="utf-8")
    read = read_all([log], None)
    assert read.problems == []
    found = [fact for fact in read.facts[0] if isinstance(fact, PoolPage)]
    assert len(found) == len(asked)
    for fact, (page, at, blocks) in zip(found, asked, strict=True):
        assert (fact.page, fact.whole) == (page, True)
        assert [(b.address, b.size, b.tag, b.free, b.protected) for b in fact.blocks] == [
            (int(b["address"]), int(b["size"]), tag_text(int(b["tag"])).rstrip(), b["state"] == 1, bool(b["protected"]))
            for b in blocks
        ]
        assert [b.address for b in fact.blocks if b.starred] == [at]


def test_a_large_allocation(lab_dump: Lab, target_of: Callable[..., Target], tmp_path: Path) -> None:
    _, machine = lab_dump("7601-x64")
    rows = machine.truth.big_pages.rows
    row = rows[rows["state"] == IN_USE][0]
    log = tmp_path / "log.txt"
    with Shell(target_of("7601-x64")) as shell:
        log.write_text("\n".join(shell.run(f"!pool {int(row['address']) + 0x10:x}")), encoding="utf-8")
    (fact,) = [fact for fact in read_all([log], None).facts[0] if isinstance(fact, LargeAllocation)]
    assert (fact.address, fact.tag.encode(), fact.size) == (row["address"], row["tag"].rstrip(), row["bytes"])


def test_an_address_that_is_not_in_the_dump(run: Run, tmp_path: Path) -> None:
    lines = run("!pool fffff80012345678", "7601-x64")
    assert lines[:2] == [
        "Pool page fffff80012345678 region is Unknown",
        "Address fffff80012345000 could not be read. It may be a freed, invalid or paged out page",
    ]
    log = tmp_path / "log.txt"
    log.write_text("\n".join(["0: kd> !pool fffff80012345678", *lines, ""]), encoding="utf-8")
    assert any(isinstance(fact, NotPool) for fact in read_all([log], None).facts[0])


def test_a_page_that_is_no_pool(run: Run) -> None:
    lines = run("!pool nt", "3790-x64")
    assert lines[1].endswith("is not valid pool. Checking for freed (or corrupt) pool")


def test_the_segment_heap(target_of: Callable[..., Target], monkeypatch: pytest.MonkeyPatch) -> None:
    target = target_of("19041-x64")
    page = target.kernel.base  # any page that can be read
    blocks = np.zeros(3, BLOCK)
    blocks["address"] = [page - 0x100, page + 0x80, page + 0x1000]
    blocks["size"] = [0x180, 0x40, 0x20]
    blocks["tag"] = [int.from_bytes(tag, "little") for tag in (b"File", b"Leak", b"Far ")]
    blocks["pool"], blocks["kind"] = int(Pool.NONPAGED_NX), int(Kind.VS)
    blocks["state"] = [int(State.ALLOCATED), int(State.FREE), int(State.ALLOCATED)]
    walk = [SegmentPart(blocks[:0], 0, 0, 0, ()), SegmentPart(blocks, 1, 1, 0, ())]
    monkeypatch.setattr("poolsleuth.debugger.commands.pool.walk_segment_pool", lambda *_: iter(walk))
    with Shell(target) as shell:
        lines = list(shell.run("!pool nt+90"))[1:-1]
    assert lines == [
        f"Pool page {page + 0x90:x} region is Nonpaged pool",
        f" {page - 0x100:x} size:  180 previous size:    0  (Allocated)  File",
        f"*{page + 0x80:x} size:   40 previous size:    0  (Free)      *Leak",
        "\t\tPooltag Leak : third-party drivers",
    ]


@pytest.mark.parametrize("name", ["3790-x86-pae", "7601-x64"])
@pytest.mark.parametrize(("kind", "pool"), [(0, "nonpaged"), (1, "paged")])
def test_all_blocks_of_a_tag(
    name: str, kind: int, pool: str, lab_dump: Lab, target_of: Callable[..., Target], tmp_path: Path
) -> None:
    _, machine = lab_dump(name)
    part = next(part for part in machine.truth.pool_pages if str(part.pool) == pool)
    used = part.blocks[part.blocks["state"] != 1]
    tag, _ = Counter(used["tag"].tolist()).most_common(1)[0]
    text = tag_text(tag)
    sizes = Counter(used[used["tag"] == tag]["size"].tolist())
    log = tmp_path / "log.txt"
    with Shell(target_of(name)) as shell:
        log.write_text("\n".join(shell.run(f'!poolfind "{text}" {kind}')), encoding="utf-8")
    found: Counter[int] = Counter()
    for fact in read_all([log], None).facts[0]:
        if isinstance(fact, PoolBlockList):
            assert fact.tag_asked == text
            found.update({size: count for _tag, size, _free, count in fact.counts})
    # What stands in the table of large allocations is longer than a page
    assert {size: count for size, count in found.items() if size < 4096} == dict(sizes)


@pytest.mark.parametrize("command", ["!poolfind", "!poolfind toolong", "!poolfind Leak 7", "!poolfind a b c"])
def test_what_poolfind_does_not_know(command: str, run: Run) -> None:
    (sentence,) = run(command)
    assert sentence
    assert "Traceback" not in sentence


def test_a_walk_that_could_not_see_everything_says_so(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    empty = np.zeros(0, BLOCK)
    walk = [SegmentPart(empty, 5, 0, 3, ()), SegmentPart(empty, 0, 0, 0, (), "the walk ends there")]
    monkeypatch.setattr("poolsleuth.debugger.commands.poolfind.walk_pool", lambda *_: iter(walk))
    assert run("!poolfind Leak")[-4:] == [
        "...",
        "*** the walk ends there",
        "...",
        "*** 3 mapped pages are not in this dump: blocks in them are not listed",
    ]


def test_more_blocks_than_are_printed(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("poolsleuth.debugger.commands.poolfind.MAX_FOUND", 2)
    lines = run("!poolfind * 0", "7601-x64")
    assert lines[-2:] == ["...", "*** only 2 blocks are printed: !poolused 0 * says how many there are"]
