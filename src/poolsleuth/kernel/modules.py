"""Loaded modules: the kernel, its drivers and libraries, from PsLoadedModuleList.

The layout is KLDR_DATA_TABLE_ENTRY of the public symbols; its first fields lie alike in all versions, 2000 to 11. A
time stamp is kept in it from Windows 10 on; before, it is that of the image's PE header, where that page can be read.
"""

from dataclasses import dataclass

from poolsleuth.kernel.address_space import Reader
from poolsleuth.kernel.image import read_image
from poolsleuth.kernel.linked_lists import walk_list
from poolsleuth.kernel.records import Record, RecordPlan
from poolsleuth.kernel.target import Kernel
from poolsleuth.windows.kernel_table import Field

MAX_MODULES = 5000  # real systems have 100 to 400
MAX_IMAGE = 1 << 31  # bytes: beyond what the field of an image's size can truly say

_X86 = {
    "DllBase": Field(0x18, 4),
    "EntryPoint": Field(0x1C, 4),
    "SizeOfImage": Field(0x20, 4),
    "FullDllName": Field(0x24, 8),
    "BaseDllName": Field(0x2C, 8),
    "Flags": Field(0x34, 4),
}
_X64 = {
    "DllBase": Field(0x30, 8),
    "EntryPoint": Field(0x38, 8),
    "SizeOfImage": Field(0x40, 4),
    "FullDllName": Field(0x48, 16),
    "BaseDllName": Field(0x58, 16),
    "Flags": Field(0x68, 4),
}
# Kept in the list's entry from Windows 10 on
_STAMP = {4: {"TimeDateStamp": Field(0x58, 4)}, 8: {"TimeDateStamp": Field(0x9C, 4)}}
_CHECKSUM = {4: {"CheckSum": Field(0x40, 4)}, 8: {"CheckSum": Field(0x78, 4)}}
_WINDOWS_10 = 10240


@dataclass(frozen=True, slots=True)
class LoadedModule:
    """A loaded image. ``address`` is that of its entry in the list.

    ``time_stamp`` is the raw field of the PE header (newer images keep a hash there), None when neither the list nor a
    readable header gives it; ``name`` is the file's name, ``path`` its full path, None where they cannot be read.
    """

    address: int
    base: int
    size: int
    name: str | None
    path: str | None
    time_stamp: int | None
    checksum: int | None
    entry_point: int | None
    flags: int | None

    @property
    def end(self) -> int:
        """The first address behind the image."""
        return self.base + self.size


@dataclass(frozen=True, slots=True)
class LoadedModules:
    """The modules in load order. ``whole`` is False when some are missing; ``says`` is what is wrong, else None."""

    modules: tuple[LoadedModule, ...]
    whole: bool
    says: str | None
    address: int | None


def read_modules(kernel: Kernel) -> LoadedModules:
    """Every loaded module, as far as the list can be read."""
    head = kernel.address("PsLoadedModuleList")
    if head is None:
        return LoadedModules((), False, "where the list of loaded modules begins is not known", None)
    plan = _plan(kernel)
    walk = walk_list(kernel.memory, head, MAX_MODULES)
    modules: list[LoadedModule] = []
    lost = 0
    for address in walk.entries.tolist():
        module = _module(kernel.memory, plan.read(kernel.memory, address))
        if module is None:
            lost += 1
        else:
            modules.append(module)
    says = walk.says
    if lost:
        unread = f"{lost} entries of the list of loaded modules describe no image or cannot be read"
        says = unread if says is None else f"{says}; {unread}"
    return LoadedModules(tuple(modules), walk.whole and not lost, says, head)


def _plan(kernel: Kernel) -> RecordPlan:
    width = kernel.pointer_size
    fallback = (_X64 if width == 8 else _X86) | _CHECKSUM[width]
    if kernel.build >= _WINDOWS_10:
        fallback |= _STAMP[width]
    if kernel.structure("_KLDR_DATA_TABLE_ENTRY") is not None:
        return RecordPlan(kernel, "_KLDR_DATA_TABLE_ENTRY", fallback, fallback)
    # The user-mode twin: its time stamp lies where the kernel's entry keeps a pointer, so that it is not read from here
    plan = RecordPlan(kernel, "_LDR_DATA_TABLE_ENTRY", [name for name in fallback if name != "TimeDateStamp"], fallback)
    if "TimeDateStamp" in fallback:
        return RecordPlan(kernel, "", fallback, fallback | plan.fields)
    return plan


def _module(memory: Reader, record: Record) -> LoadedModule | None:
    base, size = record.number("DllBase"), record.number("SizeOfImage")
    if not base or not size or size > MAX_IMAGE:
        return None
    path, name = _text(record, "FullDllName"), _text(record, "BaseDllName")
    stamp, checksum = record.number("TimeDateStamp"), record.number("CheckSum")
    if not stamp or checksum is None:
        from_header = header_stamps(memory, base)
        if from_header is not None:
            stamp, checksum = stamp or from_header[0], from_header[1] if checksum is None else checksum
    return LoadedModule(
        address=record.address,
        base=base,
        size=size,
        name=name or (path.rpartition("\\")[2] or None if path else None),
        path=path,
        time_stamp=stamp or None,
        checksum=checksum,
        entry_point=record.number("EntryPoint") or None,
        flags=record.number("Flags"),
    )


def _text(record: Record, path: str) -> str | None:
    text = record.unicode_string(path)
    return None if text is None else text.partition("\0")[0] or None


def header_stamps(memory: Reader, base: int) -> tuple[int, int] | None:
    """Time stamp and checksum of the PE header of the image at ``base``; None when there is none to be read."""
    image = read_image(memory, base)
    return None if image is None else (image.timestamp, image.checksum)
