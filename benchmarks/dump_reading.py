"""How fast crash dumps are read, beside plain reads of the same bytes and kdmp-parser in the same run.

    python benchmarks/dump_reading.py [--folder /tmp] [--repeat 5] [pages] [tables] [whole]

Dumps of a simulated machine are generated in a temporary folder and removed afterwards; they are sparse files, so that
64 GB take some megabytes of disk. They are in the system's cache: what is measured is the reader, not the disk. Time is
processor time, the least of several runs that take turns; the ratios are of one run.

pages: random and ordered reads of pages that hold something. A plain read copies them out of a memory map at places
that were looked up before: no reader can be faster. kdmp-parser (left out where it is not installed) reads one page a
call.

tables: pool tags and big allocations, with all that is needed to come to them, beside numpy adding up the same rows
that lie behind each other in a file of their own.

whole: ``poolsleuth diagnose`` as a process, from its start to its end, on dumps of one machine with 1, 16 and 64 GB of
memory. "start" is the program without a dump (``--version``).
"""

import argparse
import json
import mmap
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

# The process that starts others stays small, for its memory counts as theirs: what is large is imported where used
if TYPE_CHECKING:
    from poolsleuth.kernel.target import Kernel

GB = 1 << 30
PAGE = 4096
PAGES = 32_768  # read in each measurement
AT_ONCE = 1024  # pages of one call where a reader takes many
WINDOWS = "19041-x64"
LARGE = "large.dmp"

Work = Callable[[], object]
Told = dict[str, float]


def make_dumps(folder: Path, part: str) -> None:
    """The dumps of one part."""
    from poolsleuth.lab.catalogue import windows_named  # noqa: PLC0415
    from poolsleuth.lab.containers.kinds import DumpKind  # noqa: PLC0415
    from poolsleuth.lab.simulate import simulate  # noqa: PLC0415
    from poolsleuth.lab.stories import Size, make_machine  # noqa: PLC0415

    windows = windows_named(WINDOWS)
    if part != "whole":
        size = Size(ram_bytes=16 * GB, processors=32, tags=20_000, big_allocations=500_000, processes=60)
        simulate(make_machine(windows, size=size)).write(folder / LARGE, DumpKind.COMPLETE)
        return
    for gigabytes in (1, 16, 64):
        size = Size(ram_bytes=gigabytes * GB, processors=16, tags=3000, big_allocations=20_000, processes=60)
        machine = simulate(make_machine(windows, "leak", size=size))
        for kind in (DumpKind.COMPLETE, DumpKind.BITMAP_FULL):
            machine.write(folder / f"{gigabytes:02} GB {kind}.dmp", kind)


def least(repeat: int, works: dict[str, Work]) -> Told:
    """The least processor time of each work in seconds; they take turns."""
    took: dict[str, list[float]] = {name: [] for name in works}
    for _ in range(repeat):
        for name, work in works.items():
            begun = time.process_time()
            work()
            took[name].append(time.process_time() - begun)
    return {name: min(times) for name, times in took.items()}


@contextmanager
def opened_kernel(path: Path) -> Iterator["Kernel"]:
    from poolsleuth.evidence.dump.opening import open_kernel  # noqa: PLC0415
    from poolsleuth.evidence.dump.options import DumpOptions  # noqa: PLC0415
    from poolsleuth.kernel.crash_dump.content import open_content  # noqa: PLC0415

    with path.open("rb") as file, open_content(file) as content:
        kernel = open_kernel(content, DumpOptions(offline=True)).kernel
        assert kernel is not None
        yield kernel


@dataclass(frozen=True, slots=True)
class Table:
    """Tables of one kind: their addresses, the rows of each, and what a row is."""

    addresses: list[int]
    rows: int
    dtype: Any

    @property
    def size(self) -> int:
        return self.rows * int(self.dtype.itemsize)


def tables_of(kernel: "Kernel") -> tuple[Table, Table]:
    """The tag tables of all processors, and the table of big allocations."""
    from poolsleuth.kernel.pool.big_page_layout import big_page_layout  # noqa: PLC0415
    from poolsleuth.kernel.pool.tracker_layout import tracker_layout  # noqa: PLC0415

    array, rows = kernel.address("ExPoolTagTables"), kernel.variable("PoolTrackTableSize")
    big, big_rows = kernel.variable("PoolBigPageTable"), kernel.variable("PoolBigPageTableSize")
    assert array is not None
    assert rows
    assert big
    assert big_rows
    assert kernel.processors
    tables = [kernel.memory.pointer(array + 8 * number) or 0 for number in range(kernel.processors)]
    tag_layout = tracker_layout(kernel, kernel.memory, tables[0], rows)
    big_layout = big_page_layout(kernel, kernel.memory, big, big_rows)
    assert tag_layout is not None
    assert big_layout is not None
    return Table(tables, rows, tag_layout.dtype), Table([big], big_rows, big_layout.dtype)


def measure_pages(path: Path, repeat: int) -> list[dict[str, Any]]:
    """Pages of the kernel's tables, in order and at random, by their physical and their virtual numbers."""
    import numpy as np  # noqa: PLC0415

    from poolsleuth.kernel.crash_dump.content import open_content  # noqa: PLC0415
    from poolsleuth.kernel.crash_dump.dump import open_dump  # noqa: PLC0415
    from poolsleuth.kernel.paging.parameters import parameters_for  # noqa: PLC0415
    from poolsleuth.kernel.paging.space import VirtualMemory, open_address_space  # noqa: PLC0415

    begun = time.process_time()
    with opened_kernel(path) as kernel:
        opened = time.process_time() - begun
        spans = [(at, table.size) for table in tables_of(kernel) for at in table.addresses]
    begun = time.process_time()
    kdmp = _kdmp(path)
    kdmp_opened = time.process_time() - begun
    found: list[dict[str, Any]] = [{"what": "open", "us": opened * 1e6, "kdmp": kdmp_opened * 1e6 if kdmp else None}]
    with path.open("rb") as file, open_content(file) as content:
        dump = open_dump(content)
        physical, base = dump.memory, dump.header.directory_table_base
        assert physical is not None
        assert base is not None
        parameters = parameters_for(dump.header.build or 0, "x64", None)

        def space() -> VirtualMemory:
            """Another one each time, whose page tables nobody has read yet."""
            return open_address_space(physical, parameters, base)

        def measure(what: str, **works: Work) -> None:
            told = least(repeat, works)
            each = {name: seconds / PAGES * 1e6 for name, seconds in told.items()}
            for name, us in each.items():
                row = {"what": f"{what}, {name.replace('_', ' ')}", "us": us}
                found.append({**row, "plain": each.get("plain"), "kdmp": each.get("kdmp")})

        virtual = np.concatenate([np.arange(a // PAGE, (a + n) // PAGE, dtype=np.uint64) for a, n in spans])
        frames = space().translate_pages(virtual)
        virtual = virtual[(frames >= 0) & (physical.offsets(frames) >= 0)][:PAGES]
        assert len(virtual) == PAGES
        frames = space().translate_pages(virtual)
        shuffled = np.random.default_rng(7).permutation(PAGES)
        for order, by_frame, by_number in (
            ("in order", np.argsort(frames), np.arange(PAGES)),
            ("at random", shuffled, shuffled),
        ):
            numbers = frames[by_frame]
            addresses = [number * PAGE for number in numbers.tolist()]
            works: dict[str, Work] = {
                "plain": partial(_copy_each, path, physical.offsets(numbers).tolist()),
                "gather": partial(_gather_all, physical, numbers),
                "one_by_one": partial(_call_each, physical.read_physical, addresses, PAGE),
            }
            if kdmp is not None:
                works["kdmp"] = partial(_call_each, kdmp.read_physical_page, addresses)
            measure(f"physical {order}", **works)
            pages = virtual[by_number]
            places = [page * PAGE for page in pages.tolist()]
            works = {
                "plain": partial(_copy_each, path, physical.offsets(frames[by_number]).tolist()),
                "gather": lambda pages=pages: _gather_all(space(), pages),  # type: ignore[misc]
                "one_by_one": lambda places=places: _call_each(space().read, places, PAGE),  # type: ignore[misc]
            }
            if kdmp is not None:
                works["kdmp"] = partial(_call_each, kdmp.read_virtual_page, places, base)
            measure(f"virtual {order}", **works)
            works = {"translate_pages": lambda pages=pages: space().translate_pages(pages)}  # type: ignore[misc]
            if kdmp is not None:
                works["kdmp"] = partial(_call_each, kdmp.translate_virtual, places, base)
            measure(f"translation {order}", **works)
    return found


def _kdmp(path: Path) -> Any:
    """kdmp-parser's reader of the dump; None where it is not installed."""
    try:
        return import_module("kdmp_parser").KernelDumpParser(path)
    except ImportError:
        return None


def _copy_each(path: Path, offsets: list[int]) -> None:
    """Out of a new map, as each of our own runs has to have its pages mapped anew."""
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
        for offset in offsets:
            mapped[offset : offset + PAGE]


def _gather_all(space: Any, numbers: Any) -> None:
    for begin in range(0, len(numbers), AT_ONCE):
        space.gather(numbers[begin : begin + AT_ONCE])


def _call_each(read: Callable[..., object], addresses: list[int], *more: int) -> None:
    for address in addresses:
        read(address, *more)


def measure_tables(path: Path, repeat: int) -> list[dict[str, Any]]:
    """Tag totals and big allocations, beside numpy over the same rows in a file of their own."""
    import numpy as np  # noqa: PLC0415

    from poolsleuth.kernel.pool.big_pages import read_big_pages  # noqa: PLC0415
    from poolsleuth.kernel.pool.tracker_tables import read_tag_totals  # noqa: PLC0415

    def copied(kernel: "Kernel", table: Table, name: str) -> Path:
        flat = path.with_name(name)
        with flat.open("wb") as out:
            for address in table.addresses:
                for begin in range(0, table.size, 1 << 20):
                    raw = kernel.memory.read(address + begin, min(table.size - begin, 1 << 20))
                    assert raw is not None
                    out.write(raw)
        return flat

    with opened_kernel(path) as kernel:
        tags, big = tables_of(kernel)
        flat_tags, flat_big = copied(kernel, tags, "tags"), copied(kernel, big, "big")

        def plain_tags() -> object:
            read = np.fromfile(flat_tags, tags.dtype).reshape(len(tags.addresses), tags.rows)
            return [read[name].sum(axis=0) for name in tags.dtype.names if name != "Key"]

        def plain_big() -> object:
            read = np.fromfile(flat_big, big.dtype)
            used = (read["Va"] != 0) & (read["Va"] & 1 == 0)
            return read["NumberOfBytes"][used].sum()

        found: list[dict[str, Any]] = []
        for what, plain, read, count in (
            ("tag tables", plain_tags, read_tag_totals, len(tags.addresses) * tags.rows),
            ("big pages", plain_big, read_big_pages, big.rows),
        ):
            told: dict[str, list[float]] = {"plain": [], "poolsleuth": []}
            for _ in range(repeat):
                with opened_kernel(path) as cold:  # page tables that nobody has read yet
                    begun = time.process_time()
                    plain()
                    between = time.process_time()
                    read(cold)
                    told["plain"].append(between - begun)
                    told["poolsleuth"].append(time.process_time() - between)
            found.append({"what": what, "count": count, **{name: min(times) for name, times in told.items()}})
    return found


def measure_whole(folder: Path, repeat: int) -> list[dict[str, Any]]:
    """The program as a process: wall and processor time in seconds, and peak memory in MB."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    environment["PYTHONPYCACHEPREFIX"] = str(folder / "bytecode")  # as of an installed package
    commands: dict[str, list[str]] = {"start": ["--version"]}
    for path in sorted(folder.glob("*.dmp")):
        commands[path.stem] = ["diagnose", "--offline", str(path)]
    told: dict[str, list[tuple[float, float, float]]] = {name: [] for name in commands}
    for turn in range(repeat + 1):
        for name, arguments in commands.items():
            begun = time.perf_counter()
            process = subprocess.Popen(
                [sys.executable, "-m", "poolsleuth", *arguments],
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                env=environment,
            )
            _, status, usage = os.wait4(process.pid, 0)
            wall = time.perf_counter() - begun
            process.returncode = os.waitstatus_to_exitcode(status)
            assert process.returncode in (0, 1), name
            if turn:  # the first run makes the byte code and fills the cache
                told[name].append((wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024))
    return [
        {"what": name, "wall": min(t[0] for t in runs), "cpu": min(t[1] for t in runs), "rss": max(t[2] for t in runs)}
        for name, runs in told.items()
    ]


def child(what: str, folder: Path, repeat: int) -> None:
    """One part, in a process of its own; what it found is printed as JSON."""
    if what.startswith("make-"):
        make_dumps(folder, what.removeprefix("make-"))
        return
    if what == "whole":
        found = measure_whole(folder, repeat)
    else:
        found = (measure_pages if what == "pages" else measure_tables)(folder / LARGE, repeat)
    print(json.dumps(found))


def _run(what: str, folder: Path, repeat: int) -> list[dict[str, Any]]:
    command = [sys.executable, __file__, "--child", what, str(folder), str(repeat)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    found: list[dict[str, Any]] = json.loads(done.stdout or "[]")
    return found


def print_pages(found: list[dict[str, Any]]) -> None:
    first, *rows = found
    beside = f", kdmp-parser {first['kdmp'] / 1e6:.2f} s" if first["kdmp"] is not None else ""
    print(f"opening a dump of 16 GB: poolsleuth (with its kernel and symbols) {first['us'] / 1e6:.2f} s{beside}\n")
    print("| pages | pages/s | of a plain read | times kdmp-parser |")
    print("|---|--:|--:|--:|")
    for row in rows:
        plain = f"{row['plain'] / row['us']:.2f}" if row["plain"] is not None else ""
        kdmp = f"{row['kdmp'] / row['us']:.1f}" if row["kdmp"] is not None else ""
        print(f"| {row['what']} | {1e6 / row['us']:,.0f} | {plain} | {kdmp} |")


def print_tables(found: list[dict[str, Any]]) -> None:
    print("| table | rows | rows/s | plain numpy rows/s | ratio |")
    print("|---|--:|--:|--:|--:|")
    for row in found:
        count, mine, plain = row["count"], row["poolsleuth"], row["plain"]
        print(f"| {row['what']} | {count:,} | {count / mine:,.0f} | {count / plain:,.0f} | {plain / mine:.2f} |")


def print_whole(found: list[dict[str, Any]]) -> None:
    smallest = next(row for row in found if row["what"] != "start")
    print("| dump | wall s | processor s | of the smallest dump | peak memory MB |")
    print("|---|--:|--:|--:|--:|")
    for row in found:
        ratio = row["cpu"] / smallest["cpu"]
        print(f"| {row['what']} | {row['wall']:.2f} | {row['cpu']:.2f} | {ratio:.2f} | {row['rss']:.0f} |")


PARTS: dict[str, Callable[[list[dict[str, Any]]], None]] = {
    "pages": print_pages,
    "tables": print_tables,
    "whole": print_whole,
}


def main() -> None:
    """Generate, measure, print a table for each part."""
    if len(sys.argv) == 5 and sys.argv[1] == "--child":
        child(sys.argv[2], Path(sys.argv[3]), int(sys.argv[4]))
        return
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"of {', '.join(PARTS)}; all when left out")
    parser.add_argument("--folder", help="where the temporary folder is made")
    parser.add_argument("--repeat", type=int, default=5, help="runs of which the least counts (default 5)")
    options = parser.parse_args()
    unknown = set(options.parts) - set(PARTS)
    if unknown:
        parser.error(f"no such part: {', '.join(sorted(unknown))}")
    for part in options.parts or PARTS:
        with tempfile.TemporaryDirectory(dir=options.folder) as folder:
            _run(f"make-{part}", Path(folder), 0)
            PARTS[part](_run(part, Path(folder), options.repeat))
        print(f"\nload of the machine: {', '.join(f'{load:.1f}' for load in os.getloadavg())}\n", flush=True)


if __name__ == "__main__":
    main()
