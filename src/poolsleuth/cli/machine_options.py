"""What a user may say of a machine: its Windows and its memory."""

from collections.abc import Callable
from typing import Any, TypeVar

import click

from poolsleuth.cli.sizes import parse_size
from poolsleuth.windows.builds import WindowsVersionMatch, parse_os_name

F = TypeVar("F", bound=Callable[..., Any])


def read_size(_ctx: click.Context, _param: click.Parameter, value: str | None) -> int | None:
    """A size as people type it. Raises click.BadParameter."""
    try:
        return None if value is None else parse_size(value)
    except ValueError as error:
        raise click.BadParameter(str(error)) from error


def read_windows(_ctx: click.Context, _param: click.Parameter, value: str | None) -> WindowsVersionMatch | None:
    """A Windows by name or build, None when none was given. Raises click.BadParameter."""
    if value is None:
        return None
    match = parse_os_name(value)
    if match is None:
        raise click.BadParameter(
            f"{value!r} names no Windows known here: give a name such as 2003, 2008R2, 7, 2012, 8.1, 10, 11, "
            "2016, 2019, 2022 or 2025, or a build number such as 19045."
        )
    return match


def machine_options(command: F) -> F:
    """The options ``--os`` and ``--ram``, for evidence that does not say them itself."""
    command = click.option(
        "--ram", "ram_bytes", callback=read_size, metavar="SIZE", help="Its memory, where the evidence does not say it."
    )(command)
    return click.option(
        "--os",
        "windows",
        callback=read_windows,
        metavar="NAME",
        help="Its Windows (2003, 2008R2, 10, 2019 ...), where the evidence does not say it.",
    )(command)
