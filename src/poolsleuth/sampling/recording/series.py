"""Any series as a recording: tests, benchmarks and conversions need no running machine."""

from pathlib import Path

from poolsleuth.sampling.recording.writer import RecordingWriter
from poolsleuth.sampling.sample import Series


def write_series(path: Path, series: Series, *, every: float | None = None) -> int:
    """Write a series as a recording and say how many samples it has. Raises InputError as ``RecordingWriter`` does.

    Quick: samples are not waited for one by one.
    """
    with RecordingWriter(path, series.host, every=every, durable=False) as writer:
        for place in range(len(series.times)):
            writer.add(series.at(place), series.index)
    return writer.samples
