"""What the user says of a machine fills in what the evidence does not say, and never replaces what it does."""

from pathlib import Path

import pytest

from poolsleuth.model.machine import System
from poolsleuth.pipeline import Assumed, diagnose
from poolsleuth.windows.builds import Era, WindowsVersionMatch, parse_os_name

EXAMPLES = Path(__file__).parents[1] / "examples"
GB = 1 << 30


def windows(name: str) -> WindowsVersionMatch:
    match = parse_os_name(name)
    assert match is not None
    return match


@pytest.mark.parametrize(
    ("name", "architecture", "era"),
    [("2003", "x86", Era.XP_2003), ("7", "x64", Era.VISTA_7), ("2019", "x64", Era.W81_AND_LATER)],
)
def test_what_is_not_known_is_filled_in_and_said_to_be(name: str, architecture: str, era: Era) -> None:
    system = Assumed(windows(name), 4 * GB).completed(System())

    assert (system.architecture, system.era, system.physical_bytes) == (architecture, int(era), 4 * GB)
    assert system.os == windows(name).version.name
    assert len(system.basis) == 3
    assert all("you said so" in reason.says or "as usual for it" in reason.says for reason in system.basis)


def test_what_the_evidence_says_stands() -> None:
    known = System(os="Windows 10", era=int(Era.W81_AND_LATER), architecture="arm64", physical_bytes=8 * GB)

    assert Assumed(windows("2003"), 4 * GB).completed(known) == known


def test_nothing_assumed_changes_nothing() -> None:
    assert Assumed().completed(System()) == System()


def test_the_windows_gives_a_limit_and_the_limit_a_date() -> None:
    without = diagnose(EXAMPLES / "leak-poolmon.log").machines[0]
    with_it = diagnose(EXAMPLES / "leak-poolmon.log", assumed=Assumed(windows("2003"))).machines[0]

    assert without.pools.paged.limit_bytes is None
    # Server 2003 x86: "up to 650 MB" of paged pool
    assert with_it.pools.paged.limit_bytes == 650 << 20
    trends = [f.trend for f in with_it.findings if f.subject.tag == "ExLk" and f.trend is not None]
    assert [trend.limit_reached_at is not None for trend in trends] == [True]
