"""``poolsleuth limits``: how large the pools of a Windows may grow, without any evidence of a machine."""

import json
from typing import Literal

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from poolsleuth.cli.machine_options import read_size, read_windows
from poolsleuth.cli.sizes import format_size
from poolsleuth.windows.builds import Era, WindowsVersionMatch
from poolsleuth.windows.pool_limits import PoolLimit, PoolLimits, pool_limits

_FOUR_GB = 4 << 30


@click.command("limits")
@click.option(
    "--os",
    "windows",
    callback=read_windows,
    required=True,
    help="Windows version: 2003, 7, 2008R2, 10, 2019 ...",
)
@click.option("--ram", "ram_bytes", callback=read_size, help="Physical memory, such as 4GB or 512MB.")
@click.option("--bits", type=click.Choice(["32", "64"]), help="Address width; assumed, and said so, if left out.")
@click.option("--3gb/--no-3gb", "three_gb", default=None, help="Whether 32-bit Windows was booted with /3GB.")
@click.option("--commit", "commit_bytes", callback=read_size, help="System commit limit: RAM plus paging files.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def limits(
    *,
    windows: WindowsVersionMatch,
    ram_bytes: int | None,
    bits: str | None,
    three_gb: bool | None,
    commit_bytes: int | None,
    as_json: bool,
) -> None:
    """Print the maximum of nonpaged and paged pool, with the rule, its source and who contradicts it."""
    width, assumption = _width(windows, bits, ram_bytes, three_gb)
    result = pool_limits(
        windows.version,
        bits=width,
        ram_bytes=ram_bytes,
        three_gb=three_gb,
        commit_limit_bytes=commit_bytes,
    )
    notes = [assumption, *result.notes] if assumption else list(result.notes)
    if as_json:
        _print_json(windows, width, ram_bytes, result, notes)
    else:
        _print_table(windows, width, ram_bytes, result, notes)


def _width(
    windows: WindowsVersionMatch, bits: str | None, ram_bytes: int | None, three_gb: bool | None
) -> tuple[Literal[32, 64], str | None]:
    """Settle the address width, and give the sentence that says what was assumed (None: nothing was)."""
    name, only = windows.version.name, windows.bits
    if bits is not None and only is not None and int(bits) != only:
        raise click.UsageError(f"{name} is {only}-bit: leave out --bits {bits}, or name another --os.")
    known = only if bits is None else (64 if bits == "64" else 32)
    if known == 64 and three_gb:
        remedy = "leave out --3gb" if only == 64 else "leave out --3gb, or give --bits 32"
        raise click.UsageError(f"/3GB exists on 32-bit Windows only: {remedy}.")
    if known is not None:
        return known, None
    if three_gb:
        return 32, "32-bit was assumed, because /3GB exists on 32-bit Windows only."
    if windows.version.era >= Era.VISTA_7:
        return 64, f"64-bit was assumed, as usual for {name}: give --bits 32 for a 32-bit system."
    if ram_bytes is not None and ram_bytes > _FOUR_GB:
        return 64, (
            "64-bit was assumed, because there is more than 4 GB of RAM: give --bits 32 for a 32-bit system with PAE."
        )
    return 32, f"32-bit was assumed, as usual for {name}: give --bits 64 for an x64 system."


def _print_json(
    windows: WindowsVersionMatch, bits: int, ram_bytes: int | None, result: PoolLimits, notes: list[str]
) -> None:
    document = {
        "os": windows.version.name,
        "bits": bits,
        "ram_bytes": ram_bytes,
        "pools": {"nonpaged": _as_json(result.nonpaged), "paged": _as_json(result.paged)},
        "notes": notes,
    }
    click.echo(json.dumps(document, indent=2, allow_nan=False))


def _as_json(limit: PoolLimit) -> dict[str, int | str | None]:
    return {
        "low_bytes": limit.low_bytes,
        "high_bytes": limit.high_bytes,
        "rule": limit.rule,
        "source": limit.source,
        "contradiction": limit.contradiction,
    }


def _print_table(
    windows: WindowsVersionMatch, bits: int, ram_bytes: int | None, result: PoolLimits, notes: list[str]
) -> None:
    console = Console(highlight=False, markup=False, emoji=False)
    memory = "RAM not given" if ram_bytes is None else f"{format_size(ram_bytes)} RAM"
    table = Table(title=Text(f"{windows.version.name}, {bits}-bit, {memory}"), show_lines=True)
    table.add_column("Pool")
    table.add_column("Limit", min_width=24)
    table.add_column("Rule, source, contradiction", ratio=1)
    for pool, limit in (("nonpaged", result.nonpaged), ("paged", result.paged)):
        reason = f"{limit.rule}\n\nSource: {limit.source}"
        if limit.contradiction is not None:
            reason += f"\n\nContradiction: {limit.contradiction}"
        table.add_row(pool, _limit_text(limit), reason)
    console.print(table)
    for line in notes:
        console.print(f"- {line}")


def _limit_text(limit: PoolLimit) -> str:
    low, high = limit.low_bytes, limit.high_bytes
    if high is None:
        return "not known"
    if low == high:
        return f"{format_size(high)}\n{high} bytes"
    if low is None:
        return f"up to {format_size(high)}\n{high} bytes"
    return f"{format_size(low)} to {format_size(high)}\n{low} to\n{high} bytes"
