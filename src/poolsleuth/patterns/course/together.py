"""How two series go together: in lock-step, or one after the other's work. Not written yet."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Lockstep:
    """Two counts that grow together: ``ratio`` of the second to the first, ``agreement`` 0 to 1 (1: exactly)."""

    ratio: float
    agreement: float


@dataclass(frozen=True, slots=True)
class Relation:
    """How a series follows a load counter: the rank correlation of levels, and of the growth with the work done.

    ``level`` near 1: the figure is high when the load is high (load). ``per_operation`` near 1: it grows while work is
    done and stays when it rests (a leak per operation); ``amount`` is then the growth per unit of work. None when too
    few samples are common to both.
    """

    level: float | None
    per_operation: float | None
    amount: float | None


def lockstep(times: Numbers, first: Numbers, second: Numbers) -> Lockstep | None:
    """Whether two series of the same times grow together; None when they do not, or when too little is known."""
    del times, first, second
    return None


def relation(times: Numbers, values: Numbers, load_times: Numbers, load: Numbers) -> Relation:
    """How a series goes with a load counter whose samples may lie at other times."""
    del times, values, load_times, load
    return Relation(None, None, None)
