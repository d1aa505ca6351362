"""The document keeps the shape that the design promises, whatever went in."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from poolsleuth import __version__
from poolsleuth.compose import compose_machine
from poolsleuth.model.document import from_json, to_json
from poolsleuth.model.facts import Figure, Where
from poolsleuth.model.machine import Machine, System
from poolsleuth.model.memory import MemoryCounters, SessionMemory, SessionUsage
from poolsleuth.model.report import ReportMachine
from poolsleuth.model.system import BugCheck
from poolsleuth.model.tags import Completeness, PoolKind, TagDescription, TagRow, TagTable
from poolsleuth.patterns.pattern import Evidence, all_patterns
from poolsleuth.pipeline import diagnose

ROOT = Path(__file__).parents[1]
SAMPLES = sorted((ROOT / "tests" / "data" / "logs").glob("*.txt"))
SHARED = ROOT.parent / "shared"
PUBLISHED = sorted([*(SHARED / "seeds").glob("*.txt"), *(SHARED / "data" / "transcripts").glob("0*.txt")])

KINDS = {"crash-dump", "debugger-log", "counter-log", "poolmon-log", "recording", "pool-tags", "driver", "report"}
VERDICTS = {"found", "suspected", "ruled-out", "not-assessed"}
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")
AT = re.compile(r"line [1-9]\d*|offset 0x[0-9a-f]+")

Node = dict[str, Any]


def keys(node: Node, required: str, extra: str = "") -> None:
    assert isinstance(node, dict)
    assert set(required.split()) <= set(node), f"missing: {set(required.split()) - set(node)}"
    assert set(node) <= set(required.split()) | set(extra.split()), f"unknown: {set(node)}"


def text(value: object) -> None:
    assert isinstance(value, str)
    assert value.strip()


def text_or_null(value: object) -> None:
    assert value is None or isinstance(value, str)


def whole_or_null(value: object) -> None:
    assert value is None or (isinstance(value, int) and not isinstance(value, bool))


def size_or_null(value: Any) -> None:
    whole_or_null(value)
    assert value is None or value >= 0


def check_reason(reason: Node, inputs: int) -> None:
    keys(reason, "says input at")
    text(reason["says"])
    assert reason["input"] is None or 0 <= reason["input"] < inputs
    assert reason["at"] is None or AT.fullmatch(reason["at"])
    assert reason["at"] is None or reason["input"] is not None


def check_finding(finding: Node, inputs: int) -> None:
    keys(
        finding,
        "pattern verdict severity confidence headline subject because against explains next_steps",
        extra="trend",
    )
    assert finding["pattern"] in {pattern.id for pattern in all_patterns()}
    assert finding["verdict"] in VERDICTS
    assert finding["severity"] in {"critical", "warning", "info"}
    assert finding["confidence"] in {"high", "medium", "low"}
    text(finding["headline"])
    keys(finding["subject"], "pool tag driver session resource process")
    assert finding["subject"]["pool"] in {None, "nonpaged", "paged", "session"}
    whole_or_null(finding["subject"]["session"])
    for reason in [*finding["because"], *finding["against"]]:
        check_reason(reason, inputs)
    for sentence in [*finding["explains"], *finding["next_steps"]]:
        text(sentence)
    if finding["verdict"] in {"found", "suspected"}:
        assert finding["because"], finding["headline"]
        assert finding["next_steps"], finding["headline"]


def check_machine(machine: Node, inputs: int) -> None:
    keys(machine, "name inputs system pools tags drivers conclusion findings series")
    text_or_null(machine["name"])
    assert machine["inputs"]
    assert all(0 <= index < inputs for index in machine["inputs"])
    system = machine["system"]
    keys(
        system,
        "os build architecture pae physical_bytes captured_at uptime_seconds bugcheck",
        extra="three_gb basis",
    )
    assert system["architecture"] in {None, "x86", "x64", "arm64", "ia64"}
    assert system["pae"] is None or (isinstance(system["pae"], bool) and system["architecture"] == "x86")
    size_or_null(system["physical_bytes"])
    assert system["captured_at"] is None or TIME.fullmatch(system["captured_at"])
    if system["bugcheck"] is not None:
        keys(system["bugcheck"], "code name parameters")
        assert re.fullmatch(r"0x[0-9A-F]{8}", system["bugcheck"]["code"])
        assert all(re.fullmatch(r"0x[0-9a-f]+", parameter) for parameter in system["bugcheck"]["parameters"])
    keys(machine["pools"], "nonpaged paged sessions failures")
    size_or_null(machine["pools"]["failures"])
    keys(machine["drivers"], "loaded complete unloaded")
    assert machine["drivers"]["complete"] in ({True, False} if machine["drivers"]["loaded"] else {None})
    for driver in machine["drivers"]["loaded"]:
        keys(driver, "name path base size company version timestamp")
        text(driver["name"])
        assert driver["base"] is None or re.fullmatch(r"0x[0-9a-f]{1,16}", driver["base"])
        size_or_null(driver["size"])
    for driver in machine["drivers"]["unloaded"]:
        keys(driver, "name times last_at")
        assert driver["times"] >= 1
        assert driver["last_at"] is None or TIME.fullmatch(driver["last_at"])
    for pool in (machine["pools"]["nonpaged"], machine["pools"]["paged"]):
        keys(pool, "used_bytes limit_bytes limit_source tagged_bytes failures", extra="printed_max_bytes tags_complete")
        for name in set(pool) - {"limit_source", "tags_complete"}:
            size_or_null(pool[name])
        assert (pool["limit_bytes"] is None) == (pool["limit_source"] is None)
    for session in machine["pools"]["sessions"]:
        keys(session, "id used_bytes limit_bytes failures")
        assert isinstance(session["id"], int)
    seen = set()
    for tag in machine["tags"]:
        keys(tag, "tag pool allocs frees outstanding bytes description driver", extra="session")
        assert 1 <= len(tag["tag"]) <= 4
        assert tag["pool"] in {"nonpaged", "paged", "session"}
        if tag["allocs"] is not None and tag["frees"] is not None:
            assert tag["outstanding"] == tag["allocs"] - tag["frees"]
        row = (tag["tag"], tag["pool"], tag["session"])
        assert tag["pool"] == "session" or row not in seen, f"two rows of {row}"
        seen.add(row)
    for finding in machine["findings"]:
        check_finding(finding, inputs)
    assert {finding["pattern"] for finding in machine["findings"]} == {pattern.id for pattern in all_patterns()}
    holding = [finding for finding in machine["findings"] if finding["verdict"] in {"found", "suspected"}]
    conclusion = machine["conclusion"]
    assert (conclusion is None) == (not holding)
    if conclusion is not None:
        keys(conclusion, "pattern verdict says")
        assert (conclusion["pattern"], conclusion["verdict"]) in {(f["pattern"], f["verdict"]) for f in holding}
        assert conclusion["says"].endswith(".")


def check_document(written: str) -> Node:
    def refuse(constant: str) -> None:
        pytest.fail(f"{constant} is not strict JSON")

    document: Node = json.loads(written, parse_constant=refuse)
    keys(document, "schema tool inputs machines problems")
    assert document["schema"] == "poolsleuth.report/1"
    assert document["tool"] == {"name": "poolsleuth", "version": __version__}
    inputs = len(document["inputs"])
    for source in document["inputs"]:
        keys(source, "name kind bytes sha256")
        text(source["name"])
        assert source["kind"] is None or source["kind"] in KINDS
        assert source["sha256"] is None or re.fullmatch(r"[0-9a-f]{64}", source["sha256"])
    for machine in document["machines"]:
        check_machine(machine, inputs)
    for problem in document["problems"]:
        check_reason(problem, inputs)
    return document


@pytest.mark.parametrize("path", [*SAMPLES, *PUBLISHED], ids=lambda path: path.stem)
def test_the_document_of_a_log(path: Path) -> None:
    written = to_json(diagnose(path))

    document = check_document(written)

    assert document["machines"] or document["problems"]
    assert to_json(from_json(written)) == written


def test_the_document_of_everything_together() -> None:
    document = check_document(to_json(diagnose(SAMPLES)))

    assert len(document["inputs"]) == len(SAMPLES)
    assert len(document["machines"]) == 8


def test_the_document_without_any_use() -> None:
    document = check_document(to_json(diagnose("no such file")))

    assert document["machines"] == []
    assert document["inputs"] == [{"name": "no such file", "kind": None, "bytes": None, "sha256": None}]


# --- one machine, from facts


def row(tag: str, pool: PoolKind = PoolKind.NONPAGED, **known: Any) -> TagRow:
    columns: Node = dict.fromkeys(("allocs", "frees", "outstanding", "bytes")) | known
    return TagRow(tag=tag, pool=pool, where=Where(0, 9), **columns)


def table(*rows: TagRow, session: int | None = None, complete: bool = True) -> TagTable:
    return TagTable(
        where=Where(0, 8),
        rows=rows,
        pools=frozenset({PoolKind.NONPAGED, PoolKind.PAGED}),
        completeness=Completeness.COMPLETE if complete else Completeness.CUT,
        session=session,
    )


@pytest.fixture
def compose() -> Callable[..., ReportMachine]:
    def build(*facts: Any, descriptions: tuple[TagDescription, ...] = (), **system: Any) -> ReportMachine:
        machine = Machine(system=System(**system), inputs=(0,), facts=facts)
        return compose_machine(machine, Evidence(machine, descriptions), [])

    return build


Compose = Callable[..., ReportMachine]


def test_what_is_not_known_is_null(compose: Compose) -> None:
    machine = compose()

    assert machine.conclusion is None
    assert machine.tags == ()
    assert (machine.pools.nonpaged.used_bytes, machine.pools.nonpaged.limit_source) == (None, None)


def test_figures_are_exact(compose: Compose) -> None:
    counters = MemoryCounters(
        where=Where(0, 1),
        nonpaged_used=Figure(31369 * 4096, Where(0, 2)),
        nonpaged_max=Figure(31986 * 4096, Where(0, 3)),
    )

    pool = compose(counters, table(row("None", bytes=50_827_424, outstanding=246_479))).pools.nonpaged

    assert (pool.used_bytes, pool.limit_bytes, pool.printed_max_bytes) == (31369 * 4096, 31986 * 4096, 31986 * 4096)
    assert pool.tagged_bytes == 50_827_424


def test_a_cut_table_has_no_sum(compose: Compose) -> None:
    assert compose(table(row("None", bytes=50_827_424), complete=False)).pools.nonpaged.tagged_bytes is None


def test_sessions_share_their_limit(compose: Compose) -> None:
    used, limit = Figure(32552 << 10, Where(0, 5)), Figure(32768 << 10, Where(0, 4))
    fact = SessionMemory(
        where=Where(0, 3),
        paged_limit=limit,
        view_limit=None,
        sessions=(
            SessionUsage(9, used, None, None, Figure(7837, Where(0, 6))),
            SessionUsage(0, None, None, None, None),
        ),
    )

    full, unknown = compose(fact).pools.sessions

    assert (full.id, full.used_bytes, full.limit_bytes, full.failures) == (9, 32552 << 10, 32768 << 10, 7837)
    assert (unknown.used_bytes, unknown.failures) == (None, None)


def test_rows_of_sessions_are_told_apart(compose: Compose) -> None:
    tags = compose(
        table(row("Gh05", PoolKind.PAGED, bytes=5)),
        table(row("Gh05", PoolKind.PAGED, bytes=7), session=3),
        table(row("Gh05", PoolKind.PAGED, bytes=9), session=-1),
    ).tags

    assert [(tag.pool, tag.session, tag.bytes) for tag in tags] == [
        ("paged", None, 5),
        ("session", 3, 7),
        ("session", None, 9),
    ]


def test_every_row_is_kept(compose: Compose) -> None:
    rows = [row(f"A{n:03}", bytes=n) for n in range(900)]

    assert len(compose(table(*rows)).tags) == 900


def test_a_list_of_tags_describes_them(compose: Compose) -> None:
    described = compose(table(row("Zq9x")), descriptions=(TagDescription("Zq9x", "zq.sys", "Zq"),)).tags[0]

    assert (described.driver, described.description) == ("zq.sys", "Zq")


def test_a_bug_check_has_its_name_even_when_the_log_has_none(compose: Compose) -> None:
    check = compose(bugcheck=BugCheck(where=Where(0, 1), code=0xD1, parameters=(0x10, 2))).system.bugcheck

    assert check is not None
    assert (check.code, check.name, check.parameters) == (
        "0x000000D1",
        "DRIVER_IRQL_NOT_LESS_OR_EQUAL",
        ("0x10", "0x2"),
    )
