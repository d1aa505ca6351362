"""``dt``: the fields of a structure, and their values at an address.

Of a kernel's types only those are kept that this program reads, with offsets and sizes, without the names of types.
"""

import re
from fnmatch import fnmatchcase

from poolsleuth.debugger.command import Command, Lines
from poolsleuth.debugger.expressions import address
from poolsleuth.debugger.target import Target, address_text
from poolsleuth.debugger.text import printable
from poolsleuth.kernel.target import Kernel
from poolsleuth.model.errors import InputError
from poolsleuth.windows.kernel_table import Field, Structure

MAX_TEXT = 64  # bytes of a field of characters that are shown
_WIDTHS = (1, 2, 4, 8)
_NAME = re.compile(r"(?:(?P<module>[\w*?]+)!)?(?P<type>[\w*?]+)")
_USAGE = "dt [nt!]TYPE [ADDRESS] [FIELD...]"


def _run(target: Target, _match: re.Match[str], rest: str) -> Lines:
    words = [word for word in rest.split() if word.lower() not in ("-v", "-b", "-r", "-r1", "-r0")]
    match = _NAME.fullmatch(words[0]) if words else None
    if match is None:
        raise InputError(f"behind dt stands the name of a structure: {_USAGE}")
    module, name = match["module"], match["type"]
    if module is not None and not fnmatchcase("nt", module.lower()):
        raise InputError(f"of {printable(module, 40)} no types are known: only some of nt's are (dt nt!*)")
    if "*" in name or "?" in name:
        return _names(target.kernel, name)
    found = _structure(target.kernel, name)
    if found is None:
        raise InputError(
            f"of nt!{printable(name, 60)} nothing is known: only the {len(_known(target.kernel))} structures that"
            " poolsleuth reads are kept (dt nt!* lists them)"
        )
    place: int | None = None
    paths: list[str] = []
    for word in words[1:]:
        if word.rstrip(".") in found[1].fields or "*" in word or _has_prefix(found[1], word):
            paths.append(word)
        else:
            place = address(target, word)
    return _fields(target, found[0], found[1], place, paths)


def _known(kernel: Kernel) -> set[str]:
    table = set(kernel.table.structures) if kernel.table is not None else set()
    return table | set(kernel.layouts)


def _structure(kernel: Kernel, name: str) -> tuple[str, Structure] | None:
    for known in sorted(_known(kernel)):
        if known.lower() in (name.lower(), f"_{name.lower()}"):
            found = kernel.structure(known)
            return None if found is None else (known, found)
    return None


def _has_prefix(structure: Structure, word: str) -> bool:
    return any(path.startswith(f"{word.rstrip('.')}.") for path in structure.fields)


def _names(kernel: Kernel, pattern: str) -> Lines:
    for name in sorted(_known(kernel)):
        if fnmatchcase(name.lower(), pattern.lower()):
            yield f"          nt!{name}"
    yield "*** these are the structures that poolsleuth reads, not all that nt has"


def _fields(target: Target, name: str, structure: Structure, place: int | None, paths: list[str]) -> Lines:
    yield f"nt!{name}"
    if not target.kernel.exact:
        yield "*** as this build usually has it: the symbols of this very kernel are not known"
    shown = 0
    for path, field in sorted(structure.fields.items(), key=lambda item: (item[1].offset, item[1].bit or 0)):
        if paths and not any(_chosen(path, one) for one in paths):
            continue
        if not paths and "." in path:
            continue  # of an embedded structure: asked for by its name
        shown += 1
        text = _kind(field) if place is None else _value(target, place + field.offset, field)
        yield f"   +0x{field.offset:03x} {path:<16} : {text}"
    if not shown:
        yield "*** no such field is known"
    if place is None and not paths:
        yield f"*** {structure.size} (0x{structure.size:x}) bytes; names of types are not kept, only sizes"


def _chosen(path: str, wanted: str) -> bool:
    if wanted.endswith("."):
        return path.startswith(wanted)
    return fnmatchcase(path, wanted) or path.startswith(f"{wanted}.")


def _kind(field: Field) -> str:
    if field.bit is not None and field.bits is not None:
        return f"Pos {field.bit}, {field.bits} Bit{'s' if field.bits > 1 else ''}"
    if field.size is None:
        return "size not known"
    if field.count > 1:
        return f"[{field.count}] of {_bytes(field.size // field.count)}"
    return _bytes(field.size)


def _bytes(size: int) -> str:
    return "1 byte" if size == 1 else f"{size} bytes"


def _value(target: Target, at: int, field: Field) -> str:
    memory = target.kernel.memory
    each = field.size // field.count if field.size is not None and field.count > 1 else field.size
    if field.count > 1 and each == 1:
        raw = memory.read(at, min(field.count, MAX_TEXT))
        if raw is None:
            return "??"
        text = raw.split(b"\0", 1)[0].decode("latin-1")
        return f'[{field.count}]  "{printable(text)}"'
    width = each or target.kernel.pointer_size
    if width not in _WIDTHS:
        return f"at {target.address(at)}, {_bytes(width * field.count)}"
    number = memory.number(at, width)
    if number is None:
        return "??"
    if field.bit is not None and field.bits is not None:
        part = number >> field.bit & (1 << field.bits) - 1
        return f"0y{part:0{field.bits}b}" + (f" (0x{part:x})" if field.bits > 1 else "")
    text = f"0x{address_text(number, 8).lstrip('0') if number >> 32 else f'{number:x}'}"
    return f"[{field.count}] {text}" if field.count > 1 else text


COMMANDS = (
    Command(
        re.compile(r"dt(?=\s|$)"),
        ("dt",),
        _USAGE,
        "the fields of a structure of the kernel, and their values at an address; names with *",
        _run,
    ),
)
