"""How crash dumps and memory images are read: where symbols are found, and what the user says of an image."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class DumpOptions:
    """``symbols`` are entries of a symbol path (files, folders, stores, URLs), looked at in this order.

    ``offline``: nothing is fetched from a URL, whatever the symbol path says. ``directory_table_base`` (physical) and
    ``kernel_base`` (virtual) are what the user says of a memory image that does not say them itself; None: find them.
    """

    symbols: tuple[str, ...] = ()
    offline: bool = False
    directory_table_base: int | None = None
    kernel_base: int | None = None


AS_FOUND = DumpOptions()
