"""``x`` and ``ln``: the kernel's symbols, as far as they are known; ``?``: the value of an expression."""

import re
from fnmatch import fnmatchcase

from poolsleuth.debugger.command import Command, Lines
from poolsleuth.debugger.expressions import address, evaluate
from poolsleuth.debugger.names import module_name
from poolsleuth.debugger.target import Target, address_text
from poolsleuth.debugger.text import printable
from poolsleuth.model.errors import InputError

_SIGN_OF_32 = 0xFFFFFFFF_80000000  # the smallest negative number of 32 bits, as one of 64
_PATTERN = re.compile(r"(?P<module>[^\s!]+)!(?P<symbol>[^\s!]*)")


def _examine(target: Target, _match: re.Match[str], rest: str) -> Lines:
    match = _PATTERN.fullmatch(rest)
    if match is None:
        raise InputError("behind x stands a module and a pattern, such as nt!Pool*")
    return _symbols(target, match["module"].lower(), match["symbol"].lower())


def _symbols(target: Target, module: str, pattern: str) -> Lines:
    if not fnmatchcase("nt", module):
        yield f"*** of {printable(module, 60)} no symbols are known: only those of nt are"
        return
    pattern = pattern.replace("[", "[[]")
    for name, place in sorted(target.names.symbols.items(), key=lambda item: item[1]):
        if fnmatchcase(name.lower(), pattern):
            yield f"{target.address(place)} nt!{printable(name)}"
    yield _how_many(target)


def _how_many(target: Target) -> str:
    return (
        f"*** of nt {len(target.names.symbols)} symbols are known: those that poolsleuth looks for, not all there are"
    )


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
    yield f"({target.address(module.base)})   {name}+0x{place - module.base:x}"
    yield f"*** no symbols of {name} are known that are near it"


def _value(target: Target, _match: re.Match[str], rest: str) -> Lines:
    return iter([_evaluated(target, evaluate(target, rest))])


def _evaluated(target: Target, value: int) -> str:
    bits = 64
    if target.kernel.pointer_size == 4 and value < 1 << 32:
        bits = 32  # the debugger extends numbers of a 32-bit target by their sign
    elif target.kernel.pointer_size == 4 and value >= _SIGN_OF_32:
        bits, value = 32, value & 0xFFFFFFFF
    signed = value - (1 << bits) if value >> bits - 1 else value
    return f"Evaluate expression: {signed} = {address_text(value, bits // 8)}"


COMMANDS = (
    Command(re.compile(r"x(?=\s|$)"), ("x",), "x nt!PATTERN", "symbols of the kernel, with * and ?", _examine),
    Command(re.compile(r"ln(?=\s|$)"), ("ln",), "ln ADDRESS", "the symbols around an address, or its module", _nearest),
    Command(re.compile(r"\?(?=\s)"), ("?",), "? EXPRESSION", "the value: numbers, nt!symbols, + - * /, poi()", _value),
)
