"""How fast counter logs are read, beside a plain read of the same file in the same run.

    python benchmarks/counter_reading.py [--megabytes 1024] [--folder /tmp] [KIND ...]

Files are generated in a temporary folder and removed afterwards. Each measurement runs in a child process of its own,
so that the peak of resident memory belongs to it alone; its time is processor time. A plain read takes the bytes of the
file in blocks of 1 MB and throws them away: no reader can be faster. "diagnosis" reads what the diagnosis needs and
judges it; "all columns" writes every series as ``poolsleuth trend --csv`` does, to nowhere.
"""

import argparse
import json
import os
import random
import resource
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

START = datetime(2026, 3, 2, tzinfo=UTC)
COLUMNS = 3000
EVERY = 15  # seconds between samples
_BUFFER = 65536
_GUID = bytes.fromhex("b33b3f933e940d499ced3cbb14c14479")
_LOG_GUID = bytes(range(16))
_FILETIME_1970 = 116_444_736_000_000_000

Writer = Callable[[Path, int], None]


def paths() -> list[str]:
    """The counters of a server with many processes; a few of them are what the diagnosis needs."""
    names = [r"\Memory\Pool Nonpaged Bytes", r"\Memory\Pool Paged Bytes", r"\System\System Up Time"]
    names += [rf"\Process(p{n})\Handle Count" for n in range(100)]
    names += [rf"\Thread(p{n % 100}/{n})\Context Switches/sec" for n in range(COLUMNS - len(names))]
    return [rf"\\SRV01{name}" for name in names]


def _figures(source: random.Random, step: int) -> list[float]:
    figures = [float(source.randrange(10**6, 10**9)) for _ in range(COLUMNS)]
    figures[0] = 3e8 + 4000.0 * step
    figures[2] = 86_400.0 + EVERY * step
    return figures


def csv_log(path: Path, size: int) -> None:
    """Perfmon CSV with thousands of columns."""
    source = random.Random(1)
    rows = [_figures(source, step) for step in range(64)]
    with path.open("w", encoding="ascii") as out:
        out.write('"(PDH-CSV 4.0) (UTC)(0)","' + '","'.join(paths()) + '"\n')
        step = 0
        while out.tell() < size:
            figures = rows[step % len(rows)]
            figures[0] = 3e8 + 4000.0 * step
            stamp = (START + timedelta(seconds=EVERY * step)).strftime("%m/%d/%Y %H:%M:%S.000")
            out.write(f'"{stamp}","' + '","'.join(map(repr, figures)) + '"\n')
            step += 1


def _event(kind: int, stamp: int, data: bytes) -> Iterator[bytes]:
    """One PDH record in chunks of at most 8 KB, each an event of its own."""
    pieces = [data[at : at + 8000] for at in range(0, len(data), 8000)] or [b""]
    for number, piece in enumerate(pieces, start=1):
        length = 0x48 + len(piece)
        head = struct.pack("<HBBBBHIIq", length, 0x14, 0xC0, kind, 0, 60, 4, 4, stamp) + _GUID + bytes(8)
        event = head + _LOG_GUID + struct.pack("<II", number, len(pieces)) + piece
        yield event + bytes(-len(event) % 8)


def _header_record() -> bytes:
    entries = [struct.pack("<II", 0x6FF, 0x00020008)]
    for name in paths():
        host, _, rest = name[2:].partition("\\")
        whole, _, counter = rest.partition("\\")
        object_, parenthesis, instance = whole.partition("(")
        kind = 0x10410400 if counter.endswith("/sec") else 0x00010100
        texts, offsets = b"", []
        for text in ("\\\\" + host, object_, instance.rstrip(")") if parenthesis else None, None):
            offsets.append(len(texts) if text is not None else 0xFFFFFFFF)
            texts += (text + "\0").encode("utf-16-le") if text is not None else b""
        counter_at = len(texts)
        texts += (counter + "\0").encode("utf-16-le")
        texts += bytes(-(0x34 + len(texts)) % 8)
        length = 0x34 + len(texts)
        entries.append(
            struct.pack("<IIIIqi", length, 0, 0, kind, 10_000_000, 0)
            + struct.pack("<4IiI", *offsets, 0, counter_at)
            + texts
        )
    return b"".join(entries) + bytes(8)


def blg_log(path: Path, size: int) -> None:
    """A binary log of single counters, as PDH writes it."""
    source = random.Random(2)
    rows = [_figures(source, step) for step in range(16)]
    first = int(START.timestamp() * 10_000_000) + _FILETIME_1970
    sequence = 0

    def buffer(events: bytes) -> bytes:
        nonlocal sequence
        used = 0x48 + len(events)
        head = struct.pack("<IIIIqqQIIIHH8x8x", _BUFFER, 0, 0, 0, first, sequence, 0, 0, 0, used, 0, 4 * (not sequence))
        sequence += 1
        return (head + events).ljust(_BUFFER, b"\xff")

    logger = "{00010203-0405-0607-0809-0a0b0c0d0e0f}\0x.blg\0".encode("utf-16-le")
    info = struct.pack("<I4BIIqIIIIIIII", _BUFFER, 10, 0, 0, 0, 19045, 1, 0, 1, 0, 1, 0, 1, 8, 0, 1000) + bytes(16)
    info += bytes(172) + bytes(-(len(info) + 172) % 8) + struct.pack("<qqqII", 0, 10_000_000, first, 2, 0) + logger
    system = struct.pack("<HBBHHIIqQ", 0, 2, 0xC0, 0x20 + len(info), 0, 4, 4, first, 0) + info
    pending = [system + bytes(-len(system) % 8)]
    room = _BUFFER - 0x48 - len(pending[0])

    with path.open("wb") as out:

        def put(kind: int, stamp: int, data: bytes) -> None:
            nonlocal room
            for event in _event(kind, stamp, data):
                if len(event) > room:
                    out.write(buffer(b"".join(pending)))
                    pending.clear()
                    room = _BUFFER - 0x48
                pending.append(event)
                room -= len(event)

        put(0x20, first, _header_record())
        step = 0
        while out.tell() < size:
            stamp = first + EVERY * 10_000_000 * step
            figures = rows[step % len(rows)]
            figures[0] = 3e8 + 4000.0 * step
            items = b"".join(
                struct.pack("<HHIIqIqqI4x", 0x4C42, 0x0103, 0x30, 0, stamp, 0, int(value) + step * 50, stamp, 0)
                for value in figures
            )
            put(0x22, stamp, struct.pack("<HHI", 0x4C42, 0x0003, 8 + len(items)) + items)
            step += 1
        out.write(buffer(b"".join(pending)))


KINDS: dict[str, tuple[Writer, str]] = {"csv": (csv_log, "log.csv"), "blg": (blg_log, "log.blg")}


def _child(what: str, path: str) -> None:
    """Measure one thing in this process and print it."""
    begun = time.process_time()
    seen = 0
    if what == "plain":
        with Path(path).open("rb", buffering=0) as file:
            while block := file.read(1 << 20):
                seen += len(block)
    elif what == "diagnosis":
        from poolsleuth import diagnose  # noqa: PLC0415

        report = diagnose([path])
        seen = sum(series.samples for machine in report.machines for series in machine.series)
    else:
        from poolsleuth.export.table import write_csv  # noqa: PLC0415

        with Path(os.devnull).open("w") as out:
            seen = write_csv([path], out).rows
    took = time.process_time() - begun
    print(json.dumps({"seconds": took, "rss": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, "seen": seen}))


def _measure(what: str, path: Path) -> dict[str, float]:
    command = [sys.executable, __file__, "--child", what, str(path)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    result: dict[str, float] = json.loads(done.stdout)
    return result


def main() -> None:
    """Generate, measure, print a table."""
    if len(sys.argv) == 4 and sys.argv[1] == "--child":
        _child(sys.argv[2], sys.argv[3])
        return
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--megabytes", type=int, default=256)
    parser.add_argument("--folder", default=None)
    parser.add_argument("--all", action="store_true", help="also write every column")
    parser.add_argument("kinds", nargs="*", metavar="KIND", help=f"of {', '.join(KINDS)}; all when left out")
    options = parser.parse_args()
    print("| log | what | MB/s | of a plain read | plain MB/s | MB | peak memory MB |")
    print("|---|---|--:|--:|--:|--:|--:|")
    for kind in options.kinds or KINDS:
        write, name = KINDS[kind]
        with tempfile.TemporaryDirectory(dir=options.folder) as folder:
            path = Path(folder) / name
            write(path, options.megabytes << 20)
            size = path.stat().st_size / (1 << 20)
            plain = _measure("plain", path)
            for what in ("diagnosis", "all columns") if options.all else ("diagnosis",):
                told = _measure(what, path)
                print(
                    f"| {kind} | {what} | {size / told['seconds']:.0f} | {plain['seconds'] / told['seconds']:.3f} |"
                    f" {size / max(plain['seconds'], 1e-3):.0f} | {size:.0f} | {told['rss']:.0f} |",
                    flush=True,
                )


if __name__ == "__main__":
    main()
