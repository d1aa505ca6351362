"""Cutting a log into outputs: prompts, lost headers, places, pieces, and outputs that break."""

import io
import re
from collections.abc import Iterable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from poolsleuth.evidence.debugger_log import decode, reader
from poolsleuth.evidence.debugger_log.output import Block, Context
from poolsleuth.evidence.debugger_log.reader import LogReader, readers
from poolsleuth.model.errors import InputError
from poolsleuth.model.facts import Fact
from poolsleuth.model.memory import MemoryCounters, SessionMemory
from poolsleuth.model.tags import TagTable

LOGS = sorted((Path(__file__).parents[2] / "data" / "logs").glob("*.txt"))
SHARED = Path(__file__).parents[4] / "shared"
ROW = "Physical Memory: 917368 ( 3669472 Kb)\nNonPagedPool Usage: 25463 ( 101852 Kb)\n"


def facts(text: str) -> list[Fact]:
    return list(LogReader(0).read(io.BytesIO(text.encode())))


def counters(text: str) -> list[MemoryCounters]:
    return [fact for fact in facts(text) if isinstance(fact, MemoryCounters)]


@pytest.mark.parametrize(
    ("prompt", "command", "live"),
    [
        ("0: kd> !vm", "!vm", False),
        ("kd> !vm", "!vm", False),
        ("lkd> !vm", "!vm", True),
        ("lkd>!vm", "!vm", True),
        ("12: kd> !vm 1", "!vm 1", False),
        (" : kd> !vm", "!vm", False),
        ("###### 4: kd> !vm", "!vm", False),
        ("0: kd:x86> !vm", "!vm", False),
        ("> 0: kd> !vm", "!vm", False),
        ("<b>0: kd&gt; !vm</b>", "!vm", False),
        ("**0: kd> !vm**", "!vm", False),
    ],
)
def test_prompts(prompt: str, command: str, live: bool) -> None:
    (vm,) = counters(f"{prompt}\n{ROW}")
    assert (vm.command, vm.live) == (command, live)


def test_no_prompt() -> None:
    (vm,) = counters(f"This is the output of !vm\n\n{ROW}")
    assert vm.live is None
    assert vm.command is not None
    assert vm.command.startswith("!vm")  # quoted in the prose right before


def test_prose_between_two_outputs_belongs_to_none() -> None:
    first, second = counters(
        f"0: kd> !vm\n{ROW}\nThen, later:\n\n0: kd> !vm\n{ROW.replace('25463 ( 101852', '25464 ( 101856')}"
    )
    assert first.nonpaged_used is not None
    assert second.nonpaged_used is not None
    assert (first.nonpaged_used.where.line, second.nonpaged_used.where.line) == (3, 9)


@pytest.mark.parametrize("feed", ["\n", "\r\n", "\r\r\n"])
def test_places_are_counted_in_the_file(feed: str) -> None:
    text = ("one\ntwo\n0: kd> !vm\n" + ROW).replace("\n", feed)
    (vm,) = counters(text)
    assert vm.nonpaged_used is not None
    assert vm.nonpaged_used.where.line == 5


def test_line_breaks_of_markup_do_not_count() -> None:
    (vm,) = counters("one<br>two<br>three\n0: kd&gt; !vm<br>\n" + ROW.replace("\n", "<br>\n"))
    assert vm.nonpaged_used is not None
    assert vm.nonpaged_used.where.line == 4


def test_what_begins_no_output_costs_nothing_and_says_nothing() -> None:
    log = LogReader(0)
    assert list(log.read(io.BytesIO(b"The quick brown fox, page 12 ( 48 Kb).\n" * 100))) == []
    assert log.outputs == {}
    assert log.problems == []


def test_binary_is_refused() -> None:
    with pytest.raises(InputError, match="binary"):
        list(LogReader(0).read(io.BytesIO(bytes(range(256)) * 100)))


def test_progress_is_told() -> None:
    told: list[int] = []
    list(LogReader(0, told.append).read(io.BytesIO(b"text\n" * 500_000)))
    assert sum(told) == 2_500_000
    assert len(told) > 1


def test_one_output_that_breaks_does_not_lose_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    from poolsleuth.evidence.debugger_log.commands import vm_sessions  # noqa: PLC0415

    def broken(*_: object) -> Iterable[Fact]:
        raise ValueError("broken on purpose")

    monkeypatch.setattr(vm_sessions._Sessions, "parse", broken)
    log = LogReader(0)
    text = f"0: kd> !vm 4\nSession Paged Pool Maximum is 32768K\n0: kd> !vm\n{ROW}"
    found = list(log.read(io.BytesIO(text.encode())))
    assert [type(fact) for fact in found] == [MemoryCounters]
    assert [problem.says for problem in log.problems] == ["an output could not be read (broken on purpose)"]


def test_the_bound_on_facts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reader, "MAX_FACTS", 5)
    monkeypatch.setattr(decode, "CHUNK_BYTES", 1000)
    log = LogReader(0)
    found = list(log.read(io.BytesIO(f"0: kd> !vm\n{ROW}".encode() * 5000)))
    assert len(found) < 2000
    assert any("more than 5 facts" in problem.says for problem in log.problems)


@pytest.mark.parametrize("path", LOGS, ids=lambda path: path.stem)
def test_pieces_of_any_size_say_the_same(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the text is cut into pieces changes nothing: outputs go on over a cut."""
    data = path.read_bytes() * 8
    whole = list(LogReader(0).read(io.BytesIO(data)))
    for size in (997, 5000):
        monkeypatch.setattr(decode, "CHUNK_BYTES", size)
        monkeypatch.setattr(reader, "SAMPLE_BYTES", size)
        assert list(LogReader(0).read(io.BytesIO(data))) == whole


def _named(text: str) -> list[tuple[int, str]]:
    """The outputs as a plain search finds them: every line, every expression, in order."""
    found = []
    inside: object = None
    for match in re.finditer(r"\n(?=([ *\x1f]*)(?!\n))", text):
        opener = reader._openers().match(text, match.start())
        if opener is None:
            continue
        group = opener.lastgroup or ""
        if group in {"prompt", "live", "user"}:
            inside = None
            continue
        owner = readers()[int(group[1:])]
        if group[0] == "b" or owner is not inside:
            found.append((match.start(), owner.name))
            inside = owner
    return found


def _fast(text: str) -> list[tuple[int, str]]:
    found = []
    inside: str | None = None
    match = reader._finder(None).search(text)
    while match is not None:
        opener = reader._openers().match(text, match.start())
        assert opener is not None
        group = opener.lastgroup or ""
        if group in {"prompt", "live", "user"}:
            inside = None
        else:
            inside = readers()[int(group[1:])].name
            found.append((match.start(), inside))
        match = reader._finder(inside).search(text, match.start() + 1)
    return found


@pytest.mark.parametrize(
    "path", [*LOGS, *sorted((SHARED / "data" / "transcripts").glob("0*.txt"))], ids=lambda path: path.stem
)
def test_the_fast_search_finds_what_the_plain_one_finds(path: Path) -> None:
    text = "\n" + path.read_text(encoding="utf-8", errors="replace")
    assert _fast(text) == _named(text)


LINES = [line for path in LOGS for line in path.read_text(encoding="utf-8").splitlines()]


@settings(max_examples=80, deadline=None)
@given(st.lists(st.sampled_from(LINES), max_size=40))
def test_the_fast_search_on_shuffled_lines(lines: list[str]) -> None:
    text = "\n" + "\n".join(lines)
    assert _fast(text) == _named(text)


@settings(max_examples=80, deadline=None)
@given(st.lists(st.sampled_from(LINES), max_size=40))
def test_shuffled_lines_read(lines: list[str]) -> None:
    log = LogReader(0)
    for fact in log.read(io.BytesIO("\n".join(lines).encode())):
        assert isinstance(fact, Fact)
        assert 1 <= (fact.where.line or 1) <= len(lines)
    assert not [problem for problem in log.problems if "could not be read" in problem.says]


@settings(max_examples=100, deadline=None)
@given(st.text(st.sampled_from("ab\n\x1f"), max_size=60), st.data())
def test_line_numbers_of_a_block(text: str, data: st.DataObject) -> None:
    """In any order of asking; soft line feeds do not count."""
    block = Block(text, 10, Context(0))
    for _ in range(5):
        offset = data.draw(st.integers(0, len(text)))
        expected = 10 + sum(1 for i in range(offset) if text[i] == "\n" and text[i - 1 : i] != "\x1f")
        assert block.line(offset) == expected


def test_several_outputs_in_order() -> None:
    path = next(path for path in LOGS if path.stem == "several_machines")
    kinds = [type(fact) for fact in facts(path.read_text(encoding="utf-8"))]
    assert [kind for kind in kinds if kind in {MemoryCounters, SessionMemory, TagTable}] == [
        TagTable,
        MemoryCounters,
        SessionMemory,
        MemoryCounters,
        MemoryCounters,
        TagTable,
        MemoryCounters,
        TagTable,
        MemoryCounters,
        TagTable,
    ]
