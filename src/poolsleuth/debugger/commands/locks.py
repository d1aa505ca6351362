"""``!locks``: the executive resources. With ``-v`` those too that nobody holds now but that threads waited for."""

import re

from poolsleuth.debugger.command import Command, Lines
from poolsleuth.debugger.target import Target
from poolsleuth.debugger.text import missing, printable
from poolsleuth.kernel.resources import Resource, ResourceOwner, read_resources
from poolsleuth.model.errors import InputError

_PER_LINE = 4  # threads
_MOST = 999  # what the count behind a thread can show


def _run(target: Target, _match: re.Match[str], rest: str) -> Lines:
    words = rest.lower().split()
    if [word for word in words if word not in ("-v", "/v")]:
        raise InputError(f"!locks takes -v, not '{printable(rest, 40)}'")
    return _lines(target, verbose=bool(words))


def _lines(target: Target, *, verbose: bool) -> Lines:
    found = read_resources(target.kernel)
    if not found.resources and not found.total:
        yield f"*** {printable(found.says or 'there is no list of resources in this dump')}"
        return
    yield "**** DUMP OF ALL RESOURCE OBJECTS ****"
    for resource in found.resources:
        if verbose or resource.active_count or resource.shared_waiters or resource.exclusive_waiters:
            yield "KD: Scanning for held locks."
            yield ""
            yield from _resource(target, resource)
    if found.says is not None:
        yield from missing(found.says)
    if found.total is not None and found.held is not None and found.whole:
        yield f"{found.total} total locks, {found.held} locks currently held"


def _resource(target: Target, resource: Resource) -> Lines:
    place = f"0x{target.plain(resource.address)}"
    if resource.name is not None:
        place = f"{printable(resource.name)} ({place})"
    if resource.state == "exclusive":
        state = "Exclusively owned"
    elif resource.state == "shared":
        state = f"Shared {resource.owning_threads} owning threads"
    else:
        state = "Available"
    yield f"Resource @ {place}    {state}"
    for label, count in (
        ("Contention Count", resource.contention),
        ("NumberOfSharedWaiters", resource.shared_waiters),
        ("NumberOfExclusiveWaiters", resource.exclusive_waiters),
    ):
        if count:
            yield f"    {label} = {count}"
    threads = [_owner(target, owner) for owner in resource.owners]
    threads += [f"{target.plain(thread)}-01   " for thread in resource.shared_waiting]
    # The real thread of a marked pointer stands behind it, so that it has a line of its own
    marked = any("Actual" in thread for thread in threads)
    for number, line in enumerate(_lined(threads, 1 if marked else _PER_LINE)):
        yield f"     {'         ' if number else 'Threads: '}{' '.join(line)} "
    if resource.exclusive_waiting:
        yield ""
        yield "     Threads Waiting On Exclusive Access:"
        for line in _lined([target.plain(thread) for thread in resource.exclusive_waiting], _PER_LINE):
            yield f"              {'       '.join(line)}       "
    yield ""


def _lined(texts: list[str], count: int) -> list[list[str]]:
    return [texts[at : at + count] for at in range(0, len(texts), count)]


def _owner(target: Target, owner: ResourceOwner) -> str:
    text = f"{target.plain(owner.raw)}-{min(max(owner.count, 0), _MOST):02d}<*>"
    return text if owner.raw == owner.thread else f"{text} *** Actual Thread {target.plain(owner.thread)}"


COMMANDS = (
    Command(
        re.compile(r"!locks\b"),
        ("!locks",),
        "!locks [-v]",
        "resources that are held or waited for; -v also those that were contended",
        _run,
    ),
)
