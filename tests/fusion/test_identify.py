from array import array
from collections.abc import Callable, Sequence
from datetime import UTC, datetime

import pytest

from poolsleuth.fusion.clues import Clues, clues_of
from poolsleuth.fusion.identify import identify
from poolsleuth.model.facts import Fact, Where
from poolsleuth.model.machine import System
from poolsleuth.model.memory import MemoryCounters, VmFamily
from poolsleuth.model.series import FILE_TIME, TagHistory
from poolsleuth.model.system import BugCheck, LockSummary, TargetInfo
from poolsleuth.model.tags import TagTable
from poolsleuth.windows.builds import Era

Vm = Callable[..., MemoryCounters]
Target = Callable[..., TargetInfo]

PAGE, MB, GB, TB = 4096, 1 << 20, 1 << 30, 1 << 40


def system_of(*facts: Fact) -> System:
    clues = Clues()
    for fact in facts:
        clues = clues.merged(clues_of(fact))
    return identify(facts, clues)


def basis(system: System) -> str:
    return " | ".join(reason.says for reason in system.basis)


def test_nothing_known_nothing_claimed() -> None:
    assert identify((), Clues()) == System()


def test_a_table_of_tags_is_no_windows(tags: Callable[..., TagTable]) -> None:
    system = system_of(tags("Ddk", "MmCm", "File"))

    assert (system.os, system.era, system.architecture) == (None, None, None)


def test_tags_of_a_later_windows_are_named_as_an_inference(tags: Callable[..., TagTable]) -> None:
    system = system_of(tags("EtwB", "ViMm"))

    assert (system.os, system.era, system.architecture) == ("Windows Vista or later", None, None)
    assert "inferred" in basis(system)


def test_the_3gb_server_of_the_article(vm: Vm) -> None:
    system = system_of(vm(family=VmFamily.XP_2003, physical=851420 * PAGE, nonpaged_max=31986 * PAGE))

    assert (system.os, system.architecture, system.three_gb) == ("Windows XP or Server 2003", "x86", True)
    assert system.pae is None
    assert "/3GB" in basis(system)
    assert "inferred" in basis(system)


def test_without_3gb(vm: Vm) -> None:
    system = system_of(vm(family=VmFamily.XP_2003, physical=851775 * PAGE, nonpaged_max=64640 * PAGE))

    assert system.three_gb is False


@pytest.mark.parametrize(
    ("physical", "paged_max", "name"),
    [
        (2 * GB, 300 * MB, "Windows XP or Server 2003"),
        (2 * GB, 524 * MB, "Windows Server 2003"),
        (16 * GB, 300 * MB, "Windows Server 2003"),
    ],
)
def test_xp_and_server_2003_are_told_apart_only_by_what_xp_cannot(
    vm: Vm, physical: int, paged_max: int, name: str
) -> None:
    counters = vm(family=VmFamily.XP_2003, physical=physical, nonpaged_max=250 * MB, paged_max=paged_max)

    assert system_of(counters).os == name


def test_more_than_4_gb_of_a_32_bit_kernel_is_pae(vm: Vm) -> None:
    system = system_of(vm(family=VmFamily.XP_2003, physical=16 * GB, nonpaged_max=250 * MB))

    assert system.pae is True
    assert "PAE" in basis(system)


def test_pae_is_a_matter_of_x86(target: Target) -> None:
    assert system_of(target(architecture="x64", pae=True)).pae is None
    assert system_of(target(architecture="x86", pae=False)).pae is False


def test_a_small_old_machine_keeps_its_width_unknown(vm: Vm) -> None:
    system = system_of(vm(family=VmFamily.XP_2003, physical=65072 << 10, nonpaged_max=25008 << 10))

    assert system.architecture is None
    assert system.three_gb is None


def test_the_width_of_addresses(vm: Vm) -> None:
    narrow = system_of(LockSummary(where=Where(0, 3), total=1, held=0, address_bits=32))
    wide = system_of(LockSummary(where=Where(0, 3), total=1, held=0, address_bits=64))

    assert (narrow.architecture, wide.architecture) == ("x86", "x64")
    assert "ARM64 would look the same" in basis(wide)


def test_a_maximum_that_needs_64_bits(vm: Vm) -> None:
    system = system_of(vm(family=VmFamily.W8_LATER, physical=16 * GB, nonpaged_max=16 * TB))

    assert system.architecture == "x64"
    assert system.era == int(Era.W81_AND_LATER)
    assert system.os == "Windows 8.1 or later, or Server 2012 R2 or later"
    assert "ARM64" in basis(system)


def test_the_banner_comes_first(target: Target, vm: Vm) -> None:
    system = system_of(target(architecture="arm64", os="Windows 11", build=22621), vm(nonpaged_max=16 * TB))

    assert system.architecture == "arm64"
    assert system.bits == 64


def test_the_build_outranks_the_banners_name(target: Target) -> None:
    # Debuggers call build 9600 "Windows 8"
    system = system_of(target(os="Windows 8", build=9600, architecture="x86"))

    assert system.os is not None
    assert "8.1" in system.os
    assert system.era == int(Era.W81_AND_LATER)


def test_an_unknown_build_leaves_the_printed_name(target: Target) -> None:
    system = system_of(target(os="Windows Longhorn", build=1))

    assert system.os == "Windows Longhorn"


@pytest.mark.parametrize(
    ("times", "last"),
    [
        ((None, None), None),
        ((datetime(2008, 3, 26, tzinfo=UTC), None), datetime(2008, 3, 26, tzinfo=UTC)),
        ((datetime(2008, 3, 26, tzinfo=UTC), datetime(2008, 3, 20, tzinfo=UTC)), datetime(2008, 3, 26, tzinfo=UTC)),
    ],
)
def test_the_last_capture(target: Target, times: Sequence[datetime | None], last: datetime | None) -> None:
    assert system_of(*[target(captured_at=time) for time in times]).captured_at == last


def test_uptime_and_bug_check(target: Target) -> None:
    check = BugCheck(where=Where(0, 9), code=0xD1)

    system = system_of(target(uptime_seconds=3600.0), target(), check)

    assert (system.uptime_seconds, system.bugcheck) == (3600.0, check)


def test_every_inference_has_its_reason(vm: Vm) -> None:
    system = system_of(vm(family=VmFamily.W2K, physical=2 * GB, nonpaged_max=256 * MB, line=7))

    assert system.os == "Windows 2000"
    assert len(system.basis) >= 2
    assert any(reason.where == Where(0, 7) for reason in system.basis)


@pytest.mark.parametrize(
    ("dated_by", "utc", "told"),
    [
        ("dates in the file", True, True),
        (FILE_TIME, True, False),  # a copy may have changed it
        ("dates in the file", False, False),  # local to an unknown zone
    ],
)
def test_tag_tables_that_say_their_time_in_utc_date_the_machine(dated_by: str, utc: bool, told: bool) -> None:
    at = datetime(2026, 3, 2, 10, tzinfo=UTC)
    times = array("d", [at.timestamp() - 3600, at.timestamp()])
    history = TagHistory(where=Where(0), times=times, columns={}, snapshots=2, utc=utc, dated_by=dated_by)

    assert system_of(history).captured_at == (at if told else None)
