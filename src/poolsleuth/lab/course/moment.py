"""The machine at one time of its course: what every writer of evidence is given."""

from dataclasses import dataclass
from datetime import datetime

from poolsleuth.lab.machine import Machine


@dataclass(frozen=True, slots=True)
class Moment:
    """The truth at a time (UTC). Moments of one course share what did not change; only the last one is made a dump.

    ``machine.crashed_at`` is the end of the course at every moment. The addresses in it are None until it is simulated.
    ``load`` is how busy the machine is, from 0 to 1: what counters of requests, sessions or processor time follow.
    """

    at: datetime
    machine: Machine
    load: float = 0.0
