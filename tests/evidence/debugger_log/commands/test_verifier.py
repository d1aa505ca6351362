"""``!verifier`` in its three layouts."""

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
from poolsleuth.model.system import VerifiedAllocation, VerifierState

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


OLD = """2: kd> !verifier 0xf

Verify Level 9bb ... enabled options are:
    Special pool
    Special irql
    All pool allocations checked on unload

Summary of All Verifier Statistics

RaiseIrqls                             0x0
Trims                                  0xa34a

Pool Allocations Attempted             0x7b058
Pool Allocations Succeeded             0x7b058
Pool Allocations With NO TAG           0x2
Pool Allocations Failed                0x1
Resource Allocations Failed Deliberately   0x10

Current paged pool allocations         0x1a for 00000950 bytes

Driver Verification List

Entry     State           NonPagedPool   PagedPool   Module

fffffa8003b6f670 Loaded           000000a0       00000854    videoprt.sys

Current Pool Allocations  00000002    00000013
Current Pool Bytes        000000a0    00000854
Peak Pool Allocations     00000006    00000014
Peak Pool Bytes           000008c0    000009c8

PoolAddress  SizeInBytes    Tag       CallersAddress
fffff9800157efc0     0x0000003c     Vprt      fffff88002c62963
fffff980015bafe0     0x00000018     Io 1      fffff88002c628f7
...

fffffa8003b6f620 Unloaded         00046070       000000fc    usbport.sys

Fault injection trace log
Driver Verifier didn't inject any faults.
"""

NEW = """kd> !verifier 3 Mydriver.sys

Verify Flags Level 0x000209ba

  STANDARD FLAGS:
    [X] (0x00000000) Automatic Checks
    [ ] (0x00000001) Special pool
    [X] (0x00000008) Pool tracking

  ADDITIONAL FLAGS:
    [ ] (0x00000004) Randomized low resources simulation

    [X] Indicates flag is enabled

Summary of All Verifier Statistics

  Pool Allocations Attempted             0x2db1a
  Pool Allocations With NO TAG           0x0
  Pool Allocations Failed                0x0

## Driver Verification List

  MODULE: 0x84226b28 MyDriver.sys (Loaded)

    Pool Allocation Statistics: ( NonPagedPool / PagedPool )

      Current Pool Allocations: ( 0x00000003 / 0x00000000 )
      Current Pool Bytes:       ( 0x00001058 / 0x00000000 )
      Peak Pool Allocations:    ( 0x00000013 / 0x00000000 )

    Pool Allocations:

      Address     Length      Tag   Caller
      ----------  ----------  ----  ----------
      0x982a8fe0  0x00000020  VMdl  0x9a3bf6ac  MyDriver!DeviceControlDispatch
      0x8645a000  0x00001008  mdrv  0x9a3bf687
"""


def test_the_old_layout() -> None:
    (state,) = read(OLD)
    assert state.level == 0x9BB
    assert state.options == ("Special pool", "Special irql", "All pool allocations checked on unload")
    assert state.special_pool is True
    assert state.injected_failures.value == 16  # Resource Allocations Failed Deliberately   0x10
    assert (state.failed.value, state.untagged.value) == (1, 2)
    assert state.address_bits == 64
    video, usb = state.drivers
    assert (video.name, video.state) == ("videoprt.sys", "Loaded")
    # Current Pool Allocations  00000002    00000013 / Current Pool Bytes        000000a0    00000854
    assert (video.nonpaged_allocations, video.paged_allocations) == (2, 0x13)
    assert (video.nonpaged_bytes, video.paged_bytes) == (0xA0, 0x854)
    assert video.allocations == (
        VerifiedAllocation(0xFFFFF9800157EFC0, 0x3C, "Vprt", "fffff88002c62963"),
        VerifiedAllocation(0xFFFFF980015BAFE0, 0x18, "Io 1", "fffff88002c628f7"),
    )
    # fffffa8003b6f620 Unloaded         00046070       000000fc    usbport.sys
    assert (usb.state, usb.nonpaged_bytes, usb.nonpaged_allocations) == ("Unloaded", 0x46070, None)


def test_the_new_layout() -> None:
    (state,) = read(NEW)
    assert state.level == 0x209BA
    assert state.options == ("Automatic Checks", "Pool tracking")
    assert state.special_pool is False
    assert state.injected_failures is None
    (driver,) = state.drivers
    assert (driver.name, driver.state) == ("MyDriver.sys", "Loaded")
    # Current Pool Allocations: ( 0x00000003 / 0x00000000 ) / Current Pool Bytes: ( 0x00001058 / 0x00000000 )
    assert (driver.nonpaged_allocations, driver.paged_allocations, driver.nonpaged_bytes) == (3, 0, 0x1058)
    assert driver.allocations == (
        VerifiedAllocation(0x982A8FE0, 0x20, "VMdl", "MyDriver!DeviceControlDispatch"),
        VerifiedAllocation(0x8645A000, 0x1008, "mdrv", "0x9a3bf687"),
    )
    assert state.address_bits == 32


def test_without_the_level_nothing_is_said_about_special_pool() -> None:
    (state,) = read(OLD[OLD.index("Summary of All") :])
    assert (state.level, state.options, state.special_pool) == (None, (), None)
    assert state.failed.value == 1


def test_real_windows_7() -> None:
    (state,) = only(real("data/transcripts/031_win7x64_verifier_0xf.txt"), VerifierState)
    assert state.level == 0x9BB  # Verify Level 9bb ... enabled options are:
    assert len(state.options) == 8
    assert state.injected_failures.value == 0  # Resource Allocations Failed Deliberately   0x0
    assert [driver.name for driver in state.drivers] == ["videoprt.sys", "usbport.sys"]
    assert [len(driver.allocations) for driver in state.drivers] == [3, 3]
    # Current Pool Allocations  000000e1    00000007 (usbport.sys)
    assert state.drivers[1].nonpaged_allocations == 0xE1
    # fffff9800146afc0     0x00000034     Vprt      fffff88002c62963
    assert state.drivers[0].allocations[1].size == 0x34


def test_real_windows_8() -> None:
    (state,) = only(real("data/transcripts/032_win81x86_c4_62_verifier3.txt"), VerifierState)
    assert (state.level, state.special_pool) == (0x209BB, True)  # Verify Flags Level 0x000209bb
    assert len(state.options) == 10
    (driver,) = state.drivers
    assert driver.nonpaged_bytes == 0x1058  # Current Pool Bytes:       ( 0x00001058 / 0x00000000 )
    # 0x8645a000  0x00001008  mdrv  0x9a3bf687  MyDriver!DeviceControlDispatch
    assert driver.allocations[1] == VerifiedAllocation(0x8645A000, 0x1008, "mdrv", "MyDriver!DeviceControlDispatch")
    assert sum(block.size for block in driver.allocations) == driver.nonpaged_bytes


@pytest.mark.parametrize("damage", DAMAGE)
@pytest.mark.parametrize("sample", [OLD, NEW])
def test_damage_of_pasted_text_changes_nothing(damage: str, sample: str) -> None:
    assert plain(read(DAMAGE[damage](sample))) == plain(read(sample))
    assert read(sample)


@pytest.mark.parametrize("sample", [OLD, NEW])
def test_hard_wrapped_lines_change_nothing(sample: str) -> None:
    assert plain(read(wrapped(sample))) == plain(read(sample))


@given(cut=st.integers(0, 20_000), at=st.integers(0, 20_000), junk=st.text(max_size=12))
@settings(max_examples=80, deadline=None)
def test_any_cut_or_changed_sample_gives_facts_or_nothing(cut: int, at: int, junk: str) -> None:
    for sample in (OLD, NEW):
        for fact in read(broken(sample, cut, at, junk)):
            assert fact.where.line is not None
