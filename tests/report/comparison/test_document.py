"""The comparison as JSON."""

import json
from dataclasses import replace
from typing import Any

from poolsleuth.model.comparison import Amount, Comparison
from poolsleuth.report.comparison.document import to_json
from poolsleuth.report.comparison.view import Selection


def document(text: str) -> dict[str, Any]:
    def refuse(name: str) -> float:
        raise AssertionError(f"{name} is no JSON")

    read: dict[str, Any] = json.loads(text, parse_constant=refuse)
    return read


def test_the_whole_document(leak: Comparison) -> None:
    text = to_json(leak)
    read = document(text)

    assert text.endswith("}\n")
    assert read["schema"] == "poolsleuth.diff/1"
    assert read["notable"] is True
    (pair,) = read["pairs"]
    assert pair["time"]["seconds"] == 36_000
    assert pair["time"]["before"]["captured_at"] == "2008-03-26T10:12:00Z"
    assert pair["pools"][1]["used_bytes"] == {
        "before": 482 << 20,
        "after": 1233 << 20,
        "change": 751 << 20,
    }
    assert pair["says"].startswith("Paged pool grew by 751.0 MB (155.8 %) in 10 h 0 min, 75.1 MB per hour: MmSt")
    assert [tag["tag"] for tag in pair["tags"]] == ["MmSt", "Ntff", "Gone", "Newt", "Even", "Abc", "Ddk", "Same"]
    assert read["after"]["unpaired"] == [{"number": 2, "name": "WEB-01"}, {"number": 3, "name": None}]


def test_what_is_not_known_is_null(leak: Comparison) -> None:
    tags = {tag["tag"]: tag for tag in document(to_json(leak))["pairs"][0]["tags"]}

    assert tags["Abc"]["bytes"] == {"before": None, "after": 12 << 20, "change": None}
    assert tags["Even"]["bytes"] == {"before": None, "after": None, "change": None}
    assert tags["Even"]["allocations_between"] is None


def test_tags_are_chosen(leak: Comparison) -> None:
    tags = document(to_json(leak, Selection(pool="nonpaged").keeps))["pairs"][0]["tags"]

    assert [tag["tag"] for tag in tags] == ["Even", "Abc", "Ddk"]


def test_absurd_numbers_are_still_strict_json(hostile: Comparison) -> None:
    read = document(to_json(hostile))

    assert read["pairs"][0]["counters"][0]["change"] is None
    assert read["pairs"][0]["tags"][0]["bytes"]["after"] == 10**400


def test_a_change_that_is_too_long_to_write_is_null(leak: Comparison) -> None:
    (pair,) = leak.pairs
    longest = 10**4299
    pool = replace(pair.pools[0], used=Amount(-9 * longest, 9 * longest))
    read = document(to_json(replace(leak, pairs=(replace(pair, pools=(pool,)),))))

    assert read["pairs"][0]["pools"][0]["used_bytes"]["change"] is None
