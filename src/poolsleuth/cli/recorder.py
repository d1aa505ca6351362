"""The course of a recording: a sample at each beat of a steady clock, whatever the clock on the wall does."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from math import floor, isfinite
from typing import Protocol

from poolsleuth.model.errors import InputError
from poolsleuth.sampling.sample import Sample, Sampler, TagIndex

MAX_FIRST_FAILURES = 3  # of the very first sample: what fails from the start will hardly begin to work
MAX_NOTES = 200  # different sentences told in one run; a machine has a dozen
MAX_AHEAD = 86_400.0  # seconds that a recording's end may be later than the clock: more is no correction of a clock
_PACE = 0.5  # of the time that passed, by which times rise while the clock is behind them: so it catches up
STEP = 0.001  # seconds: times are recorded in milliseconds


class Writer(Protocol):
    """Where samples go."""

    @property
    def samples(self) -> int:
        """How many samples are on the disk by now."""

    @property
    def notes(self) -> Sequence[str]:
        """What is to be said of the writing, in whole sentences: the last one is the newest."""

    @property
    def bytes_on_disk(self) -> int:
        """How large the recording is."""

    def add(self, sample: Sample, index: TagIndex) -> None:
        """Keep a sample. One that was lost, as on a full disk, is not counted in ``samples``.

        Raises InputError when nothing can be written any more.
        """


class Clock(Protocol):
    """A steady clock."""

    def now(self) -> float:
        """Seconds since some moment."""

    def wait(self, seconds: float) -> None:
        """Sleep so long, or less."""

    @property
    def stopped(self) -> bool:
        """Whether the end was asked for."""


class Talk(Protocol):
    """Whom the recording tells how it goes."""

    def note(self, says: str) -> None:
        """A sentence that the user has to know."""

    def status(self, samples: int, size: int, last: Sample) -> None:
        """The state after a sample; ``size`` is bytes."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of it: samples recorded, seconds between the first and the last; why it ended early, None if not."""

    samples: int
    seconds: float
    gave_up: str | None = None


class Recorder:
    """Takes a sample every so many seconds (``every``) for so long (``lasts``, None: until it is stopped).

    ``after`` is the time of the last sample that the recording has already, in seconds since 1970; None for a new one.
    """

    def __init__(
        self,
        sampler: Sampler,
        writer: Writer,
        clock: Clock,
        talk: Talk,
        *,
        every: float,
        lasts: float | None = None,
        after: float | None = None,
    ) -> None:
        self._sampler = sampler
        self._writer = writer
        self._clock = clock
        self._talk = talk
        self._every = every
        self._lasts = lasts
        self._time = after
        self._taken: float | None = None  # when the last sample was taken, by the steady clock
        self._first: float | None = None
        self._told: set[str] = set()
        self._samples = 0
        self._said = 0

    def run(self) -> Outcome:
        """Record until the time is over or the end is asked for.

        Once a sample is recorded, what fails is tried on and on: a disk that is full may have room again tomorrow. A
        recording that cannot even begin is given up soon.
        """
        start = due = self._clock.now()
        failures = 0
        while not self._clock.stopped:
            now = self._clock.now()
            if now < due:
                self._clock.wait(due - now)
                continue
            failed = self._sample(now)
            if failed and not failures and self._samples:
                self._say(f"samples are lost from now on ({failed}); it is tried on, one by one")
            if not failed and failures and self._samples > 1:
                self._say(f"samples are recorded again; lost: {failures:,}")
            failures = failures + 1 if failed else 0
            if failed and not self._samples and failures >= MAX_FIRST_FAILURES:
                return self._outcome(f"{failures} samples in a row failed; the last one: {failed}")
            # The next beat that is still to come: those that passed meanwhile are left out, not made up for
            due += self._every * (floor(max(0.0, self._clock.now() - due) / self._every) + 1)
            if self._lasts is not None and due > start + self._lasts:
                break
        # Never to give up is not to succeed: who looks at the exit status learns that the end is missing
        return self._outcome("its last samples were lost" if failures and self._samples else None)

    def _outcome(self, gave_up: str | None) -> Outcome:
        seconds = 0.0 if self._taken is None or self._first is None else self._taken - self._first
        return Outcome(self._samples, seconds, gave_up)

    def _sample(self, now: float) -> str | None:
        """Take one and write it; why it failed, None when it did not."""
        try:
            sample = self._sampler.take()
            sample = replace(sample, time=self._steady(sample.time, now))
            before = self._writer.samples
            self._writer.add(sample, self._sampler.index)
            if self._writer.samples == before:
                if not self._samples:
                    self.tell(self._writer.notes)
                self._told.update(self._writer.notes[-1:])  # as the reason for which samples are lost
                return self._writer.notes[-1] if self._writer.notes else "it could not be written"
        except (InputError, OSError) as error:
            says = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
            if not self._samples:
                self.tell([f"a sample failed ({says}); the next ones are tried as usual"])
            return says
        self._time, self._taken = sample.time, now
        self._first = now if self._first is None else self._first
        self._samples += 1
        self.tell([*self._sampler.notes, *self._writer.notes])
        self._talk.status(self._samples, self._writer.bytes_on_disk, sample)
        return None

    def _steady(self, time: float, now: float) -> float:
        """The time of a sample, later than that of the one before, also when the clock was set back meanwhile."""
        if not isfinite(time):
            raise InputError("the machine does not say what time it is")
        if self._time is None or time >= self._time + STEP:
            return time
        if self._taken is None and self._time - time > MAX_AHEAD:
            raise InputError(
                "the recording ends more than a day later than the clock of this machine says: one of them is wrong;"
                " set the clock, or record in another FILE"
            )
        passed = STEP if self._taken is None else max(STEP, _PACE * (now - self._taken))
        back = "is behind the end of the recording" if self._taken is None else "was set back"
        self.tell(
            [f"the clock of this machine {back}: times in the recording rise at half their pace until it has caught up"]
        )
        return self._time + passed

    def _say(self, sentence: str) -> None:
        """What may be told several times: a disk fills up again and again."""
        if self._said < MAX_NOTES:
            self._said += 1
            self._talk.note(sentence)

    def tell(self, notes: Iterable[str]) -> None:
        """Notes for the user, each once."""
        for says in notes:
            if says not in self._told and len(self._told) < MAX_NOTES:
                self._told.add(says)
                self._talk.note(says)
