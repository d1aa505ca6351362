"""PDBs for the tests: those of a real toolchain, and constructed ones from a small writer that knows no reader's code.

The writer follows the description of the format only: https://llvm.org/docs/PDB/index.html.
"""

import random
import shutil
import struct
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import pytest

GUID = bytes.fromhex("78563412bc9af0de0123456789abcdef")
GUID_TEXT = "12345678" + "9ABC" + "DEF0" + "0123456789ABCDEF"
SECTIONS = (("text", 0x1000, 0x5000), ("data", 0x8000, 0x2000))
MAGIC = b"Microsoft C/C++ MSF 7.00\r\n\x1aDS\0\0\0"


def container(streams: Sequence[bytes | None], page: int = 1024, shuffled: int | None = None) -> bytes:
    """An MSF file. Pages 1 and 2 are the free page maps; the others are used in order, or in one that is shuffled."""

    def pages(size: int) -> int:
        return -(-size // page)

    sizes = [0xFFFFFFFF if s is None else len(s) for s in streams]
    used = [pages(len(s or b"")) for s in streams]
    directory_size = 4 + 4 * len(streams) + 4 * sum(used)
    directory_pages = pages(directory_size)
    list_pages = pages(4 * directory_pages)
    total = 3 + sum(used) + directory_pages + list_pages
    numbers = list(range(3, total))
    if shuffled is not None:
        random.Random(shuffled).shuffle(numbers)
    out = bytearray(total * page)

    def put(content: bytes) -> list[int]:
        mine = [numbers.pop(0) for _ in range(pages(len(content)))]
        for at, number in enumerate(mine):
            part = content[at * page : (at + 1) * page]
            out[number * page : number * page + len(part)] = part
        return mine

    placed = [put(s or b"") for s in streams]
    directory = struct.pack(f"<I{len(sizes)}I", len(streams), *sizes)
    for mine in placed:
        directory += struct.pack(f"<{len(mine)}I", *mine)
    listed = put(directory)
    lists = put(struct.pack(f"<{len(listed)}I", *listed))
    head = MAGIC + struct.pack(f"<5I{len(lists)}I", page, 1, total, len(directory), 0, *lists)
    assert len(head) <= page
    out[: len(head)] = head
    return bytes(out)


def record(kind: int, body: bytes, pad: bytes = b"\0") -> bytes:
    body += pad * (-len(body) % 4)
    return struct.pack("<HH", len(body) + 2, kind) + body


def symbol(kind: int, name: str, section: int, offset: int, value: int = 0) -> bytes:
    text = name.encode()
    old = kind < 0x1100
    return record(
        kind, struct.pack("<IIH", value, offset, section) + (bytes([len(text)]) + text if old else text + b"\0")
    )


def section_rows(sections: Sequence[tuple[str, int, int]]) -> bytes:
    return b"".join(struct.pack("<8sII24x", name.encode(), size, address) for name, address, size in sections)


def types_stream(records: Sequence[bytes], first: int = 0x1000) -> bytes:
    body = b"".join(records)
    return struct.pack("<5I36x", 20040203, 56, first, first + len(records), len(body)) + body


@dataclass
class Recipe:
    """What goes into a constructed PDB."""

    symbols: Sequence[bytes] = ()
    types: Sequence[bytes] = ()
    sections: Sequence[tuple[str, int, int]] = SECTIONS
    original: Sequence[tuple[str, int, int]] | None = None
    omap: Sequence[tuple[int, int]] | None = None
    machine: int = 0x8664
    info_age: int = 7
    dbi_age: int = 2
    version: int = 20000404
    page: int = 1024
    shuffled: int | None = None
    modules: bytes = b""
    extra: Sequence[bytes] = field(default_factory=tuple)

    def streams(self) -> list[bytes | None]:
        info = struct.pack("<III", self.version, 0x11223344, self.info_age) + GUID + struct.pack("<I", 0)
        debug = [0xFFFF] * 11
        streams: list[bytes | None] = [b"", info, types_stream(self.types), b"", b"", b"".join(self.symbols)]

        def add(content: bytes) -> int:
            streams.append(content)
            return len(streams) - 1

        debug[5] = add(section_rows(self.sections))
        if self.original is not None:
            debug[10] = add(section_rows(self.original))
        if self.omap is not None:
            debug[4] = add(b"".join(struct.pack("<II", *pair) for pair in self.omap))
        streams.extend(self.extra)
        contributions = b"\x11" * 12
        streams[3] = (
            struct.pack("<iIIHHHHHH", -1, 19990903, self.dbi_age, 0xFFFF, 0, 0xFFFF, 0, 5, 0)
            + struct.pack("<iiiii", len(self.modules), len(contributions), 0, 0, 0)
            + struct.pack("<IiiHHI", 0, 22, 0, 0, self.machine, 0)
            + self.modules
            + contributions
            + struct.pack("<11H", *debug)
        )
        return streams

    def build(self) -> bytes:
        return container(self.streams(), self.page, self.shuffled)


@pytest.fixture(scope="session")
def recipe() -> Callable[..., Recipe]:
    return Recipe


class Writer:
    """The functions of this module, for tests (which cannot import each other)."""

    guid = GUID_TEXT
    guid_bytes = GUID
    container = staticmethod(container)
    record = staticmethod(record)
    symbol = staticmethod(symbol)
    types_stream = staticmethod(types_stream)
    Recipe = Recipe


@pytest.fixture(scope="session")
def writer() -> type[Writer]:
    return Writer


C_SOURCE = r"""
typedef unsigned long ULONG; typedef unsigned char UCHAR; typedef unsigned long long ULONG64;
#define offsetof(s, m) __builtin_offsetof(struct s, m)
#define SIZE(s, m) sizeof(((struct s *)0)->m)
struct _LIST_ENTRY { struct _LIST_ENTRY *Flink, *Blink; };
enum _KIND { Minus = -5, Zero, Big = 0x7fffffff };
struct _INNER { short a; UCHAR b[3]; };
union _MIX { ULONG64 whole; struct { ULONG low, high; } parts; UCHAR bytes[8]; };
struct _OUTER {
  struct _LIST_ENTRY Links; ULONG Flags : 3; ULONG : 2; ULONG More : 27; ULONG64 Long : 40;
  union { ULONG Direct; struct { short First, Second; }; };
  union { int q; struct { UCHAR r, s; } e1; } u3;
  union { ULONG64 whole; struct { UCHAR none[3]; UCHAR Kind : 3; UCHAR Rest : 5; } e1; } u4;
  struct _INNER Inner; struct _INNER Table[4]; struct _INNER Square[2][3]; union _MIX Mix;
  volatile long Counter; const char *Name; void (*Routine)(struct _LATER *, int); enum _KIND Kind; _Bool Yes;
  unsigned short Text[5]; double Real; struct _LATER *Later; struct _NEVER *Never; int *const *volatile Deep;
  const short Constants[6]; void *Pointers[3]; UCHAR Tail[1];
};
struct _LATER { struct _OUTER Held; struct _LATER *Self; };
#define TELL(m) offsetof(_OUTER, m), SIZE(_OUTER, m)
ULONG figures[] = { sizeof(struct _OUTER), sizeof(struct _LATER), offsetof(_LATER, Self), TELL(Links), TELL(Direct),
  TELL(First), TELL(Second), TELL(u3), TELL(u3.e1.s), TELL(u4), TELL(Inner), TELL(Inner.b), TELL(Table),
  TELL(Table[0].b), TELL(Square), TELL(Mix.parts.high), TELL(Counter), TELL(Name), TELL(Routine), TELL(Kind), TELL(Yes),
  TELL(Text), TELL(Real), TELL(Later), TELL(Never), TELL(Deep), TELL(Constants), TELL(Pointers), TELL(Tail) };
struct _OUTER outer; struct _LATER later; static volatile int hidden = 0x1234ABCD;
int _fltused; void _private(void) {} int _under_score = 0x600D;
static __attribute__((noinline)) int quiet(int x) { return x + hidden; }
__attribute__((noinline)) int plain(int a) { return quiet(a) + 1; }
int __stdcall standard(int a, int b) { return plain(a) + b; }
int __fastcall fast(int a, int b, int c) { return quiet(c) - b; }
int start(void) { later.Self = 0; return (int)(long)&outer + fast(1, 2, 3) + standard(1, 2); }
"""

CPP_SOURCE = r"""
typedef unsigned long long ULONG64;
enum class Wide : ULONG64 { Top = 0xffffffffffffffffULL, Low = 3 };
struct Base { virtual int Speak(int); int base; static int shared; struct Nested { int deep; } nest; int Plain(); };
struct Side { int side; static int other(int); int other(long); };
struct Derived : Base, Side {
  int Speak(int) override; virtual void More(); char derived; enum { One, Two } inner; Wide wide; friend struct Side;
};
struct Virtual : virtual Side { int v; };
int Base::Speak(int a) { return a; } int Base::Plain() { return 1; } int Derived::Speak(int a) { return a + base; }
void Derived::More() {} int Base::shared = 4;
namespace ns { int inside = 7; template <class T> struct Box { T t; union { int x; char y; } u; }; Box<long> box; }
Derived derived; Virtual *virtual_one; Base base;
MANY
extern "C" int start(void) {
  return virtual_one->v + derived.Speak(1) + ns::inside + ns::box.t + (int)sizeof(Many) + many.last;
}
"""
# More fields than one list can hold (64 KB): the toolchain continues it in a second one
MANY = (
    "struct Many {" + "".join(f" int a_field_with_a_rather_long_name_{n};" for n in range(2500)) + " int last; } many;"
)


@dataclass(frozen=True)
class Built:
    """What the toolchain made."""

    pdb: Path
    image: Path
    machine: str

    def dump(self, *what: str) -> str:
        """What llvm-pdbutil says."""
        return _dump(self.pdb, what)


@cache
def _dump(pdb: Path, what: tuple[str, ...]) -> str:
    done = subprocess.run(
        [_tool("llvm-pdbutil"), "dump", *what, str(pdb)], capture_output=True, text=True, check=True, timeout=60
    )
    return done.stdout


def _tool(name: str) -> str:
    found = shutil.which(name)
    if found is None:
        pytest.skip(f"{name} is not there (Debian: apt-get install clang lld llvm)")
    return found


def _build(folder: Path, target: str, source: str, language: str) -> Built:
    machine = {"x86_64": "x64", "i686": "x86", "aarch64": "arm64"}[target]
    text, made = folder / f"kernel.{language}", folder / "kernel.o"
    pdb, image = folder / "kernel.pdb", folder / "kernel.exe"
    text.write_text(source)
    compile_it = [_tool("clang"), f"--target={target}-pc-windows-msvc", "-g", "-gcodeview", "-O1", "-c", "-w"]
    compile_it += ["-fno-exceptions", "-fno-rtti", "-fms-compatibility"] if language == "cpp" else []
    link = [_tool("lld-link"), "/debug", "/entry:start", "/nodefaultlib", "/subsystem:console", "/force:unresolved"]
    for command in (
        [*compile_it, str(text), "-o", str(made)],
        [*link, f"/out:{image}", f"/pdb:{pdb}", str(made)],
    ):
        subprocess.run(command, capture_output=True, check=True, timeout=120)
    return Built(pdb, image, machine)


@pytest.fixture(scope="session", params=["x86_64", "i686", "aarch64"])
def built(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Built:
    """A C program of each machine."""
    return _build(tmp_path_factory.mktemp("c"), request.param, C_SOURCE, "c")


@pytest.fixture(scope="session")
def built_cpp(tmp_path_factory: pytest.TempPathFactory) -> Built:
    """A C++ program."""
    return _build(tmp_path_factory.mktemp("cpp"), "x86_64", CPP_SOURCE.replace("MANY", MANY), "cpp")
