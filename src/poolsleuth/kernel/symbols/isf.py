"""Reads symbol tables in the ISF format (JSON, also xz-compressed) that memory forensics tools write from PDBs.

The format: ``metadata.windows.pdb`` {GUID, age, database, machine_type}; ``base_types`` {name: {size}}; ``enums``
{name: {size}}; ``user_types`` {name: {kind, size, fields: {name: {offset, type}}}}; ``symbols`` {name: {address}} with
addresses relative to the image. A type is {kind: base | pointer | struct | union | class | enum | array | bitfield}.
"""

import json
import lzma
import os
from pathlib import Path
from typing import TypeGuard

from poolsleuth.kernel.symbols.extract import (
    MAX_FIELDS,
    MAX_STRUCTURE,
    Layout,
    Member,
    TypeKey,
    wanted_structures,
    wanted_symbols,
)
from poolsleuth.model.errors import InputError
from poolsleuth.windows.kernel_table import Field, KernelTable, PdbId
from poolsleuth.windows.wanted_symbols import SYMBOLS

MAX_DOCUMENT = 1 << 24  # bytes of JSON: that of Windows 11 has 7 MB; parsed, it takes some twenty times its size
MAX_DICTIONARY = 1 << 27  # bytes of memory for xz: its highest preset needs 65 MB
MAX_DEPTH = 16  # arrays of arrays: real tables have two
MAX_AGE = 1 << 32
_XZ = b"\xfd7zXZ\x00"
_MACHINES = {0x014C: "x86", 0x8664: "x64", 0xAA64: "arm64"}
_GUID_DIGITS = frozenset("0123456789ABCDEF")

Json = dict[str, object]
ReadPath = str | os.PathLike[str]


def read_isf(source: ReadPath | bytes) -> KernelTable:
    """The wanted symbols and structures of a table in the ISF format: a file's path, or its content.

    Raises InputError when it cannot be read, is no such table, is larger than ``MAX_DOCUMENT``, or holds nothing of a
    Windows kernel. Single fields that make no sense are left out.
    """
    name = "this symbol table" if isinstance(source, bytes) else Path(source).name
    document = _parsed(_content(source, name), name)
    metadata = _dict(document.get("metadata"))
    if "windows" not in metadata and ("linux" in metadata or "mac" in metadata):
        raise InputError(f"{name} is a symbol table of Linux or macOS: give that of a Windows kernel (ntkrnlmp)")
    identity, machine = _identity(_dict(metadata.get("windows")))
    table = KernelTable(
        pdb=identity,
        machine=machine,
        source=f"symbol table {name}" if not isinstance(source, bytes) else "symbol table (ISF)",
        symbols=_symbols(_dict(document.get("symbols"))),
        structures=wanted_structures(_Types(document)),
    )
    if not table.symbols and not table.structures:
        raise InputError(f"{name} has none of a Windows kernel's symbols: give that of ntoskrnl (ntkrnlmp, ntkrpamp)")
    return table


def _content(source: ReadPath | bytes, name: str) -> bytes:
    if isinstance(source, bytes):
        raw = source[: MAX_DOCUMENT + 1]
    else:
        try:
            with Path(source).open("rb") as file:
                raw = file.read(MAX_DOCUMENT + 1)
        except OSError as error:
            raise InputError(f"{name} cannot be read: {error.strerror or error}") from error
    if raw.startswith(_XZ):
        raw = _unpacked(raw, name)
    if len(raw) > MAX_DOCUMENT:
        raise InputError(f"{name} is larger than {MAX_DOCUMENT >> 20} MB: no symbol table of a kernel is")
    return raw


def _unpacked(raw: bytes, name: str) -> bytes:
    unpack = lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=MAX_DICTIONARY)
    try:
        content = unpack.decompress(raw, MAX_DOCUMENT + 1)
    except (lzma.LZMAError, MemoryError) as error:
        raise InputError(f"{name} is a damaged xz file: get it again") from error
    if not unpack.eof and len(content) <= MAX_DOCUMENT:
        raise InputError(f"{name} is cut off: get it again")
    return content


def _parsed(raw: bytes, name: str) -> Json:
    try:
        document = json.loads(raw)
    except (ValueError, RecursionError) as error:  # also text that is no Unicode, and numbers of thousands of digits
        raise InputError(f"{name} is no symbol table: it is not JSON, or damaged") from error
    if not isinstance(document, dict) or not ({"symbols", "user_types"} & document.keys()):
        raise InputError(f"{name} is JSON, but no symbol table: it has neither symbols nor user_types")
    return document


def _dict(value: object) -> Json:
    return value if isinstance(value, dict) else {}


def _number(value: object, end: int) -> TypeGuard[int]:
    """Whether it is a whole number of [0, end): JSON also has true, 1.5 and 1e400."""
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < end


def _identity(windows: Json) -> tuple[PdbId | None, str | None]:
    pdb = _dict(windows.get("pdb"))
    kind = pdb.get("machine_type")
    machine = _MACHINES.get(kind) if _number(kind, 1 << 16) else None
    guid, age, database = pdb.get("GUID"), pdb.get("age"), pdb.get("database")
    if not isinstance(guid, str) or not isinstance(database, str) or not _number(age, MAX_AGE):
        return None, machine
    digits = guid.replace("-", "").strip("{}").upper()
    if len(digits) != 32 or not _GUID_DIGITS.issuperset(digits):
        return None, machine
    return PdbId(database, digits, age), machine


def _symbols(symbols: Json) -> dict[str, int]:
    known: dict[str, int] = {}
    for name in SYMBOLS:
        address = _dict(symbols.get(name)).get("address")
        if _number(address, MAX_STRUCTURE << 1):
            known[name] = address
    return wanted_symbols(known)


class _Types:
    """The types of a document as layouts, made when asked for."""

    def __init__(self, document: Json) -> None:
        self._user = _dict(document.get("user_types"))
        self._sized = {
            "base": _dict(document.get("base_types")),
            "enum": _dict(document.get("enums")),
            **dict.fromkeys(("struct", "union", "class"), self._user),
        }
        self._made: dict[TypeKey, Layout | None] = {}

    def layout(self, key: TypeKey) -> Layout | None:
        if key not in self._made:
            self._made[key] = self._layout(key)
        return self._made[key]

    def _layout(self, key: TypeKey) -> Layout | None:
        if not isinstance(key, str) or key not in self._user:
            return None
        size = _dict(self._user[key]).get("size")
        return Layout(size, self._members(key)) if _number(size, MAX_STRUCTURE) else None

    def _members(self, key: str) -> dict[str, Member]:
        """The direct fields. Those of an anonymous member count as direct: in C they are the structure's own."""
        members: dict[str, Member] = {}
        waiting = [(key, 0)]
        seen = 0
        while waiting:
            name, base = waiting.pop()
            for field, value in _dict(_dict(self._user.get(name)).get("fields")).items():
                seen += 1
                if seen > MAX_FIELDS:  # also ends anonymous members that contain each other
                    return members
                entry = _dict(value)
                offset = entry.get("offset")
                if not _number(offset, MAX_STRUCTURE):
                    continue
                member = self._member(base + offset, _dict(entry.get("type")))
                if entry.get("anonymous") is True and isinstance(member.inner, str):
                    waiting.append((member.inner, base + offset))
                else:
                    members.setdefault(field, member)
        return members

    def _member(self, offset: int, kind: Json) -> Member:
        if kind.get("kind") == "bitfield":
            bit, bits = kind.get("bit_position"), kind.get("bit_length")
            if _number(bit, 128) and _number(bits, 129):
                return Member(Field(offset, self._size(_dict(kind.get("type"))), bit, bits))
            return Member(Field(offset))
        count: int | None = 1
        if kind.get("kind") == "array":
            first = kind.get("count")
            count = first if _number(first, MAX_STRUCTURE) else None
        size = self._size(kind)
        element = self._element(kind)
        name = element.get("name")
        inner = name if element.get("kind") in ("struct", "union", "class") and isinstance(name, str) else None
        return Member(Field(offset, size, count=1 if count is None else count), inner)

    @staticmethod
    def _element(kind: Json) -> Json:
        """The type of the elements of an array (of arrays), or the type itself."""
        for _ in range(MAX_DEPTH):
            if kind.get("kind") != "array":
                break
            kind = _dict(kind.get("subtype"))
        return kind

    def _size(self, kind: Json) -> int | None:
        """Bytes of a type; None when the document does not say."""
        many = 1
        for _ in range(MAX_DEPTH):
            if kind.get("kind") != "array":
                break
            count = kind.get("count")
            if not _number(count, MAX_STRUCTURE):
                return None
            many *= count
            kind = _dict(kind.get("subtype"))
        sort, name = kind.get("kind"), kind.get("name")
        if sort == "pointer":
            base = kind.get("base")
            described = self._sized["base"].get(base if isinstance(base, str) else "pointer")
        elif isinstance(sort, str) and isinstance(name, str):
            described = self._sized.get(sort, {}).get(name)
        else:
            return None
        size = _dict(described).get("size")
        return many * size if _number(size, MAX_STRUCTURE) and many * size < MAX_STRUCTURE else None
