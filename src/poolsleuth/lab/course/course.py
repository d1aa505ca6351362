"""The course of a simulated machine: a moment for each sample, the last of which is made a dump."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from random import Random

from poolsleuth.lab.course.background import Background, Rhythm
from poolsleuth.lab.course.clock import Clock, clock_of
from poolsleuth.lab.course.drivers.model import Model
from poolsleuth.lab.course.moment import Moment
from poolsleuth.lab.course.scenarios import Cast, Guilty, Scenario, scenario_named
from poolsleuth.lab.course.state import State
from poolsleuth.lab.draft import Draft, Size, finish, make_draft
from poolsleuth.lab.machine import Machine, SimulatedWindows
from poolsleuth.lab.stories import usual_size

_ARTICLE_BYTES = 12 << 20
_LONGEST_JOB, _SHORTEST_JOB, _JOBS = 24.0, 0.2, 6
_MOST_KEPT = 3_000_000  # references to tags: a course with no more is kept, any other is made anew for each reader
_LEAST_HOURS_UP, _MOST_HOURS_UP = 5.0, 400.0


class Course:
    """What happened, moment by moment. It can be gone through any number of times, with the same result each time.

    ``guilty`` is who did it; ``clock`` the samples; ``scenario`` is its name.
    """

    def __init__(
        self, name: str, scenario: Scenario, machine: Machine, clock: Clock, make: "_Maker", guilty: tuple[Guilty, ...]
    ) -> None:
        self.name, self.scenario, self.machine, self.clock, self.guilty = name, scenario, machine, clock, guilty
        self._make = make
        self._kept: list[Moment] | None = None

    def __len__(self) -> int:
        return len(self.clock)

    def __iter__(self) -> Iterator[Moment]:
        if self._kept is not None:
            yield from self._kept
            return
        keep = len(self) * len(self.machine.tags) <= _MOST_KEPT
        kept: list[Moment] = []
        for moment in self._make.moments(self.clock):
            if keep:
                kept.append(moment)
            yield moment
        if keep:
            self._kept = kept

    def last(self) -> Moment:
        """The last moment: the one to make a dump of."""
        if self._kept is not None:
            return self._kept[-1]
        *_, last = self
        return last


class Thinned:
    """Some of the moments of a course, at equal distances: never more than ``most``, and always the last one."""

    def __init__(self, course: Course, most: int) -> None:
        self._course = course
        self._step = max(1, -(-(len(course) - 1) // max(most - 1, 1)))

    def __len__(self) -> int:
        return (len(self._course) - 1) // self._step + 1

    def __iter__(self) -> Iterator[Moment]:
        last = len(self._course) - 1
        for number, moment in enumerate(self._course):
            if (last - number) % self._step == 0:
                yield moment


class _Maker:
    """Makes the same moments again and again."""

    def __init__(self, scenario: Scenario, machine: Machine, draft: Draft, hours: float) -> None:
        self._scenario, self._machine, self._draft, self._hours = scenario, machine, draft, hours

    def begin(self) -> tuple[State, list[Model], tuple[Guilty, ...]]:
        """The machine before the first sample, and those who will change it."""
        machine = self._machine
        random = Random(f"course of {machine.windows.name}/{machine.story}/{machine.seed}")
        scenario, hours = self._scenario, self._hours
        state = State(machine, self._draft.pools, self._draft.heaps)
        rhythm = Rhythm(
            starts_at=random.uniform(0, 24),
            day=scenario.day,
            jobs=scenario.jobs,
            job_hours=min(_LONGEST_JOB, max(_SHORTEST_JOB, hours / _JOBS)),
        )
        state.load = rhythm.load(0)
        state.settle()
        cast = Cast(state, hours, rhythm, Random(random.getrandbits(63)))
        scenario.cast(cast)
        background = Background(self._draft.small, state, rhythm, Random(random.getrandbits(63)), swing=scenario.swing)
        return state, [background, *cast.models], tuple(cast.guilty)

    def moments(self, clock: Clock) -> Iterator[Moment]:
        """One for each sample."""
        state, models, _guilty = self.begin()
        step = clock.every / timedelta(hours=1)
        for number, at in enumerate(clock.times()):
            state.at = at
            if number:
                for model in models:
                    model.step(state, number * step, step)
                state.settle()
            machine = state.last() if number == clock.steps else state.machine()
            yield Moment(at, machine, state.load)


def make_course(
    windows: SimulatedWindows,
    scenario: str,
    *,
    hours: float,
    every: timedelta | None = None,
    seed: int = 0,
    size: Size | None = None,
) -> Course:
    """The course of a machine to which that happens; the same for the same arguments.

    ``every`` is the time between two samples. Raises InputError for what no such machine can be, for a scenario that
    its Windows cannot have, and for a course that is too long.
    """
    chosen = scenario_named(scenario, windows.build, windows.architecture)
    name = f"run {scenario}"
    draft = make_draft(
        windows,
        name,
        chosen.prepare,
        seed=seed,
        size=size or usual_size(windows, scenario),
        most_nonpaged=_ARTICLE_BYTES if chosen.pieces else None,
    )
    draft.story = scenario
    draft.count_blocks()
    machine = finish(draft)
    random = Random(f"clock of {windows.name}/{scenario}/{seed}")
    up = timedelta(hours=random.uniform(_LEAST_HOURS_UP, _MOST_HOURS_UP))
    clock = clock_of((machine.booted_at + up).replace(second=0, microsecond=0), hours, every)
    machine = replace(machine, crashed_at=clock.ended)
    maker = _Maker(chosen, machine, draft, clock.hours)
    _state, _models, guilty = maker.begin()
    return Course(scenario, chosen, machine, clock, maker, guilty)
