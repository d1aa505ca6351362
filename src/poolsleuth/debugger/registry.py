"""All commands, and which of them a line calls."""

import re

from poolsleuth.debugger.command import Command, Lines
from poolsleuth.debugger.commands import (
    about,
    analyze,
    code,
    context,
    dt,
    headers,
    locks,
    lookaside,
    memory,
    modules,
    page_tables,
    pool,
    pool_map,
    poolfind,
    poolused,
    poolval,
    processes,
    search,
    sources,
    symbols,
    sysptes,
    vm,
)
from poolsleuth.debugger.target import Target

COMMANDS: tuple[Command, ...] = (
    *vm.COMMANDS,
    *poolused.COMMANDS,
    *pool.COMMANDS,
    *poolfind.COMMANDS,
    *poolval.COMMANDS,
    *pool_map.COMMANDS,
    *lookaside.COMMANDS,
    *sysptes.COMMANDS,
    *modules.COMMANDS,
    *headers.COMMANDS,
    *locks.COMMANDS,
    *processes.COMMANDS,
    *context.COMMANDS,
    *about.COMMANDS,
    *analyze.COMMANDS,
    *memory.COMMANDS,
    *page_tables.COMMANDS,
    *code.COMMANDS,
    *dt.COMMANDS,
    *symbols.COMMANDS,
    *search.COMMANDS,
    *sources.COMMANDS,
)
# "!kdexts.pool", "!w2kfre\kdex2x86.xpool": what the extension is called tells nothing here
_EXTENSION = re.compile(r"!(?:[\w.]{1,40}\\){0,4}(?:\w{1,40}\.)?(?=\w)")
_WORD = re.compile(r"[!.]\w+")


def find_command(text: str) -> tuple[Command, re.Match[str], str] | None:
    """The command that a line calls, what its name matched, and what stands behind it; None for an unknown one.

    Names that begin with a mark are taken in any case and with the name of their extension, as the debugger does.
    """
    extension = _EXTENSION.match(text)
    if extension is not None:
        text = "!" + text[extension.end() :]
    word = _WORD.match(text)
    if word is not None:
        text = word.group().lower() + text[word.end() :]
    for known in COMMANDS:
        match = known.name.match(text)
        if match is not None:
            return known, match, text[match.end() :].strip()
    return None


def run_command(target: Target, text: str) -> Lines | None:
    """The output of a command; None for an unknown one. Raises InputError, with a sentence, where it makes no sense."""
    found = find_command(text)
    if found is None:
        return None
    command, match, rest = found
    return command.run(target, match, rest)
