"""Expressions of the debugger's default (MASM) syntax: hexadecimal numbers, symbols, + - * /, brackets, ``poi()``."""

import re

from poolsleuth.debugger.target import Target
from poolsleuth.debugger.text import printable
from poolsleuth.model.errors import InputError

MAX_DEPTH = 32  # brackets in each other
MAX_EXPRESSION = 1000  # characters
_ALL = (1 << 64) - 1
_TOKEN = re.compile(
    r"\s*(?:(?P<decimal>0n\d{1,20})|(?P<hex>(?:0x)?[0-9a-fA-F]{1,8}`[0-9a-fA-F]{8}|0x[0-9a-fA-F]{1,16})(?![\w!])"
    r"|(?P<word>[A-Za-z0-9_?@$~.]+(?:![A-Za-z0-9_?@$~]+)?)|(?P<sign>[-+*/()]))"
)
_NUMBER = re.compile(r"[0-9a-fA-F]{1,16}")


def evaluate(target: Target, text: str) -> int:
    """The value as an unsigned number of 64 bits. Raises InputError, with a sentence, where there is none."""
    if len(text) > MAX_EXPRESSION:
        raise InputError(f"an expression has at most {MAX_EXPRESSION} characters")
    parser = _Parser(target, text)
    value = parser.sum(0)
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

    def sum(self, depth: int) -> int:
        value = self._product(depth)
        while self.token in ("+", "-"):
            sign = self.token
            self._next()
            other = self._product(depth)
            value = value + other if sign == "+" else value - other
        return value

    def _product(self, depth: int) -> int:
        value = self._one(depth)
        while self.token in ("*", "/"):
            sign = self.token
            self._next()
            other = self._one(depth)
            if sign == "/" and not other & _ALL:
                raise InputError("a division by 0 has no value")
            value = value * other if sign == "*" else (value & _ALL) // (other & _ALL)
            value &= _ALL
        return value

    def _one(self, depth: int) -> int:
        token, kind = self.token, self._kind
        if depth > MAX_DEPTH:
            raise InputError(f"more than {MAX_DEPTH} brackets stand in each other")
        if token is None:
            raise InputError("the expression ends too early" if self.text.strip() else "an address is missing")
        self._next()
        if token == "-":
            return -self._one(depth + 1)
        if token == "(":
            value = self.sum(depth + 1)
            self._close()
            return value
        if token.lower() == "poi" and self.token == "(":
            self._next()
            value = self.sum(depth + 1)
            self._close()
            return self._pointer(value)
        if kind == "decimal":
            return int(token[2:])
        if kind == "hex":
            return int(token.replace("`", ""), 16)
        if kind == "word":
            return self._word(token)
        raise InputError(f"'{token}' cannot stand there")

    def _close(self) -> None:
        if self.token != ")":
            raise InputError("a closing bracket is missing")
        self._next()

    def _pointer(self, place: int) -> int:
        place &= (1 << 8 * self.target.kernel.pointer_size) - 1
        value = self.target.kernel.memory.pointer(place)
        if value is None:
            raise InputError(f"memory cannot be read at {self.target.address(place)}")
        return value

    def _word(self, word: str) -> int:
        if _NUMBER.fullmatch(word):
            return int(word, 16)
        found = self.target.names.named(word)
        if found is None:
            raise InputError(
                f"'{printable(word, 60)}' is no number, no module and none of the {len(self.target.names.symbols)}"
                " symbols of nt that are known (x nt!* lists them)"
            )
        return found
