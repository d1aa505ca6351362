"""Where the kernel's image lies: the first module of the list, or the page with a PE header before a known address."""

from dataclasses import dataclass

import numpy as np

from poolsleuth.kernel.address_space import PAGE, Reader
from poolsleuth.kernel.addresses import is_kernel_address
from poolsleuth.kernel.find.lists import list_is_sane
from poolsleuth.kernel.image import PeImage, read_image
from poolsleuth.windows.kernel_table import Structure

MAX_BACK = 64 << 20  # bytes searched before an address in the kernel: its image has 20 MB at most so far
MIN_KERNEL = 512 << 10  # bytes: the smallest kernel (Windows 2000) has 1.6 MB
_CHUNK = 1024  # pages gathered at once: 4 MB
_MZ = 0x5A4D


@dataclass(frozen=True, slots=True)
class FirstModule:
    """The first entry of PsLoadedModuleList: where the kernel lies, and the bytes of its image."""

    base: int
    size: int


def is_kernel(image: PeImage, address: int | None, architecture: str | None) -> bool:
    """Whether an image can be the kernel: large enough, of the right machine, and with ``address`` inside."""
    if image.size < MIN_KERNEL or (architecture is not None and image.architecture != architecture):
        return False
    return address is None or image.base <= address < image.base + image.size


def first_module(memory: Reader, head: int, entry: Structure) -> FirstModule | None:
    """The first module of the list at ``head``: believed when the list is sane and its head lies in that module."""
    if list_is_sane(memory, head) is not True:
        return None
    first = memory.pointer(head)
    if first is None or first == head:
        return None
    base = memory.pointer(first + entry.fields["DllBase"].offset)
    size = memory.number(first + entry.fields["SizeOfImage"].offset, 4)
    if not base or not size or base % PAGE or not is_kernel_address(base, memory.pointer_size):
        return None
    return FirstModule(base, size) if base <= head < base + size else None


def search_back(memory: Reader, address: int, architecture: str | None) -> PeImage | None:
    """The image whose header lies in a page before ``address`` and that reaches over it; None within ``MAX_BACK``."""
    last = address // PAGE
    lowest = max(0, last - MAX_BACK // PAGE)
    while last > lowest:
        first = max(lowest, last - _CHUNK + 1)
        rows, _ = memory.space.gather(np.arange(first, last + 1, dtype=np.uint64))
        for index in reversed(np.flatnonzero(rows[:, :2].view("<u2")[:, 0] == _MZ).tolist()):
            image = read_image(memory, (first + index) * PAGE)
            if image is not None and is_kernel(image, address, architecture):
                return image
        last = first - 1
    return None
