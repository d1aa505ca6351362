"""The types of kernel objects, and the objects that lie in blocks of the pool.

From public symbols (_OBJECT_HEADER, _OBJECT_TYPE, the optional headers in front of it) and public descriptions of the
object manager. Since Windows 7 a header holds the index of its type in nt!ObTypeIndexTable; since Windows 10 that index
is combined (exclusive or) with nt!ObHeaderCookie and with the second lowest byte of the header's own address. Before
Windows 7 it holds the address of the type, which is an object itself: its own type is the one that
nt!ObpTypeObjectType names. Optional headers lie in front, and the header tells which: a block holds an object only
where they begin exactly at the block's start.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from poolsleuth.kernel.addresses import is_kernel_address
from poolsleuth.kernel.records import RecordPlan
from poolsleuth.kernel.target import Kernel
from poolsleuth.windows.kernel_table import Field

MAX_TYPES = 256  # an index has 8 bits; Windows 11 has about 75 types
MAX_FIELD = 0x38  # offset in a header: the body itself begins at 0x30
MAX_NAME = 64  # characters of a type's name: the longest known has 28
MAX_HANDLES = 1 << 24  # of one object: the limit of a process's table
MAX_REFERENCES = 1 << 40  # either way: since 8.1 each handle counts for thousands of references
MAX_IN_FRONT = 0xC0  # bytes of optional headers: all of them together, on x64
HEAD_BYTES = MAX_IN_FRONT + 0x40
"""Bytes from a block's start on in which its object header lies, if it has one."""

_WINDOWS_7, _WINDOWS_10 = 7600, 10240
# Sizes of the optional headers by bit of InfoMask: creator, name, handles, quota, process, audit, extended
_OPTIONAL = {4: (0x10, 0x10, 8, 0x10, 8, 8, 8), 8: (0x20, 0x20, 0x10, 0x20, 0x10, 0x10, 0x10)}
# Headers before Windows 7, the same in all of its versions; used where the symbols are not known
_OLD_HEADER = {
    4: {"PointerCount": 0, "HandleCount": 4, "Type": 8, "NameInfoOffset": 0xC, "HandleInfoOffset": 0xD}
    | {"QuotaInfoOffset": 0xE, "Flags": 0xF, "Body": 0x18},
    8: {"PointerCount": 0, "HandleCount": 8, "Type": 0x10, "NameInfoOffset": 0x18, "HandleInfoOffset": 0x19}
    | {"QuotaInfoOffset": 0x1A, "Flags": 0x1B, "Body": 0x30},
}
_OLD_NAME = {4: Field(0x40, 8), 8: Field(0x78, 16)}  # of a type, behind an ERESOURCE and a list
_CREATOR_FLAG = 0x04  # of Flags before Windows 7: creator information lies in front
_NONE = -1


@dataclass(frozen=True, slots=True)
class Objects:
    """Objects that were looked for in blocks, a row for each block.

    ``kinds`` is the place of the type in ``names``, -1 for a block without an object; ``handles`` its open handles.
    ``bodies`` is where the body begins, in bytes behind the block's start.
    """

    names: tuple[str, ...]
    kinds: NDArray[np.int64]
    handles: NDArray[np.int64]
    bodies: NDArray[np.int64]


@dataclass(slots=True)
class ObjectTypes:
    """The types of one kernel. ``names`` are those met so far: by index, or (before Windows 7) by address."""

    kernel: Kernel
    names: dict[int, str]
    indexed: bool
    cookie: int
    fields: Mapping[str, int]
    root: int | None = None
    _refused: set[int] = field(default_factory=set)

    @property
    def body(self) -> int:
        """Bytes of a header: the body lies behind it."""
        return self.fields["Body"]

    def in_blocks(self, octets: NDArray[np.uint8], starts: NDArray[np.uint64]) -> Objects:
        """The objects of blocks whose first ``HEAD_BYTES`` bytes are the rows ``octets``; ``starts`` their addresses.

        Addresses are those behind the pool header. What does not fit together is no object.
        """
        count = len(octets)
        kinds = np.full(count, _NONE, np.int64)
        handles, bodies = np.zeros(count, np.int64), np.zeros(count, np.int64)
        names: dict[str, int] = {}
        for front in range(0, MAX_IN_FRONT + 1, self.kernel.pointer_size):
            if front + self.body > octets.shape[1]:
                break
            fits = (kinds == _NONE) & self._fits(octets, front)
            rows = np.flatnonzero(fits)
            if not len(rows):
                continue
            headers = starts[rows] + np.uint64(front)
            for key, chosen in self._by_key(octets[rows], front, headers):
                name = self.name(key)
                if name is not None:
                    mine = rows[chosen]
                    kinds[mine] = names.setdefault(name, len(names))
                    handles[mine] = self._signed(octets[mine], front + self.fields["HandleCount"])
                    bodies[mine] = front + self.body
        return Objects(tuple(names), kinds, handles, bodies)

    def name(self, key: int) -> str | None:
        """The name of a type by its index or (before Windows 7) its address; None for what is no type."""
        if key in self.names or self.indexed or key in self._refused:
            return self.names.get(key)
        found = None
        if len(self.names) < MAX_TYPES and len(self._refused) < MAX_TYPES * 16 and self._is_type(key):
            found = _type_name(self.kernel, key)
        if found is None:
            self._refused.add(key)
        else:
            self.names[key] = found
        return found

    def _is_type(self, address: int) -> bool:
        """Whether the object at ``address`` says that it is a type (before Windows 7)."""
        if not is_kernel_address(address, self.kernel.pointer_size):
            return False
        return self.kernel.memory.pointer(address - self.body + self.fields["Type"]) == self.root

    def _by_key(
        self, octets: NDArray[np.uint8], front: int, headers: NDArray[np.uint64]
    ) -> list[tuple[int, NDArray[np.intp]]]:
        if self.indexed:
            raw = octets[:, front + self.fields["TypeIndex"]].astype(np.uint64)
            if self.kernel.build >= _WINDOWS_10:
                raw ^= np.uint64(self.cookie) ^ (headers >> np.uint64(8) & np.uint64(0xFF))
            keys = raw
        else:
            keys = self._words(octets, front + self.fields["Type"])
        return [(int(key), np.flatnonzero(keys == key)) for key in np.unique(keys)[:MAX_TYPES].tolist()]

    def _fits(self, octets: NDArray[np.uint8], front: int) -> NDArray[np.bool_]:
        """Whether a header at ``front`` says that just so many bytes lie in front of it, and has counts that can be."""
        references = self._signed(octets, front + self.fields["PointerCount"])
        handles = self._signed(octets, front + self.fields["HandleCount"])
        good: NDArray[np.bool_] = (
            (references > -MAX_REFERENCES) & (references < MAX_REFERENCES) & (references != 0) & (handles >= 0)
        )
        good &= handles < MAX_HANDLES
        if self.indexed:
            sizes = _sizes_in_front(self.kernel.pointer_size)
            good &= sizes[octets[:, front + self.fields["InfoMask"]]] == front
            return good
        distances = [
            octets[:, front + self.fields[name]].astype(np.int64)
            for name in ("NameInfoOffset", "HandleInfoOffset", "QuotaInfoOffset")
        ]
        creator = _OPTIONAL[self.kernel.pointer_size][0]
        flagged = octets[:, front + self.fields["Flags"]] & np.uint8(_CREATOR_FLAG) != 0
        distances.append(np.where(flagged, creator, 0))
        farthest: NDArray[np.int64] = np.max(np.stack(distances), axis=0)
        good &= farthest == front
        return good

    def _words(self, octets: NDArray[np.uint8], at: int) -> NDArray[np.uint64]:
        width = self.kernel.pointer_size
        return np.ascontiguousarray(octets[:, at : at + width]).view(f"<u{width}").reshape(-1).astype(np.uint64)

    def _signed(self, octets: NDArray[np.uint8], at: int) -> NDArray[np.int64]:
        width = self.kernel.pointer_size
        return np.ascontiguousarray(octets[:, at : at + width]).view(f"<i{width}").reshape(-1).astype(np.int64)


def _sizes_in_front(width: int) -> NDArray[np.int64]:
    """Bytes of optional headers by InfoMask. Bit 7 is padding, of any size: no block is told by such a mask."""
    sizes = np.zeros(256, np.int64)
    for mask in range(128):
        sizes[mask] = sum(size for bit, size in enumerate(_OPTIONAL[width]) if mask >> bit & 1)
    sizes[128:] = -1
    return sizes


def read_object_types(kernel: Kernel) -> ObjectTypes | None:
    """The types of this kernel's objects; None where it is not known where they lie, or they do not fit together."""
    indexed = kernel.build >= _WINDOWS_7
    wanted = ["PointerCount", "HandleCount", "Body"]
    wanted += ["TypeIndex", "InfoMask"] if indexed else ["Type", "NameInfoOffset", "HandleInfoOffset"]
    wanted += [] if indexed else ["QuotaInfoOffset", "Flags"]
    fields: dict[str, int] = {}
    for name in wanted:
        place = kernel.place("_OBJECT_HEADER", name)
        offset = _OLD_HEADER[kernel.pointer_size].get(name) if place is None and not indexed else None
        if place is not None:
            offset = place.offset
        if offset is None or not 0 <= offset <= MAX_FIELD:
            return None
        fields[name] = offset
    return _indexed(kernel, fields) if indexed else _by_address(kernel, fields)


def _indexed(kernel: Kernel, fields: Mapping[str, int]) -> ObjectTypes | None:
    table = kernel.address("ObTypeIndexTable")
    cookie = kernel.variable("ObHeaderCookie", 1) if kernel.build >= _WINDOWS_10 else 0
    if table is None or cookie is None:
        return None
    names: dict[int, str] = {}
    plan = RecordPlan(kernel, "_OBJECT_TYPE", ("Index",))
    for index in range(2, MAX_TYPES):  # 0 and 1 are no types
        address = kernel.memory.pointer(table + index * kernel.pointer_size)
        if address is None or not is_kernel_address(address, kernel.pointer_size):
            break
        name = _type_name(kernel, address)
        own = plan.read(kernel.memory, address).number("Index")
        if name is not None and own in (None, index):
            names[index] = name
    # The first of all types is that of types
    return ObjectTypes(kernel, names, True, cookie, fields) if names.get(2) == "Type" else None


def _by_address(kernel: Kernel, fields: Mapping[str, int]) -> ObjectTypes | None:
    root = kernel.variable("ObpTypeObjectType")
    if not root or not is_kernel_address(root, kernel.pointer_size):
        return None
    types = ObjectTypes(kernel, {}, False, 0, fields, root)
    return types if types.name(root) == "Type" else None


def _type_name(kernel: Kernel, address: int) -> str | None:
    usual = {} if kernel.build >= _WINDOWS_7 else {"Name": _OLD_NAME[kernel.pointer_size]}
    name = RecordPlan(kernel, "_OBJECT_TYPE", ("Name",), usual).read(kernel.memory, address).unicode_string("Name")
    return name if name and len(name) <= MAX_NAME and name.isprintable() else None
