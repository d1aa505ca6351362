"""Who makes the blocks of a tag: how sure the name is, and what costs certainty."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from poolsleuth.model.facts import Reason, Where
from poolsleuth.model.finding import Confidence, Finding, Severity, Subject, Verdict
from poolsleuth.model.machine import Machine
from poolsleuth.model.module_search import ModuleSearch
from poolsleuth.model.modules import ModuleList, PointerRow, PointerTable, UnloadedModules
from poolsleuth.model.tag_code import CodeUse, DriverFilesSearch, TagSearch, TagUseInCode, TagUser
from poolsleuth.model.tags import TagDescription, TagRow
from poolsleuth.patterns.attribution import Attribution
from poolsleuth.patterns.makers import Makers, with_makers

Make = Callable[..., Machine]
Row = Callable[..., TagRow]
Modules = Callable[..., ModuleList]
Unloaded = Callable[..., UnloadedModules]

SEARCH = TagSearch(
    where=Where(0, address=0x1000),
    tags=("Abcd", "Ddk", "Ntff"),
    modules=50,
    unseen=(),
    unfinished=(),
    partial=0,
    unread_code=0,
    paged=3,
    unread_pageable=81_920,
    functions=20,
    whole_list=True,
)


def user(driver: str, use: CodeUse = CodeUse.ALLOCATES, tag: str = "Abcd", base: int | None = 0xF7000000) -> TagUser:
    found = TagUseInCode(tag, use, (0x1810, 0x1900), 2, ("ExAllocatePoolWithTag",))
    return TagUser(where=Where(0, address=base), driver=driver, base=base, timestamp=1, use=found)


def makers(owners: Attribution, row: TagRow) -> Makers:
    found = owners.makers(row)
    assert found is not None
    return found


def test_no_search_no_answer(machine: Make, row: Row) -> None:
    assert Attribution(machine()).makers(row("Abcd")) is None
    assert Attribution(machine(SEARCH)).makers(row("Othr")) is None


def test_the_only_one_is_named_with_its_calls(machine: Make, row: Row) -> None:
    found = makers(Attribution(machine(SEARCH, user("a.sys"), user("b.sys", CodeUse.DATA))), row("Abcd"))

    assert (found.driver, found.confidence) == ("a.sys", Confidence.HIGH)
    assert found.because[0].says == (
        "a.sys allocates with tag Abcd: 2 calls of ExAllocatePoolWithTag at a.sys+0x1810, a.sys+0x1900"
    )
    assert found.because[1].says.startswith("b.sys has the four bytes of Abcd in its data (b.sys+0x1810")
    # Pageable code is missing in every dump: said, and no reason for doubt
    assert [reason.says for reason in found.against] == [
        "80 KB of pageable code of 3 modules are not in this dump: a use of the tag may lie there"
    ]
    assert found.headline == "; it is a.sys that allocates with this tag"


@pytest.mark.parametrize(
    "doubt",
    [
        {"unseen": ("x.sys",)},
        {"unfinished": ("big.sys",)},
        {"whole_list": False},
        {"unread_code": 4096, "partial": 1},
    ],
)
def test_what_was_not_seen_costs_certainty(machine: Make, row: Row, doubt: dict[str, object]) -> None:
    search = replace(SEARCH, **doubt)  # type: ignore[arg-type]
    found = makers(Attribution(machine(search, user("a.sys"))), row("Abcd"))
    assert (found.driver, found.confidence) == ("a.sys", Confidence.MEDIUM)
    # A second witness: a list gives the tag to the same file
    listed = Attribution(machine(search, user("a.sys")), [TagDescription("Abcd", "a.sys", "A")])
    assert makers(listed, row("Abcd")).confidence is Confidence.HIGH


def test_a_list_that_names_another_costs_certainty(machine: Make, row: Row) -> None:
    owners = Attribution(machine(SEARCH, user("a.sys")), [TagDescription("Abcd", "other.sys", "A")])
    assert makers(owners, row("Abcd")).confidence is Confidence.MEDIUM


def test_two_are_both_told_and_neither_is_the_subject(machine: Make, row: Row) -> None:
    found = makers(Attribution(machine(SEARCH, user("a.sys"), user("b.sys"))), row("Abcd"))
    assert (found.driver, found.drivers, found.confidence) == (None, ("a.sys", "b.sys"), Confidence.MEDIUM)
    assert "2 drivers allocate with tag Abcd" in found.against[0].says
    assert found.headline == "; a.sys and b.sys allocate with this tag"


@pytest.mark.parametrize("use", [CodeUse.DATA, CodeUse.CONSTANT, CodeUse.FREES, CodeUse.TURNED])
def test_weaker_signs_name_nobody(machine: Make, row: Row, use: CodeUse) -> None:
    found = makers(Attribution(machine(SEARCH, user("a.sys", use))), row("Abcd"))
    assert (found.drivers, found.confidence, found.headline) == ((), None, "")
    assert found.because[-1].says == "the code of 50 of 50 loaded modules was searched: none allocates with tag Abcd"


def test_a_guess_is_told_and_not_accused(machine: Make, row: Row) -> None:
    found = makers(Attribution(machine(SEARCH, user("a.sys", CodeUse.SEEMS))), row("Abcd"))
    assert (found.drivers, found.confidence, found.allocated_by) == (("a.sys",), Confidence.LOW, "")


def test_a_tag_of_windows_is_told_of_both(machine: Make, row: Row) -> None:
    found = makers(Attribution(machine(SEARCH, user("a.sys", tag="Ntff"))), row("Ntff"))
    assert (found.driver, found.confidence) == ("a.sys", Confidence.MEDIUM)
    assert any("Ntff is also a tag of Windows itself (ntfs.sys)" in reason.says for reason in found.against)


def test_the_part_of_windows_that_writes_a_tag_is_not_accused(machine: Make, row: Row) -> None:
    found = makers(Attribution(machine(SEARCH, user("Ntfs.sys", tag="Ntff"))), row("Ntff"))
    assert (found.driver, found.headline) == (None, "")


def test_a_shared_tag_accuses_nobody(machine: Make, row: Row) -> None:
    found = makers(Attribution(machine(SEARCH, user("a.sys", tag="Ddk"))), row("Ddk"))
    assert (found.driver, found.drivers) == (None, ("a.sys",))
    assert "only a.sys allocates with this tag" in found.headline


def test_an_unloaded_driver_named_like_the_tag_is_a_rival(machine: Make, row: Row, unloaded: Unloaded) -> None:
    found = makers(Attribution(machine(SEARCH, user("a.sys"), unloaded("abcdrv.sys", "abcdrv.sys"))), row("Abcd"))
    assert (found.driver, found.confidence) == ("a.sys", Confidence.MEDIUM)
    assert "abcdrv.sys, which was unloaded 2 times, is named like the tag" in found.against[0].says


def test_a_file_of_a_driver_that_is_not_loaded_is_no_candidate(machine: Make, row: Row) -> None:
    files = (user("old.sys", base=None), DriverFilesSearch(where=Where(1), tags=("Abcd",), drivers=4))
    found = makers(Attribution(machine(SEARCH, user("a.sys")), (), files), row("Abcd"))
    assert (found.driver, found.confidence) == ("a.sys", Confidence.HIGH)
    assert "old.sys is not among the loaded modules" in found.against[0].says


def test_files_alone_leave_the_machine_s_other_drivers_open(machine: Make, row: Row) -> None:
    """A log and a folder of drivers: who else is loaded is not known."""
    files = (user("a.sys", base=None), DriverFilesSearch(where=Where(1), tags=("Abcd",), drivers=4))
    found = makers(Attribution(machine(), (), files), row("Abcd"))
    assert (found.driver, found.confidence) == ("a.sys", Confidence.MEDIUM)
    assert found.because[0].says.startswith("a.sys (its file) allocates with tag Abcd")


def test_file_and_memory_of_one_driver_are_one(machine: Make, row: Row) -> None:
    files = (user("A.SYS", base=None), DriverFilesSearch(where=Where(1), tags=("Abcd",), drivers=1))
    found = makers(Attribution(machine(SEARCH, user("a.sys")), (), files), row("Abcd"))
    assert (found.drivers, found.confidence) == (("a.sys",), Confidence.HIGH)


def test_a_file_of_another_build_says_nothing_of_the_one_that_is_loaded(machine: Make, row: Row) -> None:
    other = replace(user("a.sys", base=None), timestamp=2)
    files = (other, DriverFilesSearch(where=Where(1), tags=("Abcd",), drivers=1))
    found = makers(Attribution(machine(SEARCH, user("a.sys", CodeUse.DATA)), (), files), row("Abcd"))
    assert (found.drivers, found.confidence) == ((), None)
    assert "another build of a.sys is not among the loaded modules" in found.against[0].says


def test_what_only_the_file_of_a_loaded_driver_shows_is_no_certainty(machine: Make, row: Row, modules: Modules) -> None:
    files = (user("a.sys", base=None), DriverFilesSearch(where=Where(1), tags=("Abcd",), drivers=1))
    loaded = modules(("a.sys", 0xF7000000, 0xF7010000), complete=True)
    found = makers(Attribution(machine(SEARCH, loaded), (), files), row("Abcd"))
    assert (found.driver, found.confidence) == ("a.sys", Confidence.MEDIUM)
    assert "only the file of a.sys shows it" in found.against[0].says


def test_a_finding_gets_the_driver_and_loses_the_step_that_looks_for_it() -> None:
    finding = Finding(
        pattern="pool-leak",
        verdict=Verdict.SUSPECTED,
        severity=Severity.WARNING,
        confidence=Confidence.MEDIUM,
        headline="tag Abcd grows",
        subject=Subject(pool="nonpaged", tag="Abcd"),
        next_steps=("watch it", "find the driver: search for it"),
    )
    assert with_makers(finding, None) is finding
    named = with_makers(finding, Makers("Abcd", ("a.sys",), Confidence.HIGH, (), ()))
    assert named is finding  # nothing is said without a reason
    reason = Where(0)
    found = with_makers(finding, Makers("Abcd", ("a.sys",), Confidence.HIGH, (replace_reason(reason),), ()))
    assert (found.subject.driver, found.headline) == (
        "a.sys",
        "tag Abcd grows; it is a.sys that allocates with this tag",
    )
    assert found.next_steps[0] == "watch it"
    assert found.next_steps[1].startswith("`lmvm a` says whose a.sys is")


def replace_reason(where: Where) -> Reason:
    return Reason("a.sys allocates", where)


# ---- memory that Windows tags: the importers ----

CONTIGUOUS = "nt!MmAllocateContiguousMemory"


def imported(slot: int, symbol: str = CONTIGUOUS) -> PointerTable:
    row = PointerRow(slot, 0x80801000, symbol, Where(0, address=slot))
    return PointerTable(where=Where(0), rows=(row,), is_import_table=True)


def searched(unseen: tuple[str, ...] = ()) -> ModuleSearch:
    return ModuleSearch(
        where=Where(0),
        symbol=CONTIGUOUS,
        address=0x80801000,
        modules=40,
        unseen=unseen,
        unread_bytes=0,
        unread_modules=0,
        whole_list=True,
    )


def test_the_only_importer_may_have_asked(machine: Make, row: Row, modules: Modules) -> None:
    loaded = modules(("card.sys", 0xF7000000, 0xF7010000), ("tcpip.sys", 0xF8000000, 0xF8010000))
    found = makers(Attribution(machine(loaded, searched(), imported(0xF7002000))), row("MmCm"))
    assert (found.driver, found.confidence, found.by_import) == ("card.sys", Confidence.MEDIUM, True)
    assert found.headline == "; only card.sys imports what takes such memory"
    assert "an import shows who can ask" in found.against[0].says
    assert found.allocated_by == ""


def test_parts_of_windows_that_import_it_too_are_told_apart(machine: Make, row: Row, modules: Modules) -> None:
    loaded = modules(("card.sys", 0xF7000000, 0xF7010000), ("ndis.sys", 0xF8000000, 0xF8010000))
    facts = (loaded, searched(("x.sys",)), imported(0xF8002000), imported(0xF7002000))
    found = makers(Attribution(machine(*facts)), row("MmCm"))
    assert (found.driver, found.drivers, found.confidence) == (None, ("card.sys",), Confidence.LOW)
    assert found.headline == "; of the drivers that are no part of Windows only card.sys imports what takes such memory"
    assert "parts of Windows import it, too (ndis.sys)" in found.because[-1].says
    assert "the import tables of 1 module could not be read" in found.against[-1].says


def test_nobody_imports_it(machine: Make, row: Row) -> None:
    found = makers(Attribution(machine(searched())), row("MmCm"))
    assert (found.drivers, found.confidence) == ((), None)
    assert "none of the 40 loaded modules was seen to import" in found.because[0].says
