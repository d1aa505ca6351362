"""Takes what ``windows.wanted_symbols`` lists out of a source of symbols and types, whatever format it has."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Protocol

from poolsleuth.windows.kernel_table import Field, Structure
from poolsleuth.windows.wanted_symbols import STRUCTURES, SYMBOLS

MAX_FIELDS = 1 << 12  # fields of one structure: the largest of a kernel, with the embedded ones that are taken, has 600
MAX_RVA = 1 << 32  # an image is smaller than 4 GB: its headers hold 32 bits
MAX_STRUCTURE = 1 << 31  # bytes of a structure, and the offset of a field in it

TypeKey = str | int  # how a source names a structure to itself: by name (ISF), or by type index (PDB)


@dataclass(frozen=True, slots=True)
class Member:
    """A direct field of a structure: its place, and the key of the structure that is embedded in it.

    ``inner`` is None for a field that is no structure or union (a pointer to one is none); for an array of structures
    it is that of the elements, so that a dotted name leads to the first of them.
    """

    place: Field
    inner: TypeKey | None = None


@dataclass(frozen=True, slots=True)
class Layout:
    """Size in bytes of a structure or union, and its direct fields in the order of the source."""

    size: int
    members: Mapping[str, Member]


class TypeSource(Protocol):
    """Where layouts come from."""

    def layout(self, key: TypeKey) -> Layout | None:
        """The structure or union of this name (or inner key); None when the source does not define it."""
        ...


def wanted_symbols(known: Mapping[str, int], wanted: Iterable[str] = SYMBOLS) -> dict[str, int]:
    """The wanted ones of ``known`` (name without decoration -> relative address). An address of 0 says nothing."""
    return {name: known[name] for name in wanted if name in known and 0 < known[name] < MAX_RVA}


def wanted_structures(source: TypeSource, wanted: Mapping[str, tuple[str, ...]] = STRUCTURES) -> dict[str, Structure]:
    """The wanted structures that ``source`` defines, each with those of its wanted fields that it has.

    The notation of the fields is that of ``wanted_symbols.STRUCTURES``. A dotted name is never longer than the list
    asks for, so that a structure which contains itself ends.
    """
    found: dict[str, Structure] = {}
    for name, paths in wanted.items():
        layout = source.layout(name)
        if layout is None or not 0 <= layout.size < MAX_STRUCTURE:
            continue
        fields: dict[str, Field] = {}
        for path in paths:
            for dotted, place in _fields(source, layout, path):
                if len(fields) >= MAX_FIELDS:
                    break
                fields.setdefault(dotted, place)
        found[name] = Structure(layout.size, fields)
    return found


def _fields(source: TypeSource, layout: Layout, path: str) -> Iterable[tuple[str, Field]]:
    *outer, last = path.split(".")
    base = 0
    for step in outer:
        member = layout.members.get(step)
        inner = None if member is None or member.inner is None else source.layout(member.inner)
        if member is None or inner is None:
            return
        base += member.place.offset
        layout = inner
    prefix = ".".join((*outer, ""))
    for name in layout.members if last == "*" else (last,):
        member = layout.members.get(name)
        if member is not None and 0 <= base + member.place.offset < MAX_STRUCTURE:
            yield prefix + name, _moved(member.place, base)


def _moved(place: Field, base: int) -> Field:
    return Field(base + place.offset, place.size, place.bit, place.bits, place.count) if base else place
