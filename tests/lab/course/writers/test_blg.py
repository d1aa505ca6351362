"""The binary counter log: the same values as the text, in the form of real ones."""

import io
import struct
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any, Literal

import pytest

from poolsleuth.evidence.counters.blg.reader import BlgReader
from poolsleuth.evidence.counters.pdh_text.reader import PdhTextReader
from poolsleuth.lab.course.moment import Moment
from poolsleuth.lab.course.writers.blg import Form, write_blg
from poolsleuth.lab.course.writers.counter_csv import write_counter_csv
from poolsleuth.model.system import TargetInfo

Course = Callable[..., Iterator[Moment]]
Rows = list[tuple[float, dict[str, float]]]

FORMS: tuple[Form, ...] = ("counters", "objects")
RATES = ("/sec", "% Processor Time", "% Committed Bytes In Use", "Time")


def read(reader: Any) -> Rows:
    rows = list(reader.rows())
    assert not reader.problems
    names = [path.text for path in reader.columns]
    return [(row.time, {names[number]: value for number, value in row.cells.items()}) for row in rows]


def read_blg(path: Path) -> Rows:
    with path.open("rb") as file:
        return read(BlgReader(file, 0, lambda _: True, lambda _: None))


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("windows", ["2600-x86", "3790-x64", "9600-x64", "20348-x64"])
def test_it_says_what_the_text_says(course: Course, tmp_path: Path, windows: str, form: Form) -> None:
    moments = list(course(windows))
    write_counter_csv(tmp_path / "pool.csv", iter(moments))
    assert write_blg(tmp_path / "pool.blg", iter(moments), form=form) == len(moments)
    text = read(PdhTextReader(io.BytesIO((tmp_path / "pool.csv").read_bytes()), 0, lambda _: True, lambda: None))
    binary = read_blg(tmp_path / "pool.blg")
    assert [time for time, _ in binary] == [time for time, _ in text]
    for (_, expected), (_, found) in zip(text, binary, strict=True):
        born = {name for name in found if name not in expected}
        # Text has the columns of its first sample alone
        assert all("#" in name and "Process(" in name for name in born)
        assert expected.keys() <= found.keys()
        for name, value in expected.items():
            # Rates are divisions of floating-point numbers; all others are exact
            wanted = pytest.approx(value, rel=1e-14) if name.endswith(RATES) else value
            assert found[name] == wanted, name


@pytest.mark.parametrize("form", FORMS)
def test_processes_come_and_go(course: Course, tmp_path: Path, form: Form) -> None:
    write_blg(tmp_path / "pool.blg", course(), form=form)
    before = {name for name in read_blg(tmp_path / "pool.blg")[0][1] if name.endswith("Handle Count")}
    born = [
        sorted(value for name, value in row.items() if name.endswith("Handle Count") and name not in before)
        for _, row in read_blg(tmp_path / "pool.blg")
    ]
    assert born == [[], [], [], [103], [104], [105], [], []]


@pytest.mark.parametrize(("windows", "build", "architecture"), [("3790-x86", 3790, "x86"), ("19041-x64", 19041, "x64")])
def test_the_header_names_the_machine(
    course: Course, tmp_path: Path, windows: str, build: int, architecture: str
) -> None:
    write_blg(tmp_path / "pool.blg", course(windows))
    with (tmp_path / "pool.blg").open("rb") as file:
        reader = BlgReader(file, 0, lambda _: True, lambda _: None)
        list(reader.rows())
    (info,) = reader.facts
    assert isinstance(info, TargetInfo)
    assert (info.build, info.architecture, info.computer) == (build, architecture, "LAB-SERVER")


def events(data: bytes) -> list[tuple[int, bytes]]:
    """Buffer number and bytes of each event behind the first buffer, by the description of the format alone."""
    (size,) = struct.unpack_from("<I", data)
    found = []
    for start in range(size, len(data), size):
        (used,) = struct.unpack_from("<I", data, start + 0x30)
        place = start + 0x48
        while place < start + used:
            (length,) = struct.unpack_from("<H", data, place)
            found.append((start // size, data[place : place + length]))
            place += length + 7 & ~7
        assert place == start + used or place == start + used + 7 & ~7
        assert set(data[place : start + size]) <= {0xFF}
    return found


def shape(data: bytes) -> list[object]:
    """What is the same in every log of a kind: all fixed fields of its headers."""
    (size,) = struct.unpack_from("<I", data)
    first = data[0x48:0x68]
    found: list[object] = [size, len(data) % size, struct.unpack_from("<HH", data, 0x34), first[1:4]]
    for number, start in enumerate(range(0, len(data), size)):
        saved, _, _, _, sequence = struct.unpack_from("<IIIqq", data, start + 4)
        (used,) = struct.unpack_from("<I", data, start + 0x30)
        assert saved in (0, used)
        assert sequence == number
    pointer, clock = data[0x68 + 0x2C], 0x68 + 0x38
    assert pointer in (4, 8)
    at = clock + 2 * pointer + 172
    at += -at % 8
    found.append(struct.unpack_from("<I", data, at + 24))  # the clock: system time
    named = data[at + 32 :].split(b"\0\0\0", 1)[0].decode("utf-16-le", errors="ignore")
    found.append(len(named))
    return found


@pytest.mark.parametrize(
    ("real", "windows", "form"),
    [("PowerShell_CounterSamples", "19041-x64", "counters"), ("PAL_SampleLog", "6002-x86", "objects")],
)
def test_the_form_is_that_of_windows(
    course: Course,
    tmp_path: Path,
    shared: Callable[[str], Path],
    real: str,
    windows: str,
    form: Literal["counters", "objects"],
) -> None:
    theirs = shared(f"counters/{real}.blg").read_bytes()
    write_blg(tmp_path / "pool.blg", course(windows, "healthy", 40), form=form)
    mine = (tmp_path / "pool.blg").read_bytes()
    assert shape(mine)[0] == shape(theirs)[0] == 65_536
    assert shape(mine)[1:] == shape(theirs)[1:]
    kinds = [event[4] for _, event in events(theirs)]
    order = list(dict.fromkeys(kinds))
    assert list(dict.fromkeys(event[4] for _, event in events(mine))) == [kind for kind in order if kind != 0x23]
    group = events(theirs)[0][1][0x18:0x28]
    for _, event in [*events(theirs), *events(mine)]:
        # Length, type of header, record, version, class, part of parts
        assert event[2] in (0x0A, 0x14)
        assert event[3] == 0xC0
        assert event[5:8] == b"\0\x3c\0"
        assert event[0x18:0x28] == group
        part, parts = struct.unpack_from("<II", event, 0x40)
        assert 1 <= part <= parts
        assert len(event) <= 8_072
    both = [next(event for _, event in events(data) if event[4] == 0x20) for data in (theirs, mine)]
    assert both[0][0x48:0x50] == both[1][0x48:0x50]
    first, second = (next(event for _, event in events(data) if event[4] == 0x22) for data in (theirs, mine))
    assert first[0x48:0x4C] == second[0x48:0x4C]
    # The tags and fixed lengths of the blocks
    assert blocks(first[0x48:]) <= {0x01034C42, 0x02034C42, 0x05034C42}
    assert blocks(second[0x48:]) <= {0x01034C42, 0x02034C42} if form == "counters" else {0x05034C42}


def blocks(record: bytes) -> set[int]:
    found, place = set(), 8
    while place + 8 <= len(record):
        kind, length = struct.unpack_from("<II", record, place)
        found.add(kind)
        place += length
    return found


def test_a_block_of_instances_has_the_real_layout(
    shared: Callable[[str], Path], course: Course, tmp_path: Path
) -> None:
    """Names begin right behind the items, the count of values is 1, and the whole is filled up to eight bytes."""
    theirs = shared("counters/PowerShell_CounterSamples.blg").read_bytes()
    write_blg(tmp_path / "pool.blg", course("19041-x64"))
    for data in (theirs, (tmp_path / "pool.blg").read_bytes()):
        records: dict[bytes, bytes] = {}
        for _, event in events(data):
            if event[4] == 0x22:
                records[event[0x10:0x18]] = records.get(event[0x10:0x18], b"") + event[0x48:]
        record = next(iter(records.values()))
        place, seen = 8, 0
        while place + 8 <= len(record):
            kind, length, inner, count = struct.unpack_from("<IIII", record, place)
            if kind == 0x02034C42:
                seen += 1
                name, multi = struct.unpack_from("<II", record, place + 0x20)
                assert (inner, name, multi) == (length - 8, 0x18 + 24 * count, 1)
                assert length % 8 == 0
            place += length
        assert seen
        assert place == len(record)


@pytest.mark.parametrize("form", FORMS)
def test_the_same_moments_give_the_same_bytes(course: Course, tmp_path: Path, form: Form) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        write_blg(tmp_path / name / "pool.blg", course(), form=form)
    assert (tmp_path / "a" / "pool.blg").read_bytes() == (tmp_path / "b" / "pool.blg").read_bytes()


def test_only_one_moment_is_held(course: Course, tmp_path: Path) -> None:
    """Each moment is taken when the one before it is written: a week of them is never in memory."""
    taken: list[int] = []

    def watched() -> Iterator[Moment]:
        for number, moment in enumerate(course("3790-x86", "healthy", 200)):
            taken.append((tmp_path / "pool.blg").stat().st_size)
            assert number < 200
            yield moment

    write_blg(tmp_path / "pool.blg", watched())
    assert taken[0] < 70_000 < taken[-1]


def test_no_moment_is_no_log(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="at least one moment"):
        write_blg(tmp_path / "pool.blg", islice((), 0))
