"""The steps on disk that a kill or a power loss may come between, one function each."""

import contextlib
import errno
import os
import shutil
import sys
from pathlib import Path
from typing import BinaryIO

_UNSUPPORTED = {errno.EINVAL, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EACCES, errno.ENOSYS, errno.EBADF}
_BLOCK = 1 << 20  # bytes that are copied at once
_LOCK_AT = 1 << 40  # the byte that is locked on Windows: far behind the journal, whose readers are not to be hindered


def append(file: BinaryIO, at: int, data: bytes) -> None:
    """Write at a place and wait until it is on the disk. The file is unbuffered."""
    write(file, at, data)
    sync(file)


def write(file: BinaryIO, at: int, data: bytes) -> None:
    """Write at a place. The file is unbuffered."""
    file.seek(at)
    view = memoryview(data)
    while view:
        view = view[file.write(view) :]


def sync(file: BinaryIO) -> None:
    """Wait until what was written is on the disk."""
    file.flush()
    os.fsync(file.fileno())


def truncate(file: BinaryIO, size: int) -> None:
    """Cut a file, and wait until that is on the disk."""
    file.truncate(size)
    sync(file)


def replace(old: Path, new: Path) -> None:
    """Rename, also over another file, and wait until the directory has it. On Windows nobody may have ``new`` open."""
    os.replace(old, new)  # noqa: PTH105 - one name for tests to make fail
    sync_directory(new.parent)


def copy(old: Path, new: Path, aside: Path) -> None:
    """A copy under another name, whole or not there: it is written ``aside`` first."""
    with old.open("rb") as file:
        copied(file, new, aside)


def copied(file: BinaryIO, new: Path, aside: Path) -> None:
    """The rest of a file as a file of that name, whole or not there: it is written ``aside`` first."""
    try:
        with aside.open("wb") as out:
            shutil.copyfileobj(file, out, _BLOCK)
            sync(out)
        replace(aside, new)
    except BaseException:
        remove(aside)
        raise


def sync_directory(folder: Path) -> None:
    """Wait until the names in a directory are on the disk; Windows and some file systems do not offer it."""
    if sys.platform == "win32":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno not in _UNSUPPORTED:
            raise
    finally:
        os.close(handle)


def lock(file: BinaryIO) -> bool:
    """Keep others out until the file is closed or the process ends, however it ends. False: another one has it.

    Where the file system knows no locks (some network shares) nobody is kept out.
    """
    try:
        if sys.platform == "win32":
            import msvcrt  # noqa: PLC0415 - only there

            file.seek(_LOCK_AT)
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        else:
            import fcntl  # noqa: PLC0415 - not on Windows

            fcntl.flock(file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        return error.errno not in {errno.EAGAIN, errno.EACCES, errno.EDEADLK, errno.EWOULDBLOCK}
    return True


def same_file(file: BinaryIO, path: Path) -> bool:
    """Whether an open file is still the one of that name; yes also where that cannot be told, as on a busy share."""
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except FileNotFoundError:
        return False
    except OSError:
        return True


def remove(path: Path) -> None:
    """Remove a file if it is there and can be."""
    with contextlib.suppress(OSError):
        path.unlink()
