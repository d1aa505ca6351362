from collections.abc import Callable

import pytest

from poolsleuth.model.facts import Where
from poolsleuth.model.finding import Confidence, Finding, Severity, Verdict
from poolsleuth.model.memory import MemoryCounters
from poolsleuth.model.modules import ModuleList, UnloadedModules
from poolsleuth.model.system import BugCheck, VerifiedAllocation, VerifiedDriver, VerifierState
from poolsleuth.model.tags import TagDescription, TagRow, TagTable
from poolsleuth.patterns.thresholds import UNLOADED_BYTES
from poolsleuth.windows.builds import Era

Judge = Callable[..., Finding]
Findings = Callable[..., tuple[Finding, ...]]
Vm = Callable[..., MemoryCounters]
Table = Callable[..., TagTable]
Row = Callable[..., TagRow]
Unloaded = Callable[..., UnloadedModules]

ID = "unloaded-driver-leak"
MB = 1 << 20
SERVER_2000 = {"era": int(Era.W2K), "architecture": "x86"}


def test_the_article(finding: Judge, vm: Vm, row: Row, table: Table, unloaded: Unloaded) -> None:
    counters = vm(nonpaged_used=90 * MB, nonpaged_max=274 * MB, paged_used=32951 * 4096, paged_max=40960 * 4096)
    tags = table(
        row("CM", pool="paged", bytes=47_915_424, outstanding=11_045),
        row("MyAV", pool="paged", bytes=14_391_520, outstanding=186),
    )

    judged = finding(ID, counters, tags, unloaded(*["MyAVDrv.sys"] * 6), **SERVER_2000)

    assert (judged.verdict, judged.severity, judged.confidence) == (
        Verdict.SUSPECTED,
        Severity.WARNING,
        Confidence.MEDIUM,
    )
    assert (judged.subject.tag, judged.subject.driver, judged.subject.pool) == ("MyAV", "MyAVDrv.sys", "paged")
    says = " | ".join(reason.says for reason in judged.because)
    assert "14,391,520 bytes" in says
    assert "186 blocks" in says
    assert "unloaded 6 times" in says
    assert "only the name ties tag and driver" in judged.against[0].says
    assert any("may be loaded again" in reason.says for reason in judged.against)
    assert any("0xC4 (0x62)" in step for step in judged.next_steps)


@pytest.mark.parametrize(("names", "confidence"), [(1, Confidence.LOW), (2, Confidence.MEDIUM)])
def test_a_prefix_is_never_more_than_a_suspicion(
    finding: Judge, row: Row, table: Table, unloaded: Unloaded, names: int, confidence: Confidence
) -> None:
    judged = finding(ID, table(row("MyAV", bytes=500 * MB, outstanding=9)), unloaded(*["MyAVDrv.sys"] * names))

    assert (judged.verdict, judged.confidence) == (Verdict.SUSPECTED, confidence)


@pytest.mark.parametrize(
    ("tag", "driver"),
    [
        ("Proc", "PROCEXP152.SYS"),  # Process Explorer leaves process objects to nobody
        ("Wdm", "wdmaud.sys"),  # a default shared by many drivers; wdmaud comes and goes with every sound
        ("File", "FileCrypt.sys"),
        ("Even", "eventmon.sys"),
        ("Irp", "irpmon.sys"),
        ("Ntff", "ntffilter.sys"),
        ("Cont", "contoso.sys"),
    ],
)
def test_a_tag_of_windows_is_not_blamed_on_a_namesake(
    finding: Judge, row: Row, table: Table, unloaded: Unloaded, tag: str, driver: str
) -> None:
    judged = finding(ID, table(row(tag, bytes=40 * MB, outstanding=50_000)), unloaded(driver, driver, driver))

    assert judged.verdict is Verdict.RULED_OUT
    assert judged.subject.driver is None


def test_a_tag_that_pooltag_txt_gives_to_another_driver(
    finding: Judge, row: Row, table: Table, unloaded: Unloaded
) -> None:
    listed = [TagDescription("MyAV", "other.sys", "Another product")]

    judged = finding(ID, table(row("MyAV", bytes=40 * MB, outstanding=9)), unloaded("MyAVDrv.sys"), descriptions=listed)

    assert judged.verdict is Verdict.RULED_OUT


@pytest.mark.parametrize("reversed_tag", ["VAyM"])
def test_a_tag_written_backwards_is_recognised(
    finding: Judge, row: Row, table: Table, unloaded: Unloaded, reversed_tag: str
) -> None:
    judged = finding(ID, table(row(reversed_tag, bytes=MB, outstanding=9)), unloaded("MyAVDrv.sys"))

    assert judged.subject.driver == "MyAVDrv.sys"


@pytest.mark.parametrize("tag", ["My", "Xy", "AVDr"])
def test_too_short_or_no_prefix(finding: Judge, row: Row, table: Table, unloaded: Unloaded, tag: str) -> None:
    judged = finding(ID, table(row(tag, bytes=MB, outstanding=9)), unloaded("MyAVDrv.sys"))

    assert judged.verdict is Verdict.RULED_OUT
    assert judged.confidence is Confidence.LOW
    assert "50 unloadings" in judged.against[0].says


def test_a_driver_that_is_loaded_again_is_not_gone(
    finding: Judge, row: Row, table: Table, unloaded: Unloaded, modules: Callable[..., ModuleList]
) -> None:
    loaded = modules(("MyAVDrv.sys", 0xA5069000, 0xA5084000), complete=True)

    judged = finding(ID, table(row("MyAV", bytes=MB, outstanding=9)), unloaded("MyAVDrv.sys"), loaded)

    assert judged.verdict is Verdict.RULED_OUT


@pytest.mark.parametrize(("loaded", "verdict"), [("usbxport.sys", Verdict.RULED_OUT), ("disk.sys", Verdict.SUSPECTED)])
def test_a_loaded_driver_of_the_same_name_clears_the_one_that_is_gone(
    finding: Judge,
    row: Row,
    table: Table,
    unloaded: Unloaded,
    modules: Callable[..., ModuleList],
    loaded: str,
    verdict: Verdict,
) -> None:
    """usbxport.sys is there to own the tag: that usbxstor.sys is gone says nothing."""
    tags = table(row("Usbx", bytes=500 * MB, outstanding=9))

    judged = finding(ID, tags, unloaded("usbxstor.sys"), modules((loaded, 0xF000, 0xF800)))

    assert judged.verdict is verdict


@pytest.mark.parametrize(("gone", "verdict"), [("usbstor.sys", Verdict.RULED_OUT), ("usbxstor.sys", Verdict.SUSPECTED)])
def test_windows_own_drivers_are_not_accused_for_their_names(
    finding: Judge, row: Row, table: Table, unloaded: Unloaded, gone: str, verdict: Verdict
) -> None:
    """A stick was pulled out of a machine whose tag Usb is everybody's."""
    assert finding(ID, table(row("Usb", bytes=MB, outstanding=9)), unloaded(gone)).verdict is verdict


def test_a_listed_owner_is_not_cleared_by_a_loaded_namesake(
    finding: Judge, row: Row, table: Table, unloaded: Unloaded, modules: Callable[..., ModuleList]
) -> None:
    tags = table(row("Usbx", bytes=500 * MB, outstanding=9))
    listed = [TagDescription("Usbx", "usbxstor.sys", "of this driver")]

    judged = finding(ID, tags, unloaded("usbxstor.sys"), modules(("usbxport.sys", 0xF000, 0xF800)), descriptions=listed)

    assert (judged.verdict, judged.subject.driver) == (Verdict.SUSPECTED, "usbxstor.sys")


def test_a_complete_list_of_modules_leaves_one_doubt_less(
    finding: Judge, row: Row, table: Table, unloaded: Unloaded, modules: Callable[..., ModuleList]
) -> None:
    loaded = modules(("ntfs.sys", 0xA0000000, 0xA0010000), complete=True)

    judged = finding(ID, table(row("MyAV", bytes=MB, outstanding=9)), unloaded("MyAVDrv.sys"), loaded)

    assert len(judged.against) == 1


@pytest.mark.parametrize(
    ("count", "verdict"),
    [(int(UNLOADED_BYTES.value), Verdict.SUSPECTED), (int(UNLOADED_BYTES.value) - 1, Verdict.RULED_OUT)],
)
def test_edge_of_what_is_left(
    finding: Judge, row: Row, table: Table, unloaded: Unloaded, count: int, verdict: Verdict
) -> None:
    judged = finding(ID, table(row("MyAV", bytes=count, outstanding=9)), unloaded("MyAVDrv.sys"))

    assert judged.verdict is verdict


def test_nothing_outstanding_is_no_leak(finding: Judge, row: Row, table: Table, unloaded: Unloaded) -> None:
    judged = finding(ID, table(row("MyAV", bytes=MB, outstanding=0)), unloaded("MyAVDrv.sys"))

    assert judged.verdict is Verdict.RULED_OUT


def test_the_same_list_printed_twice_is_one_history(finding: Judge, row: Row, table: Table, unloaded: Unloaded) -> None:
    listed = unloaded("MyAVDrv.sys", "MyAVDrv.sys")

    assert "unloaded 2 times" in finding(ID, table(row("MyAV", bytes=MB, outstanding=9)), listed, listed).headline


@pytest.mark.parametrize(("with_tags", "wanted"), [(True, "`lm`"), (False, "`!poolused`")])
def test_what_is_missing_is_named(
    finding: Judge, row: Row, table: Table, unloaded: Unloaded, with_tags: bool, wanted: str
) -> None:
    judged = finding(ID, table(row("MyAV", bytes=MB, outstanding=9)) if with_tags else unloaded("MyAVDrv.sys"))

    assert judged.verdict is Verdict.NOT_ASSESSED
    assert wanted in judged.next_steps[0]


def verified(*drivers: VerifiedDriver) -> VerifierState:
    return VerifierState(
        where=Where(0, 20),
        level=3,
        options=("Special pool",),
        special_pool=True,
        injected_failures=None,
        failed=None,
        untagged=None,
        drivers=drivers,
    )


LEFT = VerifiedDriver(
    name="MyDriver.sys",
    state="Unloaded",
    nonpaged_allocations=3,
    paged_allocations=0,
    nonpaged_bytes=120,
    paged_bytes=0,
    allocations=(VerifiedAllocation(0x95F6B000, 40, "VMdl", "MyDriver!DriverEntry+0x10"),),
    where=Where(0, 21),
)


def test_driver_verifier_proves_it(finding: Judge) -> None:
    check = BugCheck(where=Where(0, 1), code=0xC4, parameters=(0x62, 0x9522DD4C, 0x9522DC68, 3), image="ntoskrnl.exe")

    found = finding(ID, verified(LEFT), bugcheck=check)

    assert (found.verdict, found.confidence) == (Verdict.FOUND, Confidence.HIGH)
    assert found.subject.driver == "MyDriver.sys"
    assert found.subject.tag == "VMdl"
    assert "left 3 allocations" in found.headline
    assert any("MyDriver!DriverEntry+0x10" in reason.says for reason in found.because)


def test_another_verifier_stop_is_no_leak(finding: Judge) -> None:
    check = BugCheck(where=Where(0, 1), code=0xC4, parameters=(0x81, 1, 2, 3))

    assert finding(ID, verified(LEFT), bugcheck=check).verdict is Verdict.NOT_ASSESSED


def test_a_verifier_leak_without_the_drivers_name(finding: Judge) -> None:
    check = BugCheck(where=Where(0, 1), code=0xC4, parameters=(0x62, 0, 0, 1))

    found = finding(ID, bugcheck=check)

    assert (found.verdict, found.confidence, found.subject.driver) == (Verdict.FOUND, Confidence.MEDIUM, None)


@pytest.mark.parametrize(("times", "confidence"), [(1, Confidence.MEDIUM), (2, Confidence.HIGH)])
def test_a_listed_owner_that_was_unloaded(
    finding: Judge, row: Row, table: Table, unloaded: Unloaded, times: int, confidence: Confidence
) -> None:
    # The name does not resemble the tag: the list of tags ties the two together
    listed = [TagDescription("Zq9x", "exscan.sys", "Scanner")]

    judged = finding(
        ID, table(row("Zq9x", bytes=MB, outstanding=9)), unloaded(*["ExScan.sys"] * times), descriptions=listed
    )

    assert (judged.verdict, judged.confidence) == (Verdict.SUSPECTED, confidence)
    assert judged.subject.driver == "ExScan.sys"
    assert any("pooltag.txt gives the tag to exscan.sys" in reason.says for reason in judged.because)


def test_a_listed_owner_that_is_loaded_again(
    finding: Judge, row: Row, table: Table, unloaded: Unloaded, modules: Callable[..., ModuleList]
) -> None:
    listed = [TagDescription("Zq9x", "exscan.sys", "Scanner")]
    facts = (table(row("Zq9x", bytes=MB, outstanding=9)), unloaded("ExScan.sys"), modules(("exscan.sys", 1, 2)))

    assert finding(ID, *facts, descriptions=listed).verdict is Verdict.RULED_OUT
