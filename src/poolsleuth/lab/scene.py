"""What a machine is built on: areas of virtual memory that are filled from their start, and the kernel's variables."""

from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from poolsleuth.lab.address_plan import AddressPlan
from poolsleuth.lab.machine import Machine
from poolsleuth.lab.page_tables import AddressSpaceWriter
from poolsleuth.lab.physical import PAGE, PhysicalImage
from poolsleuth.lab.structures import Layout

_LONGEST_PIECE = 64  # physical pages that lie behind each other at most, as memory that was in use for days has them


class Area:
    """An area of virtual memory that is handed out from its start; what is put into it is written at the end."""

    def __init__(self, start: int) -> None:
        self.start = start
        self._next = start
        self._pieces: list[tuple[int, bytes | bytearray | memoryview]] = []

    @property
    def pages(self) -> int:
        """Pages that are in use so far."""
        return -(-(self._next - self.start) // PAGE)

    def reserve(self, size: int, align: int = 16) -> int:
        """Addresses for ``size`` bytes: zeros, until they are put."""
        at = -(-self._next // align) * align
        self._next = at + max(size, 1)
        return at

    def put(self, address: int, data: bytes | bytearray | memoryview) -> None:
        """What lies at an address. Raises ValueError outside of what was reserved."""
        if not self.start <= address or address + len(data) > self._next:
            raise ValueError(f"{len(data)} bytes at {address:#x} lie outside of their area")
        self._pieces.append((address, data))

    def place(self, data: bytes | bytearray | memoryview, align: int = 16) -> int:
        """Reserve and put; gives the address."""
        at = self.reserve(len(data), align)
        self._pieces.append((at, data))
        return at

    def text(self, text: str) -> int:
        """The address of a text in UTF-16."""
        return self.place(text.encode("utf-16-le") + b"\0\0", 8)

    def write(
        self,
        space: AddressSpaceWriter,
        random: Random,
        held: Callable[[int], str] = lambda _address: "valid",
        *,
        large: bool = False,
    ) -> None:
        """Map the area and write what was put. ``held`` says of each page whether it is valid, transition or paged-out.

        What was put into pages that are paged out is lost, as it is to a dump. ``large``: in large pages, all valid.
        """
        if large:
            each = space.large_page * PAGE
            for at in range(self.start, self.start + self.pages * PAGE, each):
                space.map(at, space.large_page, large=True)
            for address, data in self._pieces:
                space.write(address, data)
            return
        at, end = self.start // PAGE * PAGE, self.start // PAGE * PAGE + self.pages * PAGE
        lost: set[int] = set()
        while at < end:
            state = held(at)
            if state == "paged-out":
                space.map(at, 1, state="paged-out", page_file=(0, 0x1000 + (at - self.start) // PAGE))
                lost.add(at)
                at += PAGE
                continue
            count = 1
            most = random.randint(1, _LONGEST_PIECE)
            while count < most and at + count * PAGE < end and held(at + count * PAGE) == state:
                count += 1
            below = 1 << 20 if space.mode == "x86" else 1 << 40
            pages = space.physical.take(count, below=below)
            space.map(at, count, pages=pages, state="transition" if state == "transition" else "valid")
            at += count * PAGE
        for address, data in self._pieces:
            _write(space, address, data, lost)


def _write(space: AddressSpaceWriter, address: int, data: bytes | bytearray | memoryview, lost: set[int]) -> None:
    if not lost:
        space.write(address, data)
        return
    view = memoryview(data).cast("B")
    done = 0
    while done < len(view):
        part = view[done : done + PAGE - (address + done) % PAGE]
        if (address + done) // PAGE * PAGE not in lost:
            space.write(address + done, part)
        done += len(part)


class KernelImage:
    """The image of ntoskrnl: its variables, by name."""

    def __init__(self, layout: Layout, base: int, size: int) -> None:
        self.layout = layout
        self.base = base
        self.size = size
        self.pieces: list[tuple[int, bytes]] = []
        self.known: dict[str, int] = {}

    def address(self, name: str) -> int | None:
        """The address of a variable; None when this kernel has none of that name."""
        relative = self.layout.symbols.get(name)
        return None if relative is None else self.base + relative

    def put(self, name: str, value: int | bytes, width: int | None = None, *, offset: int = 0) -> bool:
        """Set a variable: bytes, or a number of ``width`` bytes (those of a pointer when None). False: it has none."""
        address = self.address(name)
        if address is None:
            return False
        if isinstance(value, int):
            size = width or self.layout.pointer
            value = (value & (1 << 8 * size) - 1).to_bytes(size, "little")
        self.pieces.append((address + offset, bytes(value)))
        self.known[name] = address
        return True


@dataclass(frozen=True, slots=True)
class Scene:
    """Everything that the parts of the lab write to. ``random`` is the machine's own source of chance."""

    machine: Machine
    layout: Layout
    plan: AddressPlan
    image: KernelImage
    nonpaged: Area
    paged: Area
    physical: PhysicalImage
    system: AddressSpaceWriter
    random: Random

    @property
    def pointer(self) -> int:
        """Bytes of a pointer."""
        return self.layout.pointer

    def word(self, value: int) -> bytes:
        """A pointer as bytes."""
        return (value & (1 << 8 * self.pointer) - 1).to_bytes(self.pointer, "little")

    def unicode_string(self, text: str, area: Area) -> bytes:
        """A UNICODE_STRING whose text lies in ``area``."""
        size = len(text.encode("utf-16-le"))
        buffer = area.text(text) if text else 0
        lengths = size.to_bytes(2, "little") + (size + 2 if text else 0).to_bytes(2, "little")
        return lengths.ljust(self.pointer, b"\0") + self.word(buffer)

    def list_links(self, head: int, nodes: list[int]) -> list[bytes]:
        """The LIST_ENTRY of the head and of every node of a closed list, in that order."""
        ring = [head, *nodes]
        count = len(ring)
        return [self.word(ring[(i + 1) % count]) + self.word(ring[i - 1]) for i in range(count)]
