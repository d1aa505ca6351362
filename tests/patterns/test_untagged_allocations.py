from collections.abc import Callable

import pytest

from poolsleuth.model.facts import Where
from poolsleuth.model.finding import Confidence, Finding, Severity, Verdict
from poolsleuth.model.memory import MemoryCounters
from poolsleuth.model.module_search import ModuleSearch
from poolsleuth.model.modules import MemoryHit, ModuleList, PointerRow, PointerTable, SymbolAddress
from poolsleuth.model.tags import TagRow, TagTable
from poolsleuth.patterns.thresholds import TAG_UNTAGGED_BYTES, TAG_UNTAGGED_SHARE
from poolsleuth.windows.builds import Era

Judge = Callable[..., Finding]
Vm = Callable[..., MemoryCounters]
Table = Callable[..., TagTable]
Row = Callable[..., TagRow]
Modules = Callable[..., ModuleList]
Hit = Callable[..., MemoryHit]

ID = "untagged-allocations"
MB = 1 << 20
GUID = "{XXXXXXXX-XXXX-XXXX-XXXX-XXXXXXXXXXXX}.sys"
ADDRESS = 0xE0894D1F
SEARCH = "!for_each_module s-d @#Base @#End e0894d1f"
SYMBOL = SymbolAddress(where=Where(0, 50), symbol="nt!ExAllocatePool", address=ADDRESS)
SERVER_2003 = {"era": int(Era.XP_2003), "architecture": "x86"}


@pytest.fixture
def full(vm: Vm) -> MemoryCounters:
    return vm(nonpaged_used=31369 * 4096, nonpaged_max=31986 * 4096)


@pytest.fixture
def leak(row: Row, table: Table) -> TagTable:
    return table(row("None", bytes=50_827_424, outstanding=246_479), row("MmCm", bytes=18_462_512, outstanding=1198))


def import_table(slot: int) -> PointerTable:
    rows = (
        PointerRow(slot, ADDRESS, "nt!ExAllocatePool", Where(0, 60)),
        PointerRow(slot + 4, 0xE0828E04, "nt!_wcsnicmp", Where(0, 61)),
    )
    return PointerTable(where=Where(0, 60), rows=rows, is_import_table=True)


def says(finding: Finding) -> str:
    return " | ".join(reason.says for reason in finding.because)


def test_the_one_importer_of_the_article(
    finding: Judge, full: MemoryCounters, leak: TagTable, hit: Hit, modules: Modules
) -> None:
    facts = (SYMBOL, hit(0xF50B8058, ADDRESS, SEARCH), import_table(0xF50B8058))

    found = finding(ID, full, leak, *facts, modules((GUID, 0xF50B3000, 0xF50BA000)), **SERVER_2003)

    assert (found.verdict, found.severity, found.confidence) == (Verdict.FOUND, Severity.CRITICAL, Confidence.HIGH)
    assert (found.subject.tag, found.subject.pool, found.subject.driver) == ("None", "nonpaged", GUID)
    assert "246,479 blocks" in says(found)
    assert "50,827,424 bytes" in says(found)
    assert "base 0xf50b3000" in says(found)
    assert "import table" in says(found)
    assert "named by a GUID" in says(found)
    assert "all loaded modules were searched" in says(found)
    assert any("redacted" in reason.says for reason in found.against)


def test_one_importer_without_a_search_is_less_certain(
    finding: Judge, full: MemoryCounters, leak: TagTable, modules: Modules
) -> None:
    # One import table was looked at: nobody knows how many others import the function too
    found = finding(
        ID, full, leak, SYMBOL, import_table(0xF50B8058), modules(("acme.sys", 0xF50B3000, 0xF50BA000)), **SERVER_2003
    )

    assert found.confidence is Confidence.MEDIUM
    assert "does not show whether all modules were searched" in says(found)


def test_no_importer_known(finding: Judge, full: MemoryCounters, leak: TagTable) -> None:
    found = finding(ID, full, leak, **SERVER_2003)

    assert (found.verdict, found.subject.driver) == (Verdict.FOUND, None)
    assert any("!for_each_module s-d" in step for step in found.next_steps)


def test_a_64_bit_search_asks_for_quadwords(finding: Judge, leak: TagTable) -> None:
    found = finding(ID, leak, architecture="x64")

    assert any("!for_each_module s-q" in step for step in found.next_steps)


def test_many_importers_blame_nobody(
    finding: Judge, full: MemoryCounters, leak: TagTable, hit: Hit, modules: Modules
) -> None:
    listed = modules(("one.sys", 0xF5000000, 0xF5010000), ("two.sys", 0xF6000000, 0xF6010000))
    hits = (hit(0xF5001000, ADDRESS, SEARCH), hit(0xF6001000, ADDRESS, SEARCH))

    found = finding(ID, full, leak, SYMBOL, *hits, listed, **SERVER_2003)

    assert found.subject.driver is None
    assert found.confidence is Confidence.MEDIUM
    assert "one.sys" in says(found)
    assert "two.sys" in says(found)
    assert any("2 modules import the function" in reason.says for reason in found.against)


def test_two_hits_in_one_module_are_one_importer(
    finding: Judge, full: MemoryCounters, leak: TagTable, hit: Hit, modules: Modules
) -> None:
    hits = (hit(0xF5001000, ADDRESS, SEARCH), hit(0xF5002000, ADDRESS, SEARCH))

    found = finding(ID, full, leak, SYMBOL, *hits, modules(("one.sys", 0xF5000000, 0xF5010000)), **SERVER_2003)

    assert found.subject.driver == "one.sys"


def test_a_hit_outside_every_module_has_no_name(finding: Judge, full: MemoryCounters, leak: TagTable, hit: Hit) -> None:
    found = finding(ID, full, leak, SYMBOL, hit(0xF50B8058, ADDRESS, SEARCH), **SERVER_2003)

    assert found.subject.driver is None
    assert "0xf50b8058" in says(found)
    assert any("`!lmi <hit>`" in step for step in found.next_steps)


def test_a_search_for_something_else_is_no_import(
    finding: Judge, full: MemoryCounters, leak: TagTable, hit: Hit, modules: Modules
) -> None:
    other = hit(0xF5001000, 0xE0828E04, "s-d f5000000 f5010000 e0828e04")

    found = finding(ID, full, leak, SYMBOL, other, modules(("one.sys", 0xF5000000, 0xF5010000)), **SERVER_2003)

    assert found.subject.driver is None


def search(
    *unseen: str | None, address: int | None = ADDRESS, whole_list: bool = True, unread: tuple[int, int] = (0, 0)
) -> ModuleSearch:
    return ModuleSearch(
        where=Where(0, address=0x8089D000),
        symbol="nt!ExAllocatePool",
        address=address,
        modules=60,
        unseen=unseen,
        unread_bytes=unread[0],
        unread_modules=unread[1],
        whole_list=whole_list,
    )


def doubts(finding: Finding) -> str:
    return " | ".join(reason.says for reason in finding.against)


def test_a_dump_that_shows_all_import_tables(
    finding: Judge, full: MemoryCounters, leak: TagTable, modules: Modules
) -> None:
    listed = modules(("acme.sys", 0xF50B3000, 0xF50BA000))

    found = finding(ID, full, leak, SYMBOL, search(), import_table(0xF50B8058), listed, **SERVER_2003)

    assert (found.subject.driver, found.confidence) == ("acme.sys", Confidence.HIGH)
    assert "the import tables of all 60 loaded modules were searched" in says(found)
    assert "not in this dump" not in doubts(found)


@pytest.mark.parametrize(
    ("seen", "doubt"),
    [
        (
            search("a.sys", None),
            "the import tables of 2 modules are not in this dump (a.sys, one without a name): they",
        ),
        (search(*"abcdefgh"), "8 modules are not in this dump (a, b, c, d, e, f and 2 more)"),
        (search(address=None), "where nt!ExAllocatePool lies is not known: only names"),
        (search(whole_list=False), "the list of loaded modules is not whole in this dump"),
    ],
)
def test_what_of_a_dump_was_not_searched_speaks_against(
    finding: Judge, full: MemoryCounters, leak: TagTable, modules: Modules, seen: ModuleSearch, doubt: str
) -> None:
    listed = modules(("acme.sys", 0xF50B3000, 0xF50BA000))

    found = finding(ID, full, leak, SYMBOL, seen, import_table(0xF50B8058), listed, **SERVER_2003)

    assert (found.subject.driver, found.confidence) == ("acme.sys", Confidence.MEDIUM)
    assert doubt in doubts(found)


def test_memory_that_is_not_in_a_dump_may_hold_a_pointer(
    finding: Judge, full: MemoryCounters, leak: TagTable, modules: Modules
) -> None:
    listed = modules(("acme.sys", 0xF50B3000, 0xF50BA000))
    seen = search(unread=(3 * MB, 7))

    found = finding(ID, full, leak, SYMBOL, seen, import_table(0xF50B8058), listed, **SERVER_2003)

    assert found.confidence is Confidence.HIGH
    assert "3.0 MB of 7 modules are not in this dump" in doubts(found)


def test_a_dump_without_an_importer(finding: Judge, full: MemoryCounters, leak: TagTable) -> None:
    found = finding(ID, full, leak, SYMBOL, search("a.sys"), **SERVER_2003)

    assert found.subject.driver is None
    assert "no importer of nt!ExAllocatePool was found: the import tables of 59 of 60" in says(found)
    assert "(a.sys)" in doubts(found)
    assert ["for_each_module" in step for step in found.next_steps] == [False]  # that is done


def test_where_the_address_is_not_known_a_debugger_may_know_it(
    finding: Judge, full: MemoryCounters, leak: TagTable
) -> None:
    found = finding(ID, full, leak, search(address=None), **SERVER_2003)

    assert any("for_each_module" in step for step in found.next_steps)


def test_memory_with_quota_has_no_tag_either(
    finding: Judge, full: MemoryCounters, leak: TagTable, modules: Modules
) -> None:
    row = PointerRow(0xF6001000, 0x80000000, "nt!ExAllocatePoolWithQuota", Where(0, 62))
    quota = PointerTable(where=Where(0, 62), rows=(row,), is_import_table=True)
    listed = modules(("acme.sys", 0xF50B3000, 0xF50BA000), ("two.sys", 0xF6000000, 0xF6010000))

    found = finding(ID, full, leak, SYMBOL, search(), import_table(0xF50B8058), quota, listed, **SERVER_2003)

    assert found.subject.driver is None
    assert "the import table of two.sys (base 0xf6000000) holds nt!ExAllocatePoolWithQuota" in says(found)
    assert "2 modules import" in doubts(found)
    # One module that imports both is one module
    listed = modules(("acme.sys", 0xF50B3000, 0xF6010000))
    found = finding(ID, full, leak, SYMBOL, search(), import_table(0xF50B8058), quota, listed, **SERVER_2003)
    assert found.subject.driver == "acme.sys"


@pytest.mark.parametrize(
    ("share", "verdict"),
    [(TAG_UNTAGGED_SHARE.value, Verdict.FOUND), (TAG_UNTAGGED_SHARE.value - 0.001, Verdict.RULED_OUT)],
)
def test_edge_by_share(finding: Judge, vm: Vm, row: Row, table: Table, share: float, verdict: Verdict) -> None:
    tags = table(row("None", bytes=int(share * 100 * MB), outstanding=1000))

    assert finding(ID, vm(nonpaged_used=100 * MB, nonpaged_max=200 * MB), tags, **SERVER_2003).verdict is verdict


@pytest.mark.parametrize(
    ("count", "verdict"),
    [(int(TAG_UNTAGGED_BYTES.value), Verdict.FOUND), (int(TAG_UNTAGGED_BYTES.value) - 1, Verdict.RULED_OUT)],
)
def test_edge_by_bytes(finding: Judge, row: Row, table: Table, count: int, verdict: Verdict) -> None:
    assert finding(ID, table(row("None", bytes=count, outstanding=1000))).verdict is verdict


def test_a_table_larger_than_the_pool_gives_no_share(finding: Judge, vm: Vm, row: Row, table: Table) -> None:
    # Taken at another time than !vm: a share above 1 would be printed otherwise
    tags = table(row("None", bytes=90 * MB, outstanding=1000))

    found = finding(ID, vm(nonpaged_used=60 * MB, nonpaged_max=200 * MB), tags, **SERVER_2003)

    assert found.verdict is Verdict.FOUND
    assert "% of the pool" not in says(found)


def test_lost_bytes_are_not_zero(finding: Judge, row: Row, table: Table) -> None:
    found = finding(ID, table(row("None", outstanding=5_000_000)))

    assert found.verdict is Verdict.FOUND
    assert "bytes" not in says(found)


def test_a_cut_table_proves_no_absence(finding: Judge, row: Row, table: Table) -> None:
    judged = finding(ID, table(row("MmCm", bytes=MB)))

    assert judged.verdict is Verdict.NOT_ASSESSED
    assert "without /t" in judged.next_steps[0]


def test_a_complete_table_proves_absence(finding: Judge, row: Row, table: Table) -> None:
    assert finding(ID, table(row("MmCm", bytes=MB), complete=True)).verdict is Verdict.RULED_OUT


def test_without_tags_the_command_is_named(finding: Judge, full: MemoryCounters) -> None:
    assert "`!poolused 2`" in finding(ID, full).next_steps[0]
