from collections.abc import Callable

import pytest

from poolsleuth.model.facts import Where
from poolsleuth.model.finding import Confidence
from poolsleuth.model.machine import Machine
from poolsleuth.model.modules import MemoryHit, ModuleList, PointerRow, PointerTable, SymbolAddress, UnloadedModules
from poolsleuth.model.tags import TagDescription, TagRow
from poolsleuth.patterns.attribution import MAX_IMAGE, Attribution, Importer

Make = Callable[..., Machine]
Row = Callable[..., TagRow]
Modules = Callable[..., ModuleList]
Unloaded = Callable[..., UnloadedModules]
Hit = Callable[..., MemoryHit]

FUNCTION = "nt!ExAllocatePool"
ADDRESS = 0xE0894D1F
SYMBOL = SymbolAddress(where=Where(0, 1), symbol=FUNCTION, address=ADDRESS)


def names(found: list[Importer]) -> list[str | None]:
    return [importer.name for importer in found]


def test_pooltag_txt_comes_before_the_log_and_the_notes(machine: Make, row: Row) -> None:
    owners = Attribution(machine(), [TagDescription("Ntff", "mine.sys", "Mine")])

    owner = owners.owner(row("Ntff", binary="ntfs.sys", description="FCB_DATA"))

    assert owner is not None
    assert (owner.binary, owner.description, owner.how) == ("mine.sys", "Mine", "pooltag.txt")
    assert owner.confidence is Confidence.HIGH


def test_a_family_of_pooltag_txt_is_less_certain(machine: Make, row: Row) -> None:
    owner = Attribution(machine(), [TagDescription("Zz?", "z.sys", "Z")]).owner(row("ZzA"))

    assert owner is not None
    assert owner.confidence is Confidence.MEDIUM


def test_the_log_comes_before_the_notes(machine: Make, row: Row) -> None:
    owner = Attribution(machine()).owner(row("Ntff", binary="other.sys", description="FCB"))

    assert owner is not None
    assert (owner.binary, owner.how) == ("other.sys", "the description in the log")


def test_a_note_names_the_component(machine: Make, row: Row) -> None:
    owner = Attribution(machine()).owner(row("Ntff"))

    assert owner is not None
    assert (owner.binary, owner.how) == ("ntfs.sys", "our notes on common tags")


def test_nobody_knows(machine: Make, row: Row) -> None:
    owners = Attribution(machine())

    assert owners.owner(row("Zq9x")) is None
    described = owners.owner(row("Zq9x", description="some text"))
    assert described is not None
    assert described.binary is None


@pytest.mark.parametrize(("difference", "same"), [("Ntff", True), ("NtFf", False)])
def test_case_counts(machine: Make, row: Row, difference: str, same: bool) -> None:
    owners = Attribution(machine(), [TagDescription("Ntff", "mine.sys", "Mine")])

    owner = owners.owner(row(difference))

    assert (owner is not None and owner.binary == "mine.sys") == same


def test_an_importer_by_its_search_hit(machine: Make, hit: Hit, modules: Modules) -> None:
    facts = (SYMBOL, hit(0xF5001000, ADDRESS), modules(("one.sys", 0xF5000000, 0xF5010000)))

    (importer,) = Attribution(machine(*facts)).importers(FUNCTION)

    assert (importer.name, importer.base, importer.slot) == ("one.sys", 0xF5000000, 0xF5001000)
    assert not importer.is_import_table


def test_an_importer_by_its_symbol_alone(machine: Make, modules: Modules) -> None:
    rows = (PointerRow(0xF5001000, ADDRESS, "NT!exallocatepool", Where(0, 2)),)
    table = PointerTable(where=Where(0, 2), rows=rows, is_import_table=True)

    (importer,) = Attribution(machine(table, modules(("one.sys", 0xF5000000, 0xF5010000)))).importers(FUNCTION)

    assert importer.is_import_table


def test_a_function_with_a_longer_name_is_another(machine: Make) -> None:
    rows = (PointerRow(0xF5001000, 1, "nt!ExAllocatePoolWithTag", Where(0, 2)),)
    table = PointerTable(where=Where(0, 2), rows=rows, is_import_table=True)

    assert Attribution(machine(SYMBOL, table)).importers(FUNCTION) == []


def test_hits_without_the_address_asked_for_prove_nothing(machine: Make, hit: Hit) -> None:
    assert Attribution(machine(hit(0xF5001000, ADDRESS))).importers(FUNCTION) == []
    assert Attribution(machine(SYMBOL)).importers(FUNCTION) == []


def test_the_nearest_module_below_holds_an_address(machine: Make, hit: Hit, modules: Modules) -> None:
    listed = modules(("low.sys", 0xF5000000, 0xF6000000), ("high.sys", 0xF5100000, 0xF5200000))

    assert names(Attribution(machine(SYMBOL, hit(0xF5150000, ADDRESS), listed)).importers(FUNCTION)) == ["high.sys"]


def test_a_module_without_an_end_does_not_reach_for_ever(machine: Make, hit: Hit, modules: Modules) -> None:
    listed = modules(("one.sys", 0x80000000, 0))
    near, far = hit(0x80001000, ADDRESS), hit(0x80000000 + MAX_IMAGE, ADDRESS)

    assert names(Attribution(machine(SYMBOL, near, far, listed)).importers(FUNCTION)) == ["one.sys", None]


@pytest.mark.parametrize(
    ("name", "guid", "redacted"),
    [
        ("{XXXXXXXX-XXXX-XXXX-XXXX-XXXXXXXXXXXX}.sys", True, True),
        ("{0A1B2C3D-0000-1111-2222-333344445555}.sys", True, False),
        ("XXXXXXXX.sys", False, True),
        ("ndis.sys", False, False),
        ("axx.sys", False, False),
        (None, False, False),
    ],
)
def test_names_that_tell_something(name: str | None, guid: bool, redacted: bool) -> None:
    importer = Importer(name, 0x1000, 0x1058, Where(0, 1), is_import_table=True)

    assert (importer.guid_named, importer.redacted) == (guid, redacted)


def test_a_search_over_all_modules_is_known_by_its_command(machine: Make, hit: Hit) -> None:
    assert Attribution(machine(hit(1, 2, "!for_each_module s-d @#Base @#End 2"))).searched_all_modules
    assert not Attribution(machine(hit(1, 2, "s-d 0 L100 2"))).searched_all_modules


def test_names_like_a_tag(machine: Make, unloaded: Unloaded, modules: Modules) -> None:
    owners = Attribution(machine(unloaded("MyAVDrv.sys", "MyAVDrv.sys"), modules(("myavmon.sys", 1, 2))))

    matches = owners.named_like("MyAV")

    assert [(m.module, m.loaded, m.unloads) for m in matches] == [("MyAVDrv.sys", False, 2), ("myavmon.sys", True, 0)]


@pytest.mark.parametrize("tag", ["My", "M", "", "-UMD", "*>.g", "Drv"])
def test_nothing_is_like_it(machine: Make, unloaded: Unloaded, tag: str) -> None:
    assert Attribution(machine(unloaded("MyAVDrv.sys"))).named_like(tag) == []


def test_a_three_letter_tag_is_not_read_backwards(machine: Make, unloaded: Unloaded) -> None:
    owners = Attribution(machine(unloaded("abc.sys")))

    assert owners.named_like("cba") == []
    assert len(owners.named_like("abc")) == 1
