"""The images of the lab, read by pefile: headers, symbols' identity, imports and version resource."""

import pefile  # type: ignore[import-untyped]
import pytest

from poolsleuth.lab.catalogue import windows_named
from poolsleuth.lab.machine import LoadedModule
from poolsleuth.lab.simulate import SimulatedMachine, simulate
from poolsleuth.lab.stories import make_machine, small_size


def image_of(machine: SimulatedMachine, module: LoadedModule) -> pefile.PE:
    """The image as it lies in memory; pages that are not there as zeros."""
    data = bytearray(module.size)
    base = module.base or 0
    for offset in range(0, module.size, 0x1000):
        if machine.system.translate(base + offset) is not None:
            data[offset : offset + 0x1000] = machine.system.read(base + offset, 0x1000)
    return pefile.PE(data=bytes(data))


@pytest.fixture(params=["7601-x86", "19041-x64"], scope="module")
def machine(request: pytest.FixtureRequest) -> SimulatedMachine:
    return simulate(make_machine(windows_named(request.param), "untagged", seed=2, size=small_size()))


def test_kernel(machine: SimulatedMachine) -> None:
    module = machine.truth.modules[0]
    image = image_of(machine, module)
    assert image.FILE_HEADER.TimeDateStamp == module.timestamp
    assert image.OPTIONAL_HEADER.CheckSum == module.checksum
    assert image.OPTIONAL_HEADER.SizeOfImage == module.size
    assert image.OPTIONAL_HEADER.ImageBase == module.base
    windows = machine.truth.windows
    assert image.OPTIONAL_HEADER.MajorOperatingSystemVersion == windows.major
    record = image.DIRECTORY_ENTRY_DEBUG[0].entry
    assert module.pdb is not None
    assert record.CvSignature == b"RSDS"
    assert record.PdbFileName.rstrip(b"\0").decode() == module.pdb.name
    assert record.Signature_String.upper() == f"{module.pdb.guid}{module.pdb.age:X}"
    if windows.symbols:
        assert module.pdb.guid == "5278AFF86C341677D7D7835C85B7B844"


def test_driver_that_allocates_without_a_tag(machine: SimulatedMachine) -> None:
    (module,) = [module for module in machine.truth.modules if module.name == "oldcard.sys"]
    image = image_of(machine, module)
    library = image.DIRECTORY_ENTRY_IMPORT[0]
    assert library.dll == b"ntoskrnl.exe"
    assert [entry.name.decode() for entry in library.imports] == list(module.imports)
    assert "ExAllocatePool" in module.imports
    base = module.base or 0
    at = image.OPTIONAL_HEADER.DATA_DIRECTORY[12].VirtualAddress
    width = machine.truth.windows.pointer
    first = int.from_bytes(machine.system.read(base + at, width), "little")
    kernel = machine.truth.modules[0]
    assert (kernel.base or 0) < first < (kernel.base or 0) + kernel.size


def test_version_strings(machine: SimulatedMachine) -> None:
    (module,) = [module for module in machine.truth.modules if module.name == "oldcard.sys"]
    image = image_of(machine, module)
    strings = {
        key.decode(): value.decode()
        for info in image.FileInfo[0]
        if info.Key == b"StringFileInfo"
        for table in info.StringTable
        for key, value in table.entries.items()
    }
    assert strings == dict(module.version)
    assert strings["CompanyName"] == "Acme Storage Inc."
    fixed = image.VS_FIXEDFILEINFO[0]
    assert fixed.FileVersionMS == 3 << 16 | 2


def test_headers_that_are_not_in_memory(machine: SimulatedMachine) -> None:
    (module,) = [module for module in machine.truth.modules if module.name == "crashdmp.sys"]
    assert not module.present
    assert machine.system.translate(module.base or 0) is None
