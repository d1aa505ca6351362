"""``poolsleuth shell``: a debugger's commands over a dump, interactive or from the command line."""

import contextlib
import sys
from collections.abc import Iterator
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
from poolsleuth.report.wording import clean

HISTORY = 1000  # command lines that can be recalled


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
        with opened(dump, gather(symbols, offline, dtb, kernel_base)) as target, Shell(target) as running:
            if commands:
                _script(running, commands)
            else:
                _converse(running, dump)
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
        yield Target(kernel=found.kernel, header=header, physical_pages=found.physical_pages, triage=triage)


def _script(running: Shell, commands: tuple[str, ...]) -> None:
    for line in commands:
        for text in running.run(line):
            click.echo(text)
        if running.ended:
            return


def _converse(running: Shell, dump: str) -> None:
    if sys.stdin.isatty():
        _prepare_line_editing(running)
        click.echo(f"Loading Dump File [{clean(dump)}]")
        if running.target.kernel.table is None:
            click.echo("*** the symbols of this kernel are not known: `poolsleuth symbols fetch` gets them")
        click.echo("help says which commands there are, q leaves")
    while not running.ended:
        try:
            # From a pipe the prompt and the command are printed by the shell itself
            line = input(f"\n{PROMPT}") if sys.stdin.isatty() else input()
        except EOFError:
            if sys.stdin.isatty():
                click.echo()
            return
        except KeyboardInterrupt:
            click.echo()
            continue
        try:
            for text in running.run(line, typed=sys.stdin.isatty()):
                click.echo(text)
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
