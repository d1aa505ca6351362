"""Functions in the streams of a PDB's modules: the only place that tells the addresses of static ones.

The list of modules lies behind the DBI header; of each: number of its stream (u16 at 0x22), then from 0x40 on two
names that end with a zero byte, up to a multiple of 4. A function there (S_GPROC32 and its like): u32 offset at 0x20,
u16 section at 0x24 of its record.
"""

import numpy as np
from numpy.typing import NDArray

from poolsleuth.kernel.symbols.pdb.msf import Msf
from poolsleuth.kernel.symbols.pdb.streams import DBI, DBI_HEADER, Dbi, relative
from poolsleuth.model.errors import InputError

MAX_MODULES = 1 << 16  # a module number has 16 bits
_HEADER, _STREAM = 0x40, 0x22
_FUNCTIONS = (0x110F, 0x1110, 0x1146, 0x1147, 0x1155, 0x1156)  # local and global; with an id as type; for a DPC
_OFFSET, _SECTION, _END = 0x20, 0x24, 0x26


def function_addresses(msf: Msf, dbi: Dbi, modules: NDArray[np.int64], places: NDArray[np.int64]) -> NDArray[np.int64]:
    """Relative addresses of functions from the module (numbered from 1) and the place of their records in its stream.

    -1 where there is none. Modules whose streams cannot be read are left out.
    """
    streams = _streams(msf, dbi)
    found = np.full(len(places), -1, np.int64)
    left = msf.size  # bytes still to be read: real modules share no bytes, so that all of them fit into the file
    order = np.argsort(modules, kind="stable")
    ordered = modules[order]
    for module in np.unique(ordered).tolist():
        stream = streams[module - 1] if 1 <= module <= len(streams) else None
        length = None if stream is None else msf.length(stream)
        if stream is None or length is None or length > left:
            continue
        left -= length
        rows = order[np.searchsorted(ordered, module) : np.searchsorted(ordered, module, "right")]
        try:
            octets = np.frombuffer(msf.read(stream), np.uint8)
        except InputError:
            continue
        rows = rows[places[rows] + _END <= len(octets)]
        rows = rows[np.isin(numbers(octets, places[rows] + 2, 2), _FUNCTIONS)]
        at = places[rows]
        found[rows] = relative(dbi, numbers(octets, at + _SECTION, 2), numbers(octets, at + _OFFSET, 4))
    return found


def _streams(msf: Msf, dbi: Dbi) -> list[int]:
    """The stream of each module; a number that no stream has where it has none."""
    raw = msf.read(DBI, DBI_HEADER, dbi.modules_size)
    streams: list[int] = []
    at = 0
    while at + _HEADER <= len(raw) and len(streams) < MAX_MODULES:
        streams.append(int.from_bytes(raw[at + _STREAM : at + _STREAM + 2], "little"))
        end = raw.find(b"\0", raw.find(b"\0", at + _HEADER) + 1)
        if end < at + _HEADER:
            break
        at = end + 4 & ~3
    return streams


def numbers(octets: NDArray[np.uint8], places: NDArray[np.int64], width: int) -> NDArray[np.int64]:
    """Little-endian numbers of ``width`` bytes at many places at once. All places must be in range."""
    found = np.zeros(len(places), np.int64)
    for byte in range(width):
        found |= octets[places + byte].astype(np.int64) << (8 * byte)
    return found
