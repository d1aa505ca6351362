"""Many images, in memory or in files, and few tags: what the code of each says of them.

An image is searched for the tags' bytes first. Only where they are, calls are looked at, those of the same functions
first; all calls of the image only when that leaves places unexplained.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from poolsleuth.drivers.code import Code
from poolsleuth.drivers.image import read_file
from poolsleuth.drivers.image_bytes import ImageBytes, of_file, of_memory
from poolsleuth.drivers.survey import Progress, driver_files, each_file, is_driver
from poolsleuth.drivers.tag_bytes import held_tags, tag_places, within_text
from poolsleuth.drivers.tag_functions import Use
from poolsleuth.drivers.tag_scan import Scan, TagUse, scan_file_image, scan_loaded_image
from poolsleuth.drivers.tags import is_tag, plain_key, tag_text, turned
from poolsleuth.model.errors import InputError
from poolsleuth.model.tag_code import MAX_PLACES, CodeUse, ImageCode, TagUseInCode

Read = Callable[[int, int], bytes | None]


def code_of_image(
    read: Read, base: int, size: int, machine: str, functions: Mapping[int, str], tags: Sequence[str]
) -> ImageCode:
    """What the image at ``base`` says of some tags. Raises InputError when no page of it can be read.

    ``read(address, size)`` gives all of the bytes or None; ``functions`` are the virtual addresses of what Windows
    exports, and the names; ``machine`` is ``x86``, ``x64`` or ``arm64``, which an image without headers does not say.
    """
    image = of_memory(read, base, size, f"the image at 0x{base:x}", machine)
    found = _said(image, functions, tags)
    return ImageCode(
        uses=found,
        unread_code=image.unread_code,
        unread_pageable=image.unread_pageable,
        headless=image.headless,
        timestamp=image.timestamp or None,
    )


@dataclass(frozen=True, slots=True)
class FileCode:
    """A file. ``code`` is None when it is no driver; ``problem`` is then one sentence, None for a file of a folder."""

    name: str
    code: ImageCode | None
    problem: str | None = None


def code_of_files(paths: Iterable[Path], tags: Sequence[str], progress: Progress | None = None) -> Iterator[FileCode]:
    """What driver files, and those of folders, say of some tags. Raises InputError for a path that does not exist."""
    yield from each_file(driver_files(paths), partial(_code_of_file, tags=tuple(tags)), progress)


def _code_of_file(file: tuple[Path, bool], tags: Sequence[str]) -> FileCode:
    path, named = file
    name = str(path)
    if not named and not is_driver(path):
        return FileCode(name, None)
    try:
        image = of_file(read_file(path), name)
        found = _said(image, None, tags)
        return FileCode(name, ImageCode(uses=found, timestamp=image.timestamp or None))
    except InputError as error:
        return FileCode(name, None, str(error))


def _said(image: ImageBytes, functions: Mapping[int, str] | None, tags: Sequence[str]) -> tuple[TagUseInCode, ...]:
    """``functions`` are the addresses of an image that was loaded; None for a file."""
    keys = [key for tag in tags if (key := _key(tag)) is not None]
    arm64 = image.machine == "arm64"
    held: set[int] = set()
    for part in image.sections[1:]:
        held |= held_tags(part.data, [key for key in keys if key not in held], arm64=arm64)
    return tuple(_uses(image, functions, [key for key in keys if key in held])) if held else ()


def _key(tag: str) -> int | None:
    """The number of a tag of a table; None for what code cannot be searched for."""
    if not 0 < len(tag) <= 4 or not tag.isascii():
        return None
    key = plain_key(int.from_bytes(tag.encode("ascii").ljust(4), "little"))
    return key if is_tag(key) else None


def _uses(image: ImageBytes, functions: Mapping[int, str] | None, keys: Sequence[int]) -> Iterable[TagUseInCode]:
    code = Code(image)
    places = {key: tag_places(image, code, key) for key in keys}
    in_code = {place.rva for found in places.values() for place in found if place.use is not Use.DATA}

    def scanned(near: set[int] | None) -> Scan:
        if functions is None:
            return scan_file_image(image, near, code)
        return scan_loaded_image(image, functions, near, code)

    scan = scanned(in_code) if in_code else None
    told = set() if scan is None else {use.source for use in scan.uses} | {use.rva for use in scan.uses}
    # A tag in a variable, or handed to a function of the driver's own: then all calls must be looked at
    left = [place for found in places.values() for place in found if place.rva not in told and _may_reach(place)]
    if left:
        scan = scanned(None)
    uses = () if scan is None else scan.uses
    for key in keys:
        yield from tag_uses(key, uses, places[key])


def _may_reach(place: TagUse) -> bool:
    """Whether a place may be where a call elsewhere gets its tag from."""
    return place.use is Use.IMMEDIATE or (place.use is Use.DATA and place.rva % 4 == 0)


def tag_uses(key: int, uses: Sequence[TagUse], places: Sequence[TagUse]) -> Iterable[TagUseInCode]:
    """What an image does with a tag, by kind: ``uses`` are those at calls, ``places`` those of its bytes."""
    allocating = [use for use in uses if use.use in (Use.ALLOCATION, Use.LOOKASIDE)]
    mine = [use for use in allocating if use.tag == key]
    yield from _one(key, CodeUse.ALLOCATES, [use for use in mine if use.certain])
    yield from _one(key, CodeUse.SEEMS, [use for use in mine if not use.certain])
    yield from _one(key, CodeUse.FREES, [use for use in uses if use.use is Use.FREE and use.tag == key])
    if turned(key) != key:
        yield from _one(key, CodeUse.TURNED, [use for use in allocating if use.tag == turned(key)])
    told = {use.source for use in uses} | {use.rva for use in uses}
    plain = [place for place in places if place.tag == key and place.rva not in told]
    operands = [place for place in plain if place.use is Use.IMMEDIATE]
    yield from _one(
        key, CodeUse.CONSTANT, [place for place in operands if not place.text.startswith(("cmp", "sub ", "xor"))]
    )
    data = [place for place in plain if place.use is Use.DATA and place.rva % 4 == 0 and not within_text(place)]
    yield from _one(key, CodeUse.DATA, data)


def _one(key: int, kind: CodeUse, uses: Sequence[TagUse]) -> Iterable[TagUseInCode]:
    if uses:
        names = tuple(sorted({use.function for use in uses if use.function is not None}))
        yield TagUseInCode(tag_text(key), kind, tuple(use.rva for use in uses[:MAX_PLACES]), len(uses), names)
