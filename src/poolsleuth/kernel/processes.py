"""Processes, from PsActiveProcessHead: identity, session, handles, quota and commit.

The layout of a process differs with every update: without symbols only what the build's layout says is read.
"""

from dataclasses import dataclass
from datetime import datetime

from poolsleuth.kernel.address_space import PAGE
from poolsleuth.kernel.filetime import utc
from poolsleuth.kernel.handle_counts import HandleCounter
from poolsleuth.kernel.linked_lists import walk_list
from poolsleuth.kernel.records import Record, RecordPlan
from poolsleuth.kernel.sessions import MAX_PROCESSES, session_numbers
from poolsleuth.kernel.target import Kernel

MAX_PID = 1 << 31
_SYSTEM_PIDS = (4, 8)

_FIELDS = (
    "UniqueProcessId",
    "InheritedFromUniqueProcessId",
    "ImageFileName",
    "SeAuditProcessCreationInfo.ImageFileName",
    "CreateTime",
    "ExitTime",
    "Session",
    "ObjectTable",
    "ActiveThreads",
    "QuotaUsage",
    "ProcessQuotaUsage",
    "CommitCharge",
    "Pcb.DirectoryTableBase",
)


@dataclass(frozen=True, slots=True)
class Process:
    """One process. ``address`` is that of its EPROCESS; sizes are bytes, times UTC, None is what is not known.

    ``image`` is the name the kernel keeps (14 characters or 15), ``path`` the whole path of its image. ``session`` is
    None for a process that belongs to none, too. ``handles_guessed``: the count was summed over lists whose number the
    symbols do not give. ``nonpaged_quota`` and ``paged_quota`` are the pool that is charged to it.
    ``directory_table_base`` is its page tables' physical address, as the kernel keeps it.
    """

    address: int
    pid: int | None
    parent: int | None
    image: str | None
    path: str | None
    created: datetime | None
    exited: datetime | None
    session: int | None
    session_space: int | None
    handles: int | None
    handles_guessed: bool
    threads: int | None
    nonpaged_quota: int | None
    paged_quota: int | None
    commit: int | None
    directory_table_base: int | None


@dataclass(frozen=True, slots=True)
class Processes:
    """The processes in the order they were made. ``whole`` is False when some are missing; ``says``: what is wrong."""

    processes: tuple[Process, ...]
    whole: bool
    says: str | None
    address: int | None


def read_processes(kernel: Kernel) -> Processes:
    """Every process, as far as the list can be read."""
    head = kernel.address("PsActiveProcessHead")
    if head is None:
        return Processes((), False, "where the list of processes begins is not known", None)
    links = kernel.place("_EPROCESS", "ActiveProcessLinks")
    if links is None:
        return Processes((), False, "the layout of processes in this version is not known", head)
    walk = walk_list(kernel.memory, head, MAX_PROCESSES)
    plan = RecordPlan(kernel, "_EPROCESS", _FIELDS)
    addresses = [entry - links.offset for entry in walk.entries.tolist() if entry > links.offset]
    sessions = session_numbers(kernel, addresses)
    counter = HandleCounter(kernel)
    processes = tuple(
        _process(kernel, plan.read(kernel.memory, address), counter, sessions.get(address)) for address in addresses
    )
    if processes and not kernel.exact and not any(_is_system(process) for process in processes):
        return Processes(
            (), False, "the layout of processes that this build usually has does not fit this kernel", head
        )
    return Processes(processes, walk.whole, walk.says, head)


def _is_system(process: Process) -> bool:
    """Every Windows has a process System, with number 4 (8 on Windows 2000)."""
    return process.image == "System" and process.pid in _SYSTEM_PIDS


def _process(kernel: Kernel, record: Record, counter: HandleCounter, session: int | None) -> Process:
    table = record.number("Pcb.DirectoryTableBase")
    session_space = record.number("Session")
    handles, guessed = counter.count(record.number("ObjectTable"))
    quota = "ProcessQuotaUsage" if record.place("ProcessQuotaUsage") is not None else "QuotaUsage"
    commit = record.number("CommitCharge")
    # The order of the kinds of quota is that of the public enumeration: nonpaged pool, paged pool, page file
    return Process(
        address=record.address,
        pid=_pid(record.number("UniqueProcessId")),
        parent=_pid(record.number("InheritedFromUniqueProcessId")),
        image=_image(record.octets("ImageFileName")),
        path=_path(kernel, record.number("SeAuditProcessCreationInfo.ImageFileName")),
        created=utc(record.number("CreateTime")),
        exited=utc(record.number("ExitTime")),
        session=session,
        session_space=session_space or None,
        handles=handles,
        handles_guessed=guessed,
        threads=record.number("ActiveThreads"),
        nonpaged_quota=_size(record.element(quota, 0, kernel.pointer_size)),
        paged_quota=_size(record.element(quota, 1, kernel.pointer_size)),
        commit=None if commit is None else _size(commit * PAGE),
        directory_table_base=table or None,
    )


def _pid(number: int | None) -> int | None:
    return number if number is not None and number < MAX_PID else None


def _size(number: int | None) -> int | None:
    """Bytes; None for what a counter that ran below zero, or a misread one, would say."""
    return number if number is not None and number < 1 << 52 else None


def _image(raw: bytes | None) -> str | None:
    if raw is None:
        return None
    return raw.partition(b"\0")[0].decode("latin-1") or None


def _path(kernel: Kernel, information: int | None) -> str | None:
    """The path of the image: an OBJECT_NAME_INFORMATION, which is a UNICODE_STRING. It may be paged out."""
    text = kernel.memory.unicode_string(information) if information else None
    return None if text is None else text.partition("\0")[0] or None
