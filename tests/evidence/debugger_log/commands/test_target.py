"""Debugger banners and ``vertarget``."""

import dataclasses
import io
import re
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from poolsleuth.evidence.debugger_log.reader import LogReader
from poolsleuth.model.facts import Where
from poolsleuth.model.system import TargetInfo

SHARED = Path(__file__).resolve().parents[4].parent / "shared"


def read(text: str) -> list[Any]:
    reader = LogReader(0)
    facts = list(reader.read(io.BytesIO(text.encode())))
    assert not [problem for problem in reader.problems if "could not be read" in problem.says]
    return facts


def real(name: str) -> str:
    path = SHARED / name
    if not path.exists():
        pytest.skip(f"{name} is not here")
    return path.read_text(encoding="utf-8", errors="replace")


def only(text: str, kind: type[Any]) -> list[Any]:
    return [fact for fact in read(text) if isinstance(fact, kind)]


def plain(value: Any) -> Any:
    """A fact without its place and prompt: damage moves lines and loses prompts."""
    if isinstance(value, Where):
        return None
    if dataclasses.is_dataclass(value):
        names = [f.name for f in dataclasses.fields(value) if f.name not in {"live", "command"}]
        return {name: plain(getattr(value, name)) for name in names}
    if isinstance(value, tuple | list):
        return [plain(item) for item in value]
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    return value


def wrapped(text: str, width: int = 64) -> str:
    return re.sub(rf"(?m)^(?=.{{{width + 1}}})(.{{20,{width}}}) +(?=\S)", r"\1\n", text)


DAMAGE: dict[str, Callable[[str], str]] = {
    "double spaced": lambda text: text.replace("\n", "\n\n"),
    "collapsed": lambda text: re.sub(r"(?m) +", " ", re.sub(r"(?m)^ +", "", text)),
    "quoted": lambda text: re.sub(r"(?m)^", "> ", text),
    "tabbed": lambda text: re.sub(r"(?m)^", "\t", text),
    "hard blanks": lambda text: text.replace("  ", "\u00a0 "),
    "carriage returns": lambda text: text.replace("\n", "\r\n"),
    "no prompt": lambda text: re.sub(r"(?m)^[^\n]*kd>[^\n]*$", "", text),
}


def broken(sample: str, cut: int, at: int, junk: str) -> str:
    text = sample[: cut % (len(sample) + 1)]
    place = at % (len(text) + 1)
    return text[:place] + junk + text[place + len(junk) :]


DUMP = r"""Microsoft (R) Windows Debugger Version 10.0.19041.1 AMD64
Copyright (c) Microsoft Corporation. All rights reserved.


Loading Dump File [C:\Dumps\MEMORY.DMP]
Kernel Complete Dump File: Full address space is available

Symbol search path is: srv*
Windows Server 2003 Kernel Version 3790 (Service Pack 2) MP (4 procs) Free x86 compatible
Product: Server, suite: TerminalServer SingleUserTS
Built by: 3790.srv03_sp2_gdr.090319-1204
Machine Name: "SERVER1"
Kernel base = 0x80800000 PsLoadedModuleList = 0x808af9c8
Debug session time: Tue Mar 31 23:10:05.500 2009 (GMT-7)
System Uptime: 12 days 3:04:05.625
WARNING: Process directory table base BFF0A3C0 doesn't match CR3 007B8000
"""

WINDOWS_10 = """0: kd> vertarget
Windows 10 Kernel Version 19041 MP (8 procs) Free x64
Product: WinNt, suite: TerminalServer SingleUserTS Personal
Edition build lab: 19041.1.amd64fre.vb_release.191206-1406
Machine Name:
Kernel base = 0xfffff800`01a1f000 PsLoadedModuleList = 0xfffff800`01c59c90
Debug session time: Thu Jan 17 10:58:58.567 2019 (UTC + 9:00)
System Uptime: 0 days 0:32:26.132
"""

LIVE = """Connected to Windows 8 9600 x86 compatible target at (Mon Feb 17 09:15:00.000 2014 (UTC - 8:00)), ptr64 FALSE
Kernel Debugger connection established.
Symbol search path is: srv*
Windows 8 Kernel Version 9600 UP Free x86 compatible
Built by: 9600.16384.x86fre.winblue_rtm.130821-1623
Machine Name:
Kernel base = 0x81a1c000 PsLoadedModuleList = 0x81c1b218
"""


def test_a_dump_banner() -> None:
    (target,) = read(DUMP)
    assert (target.os, target.build, target.service_pack) == ("Windows Server 2003", 3790, "Service Pack 2")
    assert (target.architecture, target.processors, target.server) == ("x86", 4, True)
    assert target.build_lab == "3790.srv03_sp2_gdr.090319-1204"
    assert target.computer == "SERVER1"
    assert (target.kernel_base, target.address_bits) == (0x80800000, 32)
    # 23:10:05 on 31 March, seven hours behind UTC: the next day
    assert target.captured_at == datetime(2009, 4, 1, 6, 10, 5, 500_000, tzinfo=UTC)
    assert target.uptime_seconds == 12 * 86_400 + 3 * 3600 + 4 * 60 + 5.625
    assert target.dump_file == "C:\\Dumps\\MEMORY.DMP"
    assert target.live_target is False
    assert target.pae is None
    assert target.where.line == 5


def test_vertarget() -> None:
    (target,) = read(WINDOWS_10)
    assert (target.os, target.build, target.service_pack) == ("Windows 10", 19041, None)
    assert (target.architecture, target.processors, target.server) == ("x64", 8, False)
    assert target.build_lab == "19041.1.amd64fre.vb_release.191206-1406"
    assert target.computer is None  # an empty name is not known
    assert target.address_bits == 64
    assert target.captured_at == datetime(2019, 1, 17, 1, 58, 58, 567_000, tzinfo=UTC)
    assert target.live_target is None  # kd> can be a dump or another machine


def test_a_live_target() -> None:
    (target,) = read(LIVE)
    assert (target.os, target.build, target.processors) == ("Windows 8", 9600, 1)
    assert target.live_target is True
    assert target.computer is None
    assert target.captured_at == datetime(2014, 2, 17, 17, 15, tzinfo=UTC)


def test_a_local_debugger_is_live() -> None:
    (target,) = read(WINDOWS_10.replace("0: kd>", "lkd>"))
    assert target.live_target is True


def test_local_time_without_its_offset_is_not_known() -> None:
    (target,) = read(WINDOWS_10.replace(" (UTC + 9:00)", ""))
    assert target.captured_at is None
    assert target.uptime_seconds == 1946.132


@pytest.mark.parametrize(
    ("printed", "hour"),
    [("(UTC)", 10), ("(GMT+0)", 10), ("(UTC - 0:30)", 11), ("(UTC + 5:30)", 5), ("(UTC + 9:", None)],
)
def test_offsets(printed: str, hour: int | None) -> None:
    (target,) = read(WINDOWS_10.replace("(UTC + 9:00)", printed))
    assert (target.captured_at.hour if target.captured_at else None) == hour


def test_an_impossible_date_is_not_known() -> None:
    (target,) = read(WINDOWS_10.replace("Jan 17", "Feb 31"))
    assert target.captured_at is None


def test_a_name_on_the_next_line() -> None:
    (target,) = read(WINDOWS_10.replace("Machine Name:\n", "Machine Name:\nHOST-7\n"))
    assert target.computer == "HOST-7"


def test_a_kernel_with_pae() -> None:
    warning = "*** ERROR: Symbol file could not be found.  Defaulted to export symbols for ntkrpamp.exe -\n"
    (target,) = read(DUMP.replace("Windows Server", warning + "Windows Server"))
    assert target.pae is True


def test_two_dumps_are_two_targets() -> None:
    other = DUMP.replace("3790 (Service Pack 2)", "2600 (Service Pack 3)").replace("Server 2003", "XP")
    first, second = read(DUMP + "kd> !vm\n" + other)
    assert (first.build, second.build) == (3790, 2600)
    assert (first.os, second.os) == ("Windows Server 2003", "Windows XP")


def test_two_banners_without_prompts_are_two_targets() -> None:
    body = WINDOWS_10[WINDOWS_10.index("Windows") :]
    first, second = read(body + body.replace("19041", "22621"))
    assert (first.build, second.build) == (19041, 22621)


def test_a_user_mode_dump_is_no_kernel_target() -> None:
    text = "Loading Dump File [C:\\a.dmp]\nUser Mini Dump File with Full Memory: Only application data is available\n"
    text += "Windows 7 Version 7601 MP (4 procs) Free x64\nDebug session time: Thu Jan 17 10:58:58 2019\n"
    assert read(text) == []


def test_real_vertarget() -> None:
    (target,) = only(real("data/transcripts/053_win7x64_vm_bogus_npp_mdescaped.txt"), TargetInfo)
    # Windows 7 Kernel Version 7601 (Service Pack 1) MP (4 procs) Free x64
    assert (target.os, target.build, target.service_pack) == ("Windows 7", 7601, "Service Pack 1")
    assert (target.architecture, target.processors, target.server) == ("x64", 4, False)
    assert target.build_lab == "7601.24231.amd64fre.win7sp1_ldr.180810-0600"  # win7sp1\_ldr in the paste
    assert target.computer == "VMOA2024974-01"  # in curly quotes
    assert target.kernel_base == 0xFFFFF80001A1F000  # Kernel base = 0xfffff800`01a1f000
    # Debug session time: Thu Jan 17 10:58:58.567 2019 (UTC + 9:00)
    assert target.captured_at == datetime(2019, 1, 17, 1, 58, 58, 567_000, tzinfo=UTC)
    assert target.uptime_seconds == 261_146.132  # System Uptime: 3 days 0:32:26.132


def test_real_live_target() -> None:
    (target,) = only(real("data/transcripts/032_win81x86_c4_62_verifier3.txt"), TargetInfo)
    # Connected to Windows 8 9600 x86 compatible target
    assert (target.os, target.build, target.architecture, target.live_target) == ("Windows 8", 9600, "x86", True)


@pytest.mark.parametrize("damage", DAMAGE)
@pytest.mark.parametrize("sample", [DUMP, WINDOWS_10, LIVE])
def test_damage_of_pasted_text_changes_nothing(damage: str, sample: str) -> None:
    assert plain(read(DAMAGE[damage](sample))) == plain(read(sample))
    assert read(sample)


@pytest.mark.parametrize("sample", [DUMP, WINDOWS_10])
def test_hard_wrapped_lines_change_nothing(sample: str) -> None:
    assert plain(read(wrapped(sample))) == plain(read(sample))


@given(cut=st.integers(0, 20_000), at=st.integers(0, 20_000), junk=st.text(max_size=12))
@settings(max_examples=80, deadline=None)
def test_any_cut_or_changed_sample_gives_facts_or_nothing(cut: int, at: int, junk: str) -> None:
    for sample in (DUMP, WINDOWS_10, LIVE):
        for fact in read(broken(sample, cut, at, junk)):
            assert fact.where.line is not None
