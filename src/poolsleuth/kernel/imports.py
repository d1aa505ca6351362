"""Which loaded modules hold the address of a routine of the kernel: in an import table, or anywhere in their memory.

All memory of all modules is searched, as a debugger's search over all modules does it: a driver that was made at run
time and has no file is found like any other. Import tables are those of the public PE/COFF specification; names of
imports are used where they are still there (drivers throw them away after loading, the table of addresses stays).
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from poolsleuth.kernel.address_space import PAGE, Reader
from poolsleuth.kernel.image import PeImage, read_exports, read_image
from poolsleuth.kernel.modules import LoadedModule
from poolsleuth.kernel.target import Kernel

MAX_MODULE = 256 << 20  # bytes of one module that are searched: the largest drivers (of graphics cards) have 60 MB
MAX_TOTAL = 2 << 30  # bytes of all modules: real machines have 30 to 400 MB
MAX_SLOTS = 4096  # places that are told: a routine has some hundred importers at most, each with one or two places
MAX_LIBRARIES = 512  # entries of an import directory: a driver has 1 to 30
MAX_IMPORTS = 20_000  # names imported from one library: a driver has up to 1,000
MAX_NAMES = 300_000  # names of imports that are looked at in all modules together: real machines have 60,000
_CHUNK = 4096  # pages read at once: 16 MB
_IMPORT, _IAT, _DELAY = 1, 12, 13  # numbers of data directories

Range = tuple[int, int]
"""First address, and the first behind."""


@dataclass(frozen=True, slots=True)
class ImportSlot:
    """A place in a module that holds the address of ``routine``, or that its import table gives that name to.

    ``value`` is what lies there: another address than the routine's where it was replaced (Driver Verifier does so).
    ``in_table`` tells whether the place is in the module's import address table; None when that is not known.
    """

    module: LoadedModule
    slot: int
    routine: str
    value: int
    in_table: bool | None


@dataclass(frozen=True, slots=True)
class ImportSearch:
    """What a search found. ``addresses`` are the routines whose addresses are known; ``modules`` were to be searched.

    ``unseen`` are modules whose import address table is not (all) in memory: they may import anything.
    ``unread_bytes`` of ``unread_modules`` modules could not be searched. ``says`` is what was cut off, else None.
    """

    addresses: Mapping[str, int]
    slots: tuple[ImportSlot, ...]
    modules: int
    unseen: tuple[LoadedModule, ...]
    unread_bytes: int
    unread_modules: int
    says: str | None = None


def routine_addresses(kernel: Kernel, names: Iterable[str]) -> dict[str, int]:
    """Where routines of the kernel lie: by its symbols, else by the table of its exports in memory."""
    wanted = tuple(names)
    found = {name: address for name in wanted if (address := kernel.address(name)) is not None}
    missing = [name for name in wanted if name not in found]
    image = read_image(kernel.memory, kernel.base) if missing else None
    if image is not None:
        found |= read_exports(kernel.memory, image, missing)
    return found


def search_imports(
    kernel: Kernel,
    modules: Sequence[LoadedModule],
    names: Iterable[str],
    other_memory: Callable[[], Iterable[Reader]] = tuple,
) -> ImportSearch:
    """Search ``modules``, without the kernel itself, for the routines ``names``.

    ``other_memory`` gives address spaces of sessions: a module of which the system process sees nothing (the window
    manager and its drivers) is looked for there. It is only asked when there is such a module.
    """
    wanted = tuple(names)
    addresses = routine_addresses(kernel, wanted)
    scan = _Scan(addresses, {name.encode("ascii", "replace"): name for name in wanted})
    others: list[Reader] | None = None
    slots: list[ImportSlot] = []
    unseen: list[LoadedModule] = []
    unread_bytes = unread_modules = modules_count = 0
    left = MAX_TOTAL
    for module in modules:
        if module.base == kernel.base:
            continue
        modules_count += 1
        size = min(module.size, MAX_MODULE, left)
        left -= size
        found = scan.module(kernel.memory, module, size)
        if not found.pages_read and size:
            others = list(other_memory()) if others is None else others
            for memory in others:
                again = scan.module(memory, module, size)
                if again.pages_read:
                    found = again
                    break
        slots += found.slots[: MAX_SLOTS - len(slots)]
        if not found.table_seen:
            unseen.append(module)
        if found.unread:
            unread_bytes += found.unread
            unread_modules += 1
    says = None
    if left <= 0:
        says = f"the loaded modules are larger than {MAX_TOTAL >> 30} GB: the rest was not searched"
    elif len(slots) >= MAX_SLOTS:
        says = f"more than {MAX_SLOTS:,} places hold the addresses that were looked for: the rest is left out"
    return ImportSearch(addresses, tuple(slots), modules_count, tuple(unseen), unread_bytes, unread_modules, says)


@dataclass(frozen=True, slots=True)
class _Found:
    slots: list[ImportSlot]
    table_seen: bool
    pages_read: int
    unread: int


class _Scan:
    """One search: the routines, and how many names of imports may still be looked at."""

    __slots__ = ("_addresses", "_longest", "_names", "_names_left")

    def __init__(self, addresses: Mapping[str, int], names: Mapping[bytes, str]) -> None:
        self._addresses = addresses
        self._names = names
        self._longest = max(map(len, names), default=0) + 1
        self._names_left = MAX_NAMES

    def module(self, memory: Reader, module: LoadedModule, size: int) -> _Found:
        """Search the first ``size`` bytes of a module."""
        width = memory.pointer_size
        first = module.base // PAGE
        pages = min(-(-(module.base % PAGE + size) // PAGE), (1 << 8 * width) // PAGE - first)
        if pages <= 0 or not size:
            return _Found([], False, 0, module.size)
        hits, read = self._hits(memory, first, pages)
        pages_read = int(np.count_nonzero(read))
        image = read_image(memory, module.base) if pages_read else None
        tables = None if image is None else self._address_tables(memory, image)
        seen = module.size <= size and pages_read == pages
        if tables is not None and not seen:
            seen = all(_all_read(read, begin // PAGE - first, -(-end // PAGE) - first) for begin, end in tables)
        slots = [
            ImportSlot(module, at, name, value, None if tables is None else any(b <= at < e for b, e in tables))
            for at, name, value in hits
            if module.base <= at < module.end
        ]
        if image is not None:
            slots += self._named(memory, module, image, {slot.slot for slot in slots})
        unread = module.size - min(module.size, pages_read * PAGE)
        return _Found(sorted(slots, key=lambda slot: slot.slot), seen, pages_read, unread)

    def _hits(self, memory: Reader, first: int, pages: int) -> tuple[list[tuple[int, str, int]], NDArray[np.bool_]]:
        """Where the addresses stand (address, routine, value), and which of the pages could be read."""
        read = np.zeros(pages, np.bool_)
        hits: list[tuple[int, str, int]] = []
        width = memory.pointer_size
        for begin in range(first, first + pages, _CHUNK):
            count = min(_CHUNK, first + pages - begin)
            data, places = memory.space.gather(np.arange(begin, begin + count, dtype=np.uint64))
            read[begin - first : begin - first + count] = places >= 0
            words = data.reshape(-1).view(f"<u{width}")
            for name, address in self._addresses.items():
                # A comparison for each of a few routines is quicker than a look-up of each word in a set of them
                at = np.flatnonzero(words == address)[: max(0, MAX_SLOTS - len(hits))]
                hits += [(begin * PAGE + place * width, name, address) for place in at.tolist()]
        return hits, read

    def _address_tables(self, memory: Reader, image: PeImage) -> list[Range] | None:
        """Where the addresses of imports lie; empty for an image that imports nothing, None when it is not known."""
        width = memory.pointer_size
        delayed = [
            (table, table + (len(self._thunks(memory, image, names)) + 1) * width)
            for names, table in _delayed(memory, image)
        ]
        whole = image.directory(_IAT)
        if whole is not None:
            return [(whole[0], whole[0] + whole[1]), *delayed]
        if not _has(image, _IMPORT):
            return None if _has(image, _IAT) else delayed
        libraries = _libraries(memory, image)
        if libraries is None:
            return None
        found = delayed
        for _, table in libraries:
            # With the zero behind it; where the next page is missing, with the first word of that page
            found.append((table, table + (len(self._thunks(memory, image, table)) + 1) * width))
        return found if self._names_left else None

    def _thunks(self, memory: Reader, image: PeImage, at: int) -> NDArray[np.uint64]:
        """The words from ``at`` on up to the first zero, a missing page or the end of the image."""
        width = memory.pointer_size
        count = min(MAX_IMPORTS, self._names_left, (image.base + image.size - at) // width)
        parts: list[NDArray[np.uint64]] = []
        while count > 0:
            # A word that lies across two pages is none of a linker's: the table ends before it
            part = min(count, (PAGE - at % PAGE) // width)
            raw = memory.read(at, part * width)
            if not raw:
                break
            words = np.frombuffer(raw, f"<u{width}").astype(np.uint64)
            end = np.flatnonzero(words == 0)
            parts.append(words[: end[0]] if len(end) else words)
            at, count = at + len(raw), 0 if len(end) else count - part
        found = np.concatenate(parts) if parts else np.empty(0, np.uint64)
        self._names_left -= len(found)
        return found

    def _named(self, memory: Reader, module: LoadedModule, image: PeImage, known: set[int]) -> list[ImportSlot]:
        """Slots that the import table gives one of the names to, but that do not hold the routine's address."""
        found: list[ImportSlot] = []
        for names, table in [*(_libraries(memory, image) or ()), *_delayed(memory, image)]:
            for number, thunk in enumerate(self._thunks(memory, image, names).tolist() if names else ()):
                if thunk >= image.size:  # by ordinal, or no import
                    continue
                at = image.base + thunk + 2
                raw = memory.read(at, self._longest) or memory.read(at, min(self._longest, PAGE - at % PAGE)) or b""
                name = self._names.get(raw.partition(b"\0")[0])
                slot = table + number * memory.pointer_size
                if name is None or slot in known or not module.base <= slot < module.end:
                    continue
                value = memory.pointer(slot)
                if value:
                    found.append(ImportSlot(module, slot, name, value, True))
        return found


def _all_read(read: NDArray[np.bool_], begin: int, end: int) -> bool:
    return begin >= 0 and end <= len(read) and bool(read[begin:end].all())


def _has(image: PeImage, number: int) -> bool:
    return number < len(image.directories) and image.directories[number][0] != 0


def _libraries(memory: Reader, image: PeImage) -> list[Range] | None:
    """For each library the addresses of its table of names (0 when it has none) and of its table of addresses.

    None when the import directory is not in memory, or is none (any more).
    """
    place = image.directory(_IMPORT)
    if place is None:
        return None
    found: list[Range] = []
    for number in range(MAX_LIBRARIES):
        raw = memory.read(place[0] + 20 * number, 20)
        if raw is None:
            return None
        names, library, table = (int.from_bytes(raw[at : at + 4], "little") for at in (0, 12, 16))
        if not any(raw):
            return found
        if not library or not 0 < table < image.size or names >= image.size or library >= image.size:
            return None
        found.append((image.base + names if names else 0, image.base + table))
    return None


def _delayed(memory: Reader, image: PeImage) -> list[Range]:
    """The same for libraries that are bound when they are first called; those that cannot be read are left out."""
    place = image.directory(_DELAY)
    found: list[Range] = []
    if place is None:
        return found
    for at in range(place[0], place[0] + 32 * MAX_LIBRARIES, 32):
        raw = memory.read(at, 32)
        if raw is None:
            break
        flags, table, names = (int.from_bytes(raw[n : n + 4], "little") for n in (0, 12, 16))
        # Very old linkers wrote addresses instead of distances, without the flag: no driver of then has such imports
        if not flags & 1 or not 0 < table < image.size or not 0 < names < image.size:
            break
        found.append((image.base + names, image.base + table))
    return found
