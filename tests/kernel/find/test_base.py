"""The kernel's base by the first module and by a search for its headers."""

from collections.abc import Callable
from typing import Any

import numpy as np

from poolsleuth.kernel.find.base import MAX_BACK, FirstModule, first_module, search_back
from poolsleuth.windows.structure_layouts import layouts_for

Made = Callable[..., Any]


def test_first_module(machine: Made) -> None:
    for pointer, architecture in ((8, "x64"), (4, "x86")):
        written = machine(pointer)
        entry = layouts_for(7601, architecture).structures["_KLDR_DATA_TABLE_ENTRY"]
        head = written.at("PsLoadedModuleList")
        assert first_module(written.reader, head, entry) == FirstModule(written.base, 0x100000)
        # An empty list, one that does not lie in its first module, and none at all
        assert first_module(written.reader, written.at("ExpSystemResourcesList"), entry) is None
        written.memory.put(written.reader.pointer(head) + (0x30 if pointer == 8 else 0x18), written.base + 0x100000)
        assert first_module(written.reader, head, entry) is None
        assert first_module(written.reader, written.base + 0x90000, entry) is None


def test_search(machine: Made) -> None:
    written = machine()
    inside = written.at("PsLoadedModuleList")
    # Pages that begin like an image, and an image that does not reach over the address
    written.memory.write(written.base + 0x80000, b"MZ" + bytes(0x3E))
    written.memory.write(written.base + 0x70000, bytes(written.memory.pages[written.base // 4096]))
    written.memory.put(written.base + 0x70000 + 0x150, 0x20000, width=4)
    found = search_back(written.reader, inside, "x64")
    assert found is not None
    assert found.base == written.base
    assert search_back(written.reader, inside, "x86") is None
    assert search_back(written.reader, written.base + 0x200000, "x64") is None


def test_search_is_bounded(machine: Made, fake_memory: Made) -> None:
    memory = fake_memory(8)
    asked: list[int] = []
    gather = memory.gather

    def counted(pages: Any) -> Any:
        asked.append(len(pages))
        assert len(np.unique(pages)) == len(pages)
        return gather(pages)

    memory.gather = counted
    written = machine()
    assert search_back(type(written.reader)(memory), 0xFFFFF80002AA0890, "x64") is None
    assert sum(asked) == MAX_BACK // 4096
    asked.clear()
    assert search_back(type(written.reader)(memory), 0x5000, None) is None
    assert sum(asked) == 6
