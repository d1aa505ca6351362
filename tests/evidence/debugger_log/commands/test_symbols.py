"""The addresses expected here stand in the quoted lines of real outputs."""

import io
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from poolsleuth.evidence.debugger_log.commands import symbols
from poolsleuth.evidence.debugger_log.reader import LogReader
from poolsleuth.model.facts import Fact
from poolsleuth.model.modules import SymbolAddress

SHARED = Path(__file__).parents[5] / "shared"

ROWS = """2: kd> x nt!ExAllocatePool
e0894d1f nt!ExAllocatePool

0: kd> x ECHO!Echo*
fffff801`0bf95690 ECHO!EchoEvtIoQueueContextDestroy (void *)
fffff805`28e51a80 nt!PsActiveProcessHead = <no type information>
fffff801`0bf95000          struct _LIST_ENTRY nt!PsLoadedModuleList = struct _LIST_ENTRY [ 0x1 - 0x2 ]
"""

DAMAGES: dict[str, Callable[[str], str]] = {
    "as it was": lambda text: text,
    "double spaced": lambda text: text.replace("\n", "\n\n"),
    "collapsed": lambda text: "\n".join(re.sub(r"\s+", " ", line).strip() for line in text.splitlines()),
    "quoted": lambda text: "".join(f"> {line}\n" for line in text.splitlines()),
    "tabbed": lambda text: "".join(f"\t{line}\n" for line in text.splitlines()),
    "wrapped": lambda text: text.replace(" (void", "\n(void").replace(" = <", "\n= <"),
    "in backticks": lambda text: "".join(f"`{line.replace('`', chr(39))}`\n" for line in text.splitlines()),
    "without prompts": lambda text: re.sub(r"(?m)^.*kd> .*\n", "", text),
}


def read(text: str) -> list[Fact]:
    reader = LogReader(0)
    facts = list(reader.read(io.BytesIO(text.encode("utf-8", "replace"))))
    assert not [p for p in reader.problems if "could not be read" in p.says]
    return facts


def found(text: str) -> list[tuple[str, int, int | None]]:
    return [(f.symbol, f.address, f.address_bits) for f in read(text) if isinstance(f, SymbolAddress)]


@pytest.mark.parametrize("damage", DAMAGES)
def test_rows(damage: str) -> None:
    assert found(DAMAGES[damage](ROWS)) == [
        ("nt!ExAllocatePool", 0xE0894D1F, 32),
        ("ECHO!EchoEvtIoQueueContextDestroy", 0xFFFFF8010BF95690, 64),
        ("nt!PsActiveProcessHead", 0xFFFFF80528E51A80, 64),
        ("nt!PsLoadedModuleList", 0xFFFFF8010BF95000, 64),
    ]


@pytest.mark.parametrize(
    "line",
    [
        "f7a3fc5c 80526da0 nt!KiTrap0E",  # a stack frame
        "f50b8058 e0894d1f nt!ExAllocatePool",  # dps
        "80526da0 nt!KiTrap0E+0xcc",  # never an offset
        "8053d638 8bff            mov     edi,edi nt!KiTrap0E",
        "00 f7a3fc5c 80526da0 nt!KiTrap0E",
        "e0894d1f nt",
    ],
)
def test_other_rows(line: str) -> None:
    assert found(line + "\n") == []


def test_user_mode_is_not_the_kernel() -> None:
    assert found("0:002> x ntdll!RtlAllocateHeap\n77e80000 ntdll!RtlAllocateHeap\n") == []


def test_rows_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(symbols, "MAX_SYMBOLS", 3)
    reader = LogReader(0)
    facts = list(reader.read(io.BytesIO(b"e0894d1f nt!ExAllocatePool\n" * 5)))
    assert (len(facts), len(reader.problems)) == (3, 1)


@settings(deadline=None)
@given(st.integers(0, len(ROWS)), st.integers(0, len(ROWS)), st.text(max_size=30))
def test_damaged_outputs_never_fail(start: int, end: int, inserted: str) -> None:
    for text in (ROWS[start:end], ROWS[:start] + inserted + ROWS[end:]):
        read(text)


@pytest.mark.parametrize(
    "name", ["seeds/001_a69109390386e220.txt", "data/transcripts/002_srv2003_vm_poolused_t2_dps_lmi_flattened.txt"]
)
def test_real_files(name: str) -> None:
    path = SHARED / name
    if not path.exists():
        pytest.skip(f"{name} is absent")
    assert found(path.read_text("utf-8")) == [("nt!ExAllocatePool", 0xE0894D1F, 32)]
