"""Each reason for which the kernel refuses pool belongs to the pool in its name."""

import pytest

from poolsleuth.windows.pool_failures import REASONS, failure_note


@pytest.mark.parametrize("name", REASONS)
def test_the_pool_of_a_reason(name: str) -> None:
    note = failure_note(name)
    assert note is not None
    assert note.says
    if name == "PriorityTooLow":
        assert note.pool is None
    elif name.startswith("Session"):
        assert note.pool == "session"
    else:
        assert note.pool == ("nonpaged" if name.startswith("Non") else "paged")


@pytest.mark.parametrize("name", ["", "Paged", "PagedNoLuck", "NoPtes"])
def test_others_are_not_known(name: str) -> None:
    assert failure_note(name) is None
