"""``.sympath`` and ``.reload``: which symbols are used. They are chosen when the dump is opened."""

import re

from poolsleuth.debugger.command import Command, Lines
from poolsleuth.debugger.target import Target
from poolsleuth.debugger.text import printable


def _path(target: Target, _match: re.Match[str], rest: str) -> Lines:
    path = ";".join(target.symbol_path)
    yield f"Symbol search path is: {printable(path) if path else '(none was given: that of _NT_SYMBOL_PATH)'}"
    yield from _used(target)
    if rest:
        yield "*** the path cannot be changed here: give --symbols when you open the dump"


def _reload(target: Target, _match: re.Match[str], _rest: str) -> Lines:
    yield from _used(target)
    yield f"{len(target.names.modules)} modules are loaded; only of nt symbols are used, of the others their exports"


def _used(target: Target) -> Lines:
    kernel = target.kernel
    if kernel.table is not None:
        yield f"nt: {printable(kernel.table.source)}"
    elif kernel.pdb is not None:
        yield f"nt: no symbols of {printable(kernel.pdb.name)} {printable(kernel.pdb.key)}"
        yield "*** `poolsleuth symbols fetch` gets them; without them structures are those that the build usually has"
    else:
        yield "nt: no symbols, and the kernel's image does not say which would fit"
    for sentence in kernel.notes:
        yield f"    {printable(sentence)}"


COMMANDS = (
    Command(re.compile(r"\.sympath\b"), (".sympath",), ".sympath", "which symbols are used, and from where", _path),
    Command(re.compile(r"\.reload\b"), (".reload",), ".reload", "the same: nothing has to be loaded again", _reload),
)
