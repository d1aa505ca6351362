"""Driver files given to ``diagnose`` beside other evidence: their code is searched for the tags that are accused."""

from dataclasses import replace
from functools import cache
from pathlib import Path

from poolsleuth import diagnose
from poolsleuth.lab.catalogue import windows_named
from poolsleuth.lab.containers.kinds import DumpKind
from poolsleuth.lab.machine import Machine
from poolsleuth.lab.simulate import simulate
from poolsleuth.lab.stories import make_machine, small_size
from poolsleuth.model.report import InputKind, Report, ReportFinding

PAGE = 0x1000
LOG = """Windows Server 2003 Kernel Version 3790 (Service Pack 2) MP (4 procs) Free x86 compatible
0: kd> !vm

*** Virtual Memory Usage ***
\tPhysical Memory:      523123 (   2092492 Kb)
\tAvailable Pages:      205437 (    821748 Kb)
\tNonPagedPool Usage:    31463 (    125852 Kb)
\tNonPagedPool Max:      32647 (    130588 Kb)
0: kd> !poolused 2
   Sorting by  NonPaged Pool Consumed

  Pool Used:
            NonPaged            Paged
 Tag    Allocs     Used    Allocs     Used
 Leak    96000 98304000         0        0\tUNKNOWN pooltag 'Leak', please update pooltag.txt
 File     9012  1441920         0        0\tFile objects
TOTAL   105012 99745920         0        0
"""


@cache
def machine() -> Machine:
    return make_machine(windows_named("3790-x86"), "leak", size=small_size())


def driver(name: str, path: Path) -> Path:
    """A driver of the lab as a file: sections lie in its images as they do in memory."""
    simulated = simulate(machine())
    (module,) = [each for each in simulated.truth.modules if each.name == name]
    pages = []
    for at in range(module.base or 0, (module.base or 0) + module.size, PAGE):
        place = simulated.system.translate(at)
        pages.append(bytes(PAGE) if place is None else bytes(simulated.physical.page(place // PAGE)))
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(b"".join(pages))
    return path


def leak(report: Report) -> ReportFinding:
    (only,) = report.machines
    (found,) = [f for f in only.findings if f.pattern == "pool-leak" and f.subject.tag == "Leak" and f.holds]
    return found


def test_a_log_and_a_folder_of_drivers(tmp_path: Path) -> None:
    (tmp_path / "kd.log").write_text(LOG)
    for name in ("leaky.sys", "vendorav.sys", "tcpip.sys"):
        driver(name, tmp_path / "drivers" / name)
    (tmp_path / "drivers" / "readme.txt").write_text("no driver")
    report = diagnose([tmp_path / "kd.log", tmp_path / "drivers"])

    found = leak(report)
    assert found.subject.driver == "leaky.sys"
    # Which other drivers are loaded is not known: no certainty
    assert "(medium confidence that it is the only one)" in found.headline
    (said,) = [reason for reason in found.because if "leaky.sys (its file) allocates with tag Leak" in reason.says]
    assert said.input == 1
    assert [one.kind for one in report.inputs] == [InputKind.DEBUGGER_LOG, InputKind.DRIVER]
    assert [problem.says for problem in report.problems] == []


def test_a_dump_and_the_file_of_a_loaded_driver(tmp_path: Path) -> None:
    simulate(machine()).write(tmp_path / "MEMORY.DMP", DumpKind.BITMAP_KERNEL)
    report = diagnose([tmp_path / "MEMORY.DMP", driver("leaky.sys", tmp_path / "drivers" / "leaky.sys")])
    found = leak(report)
    assert found.subject.driver == "leaky.sys"
    assert "it is leaky.sys that allocates with this tag" in found.headline
    assert len([reason for reason in found.because if "allocates with tag Leak" in reason.says]) == 1


def test_packed_code_in_the_dump_s_file_is_no_matter(tmp_path: Path) -> None:
    """The file says nothing (it may be packed): what lies in memory does."""
    simulate(machine()).write(tmp_path / "MEMORY.DMP", DumpKind.BITMAP_KERNEL)
    path = driver("leaky.sys", tmp_path / "drivers" / "leaky.sys")
    path.write_bytes(path.read_bytes().replace(b"Leak", b"\x91\x02\xf3\x84"))
    assert leak(diagnose([tmp_path / "MEMORY.DMP", path])).subject.driver == "leaky.sys"


def test_drivers_alone_are_no_machine(tmp_path: Path) -> None:
    report = diagnose([driver("leaky.sys", tmp_path / "drivers" / "leaky.sys")])
    assert report.machines == ()
    assert any("`poolsleuth whois TAG`" in problem.says for problem in report.problems)


def test_a_folder_without_drivers_is_told(tmp_path: Path) -> None:
    (tmp_path / "kd.log").write_text(LOG)
    (tmp_path / "empty").mkdir()
    report = diagnose([tmp_path / "kd.log", tmp_path / "empty"])
    assert [problem.says for problem in report.problems] == [f"{tmp_path / 'empty'}: no driver is in it"]
    assert leak(report).subject.driver is None


def test_a_damaged_driver_is_one_problem(tmp_path: Path) -> None:
    (tmp_path / "kd.log").write_text(LOG)
    path = driver("leaky.sys", tmp_path / "drivers" / "leaky.sys")
    path.write_bytes(path.read_bytes()[:0x100])
    report = diagnose([tmp_path / "kd.log", path])
    assert len(report.problems) >= 1
    assert leak(report).subject.driver is None


def test_an_innocent_s_file_accuses_nobody(tmp_path: Path) -> None:
    nobody = replace(
        machine(), modules=tuple(replace(m, tags=()) if m.name == "leaky.sys" else m for m in machine().modules)
    )
    simulate(nobody).write(tmp_path / "MEMORY.DMP", DumpKind.BITMAP_KERNEL)
    report = diagnose([tmp_path / "MEMORY.DMP", driver("vendorav.sys", tmp_path / "drivers" / "vendorav.sys")])
    assert leak(report).subject.driver is None


def test_a_folder_of_evidence_is_told_to_be_given_file_by_file(tmp_path: Path) -> None:
    (tmp_path / "kd.log").write_text(LOG)
    report = diagnose(tmp_path)
    assert report.machines == ()
    assert [problem.says.partition(": give")[0] for problem in report.problems] == [
        f"{tmp_path}: a directory is searched for drivers only"
    ]
