"""``poolsleuth shell``: a debugger's commands over a dump, interactive or from the command line."""

import contextlib
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import click

from poolsleuth.cli.dump_options import dump_options, gather
from poolsleuth.cli.output import UNUSABLE, progress_on_terminal
from poolsleuth.debugger.shell import PROMPT, Shell
from poolsleuth.debugger.target import Target
from poolsleuth.evidence.dump.opening import open_kernel
from poolsleuth.evidence.dump.options import DumpOptions
from poolsleuth.kernel.crash_dump.content import open_content
from poolsleuth.model.errors import InputError
from poolsleuth.model.report import Report
from poolsleuth.report.arrange import findings_in_order, verdict_of
from poolsleuth.report.wording import clean, verdict_word

HISTORY = 1000  # command lines that can be recalled
PROGRESS_AFTER, PROGRESS_EVERY = 1.0, 0.2  # seconds: a command that is done sooner needs no word on how far it is
MAX_SHOWN = 8  # reasons of one finding


@click.command()
@click.argument("dump", metavar="DUMP")
@click.option("-c", "--command", "commands", multiple=True, metavar="COMMANDS", help="Run these (cmd; cmd) and leave.")
@dump_options
@click.pass_context
def shell(
    context: click.Context,
    dump: str,
    commands: tuple[str, ...],
    symbols: tuple[str, ...],
    offline: bool,
    dtb: int | None,
    kernel_base: int | None,
) -> int:
    """The debugger's commands over a crash dump or an image of memory: !vm, !poolused, lm, !locks and more.

    What it prints can be given to `poolsleuth diagnose` as a debugger log.

    \b
    Exit status: 0, or 2 when the dump cannot be used.
    """
    try:
        with opened(dump, gather(symbols, offline, dtb, kernel_base)) as target:
            working = _Working()
            if sys.stderr.isatty():
                target.progress = working.tell
            with Shell(target) as running:
                if commands:
                    _script(running, commands, working)
                else:
                    _converse(running, dump, working)
    except InputError as error:
        click.echo(f"poolsleuth: {clean(dump)}: {clean(str(error))}", err=True)
        context.exit(UNUSABLE)
    except OSError as error:
        if error.filename is None:
            raise  # our own output, not the dump
        click.echo(f"poolsleuth: {clean(dump)}: {error.strerror or error}", err=True)
        context.exit(UNUSABLE)
    return 0


@contextlib.contextmanager
def opened(dump: str, options: DumpOptions) -> Iterator[Target]:
    """A dump for the shell. Raises InputError when it is none, or no kernel can be found in it; OSError."""
    with Path(dump).open("rb") as file, open_content(file) as content:
        with progress_on_terminal() as progress:
            found = open_kernel(content, options, progress)
        if found.kernel is None:
            raise InputError(found.says or "no kernel can be found in it, so that there is nothing to look at")
        for sentence in (*(flaw.says for flaw in found.flaws[:5]), *found.symbols_tried):
            click.echo(f"poolsleuth: {clean(sentence)}", err=True)
        header = found.dump.header if found.dump is not None else None
        triage = found.dump.triage if found.dump is not None else None
        yield Target(
            kernel=found.kernel,
            header=header,
            physical_pages=found.physical_pages,
            triage=triage,
            symbol_path=options.symbols,
            judge=_judge(dump, options),
        )


def _judge(dump: str, options: DumpOptions) -> Callable[[bool], Iterator[str]]:
    """What ``!analyze`` says: the same diagnosis as that of `poolsleuth diagnose`, made once."""
    made: list[Report] = []

    def judge(verbose: bool) -> Iterator[str]:
        if not made:
            # Loaded here: what judges takes a moment, and most shells are not asked
            from poolsleuth.pipeline import diagnose  # noqa: PLC0415

            made.append(diagnose(dump, dumps=options))
        return _verdict(made[0], verbose=verbose)

    return judge


def _verdict(report: Report, *, verbose: bool) -> Iterator[str]:
    for machine in report.machines:
        found = verdict_of(machine)
        yield f"{found.word}: {found.says}" if found.says else found.word
        for finding in findings_in_order(machine):
            if not finding.holds and not verbose:
                continue
            yield ""
            yield f"{verdict_word(finding.verdict)} ({finding.pattern}): {finding.headline}"
            if not verbose:
                continue
            for label, reasons in (("because", finding.because), ("against", finding.against)):
                for reason in reasons[:MAX_SHOWN]:
                    yield f"  {label}: {reason.says}"
            for step in finding.next_steps[:MAX_SHOWN] if finding.holds else ():
                yield f"  next: {step}"
    for problem in report.problems:
        yield f"not read: {problem.says}"
    if not verbose:
        yield ""
        yield "(-v: with the evidence, and what was not found; poolsleuth diagnose writes the whole report)"


class _Working:
    """One line on standard error that says how far a long command is; gone before anything else is printed."""

    def __init__(self) -> None:
        self._begun = self._told = time.monotonic()
        self._width = 0

    def begin(self) -> None:
        """A command begins."""
        self._begun = time.monotonic()

    def tell(self, what: str, done: int) -> None:
        """What was done so far."""
        now = time.monotonic()
        if now - self._begun >= PROGRESS_AFTER and now - self._told >= PROGRESS_EVERY:
            self._told = now
            text = f"({what}: {done:,} - Ctrl-C stops)"
            click.echo(f"\r{text:<{self._width}}", nl=False, err=True)
            self._width = len(text)

    def clear(self) -> None:
        """Take the line away."""
        if self._width:
            click.echo("\r" + " " * self._width + "\r", nl=False, err=True)
            self._width = 0


def _print(running: Shell, line: str, working: _Working, *, typed: bool = False) -> None:
    """Run a line; what it prints comes out as it is made."""
    working.begin()
    try:
        for text in running.run(line, typed=typed):
            working.clear()
            click.echo(text)
    finally:
        working.clear()
    if running.cleared:
        running.cleared = False
        click.clear()


def _script(running: Shell, commands: tuple[str, ...], working: _Working) -> None:
    for line in commands:
        _print(running, line, working)
        if running.ended:
            return


def _converse(running: Shell, dump: str, working: _Working) -> None:
    terminal = sys.stdin.isatty()
    if terminal:
        _prepare_line_editing(running)
        click.echo(f"Loading Dump File [{clean(dump)}]")
        if running.target.kernel.table is None:
            click.echo("*** the symbols of this kernel are not known: `poolsleuth symbols fetch` gets them")
        click.echo("help says which commands there are, q leaves")
    while not running.ended:
        try:
            # From a pipe the prompt and the command are printed by the shell itself
            line = input(f"\n{PROMPT}") if terminal else input()
        except EOFError:
            if terminal:
                click.echo()
            return
        except KeyboardInterrupt:
            click.echo()
            continue
        try:
            _print(running, line, working, typed=terminal)
        except KeyboardInterrupt:
            click.echo("\n*** interrupted")


def _prepare_line_editing(running: Shell) -> None:
    """Completion and history, where Python has readline (it does not on Windows)."""
    try:
        import readline  # noqa: PLC0415 - not every Python has it
    except ImportError:
        return
    found: list[str] = []

    def complete(text: str, state: int) -> str | None:
        if state == 0:
            # An exception in here would be swallowed and completion would just stop
            with contextlib.suppress(Exception):
                before = readline.get_line_buffer()[: readline.get_begidx()]
                found[:] = running.completions(before, text)
        return found[state] if state < len(found) else None

    readline.set_completer(complete)
    readline.set_completer_delims(" ;")
    readline.set_history_length(HISTORY)
    readline.parse_and_bind("tab: complete")


__all__ = ["opened", "shell"]
