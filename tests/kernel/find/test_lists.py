"""List heads: sane ones, broken ones, and those of which nothing can be read."""

from collections.abc import Callable
from typing import Any

from poolsleuth.kernel.find.lists import believed, list_is_sane

Made = Callable[..., Any]


def test_sane_and_not(machine: Made) -> None:
    for pointer in (8, 4):
        written = machine(pointer)
        reader, head = written.reader, written.at("PsLoadedModuleList")
        assert list_is_sane(reader, head) is True
        assert list_is_sane(reader, written.at("ExpSystemResourcesList")) is True  # empty
        assert list_is_sane(reader, head + pointer) is False
        assert list_is_sane(reader, written.base + 0x90000) is False  # zeros
        assert list_is_sane(reader, 0x1000) is False
        written.memory.put(reader.pointer(head) + pointer, head + 8)
        assert list_is_sane(reader, head) is False


def test_unreadable(machine: Made) -> None:
    written = machine()
    reader, head = written.reader, written.at("PsLoadedModuleList")
    first, last = reader.pointer(head), reader.pointer(head + 8)
    written.memory.lose(first)
    assert list_is_sane(reader, head) is True  # the last one leads back
    written.memory.lose(last)
    assert list_is_sane(reader, head) is None
    written.memory.lose(head)
    assert list_is_sane(reader, head) is None


def test_which_is_believed(machine: Made) -> None:
    written = machine()
    good, bad, lost = written.at("PsLoadedModuleList"), written.base + 0x90000, written.base + 0x200000
    reader = written.reader
    assert believed(reader, (bad, lost, good)) == good
    assert believed(reader, (None, bad, lost)) == lost
    assert believed(reader, (bad, None)) is None
    assert believed(reader, ()) is None
