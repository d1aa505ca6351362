"""truth.json of a run: who did it, since when and how fast, the course in a few samples, and the truth of the dump.

The rules are those of the truth of a dump (``poolsleuth.lab.truth``), which stands under ``machine``.
"""

import json
from collections.abc import Callable, Sequence
from datetime import timedelta

from poolsleuth.lab.allocator.corruption import DamagedHeader
from poolsleuth.lab.allocator.headers import tag_text
from poolsleuth.lab.course.course import Course, Thinned
from poolsleuth.lab.course.moment import Moment
from poolsleuth.lab.course.scenarios import Guilty
from poolsleuth.lab.machine import PAGE, Machine, PoolUse
from poolsleuth.lab.truth import time_text, truth_document

SCHEMA = "poolsleuth.lab-run/1"
MOST_SAMPLES_TOLD = 121
_NO_TAG = PoolUse()


def run_document(
    course: Course, machine: Machine, damage: DamagedHeader | None, files: Sequence[str]
) -> dict[str, object]:
    """The truth of a run as JSON values. ``machine`` is the last moment's, simulated where a dump was written of it."""
    clock = course.clock
    return {
        "schema": SCHEMA,
        "scenario": course.name,
        "says": course.scenario.says,
        "windows": machine.windows.name,
        "seed": machine.seed,
        "began_at": time_text(clock.began),
        "ended_at": time_text(clock.ended),
        "hours": clock.hours,
        "every_seconds": clock.every.total_seconds(),
        "samples": len(clock),
        "files": list(files),
        "guilty": [_guilty(course, guilty) for guilty in course.guilty],
        "damage": None if damage is None else _damage(machine, damage),
        "course": _samples(course),
        "machine": truth_document(machine),
    }


def run_text(course: Course, machine: Machine, damage: DamagedHeader | None, files: Sequence[str]) -> str:
    """The document as text: strict JSON."""
    return json.dumps(run_document(course, machine, damage, files), indent=1, allow_nan=False, ensure_ascii=True) + "\n"


def _guilty(course: Course, guilty: Guilty) -> dict[str, object]:
    def at(hours: float) -> str:
        return time_text(course.clock.began + timedelta(hours=hours))

    return {
        "pattern": guilty.pattern,
        "tag": guilty.tag,
        "pool": guilty.pool,
        "driver": guilty.driver,
        "process": guilty.process,
        "session": guilty.session,
        "resource": guilty.resource,
        "started_at": at(guilty.started_hours),
        "objects_per_hour": guilty.objects_per_hour,
        "rates": [
            {"from": at(rate.hours), "bytes_per_hour": rate.bytes_per_hour, "block_bytes": rate.block_bytes}
            for rate in guilty.rates
        ],
    }


def _damage(machine: Machine, damage: DamagedHeader) -> dict[str, object]:
    (pages,) = [pages for pages in machine.pool_pages if pages.pool == damage.pool]
    before, victim = (tag_text(int(pages.blocks["tag"][damage.victim - back])) for back in (1, 0))
    return {
        "kind": damage.damage.name.lower(),
        "address": f"{damage.address:#x}",
        "pool": damage.pool,
        "tag_of_the_block_in_front": before,
        "tag_of_the_block": victim,
        "before": damage.before.hex(),
        "after": damage.after.hex(),
    }


def _samples(course: Course) -> dict[str, object]:
    """The course in columns, in so few samples that a person can look at them."""
    moments = list(Thinned(course, MOST_SAMPLES_TOLD))

    def column(figure: Callable[[Moment], object]) -> list[object]:
        return [figure(moment) for moment in moments]

    tags = sorted({(g.tag, g.pool, g.session) for g in course.guilty if g.tag is not None}, key=str)
    names = sorted({g.process for g in course.guilty if g.process is not None})
    return {
        "at": [time_text(moment.at) for moment in moments],
        "load": column(lambda m: round(m.load, 4)),
        "nonpaged_bytes": column(lambda m: (m.machine.memory.nonpaged_used or 0) * PAGE),
        "paged_bytes": column(lambda m: (m.machine.memory.paged_used or 0) * PAGE),
        "committed_bytes": column(lambda m: (m.machine.memory.committed or 0) * PAGE),
        "free_system_ptes": column(lambda m: m.machine.memory.free_system_ptes),
        "failures": column(lambda m: m.machine.memory.pool_failures),
        "session_bytes": {
            str(session.id): column(lambda m, n=n: m.machine.sessions[n].used_pages * PAGE)  # type: ignore[misc]
            for n, session in enumerate(course.machine.sessions)
        },
        "tags": [
            {
                "tag": tag,
                "pool": pool,
                "session": session,
                "outstanding": [_use(m.machine, tag, pool, session).outstanding for m in moments],
                "bytes": [_use(m.machine, tag, pool, session).bytes for m in moments],
            }
            for tag, pool, session in tags
        ],
        "handles": {
            name: column(lambda m, name=name: _handles(m.machine, name))  # type: ignore[misc]
            for name in names
        },
    }


def _use(machine: Machine, tag: str, pool: str | None, session: int | None) -> PoolUse:
    rows = machine.tags if session is None else next(s.tags for s in machine.sessions if s.id == session)
    use = next((use for use in rows if use.tag == tag), None)
    if use is None:
        return _NO_TAG
    return use.nonpaged if pool == "nonpaged" else use.paged


def _handles(machine: Machine, name: str) -> int | None:
    return next((process.handles for process in machine.processes if process.name == name), None)
