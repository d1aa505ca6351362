"""The header streams of a PDB: its identity (stream 1), and the module and section information (DBI, stream 3)."""

import struct
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from poolsleuth.kernel.symbols.pdb.msf import Msf
from poolsleuth.model.errors import InputError

INFO, TPI, DBI = 1, 2, 3  # stream numbers
MAX_SECTIONS = 1 << 16  # a segment number has 16 bits
MAX_OMAP = 1 << 21  # entries of an address map: that of the largest kernel that has one has 100,000
_NONE = 0xFFFF  # a stream number that stands for "absent"
DBI_HEADER = 0x40
_FIRST_WITH_GUID = 19_990_604  # version of the info stream
_MACHINES = {0x014C: "x86", 0x8664: "x64", 0xAA64: "arm64"}

_SECTION = np.dtype([("name", "S8"), ("size", "<u4"), ("address", "<u4"), ("rest", "V24")])
_OMAP = np.dtype([("source", "<u4"), ("target", "<u4")])


@dataclass(frozen=True, slots=True)
class Info:
    """Stream 1. ``guid`` has 32 upper-case hexadecimal digits; None where the version has none."""

    version: int
    signature: int
    age: int
    guid: str | None


@dataclass(frozen=True, slots=True)
class Dbi:
    """Stream 3 and what it leads to. ``age`` is that of the linked image, 0 where nothing wrote it.

    ``symbols`` is the number of the symbol record stream, ``modules_size`` the bytes of the list of modules behind the
    header. ``sections`` are those that symbols count from: the original
    ones when the image was rearranged afterwards; ``omap`` then leads from their addresses to those of the image.
    """

    age: int
    machine: str | None
    symbols: int
    modules_size: int
    sections: NDArray[np.void]
    omap: NDArray[np.void] | None
    notes: tuple[str, ...]


def read_info(msf: Msf) -> Info:
    """The identity. Raises InputError when there is none."""
    raw = msf.read(INFO, 0, 28)
    if len(raw) < 12:
        raise InputError(f"{msf.name} is a damaged PDB: it has no identity")
    version, signature, age = struct.unpack_from("<3I", raw)
    guid = None
    if version >= _FIRST_WITH_GUID and len(raw) == 28:
        first, second, third = struct.unpack_from("<IHH", raw, 12)
        guid = f"{first:08X}{second:04X}{third:04X}{raw[20:28].hex().upper()}"
    return Info(version, signature, age, guid)


def read_dbi(msf: Msf) -> Dbi | None:
    """The header of the DBI stream, the sections and the address map; None when there is none (a PDB of types only).

    Raises InputError when it is damaged or of a version before 1997.
    """
    raw = msf.read(DBI, 0, DBI_HEADER)
    if not raw:
        return None
    if len(raw) < DBI_HEADER or raw[:4] != b"\xff\xff\xff\xff":
        raise InputError(f"{msf.name} has no information on modules that can be read: it is damaged, or before 1997")
    age = int.from_bytes(raw[8:12], "little")
    symbols = int.from_bytes(raw[0x14:0x16], "little")
    # modules, section contributions, section map, files, type servers, (index), debug streams, edit and continue
    sizes = struct.unpack_from("<5i", raw, 0x18)
    debug_size, edit_size = struct.unpack_from("<2i", raw, 0x30)
    machine = _MACHINES.get(int.from_bytes(raw[0x3A:0x3C], "little"))
    notes: list[str] = []
    streams: tuple[int, ...] = ()
    before = (*sizes, edit_size)
    if min(*before, debug_size) < 0:
        notes.append(f"{msf.name} is damaged: parts of its module information have no size")
    else:
        listed = msf.read(DBI, DBI_HEADER + sum(before), min(debug_size, 0x16))
        streams = struct.unpack_from(f"<{len(listed) // 2}H", listed)

    def stream(slot: int) -> int:
        return streams[slot] if slot < len(streams) else _NONE

    omap_stream, plain, original = stream(4), stream(5), stream(10)
    omap: NDArray[np.void] | None = None
    chosen = plain
    if omap_stream != _NONE and msf.length(omap_stream):
        if (msf.length(omap_stream) or 0) > MAX_OMAP * _OMAP.itemsize:
            raise InputError(f"{msf.name} is a damaged PDB: no image was rearranged in that many places")
        omap = _rows(msf, omap_stream, _OMAP, MAX_OMAP)
        chosen = original
        if original == _NONE:
            notes.append(f"{msf.name} lacks the sections before its image was rearranged: no symbol has an address")
        if len(omap) > 1 and not bool((omap["source"][1:] >= omap["source"][:-1]).all()):
            omap = omap[np.argsort(omap["source"], kind="stable")]
    elif plain == _NONE:
        notes.append(f"{msf.name} holds no section headers: no symbol has an address")
    sections = _rows(msf, chosen, _SECTION, MAX_SECTIONS)
    return Dbi(age, machine, symbols, max(sizes[0], 0), sections, omap, tuple(notes))


def _rows(msf: Msf, stream: int, dtype: "np.dtype[np.void]", most: int) -> NDArray[np.void]:
    if stream == _NONE:
        return np.empty(0, dtype)
    raw = msf.read(stream, 0, most * dtype.itemsize)
    return np.frombuffer(raw, dtype, len(raw) // dtype.itemsize)


def relative(dbi: Dbi, segments: NDArray[np.int64], offsets: NDArray[np.int64]) -> NDArray[np.int64]:
    """Relative addresses in the image of places within sections (numbered from 1); -1 where a place has none.

    Such are the places in no section, and those that were removed when the image was rearranged.
    """
    bases = np.concatenate(([-1], dbi.sections["address"].astype(np.int64)))
    known = segments < len(bases)
    base = bases[np.where(known, segments, 0)]
    found = np.where(base < 0, -1, base + offsets)
    if dbi.omap is not None:
        sources = dbi.omap["source"].astype(np.int64)
        at = np.searchsorted(sources, found, "right") - 1
        kept = (at >= 0) & (found >= 0)
        at = np.where(kept, at, 0)
        if not len(sources):
            return np.full(len(found), -1, np.int64)
        target = dbi.omap["target"].astype(np.int64)[at]
        found = np.where(kept & (target > 0), target + found - sources[at], -1)
    result: NDArray[np.int64] = np.where(found < 1 << 32, found, -1)
    return result
