"""What ``poolsleuth top`` costs on a machine with very many tags: share of one core, and memory.

    python benchmarks/top_refresh.py [--tags 20000] [--hertz 10] [--seconds 30] [KIND ...]

A feeder gives samples of so many tags so often, with 300 processes and the pools of 20 sessions; a fifth of the tags
change each time. Kinds:

* copy: the figures of each sample are copied, and nothing else: the floor.
* view: what the screen works out of a sample, without drawing: changes, order, the rows that are seen with their small
  charts, totals; and what it costs once, a sort by each column.
* screen: the whole program, with textual, owners of tags and verdict, drawn at 200x60 without a terminal.

Each kind runs in a process of its own, so that the peak of resident memory is its alone. Share of a core is processor
time of all threads by the clock's time: what else the machine does makes it no larger. Where fewer samples came than
were asked for, the share is what all of them would take. Ends with 1 when the screen takes half of a core, or 200 MB.
"""

import argparse
import asyncio
import json
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from poolsleuth.sampling.sample import Floats, Host, Ids, ProcessRow, Sample, TagFigures, TagIndex, packed_keys

MAX_SHARE = 0.5  # of a core
MAX_MB = 200
SIZE = (200, 60)
SEEN = 54  # rows of the table on such a screen
WIDTH = 14  # characters of a small chart
WARM = 3.0  # seconds before the time is taken: imports, the first look at each tag
MINUTE = 60.0  # seconds of the machine between two samples, so that the verdict has hours to judge
PROCESSES = 300
SESSIONS = 20
SESSION_TAGS = 100  # in the pools of each
CHANGING = 5  # one tag in so many changes between two samples
STEPS = {"BYTES": 64.0, "LEAK": 1104.0}


class Feeder:
    """A machine: tags of both pools, of which a fifth change between two samples, and one leaks. A ``Sampler``."""

    def __init__(self, tags: int) -> None:
        random = np.random.default_rng(4)
        letters = np.frombuffer(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789", np.uint8)
        names = np.unique(letters[random.integers(0, len(letters), (tags, 4))].copy().view(np.uint32).ravel())
        random.shuffle(names)
        in_sessions = SESSIONS * SESSION_TAGS if tags > 2 * SESSIONS * SESSION_TAGS else 0
        half, other = (tags - in_sessions) // 2, (tags - in_sessions + 1) // 2
        parts = [packed_keys(names[:half], 0), packed_keys(names[:other], 1)]
        parts += [packed_keys(names[:SESSION_TAGS], 1, session) for session in range(1, SESSIONS + 1) if in_sessions]
        keys = np.concatenate(parts)
        self.index = TagIndex()
        self.host = Host("BENCH", "Windows Server 2019", 17763, "x64", 64 << 30)
        self.notes: tuple[str, ...] = ()
        self._ids: Ids = self.index.numbers(keys)
        self._random = random
        self._time = 1.7e9
        self._taken = 0
        self._outstanding: Floats = np.floor(10 ** random.uniform(0, 5, len(keys)))
        self._bytes: Floats = self._outstanding * random.integers(2, 64, len(keys)) * 16
        self._allocs: Floats = self._outstanding + np.floor(10 ** random.uniform(0, 8, len(keys)))

    def take(self) -> Sample:
        """The next sample."""
        count = len(self._ids)
        some = self._random.integers(0, count, count // CHANGING)
        size, outstanding, allocs = self._bytes.copy(), self._outstanding.copy(), self._allocs.copy()
        more = np.maximum(self._random.integers(-3, 4, len(some)), 1 - outstanding[some])
        size[some] = np.maximum(size[some] + more * STEPS["BYTES"], 0)
        outstanding[some] += more
        allocs[some] += np.abs(more) + 1
        size[7] += STEPS["LEAK"] * 100
        outstanding[7] += 100
        allocs[7] += 100
        self._bytes, self._outstanding, self._allocs = size, outstanding, allocs
        self._taken += 1
        self._time += MINUTE
        memory = {"physical": 64 * 2.0**30, "nonpaged_used": float(size.sum()), "paged_used": float(size.sum())}
        return Sample(
            self._time, TagFigures(self._ids, size, outstanding, allocs), memory, self._processes(), complete=True
        )

    def _processes(self) -> list[ProcessRow]:
        """New rows for each sample, as a running Windows gives them."""
        more = self._taken
        return [
            ProcessRow(4 * pid, f"process{pid}.exe", 100 + pid + more % 7, 50_000 + more, 200_000, pid % SESSIONS)
            for pid in range(1, PROCESSES + 1)
        ]


def beat(work: Callable[[], None], hertz: float, seconds: float) -> dict[str, float]:
    """Do something so often, for so long: its share of a core, and how often it was done."""
    for _ in range(max(3, round(hertz))):
        work()
    begin, cpu = time.monotonic(), time.process_time()
    done = 0
    while (now := time.monotonic()) < begin + seconds:
        work()
        done += 1
        time.sleep(max(0.0, begin + done / hertz - time.monotonic()))
    return {"share": (time.process_time() - cpu) / (now - begin), "done": done / (now - begin)}


def copying(feeder: Feeder, hertz: float, seconds: float) -> dict[str, float]:
    kept: list[Floats] = []

    def work() -> None:
        tags = feeder.take().tags
        kept[:] = [tags.bytes.copy(), tags.outstanding.copy(), tags.allocs.copy()]

    return beat(work, hertz, seconds)


def viewing(feeder: Feeder, hertz: float, seconds: float) -> dict[str, float]:
    from poolsleuth.model.machine import System  # noqa: PLC0415 - the copy must not pay
    from poolsleuth.top.owners import Owners  # noqa: PLC0415
    from poolsleuth.top.tracker import Tracker  # noqa: PLC0415
    from poolsleuth.top.view import Column, View, ViewOptions  # noqa: PLC0415

    tracker = Tracker(feeder.index, feeder.host)
    view = View(tracker, Owners(System()))
    options = ViewOptions(sort=Column.RATE, totals=True)

    def work() -> None:
        tracker.feed(feeder.take())
        seen = view.rows(options)[:SEEN]
        view.look(seen)
        view.sparks(seen, WIDTH)
        view.totals(options)

    answer = beat(work, hertz, seconds)
    begin = time.process_time()
    view.rows(ViewOptions(search="nt"))
    answer["first search"] = (time.process_time() - begin) * 1000
    for column in Column:
        best = 1.0
        for _ in range(5):
            tracker.feed(feeder.take())
            begin = time.process_time()
            view.rows(ViewOptions(sort=column, include=("*",), by_change=True))
            best = min(best, time.process_time() - begin)
        answer[f"sort {column}"] = best * 1000
    return answer


def screening(feeder: Feeder, hertz: float, seconds: float) -> dict[str, float]:
    """The textual application over a live feed, driven as its tests drive it: all but the terminal's own work."""
    from poolsleuth.top.feed import LiveFeed  # noqa: PLC0415
    from poolsleuth.top.owners import Owners  # noqa: PLC0415
    from poolsleuth.top.screen.app import TopApp  # noqa: PLC0415
    from poolsleuth.top.verdict import Judge, system_of  # noqa: PLC0415
    from poolsleuth.top.view import View, ViewOptions  # noqa: PLC0415

    system = system_of(feeder.host)
    feed = LiveFeed(feeder, 1 / hertz)
    view = View(feed.tracker, Owners(system))
    app = TopApp(feed, feed.tracker, view, Judge(system), ViewOptions(totals=True), title="BENCH")

    async def drive() -> dict[str, float]:
        async with app.run_test(size=SIZE):
            await asyncio.sleep(WARM)
            begin, cpu, count = time.monotonic(), time.process_time(), feed.tracker.count
            await asyncio.sleep(seconds)
            passed = time.monotonic() - begin
            share = (time.process_time() - cpu) / passed
            done = (feed.tracker.count - count) / passed
            app.leave()
        return {"share": share, "done": done}

    return asyncio.run(drive())


KINDS = {"copy": copying, "view": viewing, "screen": screening}


def peak_rss() -> int:
    """Peak resident bytes of this program alone: ``ru_maxrss`` is handed on from the process that started it."""
    status = Path("/proc/self/status")
    if status.exists():
        for line in status.read_text(encoding="ascii", errors="replace").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def measured(kind: str, tags: int, hertz: float, seconds: float) -> dict[str, float]:
    """One kind in a child process."""
    words = [kind, str(tags), str(hertz), str(seconds)]
    run = subprocess.run([sys.executable, __file__, "--child", *words], check=True, capture_output=True, text=True)
    answer: dict[str, float] = json.loads(run.stdout.splitlines()[-1])
    return answer


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kinds", nargs="*", metavar="KIND", help=f"of {', '.join(KINDS)} (default: all)")
    parser.add_argument("--tags", type=int, default=20_000, help="rows of each sample (default 20000)")
    parser.add_argument("--hertz", type=float, default=10.0, help="samples a second (default 10)")
    parser.add_argument("--seconds", type=float, default=30.0, help="how long each kind runs (default 30)")
    parser.add_argument("--child", nargs=4, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        kind, tags, hertz, seconds = arguments.child
        answer = KINDS[kind](Feeder(int(tags)), float(hertz), float(seconds))
        print(json.dumps({**answer, "peak": peak_rss()}))
        return
    unknown = set(arguments.kinds) - set(KINDS)
    if unknown:
        parser.error(f"no such kind: {', '.join(sorted(unknown))}")
    print(f"{'kind':<8} | {'samples/s':>9} | {'% of a core':>11} | {'ms/sample':>9} | {'ratio':>6} | peak RSS MB")
    floor: float | None = None
    too_much = False
    for kind in arguments.kinds or KINDS:
        answer = measured(kind, arguments.tags, arguments.hertz, arguments.seconds)
        each = answer["share"] / max(answer["done"], 1e-6) * 1000
        share = max(answer["share"], each / 1000 * arguments.hertz)
        floor = each if kind == "copy" else floor
        ratio = f"{each / floor:6.1f}" if floor else "     -"
        peak = answer["peak"] / (1 << 20)
        print(
            f"{kind:<8} | {answer['done']:9.1f} | {share:11.1%} | {each:9.2f} | {ratio} | {peak:.0f}",
            flush=True,
        )
        sorts = {name: took for name, took in answer.items() if name.startswith(("sort ", "first "))}
        if sorts:
            print(
                "         rows in ms: "
                + ", ".join(f"{name.removeprefix('sort ')} {took:.1f}" for name, took in sorts.items())
            )
        too_much = too_much or (kind == "screen" and (share >= MAX_SHARE or peak > MAX_MB))
    sys.exit(1 if too_much else 0)


if __name__ == "__main__":
    main()
