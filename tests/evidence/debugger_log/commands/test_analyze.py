"""Bug checks: ``!analyze``, ``.bugcheck`` and the short forms."""

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
from poolsleuth.model.system import BugCheck

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


BOX = """kd> !analyze -v
*******************************************************************************
*                                                                             *
*                        Bugcheck Analysis                                    *
*                                                                             *
*******************************************************************************

DRIVER_VERIFIER_DETECTED_VIOLATION (c4)
A device driver attempting to corrupt the system has been caught.  This is
because the driver was specified in the registry as being suspect.
Arguments:
Arg1: 00000062, A driver has forgotten to free its pool allocations prior to unloading.
Arg2: 9707712c, name of the driver having the issue.
Arg3: 9c1faf70, verifier internal structure with driver information.
Arg4: 00000003, total # of (paged+nonpaged) allocations that weren't freed.

Debugging Details:
------------------

BUGCHECK_STR:  0xc4_62

BUGCHECK_CODE:  c4

BUGCHECK_P1: 62

BUGCHECK_P2: ffffffff9707712c

BUGCHECK_P3: ffffffff9c1faf70

BUGCHECK_P4: 3

PROCESS_NAME:  System

SYMBOL_NAME:  Mydriver+1170

MODULE_NAME: Mydriver

IMAGE_NAME:  Mydriver.sys

FAILURE_BUCKET_ID:  0xc4_62_LEAKED_POOL_IMAGE_Mydriver.sys

Followup:     MachineOwner
---------
"""

FREED = """0: kd> !analyze -v
* *
* Bugcheck Analysis *
* *

BAD_POOL_CALLER (c2)
The current thread is making a bad pool request.
Arguments:
Arg1: 0000000000000007, Attempt to free pool which was already freed
Arg2: 00000000e56c6946, Pool tag value from the pool header
Arg3: 0000000002060008, Memory contents of the pool block
Arg4: ffffe00012345678, Address of the block of pool being deallocated

FREED_POOL_TAG:  File

DEFAULT_BUCKET_ID:  WIN8_DRIVER_FAULT

BUCKET_ID:  0xc2_7_File_x!Free+1170

BugCheck C2, {7, e56c6946, 2060008, ffffe00012345678}

Probably caused by : x.sys ( x!Free+1170 )
"""

DOT = """kd> .bugcheck
Bugcheck code 000000D1
Arguments 00000000 0000001c 00000000 f7a3c2de
"""


def test_a_full_box_is_one_fact() -> None:
    (check,) = read(BOX)
    assert (check.code, check.name) == (0xC4, "DRIVER_VERIFIER_DETECTED_VIOLATION")
    assert check.parameters == (0x62, 0x9707712C, 0x9C1FAF70, 3)
    assert check.argument_texts == (
        "A driver has forgotten to free its pool allocations prior to unloading.",
        "name of the driver having the issue.",
        "verifier internal structure with driver information.",
        "total # of (paged+nonpaged) allocations that weren't freed.",
    )
    assert (check.module, check.image, check.symbol) == ("Mydriver", "Mydriver.sys", "Mydriver+1170")
    assert (check.process, check.bucket) == ("System", "0xc4_62_LEAKED_POOL_IMAGE_Mydriver.sys")
    assert check.tag is None
    assert check.address_bits == 32
    assert check.where.line == 8


def test_a_collapsed_box_and_the_tag() -> None:
    (check,) = read(FREED)
    assert (check.code, check.tag) == (0xC2, "File")
    assert check.parameters == (7, 0xE56C6946, 0x2060008, 0xFFFFE00012345678)
    # Probably caused by : x.sys ( x!Free+1170 )
    assert (check.image, check.symbol, check.module) == ("x.sys", "x!Free+1170", None)
    assert check.bucket == "0xc2_7_File_x!Free+1170"
    assert check.address_bits == 64


def test_a_tag_in_an_argument_is_reversed_and_may_be_protected() -> None:
    # e56c6946 = 80000000 (Protected) + 656c6946, in memory 46 69 6c 65: File
    (check,) = read(FREED.replace("FREED_POOL_TAG:  File\n", ""))
    assert check.tag == "File"


@pytest.mark.parametrize("value", ["00000000", "0000000000000001", "02060008"])
def test_a_number_that_is_no_text_is_no_tag(value: str) -> None:
    arguments = FREED[: FREED.index("FREED_POOL_TAG")]
    (check,) = read(arguments.replace("00000000e56c6946", value))
    assert check.tag is None


def test_dot_bugcheck() -> None:
    (check,) = read(DOT)
    assert (check.code, check.parameters, check.address_bits) == (0xD1, (0, 0x1C, 0, 0xF7A3C2DE), 32)
    assert check.name is None
    (wide,) = read("Bugcheck code 0000003B\nArguments 00000000`c0000005 fffff800`01a1f000 00000000`00000000\n")
    assert (wide.parameters, wide.address_bits) == ((0xC0000005, 0xFFFFF80001A1F000, 0), 64)


def test_a_live_target_and_its_analysis_are_one_bug_check() -> None:
    text = """*** Fatal System Error: 0x000000c4
                       (0x00000062,0x9707712C,0x9C1FAF70,0x00000003)

*                        Bugcheck Analysis                                    *
Use !analyze -v to get detailed debugging information.

BugCheck C4, {62, ffffffff9707712c, ffffffff9c1faf70, 3}

Probably caused by : Mydriver.sys
"""
    (check,) = read(text)
    assert (check.code, check.image, check.address_bits) == (0xC4, "Mydriver.sys", 32)
    assert check.parameters == (0x62, 0x9707712C, 0x9C1FAF70, 3)


def test_two_bug_checks_are_two_facts() -> None:
    first, second = read(BOX[BOX.index("DRIVER") :] + FREED[FREED.index("BAD") :])
    assert (first.code, first.image) == (0xC4, "Mydriver.sys")
    assert (second.code, second.image, second.module) == (0xC2, "x.sys", None)


@pytest.mark.parametrize(
    ("text", "code", "parameters"),
    [
        ("BugCheck 8E, {c0000005, 805b4b2c, f7a3c2de, 0}\n", 0x8E, (0xC0000005, 0x805B4B2C, 0xF7A3C2DE, 0)),
        ("Bugcheck code: 0xD1 (0x0, 0x2, 0x0, 0xFFFFF80001A1F000)\n", 0xD1, (0, 2, 0, 0xFFFFF80001A1F000)),
        ("BUGCHECK_CODE: 19\nBUGCHECK_P1: 22\nBUGCHECK_P2: 0\nBUGCHECK_P3: 1\nBUGCHECK_P4: 0\n", 0x19, (0x22, 0, 1, 0)),
        ("BUGCHECK_CODE:  19\n\nBUGCHECK_P1: 22\n\nBUGCHECK_P3: 1\n", 0x19, ()),  # a lost line must not move others
        ("*** Fatal System Error: 0x000000c4\n", 0xC4, ()),
        ("Unknown bugcheck code (deadbeef)\nArg1: 00000000\nArg2: 00000001\n", 0xDEADBEEF, (0, 1)),
    ],
)
def test_short_forms(text: str, code: int, parameters: tuple[int, ...]) -> None:
    (check,) = read(text)
    assert (check.code, check.parameters) == (code, parameters)


def test_a_capital_name_with_a_number_is_no_bug_check() -> None:
    assert read("IRP_MJ_CREATE (0)\nnt!IopInvalidDeviceRequest\n") == []
    assert read("Bugcheck Analysis of last week\nnothing here\n") == []


def test_what_the_debugger_does_not_know_is_not_known() -> None:
    (check,) = read("BugCheck 7A, {1, 2, 3, 4}\n\nProbably caused by : Unknown_Image ( ANALYSIS_INCONCLUSIVE )\n")
    assert (check.image, check.symbol) == (None, None)


def test_real_leak_on_unload() -> None:
    (check,) = only(real("data/transcripts/032_win81x86_c4_62_verifier3.txt"), BugCheck)
    # Arg1: 00000062, A driver has forgotten to free its pool allocations prior to unloading. / Arg4: 00000003, ...
    assert (check.code, check.parameters[0], check.parameters[3]) == (0xC4, 0x62, 3)
    assert check.argument_texts[0].startswith("A driver has forgotten to free")


def test_real_double_free() -> None:
    (check,) = only(real("data/transcripts/039_win11_0x19_analyze_pool_poolval.txt"), BugCheck)
    # BAD_POOL_HEADER (19) / Arg1: 0000000000000022, / Arg2: ffffbd06d46e0000
    assert (check.code, check.name) == (0x19, "BAD_POOL_HEADER")
    assert check.parameters == (0x22, 0xFFFFBD06D46E0000, 1, 0)
    assert (check.image, check.symbol, check.process) == ("Driver.sys", "Driver+1170", "System")
    assert check.bucket == "0x19_22_Driver!unknown_function"
    assert (check.tag, check.argument_texts) == (None, ())


@pytest.mark.parametrize("damage", DAMAGE)
@pytest.mark.parametrize("sample", [BOX, FREED, DOT])
def test_damage_of_pasted_text_changes_nothing(damage: str, sample: str) -> None:
    assert plain(read(DAMAGE[damage](sample))) == plain(read(sample))
    assert read(sample)


@pytest.mark.parametrize("sample", [BOX, FREED, DOT])
def test_hard_wrapped_lines_change_nothing(sample: str) -> None:
    assert plain(read(wrapped(sample))) == plain(read(sample))


@given(cut=st.integers(0, 20_000), at=st.integers(0, 20_000), junk=st.text(max_size=12))
@settings(max_examples=80, deadline=None)
def test_any_cut_or_changed_sample_gives_facts_or_nothing(cut: int, at: int, junk: str) -> None:
    for sample in (BOX, FREED, DOT):
        for fact in read(broken(sample, cut, at, junk)):
            assert fact.where.line is not None
