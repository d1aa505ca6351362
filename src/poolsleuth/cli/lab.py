"""``poolsleuth lab``: a simulated machine that writes crash dumps, and logs, of known truth."""

import json
from pathlib import Path

import click

from poolsleuth.cli.lab_run import run
from poolsleuth.cli.lab_size import machine_size, read_size
from poolsleuth.cli.output import check_target, write_target
from poolsleuth.lab.catalogue import CATALOGUE, windows_named
from poolsleuth.lab.containers.kinds import DumpKind
from poolsleuth.lab.course.scenarios import SCENARIOS
from poolsleuth.lab.machine import Hidden
from poolsleuth.lab.simulate import simulate
from poolsleuth.lab.stories import STORIES, make_machine, usual_size
from poolsleuth.lab.truth import truth_text
from poolsleuth.model.errors import InputError

# What people call the kinds of dump
_ALIASES = {"kernel": DumpKind.BITMAP_KERNEL, "full": DumpKind.COMPLETE}
_KINDS = (*(kind.value for kind in DumpKind), *_ALIASES)


@click.group()
def lab() -> None:
    """A simulated Windows machine that writes evidence of known truth, to check this program and others."""


lab.add_command(run)


@lab.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def list_command(*, as_json: bool) -> None:
    """List the Windows versions, the stories, the scenarios and the kinds of dump."""
    if as_json:
        document = {
            "windows": [
                {"name": windows.name, "title": windows.title, "real_addresses": windows.symbols}
                for windows in CATALOGUE
            ],
            "stories": {name: says for name, (says, _) in STORIES.items()},
            "scenarios": {name: scenario.says for name, scenario in SCENARIOS.items()},
            "types": {name: _ALIASES.get(name, DumpKind(name) if name not in _ALIASES else None) for name in _KINDS},
        }
        click.echo(json.dumps(document, indent=2))
        return
    click.echo("Windows (--windows):")
    for windows in CATALOGUE:
        note = "" if windows.symbols else ", invented addresses"
        click.echo(f"  {windows.name:<14} {windows.title}{note}")
    click.echo("Stories (--story):")
    for name, (says, _) in STORIES.items():
        click.echo(f"  {name:<16} {says}")
    click.echo("Scenarios (lab run):")
    for name, scenario in SCENARIOS.items():
        click.echo(f"  {name:<24} {scenario.says}")
    click.echo("Kinds of dump (--type):")
    click.echo(f"  {', '.join(_KINDS)}")


@lab.command()
@click.argument("target", metavar="OUT.dmp")
@click.option("--windows", "windows", default="19041-x64", show_default=True, help="Which Windows; see `lab list`.")
@click.option("--type", "kind", type=click.Choice(_KINDS), default="kernel", show_default=True, help="Kind of dump.")
@click.option("--story", default="healthy", show_default=True, help="What happened; see `lab list`.")
@click.option(
    "--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Another number gives another machine."
)
@click.option("--ram", callback=read_size, metavar="SIZE", help="Its memory, such as 16GB.")
@click.option("--processors", type=int, metavar="N", help="Its processors.")
@click.option("--tags", "tags", type=int, metavar="N", help="How many pool tags it has.")
@click.option(
    "--encoded-kdbg", is_flag=True, help="Scramble the debugger data block, as in live memory since Windows 8."
)
@click.option(
    "--transition",
    type=click.FloatRange(0, 1),
    default=0.2,
    show_default=True,
    help="Part of paged pool in transition.",
)
@click.option(
    "--paged-out",
    type=click.FloatRange(0, 1),
    default=0.0,
    show_default=True,
    help="Part of paged pool that is paged out.",
)
@click.option(
    "--left-out",
    type=click.FloatRange(0, 1),
    default=0.0,
    show_default=True,
    help="Part of paged pool that the dump lacks.",
)
@click.option("--truth", metavar="OUT.json", help="Write all that is true of the machine; - for standard output.")
@click.option("--force", is_flag=True, help="Overwrite files that exist.")
def dump(
    *,
    target: str,
    windows: str,
    kind: str,
    story: str,
    seed: int,
    ram: int | None,
    processors: int | None,
    tags: int | None,
    encoded_kdbg: bool,
    transition: float,
    paged_out: float,
    left_out: float,
    truth: str | None,
    force: bool,
) -> None:
    """Write a dump of a simulated machine to OUT.dmp."""
    check_target(target, (), force=force, option="OUT.dmp")
    check_target(truth, (), force=force, option="--truth")
    if truth is not None and Path(truth) == Path(target):
        raise click.UsageError(f"--truth {truth} is the dump itself; give another name")
    if Path(target).exists() and not Path(target).is_file():
        raise click.UsageError(f"{target} is no regular file (a device, FIFO or folder); give a file name")
    if transition + paged_out > 1:
        raise click.UsageError(
            f"--transition {transition:g} and --paged-out {paged_out:g} are more than the whole of paged pool together"
        )
    chosen = windows_named(windows)
    size = machine_size(usual_size(chosen, story), ram, processors, tags)
    hidden = Hidden(transition=transition, paged_out=paged_out, left_out=left_out)
    machine = make_machine(chosen, story, seed=seed, size=size, kdbg_encoded=encoded_kdbg, hidden=hidden)
    path = Path(target)
    try:
        simulated = simulate(machine)
        written = path.with_name(f".{path.name}.part")
        written.unlink(missing_ok=True)
        pages = simulated.write(written, _ALIASES.get(kind, kind))
        written.replace(path)
    except ValueError as error:
        raise InputError(f"no such dump of a {chosen.name} can be written: {error}") from error
    except OSError as error:
        raise click.ClickException(f"{target} could not be written: {error.strerror or error}") from error
    if truth is not None:
        write_target(truth, truth_text(simulated.truth))
    if truth != "-":
        click.echo(f"wrote {target}: {chosen.title}, {story}, {pages:,} pages, {path.stat().st_size:,} bytes")
