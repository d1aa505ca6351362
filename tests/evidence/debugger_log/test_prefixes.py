"""Times, line numbers, cells and quoted-printable around every line change nothing that is read."""

import io
import quopri
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from poolsleuth.evidence.debugger_log.clean import clean, hard_lines
from poolsleuth.evidence.debugger_log.reader import LogReader

LOGS = sorted((Path(__file__).parents[2] / "data" / "logs").glob("*.txt"))

WINDOWS_10 = """0: kd> !vm
Page File: \\??\\C:\\pagefile.sys
  Current:   4718592 Kb  Free Space:   4712212 Kb
  Minimum:   4718592 Kb  Maximum:     12582912 Kb
No Name for Paging File
  Current:  20971520 Kb  Free Space:  20944612 Kb
  Minimum:  20971520 Kb  Maximum:     20971520 Kb

Physical Memory:          2081567 (    8326268 Kb)
Available Pages:           962114 (    3848456 Kb)
NonPagedPool Usage:             8 (         32 Kb)
NonPagedPoolNx Usage:       60111 (     240444 Kb)
NonPagedPool Max:      4294967296 (17179869184 Kb)
PagedPool Usage:            92114 (     368456 Kb)
PagedPool Maximum:     4294967296 (17179869184 Kb)
Committed pages:          1411233 (    5644932 Kb)
Commit limit:             3261215 (   13044860 Kb)

  Pid ImageName                           Commit   SharedCommit            Debt
    4 System                              268 Kb          48 Kb            0 Kb
  1a4 smss.exe                           1132 Kb          60 Kb            0 Kb
"""


def facts(text: str) -> list[str]:
    reader = LogReader(0)
    found = [repr(fact) for fact in reader.read(io.BytesIO(text.encode()))]
    assert reader.problems == []
    return found


def unplaced(found: list[str]) -> list[str]:
    return [re.sub(r"line=\d+", "", fact) for fact in found]


def numbered(form: str) -> Callable[[str], str]:
    return lambda text: "\n".join(form.format(n) + line for n, line in enumerate(text.split("\n"), 1))


def each(before: str, behind: str = "") -> Callable[[str], str]:
    return lambda text: "\n".join(before + line + behind for line in text.split("\n"))


@pytest.mark.parametrize("path", [*LOGS, None], ids=lambda path: path.stem if path else "windows 10")
@pytest.mark.parametrize(
    "damage",
    [
        each("[10:23:01] "),
        each("10:23:01.123 "),
        each("2024-03-12T03:14:58Z "),
        each("2024-03-12 03:14:58,123 "),
        each("03/12/2024 10:23:01 AM | "),
        each("> [10:23:01] "),
        numbered("{:4}: "),
        numbered("{} | "),
        numbered("{:04}  "),
        numbered("> {:4}: "),
        each("|", "|"),
        each("| ", " |"),
    ],
)
def test_a_prefix_changes_nothing(damage: Callable[[str], str], path: Path | None) -> None:
    text = path.read_text() if path else WINDOWS_10
    assert facts(damage(text)) == facts(text) != []


@pytest.mark.parametrize("path", LOGS, ids=lambda path: path.stem)
def test_quoted_printable(path: Path) -> None:
    # Equals signs and a line that is long enough to be broken
    text = path.read_text() + "\n" + "Contention Count = 40, a long line that goes on and on behind it, and on\n" * 3
    packed = quopri.encodestring(text.encode(), quotetabs=False).decode()
    assert packed != text
    assert unplaced(facts(packed)) == unplaced(facts(text))
    assert hard_lines(clean(packed)) == packed.count("\n")


@pytest.mark.parametrize(
    ("damaged", "repaired"),
    [
        ("a =3D 1=20\nb=20=20=20c =3D 2=20\n", "a = 1 \nb   c = 2 \n"),
        ("x=3D1 caf=C3=A9 caf=E9 n=C2=A0b=20\n", "x=1 caf\u00e9 caf\u00e9 n b \n"),
        ("Calls made to =\nMmAllocate =3D=20\n", "Calls made to MmAllocate = \n\n"),
    ],
)
def test_quoted_printable_signs(damaged: str, repaired: str) -> None:
    assert clean(damaged) == repaired


@pytest.mark.parametrize(
    "text",
    [
        "82780000: ..OO OOOO OOOO OOOO\n82790000: OOPP PPPP PPPP PPPP\n827a0000: PPPP PPPP PPPP OOOO\n",
        "82780000  41 42 43 44\n82780001  41 42 43 44\n82780002  41 42 43 44\n",
        "00 f79b5000 80478b00 nt!KiSwapContext\n01 f79b5030 80478b00 nt!KiSwapThread\n02 f79b5060 80478b00 nt!Ke\n",
        " 0001  12  96  0  0\n 0002  13  104  0  0\n 0003  14  112  0  0\n",
        "10:23:01 it began\ntext\n10:24:02 it ended\ntext\ntext\n",
        "12: one\n13: two\ntext\n",
        "12: one\n15: two\n19: three\n",
        "eax=20000000 ebx=3d000000 ecx=20 edx=00000001\neip=80478b20 esp=00000001\n",
        "=====\n=====\nx = y\n",
    ],
)
def test_what_is_no_prefix_stays(text: str) -> None:
    assert clean(text) == text
