"""How crash dumps and memory images are read: where symbols are found, what the user says of an image, how code is."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from poolsleuth.model.tag_code import ImageCode

Read = Callable[[int, int], bytes | None]
"""Bytes at an address, so many; None when they are not all there."""


@dataclass(frozen=True, slots=True)
class CodeReader:
    """Who can read machine code: evidence does not do it itself.

    ``functions`` are the names of the functions whose addresses it needs. ``read(memory, base, size, machine,
    addresses, tags)`` says what the image at ``base`` does with some tags; it raises InputError when nothing of the
    image can be read.
    """

    functions: frozenset[str]
    read: Callable[[Read, int, int, str, Mapping[int, str], Sequence[str]], ImageCode]


@dataclass(frozen=True, slots=True)
class DumpOptions:
    """``symbols`` are entries of a symbol path (files, folders, stores, URLs), looked at in this order.

    ``offline``: nothing is fetched from a URL, whatever the symbol path says. ``directory_table_base`` (physical) and
    ``kernel_base`` (virtual) are what the user says of a memory image that does not say them itself; None: find them.
    ``code`` reads the code of loaded modules; None: it is not read.
    """

    symbols: tuple[str, ...] = ()
    offline: bool = False
    directory_table_base: int | None = None
    kernel_base: int | None = None
    code: CodeReader | None = None


AS_FOUND = DumpOptions()
