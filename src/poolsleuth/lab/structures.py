"""Where a simulated kernel keeps its variables, and how its structures are laid out; and a writer of structures.

Addresses and layouts of kernels with symbols are those of the tables that come with this package. Where there is no
such table the layouts are those of the build (they are real), and the addresses are the lab's own (``invented``).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

from poolsleuth.lab.invented import invented_symbols
from poolsleuth.lab.machine import SimulatedWindows
from poolsleuth.model.errors import InputError
from poolsleuth.windows.bundled_tables import bundled_for_build, bundled_table
from poolsleuth.windows.kernel_table import Field, PdbId, Structure
from poolsleuth.windows.structure_layouts import layouts_for


def _unloaded_drivers(pointer: int) -> Structure:
    """An entry of MmUnloadedDrivers: name, first address, end, time. Kernels' symbols do not hold it since 2000."""
    return Structure(
        4 * pointer + 8,
        {
            "Name": Field(0, 2 * pointer),
            "StartAddress": Field(2 * pointer, pointer),
            "EndAddress": Field(3 * pointer, pointer),
            "CurrentTime": Field(4 * pointer, 8),
        },
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """Relative addresses of variables (``symbols``) and layouts of structures of the kernel that is simulated.

    ``end`` is the first byte behind everything that has an address; ``source`` says where the figures come from.
    """

    windows: SimulatedWindows
    symbols: Mapping[str, int]
    structures: Mapping[str, Structure]
    pdb: PdbId | None
    source: str

    @property
    def pointer(self) -> int:
        """Bytes of a pointer."""
        return self.windows.pointer

    @property
    def end(self) -> int:
        """The first relative address behind all symbols."""
        return max(self.symbols.values()) + 0x10000

    def place(self, structure: str, path: str) -> Field | None:
        """A field; None when this Windows has none."""
        found = self.structures.get(structure)
        return None if found is None else found.fields.get(path)

    def has(self, structure: str, path: str) -> bool:
        """Whether this Windows has the field."""
        return self.place(structure, path) is not None

    def size(self, structure: str) -> int:
        """Bytes of a structure. Raises KeyError when it is not known: the caller must ask ``structures`` first."""
        return self.structures[structure].size

    def record(self, structure: str, *, size: int | None = None) -> "Record":
        """A structure of zeros to be filled in."""
        return Record(self, structure, size=size)


class Record:
    """The bytes of one structure, filled field by field."""

    def __init__(self, layout: Layout, structure: str, *, size: int | None = None) -> None:
        self._layout = layout
        self._name = structure
        self.data = bytearray(layout.size(structure) if size is None else size)

    def set(self, path: str, value: int | bytes, *, index: int = 0) -> bool:
        """Write a field, of an array the element ``index``. False (and nothing written) when there is no such field.

        Numbers are cut to the width of the field, as the processor does. Raises ValueError for bytes that do not fit.
        """
        place = self._layout.place(self._name, path)
        if place is None:
            return False
        width = place.size or self._layout.pointer
        at = place.offset
        if place.count > 1:
            width //= place.count
            at += index * width
        if isinstance(value, bytes):
            if len(value) > (place.size or self._layout.pointer) - index * width:
                raise ValueError(f"{len(value)} bytes do not fit into {self._name}.{path}")
            self.data[at : at + len(value)] = value
            return True
        if place.bits is not None and place.bit is not None:
            mask = (1 << place.bits) - 1
            old = int.from_bytes(self.data[at : at + width], "little")
            value = old & ~(mask << place.bit) | (value & mask) << place.bit
        self.data[at : at + width] = (value & (1 << 8 * width) - 1).to_bytes(width, "little")
        return True

    def set_first(self, paths: tuple[str, ...], value: int | bytes) -> bool:
        """Write the first of these fields that this Windows has."""
        return any(self.set(path, value) for path in paths)

    def at(self, path: str) -> int | None:
        """The offset of a field."""
        place = self._layout.place(self._name, path)
        return None if place is None else place.offset

    def pointer(self, offset: int, value: int) -> None:
        """Write a pointer at an offset."""
        width = self._layout.pointer
        self.data[offset : offset + width] = (value & (1 << 8 * width) - 1).to_bytes(width, "little")

    def number(self, offset: int, value: int, width: int) -> None:
        """Write a number at an offset."""
        self.data[offset : offset + width] = (value & (1 << 8 * width) - 1).to_bytes(width, "little")

    def __bytes__(self) -> bytes:
        return bytes(self.data)


@cache
def layout_of(windows: SimulatedWindows) -> Layout:
    """The layout of a Windows. Raises InputError when the package knows nothing of that build."""
    if windows.symbols:
        version = f"{windows.major}.{windows.minor}.{windows.build}.{windows.revision}"
        known = [kernel.pdb for kernel in bundled_for_build(windows.build) if kernel.version == version]
        table = bundled_table(known[0]) if known else None
        if table is None:
            raise InputError(f"the package has no symbols of the kernel {version}: the lab cannot play it")
        return Layout(
            windows=windows,
            symbols=table.symbols,
            structures={"_UNLOADED_DRIVERS": _unloaded_drivers(windows.pointer), **table.structures},
            pdb=table.pdb,
            source=f"addresses and layouts of the real kernel {version}",
        )
    choice = layouts_for(windows.build, windows.architecture, pae=windows.pae, service_pack=windows.service_pack)
    if not choice.certain:
        raise InputError(f"the package has no layouts of build {windows.build}: the lab cannot play it")
    return Layout(
        windows=windows,
        symbols=invented_symbols(windows),
        structures=choice.structures,
        pdb=None,
        source=f"layouts of {choice.profile}; the addresses are the lab's own",
    )
