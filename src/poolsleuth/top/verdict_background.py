"""Judges beside the screen: in a thread of its own, seldom enough that the screen does not feel it."""

import threading
from collections.abc import Callable
from math import inf, isfinite
from time import monotonic
from typing import TYPE_CHECKING

from poolsleuth.top.tracker import Tracker
from poolsleuth.top.verdict_facts import Taken

if TYPE_CHECKING:
    from poolsleuth.top.verdict import Judge, Verdict

SHARE = 0.05  # of the time that judging may take on a machine that runs, which has other things to do
REPLAY_SHARE = 0.3  # of the time that judging may take in a replay, where the samples run away from the verdict
SOONEST = 1.0  # seconds between two judgements at least, however quick they are
LONGEST_WAIT = 300.0  # seconds: even a slow machine shows a new verdict every five minutes
PATIENCE = 2.0  # seconds that closing waits for a judgement that is under way


class BackgroundJudge:
    """Keeps a verdict up to date in the background.

    ``offer`` is called by the thread that feeds the tracker, after each sample or at each turn of the screen: it copies
    what is needed when it is time to judge again, and returns at once. ``share`` is the part of the time that judging
    may take. Nothing is ever raised: a judgement that breaks is said in the verdict's line.
    """

    def __init__(self, judge: "Judge", share: float = SHARE, clock: Callable[[], float] = monotonic) -> None:
        self._judge = judge
        self._share = min(max(share, 0.001), 1.0)
        self._clock = clock
        self._wake = threading.Condition()
        self._work: Taken | None = None
        self._working = False
        self._closed = False
        self._due = -inf
        self._verdict: Verdict | None = None
        self._seen = (0, float("-inf"))  # samples and time of the last offer
        self._judged = -1  # samples of the last copy that was taken
        self._jumps = 0
        self._thread: threading.Thread | None = None

    @property
    def verdict(self) -> "Verdict | None":
        """The latest verdict; None before the first, and after a jump back until there is a new one."""
        with self._wake:
            return self._verdict

    @property
    def working(self) -> bool:
        """Whether it judges just now."""
        with self._wake:
            return self._working or self._work is not None

    def offer(self, tracker: Tracker) -> bool:
        """How things stand now. Whether that is going to be judged."""
        self._judge.see(tracker)
        if not self._is_due(tracker):
            return False
        taken = self._judge.take(tracker)
        if taken is None:
            return False
        with self._wake:
            self._work = taken
            self._judged = taken.count
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="judge", daemon=True)
                self._thread.start()
            self._wake.notify()
        return True

    def hurry(self) -> None:
        """The next offer is judged as soon as nothing else is: the samples stand still, or have jumped."""
        with self._wake:
            self._due = -inf

    def _is_due(self, tracker: Tracker) -> bool:
        time = tracker.now.time if tracker.now is not None else float("nan")
        with self._wake:
            count, before = self._seen
            if tracker.count < count or (isfinite(time) and time < before):
                # A jump back: what was found later is not known here
                self._jumps += 1
                self._verdict, self._work = None, None
                self._judged, self._due = -1, -inf
            self._seen = (tracker.count, time)
            free = not self._closed and not self._working and self._work is None
            return free and tracker.count != self._judged and self._clock() >= self._due

    def close(self) -> None:
        """No more judgements. May be called twice."""
        with self._wake:
            self._closed = True
            self._work = None
            self._wake.notify()
            thread = self._thread
        if thread is not None and thread is not threading.current_thread():
            thread.join(PATIENCE)

    def _run(self) -> None:
        while True:
            with self._wake:
                while self._work is None and not self._closed:
                    self._wake.wait()
                taken, self._work = self._work, None
                if self._closed or taken is None:
                    return
                self._working = True
                jumps = self._jumps
            began = self._clock()
            verdict = self._judge.judge_taken(taken)
            spent = max(0.0, self._clock() - began)
            with self._wake:
                self._working = False
                if jumps == self._jumps:
                    self._verdict = verdict
                    wait = max(SOONEST, spent / self._share - spent)
                    self._due = self._clock() + min(wait, LONGEST_WAIT)
