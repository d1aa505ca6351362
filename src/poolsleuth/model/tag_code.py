"""Which drivers' code uses a tag: what was found in the modules of a dump, or in drivers' files."""

from dataclasses import dataclass
from enum import StrEnum

from poolsleuth.model.facts import Fact

MAX_PLACES = 8  # places of one use in one driver that are kept: nobody looks at more by hand


class CodeUse(StrEnum):
    """What the bytes of a tag are in a driver, the strongest evidence first."""

    ALLOCATES = "allocates"  # for certain the tag argument of a call that allocates, or sets up a lookaside list
    SEEMS = "seems to allocate"  # the first value of a variable there, or a push that only looks like the argument
    FREES = "frees"
    TURNED = "turned"  # at a call that allocates, but with its letters the other way round
    CONSTANT = "constant"  # an operand in code, at no call that is known
    DATA = "data"  # bytes in data


@dataclass(frozen=True, slots=True)
class TagUseInCode:
    """One use of one tag in one image. ``places`` are distances from the image's base (``count`` in all, the first
    ``MAX_PLACES`` kept), ``functions`` what is called there."""

    tag: str
    use: CodeUse
    places: tuple[int, ...]
    count: int
    functions: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageCode:
    """What one image says of some tags. ``unread_code`` are bytes of resident code that are not in the dump,
    ``unread_pageable`` those of code that Windows may page out. ``headless``: its headers are gone, so that code and
    data are not told apart."""

    uses: tuple[TagUseInCode, ...] = ()
    unread_code: int = 0
    unread_pageable: int = 0
    headless: bool = False
    timestamp: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TagUser(Fact):
    """A driver that uses a tag. ``driver`` is its file's name, None when the dump does not hold it.

    ``base`` is where it is loaded, None for a file (``where`` is then the file). ``timestamp`` is the raw field of its
    header, None when that is not known.
    """

    driver: str | None
    base: int | None
    timestamp: int | None
    use: TagUseInCode


@dataclass(frozen=True, slots=True, kw_only=True)
class TagSearch(Fact):
    """The code of all loaded modules of a dump was searched for tags, as far as it is in memory.

    ``tags`` are those that were looked for, ``modules`` counts the modules, without the kernel. ``unseen`` are those of
    which no code could be read, ``unfinished`` those that hold a tag's bytes but were not read for want of time (names,
    None where it is not known). ``partial`` modules have ``unread_code`` bytes of resident code that are not in the
    dump, ``paged`` modules ``unread_pageable`` bytes of pageable code. ``functions``: how many of the functions that
    allocate have a known address. ``whole_list`` is False when modules are missing in the list.
    """

    tags: tuple[str, ...]
    modules: int
    unseen: tuple[str | None, ...]
    unfinished: tuple[str | None, ...]
    partial: int
    unread_code: int
    paged: int
    unread_pageable: int
    functions: int
    whole_list: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class DriverFilesSearch(Fact):
    """Driver files that were given were searched for tags: ``tags``, and how many drivers they were."""

    tags: tuple[str, ...]
    drivers: int
