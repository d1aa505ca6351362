"""``!memusage``: page lists and mapped files."""

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
from poolsleuth.model.memory import FileUse, MemoryUsage

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


SAMPLE = """kd> !memusage
loading PFN database
loading (100% complete)
Compiling memory usage data (99% Complete).
             Zeroed:      218 (     872 kb)
               Free:      831 (    3324 kb)
            Standby:   124049 (  496196 kb)
           Modified:    55101 (  220404 kb)
    ModifiedNoWrite:       58 (     232 kb)
       Active/Valid:   321846 ( 1287384 kb)
         Transition:        8 (      32 kb)
          SLIST/Bad:     1533 (    6132 kb)
                Bad:        0 (       0 kb)
              TOTAL:   503644 ( 2014576 kb)

Dangling Yes Commit:      184 (     736 kb)
 Dangling No Commit:    81706 (  326824 kb)
  Building kernel map
  Finished building kernel map
  Usage Summary (in Kb):
Control       Valid Standby Dirty Shared Locked PageTables  name
fffffa8000c5fa60     56    376     4     0     0     0  mapped_file( browseui.dll )
fffffa8000c5fb70    152     44     0   116     0     0  mapped_file( MSVCRT.DLL )
fffffa8000c5fc80      4      0     0     0     0     0    No Name for File
--------   1276      0     0   -----     0   104  process ( System )
"""


def test_lists_and_files() -> None:
    (usage,) = read(SAMPLE)
    assert {name: figure.value // 1024 for name, figure in usage.lists.items()} == {
        "Zeroed": 872,
        "Free": 3324,
        "Standby": 496_196,
        "Modified": 220_404,
        "ModifiedNoWrite": 232,
        "Active/Valid": 1_287_384,
        "Transition": 32,
        "SLIST/Bad": 6132,
        "Bad": 0,
        "TOTAL": 2_014_576,
        "Dangling Yes Commit": 736,
        "Dangling No Commit": 326_824,
    }
    assert usage.lists["Zeroed"].where.line == 5
    assert usage.address_bits == 64
    # valid + standby + dirty; a process is no file
    assert usage.files == (
        FileUse("browseui.dll", 436 * 1024),
        FileUse("MSVCRT.DLL", 196 * 1024),
        FileUse("No Name for File", 4 * 1024),
    )


def test_rows_alone_are_enough() -> None:
    (usage,) = read("ff8636e8    56    376     0     0     0     0  mapped_file( browseui.dll )\n")
    assert (usage.lists, usage.files, usage.address_bits) == ({}, (FileUse("browseui.dll", 432 * 1024),), 32)


def test_the_largest_files_are_kept() -> None:
    rows = "".join(f"ff8636e8 {size} 0 0 0 0 0 mapped_file( f{size}.dll )\n" for size in range(1, 200))
    (usage,) = read("Control Valid Standby Dirty Shared Locked PageTables name\n" + rows)
    assert len(usage.files) == 50
    assert usage.files[0] == FileUse("f199.dll", 199 * 1024)


def test_a_banner_without_rows_is_no_fact() -> None:
    assert read("kd> !memusage\n loading PFN database\nloading (99% complete)\n") == []


def test_real_xp() -> None:
    (usage,) = only(real("data/transcripts/022_xp_memusage.txt"), MemoryUsage)
    assert usage.lists["Standby"].value == 496_196 * 1024  # Standby:   124049 (  496196 kb)
    assert usage.lists["SLIST/Temp"].value == 6132 * 1024  # SLIST/Temp:     1533 (    6132 kb)
    assert usage.lists["Dangling No Commit"].value == 326_824 * 1024  # Dangling No Commit:    81706 (  326824 kb)
    assert len(usage.lists) == 13


def test_real_windows_2000() -> None:
    (usage,) = only(real("data/transcripts/023_w2k_memusage_ca.txt"), MemoryUsage)
    assert usage.lists["TOTAL"].value == 65_532 * 1024  # TOTAL:  16383 ( 65532 kb)
    # ff8636e8    56    376     0     0     0     0  mapped_file( browseui.dll )
    assert usage.files[0] == FileUse("browseui.dll", 432 * 1024)
    assert len(usage.files) == 8
    assert usage.address_bits == 32


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
