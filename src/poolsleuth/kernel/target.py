"""A Windows kernel that was found in memory: where it lies, and what is known of its variables and structures."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from poolsleuth.kernel.address_space import Reader
from poolsleuth.windows.kernel_table import Field, KernelTable, PdbId, Structure


@dataclass(frozen=True, slots=True, kw_only=True)
class Kernel:
    """What the readers of modules, tables, locks and counters are given.

    ``memory`` is the system process's address space. ``base`` is where ntoskrnl lies, ``size`` the bytes of its image
    (None when unknown). ``table`` holds its symbols, None when there are none. ``addresses`` are those of variables
    that were found without symbols (KDBG, the header of the dump, tests), ``layouts`` the structures of this build as
    they are known without symbols; both are used only where the symbols have no answer. ``process_memory`` opens the
    address space of a process from its directory table base; None where there is no physical memory. ``notes`` are
    sentences that say what was used and what could not be known. ``kept`` is for readers whose answer others ask for
    again, under their own name: memory of a dump does not change.
    """

    memory: Reader
    build: int
    architecture: str
    pae: bool | None
    base: int
    size: int | None
    pdb: PdbId | None
    processors: int | None
    table: KernelTable | None
    addresses: Mapping[str, int] = field(default_factory=dict)
    layouts: Mapping[str, Structure] = field(default_factory=dict)
    process_memory: Callable[[int], Reader] | None = None
    notes: tuple[str, ...] = ()
    kept: dict[str, object] = field(default_factory=dict, init=False, compare=False, repr=False)

    @property
    def pointer_size(self) -> int:
        """Bytes of a pointer."""
        return self.memory.pointer_size

    @property
    def exact(self) -> bool:
        """Whether the layouts are those of this very kernel, not those that its build usually has."""
        return self.table is not None

    def address(self, name: str) -> int | None:
        """The virtual address of the kernel's variable ``name``; None when it is not known."""
        if self.table is not None:
            relative = self.table.symbols.get(name)
            if relative is not None:
                return self.base + relative
        return self.addresses.get(name)

    def structure(self, name: str) -> Structure | None:
        """A structure of this kernel: from its symbols, else as its build has it; None when neither knows it."""
        if self.table is not None and name in self.table.structures:
            return self.table.structures[name]
        return self.layouts.get(name)

    def place(self, structure: str, path: str) -> Field | None:
        """A field of a structure by its (dotted) name; None when it is not known."""
        found = self.structure(structure)
        return None if found is None else found.fields.get(path)

    def variable(self, name: str, width: int | None = None) -> int | None:
        """The value of a variable: a number of ``width`` bytes, those of a pointer when None is given."""
        address = self.address(name)
        return None if address is None else self.memory.number(address, width or self.pointer_size)

    def value(self, base: int, structure: str, path: str) -> int | None:
        """The unsigned value of a field of the structure at ``base``; None when its place or its bytes are not known.

        The width is that of the field; a field whose size is not known is read as a pointer.
        """
        place = self.place(structure, path)
        if place is None:
            return None
        raw = self.memory.number(base + place.offset, place.size or self.pointer_size)
        if raw is None or place.bit is None or place.bits is None:
            return raw
        return raw >> place.bit & (1 << place.bits) - 1
