"""Which growing tags grow together, and which of them is the object and which its parts."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from poolsleuth.model.tags import TagRow
from poolsleuth.patterns.courses import Courses, TagCourse
from poolsleuth.patterns.tag_knowledge import sure_note
from poolsleuth.patterns.views import TagView
from poolsleuth.windows.tag_notes import Role

if TYPE_CHECKING:
    from poolsleuth.patterns.course.together import Lockstep

MAX_COMPARED = 24  # growing tags that are compared with each other, the largest growth first


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """A tag that grows with the first one of its group: ``step.ratio`` blocks for each of its blocks."""

    tag: TagCourse
    step: "Lockstep"


@dataclass(frozen=True, slots=True, eq=False)
class Group:
    """Tags that grow in lock-step. ``whole`` is the one the others are parts of when ``why`` says so; with an empty
    ``why`` nothing tells which one is the cause, and it is only the largest."""

    whole: TagCourse
    parts: tuple[Part, ...]
    why: str


def row_of(tag: TagCourse, tags: TagView | None) -> TagRow:
    """The tag's last row; made of its line where no table is kept."""
    key = tag.key
    row = None
    if tags is not None:
        row = (
            tags.row(key.tag, key.pool)
            if key.session is None
            else tags.session_of.get((key.tag, key.pool, key.session))
        )
    if row is not None:
        return row
    size, blocks = tag.line.bytes.last, tag.line.outstanding.last
    return TagRow(
        tag=key.tag,
        pool=key.pool,
        allocs=None,
        frees=None,
        outstanding=None if blocks is None else round(blocks),
        bytes=None if size is None else round(size),
        where=tag.line.bytes.where,
    )


def groups_of(courses: Courses, tags: TagView | None) -> list[Group]:
    """The groups among the growing tags; a tag is in one group at most."""
    growing = courses.growing_tags()[:MAX_COMPARED]
    left = list(growing)
    groups: list[Group] = []
    while left:
        first = left.pop(0)
        parts = [Part(other, step) for other in left if (step := _step(first, other)) is not None]
        if not parts:
            continue
        left = [other for other in left if all(other is not part.tag for part in parts)]
        groups.append(_ordered(first, parts, tags))
    return groups


def _step(first: TagCourse, second: TagCourse) -> "Lockstep | None":
    if len(first.line.outstanding.times) != len(second.line.outstanding.times):
        return None
    from poolsleuth.patterns.course.together import lockstep  # noqa: PLC0415 - scipy takes a second to load

    times = first.line.outstanding.times
    if (times != second.line.outstanding.times).any():
        return None
    return lockstep(times, first.line.outstanding.values, second.line.outstanding.values)


def _ordered(first: TagCourse, parts: Sequence[Part], tags: TagView | None) -> Group:
    """The group with its object in front, where our notes know one, or know that the others are parts."""
    members = [first, *(part.tag for part in parts)]
    roles = {id(member): _role(member, tags) for member in members}
    objects = [member for member in members if roles[id(member)] is Role.OBJECT]
    whole, why = first, ""
    if len(objects) == 1:
        whole = objects[0]
        why = f"{whole.key.tag} is the body of a kernel object; what hangs on an object comes and goes with it"
    elif not objects:
        own = [member for member in members if roles[id(member)] is not Role.OBJECT_PART]
        if len(own) == 1 and len(members) > 1:
            whole = own[0]
            others = ", ".join(member.key.tag for member in members if member is not whole)
            why = f"{others}: known parts of objects, which follow the number of what holds them"
    if whole is first:
        return Group(whole, tuple(parts), why)
    again = [Part(m, step) for m in members if m is not whole and (step := _step(whole, m)) is not None]
    return Group(whole, tuple(again) or tuple(parts), why if again else "")


def _role(tag: TagCourse, tags: TagView | None) -> Role | None:
    note = sure_note(row_of(tag, tags))
    return note.role if note is not None else None
