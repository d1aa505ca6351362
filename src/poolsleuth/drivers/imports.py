"""Imports and delay imports: which function stands in which slot of the import address table."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import numpy as np

from poolsleuth.drivers.image_bytes import DELAY_IMPORTS, EXPORTS, IMPORTS, ImageBytes
from poolsleuth.drivers.tag_functions import bare_name

MAX_LIBRARIES = 512  # a driver imports from 1 to 30
MAX_IMPORTS = 20_000  # in all; a driver has up to 1,000
MAX_NAME = 512  # bytes of a name
MAX_EXPORTS = 65_536  # ordinals have 16 bits


@dataclass(frozen=True, slots=True)
class Import:
    """One imported function; ``slot`` is the place of its address, from the image's base on.

    ``name`` is ``#12`` for one that is imported by its ordinal; ``library`` is in small letters.
    """

    library: str
    name: str
    slot: int
    delayed: bool = False


def read_imports(image: ImageBytes) -> tuple[Import, ...]:
    """All imports, in the order of the tables; what cannot be read is left out."""
    found: list[Import] = []
    place = image.directory(IMPORTS)
    if place is not None:
        for at in range(place[0], place[0] + 20 * MAX_LIBRARIES, 20):
            names, library, slots = (image.number(at + n, 4) for n in (0, 12, 16))
            if not library or not slots:
                break
            _walk(image, found, image.text(library, MAX_NAME), names or slots, slots, delayed=False)
    place = image.directory(DELAY_IMPORTS)
    if place is not None:
        for at in range(place[0], place[0] + 32 * MAX_LIBRARIES, 32):
            flags, library, slots, names = (image.number(at + n, 4) for n in (0, 4, 12, 16))
            if flags is None or not library or not slots or not names:
                break
            back = 0 if flags & 1 else image.base  # old linkers wrote addresses, not distances
            _walk(image, found, image.text(library - back, MAX_NAME), names - back, slots - back, delayed=True)
    return tuple(found)


def _walk(
    image: ImageBytes, found: list[Import], library: str | None, names: int, slots: int, *, delayed: bool
) -> None:
    if library is None:
        return
    width = image.bits // 8
    by_ordinal = 1 << (image.bits - 1)
    for n in range(MAX_IMPORTS - len(found)):
        entry = image.number(names + n * width, width)
        if not entry:
            return
        if entry & by_ordinal:
            name: str | None = f"#{entry & 0xFFFF}"
        else:
            if delayed and entry >= image.size:
                entry -= image.base
            name = image.text(entry + 2, MAX_NAME)
        if name is None:
            return
        found.append(Import(library.lower(), name, slots + n * width, delayed))


def slots_by_address(image: ImageBytes, functions: Mapping[int, str]) -> dict[int, str]:
    """Slots that hold the address of a known function, in an image that was bound: one that lies in memory.

    ``functions`` are virtual addresses and the names of what begins there. This finds the imports of an image whose
    import table is gone (it is often thrown away after loading), and addresses that a driver looked up itself.
    """
    width = image.bits // 8
    found: dict[int, str] = {}
    known = np.array(sorted(address & (1 << 8 * width) - 1 for address in functions), np.uint64)
    if not len(known):
        return found
    names = {address & (1 << 8 * width) - 1: name for address, name in functions.items()}
    for section in image.sections:
        skip = -section.rva % width
        words = np.frombuffer(section.data, f"<u{width}", max(0, len(section.data) - skip) // width, skip)
        near = np.flatnonzero((words >= known[0]) & (words <= known[-1]))
        near = near[np.isin(words[near].astype(np.uint64), known)][: MAX_IMPORTS - len(found)]
        found |= {section.rva + skip + width * at: names[int(words[at])] for at in near.tolist()}
    return found


def read_export_places(image: ImageBytes) -> tuple[int, ...]:
    """Where the exported functions begin, from the image's base on."""
    place = image.directory(EXPORTS)
    if place is None:
        return ()
    count, table = image.number(place[0] + 20, 4), image.number(place[0] + 28, 4)
    if not count or not table:
        return ()
    places = (image.number(table + 4 * n, 4) for n in range(min(count, MAX_EXPORTS)))
    return tuple(rva for rva in places if rva)


def read_named_exports(image: ImageBytes, names: Collection[str]) -> dict[int, str]:
    """Which of some functions the image itself exports, by their places: the kernel calls its own without a slot."""
    place = image.directory(EXPORTS)
    if place is None:
        return {}
    functions, count = image.number(place[0] + 20, 4), image.number(place[0] + 24, 4)
    table, texts, ordinals = (image.number(place[0] + at, 4) for at in (28, 32, 36))
    if not functions or not count or not table or not texts or not ordinals:
        return {}
    found: dict[int, str] = {}
    for n in range(min(count, MAX_EXPORTS)):
        at = image.number(texts + 4 * n, 4)
        name = None if at is None else image.text(at, MAX_NAME)
        if name is None or bare_name(name) not in names:
            continue
        ordinal = image.number(ordinals + 2 * n, 2)
        rva = image.number(table + 4 * ordinal, 4) if ordinal is not None and ordinal < functions else None
        if rva and not place[0] <= rva < place[0] + place[1]:  # there it would lead to another image
            found[rva] = bare_name(name)
    return found
