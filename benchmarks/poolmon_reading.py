"""How fast tables of tags over time are read, beside a plain read of the same file.

    python benchmarks/poolmon_reading.py [--snapshots 10000] [--tags 3000] [--folder /tmp] [KIND ...]

Files of each kind are generated in a temporary folder and removed afterwards. Each measurement runs in a child process
of its own, so that the peak of resident memory belongs to it alone; its time is processor time, so that other work on
the machine does not count. The plain read takes the bytes of the file in blocks and throws them away.
"""

import argparse
import io
import json
import random
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from itertools import cycle, islice
from pathlib import Path

MAX_RSS_MB = 300  # what the readers promise
_DIFFERENT = 16  # snapshots that are made; the file repeats them under new dates
_BLOCK = 1 << 20
_HEADER = (
    "\n Memory:33473120K Avail:{available}K  PageFlts:901597864   InRam Krnl:76500K P:4130272K\n"
    " Commit:35762700K Limit:64575904K Peak:43634092K            Pool N:{nonpaged}K P:4427892K\n"
    " System pool information\n"
    " Tag  Type     Allocs            Frees            Diff   Bytes       Per Alloc\n\n"
)

Row = tuple[str, str, int, int, int]


def tables(tags: int, source: random.Random) -> list[list[Row]]:
    """Tag, pool, frees, outstanding and bytes per allocation of each row, of some snapshots."""
    names = [f"{'ABCDEFGH'[number // 1000 % 8]}{number % 1000:03d}" for number in range(tags)]
    rows = [
        (name, source.choice(("Nonp ", "Paged")), 10 ** source.randrange(1, 10), source.randrange(50_000), 8 << (n % 9))
        for n, name in enumerate(names)
    ]
    return [[(t, p, f + 7 * step, d + step * (d % 5), e) for t, p, f, d, e in rows] for step in range(_DIFFERENT)]


def snapshot(rows: list[Row]) -> str:
    """Rows as ``poolmon -n`` writes them."""
    return "".join(f" {t} {p} {f + d:18} {f:18} {d:17} {d * e:14} {e if d else 0:16}\n" for t, p, f, d, e in rows)


def screen(rows: list[Row]) -> str:
    """Rows as a screen shows them, sorted by bytes, with changes and drivers."""
    return "".join(
        f" {t} {p} {f + d:10} ({d % 90:4}) {f:10} ({f % 80:4}) {d:8} {d * e:7} ({0:6}) {e if d else 0:6}"
        " [ntfs.sys  -  AttrSup.c]\n"
        for t, p, f, d, e in sorted(rows, key=lambda row: -row[3] * row[4])
    )


def poolmon(write: Callable[[list[Row]], str], tags: int) -> Iterator[str]:
    """Snapshots with a date before each, one a minute."""
    bodies = [write(rows) for rows in tables(tags, random.Random(2008))]
    at = datetime(2008, 3, 27, 10, 15)
    for number, body in enumerate(cycle(bodies)):
        date = (at + timedelta(minutes=number)).strftime("%A, %B %d, %Y %I:%M:%S %p")
        yield f"\n{date}\n" + _HEADER.format(available=26121028 - number, nonpaged=2275124 + number) + body


def csv_tables(tags: int) -> Iterator[str]:
    """The same as CSV with a column of times."""
    bodies = [
        [f"{t},{p.strip()},{f + d},{f},{d},{d * e}\n" for t, p, f, d, e in rows]
        for rows in tables(tags, random.Random(2008))
    ]
    yield "time,tag,type,allocs,frees,diff,bytes\n"
    at = datetime(2008, 3, 27, 10, 15)
    for number, body in enumerate(cycle(bodies)):
        date = (at + timedelta(minutes=number)).isoformat() + "Z,"
        yield "".join(date + row for row in body)


KINDS: dict[str, Callable[[int], Iterator[str]]] = {
    "poolmon-n": lambda tags: poolmon(snapshot, tags),
    "poolmon-screens": lambda tags: poolmon(screen, tags),
    "csv": csv_tables,
}


def generate(path: Path, kind: str, snapshots: int, tags: int) -> int:
    """Write a file; the same every time."""
    with path.open("w", encoding="utf-8", newline="\n") as file:
        for text in islice(KINDS[kind](tags), snapshots):
            file.write(text)
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
    kept = 0
    if what == "plain":
        begin = time.process_time()
        with Path(path).open("rb") as file:
            while file.read(_BLOCK):
                pass
    else:
        from poolsleuth.evidence.poolmon_log import read_poolmon_log  # noqa: PLC0415 - the plain read must not pay
        from poolsleuth.evidence.tag_csv import read_tag_csv  # noqa: PLC0415
        from poolsleuth.model.series import TagHistory  # noqa: PLC0415

        begin = time.process_time()
        read = read_tag_csv if what == "csv" else read_poolmon_log
        with io.FileIO(path) as raw:
            facts = read(raw, 0, None, [], lambda: None)
        kept = sum(len(fact.times) for fact in facts if isinstance(fact, TagHistory))
    seconds = time.process_time() - begin
    print(json.dumps({"seconds": seconds, "peak": peak_rss(), "kept": kept}))


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
    parser.add_argument("--snapshots", type=int, default=1000, help="tables of each file (default 1000)")
    parser.add_argument("--tags", type=int, default=3000, help="rows of each table (default 3000)")
    parser.add_argument("--folder", help="where the temporary folder is made")
    parser.add_argument("--child", nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        child(*arguments.child)
        return
    unknown = set(arguments.kinds) - set(KINDS)
    if unknown:
        parser.error(f"no such kind: {', '.join(sorted(unknown))}")
    print(f"{'kind':<16} | {'MB':>6} | {'MB/s':>6} | {'plain MB/s':>10} | {'ratio':>5} | {'peak RSS MB':>11} | kept")
    too_much = False
    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
        for kind in arguments.kinds or KINDS:
            path = Path(folder, f"{kind}.txt")
            size = generate(path, kind, arguments.snapshots, arguments.tags) / (1 << 20)
            plain = measured("plain", path)
            mine = measured(kind, path)
            path.unlink()
            peak = mine["peak"] / (1 << 20)
            too_much = too_much or peak > MAX_RSS_MB
            print(
                f"{kind:<16} | {size:6.0f} | {size / mine['seconds']:6.1f} |"
                f" {size / max(plain['seconds'], 1e-3):10.0f} | {mine['seconds'] / max(plain['seconds'], 1e-3):5.1f} |"
                f" {peak:11.0f} | {mine['kept']:.0f}",
                flush=True,
            )
    sys.exit(1 if too_much else 0)


if __name__ == "__main__":
    main()
