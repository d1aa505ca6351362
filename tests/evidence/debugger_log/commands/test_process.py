"""``!process``: names, pids and handle counts."""

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
from poolsleuth.model.system import ProcessList

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


SAMPLE = """lkd> !process 0 0
**** NT ACTIVE PROCESS DUMP ****
PROCESS 85a4c5f8  SessionId: none  Cid: 0004    Peb: 00000000  ParentCid: 0000
    DirBase: 00185000  ObjectTable: 87801c50  HandleCount: 1234.
    Image: System

PROCESS 89e1ead8  SessionId: 1  Cid: 0acc    Peb: 7ffdf000  ParentCid: 0abc
    DirBase: 7e6e0440  ObjectTable: 9ca0ca68  HandleCount: <Data Not Accessible>
    Image: Test App.exe

PROCESS 88b0dd88  SessionId: 3  Cid: 1b90    Peb: 7ffde000
    ParentCid: 1b84
    DirBase: 4072d000  ObjectTable: d8651450  HandleCount: 414.
    Image: ApplicationA.exe
"""

FULL = """0: kd> !process 0 7
PROCESS ffffc083e1a7e080
    SessionId: none  Cid: 0004    Peb: 00000000  ParentCid: 0000
    DirBase: 001aa000  ObjectTable: ffffb58d1fc14a40  HandleCount: 3,512.
    Image: System
    VadRoot ffffc083e1ab7ab0 Vads 4 Clone 0 Private 21. Modified 158. Locked 0.
    ElapsedTime                       02:11:26.000

        THREAD ffffc083e1b0a040  Cid 0004.000c  Teb: 0000000000000000 Win32Thread: 0000000000000000 WAIT
        Owning Process            ffffc083e1a7e080       Image:         System
        HandleCount: 99.
"""


def test_rows() -> None:
    (processes,) = read(SAMPLE)
    rows = [(p.name, p.pid, p.address, p.handles, p.session) for p in processes.processes]
    assert rows == [
        ("System", 4, 0x85A4C5F8, 1234, None),  # SessionId: none  Cid: 0004 ... HandleCount: 1234.
        ("Test App.exe", 0xACC, 0x89E1EAD8, None, 1),  # HandleCount: <Data Not Accessible>
        ("ApplicationA.exe", 0x1B90, 0x88B0DD88, 414, 3),
    ]
    assert [p.where.line for p in processes.processes] == [3, 7, 11]
    assert processes.address_bits == 32
    assert processes.live is True


def test_threads_are_left_out() -> None:
    (processes,) = read(FULL)
    (process,) = processes.processes
    assert (process.name, process.handles, process.session) == ("System", 3512, None)
    assert processes.address_bits == 64


def test_on_one_line() -> None:
    (processes,) = read(" ".join(SAMPLE[SAMPLE.index("PROCESS 8") :].split()))
    assert [p.name for p in processes.processes] == ["System", "Test App.exe", "ApplicationA.exe"]
    assert [p.handles for p in processes.processes] == [1234, None, 414]


def test_a_missing_handle_count_is_not_known() -> None:
    (processes,) = read("PROCESS 80a02a60  Cid: 0002    Peb: 00000000\nDirBase: 00006e05\nImage: System\n")
    assert [(p.handles, p.session) for p in processes.processes] == [(None, None)]


def test_lists_larger_than_a_piece_of_text() -> None:
    stack = "        fafa3d48 80506a17 nt!KiSwapThread+0x85 (FPO: [Non-Fpo])\n" * 200
    one = FULL + stack
    (processes,) = read("0: kd> !process 0 7\n" + one[one.index("PROCESS") :] * 300)
    assert len(processes.processes) == 300
    assert {(p.name, p.handles) for p in processes.processes} == {("System", 3512)}
    lines = one[one.index("PROCESS") :].count("\n")
    assert [p.where.line for p in processes.processes] == [2 + lines * number for number in range(300)]


def test_processes_beyond_the_bound_are_a_problem() -> None:
    reader = LogReader(0)
    text = "PROCESS 89e1ead8 SessionId: 1 Cid: 0acc\nImage: a.exe\n" * 50_010
    (processes,) = reader.read(io.BytesIO(text.encode()))
    assert isinstance(processes, ProcessList)
    assert len(processes.processes) == 50_000
    assert len(reader.problems) == 1


def test_real_session_process() -> None:
    (processes,) = only(real("seeds/002_3328612633af358e.txt"), ProcessList)
    # PROCESS 88b0dd88 SessionId: 3 Cid: 1b90 Peb: 7ffde000 ParentCid: 1b84 / HandleCount: 414. / ApplicationA.exe
    (process,) = processes.processes
    assert (process.name, process.pid, process.handles, process.session) == ("ApplicationA.exe", 0x1B90, 414, 3)


@pytest.mark.parametrize("damage", DAMAGE)
@pytest.mark.parametrize("sample", [SAMPLE, FULL])
def test_damage_of_pasted_text_changes_nothing(damage: str, sample: str) -> None:
    assert plain(read(DAMAGE[damage](sample))) == plain(read(sample))
    assert read(sample)


@pytest.mark.parametrize("sample", [SAMPLE, FULL])
def test_hard_wrapped_lines_change_nothing(sample: str) -> None:
    assert plain(read(wrapped(sample))) == plain(read(sample))


@given(cut=st.integers(0, 20_000), at=st.integers(0, 20_000), junk=st.text(max_size=12))
@settings(max_examples=80, deadline=None)
def test_any_cut_or_changed_sample_gives_facts_or_nothing(cut: int, at: int, junk: str) -> None:
    for sample in (SAMPLE, FULL):
        for fact in read(broken(sample, cut, at, junk)):
            assert fact.where.line is not None
