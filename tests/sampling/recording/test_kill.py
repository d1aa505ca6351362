"""A recorder that is killed at any moment loses at most the sample that it was writing.

Four kills here; ``POOLSLEUTH_KILLS=100`` runs as many as that.
"""

import os
import random
import subprocess
import sys
import time
from pathlib import Path

import pytest

from poolsleuth.model.series import TagKey
from poolsleuth.model.tags import PoolKind
from poolsleuth.sampling.recording.reader import Recording

KILLS = int(os.environ.get("POOLSLEUTH_KILLS", "4"))
RECORDER = """
import sys
from pathlib import Path
import numpy as np
from poolsleuth.model.series import TagKey
from poolsleuth.model.tags import PoolKind
from poolsleuth.sampling.recording import store
from poolsleuth.sampling.recording.writer import RecordingWriter
from poolsleuth.sampling.sample import Host, Sample, TagFigures, TagIndex

store.PART_ROWS = 2_500  # a new part at every sealing
index = TagIndex()
ids = np.array([index.number(TagKey(f"T{n:03d}", PoolKind.PAGED)) for n in range(50)])
writer = RecordingWriter(Path(sys.argv[1]), Host("SRV01"))
for number in range(int(sys.argv[2]), 10**9):
    figures = np.where(np.arange(50) == 7, number, np.arange(50.0) + 2 * number)
    writer.add(Sample(1.7e9 + number, TagFigures(ids, figures, figures, figures), complete=True), index)
    sys.stdout.write(f"{number}\\n")
    sys.stdout.flush()
"""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows kills in another way")
def test_a_killed_recorder_loses_nothing_that_was_written(tmp_path: Path) -> None:
    path = tmp_path / "pool.parquet"
    chance = random.Random(6)
    key = TagKey("T007", PoolKind.PAGED)
    number = 0
    for _ in range(KILLS):
        with subprocess.Popen(
            [sys.executable, "-c", RECORDER, str(path), str(number)], stdout=subprocess.PIPE, text=True
        ) as recorder:
            assert recorder.stdout is not None
            first = recorder.stdout.readline()
            time.sleep(chance.random() * 0.25)
            recorder.kill()
            said = [line for line in (first + recorder.stdout.read()).splitlines(keepends=True) if line.endswith("\n")]
        last = int(said[-1])
        recording = Recording.open([path])
        assert len(recording) in {last + 1, last + 2}, recording.notes  # the last one was written, but not said
        number = len(recording)
        course = recording.tag([key]).courses[key]
        assert course.bytes.tolist() == list(range(number))
        assert recording.at(number - 1).tags.bytes[recording.index.number(key)] == number - 1
        assert all("missing" not in note and "damaged" not in note for note in recording.notes)
    whole = Recording.open([path])
    read = [(sample.tags.bytes, whole.index.number(key)) for sample in whole.samples()]
    assert [sizes[at] for sizes, at in read] == list(range(number))
    assert number < 64 or list(tmp_path.glob("pool.*.parquet"))
