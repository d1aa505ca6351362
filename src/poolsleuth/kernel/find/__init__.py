"""Finds the kernel in a dump: its base, its symbols, and without them what tests against the dump can show."""

from poolsleuth.kernel.find.kernel import find_kernel
from poolsleuth.kernel.find.version import KernelVersion, kernel_version

__all__ = ["KernelVersion", "find_kernel", "kernel_version"]
