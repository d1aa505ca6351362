"""Folders of drivers, the cache, and the ranking."""

import json
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pefile  # type: ignore[import-untyped]
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from poolsleuth.drivers import survey as survey_module
from poolsleuth.drivers.cache import driver_key, keep_summary, kept_summary
from poolsleuth.drivers.image import open_driver
from poolsleuth.drivers.score import Line, Ownership, functions_for, judge, names_for
from poolsleuth.drivers.summary import DriverSummary, summarise, summary_document, summary_of
from poolsleuth.drivers.survey import Question, driver_files, look_in_memory, survey
from poolsleuth.drivers.tags import is_tag, plain_key, tag_key, tag_text, turned
from poolsleuth.model.errors import InputError
from poolsleuth.model.finding import Confidence

Drivers = Callable[[str, str], Path]
Ask = Callable[..., Ownership]

ENTRY = "int __stdcall DriverEntry(void* d, void* p) "
SOURCES = {
    "owner": ENTRY + "{ keep = ExAllocatePoolWithTag(0, 10, 'kaeL'); ExFreePoolWithTag(keep, 'kaeL'); return 0; }",
    "second": ENTRY + "{ keep = ExAllocatePoolWithTag(0, 10, 'kaeL'); return 0; }",
    "freer": ENTRY + "{ ExFreePoolWithTag(p, 'kaeL'); return 0; }",
    "signature": ENTRY + "{ *(volatile ULONG*)p = 'kaeL'; return 0; }",
    "leaker": ENTRY + "{ DbgPrint(\"Leaks everywhere, MyLeak\"); return 0; }",
    "turned": ENTRY + "{ keep = ExAllocatePoolWithTag(0, 10, 'Leak'); return 0; }",
    "table": "struct { USHORT a, b; ULONG tag; } rows[] = {{1, 2, 'kaeL'}, {0xffff, 0, 0}};"
    + ENTRY + "{ ObscureTwo(rows, 2); return 0; }",
    "untagged": ENTRY + "{ keep = ExAllocatePool(0, 10); keep = ExAllocatePool(0, 20); return 0; }",
    "contiguous": ENTRY + "{ keep = MmAllocateContiguousMemory(4096, 1); return 0; }",
    "object": ENTRY + "{ ObOpenObjectByPointerWithTag(p, 0, 0, 0, 0, 0, 'kaeL', d); return 0; }",
    "generic": ENTRY + "{ keep = ExAllocatePoolWithTag(0, 10, ' kdD'); return 0; }",
}  # fmt: skip


@pytest.fixture(scope="session")
def folder(toolchain: Any, header: str) -> Path:
    place: Path = toolchain.folder / "system32"
    place.mkdir()
    for name, source in SOURCES.items():
        built = toolchain.build(f"s_{name}", header + source, "x64")
        (place / f"{name}.sys").write_bytes(built.read_bytes())
    (place / "readme.txt").write_text("Leak")
    return place


@pytest.fixture
def ask(folder: Path, tmp_path: Path) -> Ask:
    def run(
        tag: str, *names: str, lines: Sequence[Line] = (), cache: Path | None = None, thorough: bool = False
    ) -> Ownership:
        key = tag_key(tag)
        question = Question(key, functions_for(tag), names_for(tag, lines), thorough)
        files = driver_files([folder / f"{name}.sys" for name in names] or [folder])
        return judge(key, list(survey(files, question, cache)), lines)

    return run


def ranking(answer: Ownership) -> list[tuple[str, Confidence]]:
    return [(Path(candidate.name).stem, candidate.confidence) for candidate in answer.candidates]


def test_the_one_that_allocates_is_sure_and_the_rest_ranked_below(ask: Ask) -> None:
    answer = ask("Leak", "owner", "freer", "signature", "turned", "table", "object", "untagged", "leaker")

    assert ranking(answer) == [
        ("owner", Confidence.HIGH),
        ("freer", Confidence.LOW),  # somebody else allocates
        ("signature", Confidence.LOW),
        ("turned", Confidence.LOW),
        ("leaker", Confidence.LOW),
        ("table", Confidence.LOW),
    ]
    owner = answer.candidates[0]
    assert owner.because[0].startswith("Leak is the tag at 1 call of ExAllocatePoolWithTag (0x10")
    assert owner.against == ()
    assert {place.use.value for place in owner.places} == {"allocation", "free"}
    by_name = {Path(candidate.name).stem: candidate for candidate in answer.candidates}
    assert "kaeL, as poolmon then shows them" in by_name["turned"].because[0]
    assert "as in a table" in by_name["table"].because[0]
    assert "begins like the tag" in by_name["leaker"].because[0]
    assert "only inside longer texts" in by_name["leaker"].against[0]
    assert answer.drivers == 8


def test_two_that_allocate_are_both_named_and_neither_is_sure(ask: Ask) -> None:
    answer = ask("Leak", "owner", "second")

    assert ranking(answer) == [("owner", Confidence.MEDIUM), ("second", Confidence.MEDIUM)]
    assert answer.candidates[0].against == ("another of those given allocates with this tag too",)


def test_a_line_of_pooltag_txt_singles_one_out(ask: Ask) -> None:
    lines = [Line("localtag.txt", "second.sys", "ours")]
    answer = ask("Leak", "owner", "second", lines=lines)

    assert dict(ranking(answer)) == {"owner": Confidence.MEDIUM, "second": Confidence.HIGH}
    assert "localtag.txt names second.sys for it: ours" in answer.candidates[1].because


def test_a_line_alone_is_a_weak_sign(ask: Ask) -> None:
    answer = ask("Qqqq", lines=[Line("pooltag.txt", "untagged.sys", "as they say")])

    assert ranking(answer) == [("untagged", Confidence.LOW)]
    assert answer.candidates[0].against == ("no call with the tag was found in its code",)


def test_only_who_frees_is_a_second_witness(ask: Ask) -> None:
    assert ranking(ask("Leak", "freer", "signature")) == [("freer", Confidence.MEDIUM), ("signature", Confidence.LOW)]


def test_an_object_reference_is_no_pool_tag(ask: Ask) -> None:
    answer = ask("Leak", "object")

    assert answer.candidates == ()
    assert any("letters stand where no tag is" in remark for remark in answer.remarks)


def test_memory_without_a_tag_belongs_to_who_imports_the_function(ask: Ask) -> None:
    assert ranking(ask("None")) == [("untagged", Confidence.MEDIUM)]
    assert ask("None").candidates[0].because == ("it imports ExAllocatePool (2 calls)",)
    assert ranking(ask("MmCm")) == [("contiguous", Confidence.MEDIUM)]
    assert "contiguous" in ask("MmCm").remarks[0]


def test_a_shared_tag_names_nobody_for_sure(ask: Ask) -> None:
    answer = ask("Ddk")

    assert ranking(answer) == [("generic", Confidence.MEDIUM)]
    assert answer.remarks[0].startswith("Ddk is shared by drivers that set no tag of their own")


def test_nobody_is_an_answer(ask: Ask) -> None:
    answer = ask("Zq9x")
    assert (answer.candidates, answer.drivers, answer.problems) == ((), len(SOURCES), ())


def test_a_tag_worked_out_of_another_is_found_when_asked_to_be_thorough(every_call: Drivers) -> None:
    path = every_call("x64", "O2")
    assert b"Con2" not in path.read_bytes()  # clang adds 1 << 24 to Con1
    for thorough in (False, True):
        looked = list(survey([(path, True)], Question(tag_key("Con2"), thorough=thorough), None))
        assert bool(judge(tag_key("Con2"), looked).candidates) is thorough


def test_article_001_in_memory_alone(folder: Path) -> None:
    """A driver without file and import table holds the address of ExAllocatePool: that is enough to name it."""
    question = Question(tag_key("None"), functions_for("None"))
    base, function = 0xFFFFF80011110000, 0xFFFFF80000401230
    looked = []
    for number, name in enumerate(("owner", "untagged", "contiguous")):
        pe = pefile.PE(str(folder / f"{name}.sys"))
        memory = bytearray(pe.get_memory_mapped_image())
        for found in pe.DIRECTORY_ENTRY_IMPORT[0].imports:
            address = function if found.name == b"ExAllocatePool" else 0xFFFFF80000600000
            at = found.address - pe.OPTIONAL_HEADER.ImageBase
            memory[at : at + 8] = address.to_bytes(8, "little")
        at = pe.DOS_HEADER.e_lfanew + 24 + 112 + 8
        memory[at : at + 8] = bytes(8)
        here = base + 0x100000 * number

        def read(address: int, size: int, here: int = here, memory: bytearray = memory) -> bytes | None:
            begin = address - here
            return bytes(memory[begin : begin + size]) if begin >= 0 and begin + size <= len(memory) else None

        looked.append(look_in_memory(read, here, len(memory), {function: "ExAllocatePool"}, question, f"{{{number}}}"))
    looked.append(look_in_memory(lambda *_: None, base, 0x1000, {}, question, "gone"))
    answer = judge(tag_key("None"), looked)

    assert [(candidate.name, candidate.confidence) for candidate in answer.candidates] == [("{1}", Confidence.MEDIUM)]
    assert answer.candidates[0].because == ("it imports ExAllocatePool (2 calls)",)
    assert answer.problems == ("gone is no driver: it does not begin as a Windows image does",)


# ---- folders ----


def test_only_drivers_of_a_folder_are_read(ask: Ask, folder: Path, tmp_path: Path) -> None:
    names = [path.name for path, named in driver_files([folder]) if not named]
    assert "readme.txt" in names
    looked = {Path(one.name).name: one for one in survey(driver_files([folder]), Question(tag_key("Leak")), None)}
    assert not looked["readme.txt"].driver
    assert looked["readme.txt"].problem is None
    with pytest.raises(InputError, match="does not exist"):
        list(driver_files([tmp_path / "absent"]))


def test_a_pipe_and_a_damaged_driver_in_a_folder_do_no_harm(folder: Path, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.sys")
    data = bytearray((folder / "owner.sys").read_bytes())
    data[0x80:0x400] = data[0x80:0x400].replace(b".text", b"\xff\xff\xff\xff\xff")
    at = int.from_bytes(data[0x3C:0x40], "little")
    data[at + 0x18 + 0x38 : at + 0x18 + 0x3C] = b"\xff\xff\xff\xff"
    (tmp_path / "damaged.sys").write_bytes(data)
    (tmp_path / "owner.sys").write_bytes((folder / "owner.sys").read_bytes())

    looked = list(survey(driver_files([tmp_path]), Question(tag_key("Leak")), None))
    answer = judge(tag_key("Leak"), looked)
    assert ranking(answer) == [("owner", Confidence.HIGH)]
    assert [problem.rpartition(": ")[0][-15:] for problem in answer.problems] == ["damaged headers"]


def test_many_files_on_several_processes_say_the_same(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(survey_module, "ALONE", 3)
    question = Question(tag_key("Leak"))
    done: list[tuple[int, int]] = []
    several = list(survey(driver_files([folder]), question, tmp_path, lambda n, of: done.append((n, of))))
    monkeypatch.setattr(survey_module, "ALONE", 1000)

    assert several == list(survey(driver_files([folder]), question, None))
    assert done == [(n + 1, len(several)) for n in range(len(several))]


# ---- the cache ----


@pytest.fixture(scope="session")
def summary(every_call: Drivers) -> DriverSummary:
    return summarise(open_driver(every_call("x64", "O2")))


def test_what_was_kept_is_read_back(summary: DriverSummary, tmp_path: Path) -> None:
    key = driver_key(b"anything")
    assert kept_summary(tmp_path, key) is None
    keep_summary(tmp_path, key, summary)
    assert kept_summary(tmp_path, key) == summary
    assert [path.suffix for path in tmp_path.rglob("*") if path.is_file()] == [".json"]


def test_a_kept_summary_is_used(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = [(folder / "owner.sys", True)]
    first = list(survey(files, Question(tag_key("Leak")), tmp_path))

    def never(*_: object) -> DriverSummary:
        raise AssertionError("scanned again")

    monkeypatch.setattr(survey_module, "summarise", never)
    assert list(survey(files, Question(tag_key("Leak")), tmp_path)) == first


@given(data=st.data())
@settings(max_examples=150, deadline=None)
def test_a_damaged_cache_is_ignored(
    summary: DriverSummary, tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    text = bytearray(json.dumps(summary_document(summary)).encode())
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(text) - 1))
        text[at : at + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=3))
    folder = tmp_path_factory.getbasetemp() / "cache"
    path = folder / "ab" / "cd.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text)
    found = kept_summary(folder, "abcd")
    assert found is None or isinstance(found, DriverSummary)


@pytest.mark.parametrize(
    "document", [None, [], {}, {"format": "poolsleuth.driver/1"}, {"format": "poolsleuth.driver/0"}]
)
def test_other_documents_are_no_summary(document: object) -> None:
    assert summary_of(document) is None


def test_a_folder_that_cannot_be_written_is_no_error(summary: DriverSummary, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    keep_summary(tmp_path / "file", driver_key(b""), summary)
    assert kept_summary(tmp_path / "file", driver_key(b"")) is None


# ---- tags ----


@given(st.integers(0, 2**32 - 1))
def test_numbers_and_tags(value: int) -> None:
    if is_tag(value):
        key = plain_key(value)
        assert tag_key(tag_text(key)) == key
        assert turned(turned(key)) == key or tag_text(key).startswith(" ")


@pytest.mark.parametrize("text", ["", "    ", "Leaky", "Lé", "a\tb"])
def test_what_is_no_tag(text: str) -> None:
    with pytest.raises(InputError, match="is no pool tag"):
        tag_key(text)
