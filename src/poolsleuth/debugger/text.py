"""Text from a dump is hostile: nothing of it may move the cursor or look like another line."""

MAX_TEXT = 500  # characters of one name or description that are printed: paths have 260


def printable(text: str, most: int = MAX_TEXT) -> str:
    """The text on one line: what cannot be printed becomes a dot."""
    return "".join(c if c.isprintable() else "." for c in text[:most])


def ascii_column(octets: bytes) -> str:
    """Bytes as the right column of a memory dump shows them."""
    return "".join(chr(byte) if 0x20 <= byte < 0x7F else "." for byte in octets)


def missing(reason: str) -> list[str]:
    """Says that something of a list is missing.

    The mark on a line of its own is read, by people and by the log reader, as "this list is not whole".
    """
    return ["...", f"*** {printable(reason)}"]
