"""Recording ends between any two steps on disk, or within one: what was acknowledged is there, once, and can go on.

This proves the order of the steps. That each step waits for the disk is another matter, proven by the last test.
"""

import os
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

import pytest

from poolsleuth.sampling.recording import changes, disk, store, writer
from poolsleuth.sampling.recording.layout import journal_of
from poolsleuth.sampling.recording.reader import Recording
from poolsleuth.sampling.recording.writer import RecordingWriter
from poolsleuth.sampling.sample import Host, Sample

from .conftest import Making, plain

HOST = Host("SRV01")
SAMPLES = 7


class PowerLossError(BaseException):
    """Nothing of the recorder runs after it."""


class Power:
    """Counts steps on disk, and fails before one of them, or (when it appends) in the middle of it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.steps = 0
        self.fails_at = -1
        self.appends: list[int] = []
        self.half = False
        monkeypatch.setattr(disk, "append", self._append(disk.append))
        for name in ("sync", "truncate", "replace", "sync_directory"):
            monkeypatch.setattr(disk, name, self._step(getattr(disk, name)))

    def _step(self, step: Callable[..., None]) -> Callable[..., None]:
        def counted(*arguments: object) -> None:
            here = self.steps
            self.steps += 1
            if here == self.fails_at:
                raise PowerLossError
            step(*arguments)

        return counted

    def _append(self, append: Callable[[BinaryIO, int, bytes], None]) -> Callable[[BinaryIO, int, bytes], None]:
        counted = self._step(append)

        def half(file: BinaryIO, at: int, data: bytes) -> None:
            self.appends.append(self.steps)
            if self.steps == self.fails_at and self.half:
                file.seek(at)
                file.write(data[: len(data) // 2])
            counted(file, at, data)

        return half


def _record(path: Path, samples: list[Sample], making: Making) -> int:
    """Record until the power fails; how many samples were acknowledged."""
    done = 0
    recorder = None
    try:
        recorder = RecordingWriter(path, HOST)
        for sample in samples:
            recorder.add(sample, making.index)
            assert all("merged" not in note and "lost" not in note for note in recorder.notes)
            done += 1
        recorder.close()
    except PowerLossError:
        if recorder is not None:
            recorder._release()
    return done


@pytest.mark.parametrize("half", [False, True])
def test_power_fails_at_every_step(tmp_path: Path, making: Making, monkeypatch: pytest.MonkeyPatch, half: bool) -> None:
    for module in (changes, writer):
        monkeypatch.setattr(module, "KEY_EVERY", 4)
    monkeypatch.setattr(store, "PART_ROWS", 30)
    power = Power(monkeypatch)
    samples = making.course(SAMPLES, tags=4)
    wanted = [plain(sample, making.index) for sample in samples]
    whole = tmp_path / "whole"
    whole.mkdir()
    assert _record(whole / "pool.parquet", samples, making) == SAMPLES
    assert len(list(whole.iterdir())) > 1  # it was rotated
    steps = power.appends[:] if half else list(range(power.steps))
    assert len(steps) >= (SAMPLES if half else 30)
    power.half = half
    for fails_at in steps:
        folder = tmp_path / str(fails_at)
        folder.mkdir()
        path = folder / "pool.parquet"
        power.steps, power.fails_at = 0, fails_at
        done = _record(path, samples, making)
        power.fails_at = -1
        there = 0
        if path.exists():
            recording = Recording.open([path])
            there = len(recording)
            assert done <= there <= done + 1
            assert [plain(s, recording.index) for s in recording.samples()] == wanted[:there]
        assert there >= done
        assert _record(path, samples[there:], making) == SAMPLES - there
        again = Recording.open([path])
        assert [plain(s, again.index) for s in again.samples()] == wanted, fails_at
        assert not again.notes
        assert not list(folder.glob("*.new"))
        assert not list(folder.glob("*.tail"))


def test_every_step_is_on_the_disk_before_the_next_one(
    tmp_path: Path, making: Making, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Names and bytes: a file is synced before its name counts, a directory before the journal is emptied."""
    steps: list[tuple[str, int]] = []
    rename = os.replace

    def renamed(old: Path, new: Path) -> None:
        steps.append(("replace", old.stat().st_ino))
        rename(old, new)

    def emptied(file: BinaryIO, size: int) -> None:
        steps.append(("truncate", os.fstat(file.fileno()).st_ino))
        file.truncate(size)
        disk.sync(file)

    monkeypatch.setattr(os, "fsync", lambda handle: steps.append(("fsync", os.fstat(handle).st_ino)))
    monkeypatch.setattr(os, "replace", renamed)
    monkeypatch.setattr(disk, "truncate", emptied)
    monkeypatch.setattr(store, "PART_ROWS", 30)
    path, folder = tmp_path / "pool.parquet", tmp_path.stat().st_ino
    with RecordingWriter(path, HOST) as recorder:
        journal = journal_of(path).stat().st_ino
        assert ("fsync", journal) in steps
        for sample in making.course(130, tags=4):
            del steps[:]
            recorder.add(sample, making.index)
            assert steps[0] == ("fsync", journal)
            merged = [at for at, (step, _) in enumerate(steps) if step == "replace"]
            for at in merged:
                assert steps[at - 1] == ("fsync", steps[at][1])
                assert steps[at + 1] == ("fsync", folder)
            if merged:
                assert steps[-2:] == [("truncate", journal), ("fsync", journal)]
                assert merged[-1] == len(steps) - 4
