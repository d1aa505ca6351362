"""The options of commands that read crash dumps: symbols, and what a memory image does not say."""

from collections.abc import Callable
from typing import Any, TypeVar

import click

from poolsleuth.evidence.dump.options import DumpOptions

F = TypeVar("F", bound=Callable[..., Any])


def _address(_ctx: click.Context, _param: click.Parameter, value: str | None) -> int | None:
    """An address as debuggers print it: hexadecimal, with or without 0x, with or without a grave accent inside."""
    if value is None:
        return None
    try:
        number = int(value.replace("`", "").removeprefix("0x").removeprefix("0X"), 16)
    except ValueError:
        raise click.BadParameter(f"{value!r} is no hexadecimal address") from None
    if not 0 <= number < 1 << 64:
        raise click.BadParameter(f"{value!r} is no address of 64 bits")
    return number


_OFFLINE = click.option("--offline", is_flag=True, help="Fetch no symbols, whatever the symbol path says.")
_SYMBOLS = click.option(
    "--symbols",
    multiple=True,
    metavar="PATH",
    help="Symbols of a dump's kernel: a PDB, a folder, a store, srv*CACHE*URL. Left out: _NT_SYMBOL_PATH.",
)


def symbol_options(command: F) -> F:
    """Add ``--symbols`` and ``--offline``; ``gather`` makes one value of them."""
    for option in (_OFFLINE, _SYMBOLS):
        command = option(command)
    return command


def dump_options(command: F) -> F:
    """Add ``--symbols``, ``--offline``, ``--dtb`` and ``--kernel-base``; ``gather`` makes one value of them."""
    for option in (
        click.option(
            "--kernel-base",
            callback=_address,
            metavar="ADDRESS",
            help="Where ntoskrnl lies, if a memory image hides it.",
        ),
        click.option(
            "--dtb",
            callback=_address,
            metavar="ADDRESS",
            help="The system's page table (CR3), if a memory image hides it.",
        ),
    ):
        command = option(command)
    return symbol_options(command)


def gather(
    symbols: tuple[str, ...], offline: bool, dtb: int | None = None, kernel_base: int | None = None
) -> DumpOptions:
    """The options as one value."""
    return DumpOptions(symbols, offline, dtb, kernel_base)
