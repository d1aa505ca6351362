"""Machine code of simulated drivers: functions that allocate and free with a tag, as compilers of Windows write them.

Calls go through the import address table; every other driver hands its tag to a function of its own that allocates.
"""

from collections.abc import Mapping, Sequence

ALIGN = 16
_PAD = b"\xcc"
ALLOCATE, FREE = "ExAllocatePoolWithTag", "ExFreePoolWithTag"
_PUSHES = {
    "ExAllocatePool": 2,
    "ExAllocatePoolWithQuota": 2,
    "ExFreePool": 1,
    "MmAllocateContiguousMemory": 3,
    "MmFreeContiguousMemory": 1,
}
"""Slots of four bytes that a call without a tag takes on x86; others are taken to have one."""


def driver_code(
    *, wide: bool, base: int, at: int, slots: Mapping[str, int], tags: Sequence[str], wrapped: bool
) -> bytes:
    """The code of a driver. ``at`` is where it lies from ``base`` on, ``slots`` the places in its import address table.

    ``tags`` are those it allocates with, and frees with where it imports that; ``wrapped``: by way of its own function.
    Each other function that it imports is called once.
    """
    made = _Code(wide, base, at)
    inner = made.wrapper(slots[ALLOCATE]) if wrapped and ALLOCATE in slots and tags else None
    for tag in tags:
        number = int.from_bytes(tag.encode("latin-1").ljust(4), "little")
        if ALLOCATE in slots:
            made.allocate(number, slots[ALLOCATE], inner)
        if FREE in slots:
            made.free(number, slots[FREE])
    for name, slot in slots.items():
        if name not in (ALLOCATE, FREE):
            made.plain(slot, _PUSHES.get(name, 1))
    return bytes(made.data)


def _word(value: int) -> bytes:
    return (value & 0xFFFF_FFFF).to_bytes(4, "little")


class _Code:
    def __init__(self, wide: bool, base: int, at: int) -> None:
        self._wide, self._base, self._at = wide, base, at
        self.data = bytearray()

    def _here(self) -> int:
        return self._at + len(self.data)

    def _call_slot(self, slot: int) -> None:
        self.data += b"\xff\x15"
        self.data += _word(slot - self._here() - 4 if self._wide else self._base + slot)

    def _call(self, target: int) -> None:
        self.data += b"\xe8"
        self.data += _word(target - self._here() - 4)

    def _begin(self) -> None:
        # sub rsp, 28h; push ebp and mov ebp, esp
        self.data += b"\x48\x83\xec\x28" if self._wide else b"\x55\x8b\xec"

    def _end(self, taken: int) -> None:
        # add rsp, 28h and ret; pop ebp and ret
        self.data += b"\x48\x83\xc4\x28\xc3" if self._wide else b"\x5d" + (b"\xc2" + bytes((taken, 0)))
        self.data += _PAD * (-self._here() % ALIGN)

    def wrapper(self, slot: int) -> int:
        """A function (size, tag) that allocates from nonpaged pool; on x64 the tag comes in r8d."""
        begin = self._here()
        self._begin()
        if self._wide:
            self.data += b"\x31\xc9"  # xor ecx, ecx
        else:
            self.data += b"\xff\x75\x0c\xff\x75\x08\x6a\x00"  # push [ebp+0Ch]; push [ebp+8]; push 0
        self._call_slot(slot)
        self._end(8)
        return begin

    def allocate(self, tag: int, slot: int, inner: int | None) -> None:
        """A function that allocates 400h bytes with the tag."""
        self._begin()
        if self._wide:
            self.data += b"\x41\xb8" + _word(tag) + b"\xba" + _word(0x400)  # mov r8d, tag; mov edx, 400h
            if inner is None:
                self.data += b"\x31\xc9"
        else:
            self.data += b"\x68" + _word(tag) + b"\x68" + _word(0x400)  # push tag; push 400h
            if inner is None:
                self.data += b"\x6a\x00"
        if inner is None:
            self._call_slot(slot)
        else:
            self._call(inner)
        self._end(0)

    def free(self, tag: int, slot: int) -> None:
        """A function (address) that frees with the tag."""
        self._begin()
        # mov edx, tag; push tag and push [ebp+8]
        self.data += b"\xba" + _word(tag) if self._wide else b"\x68" + _word(tag) + b"\xff\x75\x08"
        self._call_slot(slot)
        self._end(4)

    def plain(self, slot: int, pushes: int) -> None:
        """A function that calls another with numbers that are no tags."""
        self._begin()
        self.data += b"\xba" + _word(0x400) + b"\x31\xc9" if self._wide else b"\x6a\x10" * pushes
        self._call_slot(slot)
        self._end(0)
