"""A search of all loaded modules for the address of a routine: how far it went."""

from dataclasses import dataclass

from poolsleuth.model.facts import Fact


@dataclass(frozen=True, slots=True, kw_only=True)
class ModuleSearch(Fact):
    """All loaded modules were searched for a routine of the kernel, as far as they are in memory.

    ``symbol`` is the routine (``nt!ExAllocatePool``), ``address`` where it lies (None: only the names in import tables
    were searched). ``modules`` is the number of modules, without the kernel; ``unseen`` are the names of those whose
    import table could not be read, so that they may import it too (None for one whose name is not known).
    ``unread_bytes`` of ``unread_modules`` modules are not in memory: an address that a driver looked up at run time
    may lie there. ``whole_list`` is False when modules are missing in the list that was searched.
    """

    symbol: str
    address: int | None
    modules: int
    unseen: tuple[str | None, ...]
    unread_bytes: int
    unread_modules: int
    whole_list: bool

    @property
    def complete(self) -> bool:
        """Whether every loaded module that imports the routine must have been found."""
        return self.whole_list and not self.unseen and self.address is not None
