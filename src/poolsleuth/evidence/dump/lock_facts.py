"""The executive resources of a dump: what ``!locks`` prints."""

from collections.abc import Iterator

from poolsleuth.evidence.dump.context import DumpContext
from poolsleuth.kernel.resources import Resource, read_resources
from poolsleuth.kernel.target import Kernel
from poolsleuth.model.facts import Fact
from poolsleuth.model.system import LockSummary, LockThread, ResourceLock


def lock_facts(kernel: Kernel, context: DumpContext) -> Iterator[Fact]:
    """Every resource that is held, waited for or was contended, and the closing line of ``!locks``."""
    found = read_resources(kernel)
    if found.says is not None:
        context.problem(f"locks: {found.says}", found.address)
    for resource in found.resources:
        yield _lock(resource, context)
    if found.total is not None and found.held is not None and found.whole:
        yield LockSummary(**context.base(found.address), total=found.total, held=found.held)


def _lock(resource: Resource, context: DumpContext) -> ResourceLock:
    address = resource.address
    threads = [LockThread(owner.thread, owner=True) for owner in resource.owners]
    threads += [LockThread(thread, owner=False) for thread in resource.shared_waiting]
    threads += [LockThread(thread, owner=False, exclusive_wait=True) for thread in resource.exclusive_waiting]
    return ResourceLock(
        **context.base(address),
        name=resource.name,
        address=address,
        state=resource.state,
        owners=resource.owning_threads,
        contention=context.figure(resource.contention, address),
        shared_waiters=context.figure(resource.shared_waiters, address),
        exclusive_waiters=context.figure(resource.exclusive_waiters, address),
        threads=tuple(threads),
    )
