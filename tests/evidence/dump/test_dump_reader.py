"""Crash dumps as evidence: what a header and a triage dump tell, and what they honestly do not."""

import io
import struct
from datetime import UTC, datetime
from pathlib import Path

import pytest

from poolsleuth.evidence.dump.reader import read_dump
from poolsleuth.model.errors import InputError
from poolsleuth.model.facts import Fact, Problem, Where
from poolsleuth.model.modules import ModuleList, UnloadedModules
from poolsleuth.model.system import BugCheck, TargetInfo

DUMPS = Path(__file__).parents[4] / "shared" / "data" / "dumps"


def read(data: bytes) -> tuple[list[Fact], list[Problem]]:
    problems: list[Problem] = []
    return read_dump(io.BytesIO(data), 7, problems), problems


def real(name: str) -> tuple[list[Fact], list[Problem]]:
    path = DUMPS / name
    if not path.is_file():
        pytest.skip(f"{name} is not there")
    problems: list[Problem] = []
    with path.open("rb") as file:
        return read_dump(file, 0, problems), problems


def wide_header(kind: int, *, bugcheck: int = 0xD1, build: int = 9600) -> bytearray:
    data = bytearray(b"PAGE" * 2048)
    data[4:8] = b"DU64"
    struct.pack_into("<II", data, 0x8, 0xF, build)
    struct.pack_into("<III", data, 0x30, 0x8664, 2, bugcheck)
    struct.pack_into("<I", data, 0xF98, kind)
    struct.pack_into("<I", data, 0x1040, 3)
    return data


def test_real_triage_dump() -> None:
    facts, problems = real("triage_x64.dmp")
    target, check, modules, unloaded = facts
    captured = datetime(2021, 2, 21, 1, 38, 22, 987765, tzinfo=UTC)
    assert isinstance(target, TargetInfo)
    assert (target.os, target.build, target.architecture) == ("Windows 10 2004", 19041, "x64")
    assert (target.processors, target.server, target.pae) == (16, False, None)
    assert (target.captured_at, target.at) == (captured, captured)
    assert target.uptime_seconds == pytest.approx(3.7470697)
    assert target.kernel_base == 0xFFFFF8047BA00000
    assert target.build_lab == "19041.1.amd64fre.vb_release.191206-1406"
    assert isinstance(check, BugCheck)
    assert (check.code, check.name) == (0x1000007E, "SYSTEM_THREAD_EXCEPTION_NOT_HANDLED_M")
    assert [hex(value) for value in check.parameters] == [
        "0xffffffffc0000005",
        "0xfffff8048b58334c",
        "0xffff850429891ee8",
        "0xffff850429891720",
    ]
    assert isinstance(modules, ModuleList)
    assert (len(modules.modules), modules.complete) == (151, True)
    kernel = modules.modules[0]
    assert (kernel.name, kernel.image, kernel.path) == ("nt", "ntoskrnl.exe", r"\SystemRoot\system32\ntoskrnl.exe")
    assert (kernel.start, kernel.end) == (0xFFFFF8047BA00000, 0xFFFFF8047CA46000)
    assert kernel.timestamp == "0D8333E6 (a hash of the build, not a time)"
    stamps = {module.name: module.timestamp for module in modules.modules}
    assert stamps["VBoxNetAdp6"] == "5F08D788 (2020-07-10 21:03:04 UTC, or a hash of the build)"
    # The second parameter of 0x7E is the address that failed: a driver of the list holds it
    assert [m.name for m in modules.modules if m.start and m.end and m.start <= check.parameters[1] < m.end] == [
        "amdppm"
    ]
    assert isinstance(unloaded, UnloadedModules)
    assert [each.name for each in unloaded.modules] == ["dam.sys", "WdBoot.sys", "hwpolicy.sys", "mcupdate.dll"]
    (problem,) = problems
    assert "a triage dump carries no pool usage" in problem.says
    assert "memory figures is empty" in problem.says


def test_real_dump_of_an_imaging_tool() -> None:
    facts, problems = real("full_x64_header_16k.bin")
    (target,) = facts
    assert isinstance(target, TargetInfo)
    assert (target.os, target.build, target.processors) == ("Windows 10 22H2", 19045, 4)
    assert target.captured_at == datetime(2024, 10, 12, 12, 57, 59, 711078, tzinfo=UTC)
    truncated, tool, unread = problems
    assert truncated.says == "the dump is truncated: 523,908 of 523,910 pages of memory are missing"
    assert truncated.where == Where(0, offset=0x4000)
    assert '"MATT"' in tool.says
    assert "its header was read (complete dump, 2 pages of memory)" in unread.says
    assert "give the text of `!vm`, `!poolused 2`" in unread.says


@pytest.mark.parametrize("bugcheck", [0, 0x45474150])
def test_no_bug_check_where_none_was_filled_in(bugcheck: int) -> None:
    facts, problems = read(bytes(wide_header(3, bugcheck=bugcheck)))
    (target,) = facts
    assert isinstance(target, TargetInfo)
    assert (target.os, target.server) == ("Windows Server 2012 R2", True)
    assert target.where == Where(7, offset=0)
    (problem,) = problems
    assert "header without memory" in problem.says


def test_a_bug_check_that_is_not_in_the_table_is_still_one() -> None:
    facts, _ = read(bytes(wide_header(3, bugcheck=0x00DEAD01)))
    (check,) = [fact for fact in facts if isinstance(fact, BugCheck)]
    assert (check.code, check.name, check.parameters) == (0x00DEAD01, None, ())


def test_x86_says_whether_it_runs_with_pae() -> None:
    data = bytearray(b"PAGE" * 1024)
    data[4:8] = b"DUMP"
    struct.pack_into("<II", data, 0x8, 0xF, 3790)
    struct.pack_into("<III", data, 0x20, 0x14C, 2, 0xD1)
    struct.pack_into("<B", data, 0x5C, 1)
    struct.pack_into("<I", data, 0xF88, 1)
    struct.pack_into("<IIII", data, 0x64, 1, 1, 1, 1)
    facts, problems = read(bytes(data) + bytes(4096))
    target = facts[0]
    assert isinstance(target, TargetInfo)
    assert (target.os, target.architecture, target.pae) == ("Windows Server 2003", "x86", True)
    assert (target.captured_at, target.uptime_seconds) == (None, None)
    assert [problem.says[:46] for problem in problems] == ["only its header was read (complete dump, 1 pag"]


def test_what_is_no_dump_is_refused() -> None:
    with pytest.raises(InputError, match="crash dump"):
        read(b"PAGEDU64" + bytes(8192))


def test_a_file_is_not_read_further_than_needed(tmp_path: Path) -> None:
    # 64 GB that are not there: the file is sparse, and the test would not end if they were read
    path = tmp_path / "large.dmp"
    data = wide_header(1)
    struct.pack_into("<IIQQQ", data, 0x88, 1, 0, 1 << 24, 1, 1 << 24)
    with path.open("w+b") as file:
        file.write(data)
        try:
            file.truncate(0x2000 + (1 << 36))
        except OSError:
            pytest.skip("the file system takes no sparse file of 64 GB")
        problems: list[Problem] = []
        facts = read_dump(file, 0, problems)
    assert isinstance(facts[0], TargetInfo)
    assert "16,777,216 pages" in problems[-1].says
