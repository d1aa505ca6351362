"""Poolmon screens inside a debugger log."""

import dataclasses
import io
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from poolsleuth.evidence.debugger_log.reader import LogReader
from poolsleuth.model.facts import Where
from poolsleuth.model.tags import Completeness, PoolKind, PoolmonMemory, TagTable

SHARED = Path(__file__).resolve().parents[4].parent / "shared"


def read(text: str) -> list[Any]:
    reader = LogReader(0)
    facts = list(reader.read(io.BytesIO(text.encode())))
    assert not [problem for problem in reader.problems if "could not be read" in problem.says]
    return facts


def real(name: str) -> str:
    path = SHARED / name
    if not path.exists():
        pytest.skip(f"{name} is not here")
    return path.read_text(encoding="utf-8", errors="replace")


def only(text: str, kind: type[Any]) -> list[Any]:
    return [fact for fact in read(text) if isinstance(fact, kind)]


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
    "no prompt": lambda text: re.sub(r"(?m)^[^\n]*kd>[^\n]*$", "", text),
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


def test_a_screen_beside_other_outputs() -> None:
    text = "kd> !sysptes\nTotal System Ptes 10\n" + SCREEN + "\n0: kd> !poolused 2\n"
    assert [type(fact).__name__ for fact in read(text)] == ["SystemPtes", "PoolmonMemory", "TagTable"]


def test_rows_of_other_tables_are_no_poolmon_rows() -> None:
    assert only(" Abc        0        0     36405 33930272      UNKNOWN pooltag 'Abc '\n", TagTable) == []
    assert only("Pool Nonp 12\nNonp 12 13\n", TagTable) == []


def test_real_windows_nt4() -> None:
    memory, table = read(real("data/transcripts/025_nt4_poolmon_flattened.txt"))
    # Memory: 16224K Avail: 4564K ... / Pool N: 744K P: 2180K
    assert (memory.physical.value, memory.nonpaged_used.value) == (16_224 * 1024, 744 * 1024)
    # CM       Paged     1283  ( 0)    1002  ( 0)     281    1377312   ( 0)    4901
    assert (table.rows[0].tag, table.rows[0].outstanding, table.rows[0].bytes) == ("CM", 281, 1_377_312)
    assert len(table.rows) == 4


def test_real_xp() -> None:
    _, table = read(real("data/transcripts/027_xp_poolmon_a_sorted.txt"))
    assert len(table.rows) == 8
    # Io   Nonp    1021112 (   1)   1020985 (   1)      127   91912 (     0)    723
    assert (table.rows[4].tag, table.rows[4].outstanding, table.rows[4].bytes) == ("Io", 127, 91_912)


def test_real_mapped_drivers() -> None:
    _, table = read(real("data/transcripts/028_xp_poolmon_g_ntf.txt"))
    assert len(table.rows) == 13
    assert {row.binary for row in table.rows} == {"ntfs.sys"}
    assert table.rows[6].description == "LogSup.c"  # [ntfs.sys  -  LogSup.c]


def test_real_sessions() -> None:
    facts = read(real("data/transcripts/030_srv2003_poolmon_sessions.txt"))
    tables = [fact for fact in facts if isinstance(fact, TagTable)]
    assert [table.session for table in tables] == [-1, 0, 0]
    assert [table.completeness.value for table in tables] == ["cut", "cut", "unknown"]
    assert [len(table.rows) for table in tables] == [16, 16, 16]
    # Dh 2 Paged       367 (   0)       364 (   0)        3     912 (     0)    304 Unknown Driver
    assert [(row.outstanding, row.bytes) for row in tables[2].rows if row.tag == "Dh 2"] == [(3, 912)]
    # the fourth screen is cut behind its header: its memory lines are still there
    assert sum(isinstance(fact, PoolmonMemory) for fact in facts) == 4


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
