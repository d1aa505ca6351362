"""Facts of several computers, from plain numbers."""

from collections.abc import Callable
from typing import Any

import pytest

from poolsleuth.model.facts import Figure, Where
from poolsleuth.model.memory import MemoryCounters
from poolsleuth.model.system import TargetInfo
from poolsleuth.model.tags import Completeness, PoolKind, TagRow, TagTable


@pytest.fixture
def vm() -> Callable[..., MemoryCounters]:
    """``vm(physical=..., line=1, input=0)``: whole numbers become figures."""

    def build(*, line: int = 1, input: int = 0, **figures: Any) -> MemoryCounters:  # noqa: A002
        where = Where(input, line)
        known: dict[str, Any] = {n: Figure(v, where) if type(v) is int else v for n, v in figures.items()}
        return MemoryCounters(where=where, **known)

    return build


@pytest.fixture
def tags() -> Callable[..., TagTable]:
    """``tags("Ddk", "EtwB", line=1, input=0)``: a table with these tags."""

    def build(*names: str, line: int = 1, input: int = 0, **more: Any) -> TagTable:  # noqa: A002
        where = Where(input, line)
        rows = tuple(TagRow(name, PoolKind.NONPAGED, None, None, 1, 100, where) for name in names)
        return TagTable(
            where=where, rows=rows, pools=frozenset({PoolKind.NONPAGED}), completeness=Completeness.CUT, **more
        )

    return build


@pytest.fixture
def target() -> Callable[..., TargetInfo]:
    """``target(computer="SRV1", build=3790, ...)``: a debugger's banner."""

    def build(*, line: int = 1, input: int = 0, **known: Any) -> TargetInfo:  # noqa: A002
        return TargetInfo(where=Where(input, line), **known)

    return build
