"""The size of a simulated machine, as options give it."""

from dataclasses import replace

import click

from poolsleuth.cli.sizes import parse_size
from poolsleuth.lab.stories import Size


def read_size(_context: click.Context, _parameter: click.Parameter, value: str | None) -> int | None:
    """A size in bytes, for an option. Raises click.BadParameter."""
    try:
        return None if value is None else parse_size(value)
    except ValueError as error:
        raise click.BadParameter(str(error)) from error


def machine_size(size: Size, ram: int | None, processors: int | None, tags: int | None) -> Size:
    """The usual size, changed by what was given."""
    given = {"ram_bytes": ram, "processors": processors, "tags": tags}
    return replace(size, **{name: value for name, value in given.items() if value is not None})
