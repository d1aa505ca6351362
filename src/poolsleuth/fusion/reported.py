"""The machines of a report that is read back, as facts: so that they can be joined with other captures of them."""

from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from math import nan

from poolsleuth.model.facts import Fact, Figure, Where
from poolsleuth.model.memory import MemoryCounters, SessionMemory, SessionUsage
from poolsleuth.model.modules import Module, ModuleList, UnloadedModule, UnloadedModules
from poolsleuth.model.report import Pools, Report, ReportDriver, ReportDrivers, ReportMachine, ReportSeries, ReportTag
from poolsleuth.model.series import CounterPath, CounterSeries, TagColumn, TagHistory, TagKey
from poolsleuth.model.system import TargetInfo
from poolsleuth.model.tags import Completeness, PoolKind, TagRow, TagTable

_COMPLETENESS = {True: Completeness.COMPLETE, False: Completeness.CUT, None: Completeness.UNKNOWN}
_POOLS = {str(kind): kind for kind in PoolKind}
_FROM_REPORT = "an earlier report"
MAX_DRIVERS = 10_000  # taken from a report: as many as are read of a log; each is compared with every tag
MAX_UNLOADS = 50  # of one driver: the kernel remembers so many unloadings of all drivers together


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
        # As in other evidence, a count of failures is None where there are none
        "pool_failures": _pool_failures(pools) or None,
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
    yield from _drivers(machine.drivers, where)
    for series in machine.series:
        yield from _series(series, where)


def _pool_failures(pools: Pools) -> int | None:
    """The failed allocations: those of the one pool that is known to have them, else all."""
    told = [use.failures for use in (pools.nonpaged, pools.paged) if use.failures]
    return told[0] if len(told) == 1 or (told and pools.failures is None) else pools.failures


def _drivers(drivers: ReportDrivers, where: Where) -> Iterator[Fact]:
    if drivers.loaded:
        yield ModuleList(
            where=where,
            modules=tuple(_module(driver, where) for driver in drivers.loaded[:MAX_DRIVERS]),
            complete=bool(drivers.complete) and len(drivers.loaded) <= MAX_DRIVERS,
        )
    unloaded = [
        UnloadedModule(driver.name, None, None, where, driver.last_at)
        for driver in drivers.unloaded[:MAX_DRIVERS]
        for _ in range(min(driver.times, MAX_UNLOADS))
    ]
    if unloaded:
        yield UnloadedModules(where=where, modules=tuple(unloaded[:MAX_DRIVERS]))


def _module(driver: ReportDriver, where: Where) -> Module:
    start = int(driver.base, 16) if driver.base is not None else None
    stem, dot, _ = driver.name.rpartition(".")
    return Module(
        name=stem or driver.name,
        start=start,
        end=start + driver.size if start is not None and driver.size is not None and driver.size >= 0 else None,
        where=where,
        image=driver.name if dot else None,  # without an ending it is the name by which a debugger calls the module
        path=driver.path,
        company=driver.company,
        version=driver.version,
        timestamp=driver.timestamp,
    )


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
