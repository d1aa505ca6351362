"""Identity, machine, and PDBs that lack parts."""

import struct
from typing import Any

import pytest

from poolsleuth.kernel.symbols.pdb import kernel_table, read_pdb
from poolsleuth.model.errors import InputError
from poolsleuth.windows.kernel_table import PdbId


def test_the_age_is_that_which_the_image_has(writer: Any) -> None:
    # Tools that add to a PDB raise the age in stream 1 only: the image has that of the DBI stream
    pdb = read_pdb(writer.Recipe(info_age=7, dbi_age=2).build(), "ntkrnlmp.pdb")
    assert pdb.identity == PdbId("ntkrnlmp.pdb", writer.guid, 2)
    assert (pdb.info.age, pdb.info.signature) == (7, 0x11223344)
    assert pdb.dbi is not None
    assert pdb.dbi.age == 2
    assert pdb.identity.key == writer.guid + "2"
    without = read_pdb(writer.Recipe(info_age=7, dbi_age=0).build()).identity
    assert without is not None
    assert without.age == 7


def test_a_version_without_a_guid_has_no_identity(writer: Any) -> None:
    assert read_pdb(writer.Recipe(version=19980914).build()).identity is None


@pytest.mark.parametrize(("machine", "name"), [(0x14C, "x86"), (0x8664, "x64"), (0xAA64, "arm64"), (0x200, None)])
def test_machines(writer: Any, machine: int, name: str | None) -> None:
    pdb = read_pdb(writer.Recipe(machine=machine).build())
    assert pdb.machine == name
    assert kernel_table(pdb).machine == name


def test_a_pdb_of_types_only(writer: Any) -> None:
    streams = writer.Recipe().streams()
    streams[3] = b""
    pdb = read_pdb(writer.container(streams))
    assert (pdb.machine, pdb.symbols, pdb.publics) == (None, None, {})
    assert pdb.identity == PdbId("this PDB", writer.guid, 7)
    assert kernel_table(pdb).symbols == {}


def test_no_section_headers(writer: Any) -> None:
    streams = writer.Recipe(symbols=[writer.symbol(0x110E, "Name", 1, 0)]).streams()
    streams[3] = streams[3][:-22] + b"\xff" * 22
    pdb = read_pdb(writer.container(streams))
    assert pdb.publics == {}
    assert "no section headers" in pdb.notes[0]


def test_sizes_below_zero_in_the_dbi_header(writer: Any) -> None:
    streams = writer.Recipe(symbols=[writer.symbol(0x110E, "Name", 1, 0)]).streams()
    streams[3] = streams[3][:0x18] + struct.pack("<i", -5) + streams[3][0x1C:]
    pdb = read_pdb(writer.container(streams))
    assert pdb.publics == {}
    assert "damaged" in pdb.notes[0]


def test_a_header_of_before_1997_is_refused(writer: Any) -> None:
    streams = writer.Recipe().streams()
    streams[3] = b"\x07\0\x08\0\x09\0" + bytes(100)
    with pytest.raises(InputError, match="before 1997"):
        read_pdb(writer.container(streams))


def test_no_identity_at_all(writer: Any) -> None:
    streams = writer.Recipe().streams()
    streams[1] = None
    with pytest.raises(InputError, match="no identity"):
        read_pdb(writer.container(streams))
