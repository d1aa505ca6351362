"""The numbers expected here stand in the quoted lines of a real map."""

import io
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from poolsleuth.evidence.debugger_log.commands import pool_map
from poolsleuth.evidence.debugger_log.reader import LogReader
from poolsleuth.model.pool import PoolMap
from poolsleuth.model.tags import PoolKind

SHARED = Path(__file__).parents[5] / "shared"

MAP = """0: kd> !w2kfre\\kdex2x86.xpool -map
unable to get NT!MmSizeOfNonPagedMustSucceed location

Status Map of Pool Area Pages
==============================
  'O': one page in use                              ('P': paged out)
  '<': start page of contiguous pages in use        ('{': paged out)
  '>': last page of contiguous pages in use         ('}': paged out)
  '=': intermediate page of contiguous pages in use ('-': paged out)
  '.': one page not used

Non-Paged Pool Area Summary
----------------------------
Maximum Number of Pages  = 64640 pages
Number of Pages In Use   = 36721 pages (56.8%)

          +00000  +08000   +10000  +18000   +20000  +28000   +30000  +38000
82780000: ..OO.OO.OO..O.OO .O..OO.OO.OO..O. OO.O..OO.O..OO.. ..OO.O..OO.OO.OO
827c0000: .O..OO....OO..O. OO.OO.OO....OO.. O....O..OO....OO .O..OO.O..OO..O.
82800000: ..O............. ................ ................ ................
"""

DAMAGES: dict[str, Callable[[str], str]] = {
    "as it was": lambda text: text,
    "double spaced": lambda text: text.replace("\n", "\n\n"),
    "collapsed": lambda text: "\n".join(re.sub(r"\s+", " ", line).strip() for line in text.splitlines()),
    "quoted": lambda text: "".join(f"> {line}\n" for line in text.splitlines()),
    "tabbed": lambda text: "".join(f"\t{line}\n" for line in text.splitlines()),
    "wrapped": lambda text: re.sub(r"(?m)^(8\S+ \S+ \S+) ", r"\1\n", text),
    "without prompts": lambda text: re.sub(r"(?m)^.*kd> .*\n", "", text),
}


def maps(text: str) -> list[PoolMap]:
    reader = LogReader(0)
    facts = list(reader.read(io.BytesIO(text.encode("utf-8", "replace"))))
    assert not [p for p in reader.problems if "could not be read" in p.says]
    return [fact for fact in facts if isinstance(fact, PoolMap)]


@pytest.mark.parametrize("damage", DAMAGES)
def test_map(damage: str) -> None:
    (found,) = maps(DAMAGES[damage](MAP))
    assert found.pool is PoolKind.NONPAGED
    # The summary says "= 64640 pages" and "= 36721 pages (56.8%)"
    assert found.maximum_pages is not None
    assert found.used_pages is not None
    assert (found.maximum_pages.value, found.used_pages.value) == (64640, 36721)
    # Three rows of 64 cells; counted by hand: 34, 27 and 1 of them are in use
    assert (found.shown_pages, found.shown_used) == (192, 34 + 27 + 1)
    assert found.address_bits == 32
    # 36,721 pages are in use and the rows show fewer: rows are missing
    assert found.elided


def test_isolated_pages_have_unused_neighbours_on_both_sides() -> None:
    cells = "OO..O..=........ P...............", "................ ...............O"
    head = MAP[: MAP.index("82780000")].replace("36721", "6")
    (found,) = maps(f"{head}82780000: {cells[0]} {cells[1]}\n")
    # O at 4, = at 7 and P at 16; the O at the row's end has a neighbour that is not shown
    assert (found.shown_pages, found.shown_used, found.isolated, found.elided) == (64, 6, 3, False)


@pytest.mark.parametrize("between", ["...\n", ""])
def test_left_out_rows(between: str) -> None:
    head = MAP[: MAP.index("82780000")].replace("36721", "2")
    row = "O" + "." * 15 + (" " + "." * 16) * 3
    (found,) = maps(f"{head}82780000: {row}\n{between}82900000: {row}\n")
    assert found.elided
    (found,) = maps(f"{head}82780000: {row}\n827c0000: {row}\n")
    assert not found.elided


def test_two_pools() -> None:
    text = MAP + MAP[MAP.index("Non-Paged") :].replace("Non-Paged", "Paged").replace("64640", "41")
    assert [(found.pool, found.maximum_pages and found.maximum_pages.value) for found in maps(text)] == [
        (PoolKind.NONPAGED, 64640),
        (PoolKind.PAGED, 41),
    ]


def test_a_map_of_an_unknown_pool_is_a_problem() -> None:
    reader = LogReader(0)
    assert list(reader.read(io.BytesIO(MAP[MAP.index("82780000") :].encode()))) == []
    assert len(reader.problems) == 1


@settings(deadline=None)
@given(st.integers(0, len(MAP)), st.integers(0, len(MAP)), st.text(max_size=30))
def test_damaged_outputs_never_fail(start: int, end: int, inserted: str) -> None:
    for text in (MAP[start:end], MAP[:start] + inserted + MAP[end:]):
        for found in maps(text):
            assert 0 <= found.isolated <= found.shown_used <= found.shown_pages


@pytest.mark.parametrize(
    "name", ["seeds/002_3328612633af358e.txt", "data/transcripts/007_srv2003_vm_poolused3_ddk_xpoolmap.txt"]
)
def test_real_files(name: str) -> None:
    path = SHARED / name
    if not path.exists():
        pytest.skip(f"{name} is absent")
    (found,) = maps(path.read_text("utf-8"))
    # 12 + 11 rows of 64 cells, with "..." between and behind them
    assert (found.shown_pages, found.elided) == (23 * 64, True)
    assert found.maximum_pages is not None
    assert found.maximum_pages.value == 64640


def test_the_cells_are_kept() -> None:
    (found,) = maps(MAP)
    printed = "".join("".join(line.split()[1:]) for line in MAP.splitlines() if line.startswith("82"))
    assert found.rows == ((0x82780000, printed),)


def test_rows_that_do_not_follow_each_other_are_apart() -> None:
    (found,) = maps(MAP.replace("82800000:", "82900000:"))
    assert [(address, len(cells)) for address, cells in found.rows] == [(0x82780000, 128), (0x82900000, 64)]


def test_long_maps_are_kept_in_texts_of_some_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    row = "O" * 16 + (" " + "." * 16) * 3
    lines = "".join(f"{0x80000000 + n * 0x40000:08x}: {row}\n" for n in range(40))
    head = MAP[: MAP.index("82780000")]
    (found,) = maps(head + lines)
    assert [len(cells) for _, cells in found.rows] == [16 * 64, 16 * 64, 8 * 64]
    monkeypatch.setattr(pool_map, "MAX_AREAS", 2)
    (found,) = maps(head + lines)
    assert [len(cells) for _, cells in found.rows] == [16 * 64, 16 * 64]
    assert found.elided
    assert found.shown_pages == 40 * 64


def test_our_own_maps_name_sessions_and_missing_pages() -> None:
    row = "O?!." + "." * 12 + (" " + "." * 16) * 3
    (found,) = maps(f"Session Pool of Session 3 Area Summary\n\nffffd10000000000: {row}\n")
    assert (found.pool, found.address_bits) == (PoolKind.SESSION, 64)
    assert (found.shown_used, found.rows[0][1][:4]) == (2, "O?!.")
