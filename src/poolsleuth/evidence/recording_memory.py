"""The figures of memory of a recording at every sample: a pool's line is not thinned out as the tags have to be."""

from collections.abc import Sequence

import numpy as np
import polars as pl

from poolsleuth.sampling.recording.layout import COUNTS, MEMORY
from poolsleuth.sampling.recording.part import Part
from poolsleuth.sampling.recording.reader import Recording
from poolsleuth.sampling.sample import Floats, Ids

UPTIME = "uptime"  # seconds since Windows was started, which is not recorded as such


class WholeRecording(Recording):
    """A recording that gives its figures of memory without putting samples together."""

    def memory(self, names: Sequence[str], places: Ids) -> dict[str, Floats]:
        """Figures at ascending places, NaN where not known. Only their rows are read.

        Raises InputError for a damaged part.
        """
        found = {name: np.full(len(self), np.nan) for name in names}
        for number, part in enumerate(self._parts):
            begin, end = int(self._starts[number]), int(self._starts[number + 1])
            if not len(places) or end <= places[0] or begin > places[-1]:
                continue
            for name, values in _of_part(part, [name for name in names if name != UPTIME]).items():
                found[name][begin:end] = values[self._within[number]]
            if UPTIME in found:
                uptime = part.samples.times - part.samples.booted
                found[UPTIME][begin:end] = uptime[self._within[number]]
        return {name: values[places] for name, values in found.items()}


def _of_part(part: Part, names: Sequence[str]) -> dict[str, Floats]:
    """A row holds until the next one of its name, or until a key sample that has none."""
    table = part.select(
        (pl.col("kind") == MEMORY) & pl.col("name").is_in(list(names)), "name", "sample", "bytes", "count"
    )
    keys = np.flatnonzero(part.samples.keys)
    every = np.arange(len(part.samples))
    found: dict[str, Floats] = {}
    for (name, *_), rows in table.partition_by("name", as_dict=True).items():
        values = rows["count" if name in COUNTS else "bytes"].to_numpy()
        places = np.searchsorted(part.samples.numbers, rows["sample"].to_numpy())
        blanks = np.setdiff1d(keys, places)
        places = np.concatenate((places, blanks))
        values = np.concatenate((values, np.full(len(blanks), np.nan)))
        order = np.argsort(places, kind="stable")
        source = np.searchsorted(places[order], every, side="right") - 1
        found[name] = np.where(source >= 0, values[order][source], np.nan)
    return found
