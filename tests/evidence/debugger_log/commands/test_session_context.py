"""``!session`` and ``!sprocess``: the session that following outputs speak of."""

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
from poolsleuth.model.system import ProcessList, SessionContext

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


SWITCH = """lkd> !session -s 9
Sessions on machine: 3
Implicit process is now fffffa80056b6060
Using session 9
"""

LIST = """lkd> !session
Sessions on machine: 3
Valid Sessions: 0 1 3
Current Session 1
"""

SPROCESS = """1: kd> !sprocess 9
Dumping Session 9

_MM_SESSION_SPACE f79b5000
_MMSESSION        f79b5d80
PROCESS 88b0dd88 SessionId: 9 Cid: 1b90 Peb: 7ffde000 ParentCid: 1b84
    DirBase: 4072d000 ObjectTable: d8651450 HandleCount: 414.
    Image: ApplicationA.exe
"""


def test_a_switch_names_its_session() -> None:
    (context,) = read(SWITCH)
    assert (context.session, context.live, context.where.line) == (9, True, 4)


def test_the_current_session_of_a_list() -> None:
    (context,) = read(LIST)
    assert context.session == 1


def test_a_number_of_sessions_is_no_session() -> None:
    assert read("lkd> !session\nSessions on machine: 3\nValid Sessions: 0 1 3\n") == []


def test_a_dumped_session_and_its_processes() -> None:
    context, processes = read(SPROCESS)
    assert isinstance(context, SessionContext)
    assert isinstance(processes, ProcessList)
    assert context.session == processes.processes[0].session == 9


def test_real_logs_name_no_session() -> None:
    assert only(real("seeds/002_3328612633af358e.txt"), SessionContext) == []


@pytest.mark.parametrize("damage", DAMAGE)
@pytest.mark.parametrize("sample", [SWITCH, LIST, SPROCESS])
def test_damage_of_pasted_text_changes_nothing(damage: str, sample: str) -> None:
    assert plain(read(DAMAGE[damage](sample))) == plain(read(sample))
    assert read(sample)


@pytest.mark.parametrize("sample", [SWITCH, LIST, SPROCESS])
def test_hard_wrapped_lines_change_nothing(sample: str) -> None:
    assert plain(read(wrapped(sample))) == plain(read(sample))


@given(cut=st.integers(0, 20_000), at=st.integers(0, 20_000), junk=st.text(max_size=12))
@settings(max_examples=80, deadline=None)
def test_any_cut_or_changed_sample_gives_facts_or_nothing(cut: int, at: int, junk: str) -> None:
    for sample in (SWITCH, LIST, SPROCESS):
        for fact in read(broken(sample, cut, at, junk)):
            assert fact.where.line is not None
