"""``!analyze``: the bug check as the debugger prints it, and below it our own verdict on the pools."""

import re
from textwrap import wrap

from poolsleuth.debugger.command import Command, Lines
from poolsleuth.debugger.target import Target
from poolsleuth.debugger.text import printable
from poolsleuth.model.errors import InputError
from poolsleuth.windows.bugchecks import name_of, note

MAX_LINE = 4000  # characters of one sentence of the verdict
WIDTH = 80  # columns that the verdict is wrapped to
_INDENT = "    "
_BOX = 79  # characters of the box around the title
_TITLE = "Bugcheck Analysis"


def _run(target: Target, _match: re.Match[str], rest: str) -> Lines:
    words = rest.lower().split()
    if [word for word in words if word not in ("-v", "/v", "-f")]:
        raise InputError(f"!analyze takes -v, not '{printable(rest, 40)}'")
    return _lines(target, verbose="-v" in words or "/v" in words)


def _lines(target: Target, *, verbose: bool) -> Lines:
    yield from _bug_check(target)
    if target.judge is None:
        yield "*** there is no verdict here: `poolsleuth diagnose` gives it"
        return
    yield "Pool verdict of poolsleuth:"
    yield ""
    for line in target.judge(verbose):
        text = printable(line, MAX_LINE)
        inner = text[: len(text) - len(text.lstrip())]
        yield from wrap(text, WIDTH, initial_indent=_INDENT, subsequent_indent=f"{_INDENT}{inner}  ") or [""]


def _bug_check(target: Target) -> Lines:
    header = target.header
    if header is None or header.bugcheck_code is None:
        yield "*** an image of memory has no bug check" if header is None else "*** the header has no bug check"
        yield ""
        return
    inner = _BOX - 2
    yield "*" * _BOX
    yield f"*{'':{inner}}*"
    yield f"*{' ' * 24}{_TITLE:<{inner - 24}}*"
    yield f"*{'':{inner}}*"
    yield "*" * _BOX
    yield ""
    code, width = header.bugcheck_code, 2 * header.pointer
    name, known = name_of(code), note(code)
    yield f"{name or 'Unknown bugcheck code'} ({code:x})"
    if known is not None:
        yield printable(known.says)
    yield "Arguments:"
    parameters = header.bugcheck_parameters or ()
    for number, value in enumerate(parameters, 1):
        text = known.arg1.get(value) if known is not None and number == 1 else None
        yield f"Arg{number}: {value:0{width}x}, {printable(text or '')}".rstrip()
    yield ""


COMMANDS = (
    Command(
        re.compile(r"!analyze\b"),
        ("!analyze",),
        "!analyze [-v]",
        "the bug check, and the verdict on the pools; -v with its evidence",
        _run,
    ),
)
