"""Whether a list head can be believed, and which of several addresses of it."""

from collections.abc import Iterable

from poolsleuth.kernel.address_space import Reader
from poolsleuth.kernel.addresses import is_kernel_address


def list_is_sane(memory: Reader, head: int) -> bool | None:
    """Whether both neighbours of a LIST_ENTRY lead back to it. None when it or they cannot be read.

    The head of an empty list leads to itself, and is sane.
    """
    size = memory.pointer_size
    if not is_kernel_address(head, size):
        return False
    forward, back = memory.pointer(head), memory.pointer(head + size)
    if forward is None or back is None:
        return None
    if not is_kernel_address(forward, size) or not is_kernel_address(back, size):
        return False
    from_forward, from_back = memory.pointer(forward + size), memory.pointer(back)
    if (from_forward is not None and from_forward != head) or (from_back is not None and from_back != head):
        return False
    return None if from_forward is None and from_back is None else True


def believed(memory: Reader, candidates: Iterable[int | None]) -> int | None:
    """The first address whose list is sane; else the first whose list cannot be read; None when all are wrong."""
    unknown: int | None = None
    for head in candidates:
        if head is None:
            continue
        sane = list_is_sane(memory, head)
        if sane:
            return head
        if sane is None and unknown is None:
            unknown = head
    return unknown
