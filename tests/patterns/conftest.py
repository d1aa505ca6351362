"""Builders for pattern tests: facts from plain numbers, and a pattern run the way the pipeline runs it."""

import math
from array import array
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import pytest

from poolsleuth.model.facts import Fact, Figure, Where
from poolsleuth.model.finding import Finding, Verdict
from poolsleuth.model.machine import Machine, System
from poolsleuth.model.memory import MemoryCounters, SessionMemory, SessionUsage
from poolsleuth.model.modules import MemoryHit, Module, ModuleList, UnloadedModule, UnloadedModules
from poolsleuth.model.series import CounterPath, CounterSeries, TagColumn, TagHistory, TagKey
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
    """``sessions(limit, (id, used, failures), ..., complete=True)``: the table of ``!vm 4``."""

    def build(limit: int | None, *rows: tuple[int, int | None, int | None], complete: bool = True) -> SessionMemory:
        return SessionMemory(
            where=Where(0, 60),
            paged_limit=_figure(limit, 61),
            view_limit=None,
            sessions=tuple(SessionUsage(n, _figure(u, 62), None, None, _figure(f, 63)) for n, u, f in rows),
            complete=complete,
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


# ---- figures over time -----------------------------------------------------------------------------------------

SERIES_START = 1_700_000_000.0  # 2023-11-14T22:13:20Z


@pytest.fixture
def counter() -> Callable[..., CounterSeries]:
    r"""``counter(r"\Memory\Pool Nonpaged Bytes", times, values, input=0, utc=True)``; times in hours."""

    def build(
        path: str,
        hours: Sequence[float],
        values: Sequence[float],
        *,
        input: int = 0,  # noqa: A002
        utc: bool = True,
        host: str | None = "SRV",
    ) -> CounterSeries:
        object_, _, name = path.lstrip("\\").partition("\\")
        object_, bracket, instance = object_.partition("(")
        return CounterSeries(
            where=Where(input),
            path=CounterPath(host, object_, instance.rstrip(")") if bracket else None, name),
            times=array("d", (SERIES_START + 3600 * hour for hour in hours)),
            values=array("d", values),
            samples=len(values),
            utc=utc,
        )

    return build


@pytest.fixture
def tag_history() -> Callable[..., TagHistory]:
    """``tag_history(hours, {"MmSt": bytes}, pool="paged", allocs={...})``: tag tables of one input."""

    def build(
        hours: Sequence[float],
        columns: Mapping[str, Sequence[float]],
        *,
        pool: str = "paged",
        outstanding: Mapping[str, Sequence[float]] | None = None,
        allocs: Mapping[str, Sequence[float]] | None = None,
        input: int = 0,  # noqa: A002
        **more: Any,
    ) -> TagHistory:
        unknown = [math.nan] * len(hours)

        def column(values: Mapping[str, Sequence[float]] | None, tag: str) -> "array[float]":
            return array("d", (values or {}).get(tag, unknown))

        return TagHistory(
            where=Where(input),
            times=array("d", (SERIES_START + 3600 * hour for hour in hours)),
            columns={
                TagKey(tag, PoolKind(pool)): TagColumn(
                    column(columns, tag), column(outstanding, tag), column(allocs, tag)
                )
                for tag in columns
            },
            snapshots=len(hours),
            **more,
        )

    return build
