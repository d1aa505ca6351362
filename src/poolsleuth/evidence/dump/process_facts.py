"""The processes of a dump, with their handle counts."""

from collections.abc import Iterator

from poolsleuth.evidence.dump.context import DumpContext
from poolsleuth.kernel.processes import read_processes
from poolsleuth.kernel.target import Kernel
from poolsleuth.model.facts import Fact
from poolsleuth.model.system import ProcessInfo, ProcessList


def process_facts(kernel: Kernel, context: DumpContext) -> Iterator[Fact]:
    """One list of all processes that could be read."""
    found = read_processes(kernel)
    if found.says is not None:
        context.problem(f"processes: {found.says}", found.address)
    processes = tuple(
        ProcessInfo(
            name=process.image or "(name not in the dump)",
            pid=process.pid,
            address=process.address,
            handles=None if process.handles_guessed else process.handles,
            session=process.session,
            where=context.where(process.address),
        )
        for process in found.processes
        if process.exited is None
    )
    if processes:
        yield ProcessList(**context.base(found.address), processes=processes, complete=found.whole)
