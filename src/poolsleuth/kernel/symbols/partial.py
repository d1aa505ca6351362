"""A file that is coming in: kept apart until it is whole, and kept for another attempt when it does not become so."""

import contextlib
import os
import secrets
from pathlib import Path
from types import TracebackType
from typing import BinaryIO

MAX_VALIDATOR_BYTES = 4096  # of the file that holds it


class Partial:
    """What there is of a file: ``path`` of its bytes, and by which mark the server knows this version of it.

    What an earlier attempt left (``NAME.part``) is taken over under a name of our own, so that two programs which fetch
    the same file never write into one. ``validator`` is empty when the server gave no mark: such a part is not kept.
    Entering and leaving raise OSError.
    """

    def __init__(self, target: Path) -> None:
        self._target = target
        self._left = target.with_name(f"{target.name}.part")
        self._left_mark = target.with_name(f"{target.name}.part.mark")
        self.path = target.with_name(f"{target.name}.part.{os.getpid()}-{secrets.token_hex(4)}")
        self.validator = ""

    def __enter__(self) -> "Partial":
        self._target.parent.mkdir(parents=True, exist_ok=True)
        with contextlib.suppress(FileNotFoundError):
            self._left.replace(self.path)
            with self._left_mark.open("rb") as file:
                self.validator = file.read(MAX_VALIDATOR_BYTES).decode("latin-1")
            self._left_mark.unlink()
        if not self.validator.isprintable() or not self.validator:
            self.discard()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self.size and self.validator:
            self._left_mark.write_bytes(self.validator.encode("latin-1", errors="ignore"))
            self.path.replace(self._left)
        self.path.unlink(missing_ok=True)

    @property
    def size(self) -> int:
        """Bytes that are there."""
        try:
            return self.path.stat().st_size
        except FileNotFoundError:
            return 0

    def open(self) -> BinaryIO:
        """Open it to add to its end."""
        return self.path.open("ab")

    def discard(self) -> None:
        """Forget what is there."""
        self.validator = ""
        self.path.unlink(missing_ok=True)

    def finish(self) -> None:
        """Give it its name: it is whole."""
        self.path.replace(self._target)
