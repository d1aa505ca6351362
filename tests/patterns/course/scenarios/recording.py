"""From what a pool did to what a log holds: pages, whole counts, gaps, missing samples, outliers."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from .draw import GB, MB, Draw
from .scenario import Scenario

Numbers = NDArray[np.float64]
PAGE = 4096.0


@dataclass(frozen=True, slots=True)
class Scale:
    """The size of a series: its level, the smallest growth that matters, and whether it counts bytes."""

    base: float
    least: float
    bytes: bool

    @property
    def grain(self) -> float:
        """Pool counters move in pages, the rest in whole numbers."""
        return PAGE if self.bytes else 1.0


def scale(draw: Draw, *, counts: bool | None = None) -> Scale:
    """A level from 5 MB to 8 GB, or from 300 to 300,000 objects; growth matters from a few per cent on."""
    if draw.chance(0.2) if counts is None else counts:
        base = draw.over(300, 300_000)
        return Scale(base, max(draw.one_of((50, 100, 500)), base * draw.one_of((0.02, 0.05))), bytes=False)
    base = draw.over(5 * MB, 8 * GB)
    return Scale(base, max(MB, base * draw.one_of((0.01, 0.02, 0.05))), bytes=True)


def record(
    draw: Draw,
    times: Numbers,
    values: Numbers,
    size: Scale,
    *,
    whole: bool = False,
    cuts: tuple[float, ...] = (),
    rate: float | tuple[float, float] | None = None,
    starts: float | None = None,
) -> Scenario:
    """The scenario as a log holds it. ``whole`` keeps every sample: where the log is short, each one counts."""
    values = np.maximum(np.round(values / size.grain) * size.grain, 0)
    if not whole:
        times, values = _with_gaps(draw, times, values)
        values = _with_missing(draw, values)
    rates = (rate, rate) if isinstance(rate, int | float) else rate
    return Scenario(times=times, values=values, least=size.least, cuts=cuts, rate=rates, starts=starts)


def _with_gaps(draw: Draw, times: Numbers, values: Numbers) -> tuple[Numbers, Numbers]:
    """Times at which the log was not running: none in most cases."""
    keep = np.ones(len(times), dtype=np.bool_)
    for _ in range(draw.whole(0, 2) if draw.chance(0.3) else 0):
        at = draw.whole(len(times) // 10, len(times) * 9 // 10)
        keep[at : at + max(1, int(len(times) * draw.between(0.005, 0.06)))] = False
    keep[-2:] = True
    return times[keep], values[keep]


def _with_missing(draw: Draw, values: Numbers) -> Numbers:
    if not draw.chance(0.3):
        return values
    share = draw.between(0.002, 0.10 if draw.wide else 0.03)
    return np.where(draw.source.random(len(values)) < share, np.nan, values)


def with_outliers(draw: Draw, made: Scenario, *, fewest: int = 1) -> Scenario:
    """A few samples that are plainly wrong: zero, many times the value, or a glitch to one side."""
    values = made.values.copy()
    level = float(np.nanmedian(values))
    for at in draw.source.integers(0, len(values), draw.whole(fewest, max(fewest, min(6, len(values) // 30)))):
        values[at] = draw.one_of((0.0, level * 3, level * 10, level * 0.2, level * 1.8))
    return replace(made, values=values)


def with_clock_jump(draw: Draw, made: Scenario) -> Scenario:
    """The clock was set in the middle: an hour for summer time, or days where it had been wrong."""
    times = made.times.copy()
    jump = draw.one_of((3600.0, 3600.0, 7200.0, 0.05 * (times[-1] - times[0])))
    at = draw.whole(len(times) // 5, len(times) * 4 // 5)
    times[at:] += min(jump, 0.08 * float(times[-1] - times[0]))
    return replace(made, times=times)
