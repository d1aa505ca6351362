"""One sample record: blocks of values one after the other, each dispatched by its kind."""

import struct
from bisect import bisect_left
from dataclasses import dataclass

from poolsleuth.evidence.counters.blg.columns import Columns
from poolsleuth.evidence.counters.blg.cook import Raw
from poolsleuth.evidence.counters.blg.counter_list import Entry
from poolsleuth.evidence.counters.blg.losses import Loss, Losses
from poolsleuth.evidence.counters.blg.perflib import PerflibBlocks
from poolsleuth.evidence.counters.blg.titles import Titles
from poolsleuth.evidence.counters.blg.values import VALUE_BYTES, ListedValues

_TAG = 0x4C42  # "BL", the low half of every tag
_SAMPLE, _VALUE, _INSTANCES, _OBJECTS = 0x0003, 0x0103, 0x0203, 0x0503
_OBJECTS_TAG = struct.pack("<HH", _TAG, _OBJECTS)
_HEADER = struct.Struct("<HHI")
_SECOND_AT = 0x20  # of a block with one value
_STATUS_AT = 8
_GOOD_STATUS = (b"\0\0\0\0", b"\1\0\0\0")
_I64 = struct.Struct("<q")


@dataclass(frozen=True, slots=True)
class Sample:
    """The raw values of one sample. ``hints`` are FILETIMEs in UTC that were taken with it, for the clock.

    They are ``sure`` when they come from whole objects, which the headers define; a single value's own time is UTC as
    far as seen. ``listed`` tells that values were met which only the list of counters explains.
    """

    raws: list[Raw]
    hints: list[int]
    sure: bool
    listed: bool


class SampleReader:
    """Reads sample records, with the list of counters and the titles that came before."""

    def __init__(self, columns: Columns, titles: Titles, losses: Losses) -> None:
        self._losses = losses
        self._listed = ListedValues(columns, losses)
        self._objects = PerflibBlocks(titles, columns, losses)
        self.started = False

    @staticmethod
    def explains(data: bytes, *, has_list: bool, has_titles: bool) -> bool:
        """Whether what was read before a sample is enough to name its first values."""
        if data[8:12] == _OBJECTS_TAG:
            return has_titles
        return has_list

    def start(self, entries: list[Entry | None]) -> None:
        """Take a list of counters. The same one again changes nothing."""
        if not self.started or entries != self._listed.entries:
            self._listed.start(entries)
        self.started = True

    def read(self, data: bytes) -> Sample:
        """The values of one record. Blocks that are damaged or not known are counted as losses and left out."""
        entries = self._listed.entries
        numbers: list[int] = []
        places: list[int] = []
        raws: list[Raw] = []
        listed = False
        self._objects.hints = []
        at, end = self._inside(data)
        number = 0
        while at + _HEADER.size <= end:
            tag, kind, length = _HEADER.unpack_from(data, at)
            if tag != _TAG or length < _HEADER.size or at + length > end:
                self._losses.add(Loss.BLOCK)
                break
            entry = entries[number] if number < len(entries) else None
            if kind == _VALUE:
                listed = True
                if length < VALUE_BYTES:
                    self._losses.add(Loss.BLOCK)
                elif number < len(entries):
                    numbers.append(number)
                    places.append(at)
            elif kind == _INSTANCES:
                listed = True
                raw = self._listed.instances(data[at : at + length], number) if number < len(entries) else None
                if raw is not None:
                    raws.append(raw)
            elif kind == _OBJECTS:
                raws += self._objects.read(data[at + _HEADER.size : at + length], number, entry)
            else:
                self._losses.add(Loss.KIND, detail=f"0x{kind:04X}")
            number += 1
            at += length
        if self.started and len(entries) < number and listed:
            self._losses.add(Loss.BLOCK, number - len(entries))
        single = self._listed.singles(data, numbers, places) if numbers else None
        if single is not None:
            raws.insert(0, single)
        hints = self._objects.hints
        return Sample(raws, hints or self._hints(data, numbers, places), bool(hints), listed)

    def _inside(self, data: bytes) -> tuple[int, int]:
        if len(data) >= _HEADER.size:
            tag, kind, length = _HEADER.unpack_from(data)
            if tag == _TAG and kind == _SAMPLE:
                if not _HEADER.size <= length <= len(data):
                    self._losses.add(Loss.BLOCK)
                    return _HEADER.size, len(data)
                return _HEADER.size, length
        return 0, len(data)

    def _hints(self, data: bytes, numbers: list[int], places: list[int]) -> list[int]:
        hints: list[int] = []
        for number in self._listed.timed:
            at = bisect_left(numbers, number)
            if at == len(numbers) or numbers[at] != number:
                continue
            place = places[at]
            if data[place + _STATUS_AT : place + _STATUS_AT + 4] in _GOOD_STATUS:
                hints.append(_I64.unpack_from(data, place + _SECOND_AT)[0])
        return hints
