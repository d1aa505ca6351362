"""How fast ``poolsleuth whois`` looks through a folder of drivers, beside a plain read of the same files.

    python benchmarks/driver_scan.py [--drivers 2000] [--folder /tmp]

A few drivers of 20 KB to 1 MB are built by clang and lld-link (functions that compute, call, allocate and free, each
with a tag of its own) and copied under other names with another time stamp and a tag of their own, so that no two are
the same. The folder is removed afterwards. Each measurement runs in a child process; its time is that of the wall
clock, its processor time that of all its processes, its memory that of the largest. ``cold`` has an empty cache of
summaries, ``warm`` that of the run before; the files themselves are in the memory of the operating system in both.
"""

import argparse
import os
import random
import shutil
import struct
import subprocess
import sys
import tempfile
import time
from pathlib import Path

MARK = b"Own0"  # the tag that every copy gets another one for
SIZES = {"x64": (150, 600, 1500, 6000), "x86": (600,), "arm64": (600,)}  # functions of the drivers that are built
WEIGHTS = (40, 30, 15, 3, 8, 4)  # how often each of them is copied
TARGETS = {"x64": ("x86_64", "i386:x86-64"), "x86": ("i686", "i386"), "arm64": ("aarch64", "arm64")}
HEADER = """
typedef unsigned int ULONG;
__declspec(dllimport) void* __stdcall ExAllocatePoolWithTag(int, __SIZE_TYPE__, ULONG);
__declspec(dllimport) void __stdcall ExFreePoolWithTag(void*, ULONG);
__declspec(dllimport) void __stdcall KeSetEvent(void*, int, int);
void* volatile keep; volatile int state[64];
"""
FUNCTION = """
__attribute__((noinline)) int f{n}(int a, int* b) {{
  for (int i = 0; i < a; i++) {{
    b[i & 7] += a * {n} ^ (i << 3);
    if (b[i & 7] > {n}77) {{ state[i & 63] ^= a; KeSetEvent(b, a, 0); }} }}
  {body} return b[1] - a * {n}; }}
"""
ALLOCATE = (
    "void* p = ExAllocatePoolWithTag(a, a * 8, 0x{tag:08x}); if (p) {{ keep = p; ExFreePoolWithTag(p, 0x{tag:08x}); }}"
)


def build(folder: Path) -> list[bytes]:
    """The drivers that are copied."""
    made: list[bytes] = []
    (folder / "nt.def").write_text(
        "NAME ntoskrnl.exe\nEXPORTS\nExAllocatePoolWithTag@12\nExFreePoolWithTag@8\nKeSetEvent@12\n"
    )
    (folder / "wide.def").write_text(
        "NAME ntoskrnl.exe\nEXPORTS\nExAllocatePoolWithTag\nExFreePoolWithTag\nKeSetEvent\n"
    )
    source = random.Random(1)
    for machine, sizes in SIZES.items():
        target, kind = TARGETS[machine]
        definition, kill = ("nt.def", ["-k"]) if machine == "x86" else ("wide.def", [])
        subprocess.run(["llvm-dlltool", "-m", kind, "-d", definition, "-l", "nt.lib", *kill], cwd=folder, check=True)
        for size in sizes:
            text = [HEADER]
            for n in range(size):
                tag = int.from_bytes(
                    MARK if n == size // 2 else bytes(source.choices(b"abcdefghijklmnopqrstuvwxyz", k=4)), "little"
                )
                call = f"b[2] += f{n - 1}(a - 1, b);" if n % 3 == 1 else ""
                text.append(
                    FUNCTION.format(
                        n=n, body=(ALLOCATE.format(tag=tag) if n % 12 == 0 or n == size // 2 else "") + call
                    )
                )
            text.append("int table[8]; int __stdcall DriverEntry(void* d, void* p) { int s = 0;")
            text += [f"s += f{n}(s, table);" for n in range(size)]
            (folder / "x.c").write_text("\n".join([*text, "return s; }"]))
            flags = ["-O1", "-ffreestanding", "-fno-stack-protector", "-Wno-everything"]
            subprocess.run(
                ["clang", f"--target={target}-pc-windows-msvc", *flags, "-c", "x.c", "-o", "x.obj"],
                cwd=folder,
                check=True,
            )
            link = "lld-link /driver /subsystem:native /entry:DriverEntry /nodefaultlib /out:x.sys x.obj nt.lib"
            subprocess.run(link.split(), cwd=folder, check=True)
            made.append((folder / "x.sys").read_bytes())
    return made


def write(folder: Path, count: int) -> int:
    """The copies; how many bytes they have in all."""
    with tempfile.TemporaryDirectory() as place:
        originals = build(Path(place))
    source = random.Random(2)
    total = 0
    for number, data in enumerate(source.choices(originals, WEIGHTS, k=count)):
        copy = bytearray(data)
        at = int.from_bytes(copy[0x3C:0x40], "little") + 8
        struct.pack_into("<I", copy, at, number)
        own = f"{number:04d}".encode() if number % 100 else b"Comm"
        halves = [struct.unpack("<HH", mark) for mark in (MARK, own)]
        changed = copy.replace(MARK, own)
        for (low, high), (new_low, new_high) in [tuple(halves)]:  # ARM64: two instructions
            for old, new, base in ((low, new_low, 0x52800000), (high, new_high, 0x72A00000)):
                for register in range(31):
                    changed = changed.replace(
                        struct.pack("<I", base | old << 5 | register), struct.pack("<I", base | new << 5 | register)
                    )
        (folder / f"driver{number:04d}.sys").write_bytes(changed)
        total += len(changed)
    return total


def measure(arguments: list[str], cache: Path) -> tuple[float, float, int, int]:
    """Wall time and processor time in seconds, the largest process in MB, and the status of one child process."""
    started = time.perf_counter()
    environment = {**os.environ, "POOLSLEUTH_DRIVER_CACHE": str(cache)}
    child = subprocess.Popen([sys.executable, *arguments], stdout=subprocess.DEVNULL, env=environment)
    _, status, usage = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    return time.perf_counter() - started, usage.ru_utime + usage.ru_stime, usage.ru_maxrss // 1024, child.returncode


def main() -> None:
    """Write the drivers, measure, remove them."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--drivers", type=int, default=2000)
    parser.add_argument("--folder", type=Path, default=None)
    options = parser.parse_args()
    if shutil.which("clang") is None or shutil.which("lld-link") is None:
        sys.exit("clang and lld-link are needed to build the drivers")
    with tempfile.TemporaryDirectory(dir=options.folder) as place:
        folder, cache = Path(place) / "drivers", Path(place) / "cache"
        folder.mkdir()
        total = write(folder, options.drivers)
        print(f"{options.drivers} drivers, {total / 1e6:,.0f} MB, {os.cpu_count()} processors")
        plain = f"import pathlib; [p.read_bytes() for p in pathlib.Path({str(folder)!r}).iterdir()]"
        whois = ["-m", "poolsleuth", "whois"]
        for name, arguments, fresh in (
            ("plain read", ["-c", plain], True),
            ("a tag of one driver, cold", [*whois, "0123", str(folder)], True),
            ("the same, warm", [*whois, "0123", str(folder)], False),
            ("a tag of one in a hundred, cold", [*whois, "Comm", str(folder)], True),
            ("a tag of nobody", [*whois, "Zq9x", str(folder)], True),
            ("all code read (--thorough), cold", [*whois, "0123", "--thorough", str(folder)], True),
            ("the same, warm", [*whois, "0124", "--thorough", str(folder)], False),
        ):
            if fresh:
                shutil.rmtree(cache, ignore_errors=True)
            wall, processor, memory, status = measure(arguments, cache)
            print(f"{name:36} {wall:7.2f} s, processor {processor:7.2f} s, {memory:5d} MB, status {status}", flush=True)


if __name__ == "__main__":
    main()
