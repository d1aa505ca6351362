"""What ``poolsleuth top`` says of the files that it plays."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

from poolsleuth.cli.top import top
from poolsleuth.cli.top_open import open_files, say_each_once, short_end
from poolsleuth.evidence.dump.options import AS_FOUND
from poolsleuth.model.errors import InputError
from poolsleuth.pipeline import NOTHING_ASSUMED
from poolsleuth.reading import EVERYTHING
from poolsleuth.sampling.sample import Floats, Host, Sample, TagFigures, TagIndex

HEAD = """2021-01-10T{hour}:00:00.0000000+00:00
 Memory: 4194304K Avail: 2083680K  PageFlts:  1000   InRam Krnl: 5000K P:30000K
 Commit:2721252K Limit:8388608K Peak:2742228K            Pool N:919448K P:350416K
 System pool information
 Tag  Type     Allocs            Frees            Diff   Bytes       Per Alloc
"""
ROW = " {tag} Nonp      2048 (   0)      1024 (   0)     1024    1048576 (     0)   1024\n"


def screen(hour: int, tags: int) -> str:
    return HEAD.format(hour=hour) + "".join(ROW.format(tag=f"T{n:03}") for n in range(tags)) + "\n"


def once(*arguments: str) -> Result:
    return CliRunner().invoke(top, [*arguments, "--once"])


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., str]:
    def make(*counts: int) -> str:
        path = tmp_path / "poolmon.log"
        path.write_text("".join(screen(12 + place, count) for place, count in enumerate(counts)))
        return str(path)

    return make


def test_a_directory_is_told_from_a_file(write: Callable[..., str], tmp_path: Path) -> None:
    result = once(str(tmp_path))
    assert isinstance(result.exception, InputError)
    assert "is a directory: give the evidence in it file by file" in str(result.exception)
    beside = once(write(3, 3), str(tmp_path))
    assert "is a directory" in beside.stderr
    assert "T001 Nonp" in beside.stdout


def test_a_time_without_samples_is_told_with_the_times_there_are(write: Callable[..., str]) -> None:
    result = once(write(3, 3), "--since", "2030-01-01")
    assert isinstance(result.exception, InputError)
    assert str(result.exception) == (
        "no sample lies between --since and --until: the samples reach from 2021-01-10T12:00:00 to 2021-01-10T13:00:00"
        " (UTC)"
    )


def test_files_that_hold_nothing_are_not_told_as_a_wrong_time(tmp_path: Path) -> None:
    path = tmp_path / "nothing.txt"
    path.write_text("nothing at all\n")
    assert "nothing in these files can be played" in str(once(str(path), "--since", "2030-01-01").exception)


@pytest.mark.parametrize(("counts", "cut"), [((40, 40, 15), True), ((40, 15, 40), False), ((10, 4), False)])
def test_a_last_screen_that_was_cut_is_told(write: Callable[..., str], counts: tuple[int, ...], cut: bool) -> None:
    said = once(write(*counts)).stderr
    assert ("the last sample has 15 tags, the one before 40" in said) == cut


def test_the_screen_says_it_too(write: Callable[..., str]) -> None:
    opened = open_files([write(40, 15)], None, None, NOTHING_ASSUMED, AS_FOUND, EVERYTHING)
    assert any("the last sample has 15 tags" in note for note in opened.series.notes)


class Pair:
    """Two samples of 100 and of 10 tags."""

    def __init__(self, *, complete: bool, broken: bool = False) -> None:
        self.times: Floats = np.array([0.0, 60.0])
        self.index, self.host, self.notes = TagIndex(), Host(), ()
        self.complete, self.broken = complete, broken

    def at(self, place: int) -> Sample:
        if self.broken:
            raise InputError("damaged")
        ids = np.arange(10 if place else 100)
        columns = np.ones(len(ids))
        return Sample(60.0 * place, TagFigures(ids, columns, columns, columns), {}, complete=self.complete)


def test_a_whole_sample_with_few_tags_is_not_cut() -> None:
    assert short_end(Pair(complete=False)) is not None
    assert short_end(Pair(complete=True)) is None
    assert short_end(Pair(complete=False, broken=True)) is None


def test_a_note_stands_once_whatever_the_form_of_its_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "rec").mkdir()
    given = Path("rec", "r.parquet")
    say_each_once([f"{given}: 3 samples are missing", f"{given.absolute()}: 3 samples are missing"], [str(given)])
    say_each_once([f"{tmp_path / 'r.parquet'}: gap", "r.parquet: gap", "s.parquet: gap"], ["r.parquet"])
    said = capsys.readouterr().err.splitlines()
    assert said[0] == f"poolsleuth: {given}: 3 samples are missing"
    assert len(said) == 3
    assert said[2] == "poolsleuth: s.parquet: gap"
