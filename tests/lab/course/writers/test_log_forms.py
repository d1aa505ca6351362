"""Lines of published logs and of ours: the same words in the same columns."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from poolsleuth.lab.course.writers.debugger_log import debugger_log
from poolsleuth.lab.simulate import SimulatedMachine

Simulated = Callable[[str, str], SimulatedMachine]
Shared = Callable[[str], Path]


def lines_of(path: Path) -> list[str]:
    return path.read_text("utf-8").replace("\u00a0", " ").splitlines()


def ends(line: str) -> list[int]:
    """Where numbers and words end, from the first letter of the line on."""
    line = line.strip()
    return [match.end() for match in re.finditer(r"\d+|Kb\)", line)]


def test_vm_of_server_2003(simulated: Simulated, shared: Shared) -> None:
    theirs = lines_of(shared("transcripts/001_srv2003_vm_poolused_t5_2_pool.txt"))
    mine = debugger_log(simulated("3790-x86", "healthy").truth).splitlines()

    def figures(lines: list[str]) -> dict[str, str]:
        return {
            match.group(1): line.strip()
            for line in lines
            if (match := re.match(r"\s*([A-Z][\w ]+): +\d+ \( *\d", line))
        }

    real, own = figures(theirs), figures(mine)
    # The commit of sessions is in some logs of that Windows only
    assert [label for label in real if label != "Session Commit"] == list(own)
    for label in own:
        if re.search(r"\d+", label) is None:
            assert ends(real[label]) == ends(own[label]), label
    files = [line.strip() for line in theirs if "Current:" in line or "Minimum:" in line]
    assert [re.sub(r"\d", "9", line.replace(" ", "")) for line in files]
    for line, ours in zip(
        files, (line.strip() for line in mine if "Current:" in line or "Minimum:" in line), strict=False
    ):
        assert [match.end() for match in re.finditer(r"\d+", line)] == [m.end() for m in re.finditer(r"\d+", ours)]


def test_session_table_of_server_2003(simulated: Simulated, shared: Shared) -> None:
    theirs = lines_of(shared("transcripts/004_srv2003_vm_vm4_session_limit.txt"))
    mine = debugger_log(simulated("3790-x86", "session-full").truth).splitlines()
    for word in ("Terminal Server", "Session Paged Pool", "Session View", "Session ID 0", "*** 7837", "*** 212"):
        found = [line.strip() for line in (*theirs, *mine) if line.strip().startswith(word)]
        shapes = {re.sub(r"[0-9a-f]{8}|\d+", "#", line) for line in found}
        assert len(shapes) == 1, (word, shapes)
    for word in ("Paged Pool Usage:", "Commit Usage:"):
        found = [line.strip() for line in (*theirs, *mine) if line.strip().startswith(word)]
        assert {len(line) for line in found} == {len(found[0])}


@pytest.mark.parametrize(
    ("real", "windows"),
    [("001_srv2003_vm_poolused_t5_2_pool.txt", "3790-x86"), ("008_w2k_vm_poolused4_myav_lmv_locks.txt", "2600-x86")],
)
def test_poolused_of_old_windows(simulated: Simulated, shared: Shared, real: str, windows: str) -> None:
    theirs = lines_of(shared(f"transcripts/{real}"))
    mine = debugger_log(simulated(windows, "leak").truth).splitlines()
    heading = " Tag    Allocs     Used    Allocs     Used"
    for lines in (theirs, mine):
        start = next(number for number, line in enumerate(lines) if line.rstrip() == heading)
        assert lines[start - 1].rstrip() == "            NonPaged            Paged"
        assert lines[start - 2].rstrip() == "  Pool Used:"
        assert re.match(r"   Sorting by {1,2}(Non)?Paged Pool Consumed", lines[start - 3] or lines[start - 4])
        row = re.compile(r" (.{4}) ([ \d]{8}) ([ \d]{8}) {2}([ \d]{8}) ([ \d]{8})(\s|$)")
        rows = [match for line in lines[start + 1 : start + 5] if (match := row.match(line))]
        assert len(rows) >= 3


def test_poolused_of_new_windows(simulated: Simulated) -> None:
    """A published row of Windows 11's verbose table: tag, numbers, a tab, the description."""
    mine = debugger_log(simulated("22000-x64", "leak").truth).splitlines()
    start = mine.index(" Sorting by NonPaged Pool Consumed")
    assert mine[start + 1] == ""
    assert mine[start + 2].split() == ["NonPaged", "Paged"]
    assert mine[start + 3].split() == ["Tag", "Allocs", "Used", "Allocs", "Used"]
    assert re.fullmatch(r" .{4}( +\d+){4}\t.+", mine[start + 5])


def test_locks_of_windows_11(simulated: Simulated, shared: Shared) -> None:
    theirs = lines_of(shared("transcripts/042_win11_locks_recursive.txt"))
    mine = debugger_log(simulated("22000-x64", "lock-contention").truth).splitlines()

    def shapes(lines: list[str]) -> set[str]:
        kept = [
            line for line in lines if re.search(r"Resource @|Contention|ExclusiveWaiters|Threads: |total locks", line)
        ]
        return {re.sub(r"-\d\d<", "-#<", re.sub(r"\b[0-9a-f]{16}\b|\b\d+\b(?!<)", "#", line)).rstrip() for line in kept}

    real, own = shapes([re.sub("0x", "", line) for line in theirs]), shapes([re.sub("0x", "", line) for line in mine])
    assert real <= own | {"    NumberOfExclusiveWaiters = #"}


def test_vertarget_of_windows_7(simulated: Simulated, shared: Shared) -> None:
    theirs = [
        line.strip().replace("\\_", "_")
        for line in lines_of(shared("transcripts/053_win7x64_vm_bogus_npp_mdescaped.txt"))
    ]
    mine = debugger_log(simulated("7601-x64", "healthy").truth).splitlines()

    def shape(line: str) -> str:
        return re.sub(r"[0-9a-f]{8}`[0-9a-f]{8}", "@", re.sub(r"[A-Z][a-z]{2} [A-Z][a-z]{2} ", "", line))

    for word in ("Windows 7 Kernel", "Product", "Built by", "Kernel base", "Debug session", "System Uptime"):
        (one,) = (line for line in theirs if line.startswith(word))
        other = next(line for line in mine if line.startswith(word))
        digits = [re.sub(r"[\d]+", "#", shape(line)).replace(" +", " -") for line in (one, other)]
        names = [re.sub(r"WinNt|Server|amd64fre\.\w+\.", "", re.sub(r": #\.#.*", "", line)) for line in digits]
        assert names[0] == names[1]


def test_module_list(simulated: Simulated, shared: Shared) -> None:
    theirs = lines_of(shared("transcripts/019_xp_lm_unloaded.txt"))
    mine = debugger_log(simulated("2600-x86", "healthy").truth).splitlines()
    assert "start    end        module name" in theirs
    assert "start    end        module name" in mine
    # f9f73000 f9f7fd80   sysaudio     (deferred)
    row = re.compile(r"[0-9a-f]{8} [0-9a-f]{8} {3}\w+ +\((deferred|pdb symbols)\) *.*")
    assert all(row.fullmatch(line) for line in theirs if "(deferred)" in line)
    assert all(row.fullmatch(line) for line in mine if "(deferred)" in line)
    unloaded = re.compile(r"[0-9a-f]{8} [0-9a-f]{8} {3}\S+\.(sys|SYS)")
    assert len([line for line in theirs if unloaded.fullmatch(line.rstrip())]) == 3
    assert len([line for line in mine if unloaded.fullmatch(line)]) == 7


def test_search_of_the_article(simulated: Simulated, shared: Shared) -> None:
    """The words of the published search, line for line; its copy has lost its blanks."""
    theirs = [
        " ".join(line.split())
        for line in lines_of(shared("transcripts/002_srv2003_vm_poolused_t2_dps_lmi_flattened.txt"))
        if line.strip()
    ]
    mine = [" ".join(line.split()) for line in debugger_log(simulated("3790-x86", "untagged").truth).splitlines()]

    def shape(lines: list[str], word: str) -> str:
        found = next(line for line in lines if word in line)
        return re.sub(r"^\d: ", "", re.sub(r"\b[0-9a-f]{8}\b", "#", found))

    assert shape(theirs, "kd> x nt!") == shape(mine, "kd> x nt!")
    assert shape(theirs, "!for_each_module") == shape(mine, "!for_each_module")
    assert shape(theirs, "kd> dps") == shape(mine, "kd> dps")
    assert shape(theirs, "kd> !lmi") == shape(mine, "kd> !lmi")
    assert shape(theirs, "Loaded Module Info") == shape(mine, "Loaded Module Info")
    assert shape(theirs, "Base Address:") == shape(mine, "Base Address:")
    at = next(number for number, line in enumerate(theirs) if "!for_each_module" in line)
    own = next(number for number, line in enumerate(mine) if "!for_each_module" in line)
    assert len(theirs[at + 1].split()) == len(mine[own + 1].split()) == 6


def test_the_box_of_the_analysis(simulated: Simulated, shared: Shared) -> None:
    theirs = lines_of(shared("transcripts/039_win11_0x19_analyze_pool_poolval.txt"))
    mine = debugger_log(simulated("22000-x64", "healthy").truth).splitlines()
    start, own = theirs.index("*" * 79), mine.index("*" * 79)
    assert theirs[start : start + 5] == mine[own : own + 5]
    assert theirs[start + 5] == mine[own + 5] == ""
    name = re.compile(r"[A-Z_]+ \([0-9a-f]+\)")
    assert name.fullmatch(theirs[start + 6])
    assert name.fullmatch(mine[own + 6])
    # Arg1: 0000000000000022,
    argument = re.compile(r"Arg[1-4]: [0-9a-f]{16}(, .*)?")
    for lines in (theirs, mine):
        at = lines.index("Arguments:")
        assert all(argument.fullmatch(line) for line in lines[at + 1 : at + 5])
        assert lines[lines.index("Debugging Details:") + 1] == "------------------"


def test_poolfind_of_windows_xp(simulated: Simulated, shared: Shared) -> None:
    theirs = lines_of(shared("transcripts/015_xp_poolfind_sesd.txt"))
    mine = debugger_log(simulated("2600-x86", "fragmentation").truth).splitlines()

    def shape(lines: list[str], word: str) -> str:
        found = next(line for line in lines if word in line)
        return re.sub(r"Tag: .{4}", "Tag: #", re.sub(r"[0-9a-f]{8}", "@", found))

    assert shape(theirs, "Scanning large") == shape(mine, "Scanning large")
    assert shape(theirs, "Searching NonPaged") == shape(mine, "Searching NonPaged")
    # 826fa130 size:   c0 previous size:   40  (Allocated) SeSd
    row = re.compile(r"[0-9a-f]{8} size: [ 0-9a-f]{4} previous size: [ 0-9a-f]{4}  \((Allocated|Free)\) +.{4}")
    assert len([line for line in theirs if row.fullmatch(line)]) > 20
    found = [line for line in mine if row.fullmatch(line)]
    assert found
    places = {line.index("(") for line in theirs if row.fullmatch(line)}
    assert {line.index("(") for line in found} == places
    assert {len(line.rstrip("\n")) for line in found} <= {len(line.rstrip()) for line in theirs if row.fullmatch(line)}
    stop = re.compile(r"\.\.\.terminating - searched pool to [0-9a-f]{8}")
    assert any(stop.fullmatch(line.strip()) for line in theirs)


def test_details_of_a_module(simulated: Simulated) -> None:
    """Labels of ``lmvm`` stand in one column, as its published outputs have them."""
    mine = debugger_log(simulated("7601-x64", "untagged").truth).splitlines()
    start = mine.index(next(line for line in mine if "lmvm oldcard" in line))
    block = mine[start + 1 : mine.index("", start)]
    assert block[0].split() == ["start", "end", "module", "name"]
    assert [line.split(":")[0].strip() for line in block[2:9]] == [
        "Image path", "Image name", "Timestamp", "CheckSum", "ImageSize", "File version", "Product version",
    ]  # fmt: skip
    assert {re.match(r"    [\w ]+: *", line).end() for line in block[4:]} == {22}  # type: ignore[union-attr]
