"""How fast ``poolsleuth diagnose`` reads long logs, beside plain ``for line in open(...)`` on the same file.

    python benchmarks/log_reading.py [--megabytes 64] [--folder /tmp] [KIND ...]

Logs of each kind are generated in a temporary folder and removed afterwards. Each measurement runs in a child process
of its own, so that the peak of resident memory belongs to it alone; its time is processor time, so that other work on
the machine does not count. Plain iteration decodes the lines and throws them away: nothing can be learned in less.
"""

import argparse
import json
import random
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from itertools import cycle
from pathlib import Path

SAMPLES = Path(__file__).parents[1] / "tests" / "data" / "logs"
MAX_RSS_MB = 300  # what the reader promises
_TAGS = ("Ntff", "MmSt", "File", "CM", "Irp", "Thre", "Toke", "Even", "NtFs", "FMsl", "MmCa", "Pool", "Proc", "Abc")

Generator = Callable[[random.Random], Iterator[str]]


def samples(_: random.Random) -> Iterator[str]:
    """The sample logs, again and again."""
    for path in cycle(sorted(SAMPLES.glob("*.txt"))):
        yield path.read_text(encoding="utf-8") + "\n"


def damaged_samples(source: random.Random) -> Iterator[str]:
    """The sample logs with no-break spaces and mail quotes."""
    for text in samples(source):
        yield "".join("> " + line.replace("  ", "\u00a0 ") for line in text.splitlines(keepends=True))


def tag_tables(source: random.Random) -> Iterator[str]:
    """``!poolused`` tables of 3,000 tags whose numbers change."""
    tags = [f"{name[:2]}{number:02x}" for number in range(215) for name in _TAGS]
    while True:
        rows = [
            f" {tag:<4} {source.randrange(1, 99999):8} {source.randrange(10**6, 10**8):8} {0:8} {0:8}"
            f"      UNKNOWN pooltag '{tag}', please update pooltag.txt\n"
            for tag in tags
        ]
        yield (
            "0: kd> !poolused 2\n   Sorting by  NonPaged Pool Consumed\n\n  Pool Used:\n"
            "            NonPaged            Paged\n Tag    Allocs     Used    Allocs     Used\n" + "".join(rows) + "\n"
        )


def pool_rows(source: random.Random) -> Iterator[str]:
    """``!pool`` of page after page."""
    for page in cycle(range(0xF0000000, 0xFFFFF000, 0x1000)):
        lines = [f"0: kd> !pool {page:x}\nPool page {page:x} region is Nonpaged pool\n"]
        previous, offset = 0, 0
        while offset < 0x1000:
            size = min(source.randrange(8, 0x400, 8), 0x1000 - offset)
            state = "(Allocated)" if source.random() < 0.5 else "(Free)     "
            tag = source.choice(_TAGS)
            lines.append(f" {page + offset:x} size: {size:4x} previous size: {previous:4x}  {state}  {tag}\n")
            previous, offset = size, offset + size
        yield "".join(lines) + "\n"


def stacks(source: random.Random) -> Iterator[str]:
    """``!process 0 7``: what long logs mostly consist of."""
    while True:
        process = source.randrange(0x85000000, 0x8FFFFFFF, 8)
        yield (
            f"PROCESS {process:x}  SessionId: 0  Cid: {process & 0xFFF:04x}    Peb: 7ffdf000  ParentCid: 0004\n"
            f"    DirBase: 0872c000  ObjectTable: e1001c68  HandleCount: {process & 0x3FF}.\n    Image: service.exe\n"
        )
        for _ in range(12):
            thread = source.randrange(0x85000000, 0x8FFFFFFF, 8)
            yield (
                f"        THREAD {thread:x}  Cid 0004.{thread & 0xFFF:04x}  Teb: 00000000 Win32Thread: 00000000 WAIT: "
                f"(WrQueue) KernelMode Non-Alertable\n            {thread + 32:x}  QueueObject\n"
                "        Not impersonating\n        DeviceMap                 e10003d8\n"
                "        Wait Start TickCount      1234567        Ticks: 89 (0:00:00:01.390)\n"
                "        ChildEBP RetAddr  Args to Child\n"
            )
            for frame in range(14):
                yield (
                    f"        {0xB8200000 + frame * 48:x} {thread ^ frame:08x} 00000000 {frame:08x} "
                    f"nt!KiSwapContext+0x{frame:x} (FPO: [Uses EBP] [0,0,4])\n"
                )
            yield "\n"


def prose(source: random.Random) -> Iterator[str]:
    """Text that is no debugger output."""
    words = [
        "the",
        "server",
        "pool",
        "of",
        "memory",
        "was",
        "used",
        "by",
        "a",
        "driver",
        "and",
        "12",
        "pages",
        "(48",
        "Kb)",
        "were",
        "free;",
        "see",
        "page",
        "7",
        "of",
        "this",
        "note",
    ]
    while True:
        yield "".join(" ".join(source.choices(words, k=14)) + "\n" for _ in range(200))


KINDS: dict[str, Generator] = {
    "samples": samples,
    "samples-damaged": damaged_samples,
    "poolused-tables": tag_tables,
    "pool-rows": pool_rows,
    "process-stacks": stacks,
    "prose": prose,
}


def generate(path: Path, kind: str, size: int) -> int:
    """Write a log of at least ``size`` bytes; the same every time."""
    written = 0
    with path.open("w", encoding="utf-8", newline="\n") as file:
        file.write("One log of a debugger.\n\n0: kd> .echo begin\n")
        for text in KINDS[kind](random.Random(2019)):
            written += file.write(text)
            if written >= size:
                break
    return path.stat().st_size


def peak_rss() -> int:
    """Peak resident bytes of this program alone: ``ru_maxrss`` is handed on from the process that started it."""
    status = Path("/proc/self/status")
    if status.exists():
        for line in status.read_text(encoding="ascii", errors="replace").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def child(what: str, path: str) -> None:
    """One measurement: seconds and peak resident bytes, as JSON on standard output."""
    status = 0
    if what == "diagnose":
        from poolsleuth.pipeline import diagnose  # noqa: PLC0415 - the plain measurement must not pay for it

        begin = time.process_time()
        report = diagnose([path])
        status = len(report.machines)
    else:
        begin = time.process_time()
        with Path(path).open(encoding="utf-8") as file:
            for _ in file:
                pass
    seconds = time.process_time() - begin
    print(json.dumps({"seconds": seconds, "peak": peak_rss(), "machines": status}))


def measured(what: str, path: Path) -> dict[str, float]:
    """The same in a child process."""
    run = subprocess.run(
        [sys.executable, __file__, "--child", what, str(path)], check=True, capture_output=True, text=True
    )
    answer: dict[str, float] = json.loads(run.stdout)
    return answer


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kinds", nargs="*", metavar="KIND", help=f"of {', '.join(KINDS)} (default: all)")
    parser.add_argument("--megabytes", type=int, default=64, help="size of each log (default 64)")
    parser.add_argument("--folder", help="where the temporary folder is made")
    parser.add_argument("--child", nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        child(*arguments.child)
        return
    unknown = set(arguments.kinds) - set(KINDS)
    if unknown:
        parser.error(f"no such kind: {', '.join(sorted(unknown))}")
    print(f"{'kind':<16} | {'MB':>6} | {'MB/s':>6} | {'lines MB/s':>10} | {'ratio':>5} | {'peak RSS MB':>11}")
    too_much = False
    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
        for kind in arguments.kinds or KINDS:
            path = Path(folder, f"{kind}.txt")
            size = generate(path, kind, arguments.megabytes << 20) / (1 << 20)
            lines = measured("lines", path)
            mine = measured("diagnose", path)
            path.unlink()
            peak = mine["peak"] / (1 << 20)
            too_much = too_much or peak > MAX_RSS_MB
            print(
                f"{kind:<16} | {size:6.0f} | {size / mine['seconds']:6.1f} | {size / lines['seconds']:10.0f} |"
                f" {lines['seconds'] / mine['seconds']:5.2f} | {peak:11.0f}",
                flush=True,
            )
    sys.exit(1 if too_much else 0)


if __name__ == "__main__":
    main()
