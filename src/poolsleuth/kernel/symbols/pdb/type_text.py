"""Types as text, in the words of the debugger's ``dt``: Uint4B, Ptr64 _MDL, [256] _LIST_ENTRY, Pos 3, 1 Bit."""

from collections.abc import Iterator
from dataclasses import dataclass

from poolsleuth.kernel.symbols.pdb.leaves import (
    ARRAYS,
    BITFIELD,
    FIRST_INDEX,
    MEMBER_FUNCTION,
    POINTER,
    PROCEDURE,
    builtin_size,
)
from poolsleuth.kernel.symbols.pdb.records import DamagedError
from poolsleuth.kernel.symbols.pdb.types import MAX_CHAIN, TypeTable
from poolsleuth.windows.kernel_table import Field

_BUILTIN = {
    0x03: "Void", 0x08: "HRESULT", 0x10: "Char", 0x11: "Int2B", 0x12: "Int4B", 0x13: "Int8B", 0x14: "Int16B",
    0x20: "UChar", 0x21: "Uint2B", 0x22: "Uint4B", 0x23: "Uint8B", 0x24: "Uint16B", 0x30: "Bool", 0x40: "Float",
    0x41: "Double", 0x42: "Real10B", 0x68: "Char", 0x69: "UChar", 0x70: "Char", 0x71: "Wchar", 0x72: "Int2B",
    0x73: "Uint2B", 0x74: "Int4B", 0x75: "Uint4B", 0x76: "Int8B", 0x77: "Uint8B", 0x78: "Int16B", 0x79: "Uint16B",
    0x7A: "Char16", 0x7B: "Char32", 0x7C: "Char8",
}  # fmt: skip
_UNKNOWN = "?"


@dataclass(frozen=True, slots=True)
class FieldText:
    """A field as ``dt`` shows it: name, place, and the text of its type."""

    name: str
    place: Field
    text: str


def type_text(types: TypeTable, index: int) -> str:
    """The text of one type. What cannot be told is ``?``. Control characters in names are those of the file."""
    parts: list[str] = []
    for _ in range(MAX_CHAIN):
        index = types.resolve(index)
        if index < FIRST_INDEX:
            return "".join((*parts, _builtin_text(index)))
        found = types.record(index)
        if found is None:
            break
        leaf, cursor = found
        try:
            if leaf == POINTER:
                size = types.size_of(index) or 0
                index = cursor.number(4)
                parts.append(f"Ptr{size * 8} ")
                continue
            if leaf in ARRAYS:
                index = cursor.number(4)
                cursor.number(4)
                each = types.size_of(index)
                parts.append(f"[{cursor.numeric() // each if each else _UNKNOWN}] ")
                continue
            if leaf == BITFIELD:
                cursor.number(4)
                bits, bit = cursor.number(1), cursor.number(1)
                parts.append(f"Pos {bit}, {bits} Bit{'s' if bits > 1 else ''}")
                return "".join(parts)
        except DamagedError:
            break
        udt = types.udt(index)
        if udt is not None:
            return "".join((*parts, udt.name))
        if leaf in (PROCEDURE, MEMBER_FUNCTION):
            return "".join((*parts, "function"))
        break
    return "".join((*parts, _UNKNOWN))


def _builtin_text(index: int) -> str:
    text = _BUILTIN.get(index & 0xFF, _UNKNOWN)
    size = builtin_size(index)
    return f"Ptr{size * 8} {text}" if index >> 8 & 0xF and size is not None else text


def structure_text(types: TypeTable, name: str) -> Iterator[FieldText]:
    """The fields of a structure or union by its name, in their order; nothing when it is not defined."""
    index = types.definition(name)
    if index is None:
        return
    for field in types.fields(index):
        yield FieldText(field.name, types.member(field).place, type_text(types, field.type_index))
