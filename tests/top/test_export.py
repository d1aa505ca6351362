import csv
import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from poolsleuth.model.errors import InputError
from poolsleuth.model.series import TagKey
from poolsleuth.model.tags import PoolKind
from poolsleuth.report.wording import clean
from poolsleuth.sampling.sample import Host
from poolsleuth.top.export import FIGURES, csv_lines, export_rows, md_lines
from poolsleuth.top.view import Column, View, ViewOptions

N, P = PoolKind.NONPAGED, PoolKind.PAGED
MARKS = "=+-@"


@dataclass
class Owner:
    driver: str | None
    note: str | None
    sure: bool


class Owners:
    def of(self, key: TagKey) -> Owner:
        return Owner("myfault.sys" if key.tag == "Leak" else None, "made to leak | <b>", sure=False)


def table_of(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def test_a_csv_file_says_everything_exactly(tmp_path: Path, leaking: Any) -> None:
    leaking.tracker.host = Host(computer="SRV1")
    path = tmp_path / "seen.csv"
    options = ViewOptions(include=("L*", "I*"), exclude=("Xx",), search="a", by_change=True)
    view = View(leaking.tracker, Owners())
    assert export_rows(path, leaking.tracker, view, options) == 2
    text = path.read_text("utf-8")
    assert text.split("\n")[0] == (
        "machine,time,tag,pool,session,allocs,frees,outstanding,bytes,bytes_per_allocation,allocs_change,frees_change,"
        "outstanding_change,bytes_change,bytes_since_start,bytes_since_mark,bytes_per_hour,share_of_pool,"
        "driver,driver_sure,note,counted_from_first_seen"
    )
    leak, idle = table_of(text)
    assert [leak[name] for name in ("machine", "time", "tag", "pool", "session", *FIGURES)] == [
        "SRV1", "2023-11-15T00:14:20.000+00:00",
        "Leak", "nonpaged", "", "122885", "5", "122880", "125829120", "1024", "1024", "0", "1024", "1048576",
        "125829120", "", "62914560.0", "0.234375",
    ]  # fmt: skip
    assert (leak["driver"], leak["driver_sure"], idle["driver"], idle["driver_sure"]) == (
        "myfault.sys",
        "guess",
        "",
        "",
    )
    assert idle["bytes"] == "4096"


def test_other_programs_read_it_as_a_table(tmp_path: Path, leaking: Any) -> None:
    path = tmp_path / "seen.csv"
    export_rows(path, leaking.tracker, View(leaking.tracker), ViewOptions())
    table = pl.read_csv(path)
    assert (table.height, table["bytes"].sum()) == (3, 125_829_120 + 4096)


def test_only_what_is_seen(tmp_path: Path, leaking: Any) -> None:
    view = View(leaking.tracker)
    path = tmp_path / "seen.csv"
    assert export_rows(path, leaking.tracker, view, ViewOptions(), view.rows(ViewOptions())[:1]) == 1
    assert [row["tag"] for row in table_of(path.read_text())] == ["Leak"]
    lines = md_lines(leaking.tracker, view, ViewOptions(), view.rows(ViewOptions())[:1])
    assert "- rows: 1 tag of 3" in list(lines)


def test_what_is_not_known_is_empty(watched: Any) -> None:
    nan = float("nan")
    watched.then({TagKey("Aaaa", N): (nan, 3, nan)})
    view = View(watched.tracker)
    (row,) = table_of("\n".join(csv_lines(watched.tracker, view, view.rows(ViewOptions()))))
    assert {name for name in FIGURES if row[name]} == {"outstanding"}


@pytest.mark.parametrize("kind", ["csv", "md"])
def test_nothing_is_ever_overwritten(tmp_path: Path, leaking: Any, kind: str) -> None:
    path = tmp_path / f"seen.{kind}"
    path.write_text("mine")
    with pytest.raises(InputError, match="exists already"):
        export_rows(path, leaking.tracker, View(leaking.tracker), ViewOptions())
    assert path.read_text() == "mine"
    with pytest.raises(InputError, match="could not be written"):
        export_rows(tmp_path / "no" / f"seen.{kind}", leaking.tracker, View(leaking.tracker), ViewOptions())


def test_the_end_of_the_name_says_the_form(tmp_path: Path, leaking: Any) -> None:
    with pytest.raises(InputError, match=r"ends in \.csv or \.md"):
        export_rows(tmp_path / "seen.xlsx", leaking.tracker, View(leaking.tracker), ViewOptions())
    export_rows(tmp_path / "seen.MD", leaking.tracker, View(leaking.tracker), ViewOptions())
    assert "| Tag | Pool |" in (tmp_path / "seen.MD").read_text()


def test_a_markdown_file(leaking: Any) -> None:
    leaking.tracker.host = Host(computer="a_b", utc=False)
    view = View(leaking.tracker, Owners())
    options = ViewOptions(sort=Column.RATE, reverse=True, pools=N, session=None)
    lines = list(md_lines(leaking.tracker, view, options, view.rows(options)))
    assert lines == [
        "- machine: a_b",
        "- time: 2023-11-15T00:14:20.000 (local time of the machine)",
        "- pools: nonpaged pool",
        "- sorted by: rate, reversed",
        "- rows: 1 tag",
        "",
        "| Tag | Pool | Allocs | Frees | Diff | Bytes | Per alloc | Change | Since start | Since mark | Per hour |"
        " Share | Driver | Note |",
        "|---|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---|---|",
        "| Leak | nonpaged pool | 122,885 | 5 | 122,880 | 125,829,120 | 1,024 | +1,048,576 | +125,829,120 |   |"
        " +62,914,560 | 23.44% | myfault.sys (a guess) | made to leak \\| &lt;b&gt; |",
    ]


HOSTILE = ["=1+1", "+cmd", "-2", "@SUM", " =1", "\t=1", "\r=1", '"=1', "a;=1", "'", "'=1", "=\n=", "\x1b[2J", "a,=1"]


@pytest.mark.parametrize("tag", HOSTILE)
@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_no_cell_is_a_formula(watched: Any, tag: str, separator: str) -> None:
    """Also for a spreadsheet that takes semicolons or tabs between cells, as in half of Europe."""

    class Hostile:
        def of(self, key: TagKey) -> Owner:
            return Owner(tag, tag, sure=True)

    watched.tracker.host = Host(computer=f"x;{tag}")
    watched.then({TagKey(tag, N): (1, 1, 1)})
    view = View(watched.tracker, Hostile())
    text = "\n".join(csv_lines(watched.tracker, view, view.rows(ViewOptions())))
    for row in csv.reader(io.StringIO(text), delimiter=separator):
        for cell in row:
            assert not cell.strip().startswith(tuple(MARKS))
    assert "\x1b" not in text
    (found,) = table_of(text)
    assert found["tag"].replace("'", "") == clean(tag).replace("'", "")


@settings(max_examples=60, deadline=None)
@given(st.text(max_size=4), st.text(max_size=30))
def test_every_word_comes_back(tag: str, note: str) -> None:
    from poolsleuth.top.export import _quoted  # noqa: PLC0415

    ((cell, other),) = csv.reader(io.StringIO(f"{_quoted(tag)},{_quoted(note)}\n"))
    for text, found in ((tag, cell), (note, other)):
        assert not found.lstrip().startswith(tuple(MARKS))
        assert clean(text).replace("'", "") == found.replace("'", "")


def test_markdown_stays_a_table_whatever_a_tag_is_called(watched: Any) -> None:
    for tag in ("|", "`", "[x](", "<b>", "\n|", "**", "\\|"):
        watched.then({TagKey(tag, N): (1, 1, 1)}, complete=False)
        view = View(watched.tracker)
        row = list(md_lines(watched.tracker, view, ViewOptions(), view.rows(ViewOptions())))[-1]
        assert row.replace("\\\\", "").replace("\\|", "").count("|") == 15
        assert "<" not in row


def test_a_change_that_is_counted_from_a_later_sample_says_so(watched: Any) -> None:
    watched.then({TagKey("Idle", N): (1, 1, 1)}, complete=False)
    tracker = watched.then({TagKey("Idle", N): (1, 1, 1), TagKey("Leak", N): (10, 1, 1)}, complete=False)
    view = View(tracker)
    numbers = view.rows(ViewOptions())
    leak, idle = table_of("\n".join(csv_lines(tracker, view, numbers)))
    assert (leak["counted_from_first_seen"], idle["counted_from_first_seen"]) == ("start", "")
    text = "\n".join(md_lines(tracker, view, ViewOptions(), numbers))
    assert "counted from the first sample that shows the tag" in text
    assert "| 0\\* |" in text or "| 0* |" in text
