"""``x`` and ``ln``: symbols as far as they are known; ``?`` and ``.formats``: the value of an expression."""

import re
from collections.abc import Iterable
from datetime import UTC, datetime
from fnmatch import fnmatchcase

from poolsleuth.debugger.command import Command, Lines
from poolsleuth.debugger.commands.modules import time_text
from poolsleuth.debugger.expressions import address, evaluate
from poolsleuth.debugger.names import module_name
from poolsleuth.debugger.target import Target, address_text
from poolsleuth.debugger.text import ascii_column, printable
from poolsleuth.kernel.filetime import utc
from poolsleuth.model.errors import InputError

_SIGN_OF_32 = 0xFFFFFFFF_80000000  # the smallest negative number of 32 bits, as one of 64
_PATTERN = re.compile(r"(?P<module>[^\s!]+)!(?P<symbol>[^\s!]*)")


def _examine(target: Target, _match: re.Match[str], rest: str) -> Lines:
    match = _PATTERN.fullmatch(rest)
    if match is None:
        raise InputError("behind x stands a module and a pattern, such as nt!Pool*")
    return _symbols(target, match["module"].lower(), match["symbol"].lower())


def _symbols(target: Target, module: str, pattern: str) -> Lines:
    pattern = pattern.replace("[", "[[]")
    names = target.names
    if fnmatchcase("nt", module):
        yield from _matching(target, "nt", names.symbols.items(), pattern)
        yield _how_many(target)
        if module == "nt":
            return
    seen = False
    for one in names.modules:
        name = module_name(one, target.kernel)
        if one.base == target.kernel.base or not fnmatchcase(name.lower(), module.replace("[", "[[]")):
            continue
        seen = True
        exported = ((symbol, place) for place, symbol in names.exports(one).items())
        yield from _matching(target, name, exported, pattern)
        if not names.exports(one) and name.lower() == module:
            yield f"*** of {printable(name, 60)} no symbols are known: it exports none, or they are not in this dump"
        elif name.lower() == module:
            yield f"*** of {printable(name, 60)} only what it exports is known: {len(names.exports(one))} symbols"
    if not seen and not fnmatchcase("nt", module):
        yield f"*** there is no module {printable(module, 60)}"


def _matching(target: Target, module: str, symbols: Iterable[tuple[str, int]], pattern: str) -> Lines:
    for name, place in sorted(symbols, key=lambda item: (item[1], item[0])):
        if fnmatchcase(name.lower(), pattern):
            yield f"{target.address(place)} {module}!{printable(name)}"


def _how_many(target: Target) -> str:
    names = target.names
    exported = len(names.symbols) - names.exact
    text = f"*** of nt {len(names.symbols)} symbols are known: those that poolsleuth looks for, not all there are"
    return f"{text} ({exported} are exports)" if exported else text


def _nearest(target: Target, _match: re.Match[str], rest: str) -> Lines:
    place = address(target, rest)
    return _near(target, place)


def _near(target: Target, place: int) -> Lines:
    names = target.names
    found = names.symbol_at(place)
    if found is not None:
        name, behind = found
        text = f"({target.address(place - behind)})   nt!{name}{f'+0x{behind:x}' if behind else ''}"
        following = names.next_symbol(place)
        if following is not None:
            text += f"   |  ({target.address(following[1])})   nt!{following[0]}"
        yield text
        if not behind:
            yield "Exact matches:"
            yield f"    nt!{name}"
        yield _how_many(target)
        return
    module = names.module_at(place)
    if module is None:
        yield f"*** no module lies at {target.address(place)}"
        return
    name = module_name(module, target.kernel)
    exported = names.exports(module).get(place) if module.base != target.kernel.base else None
    if exported is not None:
        yield f"({target.address(place)})   {name}!{printable(exported)}"
        yield "Exact matches:"
        yield f"    {name}!{printable(exported)}"
        return
    yield f"({target.address(module.base)})   {name}+0x{place - module.base:x}"
    yield f"*** no symbols of {name} are known that are near it"


def _value(target: Target, _match: re.Match[str], rest: str) -> Lines:
    return iter([_evaluated(target, evaluate(target, rest))])


def _sized(target: Target, value: int) -> tuple[int, int]:
    """The value and its bits: a number of a 32-bit target has 32 where it fits, extended by its sign."""
    if target.kernel.pointer_size == 4 and (value < 1 << 32 or value >= _SIGN_OF_32):
        return value & 0xFFFFFFFF, 32
    return value, 64


def _evaluated(target: Target, value: int) -> str:
    value, bits = _sized(target, value)
    signed = value - (1 << bits) if value >> bits - 1 else value
    return f"Evaluate expression: {signed} = {address_text(value, bits // 8)}"


def _formats(target: Target, _match: re.Match[str], rest: str) -> Lines:
    return _all_formats(target, evaluate(target, rest))


def _all_formats(target: Target, value: int) -> Lines:
    value, bits = _sized(target, value)
    width = bits // 8
    raw = value.to_bytes(width, "big")
    yield "Evaluate expression:"
    yield f"  Hex:     {address_text(value, width)}"
    yield f"  Decimal: {value - (1 << bits) if value >> bits - 1 else value}"
    yield f"  Octal:   {value:0{-(-bits // 3)}o}"
    yield f"  Binary:  {' '.join(f'{byte:08b}' for byte in raw)}"
    yield f"  Chars:   {ascii_column(raw)}"
    if bits == 64 and value >> 32:
        moment = utc(value)
    else:
        moment = datetime.fromtimestamp(value, UTC) if value < 1 << 32 else None
    yield f"  Time:    {'***** Invalid' if moment is None else f'{time_text(moment)} (UTC)'}"


COMMANDS = (
    Command(
        re.compile(r"x(?=\s|$)"), ("x",), "x MODULE!PATTERN", "symbols of the kernel, exports of a module", _examine
    ),
    Command(re.compile(r"ln(?=\s|$)"), ("ln",), "ln ADDRESS", "the symbols around an address, or its module", _nearest),
    Command(
        re.compile(r"\?(?=\s)"),
        ("?",),
        "? EXPRESSION",
        "the value: numbers, nt!symbols, + - * / % & | ^ << >>, poi() by() wo() dwo() qwo(), @$registers",
        _value,
    ),
    Command(
        re.compile(r"\.formats(?=\s|$)"),
        (".formats",),
        ".formats EXPRESSION",
        "the value in all number formats",
        _formats,
    ),
)
