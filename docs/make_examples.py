"""Writes the examples that show growth over time: the figures are invented, and the same on every run.

Run it from anywhere: ``python docs/make_examples.py``. A test compares what it makes with the files.
"""

import math
import random
from datetime import datetime, timedelta
from pathlib import Path

EXAMPLES = Path(__file__).parents[1] / "examples"
START = datetime(2026, 3, 2, 6, 0)
MB = 1 << 20
PAGE = 4096


def _office_hours(at: datetime) -> float:
    """How busy the server is, 0 to 1: the working day from 8 to 18, with a little at night."""
    if at.weekday() >= 5:
        return 0.05
    return 0.05 + max(0.0, math.sin((at.hour + at.minute / 60 - 8) / 10 * math.pi)) if 8 <= at.hour < 18 else 0.05


def counters() -> str:
    """Four days of counters: nonpaged pool leaks under a daily rhythm, paged pool follows the load, handles leak."""
    rng = random.Random(3)
    names = (
        r"\Memory\Pool Nonpaged Bytes",
        r"\Memory\Pool Paged Bytes",
        r"\Memory\Commit Limit",
        r"\Memory\Committed Bytes",
        r"\NUMA Node Memory(0)\Total MBytes",
        r"\Process(exagent)\Handle Count",
        r"\Process(exagent)\ID Process",
        r"\Process(System)\Handle Count",
        r"\Server\Bytes Total/sec",
        r"\System\System Up Time",
    )
    lines = [",".join(['"(PDH-CSV 4.0) (UTC)(0)"', *(rf'"\\EXFILE01{name}"' for name in names)])]
    handles = 1_900.0
    for step in range(4 * 24 * 6):
        at = START + timedelta(minutes=10 * step)
        hours = step / 6
        busy = _office_hours(at)
        handles += 14 * busy * rng.uniform(0.8, 1.2)
        figures = (
            round(220 * MB + 1.9 * MB * hours + 60 * MB * busy + rng.gauss(0, 0.6 * MB)) // 4096 * 4096,
            round(310 * MB + 240 * MB * busy + rng.gauss(0, 2 * MB)) // 4096 * 4096,
            12_880_000_000,
            round(5_100_000_000 + 900_000_000 * busy) // 4096 * 4096,
            8192,
            round(handles),
            2616,
            1_540 + rng.randrange(40),
            round(42_000_000 * busy * rng.uniform(0.7, 1.3), 3),
            86_400 + step * 600,
        )
        stamp = at.strftime("%m/%d/%Y %H:%M:%S.000")
        lines.append(",".join([f'"{stamp}"', *(f'"{figure}"' for figure in figures)]))
    return "\n".join(lines) + "\n"


def poolmon() -> str:
    """Two days of poolmon snapshots: a small tag leaks below a large one that comes and goes."""
    rng = random.Random(4)
    steady = (
        ("MmSt", "Paged", 21_000, 3_400),
        ("CM25", "Paged", 9_000, 4_096),
        ("Ntff", "Paged", 34_000, 1_120),
        ("Ntfr", "Nonp", 40_000, 96),
        ("File", "Nonp", 52_000, 344),
        ("Pool", "Nonp", 12, 560_000),
        ("Even", "Nonp", 61_000, 96),
        ("Mdl ", "Nonp", 3_100, 512),
    )
    text: list[str] = []
    for step in range(97):
        at = START + timedelta(minutes=30 * step)
        hours = step / 2
        rows = []
        for place, (tag, pool, count, each) in enumerate(steady):
            live = round(count * (1 + rng.gauss(0, 0.01)))
            allocs = 4_000_000 + place * 77_000 + step * count
            rows.append((tag, pool, allocs, live, live * each))
        live = round(30_000 * (0.4 + _office_hours(at)) * (1 + rng.gauss(0, 0.02)))
        rows.append(("ExCa", "Paged", 9_000_000 + step * 60_000, live, live * 8_192))
        live = round(4_000 + 420 * hours + rng.gauss(0, 6))
        rows.append(("ExLk", "Paged", 1_200_000 + step * 5_000, live, live * 2_048))
        # A pool is whole pages: a little more than its blocks
        nonpaged, paged = (
            -(-sum(size for _, pool, _, _, size in rows if pool == wanted) // PAGE) * PAGE >> 10
            for wanted in ("Nonp", "Paged")
        )
        text += [
            at.strftime("%Y-%m-%dT%H:%M:%SZ"),
            f" Memory: 8388024K Avail: 5126028K  PageFlts:     0   InRam Krnl: 6500K P:{paged * 9 // 10:7}K",
            f" Commit:3762700K Limit:12578125K Peak:4043634K            Pool N:{nonpaged:7}K P:{paged:7}K",
            "",
            " Tag  Type     Allocs            Frees            Diff   Bytes                 Per Alloc",
            "",
        ]
        rows.sort(key=lambda row: -row[4])
        text += [
            f" {tag} {pool:<5} {allocs:20} {allocs - live:18} {live:17} {size:18} {size // live:15}"
            for tag, pool, allocs, live, size in rows
        ]
        text.append("")
    return "\n".join(text)


def made() -> dict[str, str]:
    """The text of every example that is made here, by file name."""
    return {"leak-counters.csv": counters(), "leak-poolmon.log": poolmon()}


if __name__ == "__main__":
    for name, text in made().items():
        (EXAMPLES / name).write_text(text, encoding="utf-8", newline="\n")
