"""Real logs that Windows wrote: they lie beside the project and are skipped where they are absent."""

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from poolsleuth.evidence.counters.pdh_text import looks_like_pdh_text
from poolsleuth.evidence.debugger_log.decode import encoding_of
from poolsleuth.evidence.recognise import Content, content_of
from poolsleuth.model.errors import InputError
from poolsleuth.model.report import InputKind
from poolsleuth.model.series import CounterSeries, LogSpan
from poolsleuth.reading import Selection, read_all

Read = Callable[..., Any]

HERE = Path(__file__).parents[4]
DATA = HERE.parent / "shared" / "data"
COUNTERS = DATA / "counters"
SAMPLES = [COUNTERS / f"PowerShell_CounterSamples.{ending}" for ending in ("csv", "tsv")]
RENAMED = COUNTERS / "PowerShell_CorruptBlg.blg"


def data_of(path: Path) -> bytes:
    if not path.is_file():
        pytest.skip(f"{path.name} is not there")
    return path.read_bytes()


@pytest.mark.parametrize("path", SAMPLES, ids=lambda path: path.suffix)
def test_samples_of_powershell(path: Path, read: Read) -> None:
    outcome = read(data_of(path))
    assert outcome.error is None
    assert outcome.problems == []
    assert len(outcome.rows) == 25
    assert outcome.series == len(outcome.columns) == 10
    assert sum(len(row.cells) for row in outcome.rows) == 242
    assert 25 * 10 - 242 == 8
    # "11/26/2016 13:46:30.874"," "," "," "," "," "," ","86.93735103284412"," "," ","0" and a bias of 480 minutes
    assert outcome.utc
    assert outcome.times[0] == 1480196790.874
    assert outcome.rows[0].cells == {6: 86.93735103284412, 9: 0.0}
    # The third row: 13:46:36.879, then "0" and "3505.2011748142254"
    assert outcome.times[2] == 1480196796.879
    assert outcome.rows[2].cells[1] == 3505.2011748142254
    assert outcome.columns[1].text == (
        r"\\charlieparker\network interface(intel[r] dual band wireless-ac 7260)\bytes total/sec"
    )


def test_csv_and_tsv_are_the_same(read: Read) -> None:
    csv, tsv = (read(data_of(path)) for path in SAMPLES)
    assert csv.rows == tsv.rows
    assert csv.columns == tsv.columns


def test_a_csv_under_the_name_of_a_blg(read: Read) -> None:
    outcome = read(data_of(RENAMED))
    assert outcome.error is None
    assert outcome.problems == []
    assert len(outcome.rows) == 500
    # Nine columns, of which \Processor(_Total)\% Processor Time is listed twice with the same values
    assert outcome.series == len(outcome.columns) == 8
    # A bias of 420 minutes; the second row is of 05/29/2008 11:36:52.826 and holds "11980.986682813664"
    assert outcome.times[1] == 1212086212.826
    assert outcome.rows[1].cells[3] == 11980.986682813664
    # The last line, "05/29/2008 11:45:20.279", has no line end
    assert outcome.times[-1] == 1212086720.279


def test_recognised_by_content() -> None:
    for path in (*SAMPLES, RENAMED):
        assert content_of(data_of(path)) is Content.COUNTER_LOG


def test_becomes_series(tmp_path: Path) -> None:
    source = tmp_path / "log.csv"
    source.write_bytes(data_of(SAMPLES[0]))
    result = read_all([str(source)], None, Selection(counters=("*memory*",)))
    assert [one.kind for one in result.inputs] == [InputKind.COUNTER_LOG]
    assert result.problems == []
    (facts,) = result.facts
    spans = [fact for fact in facts if isinstance(fact, LogSpan)]
    series = [fact for fact in facts if isinstance(fact, CounterSeries)]
    assert [(span.hosts, span.samples, span.series) for span in spans] == [(("charlieparker",), 25, 10)]
    assert {("% committed bytes in use", 25), ("cache faults/sec", 24)} <= {
        (one.path.counter, one.samples) for one in series
    }


def other_texts() -> list[Path]:
    return [
        *sorted((DATA / "transcripts").glob("*.txt")),
        *sorted((DATA.parent / "seeds").glob("*.txt")),
        *sorted((DATA / "pooltag").glob("*")),
        *sorted((DATA / "poolmon").glob("*")),
        *sorted((HERE / "tests" / "data" / "logs").glob("*")),
        *sorted(file for file in (HERE / "examples").rglob("*") if file.is_file() and "counter" not in file.name),
    ]


@pytest.mark.parametrize("path", other_texts(), ids=lambda path: path.name)
def test_other_evidence_is_no_counter_log(path: Path) -> None:
    sample = path.read_bytes()[: 64 << 10]
    try:
        text = sample.decode(encoding_of(sample), errors="replace")
    except InputError:
        text = sample.decode("utf-16-le", errors="replace")
    assert not looks_like_pdh_text(text)


@pytest.mark.parametrize("path", [*SAMPLES, RENAMED], ids=lambda path: path.name)
def test_damage_gives_rows_or_an_input_error(path: Path, read: Read) -> None:
    data = data_of(path)[:6000]
    generator = random.Random(path.name)
    for _ in range(150):
        damaged = bytearray(data)
        for _ in range(generator.randint(1, 8)):
            at = generator.randrange(len(damaged))
            kind = generator.randrange(3)
            if kind == 0:
                damaged[at] = generator.randrange(256)
            elif kind == 1:
                del damaged[at : at + generator.randint(1, 200)]
            else:
                damaged[at:at] = generator.randbytes(generator.randint(1, 20))
        outcome = read(bytes(damaged))
        assert outcome.error or outcome.rows
        assert outcome.times == sorted(outcome.times)
