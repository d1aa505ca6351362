"""The memory of the loaded modules of a dump, and where the functions lie that take a pool tag."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from poolsleuth.kernel.address_space import PAGE, Reader
from poolsleuth.kernel.image import read_exports, read_image
from poolsleuth.kernel.imports import routine_addresses
from poolsleuth.kernel.modules import LoadedModule
from poolsleuth.kernel.sessions import read_sessions
from poolsleuth.kernel.target import Kernel

MAX_MODULE = 128 << 20  # bytes of one module that are read: the largest drivers (of graphics cards) have 60 to 110 MB
MAX_TOTAL = 1 << 30  # bytes of all modules: real machines have 30 to 400 MB
MAX_SESSIONS = 4  # sessions in which the drivers of the window manager are looked for: they are the same in all
_CHUNK = 4096  # pages that are read at once: 16 MB

LIBRARIES = frozenset(
    {"hal.dll", "ndis.sys", "fltmgr.sys", "storport.sys", "videoprt.sys", "win32k.sys", "win32kfull.sys"}
)
"""Modules beside the kernel that export functions which allocate with a tag, or lead to such memory."""


@dataclass(frozen=True, slots=True)
class ModuleMemory:
    """What is in memory of a module. ``data`` begins at its base; ``there`` tells of each of its pages whether it could
    be read (zeros stand for one that could not)."""

    module: LoadedModule
    data: bytes
    there: NDArray[np.bool_]

    @property
    def pages_read(self) -> int:
        """Pages that could be read."""
        return int(np.count_nonzero(self.there))

    def read(self, address: int, size: int) -> bytes | None:
        """``size`` bytes; None when they are not all there."""
        at = address - self.module.base
        if at < 0 or size <= 0 or at + size > len(self.data):
            return None
        if not self.there[at // PAGE : (at + size - 1) // PAGE + 1].all():
            return None
        return self.data[at : at + size]


def module_memories(
    kernel: Kernel, modules: Iterable[LoadedModule], *, with_kernel: bool = False
) -> Iterator[ModuleMemory]:
    """The memory of each module, one at a time; that of the kernel itself only when it is asked for.

    What the system process does not see (the window manager and its drivers) is looked for in the sessions. Behind
    ``MAX_TOTAL`` bytes no page is read any more.
    """
    others: list[Reader] | None = None
    left = MAX_TOTAL
    for module in modules:
        if module.base == kernel.base and not with_kernel:
            continue
        size = min(module.size, MAX_MODULE, left)
        left -= size
        found = _memory(kernel.memory, module, size)
        if not found.pages_read and size:
            others = session_memory(kernel) if others is None else others
            for memory in others:
                again = _memory(memory, module, size)
                if again.pages_read:
                    found = again
                    break
        yield found


def session_memory(kernel: Kernel) -> list[Reader]:
    """The memory as the first ``MAX_SESSIONS`` sessions that can be read see it."""
    found = [session.memory for session in read_sessions(kernel).sessions if session.memory is not None]
    return found[:MAX_SESSIONS]


def _memory(memory: Reader, module: LoadedModule, size: int) -> ModuleMemory:
    first = module.base // PAGE
    count = min(-(-size // PAGE), (1 << 8 * memory.pointer_size) // PAGE - first)
    parts: list[bytes] = []
    there = np.zeros(max(count, 0), np.bool_)
    for begin in range(0, count, _CHUNK):
        pages = np.arange(first + begin, first + min(begin + _CHUNK, count), dtype=np.uint64)
        rows, places = memory.space.gather(pages)
        there[begin : begin + len(pages)] = places >= 0
        parts.append(rows.tobytes())
    return ModuleMemory(module, b"".join(parts), there)


def function_addresses(kernel: Kernel, modules: Iterable[LoadedModule], names: Iterable[str]) -> dict[int, str]:
    """Where functions of the kernel and of ``LIBRARIES`` lie, and their names, as far as the dump says it."""
    wanted = tuple(names)
    found = {address: name for name, address in routine_addresses(kernel, wanted).items()}
    for module in modules:
        if module.name is not None and module.name.casefold() in LIBRARIES:
            image = read_image(kernel.memory, module.base)
            exported = {} if image is None else read_exports(kernel.memory, image, wanted)
            found |= {address: name for name, address in exported.items()}
    return found
