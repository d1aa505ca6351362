"""The command ``poolsleuth``: one file per sub-command, and the one place where errors become an exit status."""

import os
import sys
from importlib import import_module

import click

from poolsleuth import __version__
from poolsleuth.model.errors import PoolsleuthError

UNUSABLE = 2
INTERRUPTED = 130
# In the order of --help, with its line there. Each stands in the module of its name, which is imported when the command
# is run: what one command needs (a disassembler, tables) must not slow down all others, nor --help
COMMANDS = {
    "diagnose": "Say what is wrong with the kernel pools, by all the evidence.",
    "top": "Poolmon's screen with memory and a verdict: live, or replayed.",
    "record": "Record the pools of a running Windows, for hours or years.",
    "trend": "Show what counter logs, snapshots and captures say over time.",
    "diff": "Compare two pieces of evidence: what grew, and why.",
    "collect": "Print the commands that collect what tells a pool leak from load.",
    "tags": "List the pool tags of any evidence.",
    "limits": "Print how large the pools of a Windows may grow, and why.",
    "symbols": "Add, fetch, list and show symbol tables of kernels.",
    "whois": "Say which driver owns a pool tag, by the code of drivers.",
    "map": "Draw the pools page by page, down to single blocks.",
    "shell": "The debugger's commands over a crash dump: !vm, !poolused, lm, ...",
    "lab": "A simulated Windows machine that writes evidence of known truth.",
}


class _Commands(click.Group):
    """The sub-commands, imported one by one."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's own signature
        """All of them, in the order of --help."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """The command of that name, imported now; None when there is none."""
        if cmd_name not in COMMANDS:
            return None
        command = getattr(import_module(f"poolsleuth.cli.{cmd_name}"), cmd_name)
        return command if isinstance(command, click.Command) else None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """The list of --help, without importing any of them."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="poolsleuth")
def cli() -> None:
    """Says why a Windows machine's kernel pool is full, leaking or in pieces, which driver did it, how sure it is,
    and what to do next."""


def main(arguments: list[str] | None = None) -> None:
    """Run the command line and exit: 0 nothing found, 1 something found or suspected, 2 no usable input."""
    try:
        status = cli.main(args=arguments, prog_name="poolsleuth", standalone_mode=False)
        sys.stdout.flush()
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        click.echo("interrupted", err=True)
        sys.exit(INTERRUPTED)
    except PoolsleuthError as error:
        click.echo(f"poolsleuth: {error}", err=True)
        sys.exit(UNUSABLE)
    except BrokenPipeError:
        # The reader of our output has gone (`| head`): say nothing, and keep Python from complaining at its own exit
        sys.stderr.close()
        sys.exit(1)
    except OSError as error:
        # Our own writing failed, as on a full disk; what is left in the buffer must not fail again at Python's exit
        click.echo(f"poolsleuth: the output could not be written: {error.strerror or error}", err=True)
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        sys.exit(UNUSABLE)
    sys.exit(status if isinstance(status, int) else 0)
