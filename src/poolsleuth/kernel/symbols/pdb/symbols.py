"""The symbol records of a PDB: public symbols and global data, with their addresses, decoded all at once.

A record: u16 length (of what follows), u16 kind. Public symbols (S_PUB32) and global data (S_GDATA32, S_LDATA32) share
a layout: u32 flags or type at 4, u32 offset at 8, u16 section at 0xC, name at 0xE: ended by a zero byte, or with its
length before it in the kinds of before 2002. References to functions (S_PROCREF, S_LPROCREF) look the same, but lead
into the stream of a module: they hold no address.
"""

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from poolsleuth.kernel.symbols.pdb.modules import function_addresses, numbers
from poolsleuth.kernel.symbols.pdb.msf import Msf
from poolsleuth.kernel.symbols.pdb.streams import Dbi, relative

MAX_SYMBOLS = 1 << 19  # records: a kernel has 60,000 public ones
PUBLIC, PUBLIC_OLD = 0x110E, 0x1009
_DATA = (0x110C, 0x110D, 0x1007, 0x1008)  # S_LDATA32, S_GDATA32, and the old ones
_REFERENCES = (0x1125, 0x1127)  # S_PROCREF, S_LPROCREF: in place of offset and section, place and number of module
_OLD = (PUBLIC_OLD, 0x1007, 0x1008)
_NAME = 0xE
_CODE = 0b11  # flags of a public symbol: code, function
# C names on x86: _cdecl, _stdcall@8, @fastcall@8, vectorcall@@16
_DECORATED = re.compile(r"[_@]?(.+?)@{1,2}\d{1,4}")


@dataclass(frozen=True, slots=True)
class Symbol:
    """A name and where it lies. ``code`` is None where the record does not say (global data).

    ``type_index`` is the type of global data, None for a public symbol.
    """

    name: str
    rva: int
    code: bool | None
    type_index: int | None


def undecorated(name: str) -> str:
    """The C name behind one of an x86 image. Names of C++ (they begin with ``?``) stay as they are."""
    if name.startswith("?"):
        return name
    match = _DECORATED.fullmatch(name)
    if match is not None:
        return match[1]
    return name[1:] if name.startswith("_") and len(name) > 1 else name


class SymbolTable:
    """All symbols that have an address: by name, and in the order of their addresses.

    ``publics``: name without x86 decoration -> relative address; a name that occurs twice keeps its first address.
    ``data``: the same for global data, and ``data_types``: its type indices. ``functions``: the same for functions of
    which modules tell, also static ones; only PDBs that are not stripped have them. ``cut`` says that records are
    missing.
    """

    __slots__ = ("_code", "_names", "_rvas", "cut", "data", "data_types", "functions", "publics")

    def __init__(self, records: bytes, dbi: Dbi, msf: Msf | None = None) -> None:
        """Decode a symbol record stream. Whatever comes after a damaged record is left out.

        ``msf`` is where the modules' own streams are read from; None when they are not wanted.
        """
        starts, self.cut = _walk(records)
        octets = np.frombuffer(records, np.uint8)
        kinds = numbers(octets, starts + 2, 2)

        def rows(*wanted: int) -> _Rows:
            chosen = np.isin(kinds, wanted)
            return _Rows(octets, records, starts[chosen], kinds[chosen])

        public, data, references = rows(PUBLIC, PUBLIC_OLD), rows(*_DATA), rows(*_REFERENCES)
        public.place(relative(dbi, public.sections, public.offsets))
        data.place(relative(dbi, data.sections, data.offsets))
        if msf is None or not len(references.starts):
            references.place(np.full(len(references.starts), -1, np.int64))
        else:
            references.place(function_addresses(msf, dbi, references.sections, references.offsets))
        names = public.names()
        if dbi.machine == "x86":
            names = [undecorated(name) for name in names]
        rvas = public.rvas.tolist()
        self.publics = _first_of_each(names, rvas)
        code: list[bool | None] = [bool(flag & _CODE) for flag in public.values.tolist()]
        listed = data.names()
        self.data = _first_of_each(listed, data.rvas.tolist())
        self.data_types = _first_of_each(listed, data.values.tolist())
        self.functions = _first_of_each(references.names(), references.rvas.tolist())
        for more, known in ((self.data, None), (self.functions, True)):
            for name, rva in more.items():
                if self.publics.get(name) != rva:
                    names.append(name)
                    rvas.append(rva)
                    code.append(known)
        order = np.argsort(np.array(rvas, np.int64), kind="stable").tolist()
        self._names = [names[at] for at in order]
        self._rvas = [rvas[at] for at in order]
        self._code = [code[at] for at in order]

    def __len__(self) -> int:
        return len(self._rvas)

    def __iter__(self) -> Iterator[Symbol]:
        """All symbols by rising address; those of one address in the order of the file, public ones first."""
        return map(self._symbol, range(len(self._rvas)))

    def rva(self, name: str) -> int | None:
        """The address of a public symbol, of global data or of a function; None when there is none of this name."""
        for known in (self.publics, self.data, self.functions):
            if name in known:
                return known[name]
        return None

    def nearest(self, rva: int) -> Symbol | None:
        """The last symbol at or before an address (the first of those that share one); None before the first."""
        at = bisect_right(self._rvas, rva) - 1
        return None if at < 0 else self._symbol(bisect_left(self._rvas, self._rvas[at]))

    def after(self, rva: int) -> Symbol | None:
        """The first symbol behind an address; None behind the last."""
        at = bisect_right(self._rvas, rva)
        return self._symbol(at) if at < len(self._rvas) else None

    def _symbol(self, at: int) -> Symbol:
        name, code = self._names[at], self._code[at]
        return Symbol(name, self._rvas[at], code, self.data_types.get(name))


def _walk(records: bytes) -> tuple[NDArray[np.int64], bool]:
    """Where the records start, and whether the stream ends before its last one or has one that makes no sense."""
    starts: list[int] = []
    keep = starts.append
    at, end = 0, len(records) - 3
    while at < end:
        length = records[at] | records[at + 1] << 8
        if length < 2 or len(starts) >= MAX_SYMBOLS:
            break
        keep(at)
        at += length + 2
    cut = at != len(records)
    if at > len(records):
        starts.pop()
    return np.array(starts, np.int64), cut


class _Rows:
    """Records of one sort, as columns. ``values`` are flags or types, ``rvas`` their addresses once they are placed."""

    def __init__(
        self, octets: NDArray[np.uint8], records: bytes, starts: NDArray[np.int64], kinds: NDArray[np.int64]
    ) -> None:
        ends = starts + 2 + numbers(octets, starts, 2)
        room = ends > starts + _NAME
        self._octets = octets
        self._records = records
        self.starts, self._ends, self._kinds = starts[room], ends[room], kinds[room]
        self.offsets = numbers(octets, self.starts + 8, 4)
        self.sections = numbers(octets, self.starts + 0xC, 2)
        self.values = numbers(octets, self.starts + 4, 4)
        self.rvas = self.offsets

    def place(self, rvas: NDArray[np.int64]) -> None:
        """Keep those that have an address."""
        kept = rvas >= 0
        self.rvas = rvas[kept]
        self.values = self.values[kept]
        self.starts, self._ends, self._kinds = self.starts[kept], self._ends[kept], self._kinds[kept]

    def names(self) -> list[str]:
        """The names: each ends at its zero byte, else with its record."""
        begins, ends = self.starts + _NAME, self._ends
        old = np.isin(self._kinds, _OLD)
        ends = np.where(old, np.minimum(ends, begins + 1 + self._octets[begins]), ends)
        begins = begins + old
        records = self._records
        return [
            records[begin:end].partition(b"\0")[0].decode("utf-8", "replace")
            for begin, end in zip(begins.tolist(), ends.tolist(), strict=True)
        ]


def _first_of_each(names: list[str], values: list[int]) -> dict[str, int]:
    return dict(zip(reversed(names), reversed(values), strict=True))
