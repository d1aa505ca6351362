"""The parser of poolmon text."""

import dataclasses
import re
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from poolsleuth.evidence.debugger_log.clean import clean
from poolsleuth.evidence.debugger_log.output import Block, Context
from poolsleuth.evidence.poolmon import read_screens
from poolsleuth.model.facts import Where
from poolsleuth.model.tags import Completeness, PoolKind, PoolmonMemory, TagTable


def read(text: str) -> list[Any]:
    cleaned = clean(text)
    return list(read_screens(cleaned, Block(cleaned, 1, Context(0)).where))


def plain(value: Any) -> Any:
    """A fact without its place and prompt: damage moves lines and loses prompts."""
    if isinstance(value, Where):
        return None
    if dataclasses.is_dataclass(value):
        names = [f.name for f in dataclasses.fields(value) if f.name not in {"live", "command"}]
        return {name: plain(getattr(value, name)) for name in names}
    if isinstance(value, tuple | list):
        return [plain(item) for item in value]
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    return value


def wrapped(text: str, width: int = 64) -> str:
    return re.sub(rf"(?m)^(?=.{{{width + 1}}})(.{{20,{width}}}) +(?=\S)", r"\1\n", text)


DAMAGE: dict[str, Callable[[str], str]] = {
    "double spaced": lambda text: text.replace("\n", "\n\n"),
    "collapsed": lambda text: re.sub(r"(?m) +", " ", re.sub(r"(?m)^ +", "", text)),
    "quoted": lambda text: re.sub(r"(?m)^", "> ", text),
    "tabbed": lambda text: re.sub(r"(?m)^", "\t", text),
    "hard blanks": lambda text: text.replace("  ", "\u00a0 "),
    "carriage returns": lambda text: text.replace("\n", "\r\n"),
}


def broken(sample: str, cut: int, at: int, junk: str) -> str:
    text = sample[: cut % (len(sample) + 1)]
    place = at % (len(text) + 1)
    return text[:place] + junk + text[place + len(junk) :]


MEMORY = (
    "physical",
    "available",
    "nonpaged_used",
    "paged_used",
    "committed",
    "commit_limit",
    "commit_peak",
    "kernel_resident",
    "paged_resident",
)

SCREEN = """ Memory:  260620K Avail:   65152K  PageFlts:    85   InRam Krnl: 2116K P:19560K
 Commit: 237688K Limit: 640916K Peak: 260632K            Pool N: 8500K P:33024K
 System pool information
 Tag  Type     Allocs            Frees            Diff   Bytes      Per Alloc  Mapped_Driver

 NtFA Nonp       9112 (   0)      9112 (   0)     0       0 (     0)      0 [ntfs.sys  -  AttrSup.c]
 NtFB Paged      3996 (   0)      3986 (  12)    10  252088 (     0)  25208 [ntfs.sys  -  BitmpSup.c]
 Dh 1 Paged        37 (   0)        35 (   0)     2     224 (     0)    112 Unknown Driver
 Gcac Paged      4722 (   0)      4666 (   0)    56  305400 (     0)   5453 [Gdi glyph cache]
"""

SESSIONS = """Memory:  523572K Avail:  233036K  PageFlts:   344   InRam Krnl: 1828K P:18380K
Commit: 193632K Limit:1279764K Peak: 987356K            Pool N:14332K P:18644K
All sessions pool information
 Tag  Type     Allocs            Frees            Diff   Bytes       Per Alloc

 Bmfd Paged       361 (   0)       336 (   0)       25   57832 (     0)   2313
 ...

Memory:  523572K Avail:  233024K  PageFlts:   525   InRam Krnl: 1828K P:18384K
 Commit: 193760K Limit:1279764K Peak: 987356K            Pool N:14340K P:18644K
 Session 0 pool information
 Tag  Type     Allocs            Frees            Diff   Bytes       Per Alloc

 Bmfd Paged       361 (   0)       336 (   0)       25   57832 (     0)   2313
"""

# poolmon -n of newer builds: no changes in parentheses, numbers glued to their colon
SNAPSHOT = """ Memory:33473120K Avail:26121028K  PageFlts:901597864   InRam Krnl:76500K P:4130272K
 Commit:35762700K Limit:64575904K Peak:43634092K            Pool N:2275124K P:4427892K
 System pool information
 Tag  Type     Allocs            Frees            Diff   Bytes       Per Alloc
 FMfn Paged            8665967            5982729           2683238     1495080176              557
"""

# The table alone, as a page of documentation shows it
MARKDOWN = """## Tag   Type     Allocs         Frees         Diff    Bytes             Per Alloc

CM       Paged     1,283  ( 0)    1,002  ( 0)     281    1,377,312   ( 0)    4,901
Strg     Paged    10385 ( 10)    6658  ( 4)    3727     317952 ( 512)    85
"""


def test_a_screen() -> None:
    memory, table = read(SCREEN)
    assert isinstance(memory, PoolmonMemory)
    kilobytes = {name: getattr(memory, name).value // 1024 for name in MEMORY}
    # Memory:  260620K Avail:   65152K / Commit: 237688K Limit: 640916K Peak: 260632K  Pool N: 8500K P:33024K
    assert kilobytes == {
        "physical": 260_620,
        "available": 65_152,
        "nonpaged_used": 8500,
        "paged_used": 33_024,
        "committed": 237_688,
        "commit_limit": 640_916,
        "commit_peak": 260_632,
        "kernel_resident": 2116,
        "paged_resident": 19_560,
    }
    assert isinstance(table, TagTable)
    assert (table.source, table.session, table.completeness) == ("poolmon", None, Completeness.UNKNOWN)
    assert table.pools == {PoolKind.NONPAGED, PoolKind.PAGED}
    rows = [(r.tag, r.pool.value, r.allocs, r.frees, r.outstanding, r.bytes) for r in table.rows]
    assert rows == [
        ("NtFA", "nonpaged", 9112, 9112, 0, 0),
        ("NtFB", "paged", 3996, 3986, 10, 252_088),
        ("Dh 1", "paged", 37, 35, 2, 224),
        ("Gcac", "paged", 4722, 4666, 56, 305_400),
    ]
    assert [(r.description, r.binary) for r in table.rows] == [
        ("AttrSup.c", "ntfs.sys"),
        ("BitmpSup.c", "ntfs.sys"),
        (None, None),  # Unknown Driver
        ("Gdi glyph cache", None),
    ]
    assert table.rows[0].where.line == 6


def test_sessions_and_snapshots() -> None:
    facts = read(SESSIONS)
    assert [type(fact) for fact in facts] == [PoolmonMemory, TagTable, PoolmonMemory, TagTable]
    everyone, first = facts[1], facts[3]
    assert (everyone.session, everyone.completeness) == (-1, Completeness.CUT)
    assert (first.session, first.completeness) == (0, Completeness.UNKNOWN)
    assert facts[2].nonpaged_used.value == 14_340 * 1024  # Pool N:14340K


def test_a_snapshot_without_changes() -> None:
    memory, table = read(SNAPSHOT)
    assert memory.physical.value == 33_473_120 * 1024  # Memory:33473120K
    assert memory.paged_used.value == 4_427_892 * 1024  # Pool N:2275124K P:4427892K
    (row,) = table.rows
    assert (row.outstanding, row.bytes) == (2_683_238, 1_495_080_176)


def test_a_table_without_its_screen() -> None:
    (table,) = read(MARKDOWN)
    assert [(row.tag, row.allocs, row.outstanding, row.bytes) for row in table.rows] == [
        ("CM", 1283, 281, 1_377_312),
        ("Strg", 10_385, 3727, 317_952),
    ]


def one(row: str) -> Any:
    tables = read(f" Tag  Type     Allocs     Frees     Diff   Bytes  Per Alloc\n{row}\n")
    return tables[0].rows[0] if tables else None


def test_counters_that_wrapped_give_no_totals() -> None:
    # 5 allocations and 4294967290 frees: the allocations have wrapped at 2^32
    row = one(" Leak Nonp          5 (   0) 4294967290 (   0)       11     704 (     0)     64")
    assert (row.allocs, row.frees, row.outstanding, row.bytes) == (None, None, 11, 704)


def test_bytes_printed_as_a_negative_number_are_above_two_gigabytes() -> None:
    row = one(" Leak Nonp     100000 (   0)          0 (   0)   100000 -1294967296 (     0)  30000")
    assert (row.outstanding, row.bytes) == (100_000, 3_000_000_000)


def test_numbers_that_do_not_belong_together_are_no_row() -> None:
    assert one(" Leak Nonp        100 (   0)         10 (   0)       11     704 (     0)     65") is None
    row = one(" Leak Nonp        100 (   0)         10 (   0)       11     704 (     0)     64")
    assert (row.allocs, row.frees, row.outstanding, row.bytes) == (None, None, 11, 704)  # a damaged count of frees


@pytest.mark.parametrize(
    ("mapped", "description", "binary"),
    [
        ("[ntfs.sys  -  AttrSup.c]", "AttrSup.c", "ntfs.sys"),
        ("[ipsec][ipsec.sys - event queue]", "event queue", "ipsec.sys"),
        ("[Font related stuff]", "Font related stuff", None),
        ("[nt!mm - Mm section objects]", "nt!mm - Mm section objects", None),
        ("[MyDrv.SYS]", None, "MyDrv.SYS"),
        ("[ntfs.sys  -  Attr", "Attr", "ntfs.sys"),  # cut at the screen's edge
        ("[ntfs.sys  -", None, "ntfs.sys"),
        ("Unknown Driver", None, None),
        ("", None, None),
    ],
)
def test_mapped_drivers(mapped: str, description: str | None, binary: str | None) -> None:
    row = one(f" NtFA Nonp       9112 (   0)      9110 (   0)     2     128 (     0)     64 {mapped}")
    assert (row.description, row.binary) == (description, binary)


@pytest.mark.parametrize("tag", ["Dh 1", "CM", "8042", "-UMD", "a b", "Ntf?", "1 2", "é+£x"])
def test_tags(tag: str) -> None:
    row = one(f" {tag} Paged        37 (   0)        35 (   0)     2     224 (     0)    112")
    assert (row.tag, row.outstanding, row.bytes) == (tag, 2, 224)


def test_a_row_cut_behind_its_bytes_is_still_good() -> None:
    row = one(" NtFA Nonp       9112 (   0)      9110 (   0)     2     128")
    assert (row.outstanding, row.bytes) == (2, 128)
    assert one(" NtFA Nonp       9112 (   0)      9110 (   0)     2") is None


def test_a_tag_that_comes_again_begins_the_next_snapshot() -> None:
    text = MARKDOWN + MARKDOWN.replace("1,283", "1,293").replace("281", "291")
    first, second = read(text)
    assert [table.rows[0].outstanding for table in (first, second)] == [281, 291]


def test_a_cut_header_line_is_not_known() -> None:
    (memory,) = read("Memory:  260620K Avail:   65152K  PageFlts:    85   InRam Krnl: 2116K P:19560K\n Commit: 237")
    assert memory.available.value == 65_152 * 1024
    assert (memory.committed, memory.paged_used, memory.nonpaged_used) == (None, None, None)


def test_totals_are_no_tag() -> None:
    total = " Total Nonp     58734 (   0)     43210 (   0) 15524 8704000 (     0)    560\n"
    _, table = read(SCREEN + total)
    assert table.total[PoolKind.NONPAGED].bytes == 8_704_000
    assert len(table.rows) == 4


def by_bytes(*first: str, last: int = 0, others: int = 120) -> str:
    """A table of these tags and of others, the largest first, down to ``last`` bytes."""
    tags = [*first, *(f"t{n:03}" for n in range(others - 1))]
    rows = [
        f" {tag:<4} Nonp  {9:9} (   0) {4:9} (   0)        5 {size:7} (     0) {size // 5:6}\n"
        for tag, size in zip(tags, range(5000 * len(tags), 0, -5000), strict=True)
    ]
    return " Tag  Type     Allocs            Frees            Diff   Bytes  Per Alloc\n\n" + "".join(
        [*rows, f" last Nonp  {9:9} (   0) {9 - (last > 0):9} (   0) {int(last > 0):8} {last:7} (     0) {last:6}\n"]
    )


EVERYWHERE = ("Irp", "File", "Proc", "Thre")


@pytest.mark.parametrize(
    ("text", "completeness"),
    [
        (by_bytes(*EVERYWHERE), Completeness.COMPLETE),
        (by_bytes(*EVERYWHERE, last=8), Completeness.UNKNOWN),  # more may come below
        (by_bytes(*EVERYWHERE, others=90), Completeness.UNKNOWN),
        (by_bytes(*EVERYWHERE[1:]), Completeness.UNKNOWN),  # poolmon was told which tags to show
        (" Session 1 pool information\n" + by_bytes(*EVERYWHERE), Completeness.UNKNOWN),
        (by_bytes(*EVERYWHERE) + " aaaa Nonp 9 (   0) 4 (   0) 5 40 (   0) 8\n", Completeness.UNKNOWN),  # not by bytes
        (" bad  Nonp 9 (   0) 4 (   0) 6 99999999 (   0) 8\n" + by_bytes(*EVERYWHERE), Completeness.UNKNOWN),
        (by_bytes(*EVERYWHERE) + "...\n", Completeness.CUT),
    ],
    ids=["whole", "ends above zero", "few", "some tags", "a session", "by name", "a row unread", "cut"],
)
def test_a_table_by_bytes_down_to_nothing_has_every_tag_that_holds_any(text: str, completeness: Completeness) -> None:
    (table,) = read(text)

    assert table.completeness is completeness


@given(
    st.lists(
        st.tuples(
            st.from_regex(r"[A-Za-z][A-Za-z0-9+ ]{2}[a-z]", fullmatch=True),
            st.sampled_from(["Nonp", "Paged"]),
            st.integers(0, 2**32 - 1),
            st.integers(0, 2**32 - 1),
            st.integers(0, 2**20),
        ),
        min_size=1,
        max_size=30,
        unique_by=lambda row: (row[0], row[1]),
    )
)
@settings(max_examples=60, deadline=None)
def test_what_is_printed_is_read_back(rows: list[tuple[str, str, int, int, int]]) -> None:
    printed = "".join(
        f" {tag:4} {kind:5} {allocs:10} (   0) {frees:10} (   0) {(allocs - frees) % 2**32:8} {size:8} (   0) {0:6}\n"
        for tag, kind, allocs, frees, size in rows
    )
    (table,) = read(" Tag  Type     Allocs            Frees            Diff   Bytes       Per Alloc\n" + printed)
    assert [(row.tag, row.outstanding, row.bytes) for row in table.rows] == [
        (tag, (allocs - frees) % 2**32, size) for tag, _, allocs, frees, size in rows
    ]


@pytest.mark.parametrize("damage", DAMAGE)
@pytest.mark.parametrize("sample", [SCREEN, SESSIONS, SNAPSHOT, MARKDOWN])
def test_damage_of_pasted_text_changes_nothing(damage: str, sample: str) -> None:
    assert plain(read(DAMAGE[damage](sample))) == plain(read(sample))
    assert read(sample)


@pytest.mark.parametrize("sample", [SCREEN, SESSIONS, SNAPSHOT, MARKDOWN])
def test_hard_wrapped_lines_change_nothing(sample: str) -> None:
    assert plain(read(wrapped(sample))) == plain(read(sample))


@given(cut=st.integers(0, 20_000), at=st.integers(0, 20_000), junk=st.text(max_size=12))
@settings(max_examples=80, deadline=None)
def test_any_cut_or_changed_sample_gives_facts_or_nothing(cut: int, at: int, junk: str) -> None:
    for sample in (SCREEN, SESSIONS, SNAPSHOT, MARKDOWN):
        for fact in read(broken(sample, cut, at, junk)):
            assert fact.where.line is not None
