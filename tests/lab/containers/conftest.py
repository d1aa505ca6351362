"""A small machine whose pages differ, and what says where a file keeps them."""

from collections.abc import Callable
from hashlib import blake2b
from typing import Literal

import pytest

from poolsleuth.lab.containers.context import ARM64, X64, X86, ExceptionFields, context_record
from poolsleuth.lab.containers.header import DumpHeaderFields
from poolsleuth.lab.physical import PAGE, PhysicalImage, Run

RUNS = ((1, 30), (64, 20), (1000, 14))
Machine = Callable[..., PhysicalImage]
Header = Callable[[Literal[32, 64]], DumpHeaderFields]


def page_of(number: int) -> bytes:
    return blake2b(number.to_bytes(8, "little"), digest_size=64).digest() * (PAGE // 64)


def machine(
    written: tuple[int, ...] = (1, 5, 6, 30, 64, 83, 1000, 1013), runs: tuple[Run, ...] = RUNS
) -> PhysicalImage:
    image = PhysicalImage(sum(count for _, count in runs), runs=runs)
    for number in written:
        image.write(number * PAGE, page_of(number))
    return image


def header(bits: Literal[32, 64], machine_type: int | None = None) -> DumpHeaderFields:
    kind = machine_type or (X64 if bits == 64 else X86)
    high = 0xFFFFF80002A00000 if bits == 64 else 0x80500000
    program = {X64: "rip", X86: "eip", ARM64: "pc"}[kind]
    return DumpHeaderFields(
        bits=bits,
        build=7601,
        directory_table_base=0x1AD000,
        machine_type=kind,
        processors=8,
        loaded_module_list=high + 0x890,
        active_process_head=high + 0x590,
        pfn_database=high + 0x20,
        debugger_data_block=high + 0x70,
        bugcheck_code=0xC2,
        bugcheck_parameters=(7, 0x1200, 0xDEAD, high + 0x1000),
        pae=None if bits == 64 else True,
        context=context_record(kind, {program: high + 0x4242}),
        exception=ExceptionFields(code=0x80000003, address=high + 0x5151, information=(1, 2)),
        version_user="",
        comment="of the lab",
        system_time=0x1D707F23DBB3399,
        system_uptime=36_000_000_000,
        mini_dump_fields=0xCFF,
        secondary_data_state=0,
        writer_status=1,
        kd_secondary_version=7,
        attributes=5 if bits == 64 else None,
        boot_id=77 if bits == 64 else None,
    )


@pytest.fixture(scope="session")
def small_machine() -> Machine:
    return machine


@pytest.fixture(scope="session")
def page_bytes() -> Callable[[int], bytes]:
    return page_of


@pytest.fixture(scope="session")
def header_of() -> Callable[..., DumpHeaderFields]:
    return header
