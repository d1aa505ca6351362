"""The bundled examples give what examples/README.md says of them."""

import re
import runpy
from dataclasses import dataclass
from pathlib import Path

import pytest

from poolsleuth.cli.main import main
from poolsleuth.patterns.pattern import all_patterns
from poolsleuth.pipeline import diagnose

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples"
NOTHING = "-"

_ROW = re.compile(r"^\| \[(?P<file>[\w.-]+)\]\((?P=file)\) \|(?P<cells>.*)\|$", re.MULTILINE)


@dataclass(frozen=True)
class Row:
    """One row of the table. ``conclusions`` has one entry for each machine."""

    file: str
    conclusions: tuple[str, ...]
    also: frozenset[str]
    status: int


def table() -> list[Row]:
    rows = []
    for match in _ROW.finditer((EXAMPLES / "README.md").read_text(encoding="utf-8")):
        _, says, also, status = (cell.strip() for cell in match["cells"].split("|"))
        conclusions = () if status == "2" else tuple(part.strip("` ") for part in says.split(";"))
        others = frozenset(name.strip("` ") for name in also.split(",")) - {NOTHING}
        rows.append(Row(match["file"], conclusions, others, int(status)))
    return rows


ROWS = table()


def name_of(row: Row) -> str:
    return row.file


def test_every_example_has_a_row() -> None:
    files = sorted(path.name for path in EXAMPLES.iterdir() if path.name != "README.md")
    assert sorted(row.file for row in ROWS) == files


def test_rows_name_patterns_that_exist() -> None:
    known = {pattern.id for pattern in all_patterns()} | {NOTHING}
    assert {name for row in ROWS for name in (*row.conclusions, *row.also)} <= known


@pytest.mark.parametrize("row", ROWS, ids=name_of)
def test_example_concludes_what_the_table_says(row: Row) -> None:
    report = diagnose([str(EXAMPLES / row.file)])
    assert not report.problems
    assert tuple(m.conclusion.pattern if m.conclusion else NOTHING for m in report.machines) == row.conclusions
    holding = {finding.pattern for machine in report.machines for finding in machine.findings if finding.holds}
    assert holding == set(row.conclusions) - {NOTHING} | row.also


@pytest.mark.parametrize("row", ROWS, ids=name_of)
def test_example_exits_as_the_table_says(row: Row) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["diagnose", str(EXAMPLES / row.file)])
    assert ended.value.code == row.status


def test_main_example_names_its_driver() -> None:
    report = diagnose([str(EXAMPLES / "untagged.log")])
    found = [f for f in report.machines[0].findings if f.pattern == "untagged-allocations"]
    assert [f.subject.driver for f in found] == ["exampledrv.sys"]


def test_sample_tag_list_describes_the_tags_of_the_examples() -> None:
    pooltags = str(EXAMPLES / "pooltag-sample.txt")
    report = diagnose([str(EXAMPLES / "fragmented.log")], pooltags=pooltags)
    owners = {tag.tag: tag.driver for tag in report.machines[0].tags}
    assert owners["ExNf"] == "exnetflt.sys"


def test_examples_over_time_are_those_that_the_script_makes() -> None:
    made = runpy.run_path(str(ROOT / "docs" / "make_examples.py"))["made"]()
    assert set(made) == {"leak-counters.csv", "leak-poolmon.log"}
    for name, text in made.items():
        same = (EXAMPLES / name).read_text(encoding="utf-8") == text  # a difference of 2,000 lines is of no use shown
        assert same, f"python docs/make_examples.py writes {name} anew"


def test_example_of_counters_names_pool_rate_and_process() -> None:
    (machine,) = diagnose([str(EXAMPLES / "leak-counters.csv")]).machines
    leak = next(f for f in machine.findings if f.pattern == "pool-leak" and f.holds)
    # The script lets nonpaged pool grow by 1.9 MB an hour, and exagent open handles
    assert leak.subject.pool == "nonpaged"
    assert leak.trend is not None
    assert leak.trend.bytes_per_hour / (1 << 20) == pytest.approx(1.9, rel=0.05)
    assert [f.subject.process for f in machine.findings if f.pattern == "handle-leak" and f.holds] == ["exagent"]


def test_example_of_poolmon_names_the_small_tag() -> None:
    (machine,) = diagnose([str(EXAMPLES / "leak-poolmon.log")]).machines
    leaks = [f for f in machine.findings if f.pattern == "pool-leak" and f.holds]
    assert [f.subject.tag for f in leaks] == ["ExLk"]
    # The script makes 420 blocks of 2,048 bytes an hour
    assert leaks[0].trend is not None
    assert leaks[0].trend.bytes_per_hour == pytest.approx(420 * 2048, rel=0.05)


# ---- the figures of the examples agree with one another ----

LOGS = sorted(EXAMPLES.glob("*.log"))
_PAGES_KB = re.compile(r":\s+(\d+) \(\s*(\d+) Kb\)")
_TOTAL = re.compile(r"^ ?TOTAL((?: +\d+)+)", re.MULTILINE)
_TAG = re.compile(r"^ \S[^\n]{0,3}((?: +\d+){4})(?= |\t|$)", re.MULTILINE)


@pytest.mark.parametrize("log", LOGS, ids=lambda log: str(log.name))
def test_pages_and_kb_agree(log: Path) -> None:
    for pages, kb in _PAGES_KB.findall(log.read_text(encoding="utf-8")):
        assert int(kb) == int(pages) * 4


@pytest.mark.parametrize("log", LOGS, ids=lambda log: str(log.name))
def test_rows_add_up_to_the_total(log: Path) -> None:
    text = log.read_text(encoding="utf-8")
    total = _TOTAL.search(text)
    if total is None:
        return
    rows = [[int(number) for number in match[1].split()] for match in _TAG.finditer(text, 0, total.start())]
    assert [sum(column) for column in zip(*rows, strict=True)] == [int(number) for number in total[1].split()]


@pytest.mark.parametrize("log", LOGS, ids=lambda log: str(log.name))
def test_tags_fit_into_their_pool(log: Path) -> None:
    for machine in diagnose([str(log)]).machines:
        for pool, use in (("nonpaged", machine.pools.nonpaged), ("paged", machine.pools.paged)):
            tagged = sum(tag.bytes or 0 for tag in machine.tags if tag.pool == pool)
            assert use.used_bytes is None or tagged <= use.used_bytes
