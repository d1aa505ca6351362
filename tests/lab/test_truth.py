"""truth.json states everything, as strict JSON."""

import json
from typing import Any

import pytest

from poolsleuth.lab.catalogue import windows_named
from poolsleuth.lab.simulate import simulate
from poolsleuth.lab.stories import make_machine, small_size
from poolsleuth.lab.truth import counter_bits, truth_document, truth_text


def refuse(name: str) -> None:
    raise AssertionError(f"{name} is not strict JSON")


@pytest.mark.parametrize("name", ["2600-x86-pae", "7601-x64", "19041-x64"])
def test_everything_is_stated(name: str) -> None:
    machine = simulate(make_machine(windows_named(name), "leak", seed=1, size=small_size())).truth
    document: dict[str, Any] = json.loads(truth_text(machine), parse_constant=refuse)
    assert document["schema"] == "poolsleuth.lab-truth/1"
    assert len(document["tags"]) == len(machine.tags)
    assert document["modules"][0]["base"] == hex(machine.modules[0].base or 0)
    assert document["memory"]["physical"] == 16384
    assert len(document["big_pages"]["address"]) == document["big_pages"]["in_use"] + document["big_pages"]["freed"]
    assert document["crashed_at"].endswith("Z")
    assert {"PoolTrackTable", "PsLoadedModuleList", "KdDebuggerDataBlock"} <= set(document["places"])
    # What this Windows does not say is null, never 0
    assert (document["big_pages"]["pool_type"] is None) == (machine.windows.build < 6000)
    assert (document["memory"]["failure_reasons"] is None) == (name != "7601-x64")
    assert ("invented" in document["layout"] or "own" in document["layout"]) == (not machine.windows.symbols)


def test_width_of_counters() -> None:
    bits = {
        name: counter_bits(make_machine(windows_named(name), size=small_size()))
        for name in ("2600-x86", "14393-x64", "17763-x64")
    }
    assert bits == {"2600-x86": 32, "14393-x64": 32, "17763-x64": 64}


def test_sessions_are_stated_where_they_are_known() -> None:
    machine = simulate(make_machine(windows_named("19041-x64"), "session-full", size=small_size())).truth
    document: Any = truth_document(machine)
    assert [session["id"] for session in document["sessions"]] == [0, 1]
    assert document["sessions"][1]["tags"][-1]["expansion"] is True
