"""Whom a debugger's analysis blames, when that is a driver at all."""

from poolsleuth.model.system import BugCheck

# What stands in IMAGE_NAME when the analysis has no driver to name: buckets of its own, and Windows' own kernel
_NO_DRIVER = frozenset(
    {
        "pool_corruption",
        "memory_corruption",
        "unknown_image",
        "unknown_module",
        "hardware",
        "hardware_ram",
        "hardware_disk",
        "nt",
        "hal",
        "ntoskrnl",
        "ntkrnlmp",
        "ntkrnlpa",
        "ntkrpamp",
        "win32k",
        "win32kfull",
        "win32kbase",
    }
)


def blamed_driver(check: BugCheck) -> str | None:
    """The driver that the analysis stopped at; None when it names none, or only Windows' kernel or a bucket."""
    name = check.image or check.module
    if name is None or name.casefold().rsplit(".", 1)[0] in _NO_DRIVER:
        return None
    return name
