"""Summaries of drivers that were scanned once, kept in the user's cache folder by the hash of the file."""

import contextlib
import hashlib
import json
import os
import secrets
from collections.abc import Mapping
from pathlib import Path

from platformdirs import user_cache_path

from poolsleuth.drivers.summary import DriverSummary, summary_document, summary_of

ENVIRONMENT = "POOLSLEUTH_DRIVER_CACHE"
MAX_BYTES = 16 << 20  # of one summary; real ones have 2 to 200 KB
MAX_IN_FOLDER = 400  # summaries whose hashes have the same first two digits: 100,000 in all; the oldest go first
_FOLDER = "drivers-1"  # the number grows when the layout of the folder changes


def cache_folder(environment: Mapping[str, str] | None = None) -> Path:
    """Where summaries are kept: the folder that POOLSLEUTH_DRIVER_CACHE names, else one in the user's cache."""
    named = (os.environ if environment is None else environment).get(ENVIRONMENT)
    return Path(named) if named else user_cache_path("poolsleuth", appauthor=False) / _FOLDER


def driver_key(data: bytes) -> str:
    """What a file's summary is kept under: the SHA-256 of its bytes."""
    return hashlib.sha256(data).hexdigest()


def kept_summary(folder: Path, key: str) -> DriverSummary | None:
    """The summary that was kept; None when there is none, or it is damaged or of another version."""
    path = _path(folder, key)
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_BYTES + 1)
        return summary_of(json.loads(raw)) if len(raw) <= MAX_BYTES else None
    except (OSError, ValueError, RecursionError):
        return None


def keep_summary(folder: Path, key: str, summary: DriverSummary) -> None:
    """Keep a summary. A folder that cannot be written costs time, and is no error."""
    path = _path(folder, key)
    with contextlib.suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        _thin_out(path.parent)
        temporary = path.with_name(f".{os.getpid()}-{secrets.token_hex(4)}")
        try:
            temporary.write_text(json.dumps(summary_document(summary), separators=(",", ":")), encoding="utf-8")
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)


def _path(folder: Path, key: str) -> Path:
    return folder / key[:2] / f"{key[2:]}.json"


def _thin_out(folder: Path) -> None:
    kept = list(folder.iterdir())
    if len(kept) >= MAX_IN_FOLDER:
        kept.sort(key=lambda path: path.stat().st_mtime)
        for path in kept[: len(kept) // 2]:
            path.unlink(missing_ok=True)
