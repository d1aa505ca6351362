"""The list of counters."""

import struct
from typing import TYPE_CHECKING

from poolsleuth.evidence.counters.blg.counter_list import read_counter_list
from poolsleuth.evidence.counters.blg.losses import Losses

if TYPE_CHECKING:
    from evidence.counters.blg.conftest import Writer


def test_damaged_entries_keep_their_places(blg: "Writer") -> None:
    entries = [blg.entry("A"), bytearray(blg.entry("B")), blg.entry("C")]
    entries[1][0x30:0x34] = struct.pack("<I", 0xFFFFFFFF)  # type: ignore[index]
    losses = Losses(0)
    found = read_counter_list(blg.counters(*map(bytes, entries)).data, losses)

    assert [entry and entry.counter for entry in found] == ["A", None, "C"]
    assert losses.problems()[0].says == "1 counter could not be read from the list of counters: the list is damaged"


def test_a_list_whose_length_is_damaged_ends_there(blg: "Writer") -> None:
    for length in (1, 0x33, 1 << 31):
        entries = [blg.entry("A"), struct.pack("<I", length) + blg.entry("B")[4:], blg.entry("C")]
        losses = Losses(0)

        assert len(read_counter_list(blg.counters(*entries).data, losses)) == 1
        assert len(losses.problems()) == 1
