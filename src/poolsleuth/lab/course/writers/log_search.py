"""Who imports nt!ExAllocatePool: the search for its address in all modules, and a look at what is found.

Where a routine's address stands in a driver follows from the lab's own plan of its images (``lab.pe_image``); the tests
read it back from the simulated memory.
"""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import NamedTuple

from poolsleuth.lab.course.writers.log_lists import module_name
from poolsleuth.lab.course.writers.log_target import Style
from poolsleuth.lab.machine import PAGE, LoadedModule, Machine
from poolsleuth.lab.pe_image import import_slots
from poolsleuth.lab.structures import layout_of

ROUTINE = "ExAllocatePool"
_IMPORTS = PAGE + 0x200  # where the imports of a driver begin
_FIRST, _EACH = 0x1010, 0xB0  # of the kernel's routines, where no symbols are known
_UNTAGGED = "None"
_AMONG = 3  # the largest tags of nonpaged pool: then somebody asks who it is
_ROW = 16  # bytes of a row of the search
_LINES = 5  # of dps


class Hit(NamedTuple):
    """An import address table that holds the routine: where, whose, and the words from there on."""

    address: int
    module: LoadedModule
    name: str
    words: tuple[int, ...]


def asks_who(machine: Machine) -> bool:
    """Whether memory without a tag is among the largest of nonpaged pool."""
    largest = sorted(machine.tags, key=lambda use: -use.nonpaged.bytes)[:_AMONG]
    return any(use.tag == _UNTAGGED and use.nonpaged.bytes for use in largest)


def routines(machine: Machine) -> dict[str, int]:
    """The kernel's routines that drivers import, with their addresses."""
    symbols, base = layout_of(machine.windows).symbols, machine.modules[0].base or 0
    names = sorted({ROUTINE, *(name for module in machine.modules for name in module.imports)})
    return {name: base + symbols.get(name, _FIRST + _EACH * number) for number, name in enumerate(names)}


def hits(machine: Machine) -> list[Hit]:
    """Where the address of the routine stands in modules, by address."""
    known = routines(machine)
    found: list[Hit] = []
    for number, module in enumerate(machine.modules):
        if ROUTINE not in module.imports or module.base is None:
            continue
        slots = import_slots(module.imports, _IMPORTS, machine.windows.pointer == 8)
        first = list(module.imports).index(ROUTINE)
        words = (*(known[name] for name in module.imports[first:]), 0)
        found.append(Hit(module.base + slots[ROUTINE], module, module_name(module, number), words))
    return sorted(found, key=lambda hit: hit.address)


def symbol(machine: Machine, style: Style) -> list[str]:
    """``x nt!ExAllocatePool``."""
    return [f"{style.address(routines(machine)[ROUTINE])}          nt!{ROUTINE} (<no parameter info>)"]


def search_rows(machine: Machine, style: Style) -> list[str]:
    """``!for_each_module s-d @#Base @#End ADDRESS`` (``s-q`` on 64-bit Windows): 16 bytes from each hit on.

    A row goes on behind the import table, into text that the lab does not repeat here: such a hit shows the table only.
    """
    lines = []
    for hit in hits(machine):
        width = style.bits // 8
        count = _ROW // width
        words = (*hit.words, *(0,) * count)[:count]
        lines.append(
            f"{style.address(hit.address)}  {' '.join(style.address(word) for word in words)}{_text(words, width)}"
        )
    return lines


def _text(words: tuple[int, ...], width: int) -> str:
    """The bytes as characters; the search for 64-bit words prints none."""
    if width == 8:
        return ""
    raw = b"".join(word.to_bytes(width, "little") for word in words)
    return "  " + "".join(chr(byte) if 0x20 <= byte < 0x7F else "." for byte in raw)


def pointers(machine: Machine, style: Style, hit: Hit) -> list[str]:
    """``dps ADDRESS``: the words of the table and the routines that they are."""
    names = {address: name for name, address in routines(machine).items()}
    lines = []
    for number, word in enumerate(hit.words[:_LINES]):
        known = f" nt!{names[word]}" if word in names else ""
        lines.append(f"{style.address(hit.address + number * style.bits // 8)}  {style.address(word)}{known}")
    return lines


def module_info(style: Style, hit: Hit) -> list[str]:
    """``!lmi ADDRESS``."""
    return list(_info(style, hit))


def _info(style: Style, hit: Hit) -> Iterator[str]:
    module = hit.module
    at = style.zone.local(datetime.fromtimestamp(module.timestamp, UTC))
    yield f"Loaded Module Info: [{style.plain(hit.address)}] "
    yield f"         Module: {hit.name}"
    yield f"   Base Address: {style.plain(module.base or 0)}"
    yield f"     Image Name: {module.name}"
    yield "   Machine Type: " + ("34404 (X64)" if style.bits == 64 else "332 (I386)")
    yield f"     Time Stamp: {module.timestamp:08x} {at:%a %b} {at.day:2} {at:%H:%M:%S %Y}"
    yield f"           Size: {module.size:x}"
    yield f"       CheckSum: {module.checksum:x}"
