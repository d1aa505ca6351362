"""``poolsleuth top`` as it is typed."""

import io
import os
import re
import signal
import subprocess
import sys
import threading
from pathlib import Path

import click
import numpy as np
import pytest
from click.testing import CliRunner, Result

from poolsleuth.cli import top_print
from poolsleuth.cli.top import top
from poolsleuth.cli.top_words import Words, read_words
from poolsleuth.evidence.poolmon_log import read_poolmon_log
from poolsleuth.model.errors import InputError
from poolsleuth.model.series import TagHistory, TagKey
from poolsleuth.model.tags import PoolKind
from poolsleuth.sampling.sample import Floats, Host, Sample, TagFigures, TagIndex
from poolsleuth.top.tracker import Tracker
from poolsleuth.top.view import Column, View, ViewOptions

N, P = PoolKind.NONPAGED, PoolKind.PAGED
ROW = re.compile(r"^ (?P<tag>.{4}) (?:Nonp|Paged) ", re.MULTILINE)


def run(*arguments: str, status: int = 0) -> Result:
    result = CliRunner().invoke(top, list(arguments))
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    assert result.exit_code == status, result.output
    return result


def tags(text: str) -> list[str]:
    return ROW.findall(text)


def times(text: str) -> list[str]:
    return re.findall(r"^2021-01-10T(\d\d:\d\d):00.000\+00:00$", text, re.MULTILINE)


# ---- files ----


def test_once_is_the_last_sample_with_what_changed(log: str) -> None:
    result = run(log, "--once")
    assert result.stdout == (
        "2021-01-10T12:50:00.000+00:00\n"
        " Memory: 4194304K Avail: 2083680K   InRam Krnl: 5000K P:30000K\n"
        " Commit:2721252K Limit:8388608K Peak:2742228K            Pool N:919448K P:350416K\n"
        " System pool information\n"
        " Tag  Type     Allocs            Frees            Diff    Bytes        Per Alloc\n"
        "\n"
        " Leak Nonp      10245 (2048)         5 (   0)    10240 10485760 (2097152)   1024\n"
        " MmSt Paged     28199 (   0)     27946 (   0)      253    16192 (      0)     64\n"
        " Mmxx Nonp          9 (   0)         8 (   0)        1      640 (      0)    640\n"
        "\n"
    )
    assert result.stderr == ""


def test_once_reads_what_it_needs_only(tmp_path: Path) -> None:
    """The first sample, that of an hour ago (for the rate), the one before, and itself."""

    class Series:
        index = TagIndex()
        host = Host()
        notes = ()
        times: Floats = 1.7e9 + np.arange(500_000, dtype=np.float64) * 60.0

        def __init__(self) -> None:
            self.asked: list[int] = []

        def at(self, place: int) -> Sample:
            self.asked.append(place)
            one = np.array([place * 10.0])
            return Sample(
                float(self.times[place]), TagFigures(np.array([self.index.number(TagKey("Grow", N))]), one, one, one)
            )

    series = Series()
    tracker = Tracker(series.index)
    printer = top_print.Printer(tracker, View(tracker), ViewOptions())
    top_print.print_replay_once(series, printer, 499_999)
    assert series.asked == [0, 499_939, 499_998, 499_999]
    row = printer.view.row(0)
    assert (row.last.bytes, row.started.bytes, row.rate) == (10, 4_999_990, 600.0)


def test_at_a_time(log: str) -> None:
    result = run(log, "--once", "--at", "2021-01-10T12:25")
    assert times(result.stdout) == ["12:20"]
    assert " 4194304 (2097152)" in result.stdout
    run(log, "--once", "--at", "yesterday", status=2)


def test_plain_prints_every_sample_and_is_a_poolmon_log_again(log: str) -> None:
    result = run(log, "--plain")
    assert times(result.stdout) == [f"12:{10 * k:02}" for k in range(6)]
    facts = read_poolmon_log(io.BytesIO(result.stdout_bytes), 0, None, [], lambda: None)
    (history,) = (fact for fact in facts if isinstance(fact, TagHistory))
    assert list(history.columns[TagKey("Leak", N)].bytes) == [k << 21 for k in range(6)]
    assert list(np.diff(history.times)) == [600.0] * 5


def test_plain_from_a_time_on(log: str) -> None:
    result = run(log, "--plain", "--at", "2021-01-10T12:40")
    assert times(result.stdout) == ["12:40", "12:50"]
    assert "(2097152)" in result.stdout.split("12:50")[0]  # the sample before is known


def test_a_part_of_the_time(log: str) -> None:
    result = run(log, "--plain", "--since", "2021-01-10T12:10", "--until", "2021-01-10T12:30")
    assert times(result.stdout) == ["12:10", "12:20", "12:30"]
    assert "later than" in run(log, "--since", "2021-01-11", "--until", "2021-01-10", status=2).stderr


def test_no_terminal_means_plain_and_that_is_said(log: str) -> None:
    result = run(log)
    assert len(times(result.stdout)) == 6
    assert result.stderr == "poolsleuth: this is no terminal: screens are printed, as with --plain\n"


@pytest.mark.parametrize(
    ("options", "shown"),
    [
        (["--sort", "tag"], "Leak MmSt Mmxx"),
        (["--sort", "tag", "--reverse"], "Mmxx MmSt Leak"),
        (["--sort", "allocs"], "MmSt Leak Mmxx"),
        (["--sort", "allocs", "--change"], "Leak MmSt Mmxx"),
        (["-i", "Mm*"], "MmSt Mmxx"),
        (["-iMm*", "-x", "*x"], "MmSt"),
        (["--search", "leak"], "Leak"),
        (["--pool", "nonpaged"], "Leak Mmxx"),
        (["--lines", "1"], "Leak"),
        (["/iMm*"], "MmSt Mmxx"),
        (["/iMm*", "/xMmSt"], "Mmxx"),
        (["/a"], "MmSt Leak Mmxx"),
        (["/a", "/("], "Leak MmSt Mmxx"),
        (["/t"], "Leak MmSt Mmxx"),
        (["/p"], "Leak Mmxx"),
        (["/p", "/p"], "MmSt"),
        (["/p", "/P", "/p"], "Leak MmSt Mmxx"),
    ],
)
def test_what_is_shown(log: str, options: list[str], shown: str) -> None:
    assert tags(run(log, "--once", *options).stdout) == shown.split()


def test_totals_and_drivers(log: str) -> None:
    result = run(log, "--once", "/e", "--drivers", "-i", "Mm*")
    assert "TOTAL Nonp          9 (   0)" in result.stdout
    assert "  Mapped_Driver\n" in result.stdout
    assert re.search(r"^ MmSt .* \[nt!mm - ", result.stdout, re.MULTILINE)


def test_nothing_that_matches_is_said(log: str) -> None:
    result = run(log, "--once", "-i", "Nope")
    assert tags(result.stdout) == []
    assert result.stderr == "poolsleuth: no tag matches what was asked for\n"


def test_problems_of_inputs_are_said(log: str, tmp_path: Path) -> None:
    bad = tmp_path / "bad.dmp"
    bad.write_bytes(b"PAGEDU64" + bytes(5000))
    result = run(log, str(bad), "--once")
    assert tags(result.stdout) == ["Leak", "MmSt", "Mmxx"]
    assert "poolsleuth: " in result.stderr


def test_files_that_hold_nothing(tmp_path: Path) -> None:
    path = tmp_path / "nothing.txt"
    path.write_text("nothing at all\n")
    result = CliRunner().invoke(top, [str(path), "--once"])
    assert isinstance(result.exception, InputError)
    assert "nothing in these files can be played" in str(result.exception)


def test_several_machines(log: str, tmp_path: Path) -> None:
    other = tmp_path / "other.log"
    other.write_text(Path(log).read_text().replace("Memory: 4194304K", "Memory: 8388608K").replace("Leak", "Okay"))
    result = CliRunner().invoke(top, [log, str(other), "--once"])
    assert isinstance(result.exception, InputError)
    assert "--machine" in str(result.exception)
    assert {tags(run(log, str(other), "--once", "--machine", str(k)).stdout)[0] for k in (1, 2)} == {"Leak", "Okay"}


def test_a_file_that_has_the_name_of_a_word(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Path, "exists", lambda self: str(self) == "/b")
    assert read_words(["/b", "/a"], ViewOptions()) == Words(("/b",), ViewOptions(sort=Column.ALLOCS))


def test_poolmons_own_words() -> None:
    files = ["my.log", "/var/log/x.log", "/images.log"]
    words = ["/iMm*", "/xIrp", "/e", "/(", "/m", "/s1", "/l", "/g", "/n", "/p"]
    said = read_words([*words, *files], ViewOptions())
    assert said.files == tuple(files)
    assert said.view == ViewOptions(
        sort=Column.EACH, by_change=True, pools=N, session=1, include=("Mm*",), exclude=("Irp",), totals=True
    )
    assert (said.drivers, said.once) == (True, True)
    assert read_words(["/s"], ViewOptions()).view.session == -1
    sorts = {letter: read_words([f"/{letter}"], ViewOptions()).view.sort.value for letter in "tafdbm"}
    assert sorts == {"t": "tag", "a": "allocs", "f": "frees", "d": "diff", "b": "bytes", "m": "each"}


@pytest.mark.parametrize("word", ["/i", "/x", "/s99999", "/?", "/c", "/r"])
def test_words_that_say_nothing(word: str) -> None:
    with pytest.raises(click.UsageError):
        read_words([word], ViewOptions())


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--session", "x"], "write its number, or all"),
        (["--session", "70000"], "write its number, or all"),
        (["--speed", "0"], "is no speed"),
        (["--speed", "fast"], "is no speed"),
        (["--speed", "nan"], "is no speed"),
        (["--every", "0s"], "must be longer than 0"),
        (["--lines", "0"], "--lines"),
        (["--sort", "trend"], "--sort"),
        (["--at", "12:00"], "is of a replay"),
        (["--speed", "max"], "is of a replay"),
        (["--machine", "1"], "is of a replay"),
        (["--since", "soon"], "is no time"),
        (["/n", "poolsnap.log"], "poolsleuth top --once > poolsnap.log"),
    ],
)
def test_options_that_cannot_be_meant(arguments: list[str], says: str) -> None:
    assert says in run(*arguments, status=2).stderr


def test_a_speed_waits_between_screens(log: str, monkeypatch: pytest.MonkeyPatch) -> None:
    waited: list[float] = []
    monkeypatch.setattr("poolsleuth.cli.stopping.Stop.wait", lambda _self, seconds: waited.append(seconds))
    assert len(times(run(log, "--plain", "--speed", "1200x").stdout)) == 6
    assert waited == [0.5] * 5
    waited.clear()
    run(log, "--plain", "--speed", "0.001")
    assert waited == [top_print.LONGEST_WAIT] * 5
    waited.clear()
    run(log, "--plain", "--speed", "max")
    assert waited == []


def test_a_closed_pipe_and_ctrl_c_end_it_quietly(log: str) -> None:
    """As `| head`, and as Ctrl-C in the middle of a replay."""
    code = (
        "import sys; from poolsleuth.cli import main; from poolsleuth.cli.top import top\n"
        "main._Commands.get_command = lambda *_: top\n"
        "main.main(['top', *sys.argv[1:]])"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, log, "--plain", "--speed", "1"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        first = process.stdout.readline()
        watchdog = threading.Timer(20, process.kill)
        watchdog.start()
        if os.name == "posix":
            process.send_signal(signal.SIGINT)
        else:
            process.terminate()
        rest, errors = process.communicate()
        watchdog.cancel()
    assert first == b"2021-01-10T12:00:00.000+00:00\n"
    assert len(times(rest.decode())) == 0
    assert errors == b"" or os.name != "posix"
    assert process.returncode == 0 or os.name != "posix"


@pytest.mark.skipif(os.name != "posix", reason="pipes break in another way there")
def test_a_reader_that_has_seen_enough_is_no_failure(log: str) -> None:
    """As `| head -1`."""
    text = Path(log).read_text()
    Path(log).write_text("".join(text.replace("2021-01-10", f"2021-02-{day:02}") for day in range(1, 25)))
    code = "import sys; from poolsleuth.cli.main import main; main(sys.argv[1:])"
    arguments = [sys.executable, "-c", code, "top", log, "--plain"]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        errors = process.stderr.read()
    assert errors == b""
    assert process.returncode == 0
