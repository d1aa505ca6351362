"""``!sysptes``: free system PTEs and the owners of mapped pages."""

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
from poolsleuth.model.memory import PteOwner, SystemPtes

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


PLAIN = """0: kd> !sysptes
System PTE Information
  Total System Ptes 307168
    starting PTE: c0200000
  free blocks: 32   total free: 3856    largest free block: 542

Kernel Stack PTE Information
Unable to get syspte index array - skipping bins
    starting PTE: c0200000
  free blocks: 165   total free: 1503    largest free block: 75
"""

BINS = """kd> !sysptes 1

System PTE Information
  Total System Ptes 571224
     SysPtes list of size 1 has 361 free
     SysPtes list of size 23 has 29 free

    starting PTE: fffffe0059388000
    ending PTE:   fffffe00597e3ab8

      free ptes: fffffe0059388000   number free: 551557.
      free ptes: fffffe00597be558   number free: 104.

  free blocks: 3   total free: 552337    largest free block: 551557
"""

OWNERS = """0: kd> !sysptes 4

0x2c47 System PTEs allocated to mapping locked pages

VA       MDL     PageCount  Caller/CallersCaller
f0e5db48 eb6ceef0        1 ntkrpamp!MmMapLockedPages+0x15/ntkrpamp!IopfCallDriver+0x35
eb1bee64 edac5000      200 VIDEOPRT!pVideoPortGetDeviceBase+0x118/VIDEOPRT!VideoPortMapMemory+0x45
f139b5a8 0              12 rdbss!FsRtlCopyWrite2+0x34/rdbss!RxDriverEntry+0x149
eb41f400 1              20 VIDEOPRT!pVideoPortGetDeviceBase+0x139/VIDEOPRT!VideoPortGetDeviceBase+0x1b
......
"""


def test_the_section_of_system_ptes_alone_is_read() -> None:
    (ptes,) = read(PLAIN)
    assert ptes.total.value == 307_168  # Total System Ptes 307168
    # free blocks: 32   total free: 3856    largest free block: 542
    assert (ptes.free_blocks.value, ptes.free.value, ptes.largest_free_block.value) == (32, 3856, 542)
    assert ptes.address_bits == 32
    assert ptes.allocated_to_mdls is None
    assert ptes.owners == ()


def test_kernel_stack_ptes_alone_say_nothing_of_system_ptes() -> None:
    assert read(PLAIN[PLAIN.index("Kernel Stack") :]) == []


def test_a_lost_heading_is_no_loss() -> None:
    (ptes,) = read(PLAIN[PLAIN.index("    starting PTE") :])
    assert (ptes.total, ptes.free.value) == (None, 3856)


def test_bins_and_free_lists() -> None:
    (ptes,) = read(BINS)
    assert ptes.total.value == 571_224  # Total System Ptes 571224
    assert ptes.free.value == 552_337  # total free: 552337
    assert ptes.address_bits == 64


def test_owners_are_summed_by_caller_in_hex() -> None:
    (ptes,) = read(OWNERS)
    assert ptes.allocated_to_mdls.value == 0x2C47
    assert ptes.owners == (
        PteOwner("VIDEOPRT!pVideoPortGetDeviceBase", 0x220),  # 200 and 20
        PteOwner("rdbss!FsRtlCopyWrite2", 0x12),
        PteOwner("ntkrpamp!MmMapLockedPages", 1),
    )
    assert ptes.free is None


def test_a_cut_total_keeps_the_rest() -> None:
    (ptes,) = read("kd> !sysptes\nSystem PTE Information\n  free blocks: 32   total free: 3856    largest fre")
    assert (ptes.free.value, ptes.largest_free_block) == (3856, None)


def test_real_owners() -> None:
    (ptes,) = only(real("data/transcripts/021_w2k3_sysptes_4_mdl.txt"), SystemPtes)
    assert ptes.allocated_to_mdls.value == 11_335  # 0x2c47 System PTEs allocated to mapping locked pages
    # eb1bee64 edac5000      200 VIDEOPRT!pVideoPortGetDeviceBase+0x118/..., eb41f400 ... 20, eb41f1e4 ... 10
    assert ptes.owners[0] == PteOwner("VIDEOPRT!pVideoPortGetDeviceBase", 0x230)
    assert ptes.owners[1] == PteOwner("NDIS!NdisReadNetworkAddress", 0x20)
    assert sum(owner.pages for owner in ptes.owners) == 0x230 + 0x20 + 0x12 + 9


def test_real_windows_7() -> None:
    (ptes,) = only(real("data/transcripts/050_win7x86_sysptes_mitype.txt"), SystemPtes)
    # Total System Ptes 307168 / free blocks: 32 total free: 3856 largest free block: 542
    assert (ptes.total.value, ptes.free.value, ptes.largest_free_block.value) == (307_168, 3856, 542)


@pytest.mark.parametrize("damage", DAMAGE)
@pytest.mark.parametrize("sample", [PLAIN, BINS, OWNERS])
def test_damage_of_pasted_text_changes_nothing(damage: str, sample: str) -> None:
    assert plain(read(DAMAGE[damage](sample))) == plain(read(sample))
    assert read(sample)


@pytest.mark.parametrize("sample", [PLAIN, BINS, OWNERS])
def test_hard_wrapped_lines_change_nothing(sample: str) -> None:
    assert plain(read(wrapped(sample))) == plain(read(sample))


@given(cut=st.integers(0, 20_000), at=st.integers(0, 20_000), junk=st.text(max_size=12))
@settings(max_examples=80, deadline=None)
def test_any_cut_or_changed_sample_gives_facts_or_nothing(cut: int, at: int, junk: str) -> None:
    for sample in (PLAIN, BINS, OWNERS):
        for fact in read(broken(sample, cut, at, junk)):
            assert fact.where.line is not None
