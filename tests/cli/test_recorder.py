"""The course of a recording: beats of a steady clock, failures, clocks that are set, and what is told."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import pytest

from poolsleuth.cli.recorder import MAX_FIRST_FAILURES, MAX_NOTES, Recorder
from poolsleuth.model.errors import InputError
from poolsleuth.sampling.sample import Host, Sample, TagFigures, TagIndex

NOTHING = np.empty(0)
EPOCH = 1_700_000_000.0


@dataclass
class FakeClock:
    """A clock that only waiting and working move. ``until``: then the end is asked for."""

    until: float = 1e9
    time: float = 1000.0
    slice: float = 7.0  # a wait may return early

    def now(self) -> float:
        return self.time

    def wait(self, seconds: float) -> None:
        assert seconds > 0
        self.time += min(seconds, self.slice)

    @property
    def stopped(self) -> bool:
        return self.time >= 1000.0 + self.until


@dataclass
class FakeSampler:
    """Samples of a wall clock that is ``wall(steady)``.

    ``cost`` is how long the nth takes, ``fails`` names those that do.
    """

    clock: FakeClock
    cost: Callable[[int], float] = lambda _: 0.0
    wall: Callable[[float], float] = lambda steady: EPOCH + steady - 1000.0
    fails: Callable[[int], bool] = lambda _: False
    index: TagIndex = field(default_factory=TagIndex)
    host: Host = Host("SRV")
    notes: Sequence[str] = ()
    taken: int = 0
    at: list[float] = field(default_factory=list)

    def take(self) -> Sample:
        number = self.taken
        self.taken += 1
        self.at.append(self.clock.time - 1000.0)
        self.clock.time += self.cost(number)
        if self.fails(number):
            raise InputError("access denied")
        tags = TagFigures(np.empty(0, np.int64), NOTHING, NOTHING, NOTHING)
        return Sample(self.wall(self.clock.time), tags)


@dataclass
class FakeWriter:
    kept: list[Sample] = field(default_factory=list)
    notes: Sequence[str] = ()
    full: bool = False
    closed: bool = False

    @property
    def samples(self) -> int:
        return len(self.kept)

    @property
    def bytes_on_disk(self) -> int:
        return 100 * len(self.kept)

    @property
    def times(self) -> list[float]:
        return [sample.time for sample in self.kept]

    def add(self, sample: Sample, index: TagIndex) -> None:
        if self.closed:
            raise InputError("pool.parquet.tail was removed or renamed while recording; start it again")
        if self.full:
            self.notes = ("pool.parquet.tail: samples were lost: No space left on device",)
            return
        self.kept.append(sample)


@dataclass
class FakeTalk:
    notes: list[str] = field(default_factory=list)
    states: list[tuple[int, int]] = field(default_factory=list)

    def note(self, says: str) -> None:
        self.notes.append(says)

    def status(self, samples: int, size: int, last: Sample) -> None:
        self.states.append((samples, size))


def recorder(sampler: FakeSampler, **how: float) -> tuple[Recorder, FakeWriter, FakeTalk]:
    writer, talk = FakeWriter(), FakeTalk()
    every = how.pop("every", 60.0)
    return Recorder(sampler, writer, sampler.clock, talk, every=every, **how), writer, talk


def test_beats_do_not_drift_however_long_a_sample_takes() -> None:
    sampler = FakeSampler(FakeClock(), cost=lambda number: 0.3 + number % 7)
    run, writer, _ = recorder(sampler, lasts=3600.0)
    outcome = run.run()
    assert sampler.at == [60.0 * beat for beat in range(61)]
    assert outcome.samples == len(writer.kept) == 61
    assert outcome.seconds == 3600.0
    assert outcome.gave_up is None


def test_a_sample_that_takes_longer_than_the_interval_leaves_beats_out_and_never_piles_up() -> None:
    sampler = FakeSampler(FakeClock(), cost=lambda number: 150.0 if number == 2 else 1.0)
    run, _, _ = recorder(sampler, lasts=600.0)
    run.run()
    assert sampler.at == [0.0, 60.0, 120.0, 300.0, 360.0, 420.0, 480.0, 540.0, 600.0]


def test_a_machine_that_slept_for_hours_takes_one_sample_not_hundreds() -> None:
    clock = FakeClock(until=50_000.0)
    slept = [False]

    def cost(number: int) -> float:
        if number == 3 and not slept[0]:
            slept[0] = True
            return 36_000.0  # the steady clock counts the sleep, as on Windows
        return 0.1

    sampler = FakeSampler(clock, cost=cost)
    run, writer, _ = recorder(sampler)
    run.run()
    assert sampler.at[3:6] == [180.0, 36_240.0, 36_300.0]
    assert np.all(np.diff(writer.times) > 0)


def test_for_a_time_shorter_than_the_interval_one_sample_is_taken_at_once() -> None:
    sampler = FakeSampler(FakeClock())
    run, _, _ = recorder(sampler, lasts=30.0)
    assert run.run().samples == 1
    assert sampler.clock.time == 1000.0


def test_the_end_is_heard_while_it_waits() -> None:
    sampler = FakeSampler(FakeClock(until=125.0))
    run, _, _ = recorder(sampler)
    outcome = run.run()
    assert (outcome.samples, outcome.seconds) == (3, 120.0)
    assert sampler.clock.time < 1000.0 + 125.0 + sampler.clock.slice


def test_asked_before_the_first_sample_nothing_is_recorded() -> None:
    run, writer, _ = recorder(FakeSampler(FakeClock(until=0.0)))
    assert run.run().samples == 0
    assert writer.kept == []


def test_a_clock_that_is_set_back_is_told_once_and_catches_up_at_half_the_pace() -> None:
    # Half an hour back after ten minutes, for good
    sampler = FakeSampler(FakeClock(), wall=lambda s: EPOCH + s - (1800.0 if s > 1600.0 else 0.0))
    run, writer, talk = recorder(sampler, lasts=7200.0)
    run.run()
    steps = np.diff(writer.times)
    assert np.allclose(steps[:10], 60.0)
    assert np.allclose(steps[10:70], 30.0)  # 30 minutes too many are made up for in an hour
    assert np.allclose(steps[72:], 60.0)
    assert writer.times[-1] == EPOCH + 1000.0 + 7200.0 - 1800.0
    assert talk.notes == [
        "the clock of this machine was set back: times in the recording rise at half their pace until it has caught up"
    ]


def test_a_recording_that_ends_in_another_age_is_not_continued() -> None:
    run, writer, _ = recorder(FakeSampler(FakeClock()), lasts=600.0, after=EPOCH + 10 * 365 * 86_400.0)
    outcome = run.run()
    assert writer.kept == []
    assert outcome.gave_up is not None
    assert "ends more than a day later than the clock of this machine says" in outcome.gave_up


def test_when_the_clock_has_caught_up_its_times_count_again() -> None:
    # Ten minutes back, and a quarter of an hour later right again
    def wall(steady: float) -> float:
        return EPOCH + steady - (600.0 if 1300.0 < steady < 2200.0 else 0.0)

    sampler = FakeSampler(FakeClock(), wall=wall)
    run, writer, _ = recorder(sampler, lasts=3600.0)
    run.run()
    assert np.all(np.diff(writer.times) > 0)
    assert writer.times[-1] == EPOCH + 1000.0 + 3600.0


def test_a_clock_that_is_set_forward_leaves_a_gap() -> None:
    sampler = FakeSampler(FakeClock(), wall=lambda s: EPOCH + s + (86_400.0 if s > 1090.0 else 0.0))
    run, writer, talk = recorder(sampler, lasts=180.0)
    run.run()
    assert np.diff(writer.times).tolist() == [60.0, 86_460.0, 60.0]
    assert talk.notes == []


def test_a_recording_that_is_continued_never_goes_back() -> None:
    sampler = FakeSampler(FakeClock())
    run, writer, talk = recorder(sampler, lasts=120.0, after=EPOCH + 5000.0)
    run.run()
    assert writer.times[0] > EPOCH + 5000.0
    assert np.diff(writer.times) == pytest.approx([30.0, 30.0])
    assert "behind the end of the recording" in talk.notes[0]


def test_one_sample_that_fails_is_told_and_the_next_is_taken() -> None:
    sampler = FakeSampler(FakeClock(), fails=lambda number: number in (2, 5))
    run, writer, talk = recorder(sampler, lasts=600.0)
    outcome = run.run()
    assert outcome.samples == len(writer.kept) == 9
    assert outcome.gave_up is None
    lost, again = (
        "samples are lost from now on (access denied); it is tried on",
        "samples are recorded again; lost: 1",
    )
    assert [note.partition(", one")[0] for note in talk.notes] == [lost, again, lost, again]


def test_once_begun_it_never_gives_up() -> None:
    sampler = FakeSampler(FakeClock(), fails=lambda number: number >= 4)
    run, writer, talk = recorder(sampler, lasts=60.0 * 1000)
    outcome = run.run()
    assert (outcome.samples, sampler.taken) == (4, 1001)
    assert outcome.gave_up == "its last samples were lost"
    assert len(writer.kept) == 4
    assert talk.notes == ["samples are lost from now on (access denied); it is tried on, one by one"]


def test_what_never_worked_is_given_up_sooner() -> None:
    sampler = FakeSampler(FakeClock(), fails=lambda _: True)
    run, _, _ = recorder(sampler)
    outcome = run.run()
    assert (outcome.samples, sampler.taken) == (0, MAX_FIRST_FAILURES)
    assert outcome.gave_up is not None


def test_failures_count_only_in_a_row() -> None:
    sampler = FakeSampler(FakeClock(), fails=lambda number: number % 30 != 0)
    run, _, _ = recorder(sampler, lasts=60.0 * 150)
    assert run.run().gave_up is None


def test_a_full_disk_is_a_failure_as_well() -> None:
    sampler = FakeSampler(FakeClock())
    run, writer, talk = recorder(sampler)
    writer.full = True
    outcome = run.run()
    assert outcome.gave_up is not None
    assert "No space left on device" in outcome.gave_up
    assert talk.notes == ["pool.parquet.tail: samples were lost: No space left on device"]


def test_when_there_is_room_again_it_goes_on() -> None:
    sampler = FakeSampler(FakeClock())
    run, writer, talk = recorder(sampler, lasts=60.0 * 90)
    taken = sampler.take

    def take() -> Sample:
        writer.full = 2 <= sampler.taken < 90
        return taken()

    sampler.take = take  # type: ignore[method-assign]
    outcome = run.run()
    assert outcome.gave_up is None
    assert outcome.samples == len(writer.kept) == 3
    assert [note.removesuffix("; it is tried on, one by one") for note in talk.notes] == [
        "samples are lost from now on (pool.parquet.tail: samples were lost: No space left on device)",
        "samples are recorded again; lost: 88",
    ]


def test_a_recording_that_was_moved_away_is_given_up() -> None:
    run, writer, talk = recorder(FakeSampler(FakeClock()))
    writer.closed = True
    assert run.run().gave_up is not None
    assert "was removed or renamed" in talk.notes[0]


def test_a_time_that_is_no_number_is_a_failure() -> None:
    sampler = FakeSampler(FakeClock(), wall=lambda _: float("nan"))
    run, writer, _ = recorder(sampler)
    assert run.run().gave_up is not None
    assert writer.kept == []


def test_notes_are_told_once_each_and_not_without_end() -> None:
    sampler = FakeSampler(FakeClock(), notes=("the quotas cannot be read: start it as administrator",))
    run, _, talk = recorder(sampler, lasts=600.0)
    run.run()
    assert talk.notes == ["the quotas cannot be read: start it as administrator"]
    sampler = FakeSampler(FakeClock(), notes=[f"note {number}" for number in range(3 * MAX_NOTES)])
    run, _, talk = recorder(sampler, lasts=600.0)
    run.run()
    assert len(talk.notes) == MAX_NOTES


def test_the_state_is_told_after_each_sample() -> None:
    sampler = FakeSampler(FakeClock())
    run, _, talk = recorder(sampler, lasts=120.0)
    run.run()
    assert talk.states == [(1, 100), (2, 200), (3, 300)]
