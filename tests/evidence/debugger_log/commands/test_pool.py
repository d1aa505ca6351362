"""The numbers expected here stand in the quoted lines of real outputs beside them."""

import io
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from poolsleuth.evidence.debugger_log.commands import pool
from poolsleuth.evidence.debugger_log.reader import LogReader
from poolsleuth.model.facts import Fact, Problem
from poolsleuth.model.pool import LargeAllocation, NotPool, PoolBlockList, PoolPage
from poolsleuth.model.tags import PoolKind

SHARED = Path(__file__).parents[5] / "shared"

FRAGMENTED = """3: kd> !pool fa808000
Pool page fa808000 region is Nonpaged pool
*fa808000 size:  a20 previous size:    0  (Free)      *MFE0
 fa808a20 size:   18 previous size:  a20  (Allocated)  ReEv
 fa808a38 size:  5c8 previous size:   18  (Free)       NtFs

3: kd> !pool fa550000
Pool page fa550000 region is Nonpaged pool
*fa550000 size:  860 previous size:    0  (Free)      *Io 
 fa550860 size:   18 previous size:  860  (Allocated)  MFE0
 fa550878 size:  788 previous size:   18  (Free)       Irp

fe592000 size:  f18 previous size:    0  (Allocated) MmCm
fe593000 size:  f18 previous size:    0  (Allocated) MmCm
fe597000 size:  f18 previous size:    0  (Allocated) MmCm
"""  # noqa: W291

WITH_CONTENTS = """kd> !pool e1001050 1
 e1001000 size:   40 previous size:    0  (Allocated)  MmDT
 e1001008  ffffffff 0057005c 004e0049 004f0044
    e1001018  ffffffff 0053005c 00730079 00650074

 e1001040 size:   10 previous size:   40  (Free)       Mm  
 e1001048  ffffffff e1007ba8 e1501a58 01028101

*e1001050 size:   10 previous size:   10  (Allocated) *ObDi
 e1001058  ffffffff 00000000 e1000240 01028101

......
"""  # noqa: W291

UNREADABLE = """4: kd> !pool ffff80091002ac08
Pool page ffff80091002ac08 region is Unknown
ffff80091002a000 is not a valid large pool allocation, checking large session pool...
Unable to read large session pool table (Session data is not present in mini and kernel-only dumps)
ffff80091002a000 is not valid pool. Checking for freed (or corrupt) pool
Address ffff80091002a000 could not be read. It may be a freed, invalid or paged out page
"""

WIN7 = """3: kd> !pool 85246430
Pool page 85246430 region is Nonpaged pool
 85246000 size:   c8 previous size:    0  (Allocated)  Ntfx
 852460c8 size:   10 previous size:   c8  (Free)       .PZH
 852460d8 size:   20 previous size:   10  (Allocated)  Even (Protected)
 852460f8 size:   68 previous size:   20  (Allocated)  NpFn Process: 8507a030
*85246160 size:  ea0 previous size:   68  (Free ) *2.3.   <-- overwritten
\t\tOwning component : Unknown (update pooltag.txt)
"""


def wrapped(text: str, width: int = 44) -> str:
    """The text as a narrow window wraps it: at the last blank before the width."""
    lines = []
    for line in text.splitlines():
        rest = line
        while len(rest) > width and " " in rest[1:width].strip():
            at = rest.rindex(" ", 1, width)
            lines.append(rest[:at])
            rest = rest[at + 1 :]
        lines.append(rest)
    return "\n".join(lines) + "\n"


DAMAGES: dict[str, Callable[[str], str]] = {
    "as it was": lambda text: text,
    "double spaced": lambda text: text.replace("\n", "\n\n"),
    "collapsed": lambda text: "\n".join(re.sub(r"\s+", " ", line).strip() for line in text.splitlines()),
    "quoted": lambda text: "".join(f"> {line}\n" for line in text.splitlines()),
    "tabbed": lambda text: "".join(f"\t{line}\n" for line in text.splitlines()),
    "padded with NBSP": lambda text: text.replace("  ", "\u00a0 "),
    "HTML": lambda text: text.replace(">", "&gt;").replace("\n", "<br />\n"),
    "CR LF": lambda text: text.replace("\n", "\r\n"),
    "without prompts": lambda text: re.sub(r"(?m)^.*kd> .*\n", "", text),
    "wrapped": wrapped,
}


def read(text: str) -> tuple[list[Fact], list[Problem]]:
    reader = LogReader(0)
    return list(reader.read(io.BytesIO(text.encode()))), reader.problems


def pages_of(text: str) -> list[PoolPage]:
    return [fact for fact in read(text)[0] if isinstance(fact, PoolPage)]


def lists_of(text: str) -> list[PoolBlockList]:
    return [fact for fact in read(text)[0] if isinstance(fact, PoolBlockList)]


@pytest.mark.parametrize("damage", DAMAGES)
def test_pages_and_a_list_without_header(damage: str) -> None:
    facts, problems = read(DAMAGES[damage](FRAGMENTED))
    assert problems == []
    first, second, bare = facts
    assert isinstance(first, PoolPage)
    assert isinstance(second, PoolPage)
    assert isinstance(bare, PoolBlockList)
    assert (first.page, first.region, first.pool, first.address_bits) == (
        0xFA808000,
        "Nonpaged pool",
        PoolKind.NONPAGED,
        32,
    )
    # the middle row reads "fa808a20 size:   18 previous size:  a20  (Allocated)  ReEv"
    assert [(b.address, b.size, b.previous_size, b.free, b.tag) for b in first.blocks] == [
        (0xFA808000, 0xA20, 0, True, "MFE0"),
        (0xFA808A20, 0x18, 0xA20, False, "ReEv"),
        (0xFA808A38, 0x5C8, 0x18, True, "NtFs"),
    ]
    assert [b.starred for b in first.blocks] == [True, False, False]
    assert first.whole
    assert [b.tag for b in second.blocks] == ["Io", "MFE0", "Irp"]
    assert second.whole
    # three rows "size:  f18", each in a page of its own
    assert bare.counts == (("MmCm", 0xF18, False, 3),)
    assert [b.address for b in bare.first] == [0xFE592000, 0xFE593000, 0xFE597000]
    assert (bare.tag_asked, bare.pool, bare.address_bits) == (None, None, 32)


def test_places_and_commands() -> None:
    first, second, bare = read(FRAGMENTED)[0]
    assert [fact.where.line for fact in (first, second, bare)] == [2, 8, 13]
    assert isinstance(first, PoolPage)
    assert [b.where.line for b in first.blocks] == [3, 4, 5]
    assert [fact.command for fact in (first, second, bare)] == ["!pool fa808000", "!pool fa550000", None]
    assert first.live is False


@pytest.mark.parametrize("damage", sorted(DAMAGES.keys() - {"wrapped"}))
def test_contents_between_the_rows(damage: str) -> None:
    (page,) = pages_of(DAMAGES[damage](WITH_CONTENTS))
    # No header: the page is that of the rows, for "*e1001050" is starred
    assert (page.page, page.region, page.pool, page.whole) == (0xE1001000, None, None, False)
    assert [(b.address, b.tag, b.free, b.starred) for b in page.blocks] == [
        (0xE1001000, "MmDT", False, False),
        (0xE1001040, "Mm", True, False),
        (0xE1001050, "ObDi", False, True),
    ]


# A remark behind a wrapped tag cannot be told from it
@pytest.mark.parametrize("damage", sorted(DAMAGES.keys() - {"wrapped"}))
def test_garbage_tags_protection_and_remarks(damage: str) -> None:
    (page,) = pages_of(DAMAGES[damage](WIN7))
    assert [b.tag for b in page.blocks] == ["Ntfx", ".PZH", "Even", "NpFn", "2.3."]
    assert [b.protected for b in page.blocks] == [False, False, True, False, False]
    assert [b.free for b in page.blocks] == [False, True, False, False, True]
    assert page.whole


@pytest.mark.parametrize("damage", sorted(DAMAGES.keys() - {"wrapped"}))
def test_an_address_that_is_no_pool(damage: str) -> None:
    (fact,) = read(DAMAGES[damage](UNREADABLE))[0]
    assert isinstance(fact, NotPool)
    assert fact.address == 0xFFFF80091002AC08
    assert fact.says.endswith("could not be read. It may be a freed, invalid or paged out page")
    assert "Session data is not present in mini and kernel-only dumps" in fact.says


def test_an_unfinished_answer_is_no_fact() -> None:
    assert read("\n".join(UNREADABLE.splitlines()[:3]))[0] == []


@pytest.mark.parametrize(
    ("address", "line", "tag", "size"),
    [
        ("ffffc986cb6f2000", "*{} : large page allocation, tag is V2lg, size is 0x4000 bytes", "V2lg", 0x4000),
        ("fffff901`400d0000", "*{} : large page allocation, Tag is Gh05, size is 0x1090 bytes", "Gh05", 0x1090),
        ("8600b000", "{} : large page allocation, tag is CM, size", "CM", None),
    ],
)
def test_large_allocations(address: str, line: str, tag: str, size: int | None) -> None:
    text = f"Pool page 8600b000 region is Nonpaged pool\n{line.format(address)}\n\t\tPooltag V2lg : VHD2 core\n"
    (fact,) = read(text)[0]
    assert isinstance(fact, LargeAllocation)
    assert (fact.address, fact.tag, fact.size) == (int(address.replace("`", ""), 16), tag, size)


def test_large_session_allocation_is_found_after_the_first_table() -> None:
    text = (
        "Pool page fffff901400d0000 region is Unknown\n"
        "fffff901400d0000 is not a valid large pool allocation, checking large session pool...\n"
        "*fffff901400d0000 : large page allocation, tag is Gh05, size is 0x1090 bytes\n"
    )
    assert [type(fact) for fact in read(text)[0]] == [LargeAllocation]


def test_a_free_large_allocation_is_no_allocation() -> None:
    (fact,) = read("*8600b000 :free  large page allocation, Tag is Thre, size is 0x1000 bytes\n")[0]
    assert isinstance(fact, NotPool)
    assert fact.address == 0x8600B000


def test_block_that_begins_before_its_page() -> None:
    # A corrupted header of Windows 11: "size: 8020" in a page of 1000
    text = (
        "0: kd> !pool ffffbd06d46e0000\nPool page ffffbd06d46e0000 region is Paged pool\n"
        "*ffffbd06d46dffe0 size: 8020 previous size:    0  (Free)      *>.g.\n"
        "\t\tOwning component : Unknown (update pooltag.txt)\n"
    )
    (page,) = pages_of(text)
    assert (page.page, page.pool, page.whole, page.address_bits) == (0xFFFFBD06D46E0000, PoolKind.PAGED, False, 64)
    assert [(b.address, b.size, b.tag) for b in page.blocks] == [(0xFFFFBD06D46DFFE0, 0x8020, ">.g.")]


def test_flag_2_prints_the_starred_row_alone() -> None:
    (page,) = pages_of("*e1001050 size:   10 previous size:   10  (Allocated) *ObDi\n")
    assert (page.page, len(page.blocks), page.whole) == (0xE1001000, 1, False)


def test_pages_with_gaps_of_newer_windows_are_not_whole() -> None:
    text = (
        "Pool page ffff92867ff21a20 region is Nonpaged pool\n"
        " ffff92867ff21000 size:  a00 previous size:    0  (Allocated)  Thre\n"
        "*ffff92867ff21a10 size:  300 previous size:    0  (Allocated) *AleE\n"
        "\t\tPooltag AleE : ALE endpoint context, Binary : tcpip.sys\n"
    )
    (page,) = pages_of(text)
    assert [b.tag for b in page.blocks] == ["Thre", "AleE"]
    assert not page.whole


def test_rows_of_the_next_page_do_not_join_it() -> None:
    text = FRAGMENTED.replace("\n\n3: kd> !pool fa550000\nPool page fa550000 region is Nonpaged pool", "")
    assert [page.page for page in pages_of(text)] == [0xFA808000, 0xFA550000]


def test_many_pages_without_prompts_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool, "MAX_PAGES", 2)
    page = "Pool page {0:x} region is Paged pool\n*{0:x} size: 1000 previous size:    0  (Allocated) *Abcd\n"
    facts, problems = read("".join(page.format(0xE1000000 + n * 0x1000) for n in range(5)))
    assert [type(fact) for fact in facts] == [PoolPage, PoolPage, PoolBlockList]
    assert isinstance(facts[2], PoolBlockList)
    assert facts[2].counts == (("Abcd", 0x1000, False, 3),)
    assert ["5000 pool pages" in p.says or "2 pool pages" in p.says for p in problems] == [True]


def test_kinds_of_blocks_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool, "MAX_KEYS", 10)
    rows = "".join(
        f"{0x80000000 + n * 0x1000:x} size: {n * 8:x} previous size: 0 (Free) Abc\n" for n in [*range(1, 30), 1]
    )
    facts, problems = read(rows)
    (found,) = facts
    assert isinstance(found, PoolBlockList)
    assert len(found.counts) == 10
    assert found.counts[0] == ("Abc", 8, True, 2)
    assert len(problems) == 1


def test_a_long_list_over_many_pieces_of_text() -> None:
    count = 40_000  # more than two pieces of 1 MB
    rows = "".join(
        f"{0x80000000 + n * 0x1000:08x} size:  f18 previous size:    0  (Allocated) MmCm\n" for n in range(count)
    )
    (found,) = lists_of("3: kd> !pool\n" + rows)
    assert found.counts == (("MmCm", 0xF18, False, count),)
    assert len(found.first) == 64
    assert found.first[-1].where.line == 65


def test_line_numbers_survive_pieces_of_text() -> None:
    filler = " fa808008  ffffffff 0057005c 004e0049 004f0044\n" * 30_000
    text = f"Pool page fa808000 region is Nonpaged pool\n{filler}*fa808000 size:  a20 previous size:    0  (Free) *Io\n"
    (page,) = pages_of(text)
    assert page.blocks[0].where.line == 30_002


# Without the characters that mark up pasted text: repairing them may take one that was a tag's
TAGS = st.from_regex(r"[A-Za-z0-9?.#!@$%^*+=_/-](?:[A-Za-z0-9 ?.#!@$%^*+=_/-]{0,2}[A-Za-z0-9?.#*])?", fullmatch=True)
ROWS = st.lists(st.tuples(st.integers(1, 60), st.booleans(), TAGS, st.booleans()), min_size=2, max_size=12)


@settings(deadline=None)
@given(ROWS, st.booleans())
def test_generated_pages_read_back(rows: list[tuple[int, bool, str, bool]], wide: bool) -> None:
    start = 0xFFFFE28000AB1000 if wide else 0x86294000
    address, previous, lines, blocks = start, 0, [], []
    for units, free, tag, protected in rows:
        size = units * 16 if address + units * 16 < start + 0x1000 else start + 0x1000 - address
        if size <= 0:
            break
        mark = "*" if address == start else " "
        state = "(Free)     " if free else "(Allocated)"
        end = " (Protected)" if protected and not free else ""
        lines.append(f"{mark}{address:x} size: {size:4x} previous size: {previous:4x}  {state} {mark}{tag:<4}{end}\n")
        blocks.append((address, size, previous, free, tag, bool(end)))
        address, previous = address + size, size
    header = f"Pool page {start:x} region is Paged pool\n"
    for text in ("kd> !pool\n" + header + "".join(lines), "kd> !pool\n" + "".join(lines)):
        (page,) = pages_of(text)
        assert [(b.address, b.size, b.previous_size, b.free, b.tag, b.protected) for b in page.blocks] == blocks
        assert page.page == start
        assert page.whole == (address == start + 0x1000)


SAMPLE = FRAGMENTED + WITH_CONTENTS + UNREADABLE + WIN7


@settings(deadline=None)
@given(st.integers(0, len(SAMPLE)), st.integers(0, len(SAMPLE)), st.text(max_size=30))
def test_damaged_outputs_never_fail(start: int, end: int, inserted: str) -> None:
    for text in (SAMPLE[start:end], SAMPLE[:start] + inserted + SAMPLE[end:], SAMPLE[:end] + inserted):
        facts, problems = read(text.encode("utf-8", "replace").decode())
        assert all(isinstance(fact, Fact) for fact in facts)
        assert not [p for p in problems if "could not be read" in p.says]


@pytest.mark.parametrize(
    ("name", "pages", "bare"),
    [
        ("seeds/000_8ab0d1702d9075eb.txt", [0xFA808000, 0xFA550000, 0xF8FEB000], 8),
        ("data/transcripts/001_srv2003_vm_poolused_t5_2_pool.txt", [0xFA808000, 0xFA550000, 0xF8FEB000], 8),
        ("data/transcripts/014_xp_pool_flags0_1.txt", [0xE1001000, 0xE1001000], 0),
        ("data/transcripts/039_win11_0x19_analyze_pool_poolval.txt", [0xFFFFBD06D46E0000], 0),
        ("data/transcripts/043_win11_d1_pool_unknown_sessdata.txt", [], 0),
    ],
)
def test_real_files(name: str, pages: list[int], bare: int) -> None:
    path = SHARED / name
    if not path.exists():
        pytest.skip(f"{name} is absent")
    text = path.read_text("utf-8")
    assert [page.page for page in pages_of(text)] == pages
    assert sum(count for found in lists_of(text) for *_, count in found.counts) == bare
