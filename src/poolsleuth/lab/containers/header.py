"""DUMP_HEADER32 and DUMP_HEADER64, written from their published layout.

Windows fills the header with the letters ``PAGE`` first: what a machine does not know stays so.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from poolsleuth.lab.containers.context import ARM64, X64, X86, ExceptionFields
from poolsleuth.lab.physical import PAGE, Run

MAX_RUNS: dict[int, int] = {32: 86, 64: 42}
"""Runs that the header has room for (700 bytes), by its bits."""

_FREE_BUILD = 15
_BLOCK_BYTES, _COMMENT_BYTES = 700, 128
_CONTEXT_BYTES = {32: 1200, 64: 3000}


@dataclass(frozen=True, slots=True, kw_only=True)
class DumpHeaderFields:
    """What a crash dump says of its machine. None: never filled in, the bytes read ``PAGE``.

    ``directory_table_base`` is CR3, with or without its flags; the other addresses are virtual ones. ``system_time``
    is a FILETIME (UTC), ``system_uptime`` counts 100 ns. ``context`` is the record of the machine type (see
    ``context_record``). ``pae`` is a field of 32-bit headers, ``attributes`` and ``boot_id`` are of 64-bit ones.
    """

    bits: Literal[32, 64]
    build: int
    directory_table_base: int
    machine_type: int
    processors: int = 1
    loaded_module_list: int | None = None
    active_process_head: int | None = None
    pfn_database: int | None = None
    debugger_data_block: int | None = None
    bugcheck_code: int = 0xE2  # MANUALLY_INITIATED_CRASH
    bugcheck_parameters: tuple[int, int, int, int] = (0, 0, 0, 0)
    pae: bool | None = None
    context: bytes | None = None
    exception: ExceptionFields | None = None
    version_user: str | None = None
    comment: str | None = None
    product_type: int | None = 3
    suite_mask: int | None = 0x110
    system_time: int | None = None
    system_uptime: int | None = None
    mini_dump_fields: int | None = None
    secondary_data_state: int | None = None
    writer_status: int | None = None
    kd_secondary_version: int | None = None
    attributes: int | None = None
    boot_id: int | None = None
    major_version: int = _FREE_BUILD

    @property
    def size(self) -> int:
        """Bytes of the header."""
        return PAGE if self.bits == 32 else 2 * PAGE


# Field: offset and width in the 32-bit header, then in the 64-bit one; None where it is not there
_Place = tuple[int, int] | None
_NUMBERS: dict[str, tuple[_Place, _Place]] = {
    "major_version": ((0x8, 4), (0x8, 4)),
    "build": ((0xC, 4), (0xC, 4)),
    "directory_table_base": ((0x10, 4), (0x10, 8)),
    "pfn_database": ((0x14, 4), (0x18, 8)),
    "loaded_module_list": ((0x18, 4), (0x20, 8)),
    "active_process_head": ((0x1C, 4), (0x28, 8)),
    "machine_type": ((0x20, 4), (0x30, 4)),
    "processors": ((0x24, 4), (0x34, 4)),
    "bugcheck_code": ((0x28, 4), (0x38, 4)),
    "pae": ((0x5C, 1), None),
    "kd_secondary_version": ((0x5D, 1), (0x104D, 1)),
    "debugger_data_block": ((0x60, 4), (0x80, 8)),
    "mini_dump_fields": ((0xF8C, 4), (0x1038, 4)),
    "secondary_data_state": ((0xF90, 4), (0x103C, 4)),
    "product_type": ((0xF94, 4), (0x1040, 4)),
    "suite_mask": ((0xF98, 4), (0x1044, 4)),
    "writer_status": ((0xF9C, 4), (0x1048, 4)),
    "system_uptime": ((0xFB8, 8), (0x1030, 8)),
    "system_time": ((0xFC0, 8), (0xFA8, 8)),
    "attributes": (None, (0x1050, 4)),
    "boot_id": (None, (0x1054, 4)),
}
_DUMP_TYPE, _REQUIRED_SPACE = (0xF88, 0xF98), 0xFA0
_PARAMETERS, _VERSION_USER, _BLOCK = (0x2C, 0x40), (0x3C, 0x60), (0x64, 0x88)
_CONTEXT, _EXCEPTION, _COMMENT = (0x320, 0x348), (0x7D0, 0xF00), (0x820, 0xFB0)


def header_bytes(
    fields: DumpHeaderFields, dump_type: int, *, file_size: int, runs: Sequence[Run] | None = None
) -> bytearray:
    """The header of a dump of ``dump_type`` and ``file_size`` bytes. Without ``runs`` their block stays unfilled.

    Raises ValueError for what does not fit into the header, and for a machine type that has headers of other bits.
    """
    if fields.machine_type not in ((X86,) if fields.bits == 32 else (X64, ARM64)):
        raise ValueError(f"a machine of type {fields.machine_type:#x} has no header of {fields.bits} bits")
    wide, pointer = fields.bits == 64, fields.bits // 8
    out = bytearray(b"PAGE" * (fields.size // 4))
    out[4:8] = b"DU64" if wide else b"DUMP"

    def put(at: int, width: int, value: int) -> None:
        out[at : at + width] = (value & (1 << 8 * width) - 1).to_bytes(width, "little")

    for name, places in _NUMBERS.items():
        place, value = places[wide], getattr(fields, name)
        if place is not None and value is not None:
            put(*place, int(value))
    for i, value in enumerate(fields.bugcheck_parameters):
        put(_PARAMETERS[wide] + i * pointer, pointer, value)
    put(_DUMP_TYPE[wide], 4, dump_type)
    put(_REQUIRED_SPACE, 8, file_size)
    for text, at, room in (
        (fields.version_user, _VERSION_USER[wide], 32),
        (fields.comment, _COMMENT[wide], _COMMENT_BYTES),
    ):
        if text is not None:
            raw = text.encode("ascii") + b"\0"
            if len(raw) > room:
                raise ValueError(f"the header has room for {room - 1} characters: {text!r} is longer")
            out[at : at + len(raw)] = raw
    if runs is not None:
        block = _run_block(runs, pointer)
        out[_BLOCK[wide] : _BLOCK[wide] + len(block)] = block
    if fields.context is not None:
        if len(fields.context) > _CONTEXT_BYTES[fields.bits]:
            raise ValueError(f"the header has room for a CONTEXT of {_CONTEXT_BYTES[fields.bits]} bytes")
        out[_CONTEXT[wide] : _CONTEXT[wide] + len(fields.context)] = fields.context
    if fields.exception is not None:
        record = fields.exception.packed(pointer)
        out[_EXCEPTION[wide] : _EXCEPTION[wide] + len(record)] = record
    return out


def _run_block(runs: Sequence[Run], pointer: int) -> bytes:
    if len(runs) > MAX_RUNS[8 * pointer]:
        raise ValueError(f"a header has room for {MAX_RUNS[8 * pointer]} runs of memory: there are {len(runs)}")
    numbers = [len(runs), sum(count for _, count in runs)]
    numbers += [number for run in runs for number in run]
    return b"".join(number.to_bytes(pointer, "little") for number in numbers)
