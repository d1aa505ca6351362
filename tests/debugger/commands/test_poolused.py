"""``!poolused``: flags, ``/tN``, tags with ``*`` and ``?``, and tables that are not whole."""

from collections.abc import Callable
from pathlib import Path

import pytest

from poolsleuth.lab.simulate import SimulatedMachine
from poolsleuth.model.tags import Completeness, TagTable
from poolsleuth.reading import read_all

Run = Callable[..., list[str]]
Lab = Callable[..., tuple[Path, SimulatedMachine]]


def rows(lines: list[str]) -> list[str]:
    start = next(number for number, line in enumerate(lines) if line.startswith(" Tag "))
    return [line for line in lines[start + 1 :] if line[:5] != " TOTA"]


def test_the_first_rows(run: Run) -> None:
    everything, first = run("!poolused 2"), run("!poolused /t3 2")
    assert rows(first) == rows(everything)[:3]
    assert rows(first)[0].split()[0] == "Leak"
    # The sums are those of all tags, as the debugger prints them
    assert first[-1] == everything[-1]
    assert first[-1].startswith(" TOTAL ")


def test_sorted_by_paged_bytes(run: Run) -> None:
    used = [int(line[1 + 4 :].split()[3]) for line in rows(run("!poolused 4"))]
    assert used == sorted(used, reverse=True)
    assert used[0] > 0


def test_by_tag(run: Run) -> None:
    tags = [line[1:5] for line in rows(run("!poolused"))]
    assert tags == sorted(tags)


@pytest.mark.parametrize(("pattern", "wanted"), [("Leak", "Leak"), ("L?ak", "Leak"), ("Lea*", "Leak")])
def test_one_tag(pattern: str, wanted: str, run: Run) -> None:
    lines = run(f"!poolused 2 {pattern}")
    assert [line.split()[0] for line in rows(lines)] == [wanted]
    # A sum of some tags would look like the sum of all
    assert not any("TOTAL" in line for line in lines)


def test_old_debuggers_print_one_half_for_flags_3_and_5(run: Run) -> None:
    three, five = run("!poolused 3", "7601-x64"), run("!poolused 5", "7601-x64")
    assert three[0] == "   Sorting by  NonPaged Pool Consumed"
    assert (three[3].split(), five[3].split()) == (["NonPaged"], ["Paged"])
    assert three[4].split() == five[4].split() == ["Tag", "Allocs", "Frees", "Diff", "Used"]
    assert run("!poolused 3")[3].split() == ["Tag", *["Allocs", "Frees", "Diff", "Used"] * 2]


def test_a_description_or_unknown(run: Run) -> None:
    for line in rows(run("!poolused 2")):
        assert line[1 + 4 + 46 :].strip()
    assert any("UNKNOWN pooltag '" in line for line in rows(run("!poolused 2")))


@pytest.mark.parametrize("name", ["7601-x64", "19041-x64", "3790-x86"])
def test_a_table_that_is_not_whole_says_so(name: str, run: Run, lab_dump: Lab, tmp_path: Path) -> None:
    command = "!poolused 1"
    lines = run(command, name, left_out=0.2)
    path, _ = lab_dump(name, "leak", 0.2)
    log = tmp_path / "log.txt"
    log.write_text("\n".join([f"0: kd> {command}", *lines, ""]), encoding="utf-8")
    read = read_all([log, path], None)
    dumped = [fact for fact in read.facts[1] if isinstance(fact, TagTable) and fact.session is None]
    tables = [fact for fact in read.facts[0] if isinstance(fact, TagTable)]
    for table in tables:
        whole = {(row.tag, row.pool): (row.outstanding, row.bytes) for one in dumped for row in one.rows}
        read_back = {(row.tag, row.pool): (row.outstanding, row.bytes) for row in table.rows if row.bytes}
        assert read_back.items() <= whole.items()
        assert table.completeness is (dumped[0].completeness if dumped else Completeness.CUT)
    assert tables or any(line.startswith("*** ") for line in lines)
