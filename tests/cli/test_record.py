"""``poolsleuth record``: what it refuses, what it says, and what stands in the file afterwards."""

import io
import re
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

from poolsleuth.cli import record as module
from poolsleuth.cli.record import Screen, record, size_per_day
from poolsleuth.cli.recorder import MAX_FIRST_FAILURES
from poolsleuth.cli.stopping import Stop
from poolsleuth.model.errors import InputError
from poolsleuth.sampling.recording.layout import journal_of
from poolsleuth.sampling.recording.reader import Recording
from poolsleuth.sampling.recording.writer import RecordingWriter
from poolsleuth.sampling.sample import Host, Sample, TagFigures, TagIndex, packed_keys

EPOCH = 1_774_569_600.0
TAGS = packed_keys(np.frombuffer(b"MmStIrp FileThre", np.uint32), 0)
EXAMPLE = Path(__file__).parents[2] / "examples" / "healthy.log"


@dataclass
class FakeClock:
    """Time that only waiting moves; the stop is asked for after ``ends`` seconds."""

    stop: Stop
    ends: float = 1e9
    time: float = 0.0

    def now(self) -> float:
        return self.time

    def wait(self, seconds: float) -> None:
        self.time += seconds

    @property
    def stopped(self) -> bool:
        return self.time >= self.ends or self.stop.asked


@dataclass
class FakeSampler:
    """Four tags; times follow ``began`` by the number of the sample."""

    host: Host = Host("SRV01", "Windows Server 2019", 17763, "x64", 16 << 30)
    began: float = EPOCH
    fails_from: int = 1_000_000
    index: TagIndex = field(default_factory=TagIndex)
    notes: tuple[str, ...] = ()
    taken: int = 0

    def take(self) -> Sample:
        self.taken += 1
        if self.taken > self.fails_from:
            raise InputError("access is denied")
        ids = self.index.numbers(TAGS)
        figures = np.arange(1.0, 5.0) * 1000 * self.taken
        return Sample(
            self.began + 60.0 * self.taken,
            TagFigures(ids, figures, figures / 10, figures),
            {"nonpaged_used": 1.5 * (1 << 30), "paged_used": 300.0 * (1 << 20)},
            complete=True,
        )


@dataclass
class Machine:
    """The machine that is recorded, and how the recording ends."""

    sampler: FakeSampler = field(default_factory=FakeSampler)
    ends: float = 1e9

    def run(self, *arguments: str | Path) -> Result:
        return CliRunner().invoke(record, [str(argument) for argument in arguments])


@pytest.fixture(name="machine")
def _machine(monkeypatch: pytest.MonkeyPatch) -> Machine:
    machine = Machine()
    monkeypatch.setattr(module, "_open_sampler", lambda: machine.sampler)
    monkeypatch.setattr(module, "_Clock", lambda stop: FakeClock(stop, machine.ends))
    return machine


def times(path: Path) -> list[float]:
    recording = Recording.open([path])
    assert list(recording.notes) == []
    return [float(value) for value in recording.times]


# ---- live ------------------------------------------------------------------------------------------------------


def test_a_recording_of_ten_minutes(machine: Machine, tmp_path: Path) -> None:
    path = tmp_path / "pool.parquet"
    result = machine.run(path, "--for", "10min")
    assert result.exit_code == 0, result.output
    said = re.fullmatch(r"11 samples in 10 min, (\d\.\d) KB: poolsleuth diagnose (.*)\n", result.stdout)
    assert said is not None, result.stdout
    assert float(said[1]) == pytest.approx(path.stat().st_size / 1024, abs=0.5)
    assert said[2] == str(path)
    assert result.stderr == ""
    assert times(path) == [EPOCH + 60.0 * number for number in range(1, 12)]
    recording = Recording.open([path])
    assert recording.host == machine.sampler.host
    assert recording.every == 60.0
    assert sorted(recording.at(10).tags.bytes) == [11_000.0, 22_000.0, 33_000.0, 44_000.0]


def test_the_end_that_was_asked_for(machine: Machine, tmp_path: Path) -> None:
    machine.ends = 3 * 3600.0 + 1
    result = machine.run(tmp_path / "pool.parquet", "--every", "10min")
    assert result.exit_code == 0
    assert result.stdout.startswith("19 samples in 3 h, ")


def test_a_name_with_blanks_can_be_pasted(machine: Machine, tmp_path: Path) -> None:
    path = tmp_path / "my pool.parquet"
    assert machine.run(path, "--for", "1min").stdout.endswith(f': poolsleuth diagnose "{path}"\n')


def test_a_recording_of_this_machine_is_continued(machine: Machine, tmp_path: Path) -> None:
    path = tmp_path / "pool.parquet"
    machine.run(path, "--for", "5min")
    machine.sampler = FakeSampler(began=EPOCH + 3600.0)
    result = machine.run(path, "--for", "5min")
    assert result.exit_code == 0, result.output
    assert result.stdout.startswith("6 samples in 5 min, ")
    assert len(times(path)) == 12


def test_a_machine_whose_clock_was_set_back_meanwhile(machine: Machine, tmp_path: Path) -> None:
    path = tmp_path / "pool.parquet"
    machine.run(path, "--for", "5min")
    machine.sampler = FakeSampler(began=EPOCH - 3600.0)
    result = machine.run(path, "--for", "5min")
    assert "the clock of this machine is behind the end of the recording" in result.stderr
    assert np.all(np.diff(times(path)) > 0)


def test_another_machine_and_another_file_are_refused(machine: Machine, tmp_path: Path) -> None:
    path = tmp_path / "pool.parquet"
    machine.run(path, "--for", "5min")
    before = path.read_bytes()
    machine.sampler = FakeSampler(host=Host("SRV02"))
    result = machine.run(path)
    assert isinstance(result.exception, InputError)
    assert "SRV01" in str(result.exception)
    assert path.read_bytes() == before
    other = tmp_path / "notes.txt"
    other.write_text("mine", encoding="ascii")
    result = machine.run(other)
    assert isinstance(result.exception, InputError)
    assert other.read_text(encoding="ascii") == "mine"


def test_notes_are_said_once(machine: Machine, tmp_path: Path) -> None:
    machine.sampler.notes = ("pool \x1b[31mquotas\x1b[0m cannot be read: run this as administrator",)
    result = machine.run(tmp_path / "pool.parquet", "--for", "10min")
    assert result.stderr.count("run this as administrator") == 1
    assert "\x1b" not in result.stderr


def test_what_fails_once_it_has_begun_is_tried_to_the_end(machine: Machine, tmp_path: Path) -> None:
    path = tmp_path / "pool.parquet"
    machine.sampler.fails_from = 5
    result = machine.run(path, "--for", "2h")
    assert result.exit_code == 1
    assert result.stdout.startswith("5 samples in 4 min, ")
    assert result.stderr.count("samples are lost from now on (access is denied)") == 1
    assert "the recording ends: its last samples were lost" in result.stderr
    assert machine.sampler.taken == 121
    assert len(times(path)) == 5


def test_nothing_was_recorded(machine: Machine, tmp_path: Path) -> None:
    machine.sampler.fails_from = 0
    result = machine.run(tmp_path / "pool.parquet")
    assert result.exit_code == 2
    assert result.stdout == ""
    assert machine.sampler.taken == MAX_FIRST_FAILURES
    machine.ends = 0.0
    result = machine.run(tmp_path / "other.parquet")
    assert result.exit_code == 2
    assert "before the first sample" in result.stderr


@pytest.mark.skipif(sys.platform == "win32", reason="there the figures are to be had")
def test_elsewhere_than_on_windows(tmp_path: Path) -> None:
    result = CliRunner().invoke(record, [str(tmp_path / "pool.parquet")])
    assert isinstance(result.exception, InputError)
    assert str(result.exception) == (
        "live pool figures come from Windows: run this on the server, or give evidence with --from to make a recording"
        " of it"
    )
    assert list(tmp_path.iterdir()) == []


# ---- what is asked for -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("pool.parquet", "--every", "often"), "'often' is not a time"),
        (("pool.parquet", "--every", "0s"), "must be longer than 0"),
        (("pool.parquet", "--every", "2d"), "--every must be 24 h or less"),
        (("pool.parquet", "--max-size", "much"), "'much' is not a size"),
        (("pool.parquet", "--max-size", "10KB"), "--max-size must be 1 MB or more"),
        (("pool.parquet", "other.txt"), "other.txt: evidence is given with --from"),
        (("pool.parquet", "--from", "a.txt", "--every", "5s"), "--every and --for are of a live recording"),
        (("nowhere/pool.parquet",), "the folder nowhere does not exist"),
        ((".",), ". is a directory"),
        (("p.20260708T072126Z.parquet",), "record into p.parquet"),
        (("p.parquet.tail",), "record into p.parquet"),
        (("p.parquet.new", "--from", "a.txt"), "record into p.parquet"),
        (("p.damaged-2.parquet",), "record into p.parquet"),
    ],
)
def test_what_cannot_be_is_refused_before_any_work(
    machine: Machine, arguments: tuple[str, ...], says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    result = machine.run(*arguments)
    assert result.exit_code == 2
    assert says in result.stderr
    assert machine.sampler.taken == 0
    assert list(tmp_path.iterdir()) == []


def test_the_help_shows_the_scheduled_task() -> None:
    text = CliRunner().invoke(record, ["--help"]).output
    lines = [line.strip() for line in text.splitlines()]
    at = lines.index("schtasks /create /tn pool /sc onstart /ru SYSTEM ^")
    assert lines[at + 1] == r'/tr "C:\...\poolsleuth.exe record C:\p.parquet"'
    assert "\b" not in text
    assert len(text.splitlines()) < 50


# ---- the terminal ----------------------------------------------------------------------------------------------


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture(name="terminal")
def _terminal(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    monkeypatch.setenv("COLUMNS", "60")
    return Terminal()


def test_one_line_is_written_over(terminal: Terminal) -> None:
    screen = Screen(Path("pool.parquet"), 60.0, terminal)
    sampler = FakeSampler()
    screen.status(1, 10_000, sampler.take())
    screen.status(2, 2 << 20, sampler.take())
    screen.end()
    first, *lines = terminal.getvalue().split("\n")
    assert first == (
        "poolsleuth: recording to pool.parquet: 4 tags, a sample every 1 min, about 9 KB a day; Ctrl-C ends it"
    )
    assert lines[0].split("\r") == [
        "",
        "1 sample, 9.8 KB, nonpaged 1.5 GB, paged 300 MB",
        "2 samples, 2 MB, nonpaged 1.5 GB, paged 300 MB ",
    ]


def test_the_line_is_never_wider_than_the_terminal(terminal: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "30")
    screen = Screen(Path("pool.parquet"), 60.0, terminal)
    sampler = FakeSampler()
    for number in range(2, 6):
        screen.status(number, 10_000, sampler.take())
    assert max(len(line) for line in terminal.getvalue().split("\r")) == 29


def test_a_note_stands_on_a_line_of_its_own(terminal: Terminal) -> None:
    screen = Screen(Path("pool.parquet"), 60.0, terminal)
    screen.status(2, 10_000, FakeSampler().take())
    screen.note("the disk is full")
    assert terminal.getvalue().endswith("paged 300 MB\npoolsleuth: the disk is full\n")


def test_the_size_of_a_day() -> None:
    # Measured: 3,000 tags of which 17 % change each minute take 6.9 MB a day
    assert size_per_day(3000, 60.0) == pytest.approx(6.9e6, rel=0.1)
    assert size_per_day(3000, 10.0) == 6 * size_per_day(3000, 60.0)


# ---- out of evidence -------------------------------------------------------------------------------------------


def test_evidence_becomes_a_recording_and_nothing_is_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "pool.parquet"
    result = CliRunner().invoke(record, [str(path), "--from", str(EXAMPLE)])
    assert result.exit_code == 0, result.output
    assert result.stdout.startswith("1 sample, ")
    before = path.read_bytes()
    result = CliRunner().invoke(record, [str(path), "--from", str(EXAMPLE)])
    assert result.exit_code == 2
    assert "exists already" in result.stderr
    assert path.read_bytes() == before


SNAPSHOT = (
    " Tag  Type     Allocs            Frees            Diff   Bytes       Per Alloc\n"
    " MmSt Paged      2000 (   0)      1000 (   0)     1000  4096000 (     0)   4096\n"
    " Irp  Nonp       3000 (   0)      1000 (   0)     2000   409600 (     0)    204\n"
)


def test_evidence_whose_times_are_not_known(tmp_path: Path) -> None:
    log = tmp_path / "tags.txt"
    log.write_text(SNAPSHOT + SNAPSHOT.replace("4096000", "8192000"), encoding="ascii")
    path = tmp_path / "pool.parquet"
    result = CliRunner().invoke(record, [str(path), "--from", str(log)])
    assert result.exit_code == 2
    assert "these inputs do not say when their tables were taken: nothing is recorded" in result.stderr
    assert list(tmp_path.iterdir()) == [log]


def test_evidence_that_is_not_there(tmp_path: Path) -> None:
    path = tmp_path / "pool.parquet"
    result = CliRunner().invoke(record, [str(path), "--from", str(tmp_path / "none.txt")])
    assert isinstance(result.exception, InputError)
    assert "there is no such file" in str(result.exception)
    assert list(tmp_path.iterdir()) == []


def test_a_disk_that_is_full_while_evidence_is_recorded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def lose(writer: RecordingWriter, taken: Sample, index: TagIndex) -> None:
        writer.notes.append("samples were lost: No space left on device")

    monkeypatch.setattr(RecordingWriter, "add", lose)
    path = tmp_path / "pool.parquet"
    result = CliRunner().invoke(record, [str(path), "--from", str(EXAMPLE)])
    assert isinstance(result.exception, InputError)
    assert str(result.exception) == (f"{path}: the recording is not whole: samples were lost: No space left on device")


def test_evidence_of_two_machines(tmp_path: Path) -> None:
    logs = []
    for name in ("A", "B"):
        index = TagIndex()
        ids = index.numbers(TAGS)
        logs.append(tmp_path / f"{name}.parquet")
        with RecordingWriter(logs[-1], Host(name)) as writer:
            for number in range(3 if name == "A" else 4):
                figures = np.arange(1.0, 5.0) + number
                writer.add(Sample(EPOCH + 60 * number, TagFigures(ids, figures, figures, figures)), index)
    path = tmp_path / "pool.parquet"
    result = CliRunner().invoke(record, [str(path), "--from", *map(str, logs)])
    assert isinstance(result.exception, InputError)
    assert "--machine NUMBER" in str(result.exception)
    result = CliRunner().invoke(record, [str(path), "--machine", "2", "--from", *map(str, logs)])
    assert result.exit_code == 0, result.output
    assert result.stdout.startswith("4 samples in 3 min, ")
    assert Recording.open([path]).host.computer == "B"


def test_several_files_behind_from(tmp_path: Path) -> None:
    path = tmp_path / "pool.parquet"
    result = CliRunner().invoke(record, [str(path), "--from", str(EXAMPLE), str(EXAMPLE)])
    assert result.exit_code == 0, result.output


# ---- a process of its own --------------------------------------------------------------------------------------

PROGRAM = """
import sys
from dataclasses import dataclass, field
import time
import numpy as np
from poolsleuth.cli import main, record
from poolsleuth.sampling.sample import Host, Sample, TagFigures, TagIndex, packed_keys

class Sampler:
    index = TagIndex()
    host = Host("SRV01")
    notes = ()
    def take(self):
        ids = self.index.numbers(packed_keys(np.arange(1000, 1200, dtype=np.uint32), 0))
        figures = np.random.default_rng().random(200)
        return Sample(time.time(), TagFigures(ids, figures, figures, figures), complete=True)

record.USUAL_EVERY = 0.02
record._open_sampler = Sampler
main.COMMANDS["record"] = ""
main.main(["record", sys.argv[1]])
"""

posix = pytest.mark.skipif(sys.platform == "win32", reason="signals are sent to a process on POSIX")


def start(path: Path, samples: int) -> "subprocess.Popen[str]":
    """Start recording, and wait until so many samples are in the journal or sealed."""
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(path)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    latest = time.monotonic() + 60
    while _count(path) < samples:
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < latest
        time.sleep(0.1)
    return process


def _count(path: Path) -> int:
    try:
        return len(Recording.open([path]).times)
    except InputError:
        return 0


def end(process: "subprocess.Popen[str]", number: signal.Signals, path: Path, samples_before: int = 0) -> None:
    """A signal ends recording in an orderly way."""
    process.send_signal(number)
    out, err = process.communicate(timeout=30)
    assert process.returncode == 0, err
    assert err == ""
    assert out.startswith(f"{len(times(path)) - samples_before} samples")
    assert out.endswith(f": poolsleuth diagnose {path}\n")
    assert not journal_of(path).exists()


@posix
def test_a_kill_costs_the_last_sample_at_most_and_the_next_run_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "pool.parquet"
    process = start(path, 20)
    seen = _count(path)
    process.kill()
    process.communicate(timeout=30)
    before = _count(path)
    assert before >= seen
    end(start(path, before + 20), signal.SIGINT, path, before)
    recording = Recording.open([path])
    assert len(recording) >= before + 20
    assert np.all(np.diff(recording.times) > 0)
    assert len(recording.at(len(recording) - 1).tags) == 200


@posix
def test_two_recorders_of_one_file(tmp_path: Path) -> None:
    path = tmp_path / "pool.parquet"
    process = start(path, 2)
    other = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(path)], capture_output=True, text=True, timeout=60, check=False
    )
    assert other.returncode == 2
    assert "is being recorded into by another program" in other.stderr
    end(process, signal.SIGTERM, path)
