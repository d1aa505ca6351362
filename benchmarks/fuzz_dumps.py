"""Fuzzes the readers of crash dumps and symbol files: coverage-guided (atheris), or at random without it.

    python benchmarks/fuzz_dumps.py dumps --seconds 1500 --folder /tmp/fuzz [--only 7601-x64]
    python benchmarks/fuzz_dumps.py dumps --random 2000 --folder /tmp/fuzz
    python benchmarks/fuzz_dumps.py dumps --replay /tmp/fuzz/finds/0123abcd

Targets: ``dumps`` (``read_dump``, and one run in 32 through a file and ``diagnose`` to the report), ``pools`` (blocks,
pointers and code of every dump, the map, commands of the shell, ``whois``; see ``fuzz_pools.py``), ``pdb``, ``isf``.
A find is an exception other than InputError, a part that could not be read for an "internal error", a warning of
numpy, more than ``MAX_SECONDS`` of processor time, or a jump in peak memory. Each kind is kept once in
``FOLDER/finds``, and the run goes on. See docs/fuzzing.md.
"""

import argparse
import contextlib
import functools
import hashlib
import importlib
import importlib.util
import os
import random
import resource
import signal
import sys
import tempfile
import time
import traceback
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

MAX_SECONDS = 10.0  # of processor time: an undamaged seed takes a tenth of a second
SLOW_SECONDS = 2.0  # told, but no find
MAX_GROWTH = 256 << 20  # bytes by which the peak of memory may rise in one run
MAX_SPACE = 6 << 30  # bytes of address space in all: what wants more gets a MemoryError, which is a find
WHOLE_ROAD = 32  # one run in so many goes the whole road
MAX_LENGTH = 2 + 12 * 24
REPORTED_EVERY = 100
_WATCHED = ("poolsleuth.kernel", "poolsleuth.evidence.dump", "poolsleuth.drivers", "poolsleuth.debugger")


class Hang(BaseException):
    """The alarm went off. It is no Exception: no reader may catch it."""


class Fuzzer:
    """Runs inputs of one target and keeps what they find."""

    def __init__(self, target: str, folder: Path, only: str = "") -> None:
        import fuzz_seeds  # noqa: PLC0415

        self.folder = folder / "finds"
        self.folder.mkdir(parents=True, exist_ok=True)
        makers: dict[str, Callable[[], list[fuzz_seeds.Seed]]] = {
            "dumps": lambda: fuzz_seeds.dump_seeds(only),
            "pools": lambda: _pools().pool_seeds(only),
            "pdb": fuzz_seeds.pdb_seeds,
            "isf": fuzz_seeds.isf_seeds,
        }
        self.seeds = makers[target]()
        self.target = target
        self.runs = 0
        self.road = 0
        self.finds: dict[str, int] = {}
        self.slowest = 0.0
        self.started = time.monotonic()
        self._inner: list[str] = []
        self._read = {"dumps": self._dump, "pools": self._pool, "pdb": self._pdb, "isf": self._isf}[target]
        self._octets = b""
        self._seed = self.seeds[0] if self.seeds else None
        if target == "pools":
            _pools().force_looks()
        self._prepare()
        for number in range(len(self.seeds)):  # what is loaded once must not count as growth
            for flags in (0, 1):
                self.run(bytes((number, flags)))
        self.peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10

    def _prepare(self) -> None:
        from poolsleuth.evidence.dump.context import DumpContext  # noqa: PLC0415
        from poolsleuth.kernel.symbols import find  # noqa: PLC0415

        # A table is unpacked once, not in every run
        find.bundled_table = functools.cache(find.bundled_table)  # type: ignore[attr-defined]
        says = DumpContext.problem

        def noted(context: DumpContext, text: str, *others: int | None, **named: int | None) -> None:
            if "internal error" in text:
                self._inner.append(traceback.format_exc())
            says(context, text, *others, **named)

        DumpContext.problem = noted  # type: ignore[method-assign, assignment]
        os.environ.pop("_NT_SYMBOL_PATH", None)

        def alarm(_number: int, frame: object) -> None:
            raise Hang("".join(traceback.format_stack(frame)))  # type: ignore[arg-type]

        signal.signal(signal.SIGPROF, alarm)

    def run(self, octets: bytes) -> str | None:
        """Run one input; gives what it found."""
        if len(octets) < 2:
            return None
        from fuzz_program import Change  # noqa: PLC0415

        seed = self.seeds[octets[0] % len(self.seeds)]
        self._octets, self._seed = octets, seed
        whole = octets[1] % WHOLE_ROAD == 0
        self.runs += 1
        self.road += whole
        before = time.process_time()
        self._inner.clear()
        told: str | None = None
        with Change(seed, octets[2:]) as size, warnings.catch_warnings():
            warnings.simplefilter("error", RuntimeWarning)
            try:
                signal.setitimer(signal.ITIMER_PROF, MAX_SECONDS)
                try:
                    self._read(memoryview(seed.data)[:size], whole)
                finally:
                    signal.setitimer(signal.ITIMER_PROF, 0)
            except Hang as error:
                told = f"hang\n{error}"
            except Exception:
                told = traceback.format_exc()
        took = time.process_time() - before
        if told is None and self._inner:
            told = self._inner[0]
        if told is not None:
            self._keep(octets, _place(told), told)
        if took > SLOW_SECONDS and not (told or "").startswith("hang"):
            self._keep(octets, f"slow {seed.name}", f"{took:.1f} s of processor time")
        self.slowest = max(self.slowest, took)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10
        if hasattr(self, "peak"):
            if peak - self.peak > MAX_GROWTH:
                rose = f"peak of {self.peak >> 20} MB rose to {peak >> 20} MB"
                self._keep(octets, f"memory {seed.name} {peak >> 28}", rose)
            self.peak = max(self.peak, peak)
            if self.runs % REPORTED_EVERY == 0:
                self._report()
        return told

    def _dump(self, octets: memoryview, whole: bool) -> None:
        from fuzz_seeds import PatchedFile  # noqa: PLC0415
        from poolsleuth.evidence.dump.options import DumpOptions  # noqa: PLC0415
        from poolsleuth.evidence.dump.reader import read_dump  # noqa: PLC0415
        from poolsleuth.model.errors import InputError  # noqa: PLC0415

        if whole:
            self._whole_road(octets)
            return
        with contextlib.suppress(InputError):
            read_dump(PatchedFile(octets), 0, [], DumpOptions(offline=True))  # type: ignore[arg-type]

    def _whole_road(self, octets: memoryview) -> None:
        from rich.console import Console  # noqa: PLC0415

        from poolsleuth.evidence.dump.options import DumpOptions  # noqa: PLC0415
        from poolsleuth.model.document import to_json  # noqa: PLC0415
        from poolsleuth.pipeline import diagnose  # noqa: PLC0415
        from poolsleuth.report.html import render_html  # noqa: PLC0415
        from poolsleuth.report.markdown import render_markdown  # noqa: PLC0415
        from poolsleuth.report.terminal import render  # noqa: PLC0415

        with tempfile.NamedTemporaryFile(suffix=".dmp") as file:
            file.write(octets)
            file.flush()
            report = diagnose(file.name, dumps=DumpOptions(offline=True))
        for problem in report.problems:
            if "internal error" in problem.says:
                raise RuntimeError(self._inner[0] if self._inner else problem.says)
        with Path(os.devnull).open("w", encoding="utf-8") as nowhere:
            render(report, Console(file=nowhere, width=100), verbosity=2)
        for text in (to_json(report), render_html(report), render_markdown(report)):
            "".join(text).encode("utf-8", errors="replace")

    def _pool(self, octets: memoryview, whole: bool) -> None:
        from fuzz_seeds import PatchedFile  # noqa: PLC0415

        pools = _pools()
        if whole:
            with tempfile.NamedTemporaryFile(suffix=".dmp") as file:
                file.write(octets)
                file.flush()
                pools.whole_road(file.name)
            return
        opener = pools.Opener(lambda: PatchedFile(octets), self._seed.words if self._seed is not None else {})
        pools.everything(opener, random.Random(self._octets), self._octets[1])

    def _pdb(self, octets: memoryview, _whole: bool) -> None:
        from poolsleuth.kernel.symbols.pdb import kernel_table, read_pdb  # noqa: PLC0415
        from poolsleuth.model.errors import InputError  # noqa: PLC0415

        with tempfile.NamedTemporaryFile(suffix=".pdb") as file:
            file.write(octets)
            file.flush()
            with contextlib.suppress(InputError), read_pdb(file.name) as pdb:
                kernel_table(pdb)

    def _isf(self, octets: memoryview, _whole: bool) -> None:
        from poolsleuth.kernel.symbols.isf import read_isf  # noqa: PLC0415
        from poolsleuth.model.errors import InputError  # noqa: PLC0415

        with contextlib.suppress(InputError):
            read_isf(bytes(octets))

    def _keep(self, octets: bytes, key: str, told: str) -> None:
        known = key in self.finds
        self.finds[key] = self.finds.get(key, 0) + 1
        if known:
            return
        name = hashlib.sha256(key.encode()).hexdigest()[:8]
        (self.folder / name).write_bytes(octets)
        (self.folder / f"{name}.txt").write_text(f"{self.target}: {key}\n{told}\n", encoding="utf-8")
        print(f"find {name}: {key}", flush=True)

    def _report(self) -> None:
        minutes = (time.monotonic() - self.started) / 60
        print(
            f"{self.runs:,} runs ({self.road:,} to the report) in {minutes:.1f} minutes,"
            f" {len(self.finds)} kinds of finds, slowest {self.slowest:.1f} s, peak {self.peak >> 20} MB",
            flush=True,
        )


def _pools() -> Any:
    """The runs of the target ``pools``: loaded after the hooks of the guided fuzzer are in place."""
    return importlib.import_module("fuzz_pools")


def _place(told: str) -> str:
    """The exception and the innermost line of ours: what tells finds apart."""
    lines = told.strip().splitlines()
    ours = [line.strip() for line in lines if "/poolsleuth/" in line and "File " in line]
    kind = "hang" if lines[0] == "hang" else lines[-1].split(":")[0]
    if kind == "hang":
        return f"hang {' < '.join(line.split(', ')[-1] for line in ours[-3:])}"
    return f"{kind} {ours[-1].rpartition('/poolsleuth/')[2] if ours else lines[-1]}"


def starting_inputs(fuzzer: Fuzzer) -> Iterator[bytes]:
    """Every seed as it is, and with one operation of each action."""
    source = random.Random(0)
    for seed in range(len(fuzzer.seeds)):
        yield bytes((seed, 1))
        for action in range(20):
            yield bytes((seed, 1, action)) + source.randbytes(11)


def at_random(fuzzer: Fuzzer, count: int, first: int) -> None:
    for number in range(first, first + count):
        source = random.Random(number)
        length = 12 * source.choice((1, 1, 1, 2, 3, 5, 9))
        fuzzer.run(source.randbytes(2 + length))
    fuzzer._report()


def _not_watched() -> set[str]:
    """The names of all our modules that are no readers; nothing is imported for it."""
    spec = importlib.util.find_spec("poolsleuth")
    assert spec is not None
    assert spec.origin is not None
    root = Path(spec.origin).parent
    files = [path.relative_to(root.parent).with_suffix("") for path in root.rglob("*.py")]
    names = [".".join(path.parts).removesuffix(".__init__") for path in files]
    return {name for name in names if not name.startswith(_WATCHED)}


def guided(arguments: argparse.Namespace) -> None:
    try:
        atheris = importlib.import_module("atheris")
    except ImportError:
        sys.exit("atheris is missing: install it beside poolsleuth (python -m pip install atheris), or use --random N")
    # New edges are to come from the readers alone. Dumps go without the tracing of comparisons: atheris 3.0 loses 2 MB
    # in each run that compares arrays, and their programs hold no values that it could learn
    traced = arguments.target not in ("dumps", "pools")
    with atheris.import_hook.HookManager({"poolsleuth"}, _not_watched(), False, traced):
        for name in ("fuzz_seeds", "fuzz_pools", "poolsleuth.kernel.symbols.isf", "poolsleuth.pipeline"):
            importlib.import_module(name)
    fuzzer = Fuzzer(arguments.target, arguments.folder, arguments.only)
    corpus: Path = arguments.folder / f"corpus-{arguments.target}{arguments.only}"
    if not corpus.exists():
        corpus.mkdir(parents=True)
        for number, octets in enumerate(starting_inputs(fuzzer)):
            (corpus / f"start-{number}").write_bytes(octets)
    options = [
        sys.argv[0],
        str(corpus),
        f"-max_total_time={arguments.seconds}",
        f"-max_len={MAX_LENGTH}",
        "-len_control=0",
        "-rss_limit_mb=0",
        "-timeout=600",  # of the clock: hangs are told by processor time
        "-report_slow_units=600",
        "-use_value_profile=0",
        "-print_final_stats=1",
    ]
    atheris.Setup(options, fuzzer.run)
    atheris.Fuzz()


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("target", choices=("dumps", "pools", "pdb", "isf"))
    parser.add_argument("--folder", type=Path, required=True, help="where the corpus and the finds are kept")
    parser.add_argument("--seconds", type=int, default=1500, help="how long the guided fuzzer runs")
    parser.add_argument("--only", default="", help="seeds whose name has this part")
    parser.add_argument("--random", type=int, metavar="N", help="N random inputs, without atheris")
    parser.add_argument("--first", type=int, default=0, help="number of the first random input")
    parser.add_argument("--replay", type=Path, nargs="+", help="run kept inputs and tell what they do")
    arguments = parser.parse_args()
    resource.setrlimit(resource.RLIMIT_AS, (MAX_SPACE, MAX_SPACE))
    if arguments.replay:
        fuzzer = Fuzzer(arguments.target, arguments.folder, arguments.only)
        for path in arguments.replay:
            before = time.process_time()
            print(f"{path.name}: {fuzzer.run(path.read_bytes()) or 'nothing'} ({time.process_time() - before:.2f} s)")
    elif arguments.random is not None:
        at_random(Fuzzer(arguments.target, arguments.folder, arguments.only), arguments.random, arguments.first)
    else:
        guided(arguments)


if __name__ == "__main__":
    main()
