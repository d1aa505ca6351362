"""Input that cannot be used: one clear sentence, the right exit status, never a traceback, within time and memory."""

import io
import json
import os
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from poolsleuth.pipeline import diagnose

GOOD = Path(__file__).parent / "data" / "logs" / "untagged.txt"
TIMEOUT = 120  # seconds: a guard against hanging, not a measurement
MAX_RSS = 300 << 20


class Result:
    """What one run of the command line left."""

    def __init__(self, run: "subprocess.CompletedProcess[bytes]") -> None:
        self.status = run.returncode
        self.errors = run.stderr.decode()
        self.output = run.stdout.decode()
        assert "Traceback" not in self.errors + self.output
        assert "internal error" not in self.errors + self.output

    @property
    def document(self) -> dict[str, Any]:
        document: dict[str, Any] = json.loads(self.output)
        return document

    @property
    def problems(self) -> list[str]:
        return [problem["says"] for problem in self.document["problems"]]


def run(*paths: Path | str) -> Result:
    command = [sys.executable, "-m", "poolsleuth", "diagnose", "--json", "-", *map(str, paths)]
    return Result(subprocess.run(command, capture_output=True, timeout=TIMEOUT, check=False, stdin=subprocess.DEVNULL))


def refused(path: Path | str, *words: str) -> Result:
    """Exit status 2, and one sentence that names the file and the matter, on standard error and in the document."""
    result = run(path)
    assert result.status == 2
    assert result.document["machines"] == []
    (problem,) = result.problems
    (line,) = result.errors.strip().splitlines()
    for text in (problem, line):
        assert str(path) in text
        for word in words:
            assert word in text
    return result


def used(path: Path | str, *, machines: int = 1) -> Result:
    result = run(path)
    assert result.status == 1
    assert len(result.document["machines"]) == machines
    return result


def test_missing(tmp_path: Path) -> None:
    refused(tmp_path / "no.log", "no such file")


def test_empty(tmp_path: Path) -> None:
    path = tmp_path / "empty.log"
    path.touch()
    refused(path, "empty")


def test_unreadable(tmp_path: Path) -> None:
    if os.geteuid() == 0:
        pytest.skip("root reads every file")
    path = tmp_path / "secret.log"
    path.write_bytes(GOOD.read_bytes())
    path.chmod(0)
    refused(path, "cannot be read", "Permission denied")


def test_directory(tmp_path: Path) -> None:
    refused(tmp_path, "directory")


def test_fifo(tmp_path: Path) -> None:
    path = tmp_path / "pipe"
    os.mkfifo(path)
    refused(path, "not a regular file")


@pytest.mark.parametrize("device", ["/dev/zero", "/dev/null", "/dev/tty"])
def test_device(device: str) -> None:
    if not Path(device).exists():
        pytest.skip(f"{device} is not there")
    refused(device, "not a regular file")


def test_a_name_with_a_nul() -> None:
    (problem,) = diagnose(["a\0b"]).problems
    assert "cannot be read" in problem.says


def test_a_name_too_long() -> None:
    refused("x" * 5000, "cannot be read")


def test_a_link_to_itself(tmp_path: Path) -> None:
    path = tmp_path / "loop.log"
    path.symlink_to(path)
    refused(path, "cannot be read")


@pytest.mark.parametrize("seed", range(3))
def test_binary_rubbish(seed: int, tmp_path: Path) -> None:
    path = tmp_path / "rubbish.bin"
    path.write_bytes(random.Random(seed).randbytes(300_000))
    refused(path, "binary data")


def test_prose(tmp_path: Path) -> None:
    path = tmp_path / "prose.txt"
    path.write_text("A pool is a place to swim in.\n" * 50)
    refused(path, "no output of a debugger command")


@pytest.mark.parametrize(
    ("content", "word"),
    [
        (b"MDMP" + bytes(200), "user-mode minidump"),
        (b"PAGEDU64" + bytes(8192), "crash dump"),
        (b"\x7fELF" + bytes(200), "ELF"),
        (b"MZ" + bytes(200), "driver or program"),
        (b'"(PDH-CSV 4.0) (GMT)(0)","\\\\A\\Memory\\Pool Paged Bytes"\r\n', "counter log"),
    ],
)
def test_other_kinds_are_named(content: bytes, word: str, tmp_path: Path) -> None:
    path = tmp_path / "input"
    path.write_bytes(content)
    assert word in " ".join(run(path).problems)


# VmHWM belongs to the program that was started; ru_maxrss is handed on from its parent, which may be larger
PEAK_OF_A_RUN = """
import resource, sys
from pathlib import Path
from poolsleuth.pipeline import diagnose
r = diagnose([sys.argv[1]])
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
status = Path("/proc/self/status")
if status.exists():
    peak = next((int(line.split()[1]) for line in status.open() if line.startswith("VmHWM:")), peak)
print(len(r.machines), len(r.problems), peak)
"""


def measured(path: Path) -> tuple[int, int]:
    """Exit status and peak resident bytes of a run of its own."""
    command = [sys.executable, "-c", PEAK_OF_A_RUN, str(path)]
    done = subprocess.run(command, capture_output=True, timeout=TIMEOUT, check=True)
    machines, problems, peak = map(int, done.stdout.split())
    assert machines or problems
    return machines, peak * 1024


def test_the_peak_is_the_childs_own(tmp_path: Path) -> None:
    path = tmp_path / "empty.log"
    path.touch()
    held = bytearray(MAX_RSS)
    held[::4096] = b"x" * len(held[::4096])
    _, peak = measured(path)
    assert peak < MAX_RSS // 2


@pytest.mark.parametrize(
    "kind",
    [
        "line feeds",
        "returns",
        "one line",
        "one line of digits",
        "one line of !vm",
        "stars",
        "line feeds behind an output",
    ],
)
def test_large_and_senseless(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "large.txt"
    content = {
        "line feeds": b"\n" * (50 << 20),
        "returns": b"\r" * (4 << 20),
        "one line": b"x" * (20 << 20),
        "one line of digits": b"kd> !vm\nPhysical Memory: " + b"7" * (20 << 20),
        "one line of !vm": b"NonPagedPool Usage: 31369 ( 125476 Kb) " * 100_000,
        "line feeds behind an output": GOOD.read_bytes() + b"\n" * (16 << 20),
        "stars": b"*" * 70 + b"\n" + b"* " * (1 << 20),
    }[kind]
    path.write_bytes(content)
    _, peak = measured(path)
    assert peak < MAX_RSS


def test_cut_off_anywhere(tmp_path: Path) -> None:
    """What a cut log says never contradicts the whole one: the same machine, or nothing usable."""
    data = GOOD.read_bytes()
    path = tmp_path / "cut.log"
    whole = {(tag.tag, tag.pool): tag.bytes for tag in diagnose([str(GOOD)]).machines[0].tags}
    for end in range(1, len(data), 97):
        path.write_bytes(data[:end])
        report = diagnose([str(path)])
        assert len(report.machines) <= 1
        assert not [problem for problem in report.problems if "internal error" in problem.says]
        assert report.machines or report.problems
        for machine in report.machines:
            for tag in machine.tags:
                assert whole[tag.tag, tag.pool] == tag.bytes


def test_beginning_cut_off_anywhere(tmp_path: Path) -> None:
    data = GOOD.read_bytes()
    path = tmp_path / "tail.log"
    for start in range(1, len(data), 97):
        path.write_bytes(data[start:])
        report = diagnose([str(path)])
        assert len(report.machines) <= 1
        assert not [problem for problem in report.problems if "internal error" in problem.says]


def test_hostile_tags(tmp_path: Path) -> None:
    """Escape sequences and markup in tags and descriptions reach no terminal and no page as such."""
    path = tmp_path / "hostile.log"
    path.write_bytes(
        b"0: kd> !poolused 2\n   Sorting by  NonPaged Pool Consumed\n\n  Pool Used:\n"
        b"            NonPaged            Paged\n"
        b" Tag    Allocs     Used    Allocs     Used\n"
        b" \x1b[2JEvil 90000 88888888         0        0   <script>alert(1)</script> , Binary: \x1b]0;x\x07evil.sys\n"
        b' "><x  80000 77777777         0        0      \x9b31m\x07\x08[bold red]x[/]\n'
    )
    html, markdown = tmp_path / "out.html", tmp_path / "out.md"
    command = [
        sys.executable,
        "-m",
        "poolsleuth",
        "diagnose",
        "-vv",
        str(path),
        "--html",
        str(html),
        "--markdown",
        str(markdown),
    ]
    result = Result(subprocess.run(command, capture_output=True, timeout=TIMEOUT, check=False))
    assert result.status in {0, 1}
    for text in (result.output, result.errors, html.read_text(), markdown.read_text()):
        assert not {"\x1b", "\x07", "\x08", "\x9b"} & set(text)
    assert "<script>alert" not in html.read_text()


@pytest.mark.parametrize(
    "text",
    [
        '{"schema": "poolsleuth.report/2", "machines": []}',
        '{"schema": "poolsleuth.report/1"}',
        '{"schema": "poolsleuth.report/1", "machines": 7}',
        '{"schema": "poolsleuth.report/1", "tool": {"name": "x", "version": "1"}, "inputs": [], "machines": [{}]}',
        '{"schema": "poolsleuth.report/1", "machines": [',
        '{"schema": "poolsleuth.report/1", "machines": ' + "[" * 200_000,
        '{"schema": "poolsleuth.report/1", "machines": ' + '{"a":' * 100_000 + "1" + "}" * 100_000 + "}",
        '{"schema": "poolsleuth.report/1", "x": NaN}',
        '{"schema": "poolsleuth.report/1", "x": ' + "9" * 10_000 + "}",
        '{"schema": "poolsleuth.report/1", "x": "\\ud800"}',
    ],
    ids=lambda text: text[:60],
)
def test_damaged_report(text: str, tmp_path: Path) -> None:
    path = tmp_path / "report.json"
    path.write_text(text)
    refused(path)


def test_report_cut_off_anywhere(tmp_path: Path) -> None:
    whole = run(GOOD).output.encode()
    path = tmp_path / "report.json"
    for end in range(1, len(whole) - 2, 997):
        path.write_bytes(whole[:end])
        report = diagnose([str(path)])
        assert report.machines == ()
        assert len(report.problems) == 1
        assert "internal error" not in report.problems[0].says


def test_a_good_file_beside_bad_ones(tmp_path: Path) -> None:
    empty = tmp_path / "empty.log"
    empty.touch()
    rubbish = tmp_path / "rubbish.bin"
    rubbish.write_bytes(random.Random(0).randbytes(100_000))
    result = run(empty, rubbish, GOOD, tmp_path / "missing.log", tmp_path)
    assert result.status == 1
    assert len(result.document["machines"]) == 1
    assert len(result.problems) == 4
    assert [problem["input"] for problem in result.document["problems"]] == [0, 1, 3, 4]
    assert len(result.errors.strip().splitlines()) == 4
    assert result.document["machines"][0]["inputs"] == [2]


def test_exit_status_0_for_a_healthy_machine(tmp_path: Path) -> None:
    path = tmp_path / "healthy.log"
    rows = {"Physical Memory": 917368, "NonPagedPool Usage": 2546, "NonPagedPool Max": 65215, "PagedPool Usage": 3307}
    text = "0: kd> !vm\n*** Virtual Memory Usage ***\n"
    text += "".join(f"  {name}: {pages} ( {pages * 4} Kb)\n" for name, pages in rows.items())
    path.write_text(text)
    assert run(path).status == 0


def test_wrong_usage_is_2() -> None:
    command = [sys.executable, "-m", "poolsleuth", "diagnose"]
    done = subprocess.run(command, capture_output=True, timeout=TIMEOUT, check=False)
    assert done.returncode == 2
    assert b"Traceback" not in done.stderr


def test_the_same_file_twice_is_read_once() -> None:
    assert len(run(GOOD, GOOD).document["inputs"]) == 1


def test_line_numbers_survive_a_mark_and_packing(tmp_path: Path) -> None:
    """A place is counted in the text the user sees."""
    places = []
    for name, data in (
        ("a.log", GOOD.read_bytes()),
        ("b.log", b"\xef\xbb\xbf" + GOOD.read_bytes().replace(b"\n", b"\r\n")),
    ):
        path = tmp_path / name
        path.write_bytes(data)
        machine = diagnose([str(path)]).machines[0]
        places.append([reason.at for finding in machine.findings for reason in finding.because])
    assert places[0] == places[1]
    assert any(place for place in places[0])
    assert io.BytesIO(GOOD.read_bytes()).readlines()[2] == b"1: kd> !vm\n"
