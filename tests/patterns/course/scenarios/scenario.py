"""What a labelled scenario is, and the list of recipes that make them from a seed."""

import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from poolsleuth.patterns.course.course import Kind

from .draw import Draw

Numbers = NDArray[np.float64]


class Truth(StrEnum):
    """What must be said of a scenario."""

    GUILTY = "guilty"  # LEAK or STEPS must be said
    INNOCENT = "innocent"  # neither may be said
    AMBIGUOUS = "ambiguous"  # an honest engineer would want more of it: neither may be said with high confidence
    SHORT = "short"  # too few samples or too short: the same


class Part(StrEnum):
    """Scenarios that may be looked at while the judgement is written, and those that may not."""

    TUNE = "tune"
    HELD_OUT = "held-out"


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """One series with the truth about it.

    ``times`` are seconds since 1970 UTC, ascending; ``values`` bytes or counts with NaN for a missing sample.
    ``least`` is the smallest growth that matters and ``cuts`` the known times of reboots: both are given to the
    judgement. ``rate`` is the range of true growth per hour that a fair answer lies in (both ends equal where the rate
    is one number), None where there is none. ``starts`` is when the growth that lasts to the end began.
    """

    times: Numbers
    values: Numbers
    least: float
    cuts: tuple[float, ...] = ()
    rate: tuple[float, float] | None = None
    starts: float | None = None
    label: str = ""
    truth: Truth = Truth.AMBIGUOUS
    accept: frozenset[Kind] = frozenset()
    seed: int = 0
    part: Part = Part.TUNE


Build = Callable[[Draw], Scenario]


@dataclass(frozen=True, slots=True)
class Recipe:
    """How scenarios of one label are made, and what is true of all of them."""

    label: str
    truth: Truth
    accept: frozenset[Kind]
    build: Build = field(repr=False)
    parts: frozenset[Part]


RECIPES: dict[str, Recipe] = {}
BOTH = frozenset(Part)
ONLY_HELD_OUT = frozenset({Part.HELD_OUT})


def recipe(label: str, truth: Truth, *accept: Kind, parts: frozenset[Part] = BOTH) -> Callable[[Build], Build]:
    """Registers a function that makes scenarios under a label."""

    def register(build: Build) -> Build:
        RECIPES[label] = Recipe(label, truth, frozenset(accept), build, parts)
        return build

    return register


def make(label: str, seed: int, part: Part) -> Scenario:
    """The scenario of a label and a seed; the same arguments give the same figures."""
    known = RECIPES[label]
    source = np.random.default_rng([zlib.crc32(label.encode()), seed, list(Part).index(part)])
    made = known.build(Draw(source, wide=part is Part.HELD_OUT))
    return Scenario(
        times=made.times,
        values=made.values,
        least=made.least,
        cuts=made.cuts,
        rate=made.rate,
        starts=made.starts,
        label=label,
        truth=known.truth,
        accept=known.accept,
        seed=seed,
        part=part,
    )


def scenarios(part: Part, seeds: range) -> Iterator[Scenario]:
    """Scenarios of every label that a part has."""
    for label, known in RECIPES.items():
        if part in known.parts:
            for seed in seeds:
                yield make(label, seed, part)
