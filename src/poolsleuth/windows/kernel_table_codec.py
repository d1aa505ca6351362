"""Kernel tables as JSON: one alone, or the many of a group whose kernels share most of their layouts.

A field is written as ``[offset, size, first bit, bits, count]``; what stands at its default at the end is left out. The
layout of a group: ``symbols`` lists the names once, ``structures`` every distinct layout once, and ``kernels`` has for
each key of a PDB the addresses (null: this kernel has no such symbol) and the numbers of its layouts.
"""

import hashlib
from collections.abc import Iterable, Mapping
from typing import TypeAlias

from poolsleuth.windows.kernel_table import Field, KernelTable, PdbId, Structure
from poolsleuth.windows.wanted_symbols import STRUCTURES, SYMBOLS

Json: TypeAlias = "bool | int | float | str | list[Json] | dict[str, Json] | None"

TABLE_FORMAT = "poolsleuth.kernel-table/1"
MAX_NUMBER = 1 << 32  # addresses, offsets and sizes of a kernel image fit in 32 bits
MAX_NAMES = 100_000  # symbols, structures or fields of one table; what is wanted of a kernel are a few thousand
_WRONG = "not a kernel table of this program"


def wanted_digest() -> str:
    """16 hexadecimal digits that change whenever ``wanted_symbols`` does: a table made before may lack something."""
    lines = [*sorted(SYMBOLS), *(f"{name}:{','.join(paths)}" for name, paths in sorted(STRUCTURES.items()))]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:16]


def table_document(table: KernelTable, label: str | None = None) -> dict[str, Json]:
    """One table as a JSON document. ``label`` is the file version of the kernel, None when not known."""
    pdb = table.pdb
    return {
        "format": TABLE_FORMAT,
        "wanted": wanted_digest(),
        "pdb": None if pdb is None else [pdb.name, pdb.guid, pdb.age],
        "machine": table.machine,
        "label": label,
        "source": table.source,
        "symbols": dict(sorted(table.symbols.items())),
        "structures": {name: _structure_row(found) for name, found in sorted(table.structures.items())},
    }


def table_of_document(document: object) -> tuple[KernelTable, bool]:
    """A table out of its document, and whether it holds all that is wanted today. Raises ValueError."""
    whole = _mapping(document)
    if whole.get("format") != TABLE_FORMAT:
        raise ValueError(_WRONG)
    pdb = whole.get("pdb")
    symbols = _mapping(whole.get("symbols"))
    table = KernelTable(
        pdb=None if pdb is None else _pdb(pdb),
        machine=_text_or_none(whole.get("machine")),
        source=_text(whole.get("source")),
        symbols={name: _number(value) for name, value in symbols.items()},
        structures={name: _structure(row) for name, row in _mapping(whole.get("structures")).items()},
    )
    return table, whole.get("wanted") == wanted_digest()


def group_document(tables: Iterable[KernelTable]) -> dict[str, Json]:
    """Many tables as one document that holds each layout once. Every table has a PDB; their order does not matter."""
    ordered = sorted(tables, key=lambda table: _known(table).key)
    names = sorted({name for table in ordered for name in table.symbols})
    rows: dict[str, tuple[str, Structure]] = {}
    for table in ordered:
        for name, structure in table.structures.items():
            rows[_identity(name, structure)] = (name, structure)
    number = {identity: place for place, identity in enumerate(sorted(rows))}
    structures: list[Json] = [[rows[identity][0], *_structure_row(rows[identity][1])] for identity in sorted(rows)]
    kernels: dict[str, Json] = {}
    for table in ordered:
        places = sorted(number[_identity(name, structure)] for name, structure in table.structures.items())
        kernels[_known(table).key] = [[table.symbols.get(name) for name in names], [*places]]
    return {"symbols": [*names], "structures": structures, "kernels": kernels}


def table_of_group(document: object, pdb: PdbId, machine: str | None, source: str) -> KernelTable:
    """One kernel out of its group. Raises ValueError when the group is damaged or holds no such kernel."""
    whole = _mapping(document)
    addresses, places = _row(_mapping(whole.get("kernels")).get(pdb.key), 2)
    names, structures = _row(whole.get("symbols")), _row(whole.get("structures"))
    values = _row(addresses)
    if len(values) != len(names):
        raise ValueError(_WRONG)
    found: dict[str, Structure] = {}
    for place in _row(places):
        index = _number(place)
        if index >= len(structures):
            raise ValueError(_WRONG)
        row = _row(structures[index], 3)
        found[_text(row[0])] = _structure(row[1:])
    return KernelTable(
        pdb=pdb,
        machine=machine,
        source=source,
        symbols={_text(n): _number(v) for n, v in zip(names, values, strict=True) if v is not None},
        structures=found,
    )


def _known(table: KernelTable) -> PdbId:
    if table.pdb is None:
        raise ValueError("a table that does not say of which PDB it is")
    return table.pdb


def _identity(name: str, structure: Structure) -> str:
    return repr((name, _structure_row(structure)))


def _structure_row(structure: Structure) -> list[Json]:
    fields: dict[str, Json] = {name: _field_row(field) for name, field in sorted(structure.fields.items())}
    return [structure.size, fields]


def _field_row(field: Field) -> list[Json]:
    row: list[Json] = [field.offset, field.size, field.bit, field.bits, field.count]
    default: list[Json] = [None, None, None, None, 1]
    while len(row) > 1 and row[-1] == default[len(row) - 1]:
        row.pop()
    return row


def _structure(row: object) -> Structure:
    size, fields = _row(row, 2)
    return Structure(_number(size), {name: _field(field) for name, field in _mapping(fields).items()})


def _field(row: object) -> Field:
    values = _row(row)
    if not 1 <= len(values) <= 5:
        raise ValueError(_WRONG)
    for value in values:
        if value is not None:
            _number(value)
    if values[0] is None or (len(values) == 5 and values[4] is None):
        raise ValueError(_WRONG)
    return Field(*values)  # type: ignore[arg-type]  # every value was looked at above


def _pdb(row: object) -> PdbId:
    name, guid, age = _row(row, 3)
    return PdbId(_text(name), _text(guid), _number(age))


def _mapping(value: object) -> Mapping[str, object]:
    if not isinstance(value, dict) or len(value) > MAX_NAMES:
        raise ValueError(_WRONG)
    return value


def _row(value: object, length: int | None = None) -> list[object]:
    if not isinstance(value, list) or len(value) > MAX_NAMES or (length is not None and len(value) != length):
        raise ValueError(_WRONG)
    return value


def _number(value: object) -> int:
    if type(value) is not int or not 0 <= value < MAX_NUMBER:
        raise ValueError(_WRONG)
    return value


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError(_WRONG)  # noqa: TRY004 - one error for all that may be wrong with a file
    return value


def _text_or_none(value: object) -> str | None:
    return None if value is None else _text(value)
