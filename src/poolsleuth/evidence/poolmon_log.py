"""Poolmon text as a file of its own: any number of snapshots, with dates between them, as columns over time.

A snapshot begins at each ``Memory:`` line, at a date that rows follow, and where a tag repeats. Its rows are parsed
many at a time. When there are more tables than are kept, the text of those that are left out is only passed over.
"""

import math
import re
from collections.abc import Callable
from datetime import datetime

from poolsleuth.evidence.dates import find_date
from poolsleuth.evidence.debugger_log.clean import clean
from poolsleuth.evidence.debugger_log.output import ELISION
from poolsleuth.evidence.poolmon import ROW
from poolsleuth.evidence.poolmon_blocks import line_blocks
from poolsleuth.evidence.poolmon_walk import Walk
from poolsleuth.evidence.snapshots import Timeline
from poolsleuth.evidence.source import Readable
from poolsleuth.evidence.tag_history import MAX_COLUMNS
from poolsleuth.model.errors import InputError
from poolsleuth.model.facts import Fact, Problem, Where

_SHARE = 0.5  # of the lines of a file that must be poolmon's, or it is a log that quotes poolmon
_PROMPT = re.compile(
    r"^[ ]*(?:\d{1,4}: ?)?l?kd(?::\w{1,8})?> ?|^\s*!(?:vm|poolused|pool|locks|process)\b", re.MULTILINE
)
_HEADER = re.compile(
    r"[ ]*(?:#+ *)?(?:Memory: {0,20}\d|Commit: {0,20}\d|Tag +Type +Allocs)"
    r"|[ ]*(?:All +sessions|System|Session +\d+) +pool +info",
    re.IGNORECASE,
)
HOW_TO_DATE = (
    "write a date before each snapshot, such as `powershell Get-Date -Format o >> FILE`, or keep each snapshot in a"
    " file of its own"
)


def looks_like_poolmon_log(sample: str) -> bool:
    """Whether the beginning of an input is poolmon text and little else; a debugger log that quotes poolmon is none."""
    if "Nonp" not in sample and "Paged" not in sample:
        return False
    if _PROMPT.search(sample):
        return False
    mine = other = rows = 0
    for line in sample.split("\n"):
        if not line.strip():
            continue
        if ROW.match(line):
            rows += 1
            mine += 1
        elif _HEADER.match(line) or ELISION.match(line) or find_date(line) is not None:
            mine += 1
        else:
            other += 1
    return rows > 0 and mine >= _SHARE * (mine + other)


def read_poolmon_log(
    stream: Readable,
    input_index: int,
    modified: datetime | None,
    problems: list[Problem],
    progress: Callable[[], None],
) -> list[Fact]:
    """The first and last tables and headers of each machine, and its ``MemoryHistory`` and ``TagHistory``.

    ``modified`` is the file's own time, None when not known: it dates a single snapshot without a date. What could not
    be used is appended to ``problems``. Raises InputError when the input holds no figure of poolmon.
    """
    walk = Walk()
    for block, whole in line_blocks(stream):
        walk.take(block, whole=whole)
        progress()
    walk.finish()
    if not walk.parts:
        raise InputError("it looks like poolmon's text, but holds no figure that can be used; save `poolmon -n FILE`")
    return _facts(walk, input_index, modified, problems)


def _facts(walk: Walk, input_index: int, modified: datetime | None, problems: list[Problem]) -> list[Fact]:
    written = modified.timestamp() if modified is not None else None
    facts: list[Fact] = []
    undated = kept = snapshots = 0
    says: str | None = None
    lines = [part.snapshots.all[0].line for part in walk.parts]
    for part in walk.parts:
        timeline = part.snapshots.timeline(written)
        unknown = sum(map(math.isnan, timeline.times.values()))
        if written is not None and unknown == len(walk.parts) == part.snapshots.count == 1 and timeline.problem is None:
            timeline = Timeline(dict.fromkeys(timeline.times, written), True, "the file's own time")
            unknown = 0
        undated += unknown
        kept += len(timeline.times)
        snapshots += part.snapshots.count
        says = says or timeline.problem
        facts += part.facts(input_index, timeline)
    if undated and (snapshots > 1 or says is not None):
        all_ = "" if undated == kept else "some of "
        why = says or f"{all_}its snapshots carry no date"
        if says is None and walk.unread is not None:
            why = f"the dates of {all_}its snapshots could not be read ({clean(walk.unread)!r})"
        problems.append(
            Problem(
                f"the times of its {snapshots:,} snapshots are not known: {why}; {HOW_TO_DATE}",
                Where(input_index, lines[0]),
            )
        )
    lost = sum(part.tags.lost for part in walk.parts)
    if lost:
        problems.append(
            Problem(
                f"it names more than {MAX_COLUMNS:,} different tags: the others were not followed over time",
                Where(input_index, lines[0]),
            )
        )
    if walk.nameless:
        rows = "1 row" if walk.nameless == 1 else f"{walk.nameless:,} rows"
        problems.append(
            Problem(
                f"{rows} of a tag of four blanks left out: it has no name to be followed by, and what it holds is not"
                " in any table",
                Where(input_index, lines[0]),
            )
        )
    return facts
