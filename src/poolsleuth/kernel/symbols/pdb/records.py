"""Reading one record of a PDB's types: fixed numbers, numeric leaves and names, never beyond the record's end.

A numeric leaf is a u16 below 0x8000 that is the number itself, or a kind with the number behind it.
"""


class DamagedError(Exception):
    """A record ends too early or makes no sense. Never leaves this package."""


_NUMERIC = {  # kind -> (bytes, signed)
    0x8000: (1, True),
    0x8001: (2, True),
    0x8002: (2, False),
    0x8003: (4, True),
    0x8004: (4, False),
    0x8009: (8, True),
    0x800A: (8, False),
    0x8017: (16, True),
    0x8018: (16, False),
}


class Cursor:
    """Steps through one record. Every read raises DamagedError at the end."""

    __slots__ = ("at", "end", "raw")

    def __init__(self, raw: bytes, at: int, end: int) -> None:
        self.raw = raw
        self.at = at
        self.end = end

    def number(self, width: int) -> int:
        """An unsigned number of ``width`` bytes."""
        at = self.at
        self.at = at + width
        if self.at > self.end:
            raise DamagedError
        return int.from_bytes(self.raw[at : self.at], "little")

    def numeric(self) -> int:
        """A numeric leaf. Floating-point kinds do not occur where sizes, offsets and values of enums stand."""
        first = self.number(2)
        if first < 0x8000:
            return first
        kind = _NUMERIC.get(first)
        if kind is None:
            raise DamagedError
        width, signed = kind
        value = self.number(width)
        return value - (1 << 8 * width) if signed and value >> (8 * width - 1) else value

    def name(self, old: bool) -> str:
        """A name: ended by a zero byte, or (``old``) with its length before it."""
        if old:
            length = self.number(1)
            begin, end = self.at, self.at + length
            self.at = end
        else:
            begin = self.at
            end = self.raw.find(b"\0", begin, self.end)
            if end < 0:
                raise DamagedError
            self.at = end + 1
        if self.at > self.end:
            raise DamagedError
        return self.raw[begin:end].decode("utf-8", "replace")

    def pad(self) -> None:
        """Skip the bytes 0xF1 to 0xFF that align what follows: the low half says how many are left."""
        if self.at < self.end and self.raw[self.at] > 0xF0:
            self.at += self.raw[self.at] & 0xF
