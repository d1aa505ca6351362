"""Real kernels as PDBs: the symbols and types of a real table, written into a PDB, are read back as the same facts."""

import json
import lzma
import struct
import time
from pathlib import Path
from typing import Any

import pytest

from poolsleuth.kernel.symbols.isf import read_isf
from poolsleuth.kernel.symbols.pdb import kernel_table, read_pdb

TABLES = Path(__file__).parents[5] / "shared" / "data" / "symbols"
BASES = {
    "void": 0x03, "char": 0x70, "unsigned char": 0x20, "wchar": 0x71, "short": 0x11, "unsigned short": 0x21,
    "int": 0x74, "unsigned int": 0x75, "long": 0x12, "unsigned long": 0x22, "long long": 0x13,
    "unsigned long long": 0x23, "double": 0x41, "float": 0x40, "f32": 0x40, "bool": 0x30, "HRESULT": 0x08,
}  # fmt: skip
UNDERLYING = {1: 0x20, 2: 0x21, 4: 0x74, 8: 0x13}
LIST_END = 60_000  # bytes of a field list, before it is continued


def numeric(value: int) -> bytes:
    return struct.pack("<H", value) if value < 0x8000 else struct.pack("<HI", 0x8004, value)


class Types:
    """Writes the types of a document as records."""

    def __init__(self, writer: Any, document: dict[str, Any]) -> None:
        self.writer = writer
        self.document = document
        self.records: list[bytes] = []
        self.known: dict[str, int] = {}
        for name, described in document["user_types"].items():  # all references are forward ones
            self.known[name] = self._udt(name, described, 0x80, 0, 0)
        for name, described in document["user_types"].items():
            self._udt(name, described, 0, self._fields(described), described["size"])

    def add(self, leaf: int, body: bytes) -> int:
        body += b"\xf3\xf2\xf1"[3 - (-len(body) % 4) :] if len(body) % 4 else b""
        self.records.append(self.writer.record(leaf, body))
        return 0x1000 + len(self.records) - 1

    def _udt(self, name: str, described: dict[str, Any], properties: int, fields: int, size: int) -> int:
        union = described["kind"] == "union"
        body = struct.pack("<HHI", len(described["fields"]) & 0xFFFF, properties, fields)
        body += (b"" if union else bytes(8)) + numeric(size) + name.encode() + b"\0"
        return self.add(0x1506 if union else 0x1505, body)

    def _fields(self, described: dict[str, Any]) -> int:
        lists = [b""]
        for name, entry in sorted(described["fields"].items(), key=lambda item: item[1]["offset"]):
            body = struct.pack("<HHI", 0x150D, 3, self.index(entry["type"])) + numeric(entry["offset"])
            body += name.encode() + b"\0"
            body += b"\xf3\xf2\xf1"[3 - (-len(body) % 4) :] if len(body) % 4 else b""
            if len(lists[-1]) + len(body) > LIST_END:
                lists.append(b"")
            lists[-1] += body
        following = 0
        for content in reversed(lists):
            more = struct.pack("<HHI", 0x1404, 0, following) if following else b""
            following = self.add(0x1203, content + more)
        return following

    def index(self, kind: dict[str, Any]) -> int:
        key = json.dumps(kind)
        if key not in self.known:
            self.known[key] = self._index(kind)
        return self.known[key]

    def _index(self, kind: dict[str, Any]) -> int:
        match kind["kind"]:
            case "base":
                return BASES[kind["name"]]
            case "pointer":
                return self.add(0x1002, struct.pack("<II", self.index(kind["subtype"]), 8 << 13 | 0x0C))
            case "array":
                element = self.index(kind["subtype"])
                size = kind["count"] * self.size(kind["subtype"])
                return self.add(0x1503, struct.pack("<II", element, 0x23) + numeric(size) + b"\0")
            case "bitfield":
                base = self.index(kind["type"])
                return self.add(0x1205, struct.pack("<IBB", base, kind["bit_length"], kind["bit_position"]))
            case "enum":
                size = self.document["enums"][kind["name"]]["size"]
                body = struct.pack("<HHII", 0, 0, UNDERLYING[size], 0)
                return self.add(0x1507, body + kind["name"].encode() + b"\0")
            case "function":
                return self.add(0x1008, bytes(12))
            case other:
                if kind["name"] not in self.known:  # pointed to, but never defined
                    missing = {"kind": other, "fields": {}}
                    self.known[kind["name"]] = self._udt(kind["name"], missing, 0x80, 0, 0)
                return self.known[kind["name"]]

    def size(self, kind: dict[str, Any]) -> int:
        match kind["kind"]:
            case "pointer":
                size = 8
            case "array":
                size = kind["count"] * self.size(kind["subtype"])
            case "base":
                size = self.document["base_types"][kind["name"]]["size"]
            case "enum":
                size = self.document["enums"][kind["name"]]["size"]
            case _:
                size = self.document["user_types"][kind["name"]]["size"]
        return int(size)


@pytest.mark.parametrize("build", ["7601", "22000"])
def test_a_kernel_as_a_pdb_gives_the_same_table_as_its_isf(writer: Any, build: str) -> None:
    found = list(TABLES.glob(f"ntkrnlmp_*.{build}.*.json.xz"))
    if not found:
        pytest.skip(f"the symbol table of build {build} is not there")
    document = json.loads(lzma.decompress(found[0].read_bytes()))
    sections = [("a", 0x1000, 0x1FF000), ("b", 0x200000, 0x200000), ("c", 0x400000, 0x800000)]
    symbols = []
    for name, entry in document["symbols"].items():
        address = entry["address"]
        section = (address >= 0x1000) + (address >= 0x200000) + (address >= 0x400000)
        if section:
            symbols.append(writer.symbol(0x110E, name, section, address - sections[section - 1][1]))
    types = Types(writer, document)
    content = writer.Recipe(symbols=symbols, types=types.records, sections=sections, page=4096).build()
    begin = time.process_time()
    pdb = read_pdb(content)
    mine = kernel_table(pdb)
    took = time.process_time() - begin
    theirs = read_isf(found[0])
    assert mine.symbols == theirs.symbols
    assert mine.structures == theirs.structures
    assert len(pdb.publics) == len(symbols) > 18_000
    assert took < 3  # measured: 0.2 s; a loaded machine may take longer
