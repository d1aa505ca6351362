"""The last moment of a course as a machine in memory: what a dump is written of."""

from dataclasses import dataclass, replace
from random import Random

from poolsleuth.lab.allocator.corruption import Damage, DamagedHeader, corrupt
from poolsleuth.lab.course.moment import Moment
from poolsleuth.lab.machine import BugCheck, Machine
from poolsleuth.lab.simulate import SimulatedMachine, simulate

BAD_POOL_HEADER = 0x19
_HEADER_OVERWRITTEN = 0x20


@dataclass(frozen=True, slots=True)
class Crash:
    """A machine in memory, and the header that was overwritten in it (None: none was)."""

    simulated: SimulatedMachine
    damage: DamagedHeader | None

    def moment(self, last: Moment) -> Moment:
        """The last moment with every address filled in."""
        return replace(last, machine=self.simulated.truth)


def crash(machine: Machine) -> Crash:
    """Build the machine; where its bug check is 0x19, a block was written beyond its end, and the check names it.

    Raises InputError when the package knows nothing of that Windows, ValueError when the machine has no pool page whose
    blocks could be damaged.
    """
    if machine.bug_check.code != BAD_POOL_HEADER:
        return Crash(simulate(machine), None)
    # Where the block lies is known when the memory is made; so it is made once more, with the address in the check
    found = _overwrite(simulate(machine))
    size = int.from_bytes(found.after[:4], "little")
    check = BugCheck(BAD_POOL_HEADER, (_HEADER_OVERWRITTEN, found.address, found.address, size))
    simulated = simulate(replace(machine, bug_check=check))
    return Crash(simulated, _overwrite(simulated))


def _overwrite(simulated: SimulatedMachine) -> DamagedHeader:
    return corrupt(simulated, Damage.OVERRUN, Random(simulated.truth.seed), pool="nonpaged")
