"""Few bytes, very many objects: handles that are never closed, or references that a driver keeps."""

from collections.abc import Iterator
from dataclasses import dataclass

from poolsleuth.model.block_pointers import BlockPointers
from poolsleuth.model.facts import Reason
from poolsleuth.model.finding import Confidence, Finding, Severity, Subject, Verdict
from poolsleuth.model.pool import QuotaCharges
from poolsleuth.model.system import ProcessInfo, ProcessList
from poolsleuth.model.tags import Completeness, PoolKind, TagRow
from poolsleuth.patterns.attribution import Attribution
from poolsleuth.patterns.courses import Courses
from poolsleuth.patterns.handles_over_time import handle_leaks_over_time, handles_at_rest
from poolsleuth.patterns.pattern import not_assessed, ruled_out
from poolsleuth.patterns.pointers_home import Homes, with_home
from poolsleuth.patterns.quota_payers import with_payers
from poolsleuth.patterns.tag_knowledge import sure_note
from poolsleuth.patterns.thresholds import (
    EVENTS_SUSPECT,
    HANDLES_CRITICAL,
    HANDLES_SUSPECT,
    OBJECTS_SUSPECT,
    POINTERS_HOME,
    TWINS_DIFFERENCE,
    TWINS_MIN,
)
from poolsleuth.patterns.views import TagView
from poolsleuth.patterns.wording import size
from poolsleuth.windows.tag_notes import Role

ID = "handle-leak"

# Objects of which a busy healthy server has very many: files, registry keys, events, section objects
_MANY_IS_NORMAL = frozenset({"Even", "File", "Key", "Sect", "Symt", "Sema", "Muta", "Toke"})


def judge(
    tags: TagView | None,
    processes: ProcessList | None,
    courses: Courses | None,
    owners: Attribution,
    pointers: tuple[BlockPointers, ...] = (),
    charges: tuple[QuotaCharges, ...] = (),
) -> Iterator[Finding]:
    """Found where time shows handles or objects that only grow, and for a process with an impossible handle count;
    suspected for unusual counts of objects or handles in single captures."""
    over_time = handle_leaks_over_time(courses, tags) if courses is not None else []
    named = {(f.subject.process, f.subject.tag) for f in over_time}
    homes = Homes(pointers, owners)
    single = [*_by_process(processes), *_by_objects(tags, processes, homes, charges)]
    holding = [*over_time, *(f for f in single if (f.subject.process, f.subject.tag) not in named)]
    if holding:
        yield from holding
        return
    if courses is not None and (rest := handles_at_rest(courses)) is not None:
        yield rest
        return
    if courses is not None and any(p.what == "handles" for p in courses.processes) and processes is None:
        yield not_assessed(
            ID,
            "the handles of the processes were not watched long enough",
            "record \\Process(*)\\Handle Count for a day",
        )
        return
    counted = [p for p in processes.processes if p.handles is not None] if processes is not None else []
    # A list without the first process of every Windows is a cut one, and the many handles may be in the rest
    whole = processes is not None and processes.complete and len(counted) == len(processes.processes)
    if whole and any(p.name.casefold().startswith("system") for p in counted):
        most = max(counted, key=lambda p: p.handles or 0)
        yield ruled_out(ID, f"no process holds many handles: the most are {most.handles:,} of {most.name}")
        return
    if tags is None and processes is not None and counted and not whole:
        yield not_assessed(
            ID,
            f"only the handles of {len(counted):,} processes could be read, and none of these holds many",
            "run `!process 0 0` on the machine itself",
        )
        return
    if tags is None:
        yield not_assessed(
            ID, "neither objects nor handles are counted in the evidence", "run `!process 0 0`", "run `!poolused`"
        )
        return
    objects = [row for row in tags.rows if _is_object(row)]
    if not objects:
        yield not_assessed(ID, "no kernel object's tag is among the rows shown", "run `!process 0 0` (handle counts)")
        return
    if any(tags.completeness.get(kind) is not Completeness.COMPLETE for kind in (PoolKind.NONPAGED, PoolKind.PAGED)):
        yield not_assessed(
            ID, "the tag table may be cut: objects that it does not show may be many", "run `!process 0 0`"
        )
        return
    largest = max(objects, key=lambda r: r.outstanding or 0)
    yield ruled_out(
        ID,
        f"kernel objects are few: the most are {largest.outstanding or 0:,} of {largest.tag}",
        confidence=Confidence.MEDIUM,
        next_steps=("`!process 0 0` shows each process's handle count",),
    )


def _is_object(row: TagRow) -> bool:
    note = sure_note(row)
    return note is not None and note.role is Role.OBJECT


def _by_process(processes: ProcessList | None) -> Iterator[Finding]:
    for process in processes.processes if processes is not None else ():
        if process.handles is None or process.handles < HANDLES_SUSPECT.value:
            continue
        certain = process.handles >= HANDLES_CRITICAL.value
        pid = f" (pid {process.pid})" if process.pid is not None else ""
        yield Finding(
            pattern=ID,
            verdict=Verdict.FOUND if certain else Verdict.SUSPECTED,
            severity=Severity.WARNING,
            confidence=Confidence.MEDIUM if certain else Confidence.LOW,
            headline=f"{process.name}{pid} has {process.handles:,} handles open",
            subject=Subject(process=process.name),
            because=(Reason(f"{process.name}{pid}: HandleCount {process.handles:,}", process.where),),
            against=(Reason("some services keep very many handles by design: growth was not seen"),),
            explains=("objects and their pool that no driver's tag accounts for",),
            next_steps=(
                f"`!handle 0 0 {process.pid:x}`" + " counts the handles by type"
                if process.pid is not None
                else "`!handle 0 0 <pid>` counts the handles by type",
                "watch the process's Handles column (Task Manager, Process Explorer) for an hour",
            ),
        )


def _by_objects(
    tags: TagView | None, processes: ProcessList | None, homes: Homes, charges: tuple[QuotaCharges, ...]
) -> Iterator[Finding]:
    if tags is None:
        return
    for row in tags.rows:
        limit = EVENTS_SUSPECT if row.tag in _MANY_IS_NORMAL else OBJECTS_SUSPECT
        if not _is_object(row) or row.outstanding is None or row.outstanding < limit.value:
            continue
        twins = _twins(row, tags)
        because = [Reason(f"tag {row.tag}: {row.outstanding:,} objects outstanding", row.where)]
        if row.bytes is not None:
            because.append(Reason(f"they take {size(row.bytes)}: few bytes each, very many objects", row.where))
        because += [
            Reason(f"tag {t.tag} has as many blocks ({t.outstanding or 0:,}): a part of the same objects", t.where)
            for t in twins
        ]
        note = sure_note(row)
        holder = _holder(row.outstanding, processes)
        if holder is not None:
            because.append(Reason(f"{holder.name} alone has {holder.handles:,} handles open", holder.where))
        objects = _objects(homes.fact(row.tag, row.pool))
        because += objects.because
        found = Finding(
            pattern=ID,
            verdict=Verdict.SUSPECTED,
            severity=Severity.WARNING,
            confidence=Confidence.MEDIUM if holder is not None or twins else Confidence.LOW,
            headline=f"{row.outstanding:,} {row.tag} objects exist: {objects.kept}",
            subject=Subject(pool=str(row.pool), tag=row.tag, process=holder.name if holder is not None else None),
            because=tuple(because),
            against=(
                Reason(
                    "the tag's owner is the kernel, which only makes the objects; who keeps them is not shown by it"
                ),
            ),
            next_steps=(
                "`!process 0 0` for the process with most handles, then `!handle 0 0 <pid>` by type",
                *objects.steps,
                *((note.next_step,) if note is not None else ()),
            ),
        )
        yield with_payers(with_home(found, homes.home(row)), row, charges)


@dataclass(frozen=True, slots=True)
class _Objects:
    """What a sample of the objects tells: who keeps them, in words."""

    kept: str = "handles or references that are never closed"
    because: tuple[Reason, ...] = ()
    steps: tuple[str, ...] = ()


def _objects(fact: BlockPointers | None) -> _Objects:
    """Whether open handles keep the objects, or references only: then a driver does, and no process."""
    if fact is None or not fact.objects:
        return _Objects()
    most = fact.objects[0]
    says = f"{most.blocks:,} of {fact.read:,} sampled blocks of {fact.tag} are objects of type {most.type}"
    because = (Reason(f"{says}; {most.blocks - most.closed:,} of them have open handles", fact.where),)
    if most.blocks < POINTERS_HOME.value * fact.read:
        return _Objects(because=because)
    if most.closed >= POINTERS_HOME.value * most.blocks:
        return _Objects(
            "no handle of them is open: references keep them, which a driver or the kernel forgot to give back",
            because,
            (
                "`!object <address>` shows PointerCount; `!obtrace`, with object reference tracing (gflags), shows who"
                " took the references",
            ),
        )
    if most.closed <= (1 - POINTERS_HOME.value) * most.blocks:
        return _Objects("handles that are never closed", because)
    return _Objects(because=because)


def _twins(row: TagRow, tags: TagView) -> list[TagRow]:
    count = row.outstanding or 0
    if count < TWINS_MIN.value:
        return []
    return [
        other
        for other in tags.rows
        if other.tag != row.tag
        and other.outstanding is not None
        and abs(other.outstanding - count) <= TWINS_DIFFERENCE.value * count
    ][:5]


def _holder(objects: int, processes: ProcessList | None) -> ProcessInfo | None:
    if processes is None:
        return None
    return next((p for p in processes.processes if p.handles is not None and p.handles >= objects // 2), None)
