"""The verdict so far: when it may speak, whom it names, and that it never raises nor stalls."""

import threading
from collections.abc import Callable, Mapping, Sequence
from time import monotonic, sleep

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from poolsleuth.model.machine import System
from poolsleuth.model.series import TagKey
from poolsleuth.model.tags import PoolKind
from poolsleuth.sampling.sample import Host, ProcessRow, Sample, TagFigures, TagIndex
from poolsleuth.top import verdict_facts
from poolsleuth.top.tracker import Tracker
from poolsleuth.top.verdict import BackgroundJudge, Judge, Verdict, system_of

HOST = Host("EXAMPLE-SRV", "Windows Server 2019", 17763, "x64", 8 << 30)
START, MINUTE, MB = 1.77e9, 60.0, float(1 << 20)
NONPAGED, PAGED = PoolKind.NONPAGED, PoolKind.PAGED
Course = Callable[[float], float]


def still(size: float) -> Course:
    return lambda _hours: size


def grows(per_hour: float, size: float = 4 * MB) -> Course:
    return lambda hours: size + per_hour * hours


def sample(
    index: TagIndex,
    time: float,
    tags: Mapping[TagKey, float],
    *,
    processes: Sequence[ProcessRow] = (),
    booted: float | None = START - 86_400,
    used: float | None = None,
) -> Sample:
    ids = np.array([index.number(key) for key in tags], np.int64)
    sizes = np.array(list(tags.values()), np.float64)
    of_pool = [size for key, size in tags.items() if key.pool is NONPAGED]
    memory = {
        "physical": float(8 << 30),
        "nonpaged_used": (sum(of_pool) * 1.05 + 40 * MB) if used is None else used,
        "paged_used": 300 * MB,
        "committed": 2e9,
        "commit_limit": 9e9,
    }
    blocks = np.round(sizes / 256)
    allocs = 1e6 + blocks + 1000 * (time - START) / 3600
    return Sample(time, TagFigures(ids, sizes, blocks, allocs), memory, processes, complete=True, booted=booted)


def watched(
    courses: Mapping[str, Course],
    minutes: float,
    every: float = 1.0,
    *,
    others: int = 30,
    tracker: Tracker | None = None,
) -> Tracker:
    """A tracker that saw tags of nonpaged pool for some minutes, and others that stand still."""
    index = TagIndex()
    tracker = tracker or Tracker(index, HOST)
    index = tracker.index
    for number in range(int(minutes / every) + 1):
        hours = number * every / 60
        tags = {TagKey(f"Q{n:03}", NONPAGED): 64 * 1024.0 for n in range(others)}
        tags |= {TagKey(tag, NONPAGED): round(course(hours) / 256) * 256.0 for tag, course in courses.items()}
        tracker.feed(sample(index, START + hours * 3600, tags))
    return tracker


def judged(tracker: Tracker) -> Verdict:
    return Judge(system_of(HOST)).judge(tracker)


def test_nothing_is_said_before_the_first_sample() -> None:
    verdict = judged(Tracker(TagIndex(), HOST))
    assert (verdict.level, verdict.line, verdict.count) == ("watching", "waiting for the first sample", 0)


def test_a_leak_is_only_watched_before_half_an_hour_and_six_samples() -> None:
    verdict = judged(watched({"Zlk1": grows(60 * MB)}, 12, 1.5))
    assert verdict.level == "watching"
    assert verdict.line.startswith(
        "watching for 12 min (9 samples): the first verdict after 30 min; fastest so far: Zlk1 60"
    )
    assert not any(f.holds for f in verdict.findings)
    few = judged(watched({"Zlk1": grows(60 * MB)}, 60, 20))
    assert few.level == "watching"
    assert "(4 samples): the first verdict after 6 samples" in few.line
    assert "leak" not in verdict.line + few.line


def test_a_leak_is_found_in_the_words_that_people_use() -> None:
    verdict = judged(watched({"Zlk1": grows(11 * MB), "Zst1": still(20 * MB)}, 180, 2))
    assert verdict.level == "found"
    assert verdict.line.startswith("Zlk1 grows 11 MB/h and has not come down for 3 h: leak")
    assert verdict.fitted(80).startswith("Zlk1 grows 11 MB/h and has not come down for 3 h: leak")
    assert all("Zst1" not in line and "Q0" not in line for line in verdict.lines)
    finding = verdict.of(TagKey("Zlk1", NONPAGED))
    assert [f.pattern for f in finding if f.holds] == ["pool-leak"]
    assert not any(f.holds for f in verdict.of(TagKey("Zst1", NONPAGED)))
    assert not verdict.of(TagKey("Zlk1", PAGED))


def test_a_young_suspicion_accuses_nobody() -> None:
    verdict = judged(watched({"Zlk1": grows(60 * MB)}, 45, 1))
    assert verdict.level == "watching"
    assert "leak or load, too early to tell" in verdict.line
    assert "Zlk1" in " ".join(verdict.lines)
    assert "suspected" not in verdict.line


def test_nothing_leaks() -> None:
    verdict = judged(watched({"Zst1": still(20 * MB)}, 190, 1))
    assert verdict.level == "none"
    assert verdict.line == "no leak found so far (3 h 10 min, 191 samples)"


def test_growth_below_what_matters_is_told_as_such() -> None:
    verdict = judged(watched({"Zst1": lambda hours: 20 * MB + (200 * 1024 if hours > 2 else 0)}, 190, 1))
    assert verdict.level == "none"
    assert verdict.line == "no leak found so far (3 h 10 min, 191 samples); largest growth: Zst1 200 KB"


def test_load_that_came_down() -> None:
    def swings(hours: float) -> float:
        return 4 * MB + 60 * MB * float(np.sin(np.pi * hours) ** 2)

    verdict = judged(watched({"Zld1": swings}, 8 * 60, 5))
    assert verdict.level == "none"
    assert verdict.line == "no leak found so far (8 h, 97 samples); Zld1 came down again: load"


def test_a_full_pool_is_said_at_once() -> None:
    tracker = Tracker(TagIndex(), HOST)
    tracker.feed(sample(tracker.index, START, {TagKey("Zst1", NONPAGED): MB}, used=7.5 * (1 << 30)))
    verdict = judged(tracker)
    assert verdict.level == "found"
    assert "nonpaged pool is at 93.8 % of its limit" in verdict.line
    assert len(verdict.fitted(80)) <= 80
    assert verdict.lines[-1].startswith("watching for 0 s (1 sample)")
    assert "leak" not in " ".join(verdict.lines)


def test_limits_by_pool() -> None:
    verdict = judged(watched({}, 5))
    assert verdict.limits == {NONPAGED: 8 << 30, PAGED: 9_000_000_000}
    assert verdict.guesses == frozenset()
    assert "physical memory" in verdict.limit_sources[NONPAGED]
    unknown = Judge(System()).judge(watched({}, 5))
    assert unknown.limits == {NONPAGED: None, PAGED: None}


def test_a_process_that_opens_handles() -> None:
    tracker = Tracker(TagIndex(), HOST)
    judge = Judge(system_of(HOST))
    for minute in range(0, 240, 2):
        rows = [ProcessRow(4, "System", 2000, 10_000, 10_000)]
        rows += [ProcessRow(100 + n, f"svc{n}.exe", 300, 10_000, 10_000) for n in range(10)]
        rows.append(ProcessRow(900, "hog.exe", 500 + 200 * minute, 10_000, 10_000))
        tags = {TagKey(f"Q{n:03}", NONPAGED): 64 * 1024.0 for n in range(30)}
        tracker.feed(sample(tracker.index, START + 60.0 * minute, tags, processes=rows))
        judge.see(tracker)
    verdict = judge.judge(tracker)
    assert verdict.level == "found"
    assert verdict.line == "hog:900's handles grow 12,000/h and have not come down for 3 h 58 min: handle leak"


def test_a_restart_in_the_middle_is_no_load() -> None:
    tracker = Tracker(TagIndex(), HOST)
    for number in range(361):
        restarted = number > 180
        hours = (number - 180) / 60 if restarted else number / 60
        tags = {TagKey(f"Q{n:03}", NONPAGED): 64 * 1024.0 for n in range(30)}
        tags[TagKey("Zlk1", NONPAGED)] = 4 * MB + round(20 * MB * hours / 256) * 256
        booted = START + 181 * MINUTE - 5 if restarted else START - 86_400
        tracker.feed(sample(tracker.index, START + number * MINUTE, tags, booted=booted))
    verdict = judged(tracker)
    assert verdict.line.startswith("Zlk1 grows 20 MB/h and has not come down for 2 h 59 min: leak")


@pytest.mark.parametrize("tag", ["\x1b[2J", "[b]", "\u202ea", "", "\n\r\t", "日本"])
def test_hostile_tags_are_shown_harmlessly(tag: str) -> None:
    tracker = Tracker(TagIndex(), HOST)
    for number in range(120):
        tags = {TagKey(f"Q{n:03}", NONPAGED): 64 * 1024.0 for n in range(30)}
        tags[TagKey(tag, NONPAGED)] = MB * (4 + number)
        tracker.feed(sample(tracker.index, START + 120.0 * number, tags))
    verdict = judged(tracker)
    assert verdict.level == "found"
    for line in (*verdict.lines, verdict.fitted(80), verdict.fitted(10)):
        assert line.isprintable()
        assert line


def test_sums_over_sessions_are_not_accused_beside_the_sessions() -> None:
    tracker = Tracker(TagIndex(), HOST)
    for number in range(120):
        tags = {TagKey(f"Q{n:03}", NONPAGED): 64 * 1024.0 for n in range(30)}
        tags[TagKey("Zses", PAGED, 1)] = MB * (4 + number)
        tags[TagKey("Zses", PAGED, 2)] = 4 * MB
        tracker.feed(sample(tracker.index, START + 120.0 * number, tags))
    verdict = judged(tracker)
    accused = [(f.subject.tag, f.subject.session) for f in verdict.findings if f.holds and f.subject.tag]
    assert accused == [("Zses", 1)]
    assert "Zses of session 1 grows" in verdict.line


def test_leaving_tags_out_changes_no_verdict(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(3)
    tracker = Tracker(TagIndex(), HOST)
    sizes = np.exp(rng.uniform(np.log(2_000), np.log(40 * MB), 440))
    moves = rng.uniform(0, 0.3, 440)
    for number in range(24):
        tags = {
            TagKey(f"{n:04}", NONPAGED if n % 2 else PAGED): float(
                round(sizes[n] * (1 + moves[n] * rng.standard_normal()) / 256) * 256
            )
            for n in range(440)
        }
        tags[TagKey("Zlk1", NONPAGED)] = MB * (4 + number)
        tracker.feed(sample(tracker.index, START + 1200.0 * number, tags))
    taken = verdict_facts.taken_from(tracker)
    assert taken is not None
    assert len(verdict_facts.chosen_tags(taken)) < 400
    fewer = judged(tracker)
    monkeypatch.setattr(verdict_facts, "FEW_TAGS", 10**6)
    assert len(verdict_facts.chosen_tags(taken)) == 441
    all_ = judged(tracker)
    assert fewer.line == all_.line
    assert fewer.findings == all_.findings


def test_an_error_becomes_a_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("no\x1b")

    monkeypatch.setattr("poolsleuth.top.verdict.Evidence", broken)
    verdict = judged(watched({}, 40))
    assert verdict.level == "none"
    assert verdict.line.startswith("the verdict could not be formed (internal error: RuntimeError")
    assert verdict.line.isprintable()


def started_again(minutes: int, course: Course, *, cut: int = 180) -> Tracker:
    """A sample a minute; Windows is started again after ``cut`` of them, and the tag Zlk1 begins anew."""
    tracker = Tracker(TagIndex(), HOST)
    for number in range(minutes + 1):
        after = number > cut
        tags = {TagKey(f"Q{n:03}", NONPAGED): 64 * 1024.0 for n in range(30)}
        tags[TagKey("Zlk1", NONPAGED)] = round(course((number - cut if after else number) / 60) / 256) * 256.0
        booted = START + (cut + 1) * MINUTE - 5 if after else START - 86_400
        tracker.feed(sample(tracker.index, START + number * MINUTE, tags, booted=booted))
    return tracker


def test_a_restart_is_said_and_the_watch_begins_again() -> None:
    young = judged(started_again(191, still(20 * MB)))
    assert young.level == "watching"
    # START is 2026-02-02 02:40 UTC, the first sample after the restart 181 minutes later
    begin = "Windows was started again at 05:41; watched since then"
    assert young.line == f"{begin} for 10 min (11 samples): a verdict after 30 min"
    assert young.fitted(60) == begin
    calm = judged(started_again(241, still(20 * MB)))
    assert calm.line == "no leak found since Windows was started again at 05:41 (1 h, 61 samples)"


def test_what_grew_before_a_restart_is_not_said_to_stand() -> None:
    line = judged(started_again(185, grows(60 * MB))).line
    assert line.startswith("Zlk1 grew 60 MB/h before Windows was started again: leak")
    assert line.endswith("Windows was started again at 05:41")
    assert "has not come down" not in line


def test_steady_growth_that_nobody_accuses_is_told() -> None:
    slow = judged(watched({"Zst1": grows(MB / 10, 20 * MB)}, 180, 10))
    assert slow.line == "no leak found so far (3 h, 19 samples); largest growth: Zst1 307 KB, never came down"


@pytest.mark.parametrize(
    ("samples", "says"),
    [
        (1, "a single capture: growth cannot be judged; nothing else stands out"),
        (2, "too few samples to judge growth (2 of 6)"),
    ],
)
def test_captures_are_too_few_for_growth(samples: int, says: str) -> None:
    tracker = watched({"Zst1": still(20 * MB)}, 720 * (samples - 1), 720)
    verdict = Judge(system_of(HOST), patient=False).judge(tracker)
    assert (verdict.level, verdict.line) == ("none", says)


# ---- in the background -----------------------------------------------------------------------------------------------


def wait(until: Callable[[], bool], seconds: float = 20.0) -> None:
    end = monotonic() + seconds
    while not until():
        assert monotonic() < end, "it took too long"
        sleep(0.005)


def test_it_judges_in_the_background_and_seldom() -> None:
    clock = [0.0]
    judge = BackgroundJudge(Judge(system_of(HOST)), share=0.05, clock=lambda: clock[0])
    tracker = watched({"Zlk1": grows(11 * MB)}, 180, 2)
    assert judge.verdict is None
    assert judge.offer(tracker)
    wait(lambda: judge.verdict is not None)
    first = judge.verdict
    assert first is not None
    assert first.line == judged(tracker).line
    assert not judge.offer(tracker)  # nothing is new
    tracker.feed(
        sample(tracker.index, tracker.now.time + 120 if tracker.now else 0.0, {TagKey("Zlk1", NONPAGED): 40 * MB})
    )
    assert not judge.offer(tracker)  # too soon
    clock[0] += 2.0
    assert judge.offer(tracker)
    wait(lambda: judge.verdict is not first)
    judge.close()
    judge.close()
    clock[0] += 10_000
    tracker.feed(sample(tracker.index, START + 1e6, {}))
    assert not judge.offer(tracker)
    assert not any(thread.name == "judge" and thread.is_alive() for thread in threading.enumerate())


def test_a_slow_judgement_is_followed_by_a_long_rest() -> None:
    clock = [0.0]

    class Slow(Judge):
        def judge_taken(self, taken: verdict_facts.Taken) -> Verdict:
            clock[0] += 2.0
            return super().judge_taken(taken)

    judge = BackgroundJudge(Slow(system_of(HOST)), share=0.05, clock=lambda: clock[0])
    tracker = watched({}, 3)
    judge.offer(tracker)
    wait(lambda: judge.verdict is not None)
    for passed, due in ((20.0, False), (17.0, False), (2.0, True)):  # 2 s are 5 % of 40 s
        clock[0] += passed
        tracker.feed(sample(tracker.index, tracker.now.time + 60 if tracker.now else 0.0, {}))
        assert judge.offer(tracker) is due
    judge.close()


def test_a_verdict_from_later_is_not_shown_after_a_jump_back() -> None:
    judge = BackgroundJudge(Judge(system_of(HOST)))
    judge.offer(watched({"Zlk1": grows(11 * MB)}, 180, 2))
    wait(lambda: judge.verdict is not None)
    assert judge.offer(watched({"Zlk1": grows(11 * MB)}, 10, 2))
    assert judge.verdict is None or judge.verdict.count == 6
    wait(lambda: judge.verdict is not None)
    verdict = judge.verdict
    assert verdict is not None
    assert (verdict.level, verdict.count) == ("watching", 6)
    judge.close()


@settings(max_examples=30, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.floats(allow_nan=True, allow_infinity=True),
            st.lists(st.floats(allow_nan=True, allow_infinity=True), min_size=3, max_size=3),
        ),
        min_size=1,
        max_size=12,
    )
)
def test_no_figure_makes_it_raise(samples: list[tuple[float, list[float]]]) -> None:
    tracker = Tracker(TagIndex(), Host())
    judge = Judge(System())
    for time, (size, count, allocs) in samples:
        ids = np.array([tracker.index.number(TagKey("Abcd", PAGED))], np.int64)
        tags = TagFigures(ids, np.array([size]), np.array([count]), np.array([allocs]))
        with np.errstate(all="ignore"):
            tracker.feed(Sample(time, tags, {"nonpaged_used": size, "physical": allocs}))
    verdict = judge.judge(tracker)
    assert verdict.line
    assert "internal error" not in verdict.line


def test_who_hurries_is_judged_at_once() -> None:
    clock = [0.0]
    judge = BackgroundJudge(Judge(system_of(HOST)), share=0.05, clock=lambda: clock[0])
    tracker = watched({}, 3)
    judge.offer(tracker)
    wait(lambda: judge.verdict is not None)
    tracker.feed(sample(tracker.index, tracker.now.time + 60 if tracker.now else 0.0, {}))
    assert not judge.offer(tracker)
    judge.hurry()
    assert judge.offer(tracker)
    wait(lambda: judge.verdict is not None and judge.verdict.count == tracker.count)
    judge.hurry()
    assert not judge.offer(tracker)  # nothing is new
    judge.close()
