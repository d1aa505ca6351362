"""Which addresses can be those of kernel data."""

from poolsleuth.kernel.address_space import PAGE

_KERNEL_32 = 0x80000000  # of a system with the usual 2 GB for user mode; with 3 GB it begins higher
_KERNEL_64 = 0xFFFF800000000000


def kernel_start(pointer_size: int) -> int:
    """The lowest address that kernel data can have."""
    return _KERNEL_64 if pointer_size == 8 else _KERNEL_32


def is_kernel_address(address: int | None, pointer_size: int) -> bool:
    """Whether something of the kernel can lie at ``address``: not in user space, not beyond the last page."""
    return address is not None and kernel_start(pointer_size) <= address <= (1 << 8 * pointer_size) - PAGE
