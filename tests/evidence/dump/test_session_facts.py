"""However many sessions a dump claims, the rows of their tags are bounded, and what is left out is said."""

from pathlib import Path

import pytest

from poolsleuth.evidence.dump import session_facts
from poolsleuth.evidence.dump.reader import read_dump
from poolsleuth.lab.catalogue import windows_named
from poolsleuth.lab.containers.kinds import DumpKind
from poolsleuth.lab.machine import Hidden
from poolsleuth.lab.simulate import simulate
from poolsleuth.lab.stories import make_machine, small_size
from poolsleuth.model.facts import Problem
from poolsleuth.model.tags import TagTable


@pytest.fixture(scope="module")
def dump(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("sessions") / "MEMORY.DMP"
    simulate(make_machine(windows_named("19041-x64"), "healthy", size=small_size(), hidden=Hidden())).write(
        path, DumpKind.BITMAP_KERNEL
    )
    return path


@pytest.mark.parametrize(
    ("bound", "most", "sessions"),
    [(None, 0, [0, 1]), ("MAX_TAG_ROWS", 1, [0]), ("MAX_ROWS_READ", 1, [0])],
)
def test_the_tags_of_all_sessions_are_bounded(
    bound: str | None, most: int, sessions: list[int], dump: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if bound is not None:
        monkeypatch.setattr(session_facts, bound, most)
    problems: list[Problem] = []
    with dump.open("rb") as file:
        facts = read_dump(file, 0, problems)
    assert [fact.session for fact in facts if isinstance(fact, TagTable) and fact.session is not None] == sessions
    says = [] if bound is None else ["sessions: the tags of the first 1 of 2 sessions are listed"]
    assert [problem.says for problem in problems] == says
