"""``!lmi`` and ``!dh``: one module and the headers of its image, as they lie in memory."""

import re
from datetime import UTC, datetime

from poolsleuth.debugger.command import Command, Lines
from poolsleuth.debugger.commands.header_words import (
    DIRECTORIES,
    DLL_FLAGS,
    FILE_FLAGS,
    MACHINES,
    SUBSYSTEMS,
    section_words,
)
from poolsleuth.debugger.commands.modules import build_time, time_text
from poolsleuth.debugger.expressions import address
from poolsleuth.debugger.names import module_name
from poolsleuth.debugger.target import Target
from poolsleuth.debugger.text import missing, printable
from poolsleuth.kernel.image import DEBUG, read_image, read_pdb_id
from poolsleuth.kernel.image_headers import ImageHeaders, read_headers, read_import_names
from poolsleuth.kernel.modules import LoadedModule
from poolsleuth.model.errors import InputError

_WINDOWS_8 = 9200
_LMI_MACHINES = {0x14C: "332 (I386)", 0x8664: "34404 (X64)", 0xAA64: "43620 (ARM64)"}


def _module_of(target: Target, rest: str) -> tuple[LoadedModule | None, int]:
    """The module that the words name, by its name or an address inside it, and the address."""
    named = target.names.module_named(rest)
    if named is not None:
        return named, named.base
    place = address(target, rest)
    return target.names.module_at(place), place


def _lmi(target: Target, _match: re.Match[str], rest: str) -> Lines:
    if not rest:
        raise InputError("behind !lmi stands the name of a module, or an address inside it")
    module, place = _module_of(target, rest)
    return _info(target, rest, module, place)


def _info(target: Target, asked: str, module: LoadedModule | None, place: int) -> Lines:
    kernel = target.kernel
    yield f"Loaded Module Info: [{printable(asked, 80)}] "
    if module is None:
        yield f"*** no module lies at {target.address(place)}"
        return
    headers = read_headers(kernel.memory, module.base)
    file = module.name or module_name(module, kernel)
    path = module.path if kernel.build >= _WINDOWS_8 and module.path else file
    rows: list[tuple[str, str | None]] = [
        ("Module", module_name(module, kernel)),
        ("Base Address", target.plain(module.base)),
        ("Image Name", printable(path)),
        ("Machine Type", None if headers is None else _LMI_MACHINES.get(headers.machine, f"{headers.machine}")),
        ("Time Stamp", _stamp(target, module, headers)),
        ("Size", f"{module.size:x}"),
        ("CheckSum", None if module.checksum is None else f"{module.checksum:x}"),
        ("Characteristics", None if headers is None else f"{headers.characteristics:x} "),
    ]
    for label, text in rows:
        if text is not None:
            yield f"{label:>15}: {text}"
    if headers is None:
        yield "*** the headers of its image are not in this dump, or it has none"
        return
    yield from _debug_data(target, module)
    if module.base == kernel.base and kernel.table is not None:
        yield f"    Symbol Type: PDB      - {printable(kernel.table.source)}"
        yield "    Load Report: public symbols"
        return
    why = "PDB not found" if module.base == kernel.base else "PDB not looked for"
    exports = bool(target.names.exports(module))
    yield f"    Symbol Type: {'EXPORT' if exports else 'NONE':<8} - {why}"
    yield f"    Load Report: {'export symbols' if exports else 'no symbols loaded'}"


def _stamp(target: Target, module: LoadedModule, headers: ImageHeaders | None) -> str | None:
    raw = module.time_stamp or (headers.timestamp if headers is not None else 0)
    if not raw:
        return None
    at = build_time(target, raw, read_image(target.kernel.memory, module.base))
    return f"{raw:08x} {time_text(at) if at is not None else '(This is a reproducible build file hash)'}"


def _debug_data(target: Target, module: LoadedModule) -> Lines:
    memory = target.kernel.memory
    image = read_image(memory, module.base)
    place = None if image is None else image.directory(DEBUG)
    if image is None or place is None:
        return
    size, relative, pointer = (memory.number(place[0] + at, 4) for at in (16, 20, 24))
    if size is None or relative is None or pointer is None:
        yield "Debug Data Dirs: [Data not mapped]"
        return
    yield "Debug Data Dirs: Type  Size     VA  Pointer"
    pdb = read_pdb_id(memory, image)
    text = "[Data not mapped]"
    if pdb is not None:
        guid = pdb.guid
        if len(guid) == 32:
            guid = "-".join((guid[:8], guid[8:12], guid[12:16], guid[16:20], guid[20:]))
        text = f"RSDS - GUID: {{{guid}}}"
    yield f"             CODEVIEW {size:>5x}, {relative:>5x}, {pointer:>7x} {text}"
    if pdb is not None:
        yield f"               Age: {pdb.age:x}, Pdb: {printable(pdb.name)}"


_DH_USAGE = "!dh [-f] [-s] [-i] ADDRESS|MODULE"


def _dh(target: Target, _match: re.Match[str], rest: str) -> Lines:
    words = rest.split()
    options = {word.lower().lstrip("-/") for word in words if re.fullmatch(r"[-/]\w+", word)}
    names = [word for word in words if not re.fullmatch(r"[-/]\w+", word)]
    if options - {"f", "s", "i", "a"} or not names:
        what = f"does not know '{printable(rest, 40)}'" if rest.strip() else "wants a module"
        raise InputError(f"!dh {what}: {_DH_USAGE}")
    _, place = _module_of(target, " ".join(names))
    headers = read_headers(target.kernel.memory, place)
    if headers is None:
        raise InputError(
            f"the headers of an image cannot be read at {target.address(place)}: there are none, or their"
            " page is not in this dump"
        )
    return _headers(target, headers, options or {"f", "s"})


def _headers(target: Target, headers: ImageHeaders, options: set[str]) -> Lines:
    if options & {"f", "a"}:
        yield from _file_header(headers)
        yield from _optional_header(headers)
    if options & {"s", "a"}:
        yield from _sections(headers)
    if options & {"i", "a"}:
        yield from _imports(target, headers)


def _file_header(headers: ImageHeaders) -> Lines:
    yield ""
    yield f"File Type: {'DLL' if headers.characteristics & 0x2000 else 'EXECUTABLE IMAGE'}"
    yield "FILE HEADER VALUES"
    yield f"{headers.machine:8X} machine ({MACHINES.get(headers.machine, 'unknown')})"
    yield f"{headers.section_count:8X} number of sections"
    at = datetime.fromtimestamp(headers.timestamp, UTC)
    yield f"{headers.timestamp:8X} time date stamp {time_text(at)}"
    yield ""
    yield f"{headers.symbols_pointer:8X} file pointer to symbol table"
    yield f"{headers.symbols:8X} number of symbols"
    yield f"{headers.optional_size:8X} size of optional header"
    yield f"{headers.characteristics:8X} characteristics"
    for bit, word in FILE_FLAGS:
        if headers.characteristics & bit:
            yield f"            {word}"
    yield ""


def _optional_header(headers: ImageHeaders) -> Lines:
    values = headers.optional
    size = 16 if headers.wide else 8
    yield "OPTIONAL HEADER VALUES"
    yield f"{values['Magic']:8X} magic #"
    version = f"{values['MajorLinkerVersion']}.{values['MinorLinkerVersion']:02}"
    yield f"{version:>8} linker version"
    for field, label in (
        ("SizeOfCode", "size of code"),
        ("SizeOfInitializedData", "size of initialized data"),
        ("SizeOfUninitializedData", "size of uninitialized data"),
        ("AddressOfEntryPoint", "address of entry point"),
        ("BaseOfCode", "base of code"),
    ):
        yield f"{values[field]:8X} {label}"
    yield "         ----- new -----"
    yield f"{values['ImageBase']:0{size}x} image base"
    yield f"{values['SectionAlignment']:8X} section alignment"
    yield f"{values['FileAlignment']:8X} file alignment"
    yield f"{values['Subsystem']:8X} subsystem ({SUBSYSTEMS.get(values['Subsystem'], 'Unknown')})"
    for kind, label in (("OperatingSystem", "operating system"), ("Image", "image"), ("Subsystem", "subsystem")):
        version = f"{values[f'Major{kind}Version']}.{values[f'Minor{kind}Version']:02}"
        yield f"{version:>8} {label} version"
    yield f"{values['SizeOfImage']:8X} size of image"
    yield f"{values['SizeOfHeaders']:8X} size of headers"
    yield f"{values['CheckSum']:8X} checksum"
    for field, label in (
        ("SizeOfStackReserve", "stack reserve"),
        ("SizeOfStackCommit", "stack commit"),
        ("SizeOfHeapReserve", "heap reserve"),
        ("SizeOfHeapCommit", "heap commit"),
    ):
        yield f"{values[field]:0{size}x} size of {label}"
    yield f"{values['DllCharacteristics']:8X}  DLL characteristics"
    for bit, word in DLL_FLAGS:
        if values["DllCharacteristics"] & bit:
            yield f"            {word}"
    for (relative, length), name in zip(headers.directories, DIRECTORIES, strict=False):
        yield f"{relative:8X} [{length:8X}] address [size] of {name} Directory"
    yield ""


def _sections(headers: ImageHeaders) -> Lines:
    if len(headers.sections) < headers.section_count:
        yield from missing(f"of {headers.section_count} section headers {len(headers.sections)} can be read")
    for number, section in enumerate(headers.sections, 1):
        yield ""
        yield f"SECTION HEADER #{number:X}"
        yield f"{printable(section.name):>8} name"
        for value, label in (
            (section.virtual_size, "virtual size"),
            (section.virtual_address, "virtual address"),
            (section.raw_size, "size of raw data"),
            (section.raw_pointer, "file pointer to raw data"),
            (section.relocations_pointer, "file pointer to relocation table"),
            (section.lines_pointer, "file pointer to line numbers"),
            (section.relocations, "number of relocations"),
            (section.lines, "number of line numbers"),
            (section.flags, "flags"),
        ):
            yield f"{value:8X} {label}"
        for word in section_words(section.flags):
            yield f"         {word}"


def _imports(target: Target, headers: ImageHeaders) -> Lines:
    found = read_import_names(target.kernel.memory, headers)
    if found is None:
        yield "*** it has no import directory, or that is not in this dump"
        return
    library, count = None, 0
    for one in found:
        if one.library != library:
            yield ""
            yield f"  imports of {printable(one.library)}"
            library = one.library
        count += 1
        value = "?" * 2 * target.kernel.pointer_size if one.value is None else target.address(one.value)
        yield f"    {target.address(one.slot)}  {value}  {printable(one.name)}"
    if not count:
        yield "*** the names of its imports are not in memory (any more): dps shows its Import Address Table"


COMMANDS = (
    Command(
        re.compile(r"!lmi\b"),
        ("!lmi",),
        "!lmi ADDRESS|MODULE",
        "which module lies there: name, base, time, size, PDB",
        _lmi,
    ),
    Command(
        re.compile(r"!dh\b"),
        ("!dh",),
        _DH_USAGE,
        "the headers of an image in memory: -f file header with its directories, -s sections, -i imported routines",
        _dh,
    ),
)
