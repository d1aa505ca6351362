"""The shell itself: takes command lines, gives lines of output, and keeps the log.

Each command of a line gets a prompt of its own (``0: kd> !vm``), so that what is printed can be pasted as it is, and
the log reader knows which command printed what.
"""

import re
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import TextIO

from poolsleuth.debugger.command import Lines
from poolsleuth.debugger.expressions import REGISTERS
from poolsleuth.debugger.names import module_name
from poolsleuth.debugger.registry import COMMANDS, run_command
from poolsleuth.debugger.target import Target
from poolsleuth.debugger.text import printable
from poolsleuth.kernel.pool.tags import tag_text
from poolsleuth.kernel.pool.tracker_tables import read_tag_totals
from poolsleuth.model.errors import InputError

MAX_LINES = 200_000  # of one command: `!locks -v` of a large server has as many; endless output helps nobody
MAX_COMPLETIONS = 1000  # offered for one word
MAX_COMMAND = 4096  # characters of one command line
PROMPT = "0: kd> "

_OWN = {
    ".logopen FILE": "write all output to a file too (.logappend adds to one that exists, .logclose ends it)",
    ".echo TEXT": "print the text",
    ".cls": "clear the screen",
    "* TEXT, $$ TEXT": "a comment: * up to the end of the line, $$ up to the next ;",
    "help": "this list (or ?)",
    "q": "leave",
}
_OWN_WORDS = (".logopen", ".logappend", ".logclose", ".echo", ".cls", "help", "q")
_TAG_COMMANDS = ("!poolused", "!poolfind")
_PIECES = re.compile(r'(?:[^;"]|"[^"]*"?)+')


class Shell:
    """One dump, and the state that commands leave behind: the log, the address space, and whether the user has left.

    ``cleared`` is True after ``.cls``: whoever owns the screen clears it, and sets it back.
    """

    def __init__(self, target: Target) -> None:
        self.target = target.copied()
        self.target.run_command = self._run
        self.ended = False
        self.cleared = False
        self._log: TextIO | None = None
        self._log_name = ""

    def __enter__(self) -> "Shell":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the log, if there is one."""
        log, self._log = self._log, None
        if log is not None:
            log.close()

    def words(self) -> list[str]:
        """What the first word of a command can be."""
        return sorted({word for command in COMMANDS for word in command.words} | set(_OWN_WORDS))

    def completions(self, before: str, text: str) -> list[str]:
        """What ``text`` at the end of a line can become; ``before`` is the line up to it.

        The first word is a command, behind ``!poolused`` and ``!poolfind`` stands a tag, else a module, a symbol or a
        register.
        """
        command = before.rpartition(";")[2].strip()
        if not command:
            return [word for word in self.words() if word.startswith(text)]
        if command.startswith(_TAG_COMMANDS):
            tags = {tag_text(key) for key in read_tag_totals(self.target.kernel).keys.tolist()}
            return sorted(tag for tag in tags if tag.startswith(text))[:MAX_COMPLETIONS]
        names = self.target.names
        kernel = self.target.kernel
        words = {module_name(module, kernel) for module in names.modules} | {f"nt!{name}" for name in names.symbols}
        words.update(REGISTERS)
        module = names.module_named(text.partition("!")[0]) if "!" in text else None
        if module is not None and module.base != kernel.base:
            words |= {f"{module_name(module, kernel)}!{name}" for name in names.exports(module).values()}
        return sorted(word for word in words if word.lower().startswith(text.lower()))[:MAX_COMPLETIONS]

    def run(self, line: str, *, typed: bool = False) -> Iterator[str]:
        """Run the commands of a line; the lines of output come as they are made, and go to the log too.

        ``typed`` leaves the prompt of a single command out of the output, for it stands on the screen already.
        """
        if len(line) > MAX_COMMAND:
            yield f"a command line has at most {MAX_COMMAND} characters"
            return
        commands = _commands(printable(line, MAX_COMMAND))
        for command in commands:
            echo = f"{PROMPT}{command}"
            if not typed or len(commands) > 1:
                yield echo
            self._write(echo)
            for text in self._bounded(command):
                self._write(text)
                yield text
            if self.ended:
                return
            if not typed or len(commands) > 1:
                yield ""
            self._write("")

    def _write(self, text: str) -> None:
        if self._log is not None:
            try:
                self._log.write(text + "\n")
                self._log.flush()
            except OSError:
                self._log = None  # closing it would fail again
                raise

    def _bounded(self, command: str) -> Iterator[str]:
        try:
            lines = self._run(command)
            yield from islice(lines, MAX_LINES)
            if next(lines, None) is not None:
                yield "..."
                yield f"*** cut after {MAX_LINES:,} lines: ask for less (a name, a pattern, /tN, L n) to see the rest"
        except InputError as error:
            yield printable(str(error))
        except Exception as error:  # a defect of ours in one command must not end the session
            yield f"*** the command could not be carried out (internal error: {printable(repr(error))})"

    def _run(self, command: str) -> Lines:
        own = self._own(command)
        if own is not None:
            return iter(own)
        lines = run_command(self.target, command)
        if lines is not None:
            return lines
        there = ", ".join(self.words())
        word = printable(command.split(maxsplit=1)[0], 40)
        return iter([f"there is no command '{word}'; there are: {there} (help says more)"])

    def _own(self, command: str) -> list[str] | None:
        word, _, rest = command.partition(" ")
        rest = rest.strip()
        if command.startswith(("*", "$$")):
            return []
        word = word.lower()
        if word in ("q", "qq", "qd", "quit", "exit"):
            self.ended = True
            return []
        if word in ("help", ".help", "!help") or command == "?":
            return _help()
        if word == ".echo":
            return [rest.strip('"')]
        if word == ".cls":
            self.cleared = True
            return []
        if word in (".logopen", ".logappend"):
            return [self._open_log(rest, append=word == ".logappend")]
        if word == ".logclose":
            return [self._close_log()]
        return None

    def _open_log(self, name: str, *, append: bool) -> str:
        name = name.strip('"')
        if not name:
            raise InputError("behind .logopen stands the name of a file")
        path = Path(name)
        if path.exists() and not append:
            raise InputError(f"{name} exists already; give another name, or add to it with .logappend {name}")
        self.close()
        try:
            self._log = path.open("a", encoding="utf-8", errors="replace")
        except (OSError, ValueError) as error:
            why = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
            raise InputError(f"{name} cannot be written: {why}") from None
        self._log_name = printable(name)
        return f"Opened log file '{self._log_name}'"

    def _close_log(self) -> str:
        if self._log is None:
            return "there is no log file open"
        self.close()
        return f"Closing open log file {self._log_name}"


def _commands(line: str) -> list[str]:
    """The commands of a line: ``;`` stands between them, but not in a text, and not behind ``*``."""
    found: list[str] = []
    at = 0
    while at < len(line):
        match = _PIECES.match(line, at)
        if match is None:
            at += 1
            continue
        piece = match.group().strip()
        if piece.startswith("*"):
            found.append(line[match.start() :].strip())
            break
        if piece:
            found.append(piece)
        at = match.end()
    return found


def _help() -> list[str]:
    rows = [(command.usage, command.says) for command in COMMANDS] + list(_OWN.items())
    return [line for usage, says in rows for line in (f"  {usage}", f"      {says}")]
