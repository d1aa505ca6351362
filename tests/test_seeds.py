"""The acceptance test: what the published articles and transcripts say is what the diagnosis must say.

The figures beside each file are those that the file prints (Kb x 1024, pages x 4096) and the verdicts are its author's,
as the list beside the transcripts tells them. The files lie beside the project and are skipped by name where absent.
"""

from functools import cache
from pathlib import Path

import pytest

from poolsleuth.model.finding import Verdict
from poolsleuth.model.report import ReportFinding, ReportMachine
from poolsleuth.pipeline import diagnose

SHARED = Path(__file__).parents[2] / "shared"
SEEDS, TRANSCRIPTS = SHARED / "seeds", SHARED / "data" / "transcripts"
PAGE, KB = 4096, 1024
REDACTED = "{XXXXXXXX-XXXX-XXXX-XXXX-XXXXXXXXXXXX}.sys"

# Each case is an article and the transcript that was cut from it: both must lead to the same
FRAGMENTED = [SEEDS / "000_8ab0d1702d9075eb.txt", TRANSCRIPTS / "001_srv2003_vm_poolused_t5_2_pool.txt"]
UNTAGGED = [
    SEEDS / "001_a69109390386e220.txt",
    TRANSCRIPTS / "002_srv2003_vm_poolused_t2_dps_lmi_flattened.txt",
]
SIX = SEEDS / "002_3328612633af358e.txt"
WORKSTATION = [(SIX, 0), (TRANSCRIPTS / "003_vista64_poolused_3.txt", 0)]
SESSION = [(SIX, 1), (TRANSCRIPTS / "004_srv2003_vm_vm4_session_limit.txt", 0)]
PAGED = [(SIX, 2), (TRANSCRIPTS / "005_w2k_vm_paged_excess_2pagefiles.txt", 0)]
PAGED_FAILURES = [(SIX, 3), (TRANSCRIPTS / "006_srv2003_vm_2npnodes_poolused4_mmst.txt", 0)]
DDK = [(SIX, 4), (TRANSCRIPTS / "007_srv2003_vm_poolused3_ddk_xpoolmap.txt", 0)]
MYAV = [(SIX, 5), (TRANSCRIPTS / "008_w2k_vm_poolused4_myav_lmv_locks.txt", 0)]

Place = tuple[Path, int]


@cache
def machines(path: Path) -> tuple[ReportMachine, ...]:
    if not path.is_file():
        pytest.skip(f"{path.name} is not there")
    return diagnose(path).machines


def machine_of(place: Place | Path) -> ReportMachine:
    path, number = place if isinstance(place, tuple) else (place, 0)
    return machines(path)[number]


def holding(machine: ReportMachine) -> set[tuple[str, str]]:
    return {(f.pattern, f.verdict.value) for f in machine.findings if f.holds}


def one(machine: ReportMachine, pattern: str) -> ReportFinding:
    (finding,) = [f for f in machine.findings if f.pattern == pattern]
    return finding


def verdict(machine: ReportMachine, pattern: str) -> Verdict:
    return one(machine, pattern).verdict


def says(finding: ReportFinding) -> str:
    return " | ".join(reason.says for reason in finding.because)


def concluded(machine: ReportMachine) -> tuple[str, str] | None:
    return (machine.conclusion.pattern, machine.conclusion.verdict.value) if machine.conclusion else None


@pytest.mark.parametrize("path", FRAGMENTED, ids=lambda path: path.stem[:3])
def test_nonpaged_pool_in_pieces(path: Path) -> None:
    machine = machine_of(path)

    assert concluded(machine) == ("pool-fragmentation", "found")
    assert holding(machine) == {("pool-fragmentation", "found")}
    nonpaged, paged = machine.pools.nonpaged, machine.pools.paged
    assert (nonpaged.used_bytes, nonpaged.limit_bytes) == (101_852 * KB, 130_588 * KB)
    assert (nonpaged.tagged_bytes, paged.tagged_bytes) == (65_912_104, 66_610_504)
    assert (nonpaged.failures, paged.used_bytes) == (None, 132_316 * KB)
    found = one(machine, "pool-fragmentation")
    assert (found.subject.pool, found.subject.tag, found.subject.driver) == ("nonpaged", "MmCm", None)
    assert "0xF18 bytes with tag MmCm" in says(found)
    assert "page 0xfa808000 is held by 24 live bytes of 4096" in says(found)
    assert any("0x1000" in step for step in found.next_steps)
    assert verdict(machine, "nonpaged-pool-depletion") is Verdict.RULED_OUT
    assert machine.system.os == "Windows XP or Server 2003"


@pytest.mark.parametrize("path", UNTAGGED, ids=lambda path: path.stem[:3])
def test_untagged_memory_of_one_driver(path: Path) -> None:
    machine = machine_of(path)

    assert concluded(machine) == ("untagged-allocations", "found")
    assert machine.system.three_gb is True
    nonpaged = machine.pools.nonpaged
    assert (nonpaged.used_bytes, nonpaged.limit_bytes) == (31369 * PAGE, 31986 * PAGE)
    assert (nonpaged.failures, nonpaged.tagged_bytes, machine.pools.paged.failures) == (3, None, None)
    (none,) = [tag for tag in machine.tags if tag.tag == "None"]
    assert (none.outstanding, none.bytes, none.driver) == (246_479, 50_827_424, None)
    found = one(machine, "untagged-allocations")
    assert (found.subject.driver, found.subject.tag, found.subject.pool) == (REDACTED, "None", "nonpaged")
    assert "base 0xf50b3000" in says(found)
    assert "50,827,424 bytes" in says(found)
    assert "named by a GUID" in says(found)
    assert any("redacted" in reason.says for reason in found.against)
    depletion = one(machine, "nonpaged-pool-depletion")
    assert depletion.verdict is Verdict.FOUND
    assert "98.1 %" in depletion.headline
    assert "/3GB" in says(depletion)


def test_six_machines_of_one_article() -> None:
    assert [concluded(machine) for machine in machines(SIX)] == [
        None,
        ("session-pool-depletion", "found"),
        ("paged-pool-depletion", "found"),
        ("paged-pool-depletion", "found"),
        ("generic-tag", "found"),
        ("paged-pool-depletion", "found"),
    ]


@pytest.mark.parametrize("place", WORKSTATION, ids=["seed", "transcript"])
def test_a_healthy_workstation(place: Place) -> None:
    machine = machine_of(place)

    assert holding(machine) == set()
    assert machine.system.os == "Windows Vista or later"
    assert len(machine.tags) == 14
    (file,) = [tag for tag in machine.tags if tag.tag == "File"]
    assert (file.allocs, file.frees, file.outstanding, file.bytes) == (32_630_649, 32_618_671, 11_978, 3_752_928)


@pytest.mark.parametrize("place", SESSION, ids=["seed", "transcript"])
def test_one_full_session(place: Place) -> None:
    machine = machine_of(place)

    assert holding(machine) == {("session-pool-depletion", "found")}
    (nine,) = [s for s in machine.pools.sessions if s.id == 9]
    assert (nine.used_bytes, nine.limit_bytes, nine.failures) == (32552 * KB, 32768 * KB, 7837)
    found = one(machine, "session-pool-depletion")
    assert (found.subject.session, found.subject.pool) == (9, "session")
    assert any("3,441 failed allocations" in text for text in found.explains)
    assert any("KB840342" in step for step in found.next_steps)
    assert verdict(machine, "nonpaged-pool-depletion") is Verdict.RULED_OUT
    assert verdict(machine, "paged-pool-depletion") is Verdict.RULED_OUT
    assert (machine.pools.nonpaged.failures, machine.pools.paged.failures) == (None, None)


@pytest.mark.parametrize("place", PAGED, ids=["seed", "transcript"])
def test_paged_pool_near_its_maximum(place: Place) -> None:
    machine = machine_of(place)

    assert holding(machine) == {("paged-pool-depletion", "found")}
    paged = machine.pools.paged
    assert (paged.used_bytes, paged.limit_bytes, paged.failures) == (32850 * PAGE, 40960 * PAGE, None)
    assert machine.system.os == "Windows 2000"


@pytest.mark.parametrize("place", PAGED_FAILURES, ids=["seed", "transcript"])
def test_paged_pool_that_failed_without_a_warning(place: Place) -> None:
    machine = machine_of(place)

    assert holding(machine) == {("paged-pool-depletion", "found")}
    assert (machine.pools.paged.used_bytes, machine.pools.paged.failures) == (120_710 * PAGE, 818)
    assert machine.pools.nonpaged.used_bytes == 37_846 * PAGE  # not the sum of its nodes
    found = one(machine, "paged-pool-depletion")
    assert "tag MmSt" in says(found)
    assert "140,642,616 bytes" in says(found)
    assert "tag Ntff" in says(found)
    assert any("PoolUsageMaximum" in step for step in found.next_steps)


@pytest.mark.parametrize("place", DDK, ids=["seed", "transcript"])
def test_a_shared_default_tag(place: Place) -> None:
    machine = machine_of(place)

    assert {("generic-tag", "found"), ("nonpaged-pool-depletion", "found")} <= holding(machine)
    assert verdict(machine, "pool-fragmentation") is Verdict.SUSPECTED
    assert not any(f.holds and f.subject.driver for f in machine.findings)
    nonpaged = machine.pools.nonpaged
    assert (nonpaged.used_bytes, nonpaged.limit_bytes, nonpaged.failures) == (64445 * PAGE, 64640 * PAGE, 429)
    (ddk,) = [tag for tag in machine.tags if tag.tag == "Ddk"]
    assert (ddk.allocs, ddk.frees, ddk.outstanding, ddk.bytes) == (9_074_558, 3_859_522, 5_215_036, None)
    assert one(machine, "generic-tag").subject.tag == "Ddk"


@pytest.mark.parametrize("place", MYAV, ids=["seed", "transcript"])
def test_an_unloaded_driver_and_a_contended_registry(place: Place) -> None:
    machine = machine_of(place)

    assert holding(machine) == {
        ("paged-pool-depletion", "found"),
        ("unloaded-driver-leak", "suspected"),
        ("lock-contention", "found"),
    }
    assert (machine.pools.paged.used_bytes, machine.pools.paged.limit_bytes) == (32951 * PAGE, 40960 * PAGE)
    unloaded = one(machine, "unloaded-driver-leak")
    assert (unloaded.subject.tag, unloaded.subject.driver) == ("MyAV", "MyAVDrv.sys")
    assert "14,391,520 bytes" in says(unloaded)
    assert "unloaded 6 times" in says(unloaded)
    lock = one(machine, "lock-contention")
    assert lock.subject.resource == "nt!CmpRegistryLock"
    assert "9,149,810" in says(lock)
    assert "718 threads waiting for shared access" in says(lock)
    assert "21 threads waiting for exclusive access" in says(lock)
    assert machine.conclusion is not None
    assert "MyAVDrv.sys" in machine.conclusion.says
    assert "nt!CmpRegistryLock" in machine.conclusion.says


@pytest.mark.parametrize("name", ["003_96cb3bda37ffc284.txt", "004_e930fab465ae2ebf.txt"])
def test_articles_without_any_output(name: str) -> None:
    if not (SEEDS / name).is_file():
        pytest.skip(f"{name} is not there")
    report = diagnose(SEEDS / name)

    assert report.machines == ()
    assert "no output of a debugger command" in report.problems[0].says


# name -> machines, what holds, the conclusion's pattern (None: nothing was the matter, or it is an illustration only)
OTHERS: dict[str, tuple[int, set[tuple[str, str]], str | None]] = {
    "010_xp_vm_commit_near_limit": (
        1,
        {("commit-exhaustion", "found"), ("verifier-active", "found")},
        "commit-exhaustion",
    ),
    "012_xp_poolused_4_abc_docs": (1, {("pool-leak", "suspected")}, "pool-leak"),
    "014_xp_pool_flags0_1": (1, set(), None),
    "015_xp_poolfind_sesd": (1, set(), None),
    "017_xp_locks_docs": (1, set(), None),
    "019_xp_lm_unloaded": (1, set(), None),
    "021_w2k3_sysptes_4_mdl": (1, set(), None),
    "022_xp_memusage": (1, set(), None),
    "023_w2k_memusage_ca": (1, set(), None),
    "024_xp_filecache": (1, set(), None),
    "025_nt4_poolmon_flattened": (1, set(), None),
    "027_xp_poolmon_a_sorted": (1, set(), None),
    "028_xp_poolmon_g_ntf": (1, set(), None),
    "030_srv2003_poolmon_sessions": (2, set(), None),
    "031_win7x64_verifier_0xf": (1, {("verifier-active", "found")}, "verifier-active"),
    "032_win81x86_c4_62_verifier3": (
        1,
        {("unloaded-driver-leak", "found"), ("verifier-active", "found")},
        "unloaded-driver-leak",
    ),
    "034_win7x64_lookaside": (1, set(), None),
    "039_win11_0x19_analyze_pool_poolval": (1, {("pool-corruption", "found")}, "pool-corruption"),
    # The dump shows one waiter; that its owner waits for itself would take the thread's stack
    "042_win11_locks_recursive": (1, {("lock-contention", "suspected")}, "lock-contention"),
    "043_win11_d1_pool_unknown_sessdata": (1, set(), None),
    "045_win11_poolused_1_headerless": (1, set(), None),
    "046_vista7_locks_actual_thread": (1, set(), None),
    "050_win7x86_sysptes_mitype": (1, set(), None),
    "052_win8_lookaside_list": (1, set(), None),
    "053_win7x64_vm_bogus_npp_mdescaped": (1, {("false-pool-warning", "found")}, "false-pool-warning"),
}


@pytest.mark.parametrize("name", OTHERS)
def test_other_transcripts(name: str) -> None:
    count, held, conclusion = OTHERS[name]

    found = machines(TRANSCRIPTS / f"{name}.txt")

    assert len(found) == count
    assert {entry for machine in found for entry in holding(machine)} == held
    first = found[0].conclusion
    assert (first.pattern if first else None) == conclusion


def test_every_transcript_has_its_truth_here() -> None:
    if not TRANSCRIPTS.is_dir():
        pytest.skip(f"{TRANSCRIPTS.name} is not there")
    told = {f"{name}.txt" for name in OTHERS} | {path.name for path in (*FRAGMENTED, *UNTAGGED)}
    for cases in (WORKSTATION, SESSION, PAGED, PAGED_FAILURES, DDK, MYAV):
        told |= {path.name for path, _ in cases}

    assert {path.name for path in TRANSCRIPTS.glob("0*.txt")} <= told


def test_the_caller_that_left_memory_behind() -> None:
    machine = machine_of(TRANSCRIPTS / "032_win81x86_c4_62_verifier3.txt")

    found = one(machine, "unloaded-driver-leak")
    assert found.subject.driver is not None
    assert found.subject.driver.casefold() == "mydriver.sys"
    assert machine.system.bugcheck is not None
    assert machine.system.bugcheck.code == "0x000000C4"


def test_the_driver_on_the_stack_is_no_verdict() -> None:
    machine = machine_of(TRANSCRIPTS / "039_win11_0x19_analyze_pool_poolval.txt")

    assert one(machine, "pool-corruption").subject.driver is None


def test_the_leak_of_the_documentation() -> None:
    machine = machine_of(TRANSCRIPTS / "012_xp_poolused_4_abc_docs.txt")

    leak = one(machine, "pool-leak")
    assert (leak.subject.tag, leak.subject.pool, leak.subject.driver) == ("Abc", "paged", None)
    assert "36,405 blocks" in says(leak)


def test_commit_and_not_the_pools() -> None:
    machine = machine_of(TRANSCRIPTS / "010_xp_vm_commit_near_limit.txt")

    assert verdict(machine, "nonpaged-pool-depletion") is Verdict.RULED_OUT
    assert verdict(machine, "paged-pool-depletion") is Verdict.RULED_OUT
    assert f"committed 179.2 MB ({183_528 * KB:,} bytes)" in says(one(machine, "commit-exhaustion"))


def test_a_counter_that_cannot_be_true() -> None:
    machine = machine_of(TRANSCRIPTS / "053_win7x64_vm_bogus_npp_mdescaped.txt")

    assert machine.pools.nonpaged.used_bytes is None
    assert verdict(machine, "nonpaged-pool-depletion") is Verdict.NOT_ASSESSED
    assert verdict(machine, "paged-pool-depletion") is Verdict.RULED_OUT
    assert f"{29_559_056 * PAGE:,} bytes" in says(one(machine, "false-pool-warning"))
    assert (machine.system.build, machine.system.architecture) == (7601, "x64")
