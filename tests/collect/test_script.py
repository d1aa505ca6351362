"""The .cmd files, read by a small model of cmd.exe: no input ends a command, opens a quote or leaves a jump open."""

import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from poolsleuth.collect.request import DAY, HOUR, Request, check, check_folder
from poolsleuth.collect.script import script_files
from poolsleuth.evidence.dates import find_date
from poolsleuth.windows.builds import WindowsVersion, parse_os_name
from poolsleuth.windows.tag_patterns import covers

A_DAY = Request(windows=None, duration=DAY, interval=300, max_mb=300, folder="C:\\PoolLogs")
TAG = st.text(st.characters(min_codepoint=32, max_codepoint=126), min_size=1, max_size=4).filter(
    lambda tag: re.search(r"\w", tag) is not None
)
FOLDER_PART = st.from_regex(r"[A-Za-z0-9_]([A-Za-z0-9_ .-]{0,12}[A-Za-z0-9_-])?", fullmatch=True)
VALUES = {"OUT": "C:\\out", "COMPUTERNAME": "SRV1", "XPERF": "C:\\kit\\xperf.exe", "POOLMON": "C:\\kit\\poolmon.exe"}


def windows(name: str) -> WindowsVersion:
    match = parse_os_name(name)
    assert match is not None
    return match.version


def expand(line: str) -> str:
    """The first phase of cmd.exe in a batch file: %%, %~dp0 and %NAME%, also within quotes."""

    def value(match: re.Match[str]) -> str:
        text = match.group()
        if text == "%%":
            return "%"
        if text == "%~dp0":
            return "C:\\tools\\"
        return VALUES.get(match["name"].partition(":")[0], "")

    return re.sub(r"%%|%~dp0|%(?P<name>[^%]+)%", value, line)


def split(line: str) -> list[list[str]]:
    """The second phase: commands, each a list of words; & | < > ( ) and ^ only mean something outside of quotes."""
    commands: list[list[str]] = [[]]
    word, quoted, index = "", False, 0
    while index < len(line):
        character = line[index]
        if character == '"':
            quoted = not quoted
            word += character
        elif quoted or character not in "&|<>() ^":
            word += character
        elif character == "^":
            index += 1
            word += line[index : index + 1]
        else:
            if word:
                commands[-1].append(word)
            word = ""
            if character != " ":
                commands.append([character])
        index += 1
    assert not quoted, f"a quote is left open: {line}"
    if word:
        commands[-1].append(word)
    return commands


def lines(request: Request, file: str = "collect.cmd") -> list[str]:
    return script_files(check(request))[file].split("\r\n")


def traced(request: Request) -> list[str]:
    """The words of the one command that starts xperf."""
    found = [line for line in lines(request) if "-PoolTag" in line]
    assert len(found) == 1
    commands = split(expand(found[0]))
    assert [command[0] for command in commands[1:]] == ["&", "&"], "only the && of the script itself"
    assert commands[2][1:] == ["set", "STARTED=1"]
    return commands[0]


@pytest.mark.parametrize(
    ("line", "commands"),
    [
        ("a b & c", [["a", "b"], ["&", "c"]]),
        ('a "b & c" d', [["a", '"b & c"', "d"]]),
        ("a b^& c", [["a", "b&", "c"]]),
        ("a %COMPUTERNAME% %%p %NO%", [["a", "SRV1", "%p"]]),
        ('a "%OUT%\\b">c', [["a", '"C:\\out\\b"'], [">", "c"]]),
    ],
)
def test_the_model_reads_as_a_command_prompt_does(line: str, commands: list[list[str]]) -> None:
    assert split(expand(line)) == commands


def test_the_model_sees_an_open_quote() -> None:
    with pytest.raises(AssertionError, match="a quote is left open"):
        split('xperf -PoolTag a"b & calc')


@given(TAG)
def test_a_tag_is_one_word_that_covers_it(tag: str) -> None:
    words = traced(replace(A_DAY, tags=(tag,)))
    text = words[words.index("-PoolTag") + 1]
    assert covers(text, tag)
    assert words[words.index("-PoolTag") + 2] == "-BufferSize"


@given(st.lists(TAG, min_size=1, max_size=4))
def test_tags_change_nothing_but_their_filters(tags: list[str]) -> None:
    one = script_files(check(replace(A_DAY, tags=tuple(tags))))
    other = script_files(check(replace(A_DAY, tags=("AAAA",))))
    for name in ("collect.cmd", "stop.cmd", "create-counters.ps1"):
        blank = re.compile(r"(?<=-PoolTag )\S+")
        assert blank.sub("", one[name]) == blank.sub("", other[name])


@given(st.lists(FOLDER_PART, min_size=1, max_size=4))
def test_a_folder_is_always_within_one_word(parts: list[str]) -> None:
    try:
        folder = check_folder("D:\\" + "\\".join(parts))
    except ValueError:
        return
    request = replace(A_DAY, folder=folder)
    create = next(line for line in lines(request) if "logman create" in line)
    commands = split(expand(create))
    assert len(commands) == 1 or commands[0][:2] == ["if", "errorlevel"]
    assert rf'"{folder}\SRV1_pool.blg"' in " ".join(commands[0])
    assert f'set "OUT={folder}"' in lines(request)
    assert f'set "OUT={folder}"' in lines(request, "stop.cmd")


REQUESTS = {
    "usual": A_DAY,
    "tag": replace(A_DAY, tags=("MmSt", "Irp")),
    "2003": replace(A_DAY, windows=windows("2003")),
    "2008": replace(A_DAY, windows=windows("2008")),
    "7": replace(A_DAY, windows=windows("7"), tags=("MmSt",)),
    "remote": replace(A_DAY, remote="SRV1"),
    "only tag": replace(A_DAY, tags=("MmSt",), counters=False, poolmon=False),
    "only poolmon": replace(A_DAY, counters=False, duration=HOUR, interval=5),
}


@pytest.mark.parametrize("request_", REQUESTS.values(), ids=REQUESTS)
def test_files_are_plain_for_every_command_prompt(request_: Request) -> None:
    for name, text in script_files(check(request_)).items():
        assert text.isascii(), name
        assert text.endswith("\r\n"), name
        assert "\n" not in text.replace("\r\n", ""), name
        assert "\t" not in text, name
        # 8,191 characters are the longest command line of cmd.exe; 2,047 before Windows XP
        assert max(map(len, text.split("\r\n"))) < 2047, name


@pytest.mark.parametrize("request_", REQUESTS.values(), ids=REQUESTS)
def test_every_jump_has_its_label_and_every_line_closes_its_quotes(request_: Request) -> None:
    for name in ("collect.cmd", "stop.cmd"):
        text = lines(request_, name)
        labels = {line[1:] for line in text if line.startswith(":")}
        jumps = {found[1] for line in text for found in re.finditer(r"(?:goto |call :)(\w+)", line)}
        assert jumps <= labels
        # "finish" of one variant is another's dead label: each must be reached
        assert labels <= jumps
        for line in text:
            split(expand(line))


@pytest.mark.parametrize("request_", REQUESTS.values(), ids=REQUESTS)
def test_the_script_stops_by_itself_and_stops_all_that_it_started(request_: Request) -> None:
    collect, stop = lines(request_), lines(request_, "stop.cmd")
    assert 'call "%~dp0stop.cmd"' in collect
    waits = [int(found[1]) - 1 for line in collect if (found := re.match(r"ping -n (\d+) ", line))]
    rounds = [int(found[1]) for line in collect if (found := re.fullmatch(r"set ROUNDS=(\d+)", line))]
    assert waits[0] * rounds[0] == request_.duration  # all of these are whole numbers of pauses
    for started, stopped in (
        ("logman start", "logman stop"),
        (" -PoolTag ", " -stop -d "),
        ("wpr -start", "wpr -stop"),
    ):
        assert any(started in line for line in collect) == any(stopped in line for line in stop)


def test_a_remote_script_touches_only_the_remote_counters() -> None:
    text = "\n".join(lines(REQUESTS["remote"]))
    assert "poolmon" not in text
    assert all(" -s SRV1" in line for line in text.splitlines() if "logman" in line)
    assert r"\\SRV1\C$\PoolLogs" in text
    assert "create-counters.ps1" not in script_files(REQUESTS["remote"])


def test_dates_are_the_same_in_every_language() -> None:
    assert any('"Get-Date -Format o"' in line for line in lines(A_DAY))
    old = lines(REQUESTS["2003"])
    assert any("wmic os get LocalDateTime /value" in line for line in old)
    assert not any("powershell" in line for line in old)


def test_local_names_are_looked_up_by_number() -> None:
    text = script_files(A_DAY)["create-counters.ps1"]
    assert "Perflib" in text
    assert "CurrentLanguage" in text
    assert "'Server Work Queues(*)'" in text
    assert '"C:\\PoolLogs\\${env:COMPUTERNAME}_pool.blg"' in text
    assert text.count("{") == text.count("}")
    assert text.count("(") == text.count(")")


def test_there_is_no_script_for_windows_2000() -> None:
    with pytest.raises(ValueError, match="Windows 2000 has no logman for a script to start"):
        script_files(check(replace(A_DAY, windows=windows("2000"))))


@given(st.integers(60, 90 * DAY), st.integers(1, HOUR))
def test_the_loop_never_ends_before_the_duration_and_hardly_after(duration: int, interval: int) -> None:
    request = replace(A_DAY, duration=duration, interval=interval)
    over = request.snapshots * request.snapshot_interval - duration
    assert 0 <= over < request.snapshot_interval


def test_the_times_that_the_scripts_write_are_read_as_times() -> None:
    newer = find_date("2026-11-21T12:15:59.1234567+01:00")  # what .NET writes for the format o
    assert newer is not None
    assert (newer.first, newer.second, newer.offset) == (11, 21, 3600)
    stamp = "20030105101530.000000+060\r"  # what wmic writes, the last character included
    line = next(line for line in lines(REQUESTS["2003"]) if line.startswith("if defined STAMP set NOW="))
    text = re.sub(r"%STAMP:~(\d+),(\d+)%", lambda m: stamp[int(m[1]) :][: int(m[2])], line).partition("NOW=")[2]
    assert text == "2003-01-05T10:15:30"
    older = find_date(text)
    assert older is not None
    assert (older.year, older.first, older.second, older.seconds) == (2003, 1, 5, 10 * HOUR + 15 * 60 + 30)
