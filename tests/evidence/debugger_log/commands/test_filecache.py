"""``!filecache``: sizes and files."""

import dataclasses
import io
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from poolsleuth.evidence.debugger_log.reader import LogReader
from poolsleuth.model.facts import Where
from poolsleuth.model.memory import FileCache, FileUse

SHARED = Path(__file__).resolve().parents[4].parent / "shared"


def read(text: str) -> list[Any]:
    reader = LogReader(0)
    facts = list(reader.read(io.BytesIO(text.encode())))
    assert not [problem for problem in reader.problems if "could not be read" in problem.says]
    return facts


def real(name: str) -> str:
    path = SHARED / name
    if not path.exists():
        pytest.skip(f"{name} is not here")
    return path.read_text(encoding="utf-8", errors="replace")


def only(text: str, kind: type[Any]) -> list[Any]:
    return [fact for fact in read(text) if isinstance(fact, kind)]


def plain(value: Any) -> Any:
    """A fact without its place and prompt: damage moves lines and loses prompts."""
    if isinstance(value, Where):
        return None
    if dataclasses.is_dataclass(value):
        names = [f.name for f in dataclasses.fields(value) if f.name not in {"live", "command"}]
        return {name: plain(getattr(value, name)) for name in names}
    if isinstance(value, tuple | list):
        return [plain(item) for item in value]
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    return value


def wrapped(text: str, width: int = 64) -> str:
    return re.sub(rf"(?m)^(?=.{{{width + 1}}})(.{{20,{width}}}) +(?=\S)", r"\1\n", text)


DAMAGE: dict[str, Callable[[str], str]] = {
    "double spaced": lambda text: text.replace("\n", "\n\n"),
    "collapsed": lambda text: re.sub(r"(?m) +", " ", re.sub(r"(?m)^ +", "", text)),
    "quoted": lambda text: re.sub(r"(?m)^", "> ", text),
    "tabbed": lambda text: re.sub(r"(?m)^", "\t", text),
    "hard blanks": lambda text: text.replace("  ", "\u00a0 "),
    "carriage returns": lambda text: text.replace("\n", "\r\n"),
    "no prompt": lambda text: re.sub(r"(?m)^[^\n]*kd>[^\n]*$", "", text),
}


def broken(sample: str, cut: int, at: int, junk: str) -> str:
    text = sample[: cut % (len(sample) + 1)]
    place = at % (len(text) + 1)
    return text[:place] + junk + text[place + len(junk) :]


SAMPLE = """kd> !filecache
***** Dump file cache******
  Reading and sorting VACBs ...
  Removed 1811 nonactive VACBs, processing 235 active VACBs ...
File Cache Information
  Current size 28256 kb
  Peak size    30624 kb
  235 Control Areas
Skipping view @ c1040000 - no VACB, but PTE is valid!
  Loading file cache database (100% of 131072 PTEs)
  SkippedPageTableReads = 44
  File cache has 4056 valid pages

  Usage Summary (in Kb):
Control Valid Standby/Dirty Shared Locked Name
817da668     4      0     0     0  $MftMirr
8177ae68   304    920     0     0  $LogFile
81776740    36      0     0     0    No Name for File
...
815cb9b0     4      0     0     0  00000001
"""


def test_sizes_and_files() -> None:
    (cache,) = read(SAMPLE)
    assert cache.current.value == 28_256 * 1024  # Current size 28256 kb
    assert cache.peak.value == 30_624 * 1024  # Peak size    30624 kb
    assert cache.address_bits == 32
    assert cache.files == (
        FileUse("$LogFile", 1224 * 1024),  # 304 valid, 920 standby or dirty
        FileUse("No Name for File", 36 * 1024),
        FileUse("$MftMirr", 4 * 1024),
        FileUse("00000001", 4 * 1024),
    )


def test_64_bit_addresses_without_any_header() -> None:
    text = "Control Valid Standby/Dirty Shared Locked Name\nfffffa8000c5fa60  2128     68     0     0  $Mft\n"
    (cache,) = read(text)
    assert (cache.address_bits, cache.files) == (64, (FileUse("$Mft", 2196 * 1024),))
    assert cache.current is None


def test_a_lost_name_takes_no_name_from_the_next_row() -> None:
    header = "Control Valid Standby/Dirty Shared Locked Name\n"
    (cache,) = read(header + "8177ae68   304    920     0     0\n81776740    36      0     0     0  default\n")
    assert cache.files == (FileUse("default", 36 * 1024),)


def test_a_cut_size_is_not_known() -> None:
    (cache,) = read("***** Dump file cache******\nFile Cache Information\n  Current size 28256 kb\n  Peak si")
    assert (cache.current.value, cache.peak) == (28_256 * 1024, None)


def test_real_xp() -> None:
    (cache,) = only(real("data/transcripts/024_xp_filecache.txt"), FileCache)
    assert (cache.current.value, cache.peak.value) == (28_256 * 1024, 30_624 * 1024)
    # 81723008  8632      0     0     0  software / 817dadc0  2128     68     0     0  $Mft
    assert cache.files[:2] == (FileUse("software", 8632 * 1024), FileUse("$Mft", 2196 * 1024))
    assert len(cache.files) == 50


@pytest.mark.parametrize("damage", DAMAGE)
@pytest.mark.parametrize("sample", [SAMPLE])
def test_damage_of_pasted_text_changes_nothing(damage: str, sample: str) -> None:
    assert plain(read(DAMAGE[damage](sample))) == plain(read(sample))
    assert read(sample)


@pytest.mark.parametrize("sample", [SAMPLE])
def test_hard_wrapped_lines_change_nothing(sample: str) -> None:
    assert plain(read(wrapped(sample))) == plain(read(sample))


@given(cut=st.integers(0, 20_000), at=st.integers(0, 20_000), junk=st.text(max_size=12))
@settings(max_examples=80, deadline=None)
def test_any_cut_or_changed_sample_gives_facts_or_nothing(cut: int, at: int, junk: str) -> None:
    for sample in (SAMPLE,):
        for fact in read(broken(sample, cut, at, junk)):
            assert fact.where.line is not None
