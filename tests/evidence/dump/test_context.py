"""What a dump cannot tell is told once, in bounded number; what only symbols could tell, in one sentence."""

from pathlib import Path

import pytest

from poolsleuth.evidence.dump.context import MAX_PROBLEMS, DumpContext
from poolsleuth.evidence.dump.options import DumpOptions
from poolsleuth.evidence.dump.reader import read_dump
from poolsleuth.lab.catalogue import windows_named
from poolsleuth.lab.containers.kinds import DumpKind
from poolsleuth.lab.simulate import simulate
from poolsleuth.lab.stories import make_machine, small_size
from poolsleuth.model.facts import Problem


def context(problems: list[Problem], *, symbols: bool = True) -> DumpContext:
    return DumpContext(3, 64, None, problems, symbols)


def test_a_sentence_is_told_once_and_not_without_end() -> None:
    problems: list[Problem] = []
    told = context(problems)
    for number in range(2 * MAX_PROBLEMS):
        told.problem(f"sentence {number // 2}")
        told.problem(f"another {number}")
    assert len(problems) == MAX_PROBLEMS + 1
    assert problems[-1].says == "there is more in this dump that could not be read"
    assert len({problem.says for problem in problems}) == len(problems)


def test_what_wants_symbols_is_one_sentence_at_the_end() -> None:
    problems: list[Problem] = []
    told = context(problems, symbols=False)
    told.problem("where the page files lie is not known")
    told.problem("a page is missing")
    told.problem("where the table of session 0 lies is not known")
    assert [problem.says for problem in problems] == ["a page is missing"]
    told.end()
    assert problems[-1].says.startswith(
        "without the symbols of its kernel this was not read: where the page files lie is not known; where the table of"
        " session 0 lies is not known ("
    )
    assert len(problems) == 2


def test_nothing_is_added_where_nothing_was_wanting() -> None:
    problems: list[Problem] = []
    context(problems).end()
    context(problems, symbols=False).end()
    assert problems == []


@pytest.mark.parametrize("windows", ["3790-x86", "19041-x64"])
def test_symbols_that_cannot_be_used_are_told(windows: str, tmp_path: Path) -> None:
    """Also where the bundled table serves: who names a folder wants to know that it is not there."""
    path = tmp_path / "MEMORY.DMP"
    simulate(make_machine(windows_named(windows), size=small_size())).write(path, DumpKind.BITMAP_FULL)
    nowhere = str(tmp_path / "nowhere")
    for options, said in ((DumpOptions((nowhere,), offline=True), True), (DumpOptions(offline=True), False)):
        problems: list[Problem] = []
        with path.open("rb") as file:
            read_dump(file, 0, problems, options)
        assert any(p.says == f"symbols: {nowhere} does not exist" for p in problems) is said
