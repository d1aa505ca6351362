"""``s -d``, ``s -q``, ``s -b``, ``s -a``, ``s -u``: where values or a text stand in memory; the same over all modules.

Only what is mapped and in the dump is looked at, some megabytes at a time.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from poolsleuth.debugger.command import Command, Lines
from poolsleuth.debugger.expressions import address, evaluate
from poolsleuth.debugger.names import module_name
from poolsleuth.debugger.target import Target, address_text
from poolsleuth.debugger.text import ascii_column, printable
from poolsleuth.kernel.address_space import PAGE
from poolsleuth.kernel.paging.space import VirtualMemory
from poolsleuth.model.errors import InputError

MAX_HITS = 10_000  # of one command: as many as the log reader takes from one search
MAX_PAGES = 1 << 22  # mapped pages looked at by one command: 16 GB
MAX_BLIND_PAGES = 1 << 16  # looked at where nothing says what is mapped (a triage dump): 256 MB
MAX_VALUES = 64  # behind each other
_PAGES_AT_ONCE = 2048  # 8 MB
_ROW = 16  # bytes printed of a hit
_WIDTHS = {"b": 1, "w": 2, "d": 4, "q": 8, "a": 1, "u": 1}
_RANGE = re.compile(r"(?P<start>\S+)\s+(?:L\s*\??\s*(?P<count>\S+)|(?P<end>\S+))\s+(?P<what>\S.*)", re.DOTALL)
_USAGE = 's -d|-q|-w|-b START L?COUNT VALUE, s -a|-u START END "text"'


@dataclass(frozen=True, slots=True)
class _Asked:
    """What is looked for (``sought``), in elements of ``width`` bytes, from ``start`` up to before ``end``."""

    kind: str
    start: int
    end: int
    sought: bytes

    @property
    def width(self) -> int:
        return _WIDTHS[self.kind]


def _run(target: Target, match: re.Match[str], rest: str) -> Lines:
    return _lines(target, [_asked(target, (match["kind"] or "b").lower(), rest)])


def _asked(target: Target, kind: str, rest: str) -> _Asked:
    match = _RANGE.fullmatch(rest)
    if match is None:
        raise InputError(f"behind s stand a range and what is looked for: {_USAGE}")
    start, width = address(target, match["start"]), _WIDTHS[kind]
    end = address(target, match["end"]) if match["end"] else start + evaluate(target, match["count"]) * width
    end = min(end, 1 << 8 * target.kernel.pointer_size)
    if end <= start:
        raise InputError("the range ends before it begins")
    return _Asked(kind, start, end, _sought(target, kind, match["what"]))


def _sought(target: Target, kind: str, what: str) -> bytes:
    if kind in ("a", "u"):
        text = what[1:-1] if len(what) > 1 and what[0] == what[-1] == '"' else what.strip('"')
        sought = text.encode("ascii" if kind == "a" else "utf-16-le", "replace")
        if not sought:
            raise InputError("an empty text stands everywhere")
        return sought
    width, words = _WIDTHS[kind], what.split()
    if len(words) > MAX_VALUES:
        raise InputError(f"at most {MAX_VALUES} values can be looked for behind each other")
    mask = (1 << 8 * width) - 1
    return b"".join((evaluate(target, word) & mask).to_bytes(width, "little") for word in words)


def _lines(target: Target, every: list[_Asked]) -> Lines:
    hits, pages = 0, MAX_PAGES
    for asked in every:
        for first, count in _mapped(target, asked):
            if count > pages:
                yield from _cut(
                    f"{MAX_PAGES * PAGE >> 30} GB were looked at; go on from {target.address(first * PAGE)}"
                )
                return
            pages -= count
            for place in _found(target, asked, first, count):
                if hits >= MAX_HITS:
                    yield from _cut(f"{MAX_HITS:,} hits are printed; go on from {target.address(place)}")
                    return
                hits += 1
                yield _hit(target, asked, place)


def _cut(says: str) -> list[str]:
    return ["...", f"*** {says}"]


def _mapped(target: Target, asked: _Asked) -> Iterator[tuple[int, int]]:
    """Pieces of the range that are mapped: number of the first page, and of pages (``_PAGES_AT_ONCE`` at most)."""
    first, last = asked.start // PAGE, (asked.end - 1) // PAGE
    space = target.kernel.memory.space
    if isinstance(space, VirtualMemory):
        for runs in space.mapped_ranges(asked.start, asked.end - 1, max_pages=MAX_PAGES):
            there = runs.frames >= 0
            pages, counts = runs.pages[there].astype(np.int64), runs.counts[there]
            ends = pages + counts
            begins = np.flatnonzero(np.concatenate(([True], pages[1:] != ends[:-1]))[: len(pages)])
            stops = np.append(begins[1:], len(pages))[: len(begins)] - 1
            for begin, stop in zip(pages[begins].tolist(), ends[stops].tolist(), strict=True):
                yield from _pieces(max(begin, first), min(stop, last + 1))
            if runs.stopped is not None:
                # More than may be looked at: the search ends there, with a sentence
                yield int(runs.pages[-1]) if len(runs.pages) else last, MAX_PAGES + 1
    elif last - first >= MAX_BLIND_PAGES:
        raise InputError(f"in this kind of dump at most {MAX_BLIND_PAGES * PAGE >> 20} MB can be searched at once")
    else:
        yield from _pieces(first, last + 1)


def _pieces(begin: int, stop: int) -> Iterator[tuple[int, int]]:
    for page in range(begin, stop, _PAGES_AT_ONCE):
        yield page, min(_PAGES_AT_ONCE, stop - page)


def _found(target: Target, asked: _Asked, first: int, count: int) -> Iterator[int]:
    """The addresses of hits that begin in these pages; one that goes on behind them is found too."""
    space = target.kernel.memory.space
    top = (1 << 8 * target.kernel.pointer_size) // PAGE
    rows, places = space.gather(np.arange(first, min(first + count + 1, top), dtype=np.uint64))
    data = rows.tobytes()
    base = first * PAGE
    begin, end = max(asked.start - base, 0), min(asked.end - base, count * PAGE)
    if asked.width > 1:
        # Elements lie at whole widths from the start of the range on
        begin += (asked.start - base - begin) % asked.width
        column = np.frombuffer(data, f"<u{asked.width}", count=(len(data) - begin) // asked.width, offset=begin)
        value = int.from_bytes(asked.sought[: asked.width], "little")
        candidates: Iterator[int] = (begin + asked.width * int(at) for at in np.flatnonzero(column == value))
    else:
        candidates = _everywhere(data, asked.sought, begin, end)
    for at in candidates:
        stop = at + len(asked.sought)
        if at >= end:
            return
        if base + stop > asked.end or data[at:stop] != asked.sought:
            continue
        if (places[at // PAGE : (stop - 1) // PAGE + 1] >= 0).all():
            yield base + at


def _everywhere(data: bytes, sought: bytes, begin: int, end: int) -> Iterator[int]:
    at = data.find(sought, begin)
    while 0 <= at < end:
        yield at
        at = data.find(sought, at + 1)


def _hit(target: Target, asked: _Asked, place: int) -> str:
    raw = target.kernel.memory.read(place, _ROW)
    if raw is None:  # the next page is missing
        raw = target.kernel.memory.read(place, min(_ROW, PAGE - place % PAGE)) or asked.sought[:_ROW]
    width = asked.width
    texts = [
        address_text(int.from_bytes(raw[at : at + width], "little"), width)
        for at in range(0, len(raw) - width + 1, width)
    ]
    if width == 1:
        left = " ".join(texts[:8]) + ("-" + " ".join(texts[8:]) if len(texts) > 8 else "")
    else:
        left = " ".join(texts)
    return f"{target.address(place)}  {left}  {ascii_column(raw)}"


_SEARCH = re.compile(r"s(?:\s*-\s*(?P<kind>[bwdqauBWDQAU]))?(?=\s|$)")


def _each_module(target: Target, _match: re.Match[str], rest: str) -> Lines:
    rest = rest.strip('"') if rest.count('"') == 2 and rest[:1] == rest[-1:] == '"' else rest
    search = _SEARCH.match(rest)
    if search is None:
        return _command_for_each(target, rest)
    if "@#Base" not in rest:
        raise InputError("a search of all modules has their range: !for_each_module s-d @#Base @#End VALUE")
    if not target.names.modules:
        raise InputError(target.names.loaded.says or "there are no modules in the list of modules")
    text = rest[search.end() :].strip()
    kind = (search["kind"] or "b").lower()
    every = [_asked(target, kind, _filled(target, text, number)) for number in range(len(target.names.modules))]
    return _lines(target, every)


def _filled(target: Target, text: str, number: int) -> str:
    """The text with the words of a module in place of their names."""
    module = target.names.modules[number]
    words = {
        "@#Base": f"{module.base:#x}",
        "@#End": f"{module.end:#x}",
        "@#Size": f"{module.size:#x}",
        "@#ModuleIndex": f"{number:02x}",
        "@#ModuleName": module_name(module, target.kernel),
        "@#ImageName": printable(module.name or ""),
        "@#LoadedImageName": printable(module.name or ""),
        "@#TimeDateStamp": f"{module.time_stamp or 0:08x}",
        "@#Checksum": f"{module.checksum or 0:08x}",
    }
    return _NAMES.sub(lambda match: words.get(match.group(), match.group()), text)


def _command_for_each(target: Target, command: str) -> Lines:
    run = target.run_command
    if not command or run is None or command.lower().startswith(("!for_each_module", ".log", "q")):
        raise InputError("behind !for_each_module stands a command, such as s-d @#Base @#End VALUE, or !lmi @#Base")
    return _each_output(target, command, run)


def _each_output(target: Target, command: str, run: Callable[[str], Iterator[str]]) -> Lines:
    if not target.names.modules:
        yield f"*** {printable(target.names.loaded.says or 'there are no modules in the list of modules')}"
    for number, module in enumerate(target.names.modules):
        text = _filled(target, command, number)
        if text == command:
            # Nothing of the module stands in it: the debugger runs it as often, which tells nothing
            yield f"*** {module_name(module, target.kernel)}"
        try:
            yield from run(text)
        except InputError as error:
            yield f"*** {module_name(module, target.kernel)}: {printable(str(error))}"


_NAMES = re.compile(r"@#\w+")


COMMANDS = (
    Command(_SEARCH, ("s -d", "s -q", "s -a"), _USAGE, "where a value or a text stands in memory", _run),
    Command(
        re.compile(r"!for_each_module\b"),
        ("!for_each_module",),
        "!for_each_module s-d @#Base @#End VALUE | COMMAND",
        "the same search in all modules; or any command with @#Base, @#End, @#ModuleName for each of them",
        _each_module,
    ),
)
