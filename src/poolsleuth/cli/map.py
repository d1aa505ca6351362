"""``poolsleuth map``: the pools of a crash dump, or of a debugger's map, page by page."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import click
from rich.console import Console

from poolsleuth import __version__
from poolsleuth.cli.dump_options import dump_options, gather
from poolsleuth.cli.output import (
    UNUSABLE,
    check_target,
    progress_on_terminal,
    write_target,
    write_target_bytes,
)
from poolsleuth.evidence.dump.options import DumpOptions
from poolsleuth.evidence.map_input import read_picture
from poolsleuth.model.errors import InputError
from poolsleuth.model.pool_picture import PicturedPool, PoolPicture
from poolsleuth.report.pool_map.classes import BY
from poolsleuth.report.pool_map.document import document
from poolsleuth.report.pool_map.plain import render_plain
from poolsleuth.report.wording import clean

_POOLS = ("nonpaged", "paged", "session", "all")
_ENDS = {"svg": "--svg", "png": "--png"}
_PIECE = 1 << 16  # lines or characters written at once


@click.command("map")
@click.argument("source", metavar="INPUT")
@click.option("--pool", "which", type=click.Choice(_POOLS), default="all", show_default=True, help="Only this pool.")
@click.option("--by", type=click.Choice(BY), default="state", show_default=True, help="What the colours say.")
@click.option("--tag", metavar="TAG", help="Show where this tag holds memory.")
@click.option("--plain", is_flag=True, help="A character for each page, as `!xpool -map` prints it.")
@click.option("--html", "html_file", metavar="FILE", help="Write a page that zooms down to single blocks.")
@click.option("--svg", "svg_file", metavar="FILE", help="Draw it (needs the extra [plot]).")
@click.option("--png", "png_file", metavar="FILE", help="Draw it (needs the extra [plot]).")
@click.option("--json", "json_file", metavar="FILE|-", help="Write it as JSON.")
@dump_options
@click.option("--force", is_flag=True, help="Overwrite output files that exist.")
@click.pass_context
def map(  # noqa: A001 - a command stands in the module, and under the name, that it has
    context: click.Context,
    source: str,
    which: str,
    by: str,
    tag: str | None,
    plain: bool,
    html_file: str | None,
    svg_file: str | None,
    png_file: str | None,
    json_file: str | None,
    symbols: tuple[str, ...],
    offline: bool,
    dtb: int | None,
    kernel_base: int | None,
    force: bool,
) -> int:
    """Draw the pools page by page: what is used, by how much, by whom, and what lies in pieces.

    INPUT is a crash dump, an image of memory, or a debugger log that holds the output of `!xpool -map`.

    \b
    Exit status: 0, or 2 when there is no map in the input.
    """
    targets = {"--html": html_file, "--svg": svg_file, "--png": png_file, "--json": json_file}
    _check(targets, source, force=force)
    if tag is not None and not 0 < len(tag) <= 4:
        raise click.UsageError(f"--tag {clean(tag)!r} is no tag: a tag has one to four characters")
    picture = _picture(context, source, gather(symbols, offline, dtb, kernel_base), tag, keep=html_file is not None)
    if picture is None:
        return UNUSABLE
    chosen = tuple(pool for pool in picture.pools if _wanted(pool, which))
    if not chosen:
        click.echo(f"poolsleuth: {clean(source)}: nothing of {which} pool is in it", err=True)
        context.exit(UNUSABLE)
    picture = replace(picture, pools=chosen)
    if html_file is not None:
        from poolsleuth.report.pool_map.html import render_html  # noqa: PLC0415 - a template engine, when it is asked for

        write_target(html_file, render_html(picture, by, __version__))
    for kind, option in _ENDS.items():
        target = targets[option]
        if target is not None:
            from poolsleuth.report.pool_map.picture import render_picture  # noqa: PLC0415 - an extra, slow to load

            write_target_bytes(target, render_picture(picture, kind, by))
    if json_file is not None:
        write_target(json_file, json.dumps(document(picture)) + "\n")
    if plain:
        write_target("-", _in_pieces(render_plain(picture)))
    elif not any(targets.values()):
        from poolsleuth.report.pool_map.terminal import render_terminal  # noqa: PLC0415 - colour, when it is shown

        render_terminal(picture, Console(highlight=False, soft_wrap=False), by)
    return 0


def _check(targets: dict[str, str | None], source: str, *, force: bool) -> None:
    written = [target for target in targets.values() if target is not None and target != "-"]
    if len({Path(target).resolve() for target in written}) < len(written):
        raise click.UsageError("two outputs have the same file name")
    for option, target in targets.items():
        if target == "-" and option != "--json":
            raise click.UsageError(f"{option} is written to a file, not to standard output; give a file name")
        check_target(target, [source], force=force, option=option)


def _picture(
    context: click.Context, source: str, options: DumpOptions, tag: str | None, *, keep: bool
) -> PoolPicture | None:
    try:
        with progress_on_terminal() as progress:
            return read_picture(source, options, tag=tag, keep_blocks=keep, progress=progress)
    except InputError as error:
        click.echo(f"poolsleuth: {clean(source)}: {clean(str(error))}", err=True)
        context.exit(UNUSABLE)
    return None


def _wanted(pool: PicturedPool, which: str) -> bool:
    return which == "all" or (pool.pool is not None and pool.pool.value == which)


def _in_pieces(lines: Iterator[str]) -> Iterator[str]:
    waiting: list[str] = []
    size = 0
    for line in lines:
        waiting.append(line + "\n")
        size += len(line)
        if size >= _PIECE:
            yield "".join(waiting)
            waiting, size = [], 0
    yield "".join(waiting)
