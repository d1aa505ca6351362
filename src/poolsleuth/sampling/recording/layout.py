"""What stands in the files of a recording: names, kinds of rows, the recording's own description, bounds."""

import json
import os
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, fields
from datetime import UTC, datetime
from pathlib import Path

from poolsleuth.model.errors import InputError
from poolsleuth.sampling.sample import Host

SCHEMA = "poolsleuth.recording/1"
DESCRIPTION_KEY = "poolsleuth.recording"  # in the Parquet metadata: the description as JSON
SAMPLES_KEY = "poolsleuth.samples"  # there too: the samples of the part, see summary.py
TAG, MEMORY, PROCESS, SAMPLE = "tag", "memory", "process", "sample"
COUNTS = frozenset({"free_system_ptes", "page_faults"})  # figures of memory that stand in ``count``, not in ``bytes``

KEY_EVERY = 64  # samples: one of them holds all rows, and whoever jumps there applies 63 others at most
SEAL_ROWS = 500_000  # rows in the journal: sealed earlier than after 64 samples, so that it takes no second
PART_ROWS = 1_000_000  # of one part; beyond, a new one: a million take some 0.1 GB while they are merged
PART_SECONDS = 86_400.0  # of one part: a file a day can be copied, mailed and thrown away
ROW_GROUP = 131_072  # rows: a reader skips those whose names are others
PAGE = 131_072  # bytes of a column's page: one tag is had in a quarter of the time it takes with 1 MB; 7 % larger
LEAST_MAX_BYTES = 1 << 20  # of ``max_bytes``: below, hardly one sample of a large server fits

MAX_PART_ROWS = 4_000_000  # of a part that is read: the writer's bound, one journal and one sample more
MAX_PART_BYTES = 512 << 20  # of a part that is read: 100 times what was ever seen
MAX_PART_CONTENT = 1 << 30  # bytes of a part when uncompressed: 4 million rows of 100 bytes and room
MAX_PARTS = 20_000  # files of one recording: 50 years
MAX_SAMPLES = 20_000_000  # of one recording: ten years at one every 16 seconds
MAX_RUNS = 1_000_000  # stretches of rows with one name in a part; beyond, it is not sorted as ours are
MAX_TEXT = 260  # characters of a name or label that are kept: the longest file name of Windows
MAX_FIGURES = 64  # figures of memory of one sample
MOST_BY_HANDLES = 100  # processes with the most handles that are kept of a sample
MOST_BY_QUOTA = 100  # processes with the largest quotas that are kept of a sample
MAX_PROCESSES = 1_000  # of a sample that is read
LAST_TIME = 32_503_680_000.0  # of a sample: the year 3000
LAST_NUMBER = 0xFFFF_FFF0  # of a sample: at one a second after 136 years
MAX_DESCRIPTION = 65_536  # bytes of the description
JOURNAL_SUFFIX = ".tail"
ASIDE_SUFFIX = ".new"
JOURNAL_MAGIC = b"poolsleuth journal 1\r\n"
PARQUET_MAGIC = b"PAR1"
CRC_FIELD = b'"crc": "'
NO_CRC = "00000000"

_SURROGATES = re.compile("[\ud800-\udfff]")
_PART_NAME = re.compile(r"(?:\d{8}T\d{6}Z|n\d{10})(?:-\d{1,4})?")
_OLDER = re.compile(rf"(.+)\.{_PART_NAME.pattern}(\.[^.]*)?", re.DOTALL)
_DAMAGED = re.compile(r"(.+)\.damaged(?:-\d{1,4})?(\.[^.]*)?", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Description:
    """What every file of a recording says of it.

    ``id`` is 32 hexadecimal digits, ``every`` seconds between samples (None: not even), ``next`` a number that no
    sample before this file was written has reached. ``crc`` is the CRC-32 of the file, taken with eight zeros in its
    place, as eight hexadecimal digits; empty where it was left out.
    """

    id: str
    host: Host
    every: float | None = None
    next: int = 0
    crc: str = field(default="", compare=False)

    def text(self) -> str:
        """As JSON, for the metadata of a file."""
        said = {"id": self.id, "every": self.every, "next": self.next, "host": asdict(self.host)}
        return json.dumps({**said, "crc": NO_CRC})


def described(text: str | bytes, where: str) -> Description:
    """The description of a file. Raises InputError when it is none."""
    try:
        return _described(text)
    except (ValueError, TypeError, KeyError, RecursionError, OverflowError):
        raise InputError(f"{where}: its description of the recording is damaged; give another copy") from None


def _described(text: str | bytes) -> Description:
    raw: object = json.loads(text) if len(text) <= MAX_DESCRIPTION else None
    if not isinstance(raw, dict):
        raise TypeError
    number, every, name = raw["next"], raw["every"], raw["id"]
    if not (isinstance(name, str) and re.fullmatch("[0-9a-f]{32}", name)):
        raise ValueError
    if type(number) is not int or not 0 <= number <= LAST_NUMBER:
        raise ValueError
    if every is not None and not (isinstance(every, int | float) and 0 < every < 1e9):
        raise ValueError
    crc = raw.get("crc", "")
    if not (isinstance(crc, str) and re.fullmatch("[0-9a-f]{8}|", crc)):
        raise ValueError
    return Description(name, _host(raw["host"]), every, number, crc)


_BOUNDS = {"build": (0, 1 << 31), "physical_bytes": (1, 1 << 53)}


def _host(raw: object) -> Host:
    if not isinstance(raw, dict):
        raise TypeError
    kinds = {"build": int, "physical_bytes": int, "utc": bool}
    given: dict[str, object] = {}
    for entry in fields(Host):
        value = raw.get(entry.name)
        if value is None:
            continue
        if type(value) is not kinds.get(entry.name, str):
            raise TypeError
        least, beyond = _BOUNDS.get(entry.name, (0, 0))
        if type(value) is int and not least <= value < beyond:
            continue  # no such machine
        given[entry.name] = clean(value) if isinstance(value, str) else value
    return Host(**given)  # type: ignore[arg-type]


def clean(text: str) -> str:
    """Text as it is stored: without lone surrogates, which UTF-8 has no place for, and not longer than ``MAX_TEXT``.

    Control characters and NUL stay: whoever shows a text makes them harmless.
    """
    return _SURROGATES.sub("\ufffd", text)[:MAX_TEXT]


def journal_of(path: Path) -> Path:
    """Where the journal of a recording lies."""
    return path.with_name(path.name + JOURNAL_SUFFIX)


def aside_of(path: Path) -> Path:
    """Where a part is written before it takes its place; what is left there after a kill is worth nothing."""
    return path.with_name(path.name + ASIDE_SUFFIX)


def part_name(path: Path, started: float, number: int) -> Path:
    """A free name for a part that is full: by the time of its first sample, or by its number when that is not known."""
    stamp = f"n{number:010d}"
    if 0 <= started < 253_402_300_000:  # before the year 10000; NaN is not
        stamp = datetime.fromtimestamp(started, UTC).strftime("%Y%m%dT%H%M%SZ")
    for again in range(1, 10_000):
        name = path.with_name(f"{path.stem}.{stamp}{'' if again == 1 else f'-{again}'}{path.suffix}")
        if not name.exists():
            return name
    raise InputError(f"{path}: there are thousands of older parts with the time {stamp}; move them away")


def older_parts(path: Path) -> list[Path]:
    """Files beside a recording whose names are those of its older parts, by name; they may be another's."""
    return _beside(path, _OLDER)[-MAX_PARTS:]


def damaged_parts(path: Path) -> list[Path]:
    """Files beside a recording that were set aside as damaged while it was recorded into, by name."""
    return _beside(path, _DAMAGED)[:MAX_PARTS]


def strangers_note(path: Path, strangers: Sequence[Path]) -> str:
    """A sentence about files that have the names of older parts but are of another recording."""
    count = (
        "1 older file beside it belongs" if len(strangers) == 1 else f"{len(strangers):,} older files beside it belong"
    )
    return f"{path}: {count} to another recording ({strangers[0].name}{' ...' if len(strangers) > 1 else ''})"


def _beside(path: Path, names: re.Pattern[str]) -> list[Path]:
    mine = os.path.normcase(path.name)
    try:
        return sorted(other for other in path.parent.iterdir() if _main(other.name, names) == mine)
    except OSError:
        return []


def _main(name: str, names: re.Pattern[str]) -> str | None:
    """The name of the recording that a name derives from, as it is compared on this system."""
    found = names.fullmatch(name)
    return None if found is None else os.path.normcase(found[1] + (found[2] or ""))


def is_older(path: Path) -> bool:
    """Whether a file has the name of a full part: nobody replaces it any more."""
    return _OLDER.fullmatch(path.name) is not None


def recorded_into(path: Path) -> Path:
    """The file that is recorded into, by the name of any file of a recording; the path itself if it is that one."""
    for suffix in (JOURNAL_SUFFIX, ASIDE_SUFFIX):
        if path.name.endswith(suffix) and path.name != suffix:
            return recorded_into(path.with_name(path.name.removesuffix(suffix)))
    found = _OLDER.fullmatch(path.name) or _DAMAGED.fullmatch(path.name)
    return path if found is None else path.with_name(found[1] + (found[2] or ""))


def damaged_name(path: Path) -> Path:
    """A free name for a part that cannot be read any more, which no recording takes for its own."""
    for again in range(1, 10_000):
        name = path.with_name(f"{path.stem}.damaged{'' if again == 1 else f'-{again}'}{path.suffix}")
        if not name.exists():
            return name
    raise InputError(f"{path}: there are thousands of damaged parts beside it; move them away")


def is_recording(first_bytes: bytes) -> bool:
    """Whether a file may be part of a recording, by its first bytes (32 are enough): any Parquet file or a journal.

    A Parquet file tells at its end whose it is: ``Recording.open`` says whether it is ours.
    """
    return first_bytes.startswith((PARQUET_MAGIC, JOURNAL_MAGIC))
