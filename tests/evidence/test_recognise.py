"""What an input is, by its first bytes alone."""

from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from poolsleuth.evidence.recognise import REFUSALS, Content, content_of
from poolsleuth.model.errors import InputError

SHARED = Path(__file__).parents[3] / "shared"
LOGS = sorted((Path(__file__).parents[1] / "data" / "logs").glob("*.txt"))

TAGS = "rem the tags\nAbcd - abc.sys - Some buffers\nEfg  - <unknown>    - Others\nHi   - nt!hi  - More\n"


@pytest.mark.parametrize(
    ("sample", "content"),
    [
        (b"PAGEDUMP" + bytes(100), Content.CRASH_DUMP),
        (b"PAGEDU64" + bytes(100), Content.CRASH_DUMP),
        (b"MDMP\x93\xa7" + bytes(100), Content.USER_DUMP),
        (b"MZ\x90\0\x03" + bytes(100), Content.DRIVER),
        (b"\x7fELF\x02" + bytes(100), Content.MEMORY_IMAGE),
        (b"MZ is how this text begins\n", Content.TEXT),
        (b'{\n "schema": "poolsleuth.report/1"}', Content.REPORT),
        (b'\xef\xbb\xbf{"schema": "other"}', Content.REPORT),
        (b'{"no": "report"}', Content.TEXT),
        (b'"(PDH-CSV 4.0) (Pacific Daylight Time)(420)","\\\\HOST\\Memory\\Available Bytes"', Content.COUNTER_LOG),
        (b'"(PDH-TSV 4.0) (GMT)(0)"\t"x"', Content.COUNTER_LOG),
        (TAGS.encode(), Content.POOL_TAGS),
        (TAGS.encode("utf-16"), Content.POOL_TAGS),
        (b"0: kd> !vm\n*** Virtual Memory Usage ***\n", Content.TEXT),
        (b"", Content.TEXT),
        (b"Some - prose with - dashes, and more\nof it\nthat is\nno list\n", Content.TEXT),
    ],
)
def test_kinds(sample: bytes, content: Content) -> None:
    assert content_of(sample) is content


def test_a_log_that_quotes_tags_is_a_log() -> None:
    assert content_of(("0: kd> !poolused 2\n" + "line\n" * 20 + TAGS).encode()) is Content.TEXT


@pytest.mark.parametrize("path", LOGS, ids=lambda path: path.stem)
def test_our_logs_are_text(path: Path) -> None:
    assert content_of(path.read_bytes()[:65536]) is Content.TEXT


def test_every_refusal_is_a_sentence() -> None:
    for content, says in REFUSALS.items():
        assert content not in {Content.TEXT, Content.REPORT, Content.POOL_TAGS}
        assert says.startswith("it is ")


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("counters/PowerShell_CounterSamples.blg", Content.TRACE_OR_BLG),
        ("counters/PowerShell_CorruptBlg.blg", Content.COUNTER_LOG),
        ("counters/PowerShell_CounterSamples.csv", Content.COUNTER_LOG),
        ("counters/PowerShell_CounterSamples.tsv", Content.COUNTER_LOG),
        ("counters/PAL_SampleLog.blg", Content.TRACE_OR_BLG),
        ("counters/ShutdownPerfDiagLogger.etl", Content.TRACE_OR_BLG),
        ("dumps/triage_x64.dmp", Content.CRASH_DUMP),
        ("dumps/full_x64_header_16k.bin", Content.CRASH_DUMP),
        ("pooltag/pooltag.txt", Content.POOL_TAGS),
    ],
)
def test_real_files(name: str, content: Content) -> None:
    path = SHARED / "data" / name
    if not path.is_file():
        pytest.skip(f"{name} is not there")
    with path.open("rb") as file:
        assert content_of(file.read(65536)) is content


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=400))
def test_any_bytes(sample: bytes) -> None:
    with suppress(InputError):
        assert isinstance(content_of(sample), Content)
