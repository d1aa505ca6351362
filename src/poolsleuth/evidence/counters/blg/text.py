"""Text inside records: UTF-16 up to a NUL, bounded, with nothing in it that a terminal would obey."""

MAX_NAME = 512  # characters of one name: PDH allows 2,048 for a whole path


def wide(data: bytes, at: int = 0, limit: int | None = None) -> str:
    """The UTF-16 text at ``at``, up to its NUL, the end of the data or ``limit`` bytes."""
    end = len(data) if limit is None else min(len(data), at + limit)
    end = min(end, at + 2 * MAX_NAME)
    return clean(data[at : end - (end - at) % 2].decode("utf-16-le", errors="replace").partition("\0")[0])


def clean(text: str) -> str:
    """Text whose control characters and lone halves of characters are replaced."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() or c == "\u00a0" else "\ufffd" for c in text)


def host_name(text: str) -> str | None:
    r"""The name of a machine without its two backslashes; None when nothing is left."""
    return text.lstrip("\\") or None
