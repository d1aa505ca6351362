"""``!vm`` and ``!vm 4``, as the debuggers of each generation of Windows print them."""

from collections.abc import Iterator

from poolsleuth.lab.course.writers.log_target import VISTA, WINDOWS_7, Style
from poolsleuth.lab.machine import PAGE, Machine, PageFile

_KB = PAGE >> 10
_VIEW_SPACE = 20_480  # KB: what the registry of Server 2003 says by itself
_EXCESSIVE = 0.8  # of the maximum: real logs warn from 80.2 % on, and are silent at 78 %
_OLD_WIDTH, _NEW_WIDTH = 28, 33


def memory_usage(machine: Machine, style: Style) -> list[str]:
    """``!vm 1``: the memory without the list of processes. A figure that is not known is left out."""
    return list(_old(machine, style) if style.old else _new(machine))


def _row(label: str, pages: int | None, width: int = _OLD_WIDTH, lead: str = "\t") -> Iterator[str]:
    """A row: label, pages up to the column, and the same in Kb."""
    if pages is not None:
        kb = width - 18 if width == _OLD_WIDTH else 11
        yield f"{lead}{label}{pages:>{max(width - len(label), 1)}} ({pages * _KB:{kb}} Kb)"


def _page_file(file: PageFile, lead: str) -> Iterator[str]:
    name = file.name.replace("\\??\\\\??\\", "\\??\\")
    yield f"{lead}Page File: {name}" if name else f"{lead}No Name for Paging File"
    yield f"{lead}  Current:{file.pages * _KB:10} Kb  Free Space:{file.free_pages * _KB:10} Kb"
    yield f"{lead}  Minimum:{file.minimum_pages * _KB:10} Kb  Maximum:{file.maximum_pages * _KB:13} Kb"


def _parts(machine: Machine, *, paged: bool) -> list[int]:
    return [one.pages + one.big_pages for one in machine.descriptors if one.paged == paged]


def _excessive(used: int | None, most: int | None) -> bool:
    return used is not None and most is not None and used > _EXCESSIVE * most


def _old(machine: Machine, style: Style) -> Iterator[str]:
    memory = machine.memory
    yield ""
    yield "*** Virtual Memory Usage ***"
    yield from _row("Physical Memory:", memory.physical)
    for file in memory.page_files:
        yield from _page_file(file, "\t")
    yield from _row("Available Pages:", memory.available)
    yield from _row("ResAvail Pages:", memory.resident_available)
    yield from _row("Locked IO Pages:", 0)
    yield from _row("Free System PTEs:", memory.free_system_ptes)
    if style.build < VISTA:
        # What is left of the addresses of nonpaged pool: the lab keeps no list of its free pages
        yield from _row("Free NP PTEs:", max(0, (memory.nonpaged_max or 0) - (memory.nonpaged_used or 0)))
        yield from _row("Free Special NP:", 0)
    yield from _row("Modified Pages:", memory.modified)
    yield from _row("Modified PF Pages:", memory.modified)
    yield from _row("NonPagedPool Usage:", memory.nonpaged_used)
    yield from _row("NonPagedPool Max:", memory.nonpaged_max)
    if _excessive(memory.nonpaged_used, memory.nonpaged_max):
        yield "\t********** Excessive NonPaged Pool Usage *****"
    for number, pages in enumerate(_parts(machine, paged=True)):
        yield from _row(f"PagedPool {number} Usage:", pages)
    if _excessive(memory.paged_used, memory.paged_max):
        yield "\t********** Excessive Paged Pool Usage *****"
    yield from _row("PagedPool Usage:", memory.paged_used)
    yield from _row("PagedPool Maximum:", memory.paged_max)
    yield from _failures(machine, "\t")
    if style.build >= WINDOWS_7:
        yield from _row("Session Commit:", sum(session.committed_pages for session in machine.sessions))
    yield from _row("Shared Commit:", memory.shared_commit)
    yield from _row("Special Pool:", 0)
    yield from _row("Shared Process:", memory.process_commit)
    yield from _row("PagedPool Commit:", memory.paged_commit)
    yield from _row("Driver Commit:", memory.driver_commit)
    yield from _row("Committed pages:", memory.committed)
    yield from _row("Commit limit:", memory.commit_limit)
    yield ""


def _new(machine: Machine) -> Iterator[str]:
    memory = machine.memory

    def row(label: str, pages: int | None) -> Iterator[str]:
        return _row(label, pages, _NEW_WIDTH, "")

    for file in memory.page_files:
        yield from _page_file(file, "")
    yield ""
    yield from row("Physical Memory:", memory.physical)
    yield from row("Available Pages:", memory.available)
    yield from row("ResAvail Pages:", memory.resident_available)
    yield from row("Locked IO Pages:", 0)
    yield from row("Free System PTEs:", memory.free_system_ptes)
    yield ""
    yield from row("Modified Pages:", memory.modified)
    yield from row("Modified PF Pages:", memory.modified)
    yield from row("Modified No Write Pages:", memory.modified_no_write)
    yield from _nonpaged(machine)
    yield from row("NonPagedPool Max:", memory.nonpaged_max)
    for number, pages in enumerate(_parts(machine, paged=True)):
        yield from row(f"PagedPool {number:2}:", pages)
    yield from row("PagedPool Usage:", memory.paged_used)
    yield from row("PagedPool Maximum:", memory.paged_max)
    yield from _failures(machine, "")
    yield from row("Session Commit:", sum(session.committed_pages for session in machine.sessions))
    yield from row("Shared Commit:", memory.shared_commit)
    yield from row("Special Pool:", 0)
    yield from row("Pages For MDLs:", memory.mdl)
    yield from row("NonPagedPool Commit:", memory.nonpaged_commit)
    yield from row("PagedPool Commit:", memory.paged_commit)
    yield from row("Driver Commit:", memory.driver_commit)
    yield from row("Committed pages:", memory.committed)
    yield from row("Commit limit:", memory.commit_limit)
    yield ""


def _nonpaged(machine: Machine) -> Iterator[str]:
    """Nonpaged pool has two halves; the one without execution has everything that the other's counter has not."""
    used = machine.memory.nonpaged_used
    if used is None:
        return
    first = _parts(machine, paged=False)[:1]
    executable = first[0] if first and first[0] <= used else 0
    yield from _row("NonPagedPool Usage:", executable, _NEW_WIDTH, "")
    yield from _row("NonPagedPoolNx Usage:", used - executable, _NEW_WIDTH, "")


def _failures(machine: Machine, lead: str) -> Iterator[str]:
    yield ""
    if machine.memory.pool_failures:
        yield f"{lead}********** {machine.memory.pool_failures} pool allocations have failed **********"
        yield ""


def session_usage(machine: Machine, style: Style) -> list[str]:
    """``!vm 4``: the pools of sessions."""
    return list(_old_sessions(machine, style) if style.old else _new_sessions(machine, style))


def _old_sessions(machine: Machine, style: Style) -> Iterator[str]:
    yield ""
    yield "\tTerminal Server Memory Usage By Session:"
    yield ""
    limit = max((session.limit_bytes for session in machine.sessions), default=0)
    yield f"\tSession Paged Pool Maximum is {limit >> 10}K"
    yield f"\tSession View Space Maximum is {_VIEW_SPACE}K"
    for session in machine.sessions:
        yield ""
        yield f"\tSession ID {session.id} @ {style.plain(session.address or 0)}:"
        yield f"\tPaged Pool Usage:{session.used_pages * _KB:12}K"
        if sum(session.failures):
            yield ""
            yield f"\t*** {sum(session.failures)} Pool Allocation Failures ***"
            yield ""
        yield f"\tCommit Usage:{session.committed_pages * _KB:16}K"
    yield ""


def _new_sessions(machine: Machine, style: Style) -> Iterator[str]:
    yield "Terminal Server Memory Usage By Session:"
    for session in machine.sessions:
        yield ""
        yield f"Session ID {session.id} @ {style.plain(session.address or 0)}:"
        yield f"Paged Pool Usage:{session.used_pages * _KB:12} Kb"
        if sum(session.failures):
            yield ""
            yield f"*** {sum(session.failures)} Pool Allocation Failures ***"
            yield ""
        yield f"Commit Usage:{session.committed_pages * _KB:16} Kb"
    yield ""
    yield "Session Summary"
    yield f"Paged Pool Usage:{sum(one.used_pages for one in machine.sessions) * _KB:12} Kb"
    yield f"Commit Usage:{sum(one.committed_pages for one in machine.sessions) * _KB:16} Kb"
    yield ""
