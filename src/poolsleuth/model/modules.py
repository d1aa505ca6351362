"""Facts about modules, symbols and searches: ``lm``, ``lmv``, ``!lmi``, ``x``, ``s-d``, ``dps``, ``!dh``."""

from dataclasses import dataclass
from datetime import datetime

from poolsleuth.model.facts import Fact, Where


@dataclass(frozen=True, slots=True)
class Module:
    """A loaded module. Addresses are virtual; what the output does not print is None."""

    name: str
    start: int | None
    end: int | None
    where: Where
    image: str | None = None
    path: str | None = None
    company: str | None = None
    version: str | None = None
    timestamp: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ModuleList(Fact):
    """Rows of ``lm``/``lmv``/``!lmi``. ``complete`` is True only for a plain ``lm`` that was not filtered."""

    modules: tuple[Module, ...]
    complete: bool = False


@dataclass(frozen=True, slots=True)
class UnloadedModule:
    """One unloading of a driver; the same name several times means it was loaded and unloaded again."""

    name: str
    start: int | None
    end: int | None
    where: Where
    unloaded_at: datetime | None = None  # UTC


@dataclass(frozen=True, slots=True, kw_only=True)
class UnloadedModules(Fact):
    """The debugger's list of unloaded modules (the kernel keeps only the last 50, so absence proves nothing)."""

    modules: tuple[UnloadedModule, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class SymbolAddress(Fact):
    """One row of ``x``: a symbol as printed (``nt!ExAllocatePool``) and its address."""

    symbol: str
    address: int


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryHit(Fact):
    """One row of a memory search over modules (``s-d``, ``s-q``, ``s -a``).

    ``values`` are the printed dwords or qwords, ``text`` the ASCII column; ``searched`` is the value or text
    asked for, None when the command was lost.
    """

    address: int
    values: tuple[int, ...]
    text: str
    searched: str | None


@dataclass(frozen=True, slots=True)
class PointerRow:
    """One row of ``dps``: address, value, and the symbol it points to (None when there is none)."""

    address: int
    value: int
    symbol: str | None
    where: Where


@dataclass(frozen=True, slots=True, kw_only=True)
class PointerTable(Fact):
    """Rows of ``dps``/``dds``/``dqs``. ``is_import_table`` when its symbols are functions of other modules."""

    rows: tuple[PointerRow, ...]
    is_import_table: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportTableRange(Fact):
    """The import address table directory of ``!dh``: offset from the module's base and size, in bytes."""

    module: str | None
    base: int | None
    rva: int
    size: int
