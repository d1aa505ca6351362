"""The list of counters, the record of kind 0x20: what each block of a sample holds."""

import struct
from dataclasses import dataclass

from poolsleuth.evidence.counters.blg.losses import Loss, Losses
from poolsleuth.evidence.counters.blg.text import host_name, wide

_ENTRY = struct.Struct("<IIIIqiIIIIII")
_STRINGS = 0x34
_ABSENT = 0xFFFFFFFF
_SIGNATURE = 8  # two numbers before the first entry


@dataclass(frozen=True, slots=True)
class Entry:
    """One counter, all instances of a counter, or a whole object. ``time_base`` is in ticks per second."""

    host: str | None
    object: str
    instance: str | None
    parent: str | None
    index: int
    counter: str
    type: int
    time_base: int


def read_counter_list(data: bytes, losses: Losses, offset: int | None = None) -> list[Entry | None]:
    """The entries in their order, which is that of the blocks in a sample. None is an entry that is damaged.

    An entry that is shorter than it can be ends the list: where the next one begins is not known then.
    """
    entries: list[Entry | None] = []
    at = _SIGNATURE
    while at + 4 <= len(data):
        (length,) = struct.unpack_from("<I", data, at)
        if length == 0:
            break
        if length < _ENTRY.size or at + length > len(data):
            losses.add(Loss.ENTRY, offset=offset)
            break
        entry = _entry(data[at : at + length])
        if entry is None:
            losses.add(Loss.ENTRY, offset=offset)
        entries.append(entry)
        at += length
    return entries


def _entry(data: bytes) -> Entry | None:
    _, _, _, type_, base, _, host, object_, instance, parent, index, counter = _ENTRY.unpack_from(data)

    def text(at: int) -> str | None:
        return wide(data, _STRINGS + at) if at != _ABSENT and _STRINGS + at < len(data) else None

    object_name, counter_name = text(object_), text(counter)
    if not object_name or not counter_name:
        return None
    return Entry(
        host=host_name(text(host) or ""),
        object=object_name,
        instance=text(instance),
        parent=text(parent),
        index=index,
        counter=counter_name,
        type=type_,
        time_base=base,
    )
