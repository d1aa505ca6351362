"""``lm`` and ``lmv``: loaded modules by address, then the drivers that were unloaded."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from fnmatch import fnmatchcase

from poolsleuth.debugger.command import Command, Lines
from poolsleuth.debugger.names import Names, module_name
from poolsleuth.debugger.target import Target
from poolsleuth.debugger.text import missing, printable
from poolsleuth.kernel.image import DEBUG, PeImage, read_image
from poolsleuth.kernel.image_version import read_version
from poolsleuth.kernel.modules import LoadedModule
from poolsleuth.kernel.target import Kernel
from poolsleuth.kernel.unloaded_modules import UnloadedDriver, UnloadedDrivers, read_unloaded_modules
from poolsleuth.model.errors import InputError

_FIRST_BUILD_TIME = 631_152_000  # 1990-01-01: a "time" of a driver before that is a hash of the build
_REPRODUCIBLE = 16  # the type of the debug entry that says so
_MAX_DEBUG_ENTRIES = 32  # real images have one to six
_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_USAGE = "lm | lm m PATTERN | lmv m PATTERN (or lmvm)"
_KNOWN_OPTIONS = frozenset("vmkfnt1")


def _run(target: Target, match: re.Match[str], rest: str) -> Lines:
    options, pattern = match["options"] or "", None
    words = rest.split()
    while words:
        word = words.pop(0)
        # Options may stand apart, each for itself; what comes behind "m" or "a" is their argument
        if options[-1:] == "m" or not set(word) <= _KNOWN_OPTIONS:
            pattern = word
            break
        options += word
    if not set(options) <= _KNOWN_OPTIONS or words or (pattern is not None and "m" not in options):
        raise InputError(f"lm does not know '{printable(rest or options, 40)}': {_USAGE}")
    if "m" in options and pattern is None:
        raise InputError(f"behind m stands the name of a module, with * and ?: {_USAGE}")
    return _lines(target, verbose="v" in options, pattern=pattern)


def _matches(name: str, pattern: str | None) -> bool:
    return pattern is None or fnmatchcase(name.lower(), pattern.lower().replace("[", "[[]"))


def _lines(target: Target, *, verbose: bool, pattern: str | None) -> Lines:
    kernel, names = target.kernel, target.names
    wide = kernel.pointer_size == 8
    yield f"{'start':<{18 if wide else 9}}{'end':<{20 if wide else 11}}module name"
    for module in names.modules:
        name = module_name(module, kernel)
        if _matches(name, pattern) or (module.name is not None and _matches(module.name, pattern)):
            width = 10 if wide else 12
            row = f"{target.address(module.base)} {target.address(module.end)}   {name:<{width}} "
            yield row + _symbols(kernel, module)
            if verbose:
                yield from _details(target, module)
    yield from _what_is_missing(names)
    gone = _gone(target)
    chosen = [
        driver
        for driver in gone.drivers
        if driver.name is not None
        and (_matches(driver.name, pattern) or _matches(driver.name.rpartition(".")[0], pattern))
    ]
    if chosen:
        yield ""
        yield "Unloaded modules:"
        for driver in chosen:
            yield from _unloaded(target, driver, verbose=verbose)
    if gone.says is not None:
        yield f"*** unloaded modules: {printable(gone.says)}"


def _gone(target: Target) -> UnloadedDrivers:
    if target.triage is None or not target.triage.unloaded:
        return read_unloaded_modules(target.kernel)
    drivers = (UnloadedDriver(0, one.name, one.start, one.end, None) for one in target.triage.unloaded)
    return UnloadedDrivers(tuple(drivers), True, None, None)


def _what_is_missing(names: Names) -> Lines:
    unnamed = sum(module.name is None for module in names.loaded.modules)
    if names.loaded.says is not None:
        yield from missing(f"loaded modules: {names.loaded.says}")
    elif unnamed or not names.loaded.whole:
        yield from missing(f"the names of {unnamed} modules are not in this dump")


def _symbols(kernel: Kernel, module: LoadedModule) -> str:
    if module.base != kernel.base:
        return "(deferred)             "
    if kernel.table is None or kernel.pdb is None:
        return "(no symbols)           "
    pdb = kernel.pdb
    return f"(pdb symbols)          {printable(pdb.name)}\\{printable(pdb.key)}\\{printable(pdb.name)}"


def _details(target: Target, module: LoadedModule) -> Iterator[str]:
    memory = target.kernel.memory
    image = read_image(memory, module.base)
    version = read_version(memory, image) if image is not None else None
    checksum = module.checksum if module.checksum is not None else image.checksum if image is not None else None
    rows: list[tuple[str, str | None]] = [
        ("Image path:", module.path),
        ("Image name:", module.name),
        ("Timestamp:       ", _time(target, module, image)),
        ("CheckSum:        ", None if checksum is None else f"{checksum:08X}"),
        ("ImageSize:       ", f"{module.size:08X}"),
    ]
    if version is not None:
        rows += [
            ("File version:    ", version.fixed),
            ("CompanyName:     ", version.company),
            ("ProductName:     ", version.product),
            ("OriginalFilename:", version.original_name),
            ("FileVersion:     ", version.file_version),
            ("FileDescription: ", version.description),
        ]
    for label, text in rows:
        if text is not None:
            yield f"    {label} {printable(text)}"


def _time(target: Target, module: LoadedModule, image: PeImage | None) -> str | None:
    raw = module.time_stamp
    if raw is None:
        return None
    if not raw:
        return "unavailable (00000000)"
    at = build_time(target, raw, image)
    if at is None:
        return f"{raw:08X} (This is a reproducible build file hash, not a timestamp)"
    return f"{time_text(at)} ({raw:08X})"


def build_time(target: Target, raw: int, image: PeImage | None) -> datetime | None:
    """The time that a time stamp tells (UTC); None where it is a hash of the build."""
    captured = target.captured_at
    latest = captured.timestamp() if captured is not None else 1 << 32
    if not _FIRST_BUILD_TIME <= raw <= latest or (image is not None and _is_reproducible(target.kernel, image)):
        return None
    return datetime.fromtimestamp(raw, UTC)


def time_text(time: datetime, *, milliseconds: bool = False) -> str:
    """A time as the debugger prints it (UTC)."""
    fraction = f".{time.microsecond // 1000:03d}" if milliseconds else ""
    clock = f"{time.hour:02d}:{time.minute:02d}:{time.second:02d}{fraction}"
    return f"{_DAYS[time.weekday()]} {_MONTHS[time.month - 1]} {time.day:>2} {clock} {time.year}"


def _is_reproducible(kernel: Kernel, image: PeImage) -> bool:
    place = image.directory(DEBUG)
    if place is None:
        return False
    address, size = place
    return any(
        kernel.memory.number(address + 28 * i + 12, 4) == _REPRODUCIBLE
        for i in range(min(size // 28, _MAX_DEBUG_ENTRIES))
    )


def _unloaded(target: Target, driver: UnloadedDriver, *, verbose: bool) -> Iterator[str]:
    yield f"{target.address(driver.start)} {target.address(driver.end)}   {printable(driver.name or '')}"
    if verbose:
        yield "    Timestamp: unavailable (00000000)"
        yield "    Checksum:  00000000"
        yield f"    ImageSize:  {driver.end - driver.start:08X}"
        if driver.at is not None:
            yield f"    Unloaded:  {time_text(driver.at)} (UTC)"


COMMANDS = (
    Command(
        re.compile(r"lm(?P<options>[a-z1]*)(?![\w!])"),
        ("lm", "lmv m", "lmvm"),
        _USAGE,
        "loaded and unloaded modules; v says who made them",
        _run,
    ),
)
