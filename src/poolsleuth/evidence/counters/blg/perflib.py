"""Whole performance objects as Windows hands them out: PERF_DATA_BLOCK and what is in it (public winperf.h)."""

import struct
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from poolsleuth.evidence.counters.blg.columns import Columns, numbered
from poolsleuth.evidence.counters.blg.cook import Integers, Raw
from poolsleuth.evidence.counters.blg.counter_list import Entry
from poolsleuth.evidence.counters.blg.definitions import (
    OBJECT_BYTES,
    CounterTable,
    Definitions,
    Frequencies,
)
from poolsleuth.evidence.counters.blg.losses import Loss, Losses
from poolsleuth.evidence.counters.blg.text import MAX_NAME, clean, host_name, wide
from poolsleuth.evidence.counters.blg.titles import Titles

MAX_OBJECTS = 1024  # of one block: a query for one object brings itself and those its instances hang under
MAX_NAMES = 8192  # names of instances that are decoded once
MAX_PLACES = 65_536  # objects in all blocks of a sample whose layout is remembered

_BLOCK = struct.Struct("<8sIIIIIIi20xqqqII")  # up to the offset of the machine's name: 88 bytes
_PERF = "PERF".encode("utf-16-le")
_OBJECT = struct.Struct("<IIIIIIIIIiiIqq")
_INSTANCE = struct.Struct("<IIIiII")
_U32 = struct.Struct("<I")
_NO_INSTANCES = -1
_NO_UNIQUE_ID = -1
_WORD = 4

Words: TypeAlias = NDArray[np.uint32]


@dataclass(frozen=True, slots=True)
class _Header:
    """A PERF_DATA_BLOCK's own fields: times are ticks, except ``utc``, a FILETIME."""

    host: str | None
    objects: int
    start: int
    end: int
    time: int
    frequency: int
    utc: int


@dataclass(frozen=True, slots=True)
class _Object:
    """One object in a block: bytes from ``at`` to ``end``."""

    at: int
    end: int
    definition_end: int
    title: int
    instances: int
    code_page: int
    time: int
    frequency: int


@dataclass(frozen=True, slots=True)
class _Layout:
    """Where an object's wanted values lie, as long as nothing but values changes.

    ``fixed`` are the words that must stay as they are (``words``); the others are places of values, in words.
    """

    key: tuple[object, ...]
    fixed: Integers
    words: Words
    columns: Integers
    first: Integers
    wide: Integers
    timers: Integers
    based: Integers
    base: Integers
    base_wide: Integers
    counted: Integers
    items: Integers

    def fits(self, key: tuple[object, ...], words: Words) -> bool:
        """Whether another sample's object has this layout."""
        return self.key == key and bool(np.array_equal(words[self.fixed], self.words))

    def raw(self, words: Words, clocks: tuple[int, int, int]) -> Raw | None:
        """The values of one sample. ``clocks`` are in the order of ``Timer``."""
        if not len(self.columns):
            return None
        first = _gather(words, self.first, self.wide)
        second = np.array(clocks, np.int64)[self.timers]
        if len(self.based):
            second[self.based] = _gather(words, self.base, self.base_wide)
        items: Integers | None = None
        if len(self.counted):
            items = np.ones_like(first)
            items[self.counted] = words[self.items]
        return Raw(self.columns, first, second, items)


def _gather(words: Words, places: Integers, wide_ones: Integers) -> Integers:
    values = words[places].astype(np.int64)
    if len(wide_ones):
        values[wide_ones] |= words[places[wide_ones] + 1].astype(np.int64) << 32
    return values


@dataclass(slots=True)
class PerflibBlocks:
    """Reads the blocks of whole objects, sample after sample. ``hints`` are their times in UTC (FILETIMEs)."""

    titles: Titles
    columns: Columns
    losses: Losses
    hints: list[int] = field(default_factory=list)
    _layouts: dict[tuple[int, int], _Layout] = field(default_factory=dict)
    _hosts: dict[bytes, str | None] = field(default_factory=dict)
    _parents: dict[tuple[str | None, int], list[str]] = field(default_factory=dict)
    _definitions: Definitions = field(init=False)

    def __post_init__(self) -> None:
        """Start without a definition."""
        self._definitions = Definitions(self.titles, self.losses)

    def read(self, data: bytes, place: int, entry: Entry | None) -> list[Raw]:
        """The wanted values of one block. ``place`` is its number in the sample, ``entry`` what the list says of it."""
        header = self._header(data, entry)
        if header is None:
            self.losses.add(Loss.OBJECT)
            return []
        self.hints.append(header.utc)
        found = self._objects(data, header)
        if len(found) > 1 and entry is not None:
            # The objects that instances hang under come along without being asked for
            asked = [o for o in found if self._is_named(header.host, o.title, entry.object)]
            if asked:
                for other in found:
                    if other not in asked:
                        self._read_names(data, header, other)
                found = asked
        raws: list[Raw] = []
        for number, one in enumerate(found):
            raw = self._read(data, header, one, (place, number))
            if raw is not None:
                raws.append(raw)
        return raws

    def _is_named(self, host: str | None, title: int, name: str) -> bool:
        return (self.titles.name(host, title) or "").casefold() == name.casefold()

    def _header(self, data: bytes, entry: Entry | None) -> _Header | None:
        if len(data) < _BLOCK.size or not data.startswith(_PERF):
            return None
        _, _, _, _, total, start, objects, _, time, frequency, utc, length, at = _BLOCK.unpack_from(data)
        if start < _BLOCK.size or start % _WORD:
            return None
        name = data[at : at + length] if at < len(data) and length <= len(data) else b""
        if name not in self._hosts:
            if len(self._hosts) >= MAX_OBJECTS:
                self._hosts.clear()
            self._hosts[name] = host_name(wide(name))
        host = self._hosts[name] or (entry.host if entry is not None else None)
        return _Header(host, objects, start, min(total, len(data)), time, frequency, utc)

    def _objects(self, data: bytes, header: _Header) -> list[_Object]:
        found: list[_Object] = []
        at = header.start
        for _ in range(min(header.objects, MAX_OBJECTS)):
            one = self._object(data, at, header.end)
            if one is None:
                self.losses.add(Loss.OBJECT)
                break
            found.append(one)
            at = one.end
        return found

    @staticmethod
    def _object(data: bytes, at: int, end: int) -> _Object | None:
        if at + OBJECT_BYTES > end:
            return None
        fields = _OBJECT.unpack_from(data, at)
        total, definition, head, title = fields[:4]
        instances, code_page, time, frequency = fields[10:]
        if head != OBJECT_BYTES or not head <= definition <= total or total % _WORD or definition % _WORD:
            return None
        if at + total > end:
            return None
        return _Object(at, at + total, definition, title, instances, code_page, time, frequency)

    def _read(self, data: bytes, header: _Header, one: _Object, place: tuple[int, int]) -> Raw | None:
        body = data[one.at : one.end]
        words = np.frombuffer(body, "<u4")
        key = (len(body), header.host, header.frequency, self.titles.generation)
        layout = self._layouts.get(place)
        if layout is None or not layout.fits(key, words):
            layout = self._lay_out(body, words, header, one, key)
            if layout is None:
                self.losses.add(Loss.OBJECT)
                self._layouts.pop(place, None)
                return None
            if len(self._layouts) >= MAX_PLACES:
                self._layouts.clear()
            self._layouts[place] = layout
        return layout.raw(words, (header.time, header.utc, one.time))

    def _lay_out(
        self, body: bytes, words: Words, header: _Header, one: _Object, key: tuple[object, ...]
    ) -> _Layout | None:
        definition = self._definitions.get(
            header.host,
            one.title,
            body[OBJECT_BYTES : one.definition_end],
            Frequencies(header.frequency, one.frequency),
        )
        walked = _walk(body, one)
        if definition is None or walked is None:
            return None
        self.columns.hosts.setdefault(header.host)
        names = self._names(walked, one, header.host)
        columns: list[int] = []
        counters: list[int] = []
        counts: list[int] = []  # of counters per instance
        for name, length in zip(names, walked.lengths, strict=True):
            if length < definition.least:
                self.losses.add(Loss.OBJECT)
                counts.append(0)
                continue
            numbers, own = definition.columns_of(name, self.columns, self.losses)
            counters += numbers
            columns += own
            counts.append(len(own))
        chosen = np.array(counters, np.int64)
        inside = definition.table.ends[chosen] <= np.repeat(np.array(walked.lengths, np.int64), counts)
        all_columns, blocks = np.array(columns, np.int64), np.repeat(np.array(walked.blocks, np.int64), counts)
        if not inside.all():
            self.losses.add(Loss.OBJECT)
            chosen, all_columns, blocks = chosen[inside], all_columns[inside], blocks[inside]
        return _layout(key, walked.fixed(one.definition_end), words, all_columns, blocks, chosen, definition.table)

    def _names(self, walked: "_Walk", one: _Object, host: str | None) -> list[str] | list[None]:
        if one.instances == _NO_INSTANCES:
            return [None]
        plain = walked.names
        self._remember(host, one.title, plain)
        full: list[str] = []
        for name, (parent_title, parent_number) in zip(plain, walked.parents, strict=True):
            parents = self._parents.get((host, parent_title)) if parent_title else None
            if parents is not None and parent_number < len(parents):
                full.append(f"{parents[parent_number]}/{name}")
            else:
                full.append(name)
        return numbered(full)

    def _remember(self, host: str | None, title: int, names: list[str]) -> None:
        if len(self._parents) >= MAX_OBJECTS:
            self._parents.clear()
        self._parents[host, title] = names

    def _read_names(self, data: bytes, header: _Header, one: _Object) -> None:
        walked = _walk(data[one.at : one.end], one) if one.instances != _NO_INSTANCES else None
        if walked is not None:
            self._remember(header.host, one.title, walked.names)


@dataclass(slots=True)
class _Walk:
    """The instances of an object: names, parents (title and number), and their counter blocks, in bytes."""

    names: list[str]
    parents: list[tuple[int, int]]
    starts: list[int]
    blocks: list[int]
    lengths: list[int]

    def fixed(self, definition_end: int) -> Integers:
        """The words that hold no value: header without its time, definitions, instances, lengths of blocks."""
        head = np.concatenate([np.arange(12), np.arange(14, definition_end // _WORD)])
        starts = np.array(self.starts, np.int64) // _WORD
        # Up to and with the length of the counter block
        lengths = np.array(self.blocks, np.int64) // _WORD + 1 - starts
        before = np.cumsum(lengths) - lengths
        return np.concatenate([head, np.repeat(starts - before, lengths) + np.arange(int(lengths.sum()))])


def _walk(body: bytes, one: _Object) -> _Walk | None:
    """The instances of an object; None when one of them is damaged: where the next begins is not known then."""
    walk = _Walk([], [], [], [], [])
    at = one.definition_end
    for _ in range(1 if one.instances == _NO_INSTANCES else max(one.instances, 0)):
        block = at
        if one.instances != _NO_INSTANCES:
            if at + _INSTANCE.size > len(body):
                return None
            length, parent, number, unique, name_at, name_length = _INSTANCE.unpack_from(body, at)
            if length < _INSTANCE.size or length % _WORD or name_at + name_length > length:
                return None
            name = _instance_name(body[at + name_at : at + name_at + min(name_length, 2 * MAX_NAME)], one.code_page)
            walk.names.append(name if name or unique == _NO_UNIQUE_ID else str(unique))
            walk.parents.append((parent, number))
            block = at + length
        if block + _WORD > len(body):
            return None
        (length,) = _U32.unpack_from(body, block)
        if length < _WORD or length % _WORD or block + length > len(body):
            return None
        walk.starts.append(at)
        walk.blocks.append(block)
        walk.lengths.append(length)
        at = block + length
    return walk


@lru_cache(maxsize=MAX_NAMES)
def _instance_name(data: bytes, code_page: int) -> str:
    if code_page == 0:
        return wide(data)
    try:
        text = data.decode(f"cp{code_page}", errors="replace")
    except LookupError:
        text = data.decode("cp1252", errors="replace")
    return clean(text.partition("\0")[0][:MAX_NAME])


def _layout(
    key: tuple[object, ...],
    fixed: Integers,
    words: Words,
    columns: Integers,
    blocks: Integers,
    chosen: Integers,
    table: CounterTable,
) -> _Layout:
    """Where the ``chosen`` counters of a table lie in the counter ``blocks``; all three are of one length."""
    based, counted = np.flatnonzero(table.based[chosen]), np.flatnonzero(table.counted[chosen])
    base = (blocks + table.base_offsets[chosen]) // _WORD
    return _Layout(
        key=key,
        fixed=fixed,
        words=words[fixed],
        columns=columns,
        first=(blocks + table.offsets[chosen]) // _WORD,
        wide=np.flatnonzero(table.wide[chosen]),
        timers=table.timers[chosen],
        based=based,
        base=base[based],
        base_wide=np.flatnonzero(table.base_wide[chosen[based]]),
        counted=counted,
        items=base[counted],
    )
