"""The types of a PDB (TPI, stream 2): structures with their fields, and the sizes of everything that is in them.

Stream: header (version 0, its size 4, first type index 8, index behind the last 0xC, bytes of records 0x10), then one
record for each index: u16 length (of what follows), u16 leaf. Indices below the first (0x1000) are built-in types.
Records are found by one walk; what is in them is decoded when it is asked for.
"""

from array import array
from collections.abc import Iterator
from dataclasses import dataclass

from poolsleuth.kernel.symbols.extract import MAX_FIELDS, MAX_STRUCTURE, Layout, Member, TypeKey
from poolsleuth.kernel.symbols.pdb.field_list import BASES, CONTINUED, RawField, read_entry
from poolsleuth.kernel.symbols.pdb.leaves import (
    ARRAYS,
    BITFIELD,
    ENUMS,
    FIELD_LIST,
    FIRST_INDEX,
    MODIFIER,
    OLD,
    POINTER,
    STRUCTURES,
    UNIONS,
    builtin_size,
)
from poolsleuth.kernel.symbols.pdb.records import Cursor, DamagedError
from poolsleuth.windows.kernel_table import Field

MAX_TYPES = 1 << 19  # records: a kernel has 30,000
MAX_CHAIN = 32  # steps from a type to what it stands for (modifiers, arrays of arrays): real ones have four
MAX_BASES = 16  # base classes of base classes: C++ in a kernel has three
_HEADER = 0x14

_POINTER_KINDS = {0x0A: 4, 0x0B: 6, 0x0C: 8}  # low bits of a pointer's attributes, where they have no size
_USER = frozenset((*STRUCTURES, *UNIONS, *ENUMS))
_UNNAMED = frozenset(("", "__unnamed", "<unnamed-tag>", "<anonymous-tag>"))
_FORWARD, _HAS_UNIQUE = 0x80, 0x200


@dataclass(frozen=True, slots=True)
class Udt:
    """A structure, union or enum. ``fields`` is the index of its field list, ``size`` that in bytes.

    ``underlying`` is the type of an enum's values, 0 for the others. ``unique`` is the linker's name, "" without one.
    """

    leaf: int
    name: str
    unique: str
    size: int
    fields: int
    underlying: int
    forward: bool


class TypeTable:
    """The types of one PDB by index and by name. Damaged records are types that are not known.

    ``cut`` says that records are missing at the end.
    """

    def __init__(self, raw: bytes) -> None:
        self._raw = raw
        self.first = int.from_bytes(raw[8:12], "little")
        whole = len(raw) >= _HEADER and FIRST_INDEX <= self.first < 1 << 31
        self._starts, self.cut = self._walk(int.from_bytes(raw[4:8], "little") if whole else len(raw))
        self.cut |= bool(raw) and not whole
        self._named: dict[str, int] | None = None
        self._unique: dict[str, int] = {}
        self._layouts: dict[int, Layout | None] = {}

    def __len__(self) -> int:
        return len(self._starts)

    def _walk(self, at: int) -> "tuple[array[int], bool]":
        raw, starts = self._raw, array("I")
        end = len(raw) - 3
        keep = starts.append
        while at < end and len(starts) < MAX_TYPES:
            length = raw[at] | raw[at + 1] << 8
            if length < 2 or at + length + 2 > len(raw):
                break
            keep(at)
            at += length + 2
        return starts, at != len(raw)

    def record(self, index: int) -> tuple[int, Cursor] | None:
        """The leaf of a type and a cursor behind it; None for an index of no record."""
        at = index - self.first
        if not 0 <= at < len(self._starts):
            return None
        start = self._starts[at]
        raw = self._raw
        end = start + 2 + int.from_bytes(raw[start : start + 2], "little")
        return int.from_bytes(raw[start + 2 : start + 4], "little"), Cursor(raw, start + 4, end)

    def names(self) -> Iterator[str]:
        """The names of all structures, unions and enums that are defined."""
        return iter(self._index())

    def definition(self, name: str) -> int | None:
        """The index of the structure, union or enum of this name; the last one where several are defined."""
        return self._index().get(name)

    def _index(self) -> dict[str, int]:
        if self._named is None:
            self._named = {}
            raw = self._raw
            for at, start in enumerate(self._starts):
                if (raw[start + 2] | raw[start + 3] << 8) in _USER:
                    udt = self.udt(self.first + at)
                    if udt is not None and not udt.forward:
                        if udt.name.rpartition("::")[2] not in _UNNAMED:  # many share such a name: it finds none
                            self._named[udt.name] = self.first + at
                        if udt.unique:
                            self._unique[udt.unique] = self.first + at
        return self._named

    def udt(self, index: int) -> Udt | None:
        """The structure, union or enum at an index; None when there is something else, or it is damaged."""
        found = self.record(index)
        if found is None or found[0] not in _USER:
            return None
        leaf, cursor = found
        try:
            cursor.number(2)  # number of fields: nothing relies on it
            properties = cursor.number(2)
            underlying = cursor.number(4) if leaf in ENUMS else 0
            fields = cursor.number(4)
            if leaf in STRUCTURES:
                cursor.number(8)  # derived from, shape of the table of virtual functions
            size = 0 if leaf in ENUMS else cursor.numeric()
            name = cursor.name(leaf in OLD)
            unique = cursor.name(leaf in OLD) if properties & _HAS_UNIQUE else ""
        except DamagedError:
            return None
        return Udt(leaf, name, unique, size, fields, underlying, bool(properties & _FORWARD))

    def resolve(self, index: int) -> int:
        """The index behind modifiers (const, volatile), and that of the definition behind a forward reference."""
        for _ in range(MAX_CHAIN):
            found = self.record(index)
            if found is None or found[0] != MODIFIER:
                break
            try:
                index = found[1].number(4)
            except DamagedError:
                break
        udt = self.udt(index)
        if udt is not None and udt.forward:
            named = self._index()
            exact = self._unique.get(udt.unique) if udt.unique else None
            index = named.get(udt.name, index) if exact is None else exact
        return index

    def size_of(self, index: int) -> int | None:
        """Bytes of a type; None when that is not known."""
        for _ in range(MAX_CHAIN):
            index = self.resolve(index)
            if index < FIRST_INDEX:
                return builtin_size(index)
            found = self.record(index)
            if found is None:
                return None
            leaf, cursor = found
            try:
                if leaf == POINTER:
                    return self._pointer_size(cursor)
                if leaf in ARRAYS:
                    cursor.number(8)
                    return _sane(cursor.numeric())
                if leaf == BITFIELD:
                    index = cursor.number(4)
                    continue
            except DamagedError:
                return None
            udt = self.udt(index)
            if udt is None or udt.forward:
                return None
            if udt.leaf not in ENUMS:
                return _sane(udt.size)
            index = udt.underlying
        return None

    @staticmethod
    def _pointer_size(cursor: Cursor) -> int | None:
        cursor.number(4)
        attributes = cursor.number(4)
        return attributes >> 13 & 0x3F or _POINTER_KINDS.get(attributes & 0x1F)

    def fields(self, index: int) -> Iterator[RawField]:
        """The fields of a structure or union in their order, those of its base classes first; the names of an enum.

        Ends at a damaged record, and after ``MAX_FIELDS`` records.
        """
        udt = self.udt(self.resolve(index))
        if udt is not None:
            yield from self._listed(udt.fields, 0, [MAX_FIELDS], 0)

    def _listed(self, index: int, base: int, left: list[int], depth: int) -> Iterator[RawField]:
        """The fields of one list and of those that continue it. ``left`` counts down over all of a structure."""
        while True:
            found = self.record(index)
            if found is None or found[0] != FIELD_LIST:
                return
            cursor = found[1]
            index = 0
            left[0] -= 1
            try:
                while cursor.at < cursor.end and left[0] > 0:
                    left[0] -= 1
                    leaf = cursor.number(2)
                    if leaf == CONTINUED:
                        cursor.number(2)
                        index = cursor.number(4)
                    elif leaf in BASES:
                        cursor.number(2)
                        inner = self.udt(self.resolve(cursor.number(4)))
                        offset = base + cursor.numeric()
                        if inner is not None and depth < MAX_BASES:
                            yield from self._listed(inner.fields, offset, left, depth + 1)
                    else:
                        field = read_entry(cursor, leaf, base)
                        if field is not None:
                            yield field
                    cursor.pad()
            except DamagedError:
                return

    def member(self, field: RawField) -> Member:
        """Place, size, bits and count of a field, and what is embedded in it."""
        index = self.resolve(field.type_index)
        found = self.record(index)
        leaf = found[0] if found is not None else 0
        size = self.size_of(index)
        try:
            if found is not None and leaf == BITFIELD:
                found[1].number(4)
                bits = found[1].number(1)
                return Member(Field(field.value, size, found[1].number(1), bits))
            if found is not None and leaf in ARRAYS:
                element = self.resolve(found[1].number(4))
                each = self.size_of(element)
                count = size // each if size is not None and each else 1 if size else 0
                return Member(Field(field.value, size, count=count), self._embedded(element))
        except DamagedError:
            return Member(Field(field.value))
        return Member(Field(field.value, size), self._embedded(index))

    def _embedded(self, index: int) -> int | None:
        """The structure or union that a type is, also as an array of arrays of it; None when it is none."""
        for _ in range(MAX_CHAIN):
            found = self.record(index)
            if found is None:
                return None
            if found[0] not in ARRAYS:
                return index if found[0] in STRUCTURES or found[0] in UNIONS else None
            try:
                index = self.resolve(found[1].number(4))
            except DamagedError:
                return None
        return None

    def layout(self, key: TypeKey) -> Layout | None:
        """A structure or union by name or index. None when it is not defined here."""
        index = self.definition(key) if isinstance(key, str) else self.resolve(key)
        if index is None:
            return None
        if index not in self._layouts:
            self._layouts[index] = self._layout(index)
        return self._layouts[index]

    def _layout(self, index: int) -> Layout | None:
        udt = self.udt(index)
        if udt is None or udt.forward or udt.leaf in ENUMS or not 0 <= udt.size < MAX_STRUCTURE:
            return None
        members: dict[str, Member] = {}
        for field in self.fields(index):
            if 0 <= field.value < MAX_STRUCTURE:
                members.setdefault(field.name, self.member(field))
        return Layout(udt.size, members)


def _sane(size: int) -> int | None:
    return size if 0 <= size < MAX_STRUCTURE else None
