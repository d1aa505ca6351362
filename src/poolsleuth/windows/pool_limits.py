"""How large the kernel pools may grow, by Windows, address width, memory, /3GB and commit limit.

Two public sources give the rules: the article "Pushing the Limits of Windows: Paged and Nonpaged Pool" (its
text, its two tables, its measured machines) and Microsoft's page "Memory Limits for Windows and Windows Server
Releases". Where they contradict each other the bounds follow the article, which shows measured maxima, and the
other figure stands in ``contradiction``.

A maximum that ``!vm`` prints is better than any rule, as long as it is a limit at all: see ``effective_limit``.
"""

from dataclasses import dataclass
from typing import Literal

from poolsleuth.windows.builds import Era, WindowsVersion

_MB = 1 << 20
_GB = 1 << 30
_TB = 1 << 40

ARTICLE = "Pushing the Limits of Windows: Paged and Nonpaged Pool"
MICROSOFT = "Microsoft, Memory Limits for Windows and Windows Server Releases"
_BOTH = f"{ARTICLE}; {MICROSOFT}"

# The article: 128 MB "on a system with 512MB", "up to 1.2GB RAM: 32-256 MB", above that 256 MB.
_SMALL_RAM = 512 * _MB
_LARGE_RAM = 12 * _GB // 10
_XP_NONPAGED = 256 * _MB
_XP_NONPAGED_3GB = 128 * _MB
_XP_NONPAGED_LEAST = 32 * _MB

# Windows 8 prints 384 GB and Windows Vista to 7 print 128 GB as the paged maximum of every 64-bit machine, and
# everything since 8.1 prints 16 TB (4294967296 pages): sizes of an address range, whatever the machine holds.
_SAME_ON_EVERY_MACHINE = frozenset({128 * _GB, 384 * _GB})
_SURELY_ADDRESS_SPACE = 8 * _TB
_RAM_FACTOR = 4  # no rule of Windows 8 or later allows a pool of more than twice the memory


@dataclass(frozen=True, slots=True)
class PoolLimit:
    """Bounds of one pool's maximum, in bytes.

    ``low_bytes`` == ``high_bytes`` is a single figure (as exact as the words of ``rule``), a gap is a range that
    the source leaves open, None is a bound that is not known. ``contradiction`` says which other source gives
    another figure, None when they agree.
    """

    low_bytes: int | None
    high_bytes: int | None
    rule: str
    source: str
    contradiction: str | None


@dataclass(frozen=True, slots=True)
class PoolLimits:
    """The limits of one machine; ``session`` is None where no public rule gives it."""

    nonpaged: PoolLimit
    paged: PoolLimit
    session: PoolLimit | None
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Machine:
    era: Era
    build: int | None
    server: bool | None
    bits: Literal[32, 64]
    ram: int | None
    three_gb: bool | None
    commit: int | None


def pool_limits(
    windows: Era | WindowsVersion,
    *,
    bits: Literal[32, 64],
    ram_bytes: int | None,
    three_gb: bool | None,
    commit_limit_bytes: int | None,
) -> PoolLimits:
    """Apply the published rules to one machine.

    Sizes are bytes; None is not known, and a size of 0 or less counts as not known. ``three_gb`` is the /3GB
    switch (4GT) of 32-bit Windows. With an ``Era`` alone, rules that differ inside it give the wider bounds.
    """
    if isinstance(windows, WindowsVersion):
        era, build, server = windows.era, windows.build, windows.server
    else:
        era, build, server = windows, None, None
    machine = _Machine(
        era=era,
        build=build,
        server=server,
        bits=bits,
        ram=_known(ram_bytes),
        three_gb=three_gb if bits == 32 else False,
        commit=_known(commit_limit_bytes),
    )
    return PoolLimits(_nonpaged(machine), _paged(machine), None, _notes(machine))


def _nonpaged(machine: _Machine) -> PoolLimit:
    if machine.era <= Era.XP_2003:
        return _old_nonpaged_32(machine) if machine.bits == 32 else _old_nonpaged_64(machine)
    if machine.bits == 32:
        return _dynamic_nonpaged_32(machine)
    if machine.era is Era.VISTA_7:
        return _vista_nonpaged_64(machine)
    if machine.era is Era.W8:
        ram = machine.ram
        return PoolLimit(
            low_bytes=None if ram is None else min(ram, 128 * _GB),
            high_bytes=128 * _GB if ram is None else min(2 * ram, 128 * _GB),
            rule="64-bit Windows 8 and Server 2012: 2 x RAM or 128 GB, whichever is smaller; more than RAM "
            "can never be filled",
            source=_BOTH,
            contradiction="the article's table says 2 x RAM; Microsoft's says RAM or 128 GB, with the address "
            "space limited to 2 x RAM",
        )
    return PoolLimit(
        low_bytes=machine.ram if machine.ram is None else min(machine.ram, 16 * _TB),
        high_bytes=machine.ram if machine.ram is None else min(machine.ram, 16 * _TB),
        rule="64-bit Windows 8.1 and later: the printed maximum (16 TB, 4294967296 pages) is address space; "
        "physical memory is the limit",
        source=MICROSOFT,
        contradiction=None,
    )


def _old_nonpaged_32(machine: _Machine) -> PoolLimit:
    low, high = _old_nonpaged_32_bounds(machine)
    contradiction = None
    if machine.era is Era.W2K:
        rule = "32-bit Windows 2000: 256 MB at most, 128 MB with /3GB"
        contradiction = "real !vm outputs in the format of Windows 2000 print 274148 Kb and 280580 Kb, above 256 MB"
        source = MICROSOFT
    else:
        rule = (
            "32-bit Windows XP and Server 2003: 32-128 MB below 512 MB RAM, 128 MB at 512 MB, up to 256 MB at "
            "about 1.2 GB, 256 MB above; 128 MB at most with /3GB"
        )
        source = _BOTH
        if machine.ram is not None and machine.ram < _SMALL_RAM:
            contradiction = "a real !vm output of a machine with 65072 Kb RAM prints 25008 Kb, below the 32 MB"
    return PoolLimit(low, high, rule, source, contradiction)


def _old_nonpaged_32_bounds(machine: _Machine) -> tuple[int | None, int]:
    high = _XP_NONPAGED_3GB if machine.three_gb else _XP_NONPAGED
    ram = machine.ram
    if machine.era is Era.W2K:
        return None, high if ram is None else min(high, ram)
    if ram is None:
        return _XP_NONPAGED_LEAST, high
    if ram < _SMALL_RAM:
        return min(_XP_NONPAGED_LEAST, ram), min(_XP_NONPAGED_3GB, ram)
    if ram == _SMALL_RAM or machine.three_gb:
        return _XP_NONPAGED_3GB, _XP_NONPAGED_3GB
    if ram <= _LARGE_RAM or machine.three_gb is None:
        return _XP_NONPAGED_3GB, high
    return high, high


def _old_nonpaged_64(machine: _Machine) -> PoolLimit:
    if machine.era is Era.W2K:
        return _no_64_bit_windows_2000()
    exact = None if machine.ram is None else _400_kb_per_mb(machine.ram)
    return PoolLimit(
        low_bytes=exact,
        high_bytes=128 * _GB if exact is None else exact,
        rule="64-bit Windows XP and Server 2003: about 400 KB for each MB of RAM or 128 GB, whichever is smaller",
        source=ARTICLE,
        contradiction=None,
    )


def _400_kb_per_mb(ram: int) -> int:
    return min(ram * 400 // 1024, 128 * _GB)


def _no_64_bit_windows_2000() -> PoolLimit:
    return PoolLimit(None, None, "there is no 64-bit Windows 2000: check the version or the width", MICROSOFT, None)


def _dynamic_nonpaged_32(machine: _Machine) -> PoolLimit:
    # With 4GT the kernel keeps between 1 and 2 GB of address space, whatever the pool's own rule allows.
    least = _GB if machine.three_gb else 2 * _GB
    ram = machine.ram
    contradiction = None
    if machine.era >= Era.W81_AND_LATER:
        contradiction = "Microsoft's table gives RAM, address space limited to 2 x RAM, in its 32-bit column as well"
    return PoolLimit(
        low_bytes=None if ram is None else min(ram * 3 // 4, least),
        high_bytes=2 * _GB if ram is None else min(ram * 3 // 4, 2 * _GB),
        rule="32-bit Windows Vista and later: about 75 % of RAM or 2 GB, whichever is smaller, out of an address "
        "space that everything shares (2 GB, 1 to 2 GB with /3GB)",
        source=_BOTH,
        contradiction=contradiction,
    )


def _vista_nonpaged_64(machine: _Machine) -> PoolLimit:
    exact = None if machine.ram is None else min(machine.ram * 3 // 4, 128 * _GB)
    contradiction = None
    if machine.build is None or (machine.build < 6519 and machine.server is not True):
        contradiction = (
            "Microsoft's table gives Windows Vista 40 % of RAM; the article measured about 75 % on Vista too"
        )
    return PoolLimit(
        low_bytes=exact,
        high_bytes=128 * _GB if exact is None else exact,
        rule="64-bit Windows Vista to 7 and Server 2008 to 2008 R2: about 75 % of RAM or 128 GB, whichever is smaller",
        source=_BOTH,
        contradiction=contradiction,
    )


def _paged(machine: _Machine) -> PoolLimit:
    if machine.era is Era.W2K:
        if machine.bits == 64:
            return _no_64_bit_windows_2000()
        return PoolLimit(None, 350 * _MB, "32-bit Windows 2000: up to 350 MB", MICROSOFT, None)
    if machine.era is Era.XP_2003:
        return _old_paged_32(machine) if machine.bits == 32 else _old_paged_64(machine)
    commit = machine.commit
    if machine.bits == 64 and machine.era is Era.W81_AND_LATER:
        exact = None if commit is None else min(commit, 31 * _TB // 2)
        return PoolLimit(
            exact,
            exact,
            "64-bit Windows 8.1 and later: the printed maximum (16 TB, 4294967296 pages) is address space; the "
            "commit limit is the limit",
            MICROSOFT,
            None,
        )
    most, rule = 2 * _GB, "32-bit Windows Vista and later: commit limit or 2 GB, whichever is smaller"
    if machine.bits == 64 and machine.era is Era.VISTA_7:
        most = 128 * _GB
        rule = "64-bit Windows Vista to 7 and Server 2008 to 2008 R2: commit limit or 128 GB, whichever is smaller"
    elif machine.bits == 64:
        most = 384 * _GB
        rule = "64-bit Windows 8 and Server 2012: commit limit or 384 GB, whichever is smaller"
    contradiction = None
    if machine.bits == 32 and machine.era >= Era.W8:
        larger = "384 GB" if machine.era is Era.W8 else "15.5 TB"
        contradiction = (
            f"Microsoft's table lists {larger} in its 32-bit column too; a 32-bit kernel has 2 GB of addresses"
        )
    return PoolLimit(
        low_bytes=None if commit is None else min(commit, most),
        high_bytes=most if commit is None else min(commit, most),
        rule=rule,
        source=_BOTH,
        contradiction=contradiction,
    )


def _old_paged_32(machine: _Machine) -> PoolLimit:
    shared = "less the more address space system PTEs and the other resources take (/3GB leaves far less)"
    if machine.server is False:
        return PoolLimit(
            None,
            491 * _MB,
            f"32-bit Windows XP: up to 491 MB, {shared}",
            ARTICLE,
            "Microsoft's table says 490 MB",
        )
    which = "32-bit Windows Server 2003: up to 650 MB"
    if machine.server is None and machine.build is None:
        which += " (Windows XP: up to 491 MB)"
    return PoolLimit(
        None,
        650 * _MB,
        f"{which}, {shared}",
        ARTICLE,
        "Microsoft's table says 530 MB for Server 2003; real !vm outputs print up to 536576 Kb (524 MB)",
    )


def _old_paged_64(machine: _Machine) -> PoolLimit:
    exact = None if machine.ram is None else min(4 * _400_kb_per_mb(machine.ram), 128 * _GB)
    return PoolLimit(
        low_bytes=exact,
        high_bytes=128 * _GB if exact is None else exact,
        rule="64-bit Windows XP and Server 2003: 4 x the nonpaged limit or 128 GB, whichever is smaller",
        source=ARTICLE,
        contradiction=None,
    )


def _notes(machine: _Machine) -> tuple[str, ...]:
    notes = []
    if machine.era <= Era.XP_2003 and machine.bits == 32:
        if machine.three_gb is None:
            notes.append("Whether /3GB (4GT) is set was not given: with it nonpaged pool has 128 MB at most.")
        notes.append(
            "Real nonpaged maxima lie within 10 % of these figures, real paged ones anywhere below the bound, as the "
            "boot configuration leaves room: the maximum that !vm prints is better than the rule."
        )
    if machine.era >= Era.VISTA_7 and machine.bits == 32:
        notes.append(
            "The registry values NonPagedPoolLimit and PagedPoolLimit (in MB, at most 2048) lower these limits."
        )
    if machine.ram is None and machine.era is not Era.W2K:
        notes.append("Physical memory was not given: the nonpaged limit depends on it.")
    if machine.commit is None and machine.era >= Era.VISTA_7:
        notes.append("The commit limit was not given: paged pool ends there when it is the smaller figure.")
    notes.append("Session pool has its own maximum, which only !vm 4 prints.")
    return tuple(notes)


def effective_limit(
    kind: Literal["nonpaged", "paged"],
    *,
    printed_max_bytes: int | None,
    era: Era | None,
    bits: int | None,
    ram_bytes: int | None,
    commit_limit_bytes: int | None,
) -> tuple[int | None, str]:
    """Say against which limit, in bytes, a pool's usage is to be judged, and in one sentence why.

    ``printed_max_bytes`` is the maximum that ``!vm`` prints. Up to Windows 7 it is a limit; later, and for the
    paged pool of every 64-bit Windows since Vista, it is the size of an address range, and memory (nonpaged) or
    the commit limit (paged) ends first. The limit is None when what would decide is not known. None for any
    argument is not known; so is a size of 0 or less.
    """
    printed, ram = _known(printed_max_bytes), _known(ram_bytes)
    bound = ram if kind == "nonpaged" else _known(commit_limit_bytes)
    bound_name = "physical memory" if kind == "nonpaged" else "commit limit"
    if printed is None:
        if era is not None and era >= Era.W81_AND_LATER and bits == 64 and bound is not None:
            return bound, f"{bound_name}: since Windows 8.1 no other maximum of {kind} pool is a limit"
        return None, f"the maximum of {kind} pool is not known: !vm prints it"
    if _is_address_space(kind, printed, era, bits, ram):
        size = _in_words(printed)
        if bound is None:
            return None, f"not known: the printed {size} is address space, not a limit, and {bound_name} is not given"
        if bound <= printed:
            return bound, f"{bound_name}: the printed {size} is address space, not a limit"
        return printed, f"the {size} of address space that !vm prints, which ends before the {bound_name}"
    # For the static layouts up to Server 2003 the article gives address space as the only bound of paged pool.
    binding = kind == "nonpaged" or (era is not None and era >= Era.VISTA_7)
    if binding and bound is not None and bound < printed:
        return bound, f"{bound_name}: smaller than the maximum that !vm prints ({_in_words(printed)})"
    return printed, "the maximum that !vm prints"


def _is_address_space(kind: str, printed: int, era: Era | None, bits: int | None, ram: int | None) -> bool:
    if printed >= _SURELY_ADDRESS_SPACE:
        return True
    if era is not None and era <= Era.XP_2003:
        return False
    if kind == "paged" and bits != 32 and printed in _SAME_ON_EVERY_MACHINE:
        return True
    beyond_ram = ram is not None and printed > _RAM_FACTOR * ram
    return beyond_ram and (era is None or era >= Era.W8)


def infers_3gb(*, nonpaged_max_bytes: int, bits: int | None, era: Era | None, ram_bytes: int | None) -> bool | None:
    """Read from the nonpaged maximum, in bytes, whether 32-bit Windows 2000 to 2003 was booted with /3GB.

    True: about 128 MB (100-135) although more than 1.2 GB of memory would give 256 MB. False: about 256 MB
    (230-300), which /3GB never leaves. None: another Windows, another figure, or too little known. An era or
    width that is not known does not matter with that much memory: no later or 64-bit Windows has so little.
    """
    if bits == 64 or (era is not None and era > Era.XP_2003):
        return None
    much_memory = ram_bytes is not None and ram_bytes > _LARGE_RAM
    if 100 * _MB <= nonpaged_max_bytes <= 135 * _MB and much_memory:
        return True
    if 230 * _MB <= nonpaged_max_bytes <= 300 * _MB and (much_memory or (era is not None and bits == 32)):
        return False
    return None


def _known(size: int | None) -> int | None:
    return size if size is not None and size > 0 else None


def _in_words(size: int) -> str:
    for unit, name in ((_TB, "TB"), (_GB, "GB"), (_MB, "MB")):
        if size >= unit:
            return f"{size / unit:.1f}".removesuffix(".0") + f" {name}"
    return f"{size} bytes"
