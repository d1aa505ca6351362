"""Some fields of a structure, read at once: what readers of lists use instead of one read for each field."""

from collections.abc import Iterable, Mapping

from poolsleuth.kernel.address_space import Reader
from poolsleuth.kernel.target import Kernel
from poolsleuth.windows.kernel_table import Field

MAX_SPAN = 1 << 14  # bytes read at once: the largest structure of a list (a process) has less than 4 KB
_WIDTHS = frozenset((1, 2, 4, 8))


class RecordPlan:
    """The places of the wanted fields of one structure of one kernel, looked up once.

    ``fallback`` gives the places that all versions share; the kernel's own layout outranks it field by field.
    """

    __slots__ = ("_begin", "_end", "fields", "pointer_size")

    def __init__(
        self, kernel: Kernel, structure: str, paths: Iterable[str], fallback: Mapping[str, Field] | None = None
    ) -> None:
        self.pointer_size = kernel.pointer_size
        self.fields: dict[str, Field] = {}
        for path in paths:
            place = kernel.place(structure, path) or (fallback or {}).get(path)
            if place is not None:
                self.fields[path] = place
        spans = [(place.offset, place.offset + self._size(place)) for place in self.fields.values()]
        self._begin = min((begin for begin, _ in spans), default=0)
        self._end = max((end for _, end in spans), default=0)

    def __contains__(self, path: str) -> bool:
        return path in self.fields

    def _size(self, place: Field) -> int:
        return place.size or self.pointer_size

    def read(self, memory: Reader, address: int) -> "Record":
        """The fields of the structure at ``address``, as far as they can be read."""
        raw = None
        size = self._end - self._begin
        if 0 < size <= MAX_SPAN:
            raw = memory.read(address + self._begin, size)
        return Record(self, memory, address, raw, self._begin)


class Record:
    """One structure in memory. None is a field whose place is not known or whose bytes cannot be read."""

    __slots__ = ("_begin", "_memory", "_plan", "_raw", "address")

    def __init__(self, plan: RecordPlan, memory: Reader, address: int, raw: bytes | None, begin: int) -> None:
        self.address = address
        self._plan, self._memory, self._raw, self._begin = plan, memory, raw, begin

    def place(self, path: str) -> int | None:
        """The address of a field."""
        place = self._plan.fields.get(path)
        return None if place is None else self.address + place.offset

    def octets(self, path: str) -> bytes | None:
        """The bytes of a field."""
        place = self._plan.fields.get(path)
        if place is None:
            return None
        size = place.size or self._plan.pointer_size
        if self._raw is not None:
            skip = place.offset - self._begin
            return self._raw[skip : skip + size]
        # Not all of the structure can be read: some of its fields may still be
        return self._memory.read(self.address + place.offset, size) if size <= MAX_SPAN else None

    def _integer(self, path: str, signed: bool) -> int | None:
        raw = self.octets(path)
        if raw is None:
            return None
        place = self._plan.fields[path]
        if place.count > 1:
            raw = raw[: len(raw) // place.count]
        if len(raw) not in _WIDTHS:
            return None
        value = int.from_bytes(raw, "little", signed=signed)
        if place.bit is None or place.bits is None:
            return value
        return value >> place.bit & (1 << place.bits) - 1

    def number(self, path: str) -> int | None:
        """The unsigned value of a field or bit field; of an array, that of its first element."""
        return self._integer(path, signed=False)

    def signed(self, path: str) -> int | None:
        """The signed value of a field (of a bit field: its bits, unsigned); of an array, that of its first element."""
        return self._integer(path, signed=True)

    def element(self, path: str, index: int, width: int) -> int | None:
        """An unsigned element of an array of numbers; None behind its end."""
        raw = self.octets(path)
        if raw is None or (index + 1) * width > len(raw):
            return None
        return int.from_bytes(raw[index * width : (index + 1) * width], "little")

    def unicode_string(self, path: str) -> str | None:
        """The text of a UNICODE_STRING field."""
        at = self.place(path)
        return None if at is None else self._memory.unicode_string(at)
