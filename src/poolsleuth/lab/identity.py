"""What tells a machine from others: version, time, bug check, the debugger's blocks."""

import struct

from poolsleuth.lab.address_plan import USER_SHARED_DATA
from poolsleuth.lab.containers.context import X64, X86, context_record
from poolsleuth.lab.containers.header import DumpHeaderFields
from poolsleuth.lab.kdbg import encode_block, write_block
from poolsleuth.lab.lists import file_time
from poolsleuth.lab.machine import Machine
from poolsleuth.lab.scene import Scene

_FREE_BUILD = 0xF0000000
_WORKSTATION, _SERVER = 1, 3
_SUITE = 0x110  # single user terminal server and terminal
_TICK = 156_250  # 100 ns: the usual clock of 64 Hz
_NEVER, _ALWAYS = 0x005B_7A13_F29C_4D4E, 0x84D1_66E0_9B35_27C3  # any numbers: Windows draws them at every start


def machine_type(machine: Machine) -> int:
    """The machine type of the PE format."""
    return X64 if machine.windows.architecture == "x64" else X86


def uptime(machine: Machine) -> int:
    """How long the machine was up, in 100 ns."""
    return file_time(machine.crashed_at) - file_time(machine.booted_at)


def write_identity(scene: Scene) -> None:
    """Version, shared data, bug check and the debugger's blocks. Everything else must be placed before."""
    machine, image = scene.machine, scene.image
    windows = machine.windows
    image.put("NtBuildNumber", _FREE_BUILD | windows.build, 4)
    image.put("NtBuildLab", windows.lab.encode() + b"\0")
    image.put("CmNtCSDVersion", windows.service_pack << 8, 4)
    image.put("KeNumberProcessors", machine.processors, 4 if windows.build >= 9200 else 1)
    check = (machine.bug_check.code, *machine.bug_check.parameters)
    image.put("KiBugCheckData", b"".join(scene.word(value) for value in check))
    image.put("PsNtosImageBase", image.base)
    _write_shared_data(scene)
    _write_debugger_data(scene)


def _write_shared_data(scene: Scene) -> None:
    """KUSER_SHARED_DATA, whose layout is public and the same in all versions (the build number in it since 10)."""
    machine = scene.machine
    windows = machine.windows
    data = bytearray(0x740)
    now, up = file_time(machine.crashed_at), uptime(machine)
    struct.pack_into("<I", data, 0x04, _TICK * (1 << 24) // 10_000)  # TickCountMultiplier: ms per tick, fixed point
    for offset, value in ((0x08, up), (0x14, now), (0x320, up // _TICK)):
        struct.pack_into("<IiI", data, offset, value & 0xFFFF_FFFF, value >> 32 & 0x7FFF_FFFF, value >> 32)
    struct.pack_into("<HH", data, 0x2C, *((0x14C, 0x14C) if scene.pointer == 4 else (0x8664, 0x8664)))
    root = "C:\\WINDOWS".encode("utf-16-le")
    data[0x30 : 0x30 + len(root)] = root
    if windows.build >= 10240:
        struct.pack_into("<I", data, 0x260, windows.build)
    struct.pack_into("<I", data, 0x264, _SERVER if windows.server else _WORKSTATION)
    data[0x268] = 1  # ProductTypeIsValid
    struct.pack_into("<II", data, 0x26C, windows.major, windows.minor)
    struct.pack_into("<I", data, 0x2D0, _SUITE)
    struct.pack_into("<I", data, 0x2E8, machine.pages & 0xFFFF_FFFF)  # NumberOfPhysicalPages
    struct.pack_into("<I", data, 0x3C0, machine.processors)  # ActiveProcessorCount, since 7
    scene.system.write(USER_SHARED_DATA[scene.pointer], data)


def _write_debugger_data(scene: Scene) -> None:
    machine, image = scene.machine, scene.image
    block = write_block(scene.layout, image.base, image.address)
    own = image.address("KdDebuggerDataBlock") or 0
    # The list of debugger data blocks has one member
    head = scene.nonpaged.place(scene.word(own) * 2)
    if machine.kdbg_encoded:
        flag = image.address("KdpDataBlockEncoded") or 0
        image.put("KiWaitNever", _NEVER, 8)
        image.put("KiWaitAlways", _ALWAYS, 8)
        block = encode_block(block, _NEVER, _ALWAYS, flag)
    image.put("KdpDataBlockEncoded", int(machine.kdbg_encoded), 1)
    image.put("KdDebuggerDataBlock", block)
    sign = 0xFFFF_FFFF << 32 if scene.pointer == 4 else 0
    version = struct.pack(
        "<HHBBHHBBBBHQQQ",
        0xF,
        machine.windows.build,
        6,
        0,
        0x46 if scene.pointer == 8 else 0x2,
        machine_type(machine),
        0xC,
        0x3,
        0x34,
        0,
        0,
        image.base | sign,
        (image.address("PsLoadedModuleList") or 0) | sign,
        head | sign,
    )
    image.put("KdVersionBlock", version)


def header_fields(scene: Scene) -> DumpHeaderFields:
    """What the header of a dump of this machine says."""
    machine, image = scene.machine, scene.image
    windows = machine.windows
    return DumpHeaderFields(
        bits=64 if scene.pointer == 8 else 32,
        build=windows.build,
        directory_table_base=scene.system.dtb,
        machine_type=machine_type(machine),
        processors=machine.processors,
        loaded_module_list=image.address("PsLoadedModuleList"),
        active_process_head=image.address("PsActiveProcessHead"),
        pfn_database=image.address("MmPfnDatabase"),
        debugger_data_block=image.address("KdDebuggerDataBlock"),
        bugcheck_code=machine.bug_check.code,
        bugcheck_parameters=machine.bug_check.parameters,
        pae=windows.pae if scene.pointer == 4 else None,
        context=context_record(machine_type(machine), {"rip" if scene.pointer == 8 else "eip": image.base + 0x1000}),
        product_type=_SERVER if windows.server else _WORKSTATION,
        suite_mask=_SUITE,
        system_time=file_time(machine.crashed_at),
        system_uptime=uptime(machine),
        secondary_data_state=0,
        kd_secondary_version=0,
    )
