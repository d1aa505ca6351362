"""Kernel tables as JSON: what is written is what is read, and anything else is refused."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from poolsleuth.windows import kernel_table_codec
from poolsleuth.windows.kernel_table import Field, KernelTable, PdbId, Structure
from poolsleuth.windows.kernel_table_codec import (
    group_document,
    table_document,
    table_of_document,
    table_of_group,
    wanted_digest,
)

PDB = PdbId("ntkrnlmp.pdb", "A" * 32, 0x2A)
TABLE = KernelTable(
    pdb=PDB,
    machine="x64",
    source="a test",
    symbols={"PoolTrackTable": 0x1000},
    structures={
        "_POOL_HEADER": Structure(16, {"PoolType": Field(2, 2, 8, 8), "Odd": Field(4), "Many": Field(8, 8, count=2)})
    },
)
OTHER = KernelTable(
    pdb=PdbId("ntkrnlmp.pdb", "B" * 32, 1),
    machine="x64",
    source="a test",
    symbols={"ExPoolState": 1, "PoolTrackTable": 2},
    structures={"_POOL_HEADER": Structure(8, {}), "_LIST_ENTRY": Structure(16, {"Flink": Field(0, 8)})},
)


def through_json(document: object) -> Any:
    return json.loads(json.dumps(document))


def test_one_table() -> None:
    document = through_json(table_document(TABLE, "10.0.19041.1"))

    assert document["label"] == "10.0.19041.1"
    assert document["structures"]["_POOL_HEADER"] == [
        16,
        {"Many": [8, 8, None, None, 2], "Odd": [4], "PoolType": [2, 2, 8, 8]},
    ]
    assert table_of_document(document) == (TABLE, True)


def test_a_table_that_was_made_for_other_wishes(monkeypatch: pytest.MonkeyPatch) -> None:
    document = through_json(table_document(TABLE))
    before = wanted_digest()
    monkeypatch.setattr(kernel_table_codec, "SYMBOLS", ("PoolTrackTable",))

    assert wanted_digest() != before
    assert table_of_document(document) == (TABLE, False)


@pytest.mark.parametrize("order", [(TABLE, OTHER), (OTHER, TABLE)])
def test_a_group(order: tuple[KernelTable, ...]) -> None:
    document = through_json(group_document(order))

    assert document == through_json(group_document((TABLE, OTHER)))
    for table in order:
        assert table.pdb is not None
        assert table_of_group(document, table.pdb, "x64", "a test") == table


@pytest.mark.parametrize(
    "change",
    [
        lambda d: d["kernels"].clear(),
        lambda d: d["symbols"].pop(),
        lambda d: d["structures"].clear(),
        lambda d: d["kernels"].update({PDB.key: [[1, 2], [99]]}),
        lambda d: d["kernels"].update({PDB.key: [[1, 2], [True]]}),
        lambda d: d["kernels"].update({PDB.key: [[1, "2"], [0]]}),
        lambda d: d["kernels"].update({PDB.key: []}),
    ],
)
def test_a_damaged_group(change: Callable[[Any], None]) -> None:
    document = through_json(group_document([TABLE, OTHER]))
    change(document)

    with pytest.raises(ValueError, match="not a kernel table"):
        table_of_group(document, PDB, "x64", "a test")


def test_a_table_without_an_identity_is_in_no_group() -> None:
    with pytest.raises(ValueError, match="of which PDB"):
        group_document([KernelTable(pdb=None, machine=None, source="a test")])


@pytest.mark.parametrize(
    "change",
    [
        lambda d: d.update(format="other/1"),
        lambda d: d.update(symbols=[]),
        lambda d: d.update(source=1),
        lambda d: d.update(machine=3),
        lambda d: d.update(pdb=["a"]),
        lambda d: d["symbols"].update(X=-1),
        lambda d: d["symbols"].update(X=1 << 32),
        lambda d: d["symbols"].update(X=True),
        lambda d: d["symbols"].update(X=1.5),
        lambda d: d["structures"].update(X=[1]),
        lambda d: d["structures"].update(X=["1", {}]),
        lambda d: d["structures"].update(X=[1, {"f": []}]),
        lambda d: d["structures"].update(X=[1, {"f": [None, 1]}]),
        lambda d: d["structures"].update(X=[1, {"f": [1, 1, None, None, None]}]),
        lambda d: d["structures"].update(X=[1, {"f": [1, 1, 1, 1, 1, 1]}]),
        lambda d: d["structures"].update(X=[1, {"f": [1, "2"]}]),
    ],
)
def test_a_document_that_is_no_table(change: Callable[[Any], None]) -> None:
    document = through_json(table_document(TABLE))
    assert table_of_document(document) == (TABLE, True)
    change(document)

    with pytest.raises(ValueError, match="not a kernel table"):
        table_of_document(document)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=10,
)


@given(st.sampled_from(["pdb", "machine", "source", "symbols", "structures", "wanted"]), JSON)
def test_any_document_is_a_table_or_refused(part: str, value: object) -> None:
    try:
        table, _ = table_of_document({**table_document(TABLE), part: value})
    except ValueError:
        return
    assert all(type(address) is int for address in table.symbols.values())
    assert all(type(field.offset) is int for s in table.structures.values() for field in s.fields.values())
