"""Where a Windows keeps what: the virtual addresses that a simulated machine uses."""

from dataclasses import dataclass
from random import Random

from poolsleuth.lab.machine import SimulatedWindows

USER_SHARED_DATA = {4: 0xFFDF0000, 8: 0xFFFFF780_00000000}
"""KUSER_SHARED_DATA, by the bytes of a pointer: the same in every Windows."""


@dataclass(frozen=True, slots=True)
class AddressPlan:
    """First addresses of the areas; ``session`` begins with the session's own structure, ``session_pool`` its pool.

    ``sessions`` is where the structures of all sessions lie side by side, for the whole system to see.

    ``user_end`` is the highest address of the user's half, ``system`` the first one of the system's. ``self_map`` is
    the slot of the root table that shows the page tables (64-bit).
    """

    kernel: int
    drivers: int
    nonpaged: int
    paged: int
    pfn: int
    session: int
    session_pool: int
    sessions: int
    user_end: int
    system: int
    self_map: int


def plan_addresses(windows: SimulatedWindows, random: Random) -> AddressPlan:
    """The areas of that Windows; those that are random since Windows 8 come from ``random``."""
    if windows.architecture == "x86":
        return _plan_x86(windows, random)
    if windows.build < 9200:
        return _plan_x64(windows, random)
    # Every area begins at an entry of the root table of its own; 0x1F2 is the session's, 0x1EF that of shared data
    slots = random.sample(range(0x140, 0x1E0), 3)
    own_map = 0x1ED
    if windows.build >= 14393:
        own_map = random.choice([n for n in range(0x140, 0x1E0) if n not in slots])
    nonpaged, paged, pfn = (0xFFFF0000_00000000 | slot << 39 for slot in slots)
    drivers = 0xFFFFF80A_00000000 + random.randrange(0x1000) * 0x10000
    kernel = 0xFFFFF800_00000000 + random.randrange(0x8, 0x3F00) * 0x20_0000
    if windows.build < 9600:
        kernel += random.randrange(0x200) * 0x1000
    return AddressPlan(
        kernel=kernel,
        drivers=drivers,
        nonpaged=nonpaged + random.randrange(0x800) * 0x20_0000,
        paged=paged + random.randrange(0x10000) * 0x10000,
        pfn=pfn,
        session=0xFFFFF900_00000000 if windows.build < 9600 else 0xFFFFF901_00000000,
        session_pool=0xFFFFF900_C0000000 if windows.build < 9600 else 0xFFFFF901_40000000,
        sessions=drivers + 0x1_0000_0000,
        user_end=0x00007FFF_FFFEFFFF,
        system=0xFFFF8000_00000000,
        self_map=own_map,
    )


def _plan_x64(windows: SimulatedWindows, random: Random) -> AddressPlan:
    old = windows.build < 6000
    return AddressPlan(
        kernel=0xFFFFF800_01000000 if old else 0xFFFFF800_01800000 + random.randrange(0x1200) * 0x1000,
        drivers=0xFFFFFADF_50000000 if old else 0xFFFFF880_00C00000,
        nonpaged=0xFFFFFADF_E0000000 if old else 0xFFFFFA80_01800000,
        paged=0xFFFFFA80_00000000 if old else (0xFFFFF880_10000000 if windows.build < 7600 else 0xFFFFF8A0_00000000),
        pfn=0xFFFFFADF_30000000 if old else 0xFFFFFA80_00000000,
        session=0xFFFFF970_00000000 if old else 0xFFFFF960_00000000,
        session_pool=0xFFFFF900_40000000 if old else 0xFFFFF900_C0000000,
        sessions=0xFFFFFADF_20000000 if old else 0xFFFFF880_05000000,
        user_end=0x000007FF_FFFEFFFF,
        system=0xFFFF0800_00000000,
        self_map=0x1ED,
    )


def _plan_x86(windows: SimulatedWindows, random: Random) -> AddressPlan:
    if windows.build < 6000:
        return AddressPlan(
            kernel=0x804D7000 if windows.build == 2600 else 0x80800000,
            drivers=0xF5000000,
            nonpaged=0x81800000,
            paged=0xE1000000,
            pfn=0x81000000,
            session=0xBF7F0000,
            session_pool=0xBC000000,
            sessions=0xF9000000,
            user_end=0x7FFEFFFF,
            system=0x80000000,
            self_map=0,
        )
    return AddressPlan(
        kernel=0x82000000 + random.randrange(0x800) * 0x1000,
        drivers=0x8B000000,
        nonpaged=0x84000000,
        paged=0x96000000,
        pfn=0x83400000,
        session=0xBFF00000,
        session_pool=0xBC400000,
        sessions=0x8F000000,
        user_end=0x7FFEFFFF,
        system=0x80000000,
        self_map=0,
    )
