"""One entry of a field list: a field, the name of an enum's value, or something that is stepped over."""

from dataclasses import dataclass

from poolsleuth.kernel.symbols.pdb.leaves import OLD
from poolsleuth.kernel.symbols.pdb.records import Cursor, DamagedError

_MEMBERS = (0x150D, 0x1405)
_STATICS = (0x150E, 0x1406)
_INTRODUCING = (4, 6)  # a new virtual method, or a pure one: the place in the table follows
_METHODS = (0x150F, 0x1407)
_NESTED = (0x1510, 0x1512, 0x1408, 0x140D, 0x150C, 0x1403)  # nested types and friend functions: u16, type, name
_ONE_METHOD = (0x1511, 0x140B)
_ENUMERATES = (0x1502, 0x0403)
BASES = (0x1400, 0x151A)
_VIRTUAL_BASES = (0x1401, 0x1402)
CONTINUED, _TABLE, _FRIEND, _TABLE_OFFSET = 0x1404, 0x1409, 0x140A, 0x140C


@dataclass(frozen=True, slots=True)
class RawField:
    """A field as the records have it; ``value`` is its offset, or the value of an enum's name (type index 0)."""

    name: str
    value: int
    type_index: int


def read_entry(cursor: Cursor, leaf: int, base: int) -> RawField | None:
    """The entry of kind ``leaf`` behind the cursor; None for one that holds no data (methods, static fields ...).

    ``base`` is added to offsets. Raises DamagedError for a kind that is not known: its length is not known either.
    """
    old = leaf in OLD
    attributes = cursor.number(2)  # access and kind of a method; padding or a count in others
    if leaf in _ENUMERATES:
        value = cursor.numeric()
        return RawField(cursor.name(old), value, 0)
    if leaf in _METHODS or leaf in _STATICS or leaf in _NESTED:
        cursor.number(4)
        cursor.name(old)
    elif leaf in _MEMBERS:
        kind = cursor.number(4)
        offset = cursor.numeric()
        return RawField(cursor.name(old), base + offset, kind)
    elif leaf in _ONE_METHOD:
        cursor.number(8 if attributes >> 2 & 7 in _INTRODUCING else 4)
        cursor.name(old)
    elif leaf in _VIRTUAL_BASES:
        cursor.number(8)
        cursor.numeric()
        cursor.numeric()
    elif leaf in (_TABLE, _FRIEND):
        cursor.number(4)
    elif leaf == _TABLE_OFFSET:
        cursor.number(8)
    else:
        raise DamagedError
    return None
