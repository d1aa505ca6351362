"""Damage hits the header that it says, in the way that it says."""

from random import Random

import pytest

from poolsleuth.lab.allocator.corruption import Damage, corrupt, damaged_header
from poolsleuth.lab.allocator.headers import X64, X86, form_of, read_header, write_header
from poolsleuth.lab.catalogue import windows_named
from poolsleuth.lab.machine import FREE, PAGE, Hidden
from poolsleuth.lab.simulate import simulate
from poolsleuth.lab.stories import make_machine, small_size


@pytest.mark.parametrize("damage", Damage)
@pytest.mark.parametrize("name", ["3790-x86", "7601-x64"])
def test_what_is_said_is_in_memory(name: str, damage: Damage) -> None:
    machine = simulate(make_machine(windows_named(name), size=small_size()))
    form = form_of(machine.truth.windows.pointer)
    told = corrupt(machine, damage, Random(3), pool="paged")
    (pages,) = [pages for pages in machine.truth.pool_pages if pages.pool == "paged"]
    victim = pages.blocks[told.victim]
    assert told.address == victim["address"]
    at = told.address + (form.unit if damage is Damage.FREE_LIST else 0)
    assert machine.system.read(at, len(told.after)) == told.after != told.before
    page = machine.system.read(told.address // PAGE * PAGE, PAGE)
    row = pages.addresses.tolist().index(told.address // PAGE * PAGE)
    changed = [i for i, (old, new) in enumerate(zip(bytes(pages.rows[row]), page, strict=True)) if old != new]
    assert changed
    assert set(changed) <= set(range(at % PAGE, at % PAGE + len(told.after)))
    previous, _index, size, _kind, _tag = read_header(page, told.address % PAGE, form)
    place, before = told.address % PAGE // form.unit, int(pages.blocks["size"][told.victim - 1]) // form.unit
    right = int(victim["size"]) // form.unit
    said = {
        Damage.FREE_LIST: victim["state"] == FREE and previous == before and size == right,
        Damage.CONTRADICTION: previous != before and previous <= place and size == right,
        Damage.PREVIOUS_TOO_LARGE: previous > place and size == right,
        Damage.SIZE_WRONG: previous == before and right < size and place + size < form.units,
        Damage.SIZE_ZERO: previous == before and size == 0,
        Damage.SIZE_TOO_LARGE: previous == before and place + size > form.units,
        Damage.OVERRUN: told.after == b"A" * form.unit,
    }
    assert said[damage]


@pytest.mark.parametrize("form", [X86, X64])
def test_one_header_alone(form: object) -> None:
    assert form in (X86, X64)
    chosen = X86 if form is X86 else X64
    raw = bytearray(chosen.unit)
    write_header(raw, 0, chosen, (1, 2, 5, 3, 0x20707249))
    assert read_header(damaged_header(bytes(raw), 64, 4, Damage.SIZE_WRONG, chosen), 0, chosen)[2] == 7
    assert read_header(damaged_header(bytes(raw), 64, 4, Damage.CONTRADICTION, chosen), 0, chosen)[0] == 2
    with pytest.raises(ValueError, match="not in the header"):
        damaged_header(bytes(raw), 64, 4, Damage.FREE_LIST, chosen)


def test_nothing_to_damage() -> None:
    machine = simulate(make_machine(windows_named("19041-x64"), size=small_size()))
    with pytest.raises(ValueError, match="no block of nonpaged pool"):
        corrupt(machine, Damage.SIZE_ZERO, Random(1))
    hidden = simulate(make_machine(windows_named("7601-x64"), size=small_size(), hidden=Hidden(paged_out=1.0)))
    with pytest.raises(ValueError, match="no block of paged pool"):
        corrupt(hidden, Damage.SIZE_ZERO, Random(1), pool="paged")
