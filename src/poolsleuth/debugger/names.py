"""Names for addresses: modules, and the symbols of the kernel as far as they are known."""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field

from poolsleuth.debugger.text import printable
from poolsleuth.kernel.crash_dump.triage import TriageDump
from poolsleuth.kernel.export_names import read_export_names
from poolsleuth.kernel.image import read_exports, read_image
from poolsleuth.kernel.modules import LoadedModule, LoadedModules, read_modules
from poolsleuth.kernel.target import Kernel
from poolsleuth.windows.wanted_symbols import SYMBOLS

MAX_EXPORTING = 400  # modules whose exports are looked at: all that real machines have
_FAR = 0x100000  # bytes behind a symbol beyond which it says nothing of an address: a few functions are this large


def module_name(module: LoadedModule, kernel: Kernel) -> str:
    """What the debugger calls a module: its file without the extension, the kernel ``nt``."""
    if module.base == kernel.base:
        return "nt"
    if module.name is None:
        return f"Unknown_Module_{module.base:x}"
    return printable(module.name.rpartition(".")[0] or module.name)


@dataclass(frozen=True, slots=True)
class Names:
    """The modules of a kernel by address, and the kernel's own symbols: ``symbols`` maps names to addresses.

    ``exact`` of them are from its symbol table (or found without one), the others are its exports.
    """

    kernel: Kernel
    loaded: LoadedModules
    modules: tuple[LoadedModule, ...]
    symbols: dict[str, int]
    _starts: Sequence[int]
    _places: Sequence[tuple[int, str]]
    exact: int = 0
    _exports: dict[int, dict[int, str]] = field(default_factory=dict)

    def module_at(self, address: int) -> LoadedModule | None:
        """The module in which the address lies."""
        at = bisect_right(self._starts, address) - 1
        return self.modules[at] if at >= 0 and address < self.modules[at].end else None

    def symbol_at(self, address: int) -> tuple[str, int] | None:
        """The kernel's symbol at or before the address, and how far behind it the address lies."""
        module = self.module_at(address)
        if module is None or module.base != self.kernel.base:
            return None
        at = bisect_right(self._places, (address, "\U0010ffff")) - 1
        if at < 0 or address - self._places[at][0] > _FAR:
            return None
        place, name = self._places[at]
        return name, address - place

    def next_symbol(self, address: int) -> tuple[str, int] | None:
        """The first of the kernel's symbols behind the address, and its own address."""
        at = bisect_right(self._places, (address, "\U0010ffff"))
        return (self._places[at][1], self._places[at][0]) if at < len(self._places) else None

    def text(self, address: int) -> str | None:
        """The address by name: an exact symbol, else module and offset; None outside of all modules.

        Only some of a module's symbols are known, so that the one before an address is not the one it belongs to: it
        is not named.
        """
        exact = self.symbol_at(address)
        if exact is not None and exact[1] == 0:
            return f"nt!{exact[0]}"
        module = self.module_at(address)
        if module is None:
            return None
        name = module_name(module, self.kernel)
        exported = self.exports(module).get(address) if module.base != self.kernel.base else None
        return f"{name}!{printable(exported)}" if exported else f"{name}+0x{address - module.base:x}"

    def _any_case(self, symbol: str) -> int | None:
        """The debugger does not look at the case of letters."""
        wanted = symbol.lower()
        return next((place for name, place in self.symbols.items() if name.lower() == wanted), None)

    def exports(self, module: LoadedModule) -> dict[int, str]:
        """What a module exports, by address. It is read when it is asked for, and kept."""
        found = self._exports.get(module.base)
        if found is None:
            image = read_image(self.kernel.memory, module.base) if len(self._exports) < MAX_EXPORTING else None
            names = read_export_names(self.kernel.memory, image) if image is not None else {}
            found = self._exports[module.base] = {address: name for name, address in reversed(names.items())}
        return found

    def module_named(self, name: str) -> LoadedModule | None:
        """A module by what the debugger calls it, or by its file's name."""
        for one in self.modules:
            if name.lower() in (module_name(one, self.kernel).lower(), (one.name or "").lower()):
                return one
        return None

    def named(self, name: str) -> int | None:
        """The address of ``nt!Name``, of a bare name, or of a module."""
        module, mark, symbol = name.rpartition("!")
        if not mark or module.lower() == "nt":
            found = self.symbols.get(symbol)
            if found is not None or mark:
                return found if found is not None else self._any_case(symbol)
        if name.lower() == "nt":
            return self.kernel.base  # also where the list of modules is not in the dump
        if mark:
            exporter = self.module_named(module)
            places = self.exports(exporter) if exporter is not None else {}
            return next((place for place, exported in places.items() if exported == symbol), None)
        found_module = self.module_named(name)
        return None if found_module is None else found_module.base


def names_of(kernel: Kernel, triage: TriageDump | None = None) -> Names:
    """Read the names of a kernel. It takes a moment: ``Target.names`` does it once.

    A triage dump has no list of modules in its memory, but one of its own.
    """
    loaded = read_modules(kernel) if triage is None or not triage.drivers else _of_triage(triage)
    modules = tuple(sorted(loaded.modules, key=lambda module: module.base))
    symbols: dict[str, int] = {}
    image = read_image(kernel.memory, kernel.base)
    if image is not None:
        symbols.update(read_export_names(kernel.memory, image))
        symbols.update(read_exports(kernel.memory, image, SYMBOLS))
    exported = set(symbols)
    symbols.update(kernel.addresses)
    if kernel.table is not None:
        symbols.update({name: kernel.base + relative for name, relative in kernel.table.symbols.items()})
    # What lies outside of the image is no symbol: addresses found without symbols may be those of structures
    end = kernel.base + (kernel.size or (image.size if image is not None else 1 << 25))
    inside = {name: address for name, address in symbols.items() if kernel.base <= address < end}
    places = sorted((address, name) for name, address in inside.items())
    exact = sum(name not in exported for name in inside)
    return Names(kernel, loaded, modules, inside, [module.base for module in modules], places, exact)


def _of_triage(triage: TriageDump) -> LoadedModules:
    modules = tuple(
        LoadedModule(
            address=0,
            base=driver.base,
            size=driver.size,
            name=driver.file_name,
            path=driver.path,
            time_stamp=driver.timestamp,
            checksum=driver.checksum,
            entry_point=None,
            flags=None,
        )
        for driver in triage.drivers
    )
    says = None if triage.drivers_complete else "some of the drivers are not in this dump"
    return LoadedModules(modules, triage.drivers_complete, says, None)
