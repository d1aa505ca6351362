"""The search of the screen: the answer of whois, progress, an end at any time."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path, PurePath
from threading import Event

import pytest

from poolsleuth.cli.whois_dump import SearchedDump
from poolsleuth.drivers.scope import Scope
from poolsleuth.drivers.survey import Question, driver_files, survey
from poolsleuth.lab.driver_code import driver_code
from poolsleuth.lab.pe_image import CODE, READ_ONLY, Section, build_image, import_slots
from poolsleuth.model.errors import InputError
from poolsleuth.model.finding import Confidence
from poolsleuth.model.tags import TagDescription
from poolsleuth.top.tag_search import DriverSearch, Progress, drivers_of_this_machine

BASE = 0xFFFF_F800_0000_0000


def driver(tag: str) -> bytes:
    """A driver that allocates with a tag. Its file looks as it lies in memory."""
    names = ("ExAllocatePoolWithTag", "ExFreePoolWithTag")
    slots = import_slots(names, 0x2000, True)
    code = driver_code(wide=True, base=BASE, at=0x1000, slots=slots, tags=[tag], wrapped=False)
    sections = (Section(".text", 0x1000, 0x1000, CODE), Section(".rdata", 0x2000, 0x1000, READ_ONLY))
    pieces = build_image(
        wide=True,
        base=BASE,
        size=0x3000,
        timestamp=0x5F00_0000,
        checksum=0,
        sections=sections,
        version=(10, 0, 17763),
        imports=dict.fromkeys(names, 0),
        imports_at=0x2000,
    )
    data = bytearray(0x3000)
    for at, piece in [*pieces, (0x1000, code)]:
        data[at : at + len(piece)] = piece
    return bytes(data)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("POOLSLEUTH_DRIVER_CACHE", str(tmp_path / "cache"))
    drivers = tmp_path / "drivers"
    drivers.mkdir()
    for number in range(6):
        (drivers / f"d{number}.sys").write_bytes(driver("Leak" if number == 4 else f"D00{number}"))
    return drivers


def nothing(done: int, total: int) -> None:
    pass


def test_the_driver_that_allocates_is_found(folder: Path) -> None:
    seen: list[tuple[int, int]] = []
    answer = DriverSearch([folder])("Leak", lambda done, total: seen.append((done, total)), Event())
    assert answer is not None
    assert [found.name for found in answer.candidates] == ["d4.sys"]
    assert answer.candidates[0].confidence is Confidence.HIGH
    assert any("ExAllocatePoolWithTag" in reason for reason in answer.candidates[0].because)
    assert (answer.drivers, answer.more, answer.unread) == (6, 0, 0)
    assert seen[-1] == (6, 6)


def test_nobody_is_nobody(folder: Path) -> None:
    answer = DriverSearch([folder])("Zzz9", nothing, Event())
    assert answer is not None
    assert answer.candidates == ()


def test_a_list_of_the_user_is_told(folder: Path) -> None:
    descriptions = [TagDescription("Le?k", "d2.sys", "leaking things"), TagDescription("Mm*", "nt!mm", "memory")]
    answer = DriverSearch([folder], descriptions)("Leak", nothing, Event())
    assert answer is not None
    assert any("leaking things" in remark for remark in answer.remarks)
    assert not any("nt!mm" in remark for remark in answer.remarks)


def test_a_search_that_is_ended_gives_nothing_and_reads_no_further(folder: Path) -> None:
    stop = Event()
    seen: list[int] = []

    def end(done: int, total: int) -> None:
        seen.append(done)
        stop.set()

    assert DriverSearch([folder])("Leak", end, stop) is None
    assert seen == [1]


@pytest.mark.parametrize("make", [lambda folder: (folder, "\x01\x02"), lambda folder: (folder / "no", "Leak")])
def test_what_cannot_be_searched_is_one_sentence(folder: Path, make: Callable[[Path], tuple[Path, str]]) -> None:
    path, tag = make(folder)
    with pytest.raises(InputError):
        DriverSearch([path])(tag, nothing, Event())


def test_this_machine_has_drivers_only_when_it_is_windows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.platform", "linux")
    assert drivers_of_this_machine() is None
    monkeypatch.setattr("sys.platform", "win32")
    monkeypatch.setenv("SYSTEMROOT", str(tmp_path))
    assert drivers_of_this_machine() is None
    (tmp_path / "System32" / "drivers").mkdir(parents=True)
    search = drivers_of_this_machine()
    assert search is not None
    assert search.paths == (tmp_path / "System32" / "drivers",)


class Dump:
    """A search of a dump that finds what a driver's file says, or fails."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __call__(self, path: Path, question: Question, progress: Progress) -> SearchedDump:
        if path.name == "broken.dmp":
            raise InputError("broken.dmp: no kernel can be found in it")
        looked = []
        for number, one in enumerate(survey(driver_files([self.folder]), question, None, None), start=1):
            progress(number, 6)
            looked.append(replace(one, name=f"{PurePath(one.name).name}"))
        scope = Scope(dump=path.name, loaded=frozenset({"d4.sys"}), whole=True, unseen=(), unloaded=(), notes=())
        return SearchedDump(tuple(looked), scope)


def test_the_modules_of_a_dump_are_searched_too(folder: Path) -> None:
    search = DriverSearch([], (), [Path("one.dmp"), Path("broken.dmp")], Dump(folder))
    answer = search("Leak", nothing, Event())
    assert answer is not None
    assert [found.name for found in answer.candidates] == ["d4.sys"]
    assert any("no kernel can be found" in remark for remark in answer.remarks)
    with pytest.raises(InputError, match="no kernel"):
        DriverSearch([], (), [Path("broken.dmp")], Dump(folder))("Leak", nothing, Event())


def test_a_search_of_a_dump_is_ended_too(folder: Path) -> None:
    stop = Event()
    search = DriverSearch([], (), [Path("one.dmp")], Dump(folder))
    assert search("Leak", lambda done, total: stop.set(), stop) is None
