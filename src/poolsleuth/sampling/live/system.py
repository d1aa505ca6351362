"""What the rest asks of a running Windows: one call for buffers, and who it is. Tests have a Windows of their own."""

from dataclasses import dataclass
from typing import Protocol

from poolsleuth.sampling.live.tag_tables import Buffer

MACHINES = {0x014C: "x86", 0x8664: "x64", 0xAA64: "arm64", 0x01C4: "arm", 0x0200: "ia64"}  # IMAGE_FILE_MACHINE_*


@dataclass(frozen=True, slots=True)
class Identity:
    """A Windows. None is not known; ``server`` tells a server from a client."""

    computer: str | None = None
    build: int | None = None
    server: bool | None = None
    architecture: str | None = None


class LiveSystem(Protocol):
    """A running Windows, seen by this process."""

    @property
    def wide(self) -> bool:
        """Whether buffers are laid out as for 64 bits."""

    @property
    def identity(self) -> Identity:
        """Which Windows it is."""

    def query(self, info_class: int, buffer: Buffer) -> tuple[int, int]:
        """Have a buffer filled: the status (unsigned) and the length that was used or is needed, 0 when not said."""

    def allow_debugging(self) -> bool:
        """Enable SeDebugPrivilege for this process; False when it does not hold it."""
