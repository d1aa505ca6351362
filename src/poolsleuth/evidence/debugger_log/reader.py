"""Reads a debugger log in one pass: clean text is cut into outputs, and each output goes to its command's reader.

Outputs are found by their own banners and headers. One regular expression, made of all readers' banners, runs over
each piece of text, so that lines which interest nobody cost no Python code at all.
"""

import importlib
import pkgutil
import re
from collections.abc import Callable, Iterator
from functools import cache

from poolsleuth.evidence.debugger_log import commands
from poolsleuth.evidence.debugger_log.clean import clean, hard_lines
from poolsleuth.evidence.debugger_log.crammed import long_lines
from poolsleuth.evidence.debugger_log.decode import MAX_LINE, SAMPLE_BYTES, decoded_chunks, encoding_of
from poolsleuth.evidence.debugger_log.output import ADDRESS, Context, Output, OutputReader
from poolsleuth.evidence.source import Readable
from poolsleuth.model.facts import Fact, Problem, Where

MAX_FACTS = 50_000_000  # of one log: a gigabyte of !pool pages has 2 million; beyond, the rest is skipped, and said so
MAX_PROBLEMS = 200
# Commands whose banner is never printed without figures below it
_PROMISING = frozenset({"!vm", "!vm 4", "!poolused", "!locks"})
_LOOK_BACK = 400  # characters of prose before a table in which its command may be quoted

_PROMPT = (
    r"(?:#+ *)?(?:(?:\d{1,4})? ?: ?)?(?:\d{1,4}: ?)?(?P<live>l?)kd(?::\w{1,8})?> ?"
    r"|(?P<user>\d{1,3}:\d{3,4}(?::\w{1,8})?> ?)"
)
_QUOTED_COMMAND = re.compile(r"!(?:poolused|vm|pool|poolfind|locks|sysptes|verifier|lookaside|process)\b[^\n!]{0,60}")


@cache
def readers() -> tuple[OutputReader, ...]:
    """Every command's reader, in the order of their file names (the order decides nothing)."""
    found = []
    for module in pkgutil.iter_modules(commands.__path__, commands.__name__ + "."):
        reader = getattr(importlib.import_module(module.name), "READER", None)
        if reader is not None:
            found.append(reader)
    return tuple(found)


# Every line begins behind a line feed. Stars are decoration, a soft line feed leaves its mark before the hard one
_LINE_START = r"\n[ *\x1f]*+(?!\n)"
_ADDRESS_FIRST = f"(?:{ADDRESS})"


@cache
def _openers() -> re.Pattern[str]:
    """What begins an output, and whose it is: the group's name is ``prompt``, or kind and index of the reader."""
    parts = [f"(?P<prompt>{_PROMPT})"]
    for index, reader in enumerate(readers()):
        for kind, expressions in (("b", reader.banners), ("r", reader.rows)):
            if expressions:
                body = "|".join(expressions)
                if re.compile(body).groups:
                    raise AssertionError(f"{reader.name}: a banner or row holds a capturing group")
                parts.append(f"(?P<{kind}{index}>{body})")
    return re.compile(f"{_LINE_START}(?:{'|'.join(parts)})", re.MULTILINE)


@cache
def _finder(inside: str | None) -> re.Pattern[str]:
    """Finds the same lines as ``_openers``, but for the rows of the output that the log is in (its
    reader's name), and many times faster.

    It does not say whose they are: without named groups the regex engine passes over an alternative by its first
    letter. The reader's own rows are left out in their place, so that what comes behind them in the order does not
    get lines that are theirs.
    """
    before = [_PROMPT.replace("?P<live>", "?:").replace("?P<user>", "?:")]
    behind: list[str] = []
    own: list[str] = []
    for reader in readers():
        if reader.name == inside:
            before += reader.banners
            own = list(reader.rows)
        else:
            (behind if own else before).extend([*reader.banners, *reader.rows])
    parts = _alternatives(before)
    if behind:
        parts += f"|(?!{'|'.join(own)})(?:{_alternatives(behind)})"
    return re.compile(f"{_LINE_START}(?:{parts})", re.MULTILINE)


def _alternatives(expressions: list[str]) -> str:
    """Alternatives in one expression; those that begin with an address share its reading."""
    plain = [e for e in expressions if not e.startswith(_ADDRESS_FIRST)]
    addressed = [e.removeprefix(_ADDRESS_FIRST) for e in expressions if e.startswith(_ADDRESS_FIRST)]
    if addressed:
        plain.append(f"(?=[0-9a-fA-F]){_ADDRESS_FIRST}(?:{'|'.join(addressed)})")
    return "|".join(plain)


class LogReader:
    """Reads one log. ``facts`` come out in order; ``problems`` is complete when the iteration has ended."""

    def __init__(self, input_index: int, progress: Callable[[int], None] | None = None) -> None:
        self._input = input_index
        self._progress = progress
        self._output: Output | None = None
        self._reader: OutputReader | None = None
        self._context = Context(input_index)
        self._facts = 0
        self._promised: int | None = None  # the line of the banner that began the output
        self._said = 0  # problems before it
        self.problems: list[Problem] = self._context.problems
        self.outputs: dict[str, int] = {}

    def read(self, stream: Readable) -> Iterator[Fact]:
        """The facts of the log.

        Raises InputError when the stream is not text.
        """
        sample = stream.read(SAMPLE_BYTES)
        while len(sample) < SAMPLE_BYTES and (more := stream.read(SAMPLE_BYTES - len(sample))):
            sample += more
        encoding = encoding_of(sample)
        line = 1
        for chunk in decoded_chunks(stream, encoding, sample):
            if next(long_lines(chunk, MAX_LINE - 1), None) is not None:
                self._report(f"a line of more than {MAX_LINE >> 10} KB is read only up to there", line)
            text = clean(chunk)
            yield from self._piece(text, line)
            line += hard_lines(text)
            if self._progress is not None:
                self._progress(len(chunk))
            if self._facts > MAX_FACTS:
                self._report(f"more than {MAX_FACTS:,} facts in one log: the rest is not read", line)
                return
        yield from self._close()

    def _piece(self, text: str, line: int) -> Iterator[Fact]:
        text = "\n" + text  # every line, also the first, now begins behind a line feed
        position = 1
        found = self._finder().search(text)
        while found is not None:
            start = found.start() + 1
            match = _openers().match(text, found.start())
            group = (match.lastgroup or "") if match is not None else ""
            reader = readers()[int(group[1:])] if group[1:].isdecimal() else None
            if match is not None and not (group[0] == "r" and reader is self._reader):
                self._feed(text[position:start], line)
                yield from self._close()
                if reader is None:
                    self._prompt(match, text)
                else:
                    self._open(reader, text[max(0, start - _LOOK_BACK) : start])
                    # A banner alone promises figures; a row may be anything that looks like one
                    here = line + hard_lines(text[position:start])
                    self._promised = here if group[0] == "b" and reader.name in _PROMISING else None
                line += hard_lines(text[position:start])
                position = start
            found = self._finder().search(text, start)
        self._feed(text[position:], line)

    def _finder(self) -> re.Pattern[str]:
        return _finder(self._reader.name if self._reader is not None else None)

    def _feed(self, text: str, line: int) -> None:
        if self._output is not None and text:
            try:
                self._output.feed(text, line)
            except (ValueError, ArithmeticError, LookupError) as error:
                self._broken(error, line)

    def _prompt(self, match: re.Match[str], text: str) -> None:
        end = text.find("\n", match.end())
        command = text[match.end() : end if end >= 0 else len(text)].strip("\x1f ")
        user_mode = match.group("user") is not None
        self._context = Context(
            self._input,
            command=command or None,
            live=None if user_mode else bool(match.group("live")),
            user_mode=user_mode,
            problems=self.problems,
        )

    def _open(self, reader: OutputReader, before: str) -> None:
        context = self._context
        if context.command is None:
            quoted = _QUOTED_COMMAND.findall(before)
            if quoted:
                context = Context(self._input, quoted[-1].strip(), context.live, context.user_mode, self.problems)
        self._said = len(self.problems)
        self._reader = reader
        self._output = reader.open(context)
        self.outputs[reader.name] = self.outputs.get(reader.name, 0) + 1

    def _close(self) -> Iterator[Fact]:
        output, name = self._output, self._reader.name if self._reader is not None else ""
        self._output, self._reader = None, None
        if output is None:
            return
        promised, self._promised = self._promised, None
        try:
            facts = list(output.close())
        except (ValueError, ArithmeticError, LookupError) as error:
            # One output that its reader cannot take must not lose the others
            self._broken(error, None)
            return
        if promised is not None and not facts and self._said == len(self.problems) and not output.context.user_mode:
            self._report(f"the header of {name} is there, but nothing below it could be read", promised)
        for fact in facts:
            self._facts += 1
            yield fact

    def _broken(self, error: Exception, line: int | None) -> None:
        self._report(f"an output could not be read ({error})", line)
        self._output, self._reader = None, None

    def _report(self, says: str, line: int | None) -> None:
        if len(self.problems) < MAX_PROBLEMS:
            self.problems.append(Problem(says, Where(self._input, line)))
