"""``poolsleuth top`` of a running machine, and what its full screen is given."""

import io
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result

from poolsleuth.cli import top as module
from poolsleuth.cli import top_print
from poolsleuth.cli.record import record
from poolsleuth.cli.top import top
from poolsleuth.model.errors import InputError
from poolsleuth.model.series import TagKey
from poolsleuth.model.tags import PoolKind
from poolsleuth.sampling.sample import Host, Sample, TagFigures, TagIndex

N, P = PoolKind.NONPAGED, PoolKind.PAGED
ROW = re.compile(r"^ (?P<tag>.{4}) (?:Nonp|Paged) ", re.MULTILINE)


def run(*arguments: str, status: int = 0) -> Result:
    result = CliRunner().invoke(top, list(arguments))
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    assert result.exit_code == status, result.output
    return result


def tags(text: str) -> list[str]:
    return ROW.findall(text)


class Sampler:
    """A machine whose tag Grow grows by a page every sample."""

    def __init__(self, failing: Sequence[int] = ()) -> None:
        self.index = TagIndex()
        self.host = Host(computer="SRV1", os="Windows Server 2019", build=17763, architecture="x64")
        self.notes: tuple[str, ...] = ("session pools could not be read: run as administrator",)
        self.taken = 0
        self._failing = failing

    def take(self) -> Sample:
        self.taken += 1
        if self.taken in self._failing:
            raise InputError("Windows said no")
        ids = np.array([self.index.number(TagKey("Grow", N)), self.index.number(TagKey("Sess", P, 1))])
        size = self.taken * 4096.0
        figures = TagFigures(ids, np.array([size, 100.0]), np.array([self.taken, 1.0]), np.array([self.taken, 1.0]))
        return Sample(1.7e9 + self.taken, figures, {"physical": 2.0**32, "nonpaged_used": 2.0**20}, complete=True)


@pytest.fixture
def live(monkeypatch: pytest.MonkeyPatch) -> Sampler:
    """A running machine whose clock stops after three samples."""
    sampler = Sampler()
    use(sampler, 3, monkeypatch)
    return sampler


def use(sampler: Sampler, samples: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_open_sampler", lambda: sampler)

    def wait(stop: Any, seconds: float) -> None:
        assert seconds >= 0
        if sampler.taken >= samples:
            stop.ask("SIGINT")

    monkeypatch.setattr("poolsleuth.cli.stopping.Stop.wait", wait)


def test_once_live_is_one_sample_without_changes(live: Sampler) -> None:
    result = run("--once")
    assert live.taken == 1
    assert (
        " Grow Nonp                   1                  0                 1           4096             4096\n"
        in result.stdout
    )
    assert "(" not in result.stdout
    assert result.stderr == "poolsleuth: session pools could not be read: run as administrator\n"


def test_plain_live_prints_until_it_is_ended(live: Sampler) -> None:
    result = run("--plain", "--every", "1s")
    assert live.taken == 3
    assert [line.split()[-1] for line in result.stdout.split("\n") if "Grow" in line] == ["4096"] * 3
    assert result.stdout.count("( 4096)") + result.stdout.count("(  4096)") == 2
    assert result.stderr.count("run as administrator") == 1


def test_session_pools_live(live: Sampler) -> None:
    assert tags(run("--once", "--session", "1").stdout) == ["Sess"]
    assert tags(run("--once", "--session", "all").stdout) == ["Sess"]
    assert tags(run("--once", "/s1").stdout) == ["Sess"]


def test_only_sessions_have_tags(live: Sampler) -> None:
    assert "no tag matches what was asked for" in run("--once", "--session", "7").stderr
    assert "--session all shows them" in run("--once", "-i", "Sess").stderr


def test_a_sample_that_fails_is_said_and_the_next_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    use(Sampler(failing=(2, 3)), 5, monkeypatch)
    result = run("--plain")
    assert [line.split()[-1] for line in result.stdout.split("\n") if "Grow" in line] == ["4096"] * 3
    assert result.stderr.count("a sample failed: Windows said no") == 1


def test_failures_count_in_a_row_only(monkeypatch: pytest.MonkeyPatch) -> None:
    nine = top_print.MAX_FAILURES - 1
    sampler = Sampler(failing=[*range(2, 2 + nine), *range(3 + nine, 3 + 2 * nine)])
    use(sampler, 4 + 2 * nine, monkeypatch)
    run("--plain")
    assert sampler.taken == 4 + 2 * nine


@pytest.mark.parametrize("failing", [range(1, 2), range(2, 99)])
def test_a_machine_that_gives_no_samples_ends_it(monkeypatch: pytest.MonkeyPatch, failing: range) -> None:
    sampler = Sampler(failing)
    use(sampler, 99, monkeypatch)
    result = CliRunner().invoke(top, ["--plain"])
    assert isinstance(result.exception, InputError)
    assert sampler.taken == (1 if failing[0] == 1 else 1 + top_print.MAX_FAILURES)


@pytest.mark.skipif(sys.platform == "win32", reason="there, live figures are had")
def test_off_windows_live_is_refused_in_one_sentence() -> None:
    result = CliRunner().invoke(top, ["--once"])
    assert isinstance(result.exception, InputError)
    assert "Windows" in str(result.exception)


def test_descriptions_of_pooltag_txt(live: Sampler, tmp_path: Path) -> None:
    path = tmp_path / "pooltag.txt"
    path.write_text("rem pool tags\nGrow - mygrow.sys - What always grows\nMm   - nt!mm - Memory\n")
    assert "[mygrow.sys - What always grows]" in run("--once", "--drivers", "--pooltags", str(path)).stdout
    path.write_text("nothing\n")
    assert run_fails("--once", "--pooltags", str(path)) is not None


def run_fails(*arguments: str) -> str | None:
    """What is said instead of a result."""
    result = CliRunner().invoke(top, list(arguments))
    return str(result.exception) if isinstance(result.exception, InputError) else result.stderr or None


# ---- the full screen ----


def test_without_textual_one_sentence_says_what_to_install(monkeypatch: pytest.MonkeyPatch, log: str) -> None:
    monkeypatch.setattr(module, "_has_screen", lambda **_: True)
    monkeypatch.setitem(sys.modules, "textual", None)
    result = CliRunner().invoke(top, [log])
    assert isinstance(result.exception, InputError)
    assert str(result.exception).startswith("the full screen needs textual: pip install 'poolsleuth[tui]'")


def test_the_screen_is_given_what_it_needs(monkeypatch: pytest.MonkeyPatch, log: str, live: Sampler) -> None:
    pytest.importorskip("textual")
    shown: list[tuple[Any, ...]] = []

    def fake(*arguments: Any, **names: Any) -> int:
        shown.append((*arguments, names))
        return 0

    monkeypatch.setattr(module, "_has_screen", lambda **_: True)
    monkeypatch.setattr("poolsleuth.top.screen.app.run", fake)
    run(log, "--speed", "300", "--at", "2021-01-10T12:30", "/e")
    run("--every", "2s", "--driver-files", "/tmp")
    (feed, tracker, view, judge, options, names), (live_feed, *_, live_names) = shown
    assert (feed.player.speed, feed.player.place, feed.tracker is tracker, view.tracker is tracker) == (
        300,
        3,
        True,
        True,
    )
    assert judge is not None
    assert options.totals
    assert (names["whois"], live_feed.every, live_names["title"]) == (None, 2.0, "SRV1")
    assert live_names["whois"] is not None


def test_the_module_is_imported_without_textual_and_without_polars() -> None:
    code = "import sys, poolsleuth.cli.top; print([m for m in ('textual', 'polars', 'scipy') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_terminal_that_cannot_show_a_character_shows_another(monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.TextIOWrapper):
        def isatty(self) -> bool:
            return True

    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", Terminal(raw, encoding="cp437"))
    top_print.write_text("␛ é\n")
    assert raw.getvalue().replace(b"\r", b"") == b"? \x82\n"


@pytest.mark.parametrize("missing", ["stdin", "stdout", "stderr"])
def test_each_of_the_three_must_be_a_terminal_for_the_full_screen(
    missing: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Textual draws on standard error: in ``2>errors.txt`` it would be a file of escape sequences."""
    for name in ("stdin", "stdout", "stderr"):
        monkeypatch.setattr(getattr(sys, name), "isatty", lambda name=name: name != missing, raising=False)
    assert not module._has_screen(once=False)
    assert "this is no terminal" in capsys.readouterr().err


def test_rows_that_poolmon_has_no_sign_for_are_said_and_not_invented(tmp_path: Path) -> None:
    path = tmp_path / "windbg.log"
    path.write_text(
        "0: kd> !poolused 4\n"
        "   Sorting by  Paged Pool Consumed\n\n"
        "  Pool Used:\n"
        "            NonPaged            Paged\n"
        " Tag    Allocs     Used    Allocs     Used\n"
        " CM31        0        0     13920 61227008\tInternal Configuration manager allocations\n"
        " Gh05        0        0      1000  2000000\tUNKNOWN pooltag 'Gh05', please update pooltag.txt\n"
        "TOTAL        0        0     14920 63227008\n",
        encoding="utf-8",
    )
    result = run("--once", str(path), status=2)
    assert tags(result.stdout) == []
    assert "no row can be printed" in result.stderr
    assert "allocations and frees" in result.stderr
    assert "poolsleuth tags" in result.stderr


@pytest.mark.parametrize("columns", [80, 100])
def test_the_help_says_the_exit_status_in_words(columns: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    for command in (top, record):
        text = CliRunner().invoke(command, ["--help"], terminal_width=columns).output
        assert "\n  Exit status: 0" in text
        assert "\\b" not in text
        assert max(map(len, text.splitlines())) <= columns
