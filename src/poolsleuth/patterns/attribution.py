"""Ties tags to drivers, only as far as the evidence goes: descriptions, import tables found in memory, names."""

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from poolsleuth.model.facts import Where
from poolsleuth.model.finding import Confidence
from poolsleuth.model.machine import Machine
from poolsleuth.model.module_search import ModuleSearch
from poolsleuth.model.modules import MemoryHit, Module, ModuleList, PointerTable, SymbolAddress, UnloadedModules
from poolsleuth.model.tag_code import DriverFilesSearch, TagUser
from poolsleuth.model.tags import TagDescription, TagRow
from poolsleuth.patterns.importing import importing
from poolsleuth.patterns.makers import CodeOfDrivers, Makers
from poolsleuth.patterns.tag_knowledge import sure_note
from poolsleuth.windows.own_modules import is_windows_module
from poolsleuth.windows.shared_tags import ROUTINES
from poolsleuth.windows.tag_notes import Role
from poolsleuth.windows.tag_patterns import TagPatterns

THIRD_PARTY = "third-party drivers"  # what our notes call a tag's component when it is not Windows' own
MIN_PREFIX = 3  # characters of a tag that must agree with a driver's name before it is worth a word
MAX_IMAGE = 32 << 20  # bytes: an import table further than this from a base is not of that module

_GUID_NAME = re.compile(r"^\{[0-9A-Fx]{8}-[0-9A-Fx]{4}-[0-9A-Fx]{4}-[0-9A-Fx]{4}-[0-9A-Fx]{12}\}", re.IGNORECASE)
_REDACTED = re.compile(r"x{4,}|\*{3,}|redacted", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Owner:
    """Who writes a tag: a binary ("ntfs.sys", "nt!mm") or a component, and how that is known."""

    binary: str | None
    description: str | None
    how: str
    confidence: Confidence


@dataclass(frozen=True, slots=True)
class Importer:
    """A module whose import table holds a function's address. ``name`` is as printed; None when not resolved."""

    name: str | None
    base: int | None
    slot: int
    where: Where
    is_import_table: bool

    @property
    def guid_named(self) -> bool:
        """Whether the driver is named by a GUID: such files are usually made at run time by their program."""
        return bool(self.name and _GUID_NAME.match(self.name))

    @property
    def redacted(self) -> bool:
        """Whether the author of the log has replaced the name."""
        return bool(self.name and _REDACTED.search(self.name))


@dataclass(frozen=True, slots=True)
class NameMatch:
    """A driver whose name begins like a tag (or the other way round). ``unloads`` counts its unloadings."""

    module: str
    loaded: bool
    unloads: int
    shared: int
    where: Where


class Attribution:
    """Everything one machine's evidence says about who owns what."""

    def __init__(
        self,
        machine: Machine,
        descriptions: Iterable[TagDescription] = (),
        files: Iterable[TagUser | DriverFilesSearch] = (),
    ) -> None:
        self._descriptions = TagPatterns((d.pattern, d) for d in descriptions)
        self.loaded: dict[str, Module] = {}
        self.loaded_complete = False
        for modules in machine.all(ModuleList):
            self.loaded_complete |= modules.complete
            for module in modules.modules:
                self.loaded.setdefault((module.image or module.name).casefold(), module)
        self.unloaded: Counter[str] = Counter()
        self._unloaded_where: dict[str, Where] = {}
        for gone in machine.all(UnloadedModules):
            # A list is the whole history of its boot: two of them, or one and a report on it, tell the same twice
            self.unloaded |= Counter(driver.name for driver in gone.modules)
            for driver in gone.modules:
                self._unloaded_where.setdefault(driver.name, driver.where)
        self._stems = {name: _stem(name) for name in (*self.unloaded, *self.loaded)}
        self._symbols = {fact.symbol.casefold(): fact for fact in machine.all(SymbolAddress)}
        self._hits = list(machine.all(MemoryHit))
        self._tables = list(machine.all(PointerTable))
        self.searched_all_modules = any("for_each_module" in (hit.command or "") for hit in self._hits)
        self._code = CodeOfDrivers(machine, files)
        self._searches = {fact.symbol.casefold(): fact for fact in machine.all(ModuleSearch)}

    def owner(self, row: TagRow) -> Owner | None:
        """Who writes this row's tag; None when nothing in the evidence and none of our notes says."""
        listed = self._descriptions.find(row.tag)
        if listed is not None:
            confidence = Confidence.HIGH if listed.pattern.rstrip() == row.tag else Confidence.MEDIUM
            return Owner(listed.binary, listed.description, "pooltag.txt", confidence)
        if row.binary is not None:
            return Owner(row.binary, row.description, "the description in the log", Confidence.HIGH)
        note = sure_note(row)
        if note is not None:
            return Owner(note.binary, row.description or note.component, "our notes on common tags", Confidence.HIGH)
        if row.description is not None:
            return Owner(None, row.description, "the description in the log", Confidence.MEDIUM)
        return None

    def makers(self, row: TagRow) -> Makers | None:
        """Who may have made the blocks of a tag, by the code of drivers; None when none was searched for it.

        Of a tag that Windows puts on what drivers ask for: those that import what they ask with.
        """
        if row.tag in ROUTINES:
            return self._askers(row.tag)
        listed = self._descriptions.find(row.tag)
        exact = listed is not None and listed.pattern.rstrip() == row.tag
        named = listed.binary if listed is not None and exact else row.binary
        note = sure_note(row)
        shared = note is not None and note.role is Role.GENERIC
        return self._code.makers(
            row.tag,
            self.loaded,
            loaded_complete=self.loaded_complete,
            named=named,
            known=note.binary if note is not None and not shared and note.component != THIRD_PARTY else None,
            shared=shared,
            gone=[(m.module, m.unloads) for m in self.named_like(row.tag) if m.unloads and not m.loaded],
        )

    def importers(self, symbol: str) -> list[Importer]:
        """The modules whose memory holds the address of ``symbol`` (such as ``nt!ExAllocatePool``), each once."""
        known = self._symbols.get(symbol.casefold())
        slots: dict[int, tuple[Where, bool]] = {}
        for table in self._tables:
            for row in table.rows:
                by_name = row.symbol is not None and row.symbol.casefold() == symbol.casefold()
                if by_name or (known is not None and row.value == known.address):
                    slots[row.address] = (row.where, table.is_import_table)
        for hit in self._hits:
            address = known.address if known is not None else None
            if address is not None and hit.values[:1] == (address,) and hit.address not in slots:
                slots[hit.address] = (hit.where, False)
        found: dict[object, Importer] = {}
        for slot, (where, is_table) in sorted(slots.items()):
            module = self._module_of(slot)
            importer = Importer(
                name=(module.image or module.name) if module else None,
                base=module.start if module else None,
                slot=slot,
                where=where,
                is_import_table=is_table,
            )
            found.setdefault(importer.base if module else slot, importer)
        return list(found.values())

    def _askers(self, tag: str) -> Makers | None:
        found: dict[str, list[tuple[Importer, str]]] = {}
        for symbol in ROUTINES[tag]:
            for importer in self.importers(symbol):
                name = importer.name or f"the module around 0x{importer.slot:x}"
                found.setdefault(name, []).append((importer, symbol))
        searches = [search for symbol in ROUTINES[tag] if (search := self.search_of(symbol)) is not None]
        windows = [name for name in found if self._is_windows(name)]
        # Parts of Windows take such memory for others: drivers that do it for themselves come first
        ranked = {name: found[name] for name in sorted(found, key=windows.__contains__)}
        return importing(tag, ranked, windows, searches)

    def _is_windows(self, name: str) -> bool:
        module = self.loaded.get(name.casefold())
        return is_windows_module(name, None if module is None else module.company)

    def search_of(self, symbol: str) -> ModuleSearch | None:
        """How far the modules of a dump were searched for ``symbol``; None when no dump was."""
        return self._searches.get(symbol.casefold())

    def _module_of(self, address: int) -> Module | None:
        best: Module | None = None
        for module in self.loaded.values():
            if module.start is None or not module.start <= address < (module.end or module.start + MAX_IMAGE):
                continue
            if best is None or module.start > (best.start or 0):
                best = module
        return best

    def unloaded_named(self, binary: str) -> NameMatch | None:
        """The unloaded driver of this file name ("exscan.sys"), None when none is listed."""
        for name, unloads in self.unloaded.items():
            if _stem(name) == _stem(binary):
                loaded = any(_stem(key) == _stem(binary) for key in self.loaded)
                return NameMatch(name, loaded, unloads, len(name), self._unloaded_where[name])
        return None

    def named_like(self, tag: str) -> list[NameMatch]:
        """Drivers whose name begins with the tag, or whose name's beginning the tag repeats, longest match first."""
        matches = []
        wanted = tag.strip().casefold()
        if len(wanted) < MIN_PREFIX or not wanted.isalnum():
            return []
        for name, unloads in self.unloaded.items():
            shared = _shared(wanted, self._stems[name])
            if shared >= MIN_PREFIX:
                loaded = name.casefold() in self.loaded
                matches.append(NameMatch(name, loaded, unloads, shared, self._unloaded_where[name]))
        gone = {match.module.casefold() for match in matches}
        for key, module in self.loaded.items():
            shared = _shared(wanted, self._stems[key])
            if shared >= MIN_PREFIX and key not in gone:
                matches.append(NameMatch(module.image or module.name, True, 0, shared, module.where))
        return sorted(matches, key=lambda m: (-m.shared, -m.unloads, m.module))


def _shared(tag: str, stem: str) -> int:
    """How many characters of the whole tag (or of the whole name, when that is shorter) begin both."""
    if stem.startswith(tag):
        return len(tag)
    reverse = tag[::-1]  # many authors write 'gaT1' so that a dump shows 1Tag
    return len(tag) if stem.startswith(reverse) and len(tag) > MIN_PREFIX else 0


def _stem(module: str) -> str:
    return module.casefold().rsplit(".", 1)[0]
