"""Many files of one snapshot each say the same as one file of all snapshots."""

import os
from collections.abc import Sequence
from pathlib import Path

from poolsleuth import diagnose
from poolsleuth.model.report import Report
from poolsleuth.model.series import TagHistory
from poolsleuth.model.tags import TagTable
from poolsleuth.reading import read_all

START = 1_772_352_000  # 2026-03-01 08:00 UTC
STEP = 1800


def snapshot(number: int, memory: int = 4_193_776) -> str:
    rows = [("Leak", "Paged", 10_000 + 700 * number, 2048), ("File", "Nonp", 50_000 + number % 3, 344)]
    if number > 3:
        rows.append(("Late", "Nonp", 90, 64))
    lines = [
        f" Memory:{memory:8}K Avail: 2126028K  PageFlts:     0   InRam Krnl: 2500K P:{9000:7}K",
        " Commit:1762700K Limit:4575904K Peak:2043634K            "
        f"Pool N:{30_000 + number:7}K P:{40_000 + number * 1400:7}K",
        "",
        " Tag  Type     Allocs            Frees            Diff   Bytes                 Per Alloc",
        "",
    ]
    lines += [
        f" {tag} {pool:<5} {9_000_000 + 1000 * number:20} {9_000_000 + 1000 * number - live:18} {live:17}"
        f" {live * each:18} {each:15}"
        for tag, pool, live, each in rows
    ]
    return "\n".join(lines) + "\n"


def write(folder: Path, numbers: Sequence[int], memory: int = 4_193_776) -> list[str]:
    names = []
    for number in numbers:
        path = folder / f"{memory}-{number:03}.txt"
        path.write_text(snapshot(number, memory), "utf-8")
        os.utime(path, (START + STEP * number, START + STEP * number))
        names.append(str(path))
    return names


def leaking(report: Report) -> list[tuple[str | None, int | None]]:
    return [
        (f.subject.tag, None if f.trend is None else round(f.trend.bytes_per_hour))
        for m in report.machines
        for f in m.findings
        if f.pattern == "pool-leak" and f.holds
    ]


def test_files_of_one_snapshot_are_one_course(tmp_path: Path) -> None:
    names = write(tmp_path, range(60))

    report = diagnose(names)

    assert len(report.machines) == 1
    assert report.machines[0].inputs == tuple(range(60))
    assert leaking(report) == [("Leak", 700 * 2048 * 2)]
    finding = next(f for f in report.machines[0].findings if f.subject.tag == "Leak")
    assert any("files' own" in reason.says for reason in finding.against)


def test_the_order_of_the_files_decides_nothing(tmp_path: Path) -> None:
    names = write(tmp_path, range(60))

    assert leaking(diagnose(names[::-1])) == leaking(diagnose(names))


def test_only_the_first_and_the_last_table_stay(tmp_path: Path) -> None:
    names = write(tmp_path, [5, 2, 9, 0, 7])

    read = read_all(names, None)

    tables = [index for index, facts in enumerate(read.facts) for f in facts if isinstance(f, TagTable)]
    histories = [fact for facts in read.facts for fact in facts if isinstance(fact, TagHistory)]
    assert sorted(set(tables)) == [2, 3], "the snapshots 9 and 0"
    assert len(histories) == 1
    assert [(time - START) / STEP for time in histories[0].times] == [0, 2, 5, 7, 9]
    late = next(column for key, column in histories[0].columns.items() if key.tag == "Late")
    assert [value if value == value else None for value in late.outstanding] == [None, None, 90, 90, 90]  # noqa: PLR0124


def test_two_machines_stay_apart(tmp_path: Path) -> None:
    one = write(tmp_path, range(40))
    other = write(tmp_path, range(40), memory=8_388_024)

    report = diagnose([name for pair in zip(one, other, strict=True) for name in pair])

    assert len(report.machines) == 2
    assert leaking(report) == [("Leak", 700 * 2048 * 2)] * 2


def test_one_file_is_left_as_it_is(tmp_path: Path) -> None:
    read = read_all(write(tmp_path, [3]), None)

    assert sum(isinstance(fact, TagTable) for fact in read.facts[0]) == 1
    assert sum(isinstance(fact, TagHistory) for fact in read.facts[0]) == 1
