"""The command ``poolsleuth``: one file per sub-command, and the one place where errors become an exit status."""

import os
import sys

import click

from poolsleuth import __version__
from poolsleuth.cli.collect import collect
from poolsleuth.cli.diagnose import diagnose
from poolsleuth.cli.diff import diff
from poolsleuth.cli.lab import lab
from poolsleuth.cli.limits import limits
from poolsleuth.cli.shell import shell
from poolsleuth.cli.symbols import symbols
from poolsleuth.cli.tags import tags
from poolsleuth.cli.trend import trend
from poolsleuth.cli.whois import whois
from poolsleuth.model.errors import PoolsleuthError

UNUSABLE = 2
INTERRUPTED = 130


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="poolsleuth")
def cli() -> None:
    """Says why a Windows machine's kernel pool is full, leaking or in pieces, which driver did it, how sure it is,
    and what to do next."""


cli.add_command(diagnose)
cli.add_command(trend)
cli.add_command(diff)
cli.add_command(collect)
cli.add_command(tags)
cli.add_command(limits)
cli.add_command(symbols)
cli.add_command(whois)
cli.add_command(shell)
cli.add_command(lab)


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
