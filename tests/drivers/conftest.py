"""Drivers for the tests, built by a real toolchain: every kind of call, three processors, four levels."""

import shutil
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

TOOLS = ("clang", "lld-link", "llvm-dlltool", "llvm-rc")
TARGETS = {"x64": "x86_64", "x86": "i686", "arm64": "aarch64"}
MACHINES = {"x64": "i386:x86-64", "x86": "i386", "arm64": "arm64"}
LEVELS = ("O0", "O1", "O2", "Os")

# Name and bytes that the callee takes off the stack of x86; None: the caller does
KERNEL: dict[str, int | None] = {
    "ExAllocatePool": 8,
    "ExAllocatePoolWithTag": 12,
    "ExAllocatePoolWithQuotaTag": 12,
    "ExAllocatePoolWithTagPriority": 16,
    "ExAllocatePool2": 16,
    "ExAllocatePool3": 24,
    "ExFreePoolWithTag": 8,
    "ExFreePool": 4,
    "ExInitializeNPagedLookasideList": 28,
    "ExInitializePagedLookasideList": 28,
    "ExInitializeLookasideListEx": 32,
    "MmAllocateContiguousMemory": 12,
    "ObOpenObjectByPointerWithTag": 32,
    "RtlInitUnicodeString": 8,
    "ObscureTwo": 8,
    "ObscureThree": 12,
    "DbgPrint": None,
}
NDIS: dict[str, int | None] = {
    "NdisAllocateMemoryWithTag": 12,
    "NdisAllocateMemoryWithTagPriority": 16,
    "NdisFreeMemoryWithTagPriority": 12,
}
FILTER: dict[str, int | None] = {"FltAllocatePoolAlignedWithTag": 16, "FltFreePoolAlignedWithTag": 12}
STORAGE: dict[str, int | None] = {"StorPortExtendedFunction": None}
LIBRARIES: dict[str, dict[str, int | None]] = {
    "ntoskrnl.exe": KERNEL,
    "ndis.sys": NDIS,
    "fltmgr.sys": FILTER,
    "storport.sys": STORAGE,
}

HEADER = r"""
typedef unsigned int ULONG; typedef unsigned short USHORT; typedef unsigned long long ULONG64;
#if defined(_WIN64)
typedef unsigned long long SIZE_T;
#else
typedef unsigned int SIZE_T;
#endif
#define API __declspec(dllimport)
#define NOINLINE __attribute__((noinline))
API void* __stdcall ExAllocatePool(int, SIZE_T);
API void* __stdcall ExAllocatePoolWithTag(int, SIZE_T, ULONG);
API void* __stdcall ExAllocatePoolWithQuotaTag(int, SIZE_T, ULONG);
API void* __stdcall ExAllocatePoolWithTagPriority(int, SIZE_T, ULONG, int);
API void* __stdcall ExAllocatePool2(ULONG64, SIZE_T, ULONG);
API void* __stdcall ExAllocatePool3(ULONG64, SIZE_T, ULONG, void*, ULONG);
API void __stdcall ExFreePoolWithTag(void*, ULONG);
API void __stdcall ExFreePool(void*);
API void __stdcall ExInitializeNPagedLookasideList(void*, void*, void*, ULONG, SIZE_T, ULONG, USHORT);
API void __stdcall ExInitializePagedLookasideList(void*, void*, void*, ULONG, SIZE_T, ULONG, USHORT);
API int __stdcall ExInitializeLookasideListEx(void*, void*, void*, int, ULONG, SIZE_T, ULONG, USHORT);
API void* __stdcall MmAllocateContiguousMemory(SIZE_T, ULONG64);
API int __stdcall ObOpenObjectByPointerWithTag(void*, ULONG, void*, ULONG, void*, int, ULONG, void*);
API void __stdcall RtlInitUnicodeString(void*, const void*);
API void* __stdcall ObscureTwo(void*, ULONG);
API void* __stdcall ObscureThree(void*, SIZE_T, ULONG);
API ULONG __cdecl DbgPrint(const char*, ...);
API int __stdcall NdisAllocateMemoryWithTag(void**, ULONG, ULONG);
API void* __stdcall NdisAllocateMemoryWithTagPriority(void*, ULONG, ULONG, int);
API void __stdcall NdisFreeMemoryWithTagPriority(void*, void*, ULONG);
API void* __stdcall FltAllocatePoolAlignedWithTag(void*, int, SIZE_T, ULONG);
API void __stdcall FltFreePoolAlignedWithTag(void*, void*, ULONG);
API ULONG __cdecl StorPortExtendedFunction(ULONG, void*, ...);
volatile int choice; void* volatile keep; char look1[512], look2[512], look3[512];
"""

# Multi-character constants are written backwards, as drivers write them: 'eliF' is the tag File
EVERY_CALL = r"""
volatile ULONG variable = '4raV'; const volatile ULONG fixed = '5xiF';
NOINLINE void* wrapper(SIZE_T size, ULONG tag) {
  void* p = ExAllocatePoolWithTag(choice, size, tag); if (p) *(volatile char*)p = 0; return p; }
NOINLINE void* tail(ULONG tag, SIZE_T size) { return ExAllocatePoolWithTag(0, size, tag); }
NOINLINE void give_back(void* p, ULONG tag) { if (choice) ExFreePoolWithTag(p, tag); choice = 3; }
NOINLINE int local(int a, int b) { choice += a * b; return choice; }
NOINLINE void loop(int n) {
  for (int i = 0; i < n; i++) { keep = ExAllocatePoolWithTag(1, i * 8, 'pooL'); local(i, n); } }
NOINLINE void pick(int n) {
  ULONG tag; switch (n) { case 1: tag = '1ciP'; break; case 7: tag = 'bciQ'; break; default: tag = 'zciR'; }
  keep = ExAllocatePoolWithTag(choice, local(n, 4), tag); }
NOINLINE void hoisted(int n) {
  ULONG tag = 'ioHH'; keep = ExAllocatePoolWithTag(1, n, tag);
  for (int i = 0; i < n; i++) { local(i, i); keep = ExAllocatePoolWithTag(0, local(i, 2), tag); DbgPrint("%d", i); }
  ExFreePoolWithTag(keep, tag); }
int __stdcall DriverEntry(void* driver, void* path) {
  keep = ExAllocatePoolWithTag(0, 100, 'eliF');
  keep = wrapper(local(1, 2), 'parW'); keep = wrapper(40, '2arW'); keep = tail('liaT', 3);
  keep = ExAllocatePoolWithTag(choice, 44, choice ? '1noC' : '2noC');
  keep = ExAllocatePool2(0x40, 100, '2loP'); keep = ExAllocatePool3(0x40, 100, '3loP', 0, 0);
  keep = ExAllocatePoolWithQuotaTag(1, local(3, 4), 'touQ');
  keep = ExAllocatePoolWithTagPriority(1, (SIZE_T)ObscureTwo(look1, 5), 'oirP', 3);
  keep = ExAllocatePool(0, 12);
  ExInitializeNPagedLookasideList(look1, 0, 0, 0, 64, 'NkoL', 0);
  ExInitializePagedLookasideList(look2, 0, 0, 0, 64, 'PkoL', 0);
  ExInitializeLookasideListEx(look3, 0, 0, 0, 0, 64, 'EkoL', 0);
  keep = ExAllocatePoolWithTag(0, 100, variable); keep = ExAllocatePoolWithTag(0, 100, fixed);
  keep = ExAllocatePoolWithTag(0, 100, 'torP' | 0x80000000); ExFreePoolWithTag(keep, 'torP' | 0x80000000);
  keep = ExAllocatePoolWithTag(0, 100, 'kdD '); keep = ExAllocatePoolWithTag(0, 100, 'cbA');
  ExFreePoolWithTag(keep, 'eliF'); give_back(keep, 'parW'); ExFreePoolWithTag(keep, 'rFlO');
  NdisAllocateMemoryWithTag((void**)&keep, 88, '1ddN'); keep = NdisAllocateMemoryWithTagPriority(0, 9, '2ddN', 0);
  NdisFreeMemoryWithTagPriority(0, keep, '2ddN');
  keep = FltAllocatePoolAlignedWithTag(0, 1, 512, 'tlFx'); FltFreePoolAlignedWithTag(0, keep, 'tlFx');
  StorPortExtendedFunction(0, look1, 64, 'rotS', &keep); StorPortExtendedFunction(5, look1, 64, 'RtoN', &keep);
  ObOpenObjectByPointerWithTag(path, 0, 0, 0, 0, 0, 'jbOx', (void*)&keep);
  keep = MmAllocateContiguousMemory(4096, 0xffffffff);
  loop(choice); pick(choice); hoisted(choice);
  return *(ULONG*)path == 'ngiS'; }
"""

# Letters that are no tag of an allocation: every one of them found at a call is a false alarm
NO_TAGS = r"""
const char text[] = "a long text with AAAA and BBBB in it"; volatile ULONG table[] = {'CCCC', 'DDDD'};
struct { ULONG tag; void* volatile* where; } context = {'EEEE', &keep};
NOINLINE ULONG hash(ULONG value) { return value * 'GGGG' + ('HHHH' ^ value); }
NOINLINE void* with_size(SIZE_T size) { return ExAllocatePoolWithTag('IIII', size, choice); }
NOINLINE void* mixed(ULONG tag) { return ExAllocatePoolWithTag(0, 'JJJJ', hash(tag)); }
int __stdcall DriverEntry(void* driver, void* path) {
  volatile ULONG local = 'KKKK'; ULONG64 wide = choice * 0x4C4C4C4C4D4D4D4DULL;
  keep = ObscureThree(path, 5, 'NNNN'); keep = ObscureTwo(path, 'OOOO'); keep = with_size('PPPP'); keep = mixed('QQQQ');
  keep = ExAllocatePool('RRRR', 'SSSS'); ExFreePool(keep); keep = ExAllocatePoolWithTag(0, wide, table[choice]);
  ExFreePoolWithTag(ObscureThree(0, 0, 'TTTT'), hash('UUUU'));
  if (*(ULONG*)path == 'VVVV') return 'WWWW'; DbgPrint(text, 'XXXX', 'YYYY');
  keep = ExAllocatePoolWithTag(0, 10, local + choice);
  return local == 'ZZZZ' ? 1 : (int)wide; }
"""

VERSION = """1 VERSIONINFO
FILEVERSION 1,2,3,4
BEGIN
  BLOCK "StringFileInfo"
  BEGIN
    BLOCK "040904b0"
    BEGIN
      VALUE "CompanyName", "Example Company"
      VALUE "FileDescription", "A driver for tests"
      VALUE "FileVersion", "1.2.3.4 (built)"
      VALUE "OriginalFilename", "origin.sys"
      VALUE "ProductName", "Example Product"
    END
  END
  BLOCK "VarFileInfo"
  BEGIN
    VALUE "Translation", 0x409, 1200
  END
END
"""


@dataclass(frozen=True)
class Toolchain:
    """Builds drivers in a folder."""

    folder: Path

    def run(self, *command: str) -> None:
        subprocess.run(command, cwd=self.folder, check=True, capture_output=True)

    def libraries(self, machine: str) -> list[str]:
        made = []
        for library, functions in LIBRARIES.items():
            target = self.folder / f"{library}.{machine}.lib"
            if not target.exists():
                rows = [
                    f"{name}@{taken}" if machine == "x86" and taken is not None else name
                    for name, taken in functions.items()
                ]
                definition = target.with_suffix(".def")
                definition.write_text("\n".join([f"NAME {library}", "EXPORTS", *rows, ""]))
                kill = ["-k"] if machine == "x86" else []
                self.run("llvm-dlltool", "-m", MACHINES[machine], "-d", definition.name, "-l", target.name, *kill)
            made.append(target.name)
        return made

    def build(self, name: str, source: str, machine: str, level: str = "O2", extra: Sequence[str] = ()) -> Path:
        """A driver of C (or, when it begins with a dot, of assembler)."""
        stem = f"{name}_{machine}_{level}"
        code = self.folder / f"{stem}.{'s' if source.lstrip().startswith('.') else 'c'}"
        code.write_text(source)
        flags = [f"-{level}", "-ffreestanding", "-fno-stack-protector", "-Wno-everything"]
        self.run("clang", f"--target={TARGETS[machine]}-pc-windows-msvc", *flags, "-c", code.name, "-o", f"{stem}.obj")
        self.run(
            "lld-link", "/driver", "/subsystem:native", "/entry:DriverEntry", "/nodefaultlib", "/brepro",
            f"/out:{stem}.sys", f"{stem}.obj", *self.libraries(machine), *extra,
        )  # fmt: skip
        return self.folder / f"{stem}.sys"

    def resource(self) -> str:
        (self.folder / "version.rc").write_text(VERSION)
        self.run("llvm-rc", "/no-preprocess", "/fo", "version.res", "version.rc")
        return "version.res"


@pytest.fixture(scope="session")
def toolchain(tmp_path_factory: pytest.TempPathFactory) -> Toolchain:
    missing = [tool for tool in TOOLS if shutil.which(tool) is None]
    if missing:
        pytest.skip(f"needs a toolchain for Windows: {', '.join(missing)} not found")
    return Toolchain(tmp_path_factory.mktemp("drivers"))


@pytest.fixture(scope="session")
def every_call(toolchain: Toolchain) -> Callable[[str, str], Path]:
    """``every_call(machine, level)``: a driver with calls of every kind. Built when it is first asked for."""
    return lambda machine, level: _once(toolchain, "calls", HEADER + EVERY_CALL, machine, level)


@pytest.fixture(scope="session")
def no_tags(toolchain: Toolchain) -> Callable[[str, str], Path]:
    """The same of one in which letters stand everywhere but at the tag of a call."""
    return lambda machine, level: _once(toolchain, "letters", HEADER + NO_TAGS, machine, level)


def _once(toolchain: Toolchain, name: str, source: str, machine: str, level: str) -> Path:
    path = toolchain.folder / f"{name}_{machine}_{level}.sys"
    return path if path.exists() else toolchain.build(name, source, machine, level)


@pytest.fixture(scope="session")
def header() -> str:
    return HEADER
