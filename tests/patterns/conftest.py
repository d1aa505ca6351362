"""Builders for pattern tests: facts from plain numbers, and a pattern run the way the pipeline runs it."""

from collections.abc import Callable, Iterable
from typing import Any

import pytest

from poolsleuth.model.facts import Fact, Figure, Where
from poolsleuth.model.finding import Finding, Verdict
from poolsleuth.model.machine import Machine, System
from poolsleuth.model.memory import MemoryCounters, SessionMemory, SessionUsage
from poolsleuth.model.modules import MemoryHit, Module, ModuleList, UnloadedModule, UnloadedModules
from poolsleuth.model.tags import Completeness, PoolKind, TagDescription, TagRow, TagTable
from poolsleuth.patterns.pattern import Evidence, all_patterns, run


def _figure(value: int | Figure | None, line: int) -> Figure | None:
    return Figure(value, Where(0, line)) if isinstance(value, int) else value


@pytest.fixture
def vm() -> Callable[..., MemoryCounters]:
    """``vm(nonpaged_used=..., line=1)``: figures given as whole numbers stand one line below the banner."""

    def build(*, line: int = 1, **figures: Any) -> MemoryCounters:
        known: dict[str, Any] = {n: _figure(v, line + 1) if isinstance(v, int) else v for n, v in figures.items()}
        return MemoryCounters(where=Where(0, line), **known)

    return build


@pytest.fixture
def sessions() -> Callable[..., SessionMemory]:
    """``sessions(limit, (id, used, failures), ...)``: the table of ``!vm 4``."""

    def build(limit: int | None, *rows: tuple[int, int | None, int | None]) -> SessionMemory:
        return SessionMemory(
            where=Where(0, 60),
            paged_limit=_figure(limit, 61),
            view_limit=None,
            sessions=tuple(SessionUsage(n, _figure(u, 62), None, None, _figure(f, 63)) for n, u, f in rows),
        )

    return build


@pytest.fixture
def row() -> Callable[..., TagRow]:
    """One row of a tag table: ``row("Ddk", bytes=..., outstanding=..., pool="paged")``."""

    def build(tag: str, **known: Any) -> TagRow:
        pool = PoolKind(known.pop("pool", "nonpaged"))
        where = Where(0, known.pop("line", 80))
        columns = dict.fromkeys(("allocs", "frees", "outstanding", "bytes")) | known
        return TagRow(tag=tag, pool=pool, where=where, **columns)

    return build


@pytest.fixture
def table() -> Callable[..., TagTable]:
    """``table(row, ..., complete=True, sorted_by="nonpaged")``: one tag table; not complete means cut."""

    def build(*rows: TagRow, complete: bool = False, sorted_by: str | None = None, **more: Any) -> TagTable:
        return TagTable(
            where=Where(0, 70),
            rows=rows,
            pools=frozenset({PoolKind.NONPAGED, PoolKind.PAGED}),
            completeness=Completeness.COMPLETE if complete else Completeness.CUT,
            sorted_by=PoolKind(sorted_by) if sorted_by else None,
            **more,
        )

    return build


@pytest.fixture
def modules() -> Callable[..., ModuleList]:
    """``modules(("srv.sys", start, end), ..., complete=True)``."""

    def build(*rows: tuple[str, int, int], complete: bool = False) -> ModuleList:
        listed = tuple(
            Module(name.rsplit(".", 1)[0], start, end, Where(0, 90), image=name) for name, start, end in rows
        )
        return ModuleList(where=Where(0, 90), modules=listed, complete=complete)

    return build


@pytest.fixture
def unloaded() -> Callable[..., UnloadedModules]:
    """``unloaded("a.sys", "a.sys", ...)``: one row for each unloading."""

    def build(*names: str) -> UnloadedModules:
        rows = tuple(UnloadedModule(name, None, None, Where(0, 100 + i)) for i, name in enumerate(names))
        return UnloadedModules(where=Where(0, 99), modules=rows)

    return build


@pytest.fixture
def hit() -> Callable[..., MemoryHit]:
    """A row of a memory search: at ``address`` stands ``value``."""

    def build(address: int, value: int, command: str | None = None) -> MemoryHit:
        return MemoryHit(
            where=Where(0, 110), address=address, values=(value, 1, 2, 3), text="", searched=None, command=command
        )

    return build


@pytest.fixture
def machine() -> Callable[..., Machine]:
    """``machine(fact, ..., era=..., architecture="x86")``: facts as given, the rest is the system's."""

    def build(*facts: Fact, **system: Any) -> Machine:
        return Machine(system=System(**system), inputs=(0,), facts=facts)

    return build


@pytest.fixture
def findings(machine: Callable[..., Machine]) -> Callable[..., tuple[Finding, ...]]:
    """``findings("pool-leak", fact, ..., era=...)``: one pattern over one machine, checked for what always holds."""

    def judge(
        pattern: str, *facts: Fact, descriptions: Iterable[TagDescription] = (), **system: Any
    ) -> tuple[Finding, ...]:
        chosen = next(p for p in all_patterns() if p.id == pattern)
        result = run(chosen, Evidence(machine(*facts, **system), descriptions))
        assert result, f"{pattern} says nothing at all"
        for finding in result:
            assert finding.pattern == pattern
            assert finding.headline
            if finding.holds:
                assert finding.because, finding.headline
                assert finding.next_steps, finding.headline
            if finding.verdict is Verdict.SUSPECTED:
                assert finding.against, f"a guess must say what speaks against it: {finding.headline}"
            if finding.verdict is Verdict.NOT_ASSESSED:
                assert finding.next_steps, finding.headline
        return result

    return judge


@pytest.fixture
def finding(findings: Callable[..., tuple[Finding, ...]]) -> Callable[..., Finding]:
    """The same where exactly one finding is expected."""

    def judge(pattern: str, *facts: Fact, **more: Any) -> Finding:
        result = findings(pattern, *facts, **more)
        assert len(result) == 1, [f.headline for f in result]
        return result[0]

    return judge
