"""Not written yet."""

from collections.abc import Callable
from datetime import datetime

from poolsleuth.evidence.source import Readable
from poolsleuth.model.facts import Fact, Problem


def looks_like_poolmon_log(sample: str) -> bool:
    """Whether the beginning of an input is of this kind."""
    del sample
    return False


def read_poolmon_log(
    stream: Readable,
    input_index: int,
    modified: datetime | None,
    problems: list[Problem],
    progress: Callable[[], None],
) -> list[Fact]:
    """The facts of the input."""
    del stream, input_index, modified, problems, progress
    return []
