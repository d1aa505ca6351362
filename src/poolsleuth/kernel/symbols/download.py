"""Fetches one file by HTTP: resumed where it was cut, bounded in size and time, in its place only when it is whole.

A transfer that ends early leaves ``NAME.part`` and, beside it, the mark by which the server knows this version of the
file; the next transfer goes on from there when the server still has that version (RFC 9110: Range, If-Range).
"""

import re
import time
from collections.abc import Callable
from pathlib import Path

from urllib3 import BaseHTTPResponse

from poolsleuth.kernel.symbols.http import DownloadError, Limits, TryAgainError, opened, pieces, shown_url
from poolsleuth.kernel.symbols.partial import Partial
from poolsleuth.model.errors import InputError

Progress = Callable[[int, int | None], None]
"""Called while a file comes in: bytes so far, bytes in all (None when the server does not say)."""

_NOT_THERE = frozenset({404, 410})
_REFUSED = {
    401: "the server asks for a login",
    403: "the server does not let us in",
    407: "the proxy asks for a login",
}
_CONTENT_RANGE = re.compile(r"bytes\s+(\d{1,18})-(\d{1,18})/(\d{1,18}|\*)")
_LENGTH = re.compile(r"[0-9]{1,18}")
_MAX_TRANSFERS = 100  # of one file: a connection that breaks after every piece must not go on for ever
_MAX_VALIDATOR = 1000  # characters of the server's mark of a version


def download(
    url: str,
    target: Path,
    *,
    check: Callable[[Path], None] | None = None,
    progress: Progress | None = None,
    limits: Limits | None = None,
) -> bool:
    """Fetch a URL into a file; False when the server does not have it.

    ``check`` is given the complete file before it gets its name, and refuses it by raising InputError; then nothing is
    kept. Raises DownloadError when the file cannot be fetched, or cannot be written.
    """
    try:
        with Partial(target) as part:
            if not _Transfer(url, part, progress, limits or Limits()).run():
                return False
            refused = None if check is None else _refused(check, part.path)
            if refused is not None:
                part.discard()
                raise DownloadError(refused)
            part.finish()
    except OSError as error:
        raise DownloadError(f"{target} could not be written: {error.strerror or error}") from error
    return True


def is_there(url: str, *, limits: Limits | None = None) -> bool:
    """Whether a server has a file, without fetching it. False also when it cannot be asked."""
    try:
        with opened(url, {}, limits or Limits()) as response:
            return response.status == 200
    except (DownloadError, TryAgainError):
        return False


def _refused(check: Callable[[Path], None], path: Path) -> str | None:
    """Why a file is refused; not as an error, which would hold the file open that Windows then cannot remove."""
    try:
        check(path)
    except InputError as error:
        return str(error)
    return None


class _Transfer:
    def __init__(self, url: str, part: Partial, progress: Progress | None, limits: Limits) -> None:
        self._url, self._part, self._progress, self._limits = url, part, progress, limits
        self._deadline = time.monotonic() + limits.total

    def run(self) -> bool:
        """Fetch until the file is whole; False when it is not there."""
        failed, reason = 0, ""
        for _ in range(_MAX_TRANSFERS):
            before = self._part.size
            try:
                return self._once()
            except TryAgainError as error:
                reason = str(error)
            failed = 0 if self._part.size > before else failed + 1
            pause = self._limits.pause * 2 ** max(failed - 1, 0)
            if failed >= self._limits.attempts or time.monotonic() + pause > self._deadline:
                break
            time.sleep(pause)
        raise self._failed(reason)

    def _once(self) -> bool:
        start = self._part.size
        headers = {"Range": f"bytes={start}-", "If-Range": self._part.validator} if start else {}
        with opened(self._url, headers, self._limits) as response:
            if response.status in _NOT_THERE:
                self._part.discard()
                return False
            if response.status == 416:
                self._part.discard()  # the file has become shorter than what we have of it
                raise TryAgainError("the server does not have the part that was asked for")
            if response.status not in {200, 206}:
                said = _REFUSED.get(response.status, "the server cannot answer")
                raise self._failed(f"{said} (status {response.status})")
            if response.headers.get("Content-Encoding", "identity").lower() != "identity":
                raise self._failed("the server sent it compressed, unasked")
            total = self._begin(response, start)
            if total is not None and total > self._limits.max_bytes:
                raise self._too_large()
            self._receive(response, total)
        return True

    def _begin(self, response: BaseHTTPResponse, start: int) -> int | None:
        """Make what we have fit the answer; gives the size of the whole file, None when the server does not say."""
        length = response.headers.get("Content-Length", "")
        known = int(length) if _LENGTH.fullmatch(length) else None
        if response.status == 206:
            found = _CONTENT_RANGE.fullmatch(response.headers.get("Content-Range", "").strip())
            if found is None or not start or int(found[1]) != start:
                self._part.discard()
                raise TryAgainError("the server sent another part than the one that was asked for")
            return int(found[3]) if found[3] != "*" else (None if known is None else start + known)
        self._part.discard()
        etag, modified = response.headers.get("ETag", ""), response.headers.get("Last-Modified", "")
        validator = etag if etag.startswith('"') else modified  # a weak ETag says nothing about single bytes
        self._part.validator = validator if len(validator) <= _MAX_VALIDATOR else ""
        return known

    def _receive(self, response: BaseHTTPResponse, total: int | None) -> None:
        done = self._part.size
        with self._part.open() as file:
            self._tell(done, total)
            for piece in pieces(response):
                done += len(piece)
                if done > self._limits.max_bytes:
                    raise self._too_large()
                file.write(piece)
                self._tell(done, total)
                if time.monotonic() > self._deadline:
                    raise self._failed(f"it took longer than {self._limits.total:.0f} seconds; try again to go on")
        if total is not None and done != total:
            if done > total:
                self._part.discard()
            raise TryAgainError(f"the connection ended after {done:,} of {total:,} bytes")

    def _tell(self, done: int, total: int | None) -> None:
        if self._progress is not None:
            self._progress(done, total)

    def _too_large(self) -> DownloadError:
        self._part.validator = ""  # so that nothing of it is kept
        return self._failed(f"it is larger than {self._limits.max_bytes:,} bytes, and no symbol file is")

    def _failed(self, why: str) -> DownloadError:
        return DownloadError(f"{shown_url(self._url)} could not be fetched: {why}")
