"""Expressions of the debugger's default (MASM) syntax.

Numbers are hexadecimal; ``0n10`` is decimal, ``0t17`` octal, ``0y101`` binary. There are symbols, modules, registers
that begin with ``@$``, brackets, ``poi() by() wo() dwo() qwo() hi() low()``, and the operators of the debugger with its
precedence: ``- ~``, then ``* / %``, ``+ -``, ``<< >>``, ``< > <= >= == !=``, ``&``, ``^``, ``|`` (and their words).
"""

import re
from collections.abc import Callable

from poolsleuth.debugger.target import Target
from poolsleuth.debugger.text import printable
from poolsleuth.kernel.address_space import PAGE
from poolsleuth.model.errors import InputError

MAX_DEPTH = 32  # brackets in each other
MAX_EXPRESSION = 1000  # characters
_ALL = (1 << 64) - 1
_TOKEN = re.compile(
    r"\s*(?:(?P<decimal>0n\d{1,20}(?!\w))|(?P<octal>0t[0-7]{1,22}(?!\w))|(?P<binary>0y[01]{1,64}(?!\w))"
    r"|(?P<hex>(?:0x)?[0-9a-fA-F]{1,8}`[0-9a-fA-F]{8}|0x[0-9a-fA-F]{1,16})(?![\w!])"
    r"|(?P<word>[A-Za-z0-9_?@$.][A-Za-z0-9_?@$~.]*(?:![A-Za-z0-9_?@$~]+)?)"
    r"|(?P<sign><<|>>|<=|>=|==|!=|[-+*/%()&|^~<>=]))"
)
_NUMBER = re.compile(r"[0-9a-fA-F]{1,16}")
_BASES = {"decimal": 10, "octal": 8, "binary": 2}
_WORDS = {"and": "&", "or": "|", "xor": "^", "mod": "%", "shl": "<<", "shr": ">>"}


def _divided(one: int, other: int, rest: bool) -> int:
    if not other & _ALL:
        raise InputError("a division by 0 has no value")
    return (one & _ALL) % (other & _ALL) if rest else (one & _ALL) // (other & _ALL)


def _shifted(one: int, other: int) -> int:
    return 0 if other & _ALL > 63 else (one & _ALL) << (other & _ALL)


_OPERATORS: tuple[dict[str, Callable[[int, int], int]], ...] = (
    {"|": lambda a, b: a | b},
    {"^": lambda a, b: a ^ b},
    {"&": lambda a, b: a & b},
    {
        "<": lambda a, b: int(a & _ALL < b & _ALL),
        ">": lambda a, b: int(a & _ALL > b & _ALL),
        "<=": lambda a, b: int(a & _ALL <= b & _ALL),
        ">=": lambda a, b: int(a & _ALL >= b & _ALL),
        "==": lambda a, b: int(a & _ALL == b & _ALL),
        "=": lambda a, b: int(a & _ALL == b & _ALL),
        "!=": lambda a, b: int(a & _ALL != b & _ALL),
    },
    {"<<": _shifted, ">>": lambda a, b: 0 if b & _ALL > 63 else (a & _ALL) >> (b & _ALL)},
    {"+": lambda a, b: a + b, "-": lambda a, b: a - b},
    {"*": lambda a, b: a * b, "/": lambda a, b: _divided(a, b, False), "%": lambda a, b: _divided(a, b, True)},
)
_READS = {"poi": None, "by": 1, "wo": 2, "dwo": 4, "qwo": 8}
_PARTS: dict[str, Callable[[int], int]] = {
    "hi": lambda value: value >> 16 & 0xFFFF,
    "low": lambda value: value & 0xFFFF,
}


def evaluate(target: Target, text: str) -> int:
    """The value as an unsigned number of 64 bits. Raises InputError, with a sentence, where there is none."""
    if len(text) > MAX_EXPRESSION:
        raise InputError(f"an expression has at most {MAX_EXPRESSION} characters")
    parser = _Parser(target, text)
    value = parser.level(0, 0)
    if parser.token is not None:
        raise InputError(f"'{printable(text, 60)}' makes no sense from '{printable(parser.token, 40)}' on")
    return value & _ALL


def address(target: Target, text: str) -> int:
    """The value as an address of the dump's kernel."""
    return evaluate(target, text) & ((1 << 8 * target.kernel.pointer_size) - 1)


class _Parser:
    def __init__(self, target: Target, text: str) -> None:
        self.target, self.text = target, text
        self._at = 0
        self.token: str | None = None
        self._kind: str | None = None
        self._next()

    def _next(self) -> None:
        match = _TOKEN.match(self.text, self._at)
        if match is not None:
            self.token, self._kind, self._at = match.group().strip(), match.lastgroup, match.end()
            return
        rest = self.text[self._at :].strip()
        if rest:
            raise InputError(f"'{printable(rest, 40)}' cannot stand in an expression")
        self.token = self._kind = None

    def level(self, number: int, depth: int) -> int:
        """What operators of this precedence, or of a higher one, join."""
        if number == len(_OPERATORS):
            return self._one(depth)
        value = self.level(number + 1, depth)
        while self.token is not None:
            operator = _OPERATORS[number].get(_WORDS.get(self.token.lower(), self.token))
            if operator is None:
                break
            self._next()
            value = operator(value, self.level(number + 1, depth)) & _ALL
        return value

    def _one(self, depth: int) -> int:
        token, kind = self.token, self._kind
        if depth > MAX_DEPTH:
            raise InputError(f"more than {MAX_DEPTH} brackets stand in each other")
        if token is None:
            raise InputError("the expression ends too early" if self.text.strip() else "an address is missing")
        self._next()
        if token in ("-", "+", "~") or token.lower() == "not":
            value = self._one(depth + 1)
            return {"-": -value, "+": value, "~": ~value}.get(token, int(not value & _ALL))
        if token == "(":
            return self._bracket(depth)
        if self.token == "(" and token.lower() in (*_READS, *_PARTS):
            self._next()
            value = self._bracket(depth)
            part = _PARTS.get(token.lower())
            return part(value) if part is not None else self._read(value, _READS[token.lower()])
        if kind in _BASES:
            return int(token[2:], _BASES[kind])
        if kind == "hex":
            return int(token.replace("`", ""), 16)
        if kind == "word":
            return self._word(token)
        raise InputError(f"'{token}' cannot stand there")

    def _bracket(self, depth: int) -> int:
        value = self.level(0, depth + 1)
        if self.token != ")":
            raise InputError("a closing bracket is missing")
        self._next()
        return value

    def _read(self, place: int, width: int | None) -> int:
        kernel = self.target.kernel
        place &= (1 << 8 * kernel.pointer_size) - 1
        value = kernel.memory.number(place, width or kernel.pointer_size)
        if value is None:
            raise InputError(f"memory cannot be read at {self.target.address(place)}")
        return value

    def _word(self, word: str) -> int:
        if word.startswith(("@", "$")):
            return _register(self.target, word)
        if _NUMBER.fullmatch(word):
            return int(word, 16)
        found = self.target.names.named(word)
        if found is None:
            raise InputError(
                f"'{printable(word, 60)}' is no number, no module and none of the {len(self.target.names.symbols)}"
                " symbols of nt that are known (x nt!* lists them)"
            )
        return found


_REGISTERS: dict[str, Callable[[Target], int | None]] = {
    "$ptrsize": lambda target: target.kernel.pointer_size,
    "$pagesize": lambda _: PAGE,
    "$ntsym": lambda target: target.kernel.base,
    "$proc": lambda target: (
        target.process.address if target.process is not None else target.kernel.variable("PsInitialSystemProcess")
    ),
    "$bug_code": lambda target: target.header.bugcheck_code if target.header is not None else None,
    **{f"$bug_param{number + 1}": lambda target, n=number: _parameter(target, n) for number in range(4)},  # type: ignore[misc]
}
REGISTERS = tuple(f"@{name}" for name in _REGISTERS)
"""The registers that an expression can name."""


def _parameter(target: Target, number: int) -> int | None:
    parameters = (target.header.bugcheck_parameters if target.header is not None else None) or ()
    return parameters[number] if number < len(parameters) else None


def _register(target: Target, word: str) -> int:
    read = _REGISTERS.get(word.removeprefix("@").lower())
    if read is None:
        raise InputError(f"'{printable(word, 60)}' is no register that is known here: {', '.join(REGISTERS)}")
    value = read(target)
    if value is None:
        raise InputError(f"this dump does not say what {printable(word, 60)} is")
    return value
