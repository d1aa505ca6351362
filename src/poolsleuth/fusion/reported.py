"""The machines of a report that is read back, as facts: so that they can be joined with other captures of them."""

from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from math import nan

from poolsleuth.model.facts import Fact, Figure, Where
from poolsleuth.model.memory import MemoryCounters, SessionMemory, SessionUsage
from poolsleuth.model.report import Report, ReportMachine, ReportSeries, ReportTag
from poolsleuth.model.series import CounterPath, CounterSeries, TagColumn, TagHistory, TagKey
from poolsleuth.model.system import TargetInfo
from poolsleuth.model.tags import Completeness, PoolKind, TagRow, TagTable

_COMPLETENESS = {True: Completeness.COMPLETE, False: Completeness.CUT, None: Completeness.UNKNOWN}
_POOLS = {str(kind): kind for kind in PoolKind}
_FROM_REPORT = "an earlier report"


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportedMachine(Fact):
    """Marks facts that come out of a report: the machine as the report has it."""

    machine: ReportMachine


def facts_of_report(report: Report, index: int) -> list[list[Fact]]:
    """The facts of each machine of a report. ``index`` is the report's own place among the inputs."""
    where = Where(index)
    return [list(_facts(machine, where)) for machine in report.machines]


def _facts(machine: ReportMachine, where: Where) -> Iterator[Fact]:
    system, at = machine.system, machine.system.captured_at
    yield ReportedMachine(where=where, machine=machine)
    yield TargetInfo(
        where=where,
        os=system.os,
        build=system.build,
        architecture=system.architecture,
        pae=system.pae,
        computer=machine.name,
        server=_is_server(system.os),
        captured_at=at,
        uptime_seconds=system.uptime_seconds,
    )
    pools = machine.pools
    figures = {
        "physical": system.physical_bytes,
        "nonpaged_used": pools.nonpaged.used_bytes,
        "nonpaged_max": pools.nonpaged.printed_max_bytes,
        "paged_used": pools.paged.used_bytes,
        "paged_max": pools.paged.printed_max_bytes,
        "pool_failures": pools.nonpaged.failures if pools.nonpaged.failures is not None else pools.paged.failures,
    }
    known = {name: Figure(value, where) for name, value in figures.items() if value is not None}
    if known.keys() - {"physical"}:
        yield MemoryCounters(where=where, at=at, source=_FROM_REPORT, **known)  # type: ignore[arg-type]
    if pools.sessions:
        yield SessionMemory(
            where=where,
            at=at,
            paged_limit=_figure(pools.sessions[0].limit_bytes, where),
            view_limit=None,
            sessions=tuple(
                SessionUsage(s.id, _figure(s.used_bytes, where), None, None, _figure(s.failures, where))
                for s in pools.sessions
            ),
        )
    for kind, use in ((PoolKind.NONPAGED, pools.nonpaged), (PoolKind.PAGED, pools.paged)):
        rows = tuple(_row(t, kind, where) for t in machine.tags if t.pool == str(kind) and t.session is None)
        if rows:
            yield TagTable(
                where=where,
                at=at,
                rows=rows,
                pools=frozenset({kind}),
                completeness=_COMPLETENESS[use.tags_complete],
                source=_FROM_REPORT,
            )
    for series in machine.series:
        yield from _series(series, where)


def _is_server(os: str | None) -> bool | None:
    """Whether the name of a Windows is that of a server; None for a family of both, and for none."""
    if os is None or " or " in os:
        return None
    return "Server" in os


def _figure(value: int | None, where: Where) -> Figure | None:
    return None if value is None else Figure(value, where)


def _row(tag: ReportTag, kind: PoolKind, where: Where) -> TagRow:
    return TagRow(
        tag=tag.tag,
        pool=kind,
        allocs=tag.allocs,
        frees=tag.frees,
        outstanding=tag.outstanding,
        bytes=tag.bytes,
        where=where,
        description=tag.description,
    )


def _series(series: ReportSeries, where: Where) -> Iterator[Fact]:
    """A counter's series with its path; a tag's series as a history of one tag."""
    start = series.start.timestamp()
    times = array("d", (start + seconds for seconds in series.seconds))
    values = array("d", (nan if value is None else float(value) for value in series.values))
    if not times:
        return
    if series.path is not None:
        path = _path(series.path)
        if path is not None:
            yield CounterSeries(
                where=where, path=path, times=times, values=values, samples=series.samples, utc=series.utc
            )
    elif series.tag is not None and series.pool in _POOLS and series.unit == "bytes":
        unknown = array("d", [nan]) * len(times)
        yield TagHistory(
            where=where,
            times=times,
            columns={TagKey(series.tag, _POOLS[series.pool], series.session): TagColumn(values, unknown, unknown)},
            snapshots=series.samples,
            utc=series.utc,
            dated_by=_FROM_REPORT,
        )


def _path(text: str) -> CounterPath | None:
    r"""A path as ``CounterPath.text`` writes it; None for anything else."""
    host: str | None = None
    rest = text
    if text.startswith("\\\\"):
        host, backslash, rest = text[2:].partition("\\")
        rest = backslash + rest
    if not rest.startswith("\\"):
        return None
    whole, _, counter = rest[1:].rpartition("\\")
    object_, parenthesis, instance = whole.partition("(")
    if not object_ or not counter:
        return None
    return CounterPath(host, object_, instance.removesuffix(")") if parenthesis else None, counter)
