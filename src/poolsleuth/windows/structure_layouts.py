"""Structures of the kernel as each build of Windows usually has them: for kernels whose symbols are not at hand.

The data file holds sizes and offsets of thirty kernels, Windows XP SP2 to Windows 10 2004, as found in public symbol
files. Servicing updates move fields within one build, so that symbols are always better. From build 10240 on only
structures are given that a reader can check against the dump: what lies in the memory manager's own state is left
out, because nothing would show that a guess was wrong.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources

from poolsleuth.windows.kernel_table import Field, Structure

WINDOWS_2000 = 2195
FIRST_WIDE_TRACKER = 20348  # from here on entries of the tag table have 50 bytes and those of the big-page table 20
_XP = 2600
# The first build of each generation: 5.0, 5.1, 5.2, 6.0, 6.1, 6.2, 6.3 and 10.0
_GENERATIONS = (2195, 2600, 3790, 6000, 7600, 9200, 9600, 10240)
# What holds page table entries has another shape with PAE than without
_OF_PTES = (
    "_MMPTE_HARDWARE", "_MMPTE_TRANSITION", "_MMPTE_PROTOTYPE", "_MMPTE_SOFTWARE", "_MMPTE_SUBSECTION",
    "_MM_SESSION_SPACE", "_MM_PAGED_POOL_INFO", "_MI_SYSTEM_PTE_TYPE",
)  # fmt: skip
# All 64-bit Windows share these; that ARM64 does was not confirmed on a kernel of it
_PORTABLE = (
    "_POOL_HEADER", "_POOL_TRACKER_TABLE", "_POOL_TRACKER_BIG_PAGES", "_KLDR_DATA_TABLE_ENTRY", "_LDR_DATA_TABLE_ENTRY",
    "_UNLOADED_DRIVERS", "_ERESOURCE", "_OWNER_ENTRY", "_LIST_ENTRY", "_UNICODE_STRING",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class LayoutChoice:
    """The structures chosen for a kernel without symbols.

    ``profile`` names the kernel that they were taken from and ``build`` is its build; both are None when no kernel of
    that kind is known, and ``structures`` then holds at most what never changed. ``certain`` is True when that kernel
    has the very build (and service pack, where it was given and matters); False when a near one had to do. A structure
    that must not be guessed is absent.
    """

    profile: str | None
    build: int | None
    certain: bool
    structures: Mapping[str, Structure]


@dataclass(frozen=True, slots=True)
class _Profile:
    name: str
    build: int
    architecture: str
    service_pack: int | None
    pte: int
    structures: Mapping[str, Structure]


@cache
def _profiles() -> tuple[_Profile, ...]:
    text = resources.files("poolsleuth.windows").joinpath("data/structure_layouts.json").read_text("utf-8")
    data = json.loads(text)
    layouts = [
        Structure(size, {name: _field(numbers) for name, numbers in fields.items()}) for size, fields in data["layouts"]
    ]
    return tuple(
        _Profile(
            row["name"],
            row["build"],
            row["architecture"],
            row["service_pack"],
            row["pte"],
            {name: layouts[number] for name, number in row["structures"].items()},
        )
        for row in data["profiles"]
    )


def _field(numbers: list[int | None]) -> Field:
    filled: list[int | None] = numbers + [None] * (5 - len(numbers))
    offset, size, bit, bits, count = filled
    return Field(offset or 0, size, bit, bits, count or 1)


def layouts_for(
    build: int, architecture: str, *, pae: bool | None = None, service_pack: int | None = None
) -> LayoutChoice:
    """The structures of a build for ``x86``, ``x64`` or ``arm64``.

    ``pae`` matters on x86 up to Windows 7, where structures with page table entries are known without PAE only;
    ``service_pack`` where Windows XP and Server 2003 differ by it: what differs is left out when it is None.

    _EPROCESS, _ETHREAD and _KTHREAD grow with servicing updates: they are to be believed only where KDBG gives the
    same size, or a list that runs through them makes sense.
    """
    family = "x64" if architecture == "arm64" else architecture
    pointer = 4 if family == "x86" else 8
    ours = [profile for profile in _profiles() if profile.architecture == family]
    found, certain = _nearest(ours, build, service_pack)
    if not found:
        return LayoutChoice(profile=None, build=None, certain=False, structures={})
    structures = _shared(found)
    if family == "x86" and pae is not False and found[-1].pte == 4:
        for name in _OF_PTES:
            structures.pop(name, None)
    structures |= _of_all(pointer)
    structures.setdefault("_UNLOADED_DRIVERS", _unloaded(pointer))
    if "_KLDR_DATA_TABLE_ENTRY" not in structures:
        structures["_KLDR_DATA_TABLE_ENTRY"] = _module_entry(pointer)
    # The name that older symbols have for the same thing
    structures["_LDR_DATA_TABLE_ENTRY"] = structures["_KLDR_DATA_TABLE_ENTRY"]
    if build >= FIRST_WIDE_TRACKER and pointer == 8:
        structures |= _wide_tables(structures)
    if architecture == "arm64":
        structures = {name: structures[name] for name in _PORTABLE}
        certain = False
    return LayoutChoice(profile=found[-1].name, build=found[-1].build, certain=certain, structures=structures)


def known_layouts(name: str, architecture: str) -> tuple[Structure, ...]:
    """All different layouts of a structure that an architecture has had, the newest first: a reader tries them."""
    family = "x64" if architecture == "arm64" else architecture
    found: list[Structure] = []
    for profile in reversed(_profiles()):
        layout = profile.structures.get(name)
        if profile.architecture == family and layout is not None and layout not in found:
            found.append(layout)
    if found and family == "x64":
        newest = _wide_tables(_profiles()[-1].structures).get(name)
        found[:0] = [] if newest is None else [newest]
    return tuple(found)


def _nearest(ours: list[_Profile], build: int, pack: int | None) -> tuple[list[_Profile], bool]:
    """The profiles that fit: more than one where only the service pack would tell them apart. The best is the last."""
    exact = [profile for profile in ours if profile.build == build]
    if exact:
        if len(exact) == 1 or pack is None:
            return exact, True
        fitting = [profile for profile in exact if profile.service_pack == pack]
        # A pack between two that are known is laid out like the later one: Server 2003 SP1 like SP2
        later = [profile for profile in exact if (profile.service_pack or 0) > pack]
        return (fitting, True) if fitting else (later[:1] or exact[-1:], False)
    wanted = _XP if build == WINDOWS_2000 else build
    generation = [profile for profile in ours if _generation(profile.build) == _generation(wanted)]
    if not generation:
        return [], False
    older = [profile.build for profile in generation if profile.build <= wanted]
    best = max(older) if older else min(profile.build for profile in generation)
    return [profile for profile in generation if profile.build == best], False


def _generation(build: int) -> int | None:
    return max((first for first in _GENERATIONS if first <= build), default=None)


def _shared(profiles: Iterable[_Profile]) -> dict[str, Structure]:
    """Structures that are the same in all of the profiles."""
    first, *others = profiles
    return {
        name: layout
        for name, layout in first.structures.items()
        if all(other.structures.get(name) == layout for other in others)
    }


def _structure(size: int, fields: Mapping[str, tuple[int, int]]) -> Structure:
    return Structure(size, {name: Field(offset, width) for name, (offset, width) in fields.items()})


def _of_all(pointer: int) -> dict[str, Structure]:
    """What never changed."""
    return {
        "_LIST_ENTRY": _structure(2 * pointer, {"Flink": (0, pointer), "Blink": (pointer, pointer)}),
        "_UNICODE_STRING": _structure(
            2 * pointer, {"Length": (0, 2), "MaximumLength": (2, 2), "Buffer": (pointer, pointer)}
        ),
    }


def _unloaded(pointer: int) -> Structure:
    """An entry of MmUnloadedDrivers: 18 bytes (x86) or 28 (x64) in all versions."""
    names = {"Name": (0, 2 * pointer), "StartAddress": (2 * pointer, pointer), "EndAddress": (3 * pointer, pointer)}
    return _structure(4 * pointer + 8, names | {"CurrentTime": (4 * pointer, 8)})


def _module_entry(pointer: int) -> Structure:
    """The kernel's module entry before Windows 10, up to its last field that is known; no time stamp is in it."""
    if pointer == 4:
        return _structure(
            0x48,
            {
                "InLoadOrderLinks": (0x00, 8), "DllBase": (0x18, 4), "EntryPoint": (0x1C, 4), "SizeOfImage": (0x20, 4),
                "FullDllName": (0x24, 8), "BaseDllName": (0x2C, 8), "Flags": (0x34, 4), "LoadCount": (0x38, 2),
                "SectionPointer": (0x3C, 4), "CheckSum": (0x40, 4), "LoadedImports": (0x44, 4),
            },
        )  # fmt: skip
    return _structure(
        0x88,
        {
            "InLoadOrderLinks": (0x00, 16), "DllBase": (0x30, 8), "EntryPoint": (0x38, 8), "SizeOfImage": (0x40, 4),
            "FullDllName": (0x48, 16), "BaseDllName": (0x58, 16), "Flags": (0x68, 4), "LoadCount": (0x6C, 2),
            "SectionPointer": (0x70, 8), "CheckSum": (0x78, 4), "LoadedImports": (0x80, 8),
        },
    )  # fmt: skip


def _wide_tables(known: Mapping[str, Structure]) -> dict[str, Structure]:
    """The entries of 20348 and later, from the symbols of 20348.288 and 22000.318."""
    tracker = dict(known["_POOL_TRACKER_TABLE"].fields)
    tracker |= {"AvailableLimit": Field(0x38, 16, count=2), "LimitInfo": Field(0x48, 8)}
    big = {**known["_POOL_TRACKER_BIG_PAGES"].fields, "ProcessBilled": Field(0x18, 8)}
    return {"_POOL_TRACKER_TABLE": Structure(0x50, tracker), "_POOL_TRACKER_BIG_PAGES": Structure(0x20, big)}
