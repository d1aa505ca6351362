"""A debugger session on the dump, as people log it: the commands of a pool problem and what they print.

The forms are those of published logs of each generation of Windows. Nothing of this program's own debugger is used:
what the lab writes shall be proven by what reads it, and not by what prints alike.
"""

from collections.abc import Iterator
from pathlib import Path

from poolsleuth.lab.course.writers import log_lists, log_memory, log_pool, log_search, log_tags, log_target
from poolsleuth.lab.course.writers.log_target import Style
from poolsleuth.lab.course.writers.zone import ZONE, Zone
from poolsleuth.lab.machine import Machine

Output = tuple[str, list[str]]
"""A command and its lines."""


def write_debugger_log(path: Path, truth: Machine, *, zone: Zone = ZONE) -> None:
    """Write the log of a session on the dump of a simulated machine. Raises FileExistsError."""
    with path.open("x", encoding="cp1252", errors="replace", newline="\r\n") as file:
        file.write(debugger_log(truth, zone=zone))


def debugger_log(truth: Machine, *, zone: Zone = ZONE) -> str:
    """The whole session. ``truth`` is that of a simulated machine: its addresses are filled in."""
    style = Style.of(truth, zone)
    ready = log_target.prompt(truth)
    lines = log_target.banner(truth, style)
    for command, printed in outputs(truth, style):
        lines += [ready + command, *printed]
    lines.append(f"{ready}q")
    return "\n".join(lines) + "\nquit:\n"


def outputs(truth: Machine, style: Style) -> Iterator[Output]:
    """Each command and what it prints."""
    yield "vertarget", log_target.target(truth, style)
    if truth.bug_check.code:
        yield ".bugcheck", log_target.bug_check(truth, style)
        yield "!analyze -v", log_target.analysis(truth, style)
    yield "!vm 1", log_memory.memory_usage(truth, style)
    if truth.sessions:
        yield "!vm 4", log_memory.session_usage(truth, style)
    yield "!poolused 2", log_tags.pool_used(truth, style, "nonpaged")
    yield "!poolused 4", log_tags.pool_used(truth, style, "paged")
    if log_pool.is_fragmented(truth):
        yield from _fragmentation(truth, style)
    if log_search.asks_who(truth):
        yield from _untagged(truth, style)
    yield "lm", log_lists.module_list(truth, style)
    for name in log_lists.third_party(truth):
        yield f"lmvm {name}", log_lists.module_details(truth, style, name)
    yield "!locks", log_lists.locks(truth, style)
    yield "!process 0 0", log_lists.processes(truth, style)


def _fragmentation(truth: Machine, style: Style) -> Iterator[Output]:
    """Some pages that small blocks hold, and the blocks of the tag that holds them, and of that which needs pages."""
    pages = log_pool.pinned_pages(truth)
    for part, number in pages:
        address = int(part.addresses[number])
        yield f"!pool {style.plain(address)}", log_pool.page_rows(truth, style, part, number)
    tags = [*log_pool.holders(truth, pages)[:1], log_pool.requester(truth)]
    for tag in dict.fromkeys(tag for tag in tags if tag is not None):
        yield f"!poolfind {log_tags.shown(tag).rstrip()} 0", log_pool.found_blocks(truth, style, tag)


def _untagged(truth: Machine, style: Style) -> Iterator[Output]:
    """Who imports the routine that takes no tag."""
    found = log_search.hits(truth)
    wanted = style.address(log_search.routines(truth)[log_search.ROUTINE])
    yield f"x nt!{log_search.ROUTINE}", log_search.symbol(truth, style)
    kind = "s-d" if style.bits == 32 else "s-q"
    yield f"!for_each_module {kind} @#Base @#End {wanted}", log_search.search_rows(truth, style)
    for hit in found:
        yield f"dps {style.address(hit.address)}", log_search.pointers(truth, style, hit)
        yield f"!lmi {style.address(hit.address)}", log_search.module_info(style, hit)
